/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making page tables. The same loop over the rows of format.c as the walk, with a cursor that knows its place in the
 * mapping: at each level either a leaf fits, and as many of them as go on in this table are written at once, or the
 * entry leads to a table, which is made if there is none.
 */
#include "paging/walk.h"

#include "base/arith.h"
#include "base/error.h"
#include "paging/entry.h"
#include "paging/format.h"

#include <string.h>

/* Entries that are read, checked and written at once. */
#define BATCH 64

/* A mapping on its way into the tables. */
struct builder {
	const struct hs_phys *phys;
	const struct hs_mapping *mapping;
	const struct hs_table_source *source;
	const struct hs_format *format;
	struct hs_walk walk; /* for the root's control bits only; it is never moved */
	uint64_t gva, gpa;   /* what is to be mapped next */
	uint64_t left;       /* bytes */
};

/* The leaf for gpa at depth; false when this level's address bits cannot hold gpa. */
static bool make_leaf(const struct builder *builder, unsigned int depth, uint64_t gpa, uint64_t *ret)
{
	const struct hs_format_level *row = &builder->format->level[depth];
	const struct hs_entry_rights *rights = &row->leaf_rights;
	const struct hs_mapping *mapping = builder->mapping;
	/* The other mode's right to fetch, where it has one of its own, is among the attributes. */
	uint64_t exec = mapping->user ? rights->user_exec : rights->exec;
	uint64_t entry = (gpa & row->leaf_address) | ((gpa >> row->leaf_high_shift) & row->leaf_high);

	if (((entry & row->leaf_address) | (entry & row->leaf_high) << row->leaf_high_shift) != gpa) {
		return false;
	}
	entry |= row->new_leaf | (mapping->leaf & row->leaf_attributes);
	entry |= (mapping->leaf << row->leaf_moved_shift) & row->leaf_moved;
	entry = hs_entry_allow(entry, rights, rights->write, mapping->prot & HS_PROT_WRITE);
	entry = hs_entry_allow(entry, rights, rights->user, mapping->user);
	entry = hs_entry_allow(entry, rights, exec & ~builder->walk.levels[depth].reserved_leaf,
			       mapping->prot & HS_PROT_EXEC);
	if (mapping->cow) {
		entry = (entry & ~builder->format->cow.mask) | builder->format->cow.value;
	}
	*ret = entry;
	return true;
}

/* Whether the mapping may use leaves of so many bytes, of the last level or of one above. */
static bool may_use(const struct hs_mapping *mapping, uint64_t bytes, bool last)
{
	return last || (mapping->large && (mapping->largest == 0 || bytes <= mapping->largest));
}

/* Whether what is left begins with a leaf of this depth. */
static bool leaf_fits(const struct builder *builder, unsigned int depth)
{
	const struct hs_format_level *row = &builder->format->level[depth];
	uint64_t bytes = UINT64_C(1) << row->shift;
	uint64_t entry;

	if (!may_use(builder->mapping, bytes, depth + 1 == builder->format->levels)) {
		return false;
	}
	return hs_walk_is_leaf(&builder->walk, depth, row->new_leaf) &&
	       ((builder->gva | builder->gpa) & (bytes - 1)) == 0 && builder->left >= bytes &&
	       make_leaf(builder, depth, builder->gpa, &entry);
}

static enum hs_status error_at(const struct builder *builder, enum hs_status status, const char *what,
			       struct hs_error *err)
{
	return hs_error_set(err, status, 0, builder->gva, "cannot map address 0x%llx: %s",
			    (unsigned long long)builder->gva, what);
}

/*
 * Write leaves from the entry at place on, `room` of them at most and up to the first that is in use; *ret is how many.
 */
static enum hs_status write_leaves(struct builder *builder, unsigned int depth, hs_gpa place, uint32_t room,
				   struct hs_error *err)
{
	const struct hs_phys *phys = builder->phys;
	unsigned int entry_bytes = builder->format->entry_bytes;
	unsigned int shift = builder->format->level[depth].shift;
	uint8_t bytes[BATCH * HS_ENTRY_BYTES_MAX];
	size_t wanted = hs_min_u64(hs_min_u64(room, BATCH), builder->left >> shift);
	size_t count = 0;
	uint64_t entry;
	enum hs_status st = phys->ops->read(phys->ctx, place, bytes, wanted * entry_bytes, err);

	if (st) {
		return st;
	}
	for (; count < wanted; count++) {
		uint8_t *at = bytes + count * entry_bytes;

		if (hs_entry_is(hs_entry_load(at, entry_bytes), builder->format->present) ||
		    !make_leaf(builder, depth, builder->gpa + ((uint64_t)count << shift), &entry)) {
			break;
		}
		hs_entry_store(at, entry_bytes, entry);
	}
	st = phys->ops->write(phys->ctx, place, bytes, count * entry_bytes, err);
	if (st) {
		return st;
	}
	builder->gva += (uint64_t)count << shift;
	builder->gpa += (uint64_t)count << shift;
	builder->left -= (uint64_t)count << shift;
	return HS_OK;
}

