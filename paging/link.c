/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Entries that name tables: made with flags of the caller's choice, pointed at a table that another slot or root has
 * already, and changed when a table moves. With hs_build_map() for the leaves this is what it takes to build again what
 * hs_spaces_next() gave out. One entry is read by the walk and one is written; nothing else of a tree is looked at.
 */
#include "paging/walk.h"

#include <hindsight/spaces.h>

#include "base/error.h"
#include "paging/entry.h"
#include "paging/format.h"

/* The entry above a table. */
struct slot {
	struct hs_walk walk;
	unsigned int depth; /* of the table */
	uint64_t gva;
	hs_gpa place;
	uint64_t entry;
	bool taken; /* it names a table; otherwise it is not present */
};

static enum hs_status error_at(const struct slot *slot, enum hs_status status, const char *what, struct hs_error *err)
{
	return hs_error_set(err, status, 0, slot->gva, "the table at depth %u for address 0x%llx: %s", slot->depth,
			    (unsigned long long)slot->gva, what);
}

static const struct hs_format_level *row_of(const struct slot *slot)
{
	return &slot->walk.format->level[slot->depth - 1];
}

/* Why there is no slot, of what the walk found instead. */
static enum hs_status no_slot(const struct slot *slot, const struct hs_range *range, struct hs_error *err)
{
	switch (range->kind) {
	case HS_RANGE_HOLE:
		return error_at(slot, HS_ERR_STATE, "there is no table above it", err);
	case HS_RANGE_MAPPED:
		return error_at(slot, HS_ERR_BUSY, "a page is mapped there", err);
	case HS_RANGE_UNREADABLE:
		return error_at(slot, HS_ERR_UNREADABLE, "a table above it is not in memory", err);
	case HS_RANGE_RESERVED:
		return error_at(slot, HS_ERR_FORMAT, "an entry above it has reserved bits set", err);
	default:
		return error_at(slot, HS_ERR_RANGE, "that is no address of the format", err);
	}
}

/* Find the entry above the table of this depth for gva. HS_ERR_STATE: there is no table that it would be in. */
static enum hs_status find_slot(const struct hs_phys *phys, const struct hs_root *root, unsigned int depth, hs_gva gva,
				struct slot *ret, struct hs_error *err)
{
	struct hs_range range;

	hs_walk_init(&ret->walk, phys, root, HS_PAGING_LEVELS_MAX, false);
	ret->depth = depth;
	ret->gva = gva.v;
	if (depth == 0 || depth >= ret->walk.format->levels) {
		return error_at(ret, HS_ERR_INVALID, "no entry of this format names a table of that depth", err);
	}
	if (!phys->ops->write) {
		return error_at(ret, HS_ERR_INVALID, "the memory is read-only", err);
	}
	ret->taken = hs_walk_step(&ret->walk, gva.v, depth, &range) == HS_WALK_TABLE;
	if (!ret->taken && (range.kind != HS_RANGE_HOLE || range.level + 1u != depth)) {
		return no_slot(ret, &range, err);
	}
	ret->entry = ret->walk.entry;
	ret->place.v = hs_walk_place(&ret->walk, depth - 1, gva.v);
	return HS_OK;
}

/* Whether an entry with these flags names a table. */
static enum hs_status check_flags(const struct slot *slot, uint64_t entry, struct hs_error *err)
{
	uint64_t flags = entry & ~row_of(slot)->table_address;

	if (!hs_entry_is(flags, slot->walk.format->present) || hs_walk_is_leaf(&slot->walk, slot->depth - 1, flags) ||
	    (flags & slot->walk.levels[slot->depth - 1].reserved_table)) {
		return error_at(slot, HS_ERR_INVALID, "an entry with the flags that are asked for names no table", err);
	}
	return HS_OK;
}

static enum hs_status write_entry(const struct slot *slot, uint64_t flags, uint64_t table, struct hs_error *err)
{
	const struct hs_phys *phys = slot->walk.phys;
	unsigned int entry_bytes = slot->walk.format->entry_bytes;
	uint64_t address = row_of(slot)->table_address;
	uint8_t bytes[HS_ENTRY_BYTES_MAX];

	if (table & ~(address & slot->walk.physical)) {
		return error_at(slot, HS_ERR_RANGE, "an entry cannot name a table at that physical address", err);
	}
	hs_entry_store(bytes, entry_bytes, (flags & ~address) | table);
	return phys->ops->write(phys->ctx, slot->place, bytes, entry_bytes, err);
}

enum hs_status hs_build_table(const struct hs_phys *phys, const struct hs_root *root, unsigned int depth, hs_gva gva,
			      uint64_t entry, const struct hs_table_source *tables, struct hs_error *err)
{
	struct slot slot;
	hs_gpa table = { 0 };
	enum hs_status st = find_slot(phys, root, depth, gva, &slot, err);

	if (!st && slot.taken) {
		st = error_at(&slot, HS_ERR_BUSY, "there is one already", err);
	}
	if (!st) {
		st = check_flags(&slot, entry, err);
	}
	if (!st) {
		st = tables->take(tables->ctx, &table, err);
	}
	return st ? st : write_entry(&slot, entry, table.v, err);
}

