/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/relocate.h"

#include "base/error.h"
#include "paging/entry.h"
#include "paging/format.h"
#include "paging/walk.h"

/* A leaf keeps its bits, its address apart, but for what makes it copy-on-write or puts an end to that. */
static uint64_t leaf_rights(const struct hs_plan *plan, const struct hs_format *format,
			    const struct hs_format_level *row, uint64_t entry, uint64_t word)
{
	const struct hs_entry_rights *rights = &row->leaf_rights;
	bool writable = (entry & rights->write) == (rights->allow & rights->write);
	bool cow = hs_entry_is(entry, format->cow);

	if (!plan->input->cow || !(writable || cow)) {
		return entry;
	}
	if (hs_frame_part(word) == HS_PART_SHARED) {
		return (entry & ~format->cow.mask) | format->cow.value;
	}
	return cow ? hs_entry_allow(entry & ~format->cow.mask, rights, rights->write, true) : entry;
}

struct moved {
	struct hs_plan *plan;
	const struct hs_walk *walk; /* for the root's control bits */
	unsigned int depth;
};

/* The entry that decides about gva, with the new address in it. */
static uint64_t relocate(const struct moved *moved, uint64_t gva, uint64_t entry)
{
	const struct hs_format *format = moved->walk->format;
	const struct hs_format_level *row = &format->level[moved->depth];
	bool leaf = hs_walk_is_leaf(moved->walk, moved->depth, entry);
	uint64_t reserved = leaf ? moved->walk->levels[moved->depth].reserved_leaf
				 : moved->walk->levels[moved->depth].reserved_table;
	uint64_t mask = leaf ? row->leaf_address : row->table_address;
	uint64_t gpa = entry & mask;
	const uint64_t *word;
	uint64_t pages;

	if (!hs_entry_is(entry, format->present) || (entry & reserved)) {
		return entry;
	}
	if (leaf) {
		gpa |= (entry & row->leaf_high) << row->leaf_high_shift;
		if (hs_plan_is_window(moved->plan->input, gva, gpa, UINT64_C(1) << row->shift)) {
			return entry;
		}
	}
	word = hs_frames_find(&moved->plan->frames, gpa, &pages);
	if (!word || !(*word & HS_FRAME_PLACED)) {
		/* Not reached: what cannot be followed ends the plan. */
		return entry;
	}
	if (leaf) {
		entry = leaf_rights(moved->plan, format, row, entry, *word) & ~row->leaf_high;
	}
	/* All of the new memory is below 4 GiB where the entries are of 4 bytes, and so are its high bits zero. */
	return (entry & ~mask) | hs_plan_gpa(moved->plan, *word);
}

enum hs_status hs_relocate_table(struct hs_plan *plan, const struct hs_plan_table *table, const uint8_t *from,
				 uint8_t *to, struct hs_error *err)
{
	const struct hs_root *root = &plan->input->roots[table->space];
	const struct hs_format_level *row;
	struct hs_walk walk;
	struct moved moved = { plan, &walk, table->depth };
	uint64_t at = table->table % HS_PAGE_SIZE;
	unsigned int bytes;

	hs_walk_init(&walk, plan->input->phys, root, 0, false);
	row = &walk.format->level[table->depth];
	bytes = walk.format->entry_bytes;
	for (uint32_t i = 0; i < 1u << row->index_bits && at + bytes <= HS_PAGE_SIZE; i++, at += bytes) {
		uint64_t gva = table->gva + ((uint64_t)i << row->shift);
		uint64_t before = hs_entry_load(from + at, bytes);
		uint64_t now = hs_entry_load(to + at, bytes);
		uint64_t after = relocate(&moved, gva, before);

		if (now != before && now != after) {
			return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, table->table,
					    "the page table at 0x%llx is used at two levels, and entry %u cannot be "
					    "right at both when memory moves",
					    (unsigned long long)table->table, (unsigned int)i);
		}
		hs_entry_store(to + at, bytes, after);
	}
	return HS_OK;
}
