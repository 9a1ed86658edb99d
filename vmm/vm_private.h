/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files that make up struct hs_vm share: vm.c (making, state, memory), run.c (running), debug.c, crash.c. */
#ifndef HS_VMM_VM_PRIVATE_H
#define HS_VMM_VM_PRIVATE_H

#include "vmm/backend.h"
#include "vmm/boot.h"
#include "vmm/bus.h"
#include "vmm/debug.h"
#include "vmm/dirty.h"
#include "vmm/layout.h"
#include "vmm/loader.h"
#include "vmm/mapping.h"
#include "vmm/memory.h"
#include "vmm/ram.h"

#include <hindsight/image.h>
#include <hindsight/vm.h>

#include <limits.h>

struct hs_vm {
	const struct hs_backend_ops *ops;
	struct hs_backend *backend;
	struct hs_image *image;    /* NULL if there is none (create_for.c) */
	char image_path[PATH_MAX]; /* of a guest that was booted elsewhere */
	struct hs_layout layout;
	struct hs_vm_image public_image;
	struct hs_vm_segment segments[HS_IMAGE_SEGMENTS_MAX];
	struct hs_mappings mappings;
	struct hs_ram ram;
	struct hs_bus bus;
	struct hs_debug debug;

	/* The CPU's registers as far as they were asked for since it last ran. */
	struct hs_cpu_state cpu;
	unsigned int have;  /* parts of cpu that are the CPU's */
	unsigned int dirty; /* parts of cpu that are newer than the CPU's */

	/* What its memory came from, if it was loaded (memory.c), and what differs from that now. */
	struct hs_memory_image loaded;              /* borrowed from the snapshot; part_count is 0 when it was booted */
	bool loaded_shared;                         /* parts that may be are shared with other VMs */
	const struct hs_cpu_state *loaded_cpu;      /* borrowed likewise */
	struct hs_root loaded_root;                 /* of those registers */
	const uint8_t *origins[HS_RAM_REGIONS_MAX]; /* what it has for each region of ram; NULL for zeros */
	struct hs_dirty written;

	uint8_t *record; /* of record_bytes: what the host writes to the input buffer (call.c); NULL at first */
	size_t record_bytes;
	struct hs_vm_guest guest;

	struct hs_root last_root; /* the CPU's as it was last known before it ran */
	bool root_known;          /* and it is that of the registers that the CPU has now */

	uint64_t exits[HS_EXIT_INTERRUPTED + 1]; /* by kind */

	bool unretired;          /* the CPU's registers are those before the out of the event that came last */
	bool ended;              /* exited; nothing may run any more */
	bool unusable;           /* its memory is in pieces: nothing may run ever again */
	bool touched;            /* has run, or its registers were set, since the last restore */
	bool at_breakpoint;      /* the last run ended at a breakpoint ... */
	uint64_t breakpoint_rip; /* ... here, and the next one starts behind it */
};

/** A VM of nothing, for hs_vm_destroy() in whatever state it is by then. */
HS_MUST_CHECK enum hs_status hs_vm_allocate(struct hs_vm **ret, struct hs_error *err);
/** What runs guests of arch on this host: what was asked for or, by default, what suits them best here. */
HS_MUST_CHECK enum hs_status hs_vm_choose_backend(const struct hs_vm_config *config, enum hs_arch arch,
						  const struct hs_backend_ops **ret, struct hs_error *err);
/** HS_ERR_UNSUPPORTED: registers that this host or backend lacks (XCR0); the message names them. */
HS_MUST_CHECK enum hs_status hs_vm_check_registers(const struct hs_vm *vm, const struct hs_cpu_state *cpu,
						   struct hs_error *err);
/** Bring parts of vm->cpu up to date: behind the instruction of the event that came last. */
HS_MUST_CHECK enum hs_status hs_vm_fetch(struct hs_vm *vm, unsigned int parts, struct hs_error *err);
/** Give dirty parts to the CPU. */
HS_MUST_CHECK enum hs_status hs_vm_flush(struct hs_vm *vm, struct hs_error *err);

/** The regions that a boot has, empty (vm.c). */
HS_MUST_CHECK enum hs_status hs_vm_make_memory(struct hs_vm *vm, struct hs_error *err);
/** Tell the backend that the host has written to memory, where it wants to know. */
static inline void hs_vm_tell_written(struct hs_vm *vm, hs_gpa gpa, uint64_t length)
{
	if (vm->ops->memory_written) {
		vm->ops->memory_written(vm->backend, gpa, length);
	}
}
/* memory.c */
/** Memory of an image anew: also what the backend has of it, unless that is whole. On failure it is in pieces. */
HS_MUST_CHECK enum hs_status hs_vm_load(struct hs_vm *vm, const struct hs_memory_image *image, bool share, bool whole,
					struct hs_error *err);
/** Memory as its image has it, where it was written to since. */
HS_MUST_CHECK enum hs_status hs_vm_rewind_pages(struct hs_vm *vm, struct hs_error *err);
/** Not one region is left. */
HS_MUST_CHECK enum hs_status hs_vm_take_memory_away(struct hs_vm *vm, struct hs_error *err);

#endif
