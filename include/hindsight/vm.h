/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VM with one CPU that runs one ELF image. Create it, run it until an event, look at it or change it, run it again.
 *
 * One thread owns a VM at a time; hs_vm_interrupt() alone may be called from another thread or a signal handler.
 * Planted breakpoint bytes are in guest memory only while the CPU runs: between two runs all memory, read through any
 * interface, is the guest's own.
 */
#ifndef HINDSIGHT_VM_H
#define HINDSIGHT_VM_H

#include <hindsight/cpu.h>
#include <hindsight/crash.h>
#include <hindsight/error.h>
#include <hindsight/mem.h>
#include <hindsight/paging.h>
#include <hindsight/target.h>
#include <hindsight/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hs_vm;

/** What executes the guest. AUTO: KVM where it runs such guests fully and faster, else the software CPU. */
enum hs_backend_choice { HS_BACKEND_AUTO, HS_BACKEND_KVM, HS_BACKEND_SOFT };
enum hs_boot { HS_BOOT_AUTO, HS_BOOT_NATIVE, HS_BOOT_PVH };

/** Where the guest's console output goes: bytes, not lines, borrowed for the call. */
typedef void hs_console_fn(void *ctx, const void *bytes, size_t length);

/**
 * Memory for the guest beside its own, at a place of the caller's choice: a file or memory of the host. The guest finds
 * it by its label in the boot information (docs/guest-abi.md, "Mappings").
 *
 * A file is mapped whole and private: what the guest writes is its own, and the file stays as it is. It must not become
 * shorter while the VM lives: the host's access to a page that is gone is a SIGBUS. Host memory is the caller's, who
 * sees what the guest writes and may write to it while the guest does not run.
 */
struct hs_vm_mapping {
	const char *label; /**< 1 to 63 bytes, no two alike */
	hs_gpa gpa;        /**< page-aligned */
	const char *path;  /**< the file; NULL for host memory */
	void *host;        /**< for host memory: page-aligned, borrowed for the life of the VM; else NULL */
	uint64_t length;   /**< for host memory: bytes, page-aligned; else 0 */
	bool writable;     /**< for the guest */
};

/** A mapping as it lies in the guest. Strings are borrowed from the VM. */
struct hs_vm_mapped {
	const char *label;
	const char *path; /**< absolute; NULL for host memory */
	hs_gva gva;       /**< where the page tables at entry have it */
	hs_gpa gpa;
	uint64_t length; /**< bytes of the file or memory; the guest has them rounded up to pages */
	bool writable;
};

/** What a VM is made of. Zero everywhere means the default. Strings are copied. */
struct hs_vm_config {
	enum hs_backend_choice backend;
	enum hs_boot boot;
	bool debugger;          /**< one will be attached: auto then takes no KVM without breakpoints or watchpoints */
	uint64_t heap_bytes;    /**< default 128 KiB */
	uint64_t stack_bytes;   /**< default 64 KiB */
	uint64_t scratch_bytes; /**< default 288 KiB */
	uint64_t input_bytes;   /**< default 16 KiB, least 8 KiB */
	uint64_t output_bytes;  /**< default 16 KiB, least 8 KiB */
	uint64_t memory_bytes;  /**< limit of guest-physical memory in all, mappings not counted; default 1 GiB */
	uint64_t seed;          /**< the random seed the guest gets; default from getrandom() */
	uint32_t log_level;
	const char *const *args; /**< argument strings of the guest, args[0] being its name; may be NULL */
	size_t args_count;
	const struct hs_vm_mapping *mappings; /**< at most 32 (HS_MAPPINGS_MAX) */
	size_t mapping_count;
	bool calls;             /**< somebody serves calls (docs/guest-abi.md): their ports end a run as events */
	hs_console_fn *console; /**< NULL discards the output */
	void *console_ctx;      /**< borrowed for the life of the VM */
};

