/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One loop over the rows of format.c. It goes as the CPU does (SDM vol. 3A 4.7, "Page-Fault Exceptions"): at each level
 * first present, then reserved bits; access rights are collected, never judged.
 *
 * A table is read through host pointers where the memory has them, as many entries at a time as lie contiguously, so a
 * table across two regions is two pieces. Where it has none, entries are copied; one that cannot be read makes the part
 * of the address space under it unreadable, and only that.
 */
#include "paging/walk.h"

#include "base/arith.h"
#include "paging/entry.h"
#include "paging/format.h"

#include <string.h>

uint64_t hs_walk_physical(const struct hs_root *root)
{
	unsigned int width = root->maxphyaddr >= 32 && root->maxphyaddr < 52 ? root->maxphyaddr : 52;

	return HS_ENTRY_BITS(width - 1, 0);
}

void hs_walk_init(struct hs_walk *walk, const struct hs_phys *phys, const struct hs_root *root, uint64_t tables,
		  bool ahead)
{
	const struct hs_format *format = hs_format_of(root->format);
	uint64_t physical = hs_walk_physical(root);

	walk->phys = phys;
	walk->format = format;
	walk->physical = physical;
	walk->tables_left = tables;
	walk->at = 0;
	walk->entry = 0;
	walk->read_ahead = ahead ? sizeof(walk->levels[0].copy) : format->entry_bytes;
	walk->open = 0;
	for (unsigned int depth = 0; depth < format->levels; depth++) {
		const struct hs_format_level *row = &format->level[depth];
		uint64_t xd = root->nxe ? 0 : row->reserved_without_nxe;
		uint64_t reserved_table = row->reserved_table & ~(root->pdpte_a ? row->ignored_as_a : 0);

		walk->levels[depth].leaf_mask = row->leaf_needs_pse && !root->pse ? 0 : row->leaf.mask;
		walk->levels[depth].reserved_table = reserved_table | (row->table_address & ~physical) | xd;
		walk->levels[depth].reserved_leaf = row->reserved_leaf | (row->leaf_address & ~physical) |
						    (row->leaf_high & (~physical >> row->leaf_high_shift)) | xd;
		walk->levels[depth].count = 0;
	}
	walk->levels[0].table = root->base.v & format->root_address;
	walk->levels[0].rights = HS_RIGHTS_ALL;
}

/* Bring the entry at index of the deepest table, and what follows it there, to hand. */
static bool fetch(struct hs_walk *walk, uint32_t index)
{
	unsigned int depth = walk->open - 1u;
	const struct hs_phys_ops *ops = walk->phys->ops;
	uint32_t entry_bytes = walk->format->entry_bytes;
	uint32_t left = (1u << walk->format->level[depth].index_bits) - index;
	hs_gpa gpa = hs_gpa_of(walk->levels[depth].table + (uint64_t)index * entry_bytes);
	uint64_t length = 0;
	const uint8_t *bytes = ops->pointer ? ops->pointer(walk->phys->ctx, gpa, &length) : NULL;
	uint64_t count = hs_entry_count(length, entry_bytes);

	if (!bytes || count == 0) {
		bytes = walk->levels[depth].copy;
		count = hs_min_u64(left, hs_entry_count(walk->read_ahead, entry_bytes));
		if (ops->read(walk->phys->ctx, gpa, walk->levels[depth].copy, count * entry_bytes, NULL) != HS_OK) {
			count = 1;
			if (ops->read(walk->phys->ctx, gpa, walk->levels[depth].copy, entry_bytes, NULL) != HS_OK) {
				walk->levels[depth].count = 0;
				return false;
			}
		}
	}
	walk->levels[depth].entries = bytes;
	walk->levels[depth].first = (uint16_t)index;
	walk->levels[depth].count = (uint16_t)hs_min_u64(count, left);
	return true;
}

/* Read the entry at index of the deepest table; false when it is not in physical memory. */
static bool entry_at(struct hs_walk *walk, uint32_t index, uint64_t *ret)
{
	unsigned int depth = walk->open - 1u;
	uint32_t entry_bytes = walk->format->entry_bytes;
	uint32_t place = index - walk->levels[depth].first; /* wraps, and so is too large, for one before the first */

	if (place >= walk->levels[depth].count) {
		if (!fetch(walk, index)) {
			return false;
		}
		place = 0;
	}
	*ret = hs_entry_load(walk->levels[depth].entries + (size_t)place * entry_bytes, entry_bytes);
	return true;
}

static bool open_table(struct hs_walk *walk)
{
	if (walk->tables_left == 0) {
		return false;
	}
	walk->tables_left--;
	walk->levels[walk->open].first = 0;
	walk->levels[walk->open].count = 0;
	walk->open++;
	return true;
}

/* Close the tables that do not lead to gva. True if one is left behind the root's: then gva is in the canonical half,
 * and under the entry of the root, that walk->at is. */
static bool go_back(struct hs_walk *walk, uint64_t gva)
{
	while (walk->open > 1 && ((gva ^ walk->at) >> walk->format->level[walk->open - 2].shift) != 0) {
		walk->open--;
	}
	return walk->open > 1;
}