/* Make the table that the entry at place is to name. */
static enum hs_status add_table(struct builder *builder, unsigned int depth, hs_gpa place, uint64_t *ret_entry,
				struct hs_error *err)
{
	const struct hs_format_level *row = &builder->format->level[depth];
	uint8_t bytes[HS_ENTRY_BYTES_MAX];
	hs_gpa table;
	enum hs_status st = builder->source->take(builder->source->ctx, &table, err);

	if (st) {
		return st;
	}
	if (table.v & ~(row->table_address & builder->walk.physical)) {
		return error_at(builder, HS_ERR_RANGE, "the page given for a table is not one that an entry can name",
				err);
	}
	*ret_entry = row->new_table | table.v;
	hs_entry_store(bytes, builder->format->entry_bytes, *ret_entry);
	return builder->phys->ops->write(builder->phys->ctx, place, bytes, builder->format->entry_bytes, err);
}

/* Whether a table's entry takes away a right that the mapping gives. */
static bool forbids(const struct builder *builder, unsigned int depth, uint64_t entry)
{
	const struct hs_mapping *mapping = builder->mapping;
	uint8_t rights = hs_walk_rights(&builder->format->level[depth].table_rights, entry);

	return (mapping->user && !(rights & HS_RIGHT_USER)) ||
	       ((mapping->prot & HS_PROT_WRITE) && !(rights & HS_PROT_WRITE)) ||
	       ((mapping->prot & HS_PROT_EXEC) && !(rights & (mapping->user ? HS_RIGHT_USER_EXEC : HS_PROT_EXEC)));
}

/* The address of the table that the entry at place names; made if it names none. */
static enum hs_status next_table(struct builder *builder, unsigned int depth, hs_gpa place, uint64_t entry, hs_gpa *ret,
				 struct hs_error *err)
{
	enum hs_status st;

	if (!hs_entry_is(entry, builder->format->present)) {
		st = add_table(builder, depth, place, &entry, err);
		if (st) {
			return st;
		}
	} else if (hs_walk_is_leaf(&builder->walk, depth, entry)) {
		return error_at(builder, HS_ERR_BUSY, "it is mapped already", err);
	} else if (entry & builder->walk.levels[depth].reserved_table) {
		return error_at(builder, HS_ERR_FORMAT, "an entry on the way to it has reserved bits set", err);
	}
	if (!builder->mapping->exact && forbids(builder, depth, entry)) {
		return error_at(builder, HS_ERR_STATE, "a table on the way to it allows less than the mapping does",
				err);
	}
	ret->v = entry & builder->format->level[depth].table_address;
	return HS_OK;
}

/* Map what is next: from the root down to where a leaf fits, then the leaves that go on in that table. */
static enum hs_status map_some(struct builder *builder, struct hs_error *err)
{
	const struct hs_phys *phys = builder->phys;
	unsigned int entry_bytes = builder->format->entry_bytes;
	hs_gpa table = hs_gpa_of(builder->walk.levels[0].table);
	uint64_t before = builder->left;
	uint8_t bytes[HS_ENTRY_BYTES_MAX];
	enum hs_status st = HS_OK;

	for (unsigned int depth = 0; !st && depth < builder->format->levels; depth++) {
		const struct hs_format_level *row = &builder->format->level[depth];
		uint32_t entries = 1u << row->index_bits;
		uint32_t index = hs_walk_index(row, builder->gva);
		hs_gpa place = hs_gpa_of(table.v + (uint64_t)index * entry_bytes);
		uint64_t entry;
		bool last = depth + 1 == builder->format->levels;

		st = phys->ops->read(phys->ctx, place, bytes, entry_bytes, err);
		if (st) {
			return st;
		}
		entry = hs_entry_load(bytes, entry_bytes);
		if (leaf_fits(builder, depth) && !hs_entry_is(entry, builder->format->present)) {
			return write_leaves(builder, depth, place, entries - index, err);
		}
		if (!last) {
			st = next_table(builder, depth, place, entry, &table, err);
		} else if (hs_entry_is(entry, builder->format->present)) {
			st = error_at(builder, HS_ERR_BUSY, "it is mapped already", err);
		}
	}
	if (!st && builder->left == before) {
		st = error_at(builder, HS_ERR_RANGE, "no page that fits here can lie at that physical address", err);
	}
	return st;
}

/* All that can be refused before anything is written. */
static enum hs_status check_mapping(const struct builder *builder, struct hs_error *err)
{
	const struct hs_mapping *mapping = builder->mapping;
	const struct hs_format *format = builder->format;
	uint64_t reach = 0;
	uint64_t attributes = ~UINT64_C(0);
	uint64_t first;
	uint64_t last;

