/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The plan of a core's memory: which physical pages are stored, in what order, and which segments point at them.
 *
 * In: physical memory and a root. Out: plain data. Pure: no file is touched, so it is tested without one.
 */
#ifndef HS_COREDUMP_PLAN_H
#define HS_COREDUMP_PLAN_H

#include <hindsight/coredump.h>

/** A run of physical pages that is stored once. */
struct hs_core_extent {
	uint64_t gpa;    /* page-aligned */
	uint64_t length; /* bytes, a multiple of the page size */
	uint64_t offset; /* in the data area */
	bool whole;      /* has a range that was asked for whole */
	uint32_t sum;    /* of a whole one, once it is written: its checksum */
};

/** What the walk may produce and where its segments may point. */
struct hs_core_plan_limits {
	struct hs_budget budget;
	const uint64_t
		*anchors; /* gvas whose surroundings are wanted even when the budget ends before them; may be NULL */
	size_t anchor_count;
	const struct hs_core_range *ranges; /* stored whatever is mapped; none is empty */
	size_t range_count;
	uint64_t data_bytes;    /* largest data area */
	uint64_t segment_bytes; /* longest segment, a multiple of the page size */
};

/** Owns its two arrays. */
struct hs_core_plan {
	struct hs_core_segment *segments; /* ascending by gva; offset is that in the data area */
	size_t segment_count;
	struct hs_core_extent *extents; /* ascending by gpa, with room between any two */
	size_t extent_count;
	uint64_t data_bytes;     /* size of the data area, holes included */
	uint64_t bad_tables;     /* tables outside of physical memory, entries with reserved bits */
	uint64_t unbacked_bytes; /* mapped, but there is no physical memory */
	uint64_t reached;        /* where the walk stopped, when partial */
	bool partial;            /* the budget or data_bytes was used up */
};

/** What is wanted around an anchor: this much before the page that it is in, and as much from there on. */
#define HS_CORE_ANCHOR_BYTES UINT64_C(0x10000)
/** And what the walk of it may cost, for each anchor: five levels, and every page a range of its own. */
#define HS_CORE_ANCHOR_TABLES 32u
#define HS_CORE_ANCHOR_RANGES 32u
/** Anchors beyond these are ignored. */
#define HS_CORE_ANCHORS_MAX 16u

/**
 * Make the plan. HS_ERR_NOMEM; HS_ERR_RANGE when data_bytes has no room for the ranges. A budget that
 * runs out gives a partial plan: all that comes before the address that the walk had reached, and the surroundings of
 * the anchors behind it.
 *
 * @param ret  owned by the caller until hs_core_plan_deinit()
 */
HS_MUST_CHECK enum hs_status hs_core_plan_init(const struct hs_phys *phys, const struct hs_root *root,
					       const struct hs_core_plan_limits *limits, struct hs_core_plan *ret,
					       struct hs_error *err);
void hs_core_plan_deinit(struct hs_core_plan *plan);

#endif