static void fill_mapped(const struct hs_walk *walk, struct hs_range *ret)
{
	unsigned int depth = walk->open - 1u;
	const struct hs_format_level *row = &walk->format->level[depth];
	uint64_t entry = walk->entry;
	uint8_t rights = walk->levels[depth].rights & hs_walk_rights(&row->leaf_rights, entry);

	ret->kind = HS_RANGE_MAPPED;
	ret->gpa.v = (entry & row->leaf_address) | (entry & row->leaf_high) << row->leaf_high_shift;
	ret->prot = hs_walk_leaf_prot(rights);
	ret->user = rights & HS_RIGHT_USER;
	ret->cow = hs_entry_is(entry, walk->format->cow);
	ret->page_bytes = ret->length;
	ret->leaf = (entry & row->leaf_attributes) | (entry & row->leaf_moved) >> row->leaf_moved_shift;
}

/* No paging, and addresses that no table decides about. */
static bool fill_without_tables(const struct hs_walk *walk, uint64_t gva, struct hs_range *ret)
{
	uint64_t first;
	uint64_t last;
	bool canonical = hs_format_stretch(walk->format, gva, &first, &last);

	if (canonical && walk->format->levels > 0) {
		return false;
	}
	*ret = (struct hs_range){
		.kind = canonical ? HS_RANGE_MAPPED : HS_RANGE_NON_CANONICAL,
		.start = hs_gva_of(first),
		.length = last - first + 1,
	};
	if (canonical) {
		ret->gpa.v = first;
		ret->prot = HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC;
		ret->user = true;
		ret->page_bytes = HS_PAGE_SIZE;
	}
	return true;
}

/* What the entry at depth, the deepest that is open, says about gva; false when it names a table. */
static bool decide(struct hs_walk *walk, uint64_t gva, struct hs_range *ret)
{
	unsigned int depth = walk->open - 1u;
	const struct hs_format_level *row = &walk->format->level[depth];
	uint32_t index = hs_walk_index(row, gva);
	uint64_t bytes = UINT64_C(1) << row->shift;
	uint64_t table = walk->levels[depth].table;
	bool leaf;

	*ret = (struct hs_range){
		.kind = HS_RANGE_HOLE,
		.start = hs_gva_of(hs_align_down(gva, bytes)),
		.length = bytes,
		.level = (uint8_t)depth,
	};
	if (!entry_at(walk, index, &walk->entry)) {
		ret->kind = HS_RANGE_UNREADABLE;
		ret->gpa.v = table;
		return true;
	}
	if (!hs_entry_is(walk->entry, walk->format->present)) {
		return true;
	}
	leaf = hs_walk_is_leaf(walk, depth, walk->entry);
	if (walk->entry & (leaf ? walk->levels[depth].reserved_leaf : walk->levels[depth].reserved_table)) {
		ret->kind = HS_RANGE_RESERVED;
		ret->gpa.v = table + (uint64_t)index * walk->format->entry_bytes;
		return true;
	}
	if (leaf) {
		fill_mapped(walk, ret);
	}
	return leaf;
}

enum hs_walk_step hs_walk_step(struct hs_walk *walk, uint64_t gva, unsigned int tables, struct hs_range *ret)
{
	if (!go_back(walk, gva)) {
		if (fill_without_tables(walk, gva, ret)) {
			return HS_WALK_FOUND;
		}
		if (walk->open == 0) {
			walk->entry = 0;
			if (tables == 0) {
				return HS_WALK_TABLE;
			}
			if (!open_table(walk)) {
				return HS_WALK_BUDGET;
			}
			tables--;
		}
	}
	walk->at = gva;
	for (; !decide(walk, gva, ret); tables--) {
		unsigned int depth = walk->open - 1u;
		const struct hs_format_level *row = &walk->format->level[depth];

		if (tables == 0) {
			return HS_WALK_TABLE;
		}
		if (!open_table(walk)) {
			return HS_WALK_BUDGET;
		}
		walk->levels[depth + 1].table = walk->entry & row->table_address;
		walk->levels[depth + 1].rights = walk->levels[depth].rights &
						 hs_walk_rights(&row->table_rights, walk->entry);
	}
	return HS_WALK_FOUND;
}

bool hs_walk_find(struct hs_walk *walk, uint64_t gva, struct hs_range *ret)
{
	return hs_walk_step(walk, gva, HS_PAGING_LEVELS_MAX, ret) == HS_WALK_FOUND;
}

void hs_translate(const struct hs_phys *phys, const struct hs_root *root, hs_gva gva, struct hs_range *ret)
{
	struct hs_walk walk;

	hs_walk_init(&walk, phys, root, HS_PAGING_LEVELS_MAX, false);
	if (!hs_walk_find(&walk, gva.v, ret)) {
		/* Not reached: no format has more levels than that. */
		*ret = (struct hs_range){ .kind = HS_RANGE_UNREADABLE, .start = gva, .length = 1 };
	}
}