/** Why hs_vm_run() returned. */
enum hs_event_kind {
	HS_EVENT_EXITED,      /**< exit_status */
	HS_EVENT_CRASHED,     /**< crash; the CPU state is at the faulting instruction */
	HS_EVENT_INTERRUPTED, /**< hs_vm_interrupt() */
	HS_EVENT_STEPPED,
	HS_EVENT_BREAKPOINT, /**< rip is at breakpoint */
	HS_EVENT_WATCHPOINT, /**< breakpoint was touched; rip is after the access */
	/* These only where somebody serves calls (struct hs_vm_config): rip is behind the out. */
	HS_EVENT_READY,     /**< HS_PORT_READY: the guest waits for a call, and has answered the one before */
	HS_EVENT_HOST_CALL, /**< HS_PORT_CALL_HOST: the guest has called and waits for the answer */
	HS_EVENT_LOG,       /**< HS_PORT_LOG: there is something to log */
};

struct hs_event {
	enum hs_event_kind kind;
	int exit_status; /**< 0..255 */
	struct hs_crash crash;
	struct hs_breakpoint breakpoint;
};

/** What the guest image is; all borrowed from the VM. */
struct hs_vm_image {
	enum hs_arch arch;
	const char *path; /**< absolute */
	int fd;           /**< open for reading */
	uint64_t entry;   /**< gva */
	uint64_t phdr;    /**< gva of the program headers, 0 when they are not in a loaded segment */
	uint16_t phentsize, phnum;
	bool native; /**< has the Hindsight note */
	uint64_t features;
	uint8_t build_id[32];
	uint32_t build_id_length; /**< bytes, 0 when there is none */
	size_t segment_count;
	const struct hs_vm_segment *segments;
};

/** A loaded PT_LOAD. */
struct hs_vm_segment {
	hs_gva gva;
	hs_gpa gpa;
	uint64_t length; /**< bytes in memory, page-aligned outwards */
	uint64_t file_offset, file_length;
	int prot; /**< bits of enum hs_prot */
};

/**
 * Make a VM, load the image into it and put its CPU at the entry point. Nothing has run.
 *
 * Fails with HS_ERR_NOT_FOUND, HS_ERR_PERMISSION or HS_ERR_IO (the image or /dev/kvm), HS_ERR_FORMAT (not an ELF, or a
 * broken one), HS_ERR_UNSUPPORTED (an image or a paging mode that the chosen backend cannot run on this host; the
 * message says where it would run), HS_ERR_RANGE (segments or mappings that overlap or do not fit; the message names
 * the smallest size that would work), HS_ERR_INVALID (mappings that make no sense), HS_ERR_NOMEM, HS_ERR_BACKEND. On
 * failure nothing is left behind.
 *
 * @param image_path  path of an ELF64 or ELF32 image; the file is opened and stays open
 * @param config      borrowed for the call; NULL means all defaults
 * @param ret         the VM, owned by the caller until hs_vm_destroy()
 */
HS_MUST_CHECK enum hs_status hs_vm_create(const char *image_path, const struct hs_vm_config *config, struct hs_vm **ret,
					  struct hs_error *err);
/** Free a VM and all it holds. NULL is fine. */
void hs_vm_destroy(struct hs_vm *vm);

/**
 * Run until an event. The guest's console output is delivered during the call.
 *
 * After HS_EVENT_CRASHED the VM stands at the fault: it can be read, dumped and, after its state was changed, run
 * again. Running it unchanged repeats the crash. After HS_EVENT_EXITED only reading is allowed: HS_ERR_STATE.
 *
 * @param resume  continue, step or range step; signal is ignored here
 * @param ret     untouched on failure
 */
HS_MUST_CHECK enum hs_status hs_vm_run(struct hs_vm *vm, const struct hs_resume *resume, struct hs_event *ret,
				       struct hs_error *err);
