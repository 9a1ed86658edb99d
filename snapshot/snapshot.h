/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making snapshots: from the state of a guest, or from parts of a file that was opened and checked.
 */
#ifndef HS_SNAPSHOT_SNAPSHOT_H
#define HS_SNAPSHOT_SNAPSHOT_H

#include "snapshot/plan.h"

#include <hindsight/snapshot.h>

/** The guest to take a snapshot of. All pointers are borrowed for the call. */
struct hs_snapshot_input {
	const struct hs_phys *phys;
	const struct hs_cpu_state *cpu;
	const struct hs_root *roots;
	uint32_t root_count;
	uint32_t current;                       /* index of the root that the CPU is on */
	const struct hs_root_pointer *pointers; /* places of the guest's that hold a root; TSSs are found without */
	size_t pointer_count;
	const struct hs_snapshot_guest *guest;
	const struct hs_snapshot_function *functions;
	uint32_t function_count;
	hs_gpa gpa;     /* of the memory but scratch */
	uint64_t limit; /* bytes that it may have */
	hs_gpa scratch_gpa;
	hs_gva scratch_gva;
	uint64_t scratch_bytes;
	struct hs_budget budget; /* all zero for hs_budget_default() */
};

/**
 * Take a snapshot: plan, write to memory of its own, seal it. The guest is not changed.
 *
 * HS_ERR_STATE: the CPU is on a stack in scratch, which is not kept. Otherwise as hs_plan_init() and hs_plan_write().
 *
 * @param ret  with one owner, the caller
 */
HS_MUST_CHECK enum hs_status hs_snapshot_take(const struct hs_snapshot_input *input, struct hs_snapshot **ret,
					      struct hs_error *err);

/**
 * A snapshot of what a file holds.
 *
 * @param info   copied, roots and functions included; memory.fd is taken over (closed with the snapshot, also on
 *               failure)
 *
 * HS_ERR_FORMAT: parts that overlap, are not page-aligned or lie beyond the file's end; a root or a register that is
 * out of bounds. HS_ERR_NOMEM, HS_ERR_IO.
 */
HS_MUST_CHECK enum hs_status hs_snapshot_adopt(const struct hs_snapshot_info *info, const struct hs_cpu_state *cpu,
					       struct hs_snapshot **ret, struct hs_error *err);

#endif
