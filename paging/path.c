/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One walk for the eye: the entries that it read, and what the bits of an entry are called. Which of the names below an
 * entry has is read off the rows of format.c, as the walk reads them; only which of the bits that the walk passes over
 * in the entry of a table have names, and the names, are known here.
 */
#include "paging/walk.h"

#include <hindsight/spaces.h>

#include "paging/entry.h"
#include "paging/format.h"

void hs_path_find(const struct hs_phys *phys, const struct hs_root *root, hs_gva gva, struct hs_path *ret)
{
	struct hs_walk walk;

	*ret = (struct hs_path){ .count = 0 };
	hs_walk_init(&walk, phys, root, HS_PAGING_LEVELS_MAX, false);
	if (!hs_walk_find(&walk, gva.v, &ret->range)) {
		/* Not reached: no format has more levels than that. */
		ret->range = (struct hs_range){ .kind = HS_RANGE_UNREADABLE, .start = gva, .length = 1 };
	}
	ret->count = walk.open;
	for (unsigned int depth = 0; depth < walk.open; depth++) {
		struct hs_path_level *level = &ret->levels[depth];
		uint32_t index = hs_walk_index(&walk.format->level[depth], gva.v);

		level->table.v = walk.levels[depth].table;
		level->place.v = hs_walk_place(&walk, depth, gva.v);
		level->readable = walk.levels[depth].count > 0;
		if (level->readable) {
			level->entry =
				hs_entry_load(walk.levels[depth].entries + (size_t)(index - walk.levels[depth].first) *
										   walk.format->entry_bytes,
					      walk.format->entry_bytes);
		}
	}
}

/* By what a field of an entry is there. */
enum source {
	FROM_TESTS,     /* one of the row's conditions looks at it: present, rights */
	FROM_LEAF_TEST, /* the test for a leaf does */
	FROM_ATTRIBUTE, /* it is an attribute, where the smallest leaf has it */
	FROM_MOVED,     /* it is one that this leaf has elsewhere */
	SOURCE_COUNT,
};

/* SDM vol. 3A tables 4-5, 4-6, 4-8 to 4-11, 4-14 to 4-20: the names, in the order of their bits. */
static const struct field {
	const char *name;
	uint8_t high, low, source;
} fields[] = {
	{ "P", 0, 0, FROM_TESTS },          { "RW", 1, 1, FROM_TESTS },       { "US", 2, 2, FROM_TESTS },
	{ "PWT", 3, 3, FROM_ATTRIBUTE },    { "PCD", 4, 4, FROM_ATTRIBUTE },  { "A", 5, 5, FROM_ATTRIBUTE },
	{ "D", 6, 6, FROM_ATTRIBUTE },      { "PS", 7, 7, FROM_LEAF_TEST },   { "PAT", 7, 7, FROM_ATTRIBUTE },
	{ "G", 8, 8, FROM_ATTRIBUTE },      { "AVL", 11, 9, FROM_ATTRIBUTE }, { "PAT", 12, 12, FROM_MOVED },
	{ "PKEY", 62, 59, FROM_ATTRIBUTE }, { "XD", 63, 63, FROM_TESTS },
};

/* What an entry that names a table has beside its rights, where the row does not reserve it: PWT, PCD, A, AVL. */
#define TABLE_ATTRIBUTES (HS_LEAF_PWT | HS_LEAF_PCD | HS_LEAF_ACCESSED | HS_LEAF_AVL)

static void add_field(struct hs_entry_fields *fields_found, const char *name, uint64_t mask, uint64_t value)
{
	fields_found->fields[fields_found->count++] =
		(struct hs_entry_field){ .name = name, .mask = mask, .value = value };
}

/* Bits that have no name each: only those that are set are a field. */
static void add_rest(struct hs_entry_fields *fields_found, const char *name, uint64_t mask, uint64_t entry)
{
	if (entry & mask) {
		add_field(fields_found, name, mask, entry & mask);
	}
}

/* Where the format's entries have bits at all. */
static uint64_t entry_bits(const struct hs_format *format)
{
	return HS_ENTRY_BITS(8 * format->entry_bytes - 1, 0);
}

void hs_entry_describe(const struct hs_root *root, unsigned int depth, uint64_t entry, struct hs_entry_fields *ret)
{
	const struct hs_format_level *row;
	const struct hs_entry_rights *rights;
	struct hs_walk walk;
	uint64_t address, reserved, named = 0;
	uint64_t masks[SOURCE_COUNT] = { 0 };

	*ret = (struct hs_entry_fields){ .count = 0 };
	/* It has no table; only the row's masks under this root are asked for. */
	hs_walk_init(&walk, NULL, root, 0, false);
	if (depth >= walk.format->levels) {
		return;
	}
	row = &walk.format->level[depth];
	ret->present = hs_entry_is(entry, walk.format->present);
	if (!ret->present) {
		add_field(ret, "P", walk.format->present.mask, 0);
		return;
	}
	ret->leaf = hs_walk_is_leaf(&walk, depth, entry);
	reserved = ret->leaf ? walk.levels[depth].reserved_leaf : walk.levels[depth].reserved_table;
	address = ret->leaf ? row->leaf_address | row->leaf_high : row->table_address;
	ret->gpa.v = ret->leaf ? (entry & row->leaf_address) | (entry & row->leaf_high) << row->leaf_high_shift
			       : entry & row->table_address;
	rights = ret->leaf ? &row->leaf_rights : &row->table_rights;
	masks[FROM_TESTS] = walk.format->present.mask | rights->write | rights->user | rights->exec | rights->user_exec;
	masks[FROM_LEAF_TEST] = walk.levels[depth].leaf_mask;
	masks[FROM_ATTRIBUTE] = ret->leaf ? row->leaf_attributes : TABLE_ATTRIBUTES;
	masks[FROM_MOVED] = ret->leaf ? row->leaf_moved : 0;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		uint64_t mask = HS_ENTRY_BITS(fields[i].high, fields[i].low);

		if ((masks[fields[i].source] & ~reserved & mask) == mask) {
			add_field(ret, fields[i].name, mask, (entry & mask) >> fields[i].low);
			named |= mask;
		}
	}
	add_rest(ret, "RSVD", reserved, entry);
	add_rest(ret, "IGN", entry_bits(walk.format) & ~(named | address | reserved), entry);
}