	if (format->levels == 0 || !builder->phys->ops->write) {
		return error_at(builder, HS_ERR_INVALID,
				format->levels ? "the memory is read-only" : "there is no paging", err);
	}
	for (unsigned int depth = 0; depth < format->levels; depth++) {
		const struct hs_format_level *row = &format->level[depth];

		if (hs_walk_is_leaf(&builder->walk, depth, row->new_leaf)) {
			reach |= row->leaf_address | row->leaf_high << row->leaf_high_shift;
			attributes &= row->leaf_attributes | row->leaf_moved >> row->leaf_moved_shift;
		}
	}
	if (mapping->leaf & ~attributes) {
		return error_at(builder, HS_ERR_INVALID, "it asks for an attribute that the format does not have", err);
	}
	if ((mapping->gva.v | mapping->gpa.v | mapping->length) & (HS_PAGE_SIZE - 1)) {
		return error_at(builder, HS_ERR_RANGE, "addresses and length must be multiples of 4096", err);
	}
	if (!hs_format_stretch(format, mapping->gva.v, &first, &last) || mapping->length - 1 > last - mapping->gva.v) {
		return error_at(builder, HS_ERR_RANGE, "it is not within the address space", err);
	}
	reach = (reach | (HS_PAGE_SIZE - 1)) & builder->walk.physical;
	if (!hs_range_within(mapping->gpa.v, mapping->length, reach + 1)) {
		return error_at(builder, HS_ERR_RANGE, "its physical addresses are beyond what the format can reach",
				err);
	}
	return HS_OK;
}

enum hs_status hs_build_map(const struct hs_phys *phys, const struct hs_root *root, const struct hs_mapping *mapping,
			    const struct hs_table_source *tables, struct hs_error *err)
{
	struct builder builder = {
		.phys = phys,
		.mapping = mapping,
		.source = tables,
		.format = hs_format_of(root->format),
		.gva = mapping->gva.v,
		.gpa = mapping->gpa.v,
		.left = mapping->length,
	};
	enum hs_status st = HS_OK;

	hs_walk_init(&builder.walk, phys, root, 0, false);
	if (mapping->length > 0) {
		st = check_mapping(&builder, err);
	}
	while (!st && builder.left > 0) {
		st = map_some(&builder, err);
	}
	return st;
}

/* The slots of one level, 1 << shift bytes each, that a mapping touches: [first, last]. */
static void slots_of(const struct hs_mapping *mapping, unsigned int shift, uint64_t *ret_first, uint64_t *ret_last)
{
	*ret_first = mapping->gva.v >> shift;
	*ret_last = (mapping->gva.v + (mapping->length - 1)) >> shift;
}

/* Whether one of the first count mappings has a part in the slot. */
static bool is_touched(const struct hs_mapping *mappings, size_t count, unsigned int shift, uint64_t slot)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t first;
		uint64_t last;

		if (mappings[i].length > 0) {
			slots_of(&mappings[i], shift, &first, &last);
			if (slot >= first && slot <= last) {
				return true;
			}
		}
	}
	return false;
}

/*
 * The slots of one level that mappings[which] needs a table under, and no mapping before it does. Only its first and
 * its last slot can be in another's use: it fills those between. Where a large leaf fits, those that it fills need
 * none.
 */
static uint64_t tables_under(const struct hs_mapping *mappings, size_t which, unsigned int shift, bool leaf_fits_slot)
{
	const struct hs_mapping *mapping = &mappings[which];
	uint64_t inside = (UINT64_C(1) << shift) - 1;
	bool leaves = leaf_fits_slot && may_use(mapping, inside + 1, false) &&
		      ((mapping->gva.v ^ mapping->gpa.v) & inside) == 0;
	uint64_t first;
	uint64_t last;
	bool first_full;
	bool last_full;
	uint64_t count;

	slots_of(mapping, shift, &first, &last);
	first_full = (mapping->gva.v & inside) == 0 && (first < last || mapping->length == inside + 1);
	last_full = ((mapping->gva.v + mapping->length) & inside) == 0 && (first < last || first_full);
	count = leaves || last - first < 2 ? 0 : last - first - 1;
	count += !(leaves && first_full) && !is_touched(mappings, which, shift, first);
	count += last > first && !(leaves && last_full) && !is_touched(mappings, which, shift, last);
	return count;
}

uint64_t hs_build_tables_needed(const struct hs_root *root, const struct hs_mapping *mappings, size_t count)
{
	const struct hs_format *format = hs_format_of(root->format);
	struct hs_walk walk;
	uint64_t needed = format->levels > 0;

	/* Neither has a table; only the rows' leaf tests under this root are asked for. */
	hs_walk_init(&walk, NULL, root, 0, false);
	for (unsigned int depth = 0; depth + 1 < format->levels; depth++) {
		const struct hs_format_level *row = &format->level[depth];
		bool leaf = hs_walk_is_leaf(&walk, depth, row->new_leaf);

		for (size_t i = 0; i < count; i++) {
			if (mappings[i].length > 0) {
				needed += tables_under(mappings, i, row->shift, leaf);
			}
		}
	}
	return needed;
}
