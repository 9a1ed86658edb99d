/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which address spaces a guest has: from what names them (struct hs_roots_spec) to the roots themselves. */
#ifndef HS_SESSION_ROOTS_H
#define HS_SESSION_ROOTS_H

#include "snapshot/plan.h"

#include <hindsight/sandbox.h>

/** Most roots of a guest. */
#define HS_ROOTS_FOUND_MAX 4096

/** Caller's storage, owns what it points to until deinit. */
struct hs_roots {
	struct hs_root *items;
	uint32_t count;
	uint32_t named; /* how many something names: the first ones; one more is the CPU's, where nothing names that */
	uint32_t current;                 /* index of the CPU's: the last one, if nothing names it */
	struct hs_root_pointer *pointers; /* where the guest keeps them, for those that it keeps */
	size_t pointer_count;
};

/**
 * Find the roots of a guest that does not run. A variable that is found by its name stays known to the VM and to
 * the snapshots of it: without another finder it is used then, whatever image the VM was made for.
 *
 * HS_ERR_NOT_FOUND: no such variable. HS_ERR_UNREADABLE: what names the roots, or a root, is not in memory.
 * HS_ERR_INVALID: a root that is not aligned or named twice; a finder that makes no sense. HS_ERR_RANGE: too many.
 * HS_ERR_UNSUPPORTED: there is no image to find the variable in, and the guest's snapshot was taken with none of that
 * name. Errors of the callback pass through.
 *
 * @param spec  NULL for what the guest has registered
 * @param ret   untouched on failure
 */
HS_MUST_CHECK enum hs_status hs_roots_find(struct hs_vm *vm, const struct hs_roots_spec *spec,
					   const struct hs_cpu_state *cpu, struct hs_roots *ret, struct hs_error *err);
void hs_roots_deinit(struct hs_roots *roots);

/** The number of the address space that the CPU is in, from 1 on (struct hs_target_space): a root that nothing names is
 *  of the first. */
uint32_t hs_roots_current_space(const struct hs_roots *roots);

/** Tell the VM which spaces its breakpoints belong to, as they are now; if they cannot be found, as they were. */
void hs_roots_tell_breaks(struct hs_vm *vm, const struct hs_roots_spec *spec);

#endif
