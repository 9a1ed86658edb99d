/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One walk for the eye: the entries that it read, and what the bits of an entry are called. Both are read off the rows
 * of format.c, by the masks that the walk decides with.
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

/* Every field that has all of its bits in the mask of its source; the bits of those fields. */
static uint64_t add_named(struct hs_entry_fields *fields_found, const struct hs_format *format,
			  const uint64_t masks[HS_FIELD_SOURCE_COUNT], uint64_t entry)
{
	uint64_t named = 0;

	for (const struct hs_field_name *field = format->names; field->name; field++) {
		uint64_t mask = HS_ENTRY_BITS(field->high, field->low);

		if ((masks[field->source] & mask) == mask) {
			add_field(fields_found, field->name, mask, (entry & mask) >> field->low);
			named |= mask;
		}
	}
	return named;
}

/* Where the format's entries have bits at all. */
static uint64_t entry_bits(const struct hs_format *format)
{
	return HS_ENTRY_BITS(8 * format->entry_bytes - 1, 0);
}

static uint64_t bits_of_rights(const struct hs_entry_rights *rights)
{
	return rights->write | rights->user | rights->exec | rights->user_exec;
}

void hs_entry_describe(const struct hs_root *root, unsigned int depth, uint64_t entry, struct hs_entry_fields *ret)
{
	const struct hs_format_level *row;
	struct hs_walk walk;
	uint64_t address, reserved, named;
	uint64_t masks[HS_FIELD_SOURCE_COUNT] = { 0 };

	*ret = (struct hs_entry_fields){ .count = 0 };
	/* It has no table; only the row's masks under this root are asked for. */
	hs_walk_init(&walk, NULL, root, 0, false);
	if (depth >= walk.format->levels) {
		return;
	}
	row = &walk.format->level[depth];
	ret->present = hs_entry_is(entry, walk.format->present);
	if (!ret->present) {
		masks[HS_FIELD_OF_TESTS] = walk.format->present.mask;
		add_named(ret, walk.format, masks, 0);
		return;
	}
	ret->leaf = hs_walk_is_leaf(&walk, depth, entry);
	reserved = ret->leaf ? walk.levels[depth].reserved_leaf : walk.levels[depth].reserved_table;
	address = ret->leaf ? row->leaf_address | row->leaf_high : row->table_address;
	ret->gpa.v = ret->leaf ? (entry & row->leaf_address) | (entry & row->leaf_high) << row->leaf_high_shift
			       : entry & row->table_address;
	masks[HS_FIELD_OF_TESTS] = walk.format->present.mask |
				   bits_of_rights(ret->leaf ? &row->leaf_rights : &row->table_rights);
	masks[HS_FIELD_OF_LEAF_TEST] = walk.levels[depth].leaf_mask;
	masks[HS_FIELD_OF_ATTRIBUTE] = ret->leaf ? row->leaf_attributes : row->table_attributes;
	masks[HS_FIELD_OF_TABLE_ATTRIBUTE] = ret->leaf ? 0 : row->table_attributes;
	masks[HS_FIELD_OF_MOVED] = ret->leaf ? row->leaf_moved : 0;
	for (size_t i = 0; i < HS_FIELD_SOURCE_COUNT; i++) {
		masks[i] &= ~reserved;
	}
	named = add_named(ret, walk.format, masks, entry);
	add_rest(ret, "RSVD", reserved, entry);
	add_rest(ret, "IGN", entry_bits(walk.format) & ~(named | address | reserved), entry);
}

void hs_leaf_describe(const struct hs_root *root, uint64_t leaf, struct hs_entry_fields *ret)
{
	const struct hs_format *format = hs_format_of(root->format);
	const struct hs_format_level *row;
	uint64_t masks[HS_FIELD_SOURCE_COUNT] = { 0 };
	uint64_t named;

	*ret = (struct hs_entry_fields){ .present = true, .leaf = true };
	if (format->levels == 0) {
		return;
	}
	/* It is shown where the smallest leaf has it, and may be one of its rights too. */
	row = &format->level[format->levels - 1];
	masks[HS_FIELD_OF_ATTRIBUTE] = row->leaf_attributes;
	masks[HS_FIELD_OF_TESTS] = row->leaf_attributes & bits_of_rights(&row->leaf_rights);
	named = add_named(ret, format, masks, leaf);
	add_rest(ret, "IGN", masks[HS_FIELD_OF_ATTRIBUTE] & ~named, leaf);
}
