/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The plan of a core's memory: which physical pages are stored, in what order, and which segments point at them.
 *
 * In: physical memory and roots. Out: plain data. Pure: no file is touched, so it is tested without one.
 */
#ifndef HS_COREDUMP_PLAN_H
#define HS_COREDUMP_PLAN_H

#include "coredump/segments.h"

#include <hindsight/coredump.h>

/** A run of physical pages that is stored once. */
struct hs_core_extent {
	uint64_t gpa;    /* page-aligned */
	uint64_t length; /* bytes, a multiple of the page size */
	uint64_t offset; /* in the data area */
	bool whole;      /* has a range that was asked for whole */
	uint32_t sum;    /* of a whole one, once it is written: its checksum */
};

/** A space whose segments are known already. */
struct hs_core_plan_given {
	const struct hs_core_segment *segments; /* ascending by gva, of whole pages */
	size_t count;
	bool partial;
	uint64_t reached;
};

/** What the walk may produce and where its segments may point. */
struct hs_core_plan_limits {
	struct hs_budget budget;
	const uint64_t
		*anchors; /* gvas whose surroundings are wanted even when the budget ends before them; may be NULL */
	size_t anchor_count;
	bool anchors_only;                      /* no more than those */
	const struct hs_root *spaces;           /* all address spaces; none for only the one */
	size_t space_count, primary;            /* spaces[primary] is the one whose segments are the PT_LOADs */
	bool primary_only;                      /* the others are named, without a segment */
	const struct hs_core_plan_given *given; /* what the primary is instead of a walk; or NULL */
	const struct hs_core_range *ranges;     /* stored whatever is mapped; none is empty */
	size_t range_count;
	uint64_t data_bytes;    /* largest data area */
	uint64_t segment_bytes; /* longest segment, a multiple of the page size */
};

/** Segments of all spaces but the primary one are no more than this. */
#define HS_CORE_OTHER_SEGMENTS_MAX (1u << 18)

/** An address space. */
struct hs_core_plan_space {
	struct hs_root root;
	size_t first, count; /* its segments among all */
	bool partial;        /* not all of it is there */
	uint64_t reached;    /* where the walk stopped, when that is why; 0 */
};

/** Owns its arrays. */
struct hs_core_plan {
	struct hs_core_segment *segments; /* the primary's first; offset is that in the data area */
	size_t segment_count;             /* of the primary's: the PT_LOADs */
	size_t all_count;                 /* of all, as they were found */
	struct hs_core_plan_space *spaces;
	size_t space_count, primary;
	struct hs_core_extent *extents; /* ascending by gpa, with room between any two */
	size_t extent_count;
	uint64_t data_bytes;     /* size of the data area, holes included */
	uint64_t bad_tables;     /* of the primary: tables outside of physical memory, entries with reserved bits */
	uint64_t unbacked_bytes; /* of the primary: mapped, but there is no physical memory */
	uint64_t reached;        /* where the primary's walk stopped, when partial */
	bool partial;            /* the budget or data_bytes was used up, for any space */
};

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
