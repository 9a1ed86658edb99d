/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VM whose memory comes from a snapshot: put there, put back, and run from there. Registers and memory are those of
 * the snapshot afterwards and nothing of an earlier run is left; breakpoints of a debugger stay as they are.
 */
#ifndef HS_VMM_MEMORY_H
#define HS_VMM_MEMORY_H

#include <hindsight/image.h>
#include <hindsight/vm.h>

/**
 * Make the VM's memory that of the image, and its registers those of cpu: regions that it has besides go away, nothing
 * is under way, and it may run, whatever it was before. Memory that is loaded from the image already costs the pages
 * that were written to since; regions that are the same as before are replaced in place.
 *
 * @param image  copied; its file and bytes are borrowed until another image is restored or the VM is destroyed. Two
 *               images are the same if their files are
 * @param cpu    borrowed as the file is, and it does not change: where they are the registers of the restore before,
 *               only what has changed since is put back
 * @param share  map parts that may be shared read-only for the guest and everybody else; otherwise private, so that a
 *               debugger can write to them
 *
 * HS_ERR_UNSUPPORTED: this host or backend lacks registers that cpu has; nothing changed. HS_ERR_NOMEM, HS_ERR_IO,
 * HS_ERR_EXHAUSTED, HS_ERR_BACKEND: the VM is in pieces: hs_vm_run() refuses until a restore has succeeded.
 */
HS_MUST_CHECK enum hs_status hs_vm_restore(struct hs_vm *vm, const struct hs_memory_image *image, bool share,
					   const struct hs_cpu_state *cpu, struct hs_error *err);

/** What is known of the guest that runs beside its memory and registers; a restore of another guest changes it. */
struct hs_vm_guest {
	uint64_t features;                  /* HS_FEATURE_* of its image */
	uint64_t boot_idt;                  /* gva of the IDT that it was booted with */
	uint64_t roots;                     /* gva of struct hs_abi_roots as it has registered it; 0 for none */
	uint64_t input_bytes, output_bytes; /* buffers of calls, at the beginning of scratch */
	uint64_t guard, guard_bytes;        /* gva below the stack of the boot: a fault there has run out of it */
	struct {
		uint64_t gva, stride, count;
		char symbol[256]; /* its name; not looked at where count is 0 */
	} variable;               /* of the guest's that holds roots, if somebody has named one: then count is not 0 */
};
struct hs_vm_guest hs_vm_guest(const struct hs_vm *vm);
/** For after a restore: the VM can run the guest of another image. */
void hs_vm_set_guest(struct hs_vm *vm, const struct hs_vm_guest *guest);
/** What the devices remember; setting it is the other half of a restore. */
struct hs_devices hs_vm_devices(const struct hs_vm *vm);
void hs_vm_set_devices(struct hs_vm *vm, const struct hs_devices *devices);
/**
 * Likewise: what hs_vm_image() says from now on, if it is another one. Its fd is then that of the file at its path, if
 * that is there and has the same build-id, else -1.
 *
 * @param image  what is known of it; not fd, native and the segments
 */
void hs_vm_set_image(struct hs_vm *vm, const struct hs_vm_image *image);

/** What a VM whose guest was booted elsewhere is made for. All pointers are borrowed for the call. */
struct hs_vm_origin {
	struct hs_vm_image image; /* what is known of it; not fd, native and the segments */
	const struct hs_memory_image *memory;
	const struct hs_cpu_state *cpu;
};

/**
 * Make a VM for a guest that was booted elsewhere: it has no memory and no image until hs_vm_restore(), and refuses to
 * run before. hs_vm_image() says what the origin does; its fd is that of the file at its path, if that is there still
 * and has the same build-id, else -1.
 *
 * HS_ERR_UNSUPPORTED: this host or backend cannot run the guest; the message says what is missing. HS_ERR_INVALID:
 * mappings, which only a boot makes. Others as hs_vm_create().
 *
 * @param config  as for hs_vm_create(); sizes but memory_bytes, boot, seed and arguments are the guest's already
 */
HS_MUST_CHECK enum hs_status hs_vm_create_for(const struct hs_vm_origin *origin, const struct hs_vm_config *config,
					      struct hs_vm **ret, struct hs_error *err);

/** Where the scratch region is, and how much memory there may be. */
struct hs_vm_bounds {
	hs_gpa scratch_gpa;
	hs_gva scratch_gva;
	uint64_t scratch_bytes;
	uint64_t memory_bytes;              /* limit of all memory, mappings not counted */
	uint64_t input_bytes, output_bytes; /* buffers at the beginning of scratch, as it was booted */
};
struct hs_vm_bounds hs_vm_bounds(const struct hs_vm *vm);

/** How many pages were written to since the last restore. */
HS_MUST_CHECK enum hs_status hs_vm_pages_written(struct hs_vm *vm, uint64_t *ret, struct hs_error *err);
/** Whether the CPU has not run, and its registers are as they were put, since the last restore. */
bool hs_vm_is_untouched(const struct hs_vm *vm);
/** False before the first restore and after one that failed half-way. */
bool hs_vm_is_restored(const struct hs_vm *vm);
/** Whether the last restore was from this image, and has succeeded. */
bool hs_vm_is_on(const struct hs_vm *vm, const struct hs_memory_image *image);

#endif
