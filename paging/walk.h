/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The walk: from a root to the entry that decides about an address. Everything that reads page tables goes through it:
 * one lookup for translate, one after the other for iter and vmem, which then reuse the tables already reached.
 */
#ifndef HS_PAGING_WALK_H
#define HS_PAGING_WALK_H

#include <hindsight/paging.h>

#include "paging/format.h"

#include <stdbool.h>
#include <stdint.h>

/** Bits of levels[].rights: those of enum hs_prot and this one. */
#define HS_RIGHT_USER 8
#define HS_RIGHTS_ALL (HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC | HS_RIGHT_USER)

/**
 * Stand before the root table, with none visited.
 *
 * @param phys    borrowed as long as the walk is used
 * @param tables  how many table pages may be visited in all
 * @param ahead   whether more lookups follow in ascending order, so that it pays to read a table in pieces
 */
void hs_walk_init(struct hs_walk *walk, const struct hs_phys *phys, const struct hs_root *root, uint64_t tables,
		  bool ahead);

/** What is at gva. False, and *ret undefined, when that takes more tables than are left. */
bool hs_walk_find(struct hs_walk *walk, uint64_t gva, struct hs_range *ret);

/** Let the range that hs_walk_find() just gave grow over the entries behind it that go on the same way. */
void hs_walk_extend(struct hs_walk *walk, struct hs_range *range);

/** True when an entry at this depth maps memory, under the root's control bits. */
static inline bool hs_walk_is_leaf(const struct hs_walk *walk, unsigned int depth, uint64_t entry)
{
	return (entry & walk->levels[depth].leaf_mask) == walk->format->level[depth].leaf.value;
}

#endif