/* Where the owner's table of an alias is. */
static enum hs_status find_owned(const struct hs_phys *phys, const struct hs_root *owner,
				 const struct hs_space_item *alias, hs_gpa *ret, struct hs_error *err)
{
	struct slot slot;
	enum hs_status st = find_slot(phys, owner, alias->depth, alias->owner_gva, &slot, err);

	if (st == HS_ERR_STATE || st == HS_ERR_BUSY || (!st && !slot.taken)) {
		return error_at(&slot, HS_ERR_NOT_FOUND, "its owner has none there", err);
	}
	if (!st) {
		ret->v = slot.entry & row_of(&slot)->table_address;
	}
	return st;
}

enum hs_status hs_build_link(const struct hs_phys *phys, const struct hs_root *root, const struct hs_space_item *alias,
			     const struct hs_root *owner, struct hs_error *err)
{
	struct slot slot;
	hs_gpa table = { 0 };
	enum hs_status st;

	if (alias->kind != HS_SPACE_ALIAS || root->format != owner->format) {
		return hs_error_set(err, HS_ERR_INVALID, 0, alias->gva.v, "cannot link address 0x%llx: %s",
				    (unsigned long long)alias->gva.v,
				    alias->kind != HS_SPACE_ALIAS ? "the item is no alias"
								  : "the owner has another format of tables");
	}
	st = find_slot(phys, root, alias->depth, alias->gva, &slot, err);
	if (!st && slot.taken) {
		st = error_at(&slot, HS_ERR_BUSY, "there is one already", err);
	}
	if (!st) {
		st = check_flags(&slot, alias->entry, err);
	}
	if (!st) {
		st = find_owned(phys, owner, alias, &table, err);
	}
	return st ? st : write_entry(&slot, alias->entry, table.v, err);
}

enum hs_status hs_build_repoint(const struct hs_phys *phys, const struct hs_root *root, unsigned int depth, hs_gva gva,
				hs_gpa to, struct hs_error *err)
{
	struct slot slot;
	enum hs_status st = find_slot(phys, root, depth, gva, &slot, err);

	if (!st && !slot.taken) {
		st = error_at(&slot, HS_ERR_NOT_FOUND, "there is none", err);
	}
	return st ? st : write_entry(&slot, slot.entry, to.v, err);
}

static enum hs_status copy_table(const struct hs_phys *phys, const struct hs_format *format, unsigned int depth,
				 uint64_t from, hs_gpa to, struct hs_error *err)
{
	uint8_t bytes[HS_PAGE_SIZE];
	size_t length = (size_t)format->entry_bytes << format->level[depth].index_bits;
	enum hs_status st = phys->ops->read(phys->ctx, hs_gpa_of(from), bytes, length, err);

	return st ? st : phys->ops->write(phys->ctx, to, bytes, length, err);
}

/* The table of a root has no entry above it: the root itself names it. */
static enum hs_status move_root(const struct hs_phys *phys, struct hs_root *root, hs_gpa to, struct hs_error *err)
{
	const struct hs_format *format = hs_format_of(root->format);
	enum hs_status st;

	if (format->levels == 0 || !phys->ops->write) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "cannot move the table of a root: %s",
				    format->levels ? "the memory is read-only" : "there is no paging");
	}
	if (to.v & ~(format->root_address & hs_walk_physical(root))) {
		return hs_error_set(err, HS_ERR_RANGE, 0, to.v, "the table of a root cannot be at 0x%llx",
				    (unsigned long long)to.v);
	}
	st = copy_table(phys, format, 0, root->base.v & format->root_address, to, err);
	if (!st) {
		root->base = to;
	}
	return st;
}

enum hs_status hs_build_move_table(const struct hs_phys *phys, struct hs_root *root, unsigned int depth, hs_gva gva,
				   hs_gpa to, struct hs_error *err)
{
	struct slot slot;
	enum hs_status st;

	if (depth == 0) {
		return move_root(phys, root, to, err);
	}
	st = find_slot(phys, root, depth, gva, &slot, err);
	if (st) {
		return st;
	}
	if (!slot.taken) {
		return error_at(&slot, HS_ERR_NOT_FOUND, "there is none", err);
	}
	if (to.v & ~(row_of(&slot)->table_address & slot.walk.physical)) {
		return error_at(&slot, HS_ERR_RANGE, "an entry cannot name a table at that physical address", err);
	}
	st = copy_table(phys, slot.walk.format, depth, slot.entry & row_of(&slot)->table_address, to, err);
	return st ? st : write_entry(&slot, slot.entry, to.v, err);
}
