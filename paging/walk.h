/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The walk: from a root to the entry that decides about an address. Everything that reads page tables goes through it:
 * one lookup for translate, one after the other for iter and vmem, which then reuse the tables already reached.
 */
#ifndef HS_PAGING_WALK_H
#define HS_PAGING_WALK_H

#include <hindsight/paging.h>

#include "paging/entry.h"
#include "paging/format.h"

#include <stdbool.h>
#include <stdint.h>

/** Bits of levels[].rights: those of enum hs_prot, of which EXEC is the kernel's, and these. */
#define HS_RIGHT_USER 8
#define HS_RIGHT_USER_EXEC 16
#define HS_RIGHTS_ALL (HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC | HS_RIGHT_USER | HS_RIGHT_USER_EXEC)

/**
 * Stand before the root table, with none visited.
 *
 * @param phys    borrowed as long as the walk is used
 * @param tables  how many table pages may be visited in all
 * @param ahead   whether more lookups follow in ascending order, so that it pays to read a table in pieces
 */
void hs_walk_init(struct hs_walk *walk, const struct hs_phys *phys, const struct hs_root *root, uint64_t tables,
		  bool ahead);

enum hs_walk_step {
	HS_WALK_FOUND,  /**< *ret is what is at gva */
	HS_WALK_TABLE,  /**< a table is next, and was not to be opened: hs_walk_next_table() */
	HS_WALK_BUDGET, /**< a table is next, and none is left of the budget */
};

/** Towards gva through at most so many tables that are not open yet; *ret is undefined unless it is found. */
enum hs_walk_step hs_walk_step(struct hs_walk *walk, uint64_t gva, unsigned int tables, struct hs_range *ret);

/** What is at gva. False, and *ret undefined, when that takes more tables than are left. */
bool hs_walk_find(struct hs_walk *walk, uint64_t gva, struct hs_range *ret);

/** Bits that a physical address can have. */
uint64_t hs_walk_physical(const struct hs_root *root);

/** Which entry of a table decides about gva. */
static inline uint32_t hs_walk_index(const struct hs_format_level *row, uint64_t gva)
{
	return (uint32_t)(gva >> row->shift) & ((1u << row->index_bits) - 1);
}

/** The gpa of the entry for gva in the table at depth of the way that the walk is on. */
static inline uint64_t hs_walk_place(const struct hs_walk *walk, unsigned int depth, uint64_t gva)
{
	return walk->levels[depth].table +
	       (uint64_t)hs_walk_index(&walk->format->level[depth], gva) * walk->format->entry_bytes;
}

/** The rights that an entry alone leaves, given the row's table_rights or leaf_rights: HS_RIGHTS_ALL or less. */
static inline uint8_t hs_walk_rights(const struct hs_entry_rights *row, uint64_t entry)
{
	uint64_t forbidden = entry ^ row->allow;

	return (uint8_t)(HS_RIGHTS_ALL ^
			 ((forbidden & row->write ? HS_PROT_WRITE : 0) | (forbidden & row->exec ? HS_PROT_EXEC : 0) |
			  (forbidden & row->user ? HS_RIGHT_USER : 0) |
			  (forbidden & row->user_exec ? HS_RIGHT_USER_EXEC : 0)));
}

/** The rights to memory as bits of enum hs_prot: EXEC is user mode's where it is let through, else the kernel's. */
static inline int hs_walk_leaf_prot(uint8_t rights)
{
	/* Without a branch: two bits to the right of the place of user mode's is that of EXEC. */
	int exec = (rights & HS_RIGHT_USER ? rights >> 2 : rights) & HS_PROT_EXEC;

	return (rights & (HS_PROT_READ | HS_PROT_WRITE)) | exec;
}

/** The same of a table: EXEC if memory that it leads to may have it. */
static inline int hs_walk_table_prot(uint8_t rights)
{
	return (rights & (HS_PROT_READ | HS_PROT_WRITE)) |
	       (rights & (HS_PROT_EXEC | HS_RIGHT_USER_EXEC) ? HS_PROT_EXEC : 0);
}

/** After HS_WALK_TABLE, the address of the table that is next. Its depth is walk->open, its entry walk->entry. */
static inline uint64_t hs_walk_next_table(const struct hs_walk *walk)
{
	return walk->open == 0 ? walk->levels[0].table
			       : walk->entry & walk->format->level[walk->open - 1].table_address;
}

/** After HS_WALK_TABLE, the rights that the path leaves to what is in the table that is next. */
static inline uint8_t hs_walk_next_rights(const struct hs_walk *walk)
{
	return walk->open == 0 ? HS_RIGHTS_ALL
			       : walk->levels[walk->open - 1].rights &
					 hs_walk_rights(&walk->format->level[walk->open - 1].table_rights, walk->entry);
}

/** True when an entry at this depth maps memory, under the root's control bits. */
static inline bool hs_walk_is_leaf(const struct hs_walk *walk, unsigned int depth, uint64_t entry)
{
	return (entry & walk->levels[depth].leaf_mask) == walk->format->level[depth].leaf.value;
}

#endif
