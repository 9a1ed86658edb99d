/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pages by the table: what every walk over a part of an address space is made of. A step of the walk brings the mapped
 * pages of a table to hand, all of them that stand together; iter, spaces and reverse make of them what they give out.
 */
#ifndef HS_PAGING_LEAVES_H
#define HS_PAGING_LEAVES_H

#include <hindsight/paging.h>

#include "paging/walk.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * What is from gva on, up to last, through at most so many tables that are not open yet: pages of one table, or, if
 * these are none, one other range, which may be a hole. *ret_length is how much of the addresses from gva on has been
 * looked at then; the first page may begin before gva and the last one go on behind `last`.
 */
enum hs_walk_step hs_walk_leaves(struct hs_walk *walk, uint64_t gva, uint64_t last, unsigned int tables,
				 struct hs_leaves *leaves, struct hs_range *other, uint64_t *ret_length);

/** The first pages of the one range that there is without paging. */
void hs_leaves_flat(struct hs_leaves *leaves, const struct hs_range *range);

/** How many pages from the next one on have the same attributes, at least 1. */
uint32_t hs_leaves_alike(const struct hs_leaves *leaves);

/** hs_leaves_run() where the second page may be part of it. */
uint32_t hs_leaves_long_run(const struct hs_leaves *leaves, uint64_t same);

static inline uint64_t hs_leaves_gva(const struct hs_leaves *leaves, uint32_t at)
{
	return leaves->reach + ((uint64_t)leaves->index[at] << leaves->shift);
}

/**
 * How many pages from the next one on are one range, at least 1.
 *
 * @param same  bits that must be the same in all of their entries, whether a range shows them or not
 */
static inline uint32_t hs_leaves_run(const struct hs_leaves *leaves, uint64_t same)
{
	const uint64_t *entry = leaves->entry + leaves->next;

	/* Most runs of scattered pages end at once. */
	if (leaves->next + 1 == leaves->count ||
	    ((entry[0] + (UINT64_C(1) << leaves->shift)) ^ entry[1]) & leaves->address) {
		return 1;
	}
	return hs_leaves_long_run(leaves, same);
}

/** The range that count pages from `at` on are, all of a run. */
static inline void hs_leaves_range(const struct hs_leaves *leaves, uint32_t at, uint32_t count, struct hs_range *ret)
{
	uint64_t entry = leaves->entry[at];
	uint64_t forbidden = entry ^ leaves->allow;

	ret->kind = HS_RANGE_MAPPED;
	ret->start.v = hs_leaves_gva(leaves, at);
	ret->length = (uint64_t)count << leaves->shift;
	ret->gpa.v = entry & leaves->address;
	ret->prot = leaves->prot & (HS_PROT_READ | (forbidden & leaves->write ? 0 : HS_PROT_WRITE) |
				    (forbidden & leaves->exec ? 0 : HS_PROT_EXEC));
	ret->user = !(forbidden & leaves->user) & leaves->user_path;
	ret->cow = (entry & leaves->cow_mask) == leaves->cow_value;
	ret->level = leaves->level;
	ret->page_bytes = UINT64_C(1) << leaves->shift;
	ret->leaf = entry & leaves->attributes;
}

/** Pass over what maps nothing of the memory from first to last, so that hs_iter_next() goes on behind it. */
void hs_iter_skip(struct hs_iter *iter, uint64_t first, uint64_t last);

#endif