/** Make hs_vm_run() return HS_EVENT_INTERRUPTED soon; when none is running, the next one at once. Async-signal-safe. */
void hs_vm_interrupt(struct hs_vm *vm);

HS_MUST_CHECK enum hs_status hs_vm_cpu_get(struct hs_vm *vm, struct hs_cpu_state *ret, struct hs_error *err);
/**
 * Set registers. Those that are as they were are left alone.
 *
 * @return HS_OK; HS_ERR_INVALID: no CPU takes one of the values (err names the register), by the same rules on each
 *         backend; HS_ERR_BACKEND or HS_ERR_IO: this one does not. On failure nothing changed.
 */
HS_MUST_CHECK enum hs_status hs_vm_cpu_set(struct hs_vm *vm, const struct hs_cpu_state *state, struct hs_error *err);

/** Read up to length bytes at gva through the CPU's current page tables, up to the first hole (as hs_target_ops). */
HS_MUST_CHECK enum hs_status hs_vm_mem_read(struct hs_vm *vm, hs_gva gva, void *buffer, size_t length,
					    size_t *ret_length, struct hs_error *err);
/** Write at gva, whatever the guest's write protection; all or nothing. */
HS_MUST_CHECK enum hs_status hs_vm_mem_write(struct hs_vm *vm, hs_gva gva, const void *buffer, size_t length,
					     struct hs_error *err);

/** As in hs_target_ops; breakpoints stay set until removed. */
HS_MUST_CHECK enum hs_status hs_vm_break_insert(struct hs_vm *vm, const struct hs_breakpoint *breakpoint,
						struct hs_error *err);
HS_MUST_CHECK enum hs_status hs_vm_break_remove(struct hs_vm *vm, const struct hs_breakpoint *breakpoint,
						struct hs_error *err);
void hs_vm_break_clear(struct hs_vm *vm);
/** Remove those of one address space, or (0) those of every space. */
void hs_vm_break_clear_space(struct hs_vm *vm, uint32_t space);
/** Whether there is one that is not of every space: then hs_vm_break_spaces() has to be true of the guest. */
bool hs_vm_break_has_spaces(const struct hs_vm *vm);
/**
 * Say which address spaces breakpoints belong to: number i + 1 is that of roots[i]. A root that is none of them counts
 * as that of space 1, and at first all do. Breakpoints keep their numbers when a guest's roots have moved.
 *
 * @param roots  copied
 *
 * HS_ERR_NOMEM: they are as before.
 */
HS_MUST_CHECK enum hs_status hs_vm_break_spaces(struct hs_vm *vm, const struct hs_root *roots, uint32_t count,
						struct hs_error *err);

/**
 * Page tables of the guest have been written to through hs_vm_phys(): let the CPU forget what it remembers of them.
 * Between two runs. HS_ERR_BACKEND.
 */
HS_MUST_CHECK enum hs_status hs_vm_tables_written(struct hs_vm *vm, struct hs_error *err);
/** The page tables that the CPU was last seen with before it ran: what memory is read by when registers_lost is set. */
struct hs_root hs_vm_last_root(const struct hs_vm *vm);
/** The guest-physical memory, valid as long as the VM. */
struct hs_phys hs_vm_phys(struct hs_vm *vm);
/** The image that runs in it. */
const struct hs_vm_image *hs_vm_image(const struct hs_vm *vm);
/** The mappings, in the order of the configuration; *ret_count is how many. Valid as long as the VM. */
const struct hs_vm_mapped *hs_vm_mappings(const struct hs_vm *vm, size_t *ret_count);
/** The bits of XCR0 that the guest may set (SDM vol. 1 13.3); x87 and SSE (3) where its CPU has no XSAVE. */
uint64_t hs_vm_xcr0_offered(const struct hs_vm *vm);
/** "kvm" or "soft"; static. */
const char *hs_vm_backend_name(const struct hs_vm *vm);

#ifdef __cplusplus
}
#endif
#endif
