/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which ranges are one: for every walk that gives out ranges, so that they are the same from each. */
#ifndef HS_PAGING_RANGE_H
#define HS_PAGING_RANGE_H

#include <hindsight/paging.h>

#include <stdbool.h>

static inline bool hs_range_same_attributes(const struct hs_range *a, const struct hs_range *b)
{
	/* Within one format the level says how large the page is. */
	return a->kind == b->kind && a->prot == b->prot && a->user == b->user && a->cow == b->cow &&
	       a->level == b->level && a->leaf == b->leaf;
}

/** Make range longer by next where it continues it. */
static inline bool hs_range_merge(struct hs_range *range, const struct hs_range *next)
{
	if (range->start.v + range->length != next->start.v || !hs_range_same_attributes(range, next)) {
		return false;
	}
	if (range->kind == HS_RANGE_MAPPED ? range->gpa.v + range->length != next->gpa.v
					   : range->kind != HS_RANGE_UNREADABLE || range->gpa.v != next->gpa.v) {
		return false;
	}
	range->length += next->length;
	return true;
}

/** True for what a walk over ranges leaves out. */
static inline bool hs_range_is_nothing(const struct hs_range *range)
{
	return range->kind == HS_RANGE_HOLE || range->kind == HS_RANGE_NON_CANONICAL;
}

#endif
