/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the ranges of a root to segments: each mapped range is cut to what physical memory backs, and a piece is joined
 * to the one before it when gva and gpa both go on and the permissions are equal (the walk keeps apart what differs in
 * accessed or dirty bits). Joined only where gpa goes on, not where merely the data of a core would: p_paddr holds for
 * every byte.
 *
 * In: physical memory and roots. Out: an array that grows. Pure but for the memory it takes.
 */
#ifndef HS_COREDUMP_SEGMENTS_H
#define HS_COREDUMP_SEGMENTS_H

#include <hindsight/coredump.h>

/** The array. Made by hs_core_segments_init(); whoever takes items over frees them. */
struct hs_core_segments {
	struct hs_core_segment *items; /* ascending by gva within a space; offsets are left 0 */
	size_t count, capacity;
	size_t first;            /* of the space that is walked now: nothing is joined to what is before it */
	size_t max;              /* at this count the budget is used up */
	uint64_t segment_bytes;  /* longest, a multiple of the page size */
	uint64_t bad_tables;     /* tables outside of physical memory, entries with reserved bits */
	uint64_t unbacked_bytes; /* mapped, but there is no physical memory */
	uint64_t reached;        /* where the last walk stopped that was out of budget */
};

void hs_core_segments_init(uint64_t segment_bytes, struct hs_core_segments *ret);
void hs_core_segments_deinit(struct hs_core_segments *segments);

/**
 * Begin another space; then add a part of it, or all (start and length 0; length 0 is up to its end).
 *
 * HS_ERR_BUDGET: budget.tables, budget.ranges or segments->max is used up; what was found stays, and segments->reached
 * says where it stopped. HS_ERR_NOMEM.
 */
void hs_core_segments_begin(struct hs_core_segments *segments, size_t max);
HS_MUST_CHECK enum hs_status hs_core_segments_walk(struct hs_core_segments *segments, const struct hs_phys *phys,
						   const struct hs_root *root, uint64_t start, uint64_t length,
						   struct hs_budget budget, struct hs_error *err);

/** What is wanted around an anchor: this much before the page that it is in, and as much from there on. */
#define HS_CORE_ANCHOR_BYTES UINT64_C(0x10000)
/** And what the walk of it may cost, for each anchor: five levels, and every page a range of its own. */
#define HS_CORE_ANCHOR_TABLES 32u
#define HS_CORE_ANCHOR_RANGES 32u
/** Anchors beyond these are ignored. */
#define HS_CORE_ANCHORS_MAX 16u

/**
 * Add the surroundings of addresses, as far as they lie behind what there is of the space: a guest whose tables have no
 * end (a table that refers to itself) shall still have its code and its stack in the core. HS_ERR_NOMEM.
 */
HS_MUST_CHECK enum hs_status hs_core_segments_anchors(struct hs_core_segments *segments, const struct hs_phys *phys,
						      const struct hs_root *root, const uint64_t *anchors, size_t count,
						      struct hs_error *err);

#endif
