/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several address spaces in one walk. It goes through each root as hs_iter does, but stops before every table: one that
 * was never seen at this depth is noted in the caller's storage, given out and entered; one that was is given out as a
 * reference to where it was seen, and all that it covers is skipped. So no table is read twice at one depth, whatever
 * leads to it, and what is given out points backwards only.
 *
 * The storage is an open-addressing hash table of {table, depth, how it is read}. A slot is never emptied.
 */
#include "paging/walk.h"

#include <hindsight/spaces.h>

#include "base/error.h"
#include "paging/format.h"
#include "paging/range.h"

void hs_spaces_init(struct hs_spaces *spaces, const struct hs_phys *phys, const struct hs_root *roots, uint32_t count,
		    struct hs_space_place *places, size_t places_count, struct hs_budget budget)
{
	spaces->space = 0;
	spaces->phys = phys;
	spaces->roots = roots;
	spaces->count = count;
	spaces->current = 0;
	spaces->group = 0;
	spaces->places = places;
	spaces->places_count = places_count;
	spaces->at = 0;
	spaces->tables_left = budget.tables;
	spaces->ranges_left = budget.ranges;
	spaces->enter = false;
	spaces->started = false;
	spaces->has_pending = false;
	for (size_t i = 0; i < places_count; i++) {
		places[i].used = false;
	}
}

/* Whether an entry says the same under both. */
static bool same_reading(const struct hs_root *a, const struct hs_root *b)
{
	return a->format == b->format && a->pse == b->pse && a->nxe == b->nxe &&
	       hs_walk_physical(a) == hs_walk_physical(b);
}

/* Stand before the current root; false if there is none. */
static bool start_space(struct hs_spaces *spaces)
{
	if (spaces->current == spaces->count) {
		return false;
	}
	/* A group is named by the first root that is in it. */
	spaces->group = 0;
	while (!same_reading(&spaces->roots[spaces->group], &spaces->roots[spaces->current])) {
		spaces->group++;
	}
	hs_walk_init(&spaces->walk, spaces->phys, &spaces->roots[spaces->current], spaces->tables_left, true);
	spaces->at = 0;
	spaces->started = true;
	return true;
}

/* Go on behind the next length bytes; 0 and a length to the end of the addresses, which wraps, end this root. */
static void skip(struct hs_spaces *spaces, uint64_t length)
{
	spaces->at += length;
	if (length == 0 || spaces->at == 0) {
		spaces->tables_left = spaces->walk.tables_left;
		spaces->started = false;
		spaces->current++;
	}
}

/* Places that a search looks at. With half of them free it takes tens; a guest that chooses its tables so that they
 * meet, or a store that is nearly full, must not make every search as long as the store. */
#define SEARCH_MAX 256

/* The place of a table: the one it has, or a free one, or NULL if it has none and none is free near by. */
static struct hs_space_place *place_of(const struct hs_spaces *spaces, uint64_t table, uint8_t depth)
{
	uint64_t hash = (table ^ (uint64_t)depth << 56 ^ (uint64_t)spaces->group << 3) * UINT64_C(0x9e3779b97f4a7c15);
	size_t at;

	if (spaces->places_count == 0) {
		return NULL;
	}
	at = (size_t)((hash ^ hash >> 32) % spaces->places_count);
	for (size_t i = 0; i < spaces->places_count && i < SEARCH_MAX; i++) {
		struct hs_space_place *place = &spaces->places[at];

		if (!place->used || (place->table == table && place->depth == depth && place->group == spaces->group)) {
			return place;
		}
		at = at + 1 < spaces->places_count ? at + 1 : 0;
	}
	return NULL;
}

static enum hs_status out_of(struct hs_spaces *spaces, const char *what, uint32_t space, uint64_t where,
			     struct hs_error *err)
{
	spaces->space = space;
	return hs_error_set(err, HS_ERR_BUDGET, 0, where,
			    "the walk of the page tables stopped at 0x%llx of root %u: its %s used up",
			    (unsigned long long)where, (unsigned int)space, what);
}

/* The table that the walk stands before: ours from now on, or a reference. */
static enum hs_status meet_table(struct hs_spaces *spaces, struct hs_space_item *ret, struct hs_error *err)
{
	const struct hs_walk *walk = &spaces->walk;
	uint8_t depth = walk->open;
	uint64_t table = hs_walk_next_table(walk);
	uint8_t rights = hs_walk_next_rights(walk);
	struct hs_space_place *place = place_of(spaces, table, depth);

	if (!place) {
		return out_of(spaces, "storage for tables is", spaces->current, spaces->at, err);
	}
	if (!place->used && walk->tables_left == 0) {
		return out_of(spaces, "budget of tables is", spaces->current, spaces->at, err);
	}
	*ret = (struct hs_space_item){
		.kind = place->used ? HS_SPACE_ALIAS : HS_SPACE_TABLE,
		.space = spaces->current,
		.depth = depth,
		.gva = { spaces->at },
		.length = depth > 0 ? UINT64_C(1) << walk->format->level[depth - 1].shift : 0,
		.prot = hs_walk_table_prot(rights),
		.user = rights & HS_RIGHT_USER,
		.table = { table },
		.entry = walk->entry,
	};
	if (place->used) {
		ret->owner = place->owner;
		ret->owner_gva.v = place->gva;
		skip(spaces, ret->length);
		return HS_OK;
	}
	*place = (struct hs_space_place){
		.table = table,
		.gva = spaces->at,
		.owner = spaces->current,
		.group = spaces->group,
		.depth = depth,
		.used = true,
	};
	spaces->enter = true;
	return HS_OK;
}

static void fill_range(const struct hs_spaces *spaces, const struct hs_range *range, struct hs_space_item *ret)
{
	const struct hs_walk *walk = &spaces->walk;
	uint8_t rights = 0;

	if (range->kind == HS_RANGE_MAPPED) {
		rights = walk->open == 0 ? HS_RIGHTS_ALL
					 : hs_walk_rights(&walk->format->level[range->level].leaf_rights, walk->entry);
	}
	*ret = (struct hs_space_item){
		.kind = HS_SPACE_RANGE,
		.space = spaces->current,
		.depth = range->level,
		.gva = range->start,
		.length = range->length,
		.prot = hs_walk_leaf_prot(rights),
		.user = rights & HS_RIGHT_USER,
		.range = *range,
	};
}

/* The next item, ranges not merged. What ends the walk here ends it at the next call too. */
static enum hs_status advance(struct hs_spaces *spaces, struct hs_space_item *ret, struct hs_error *err)
{
	struct hs_range range;

	while (spaces->started || start_space(spaces)) {
		enum hs_walk_step step = hs_walk_step(&spaces->walk, spaces->at, spaces->enter, &range);

		spaces->enter = false;
		if (step == HS_WALK_TABLE) {
			return meet_table(spaces, ret, err);
		}
		if (step == HS_WALK_BUDGET) {
			/* Not reached while memory stays as it is: meet_table() has asked for what is left. */
			return out_of(spaces, "budget of tables is", spaces->current, spaces->at, err);
		}
		hs_walk_extend(&spaces->walk, &range);
		fill_range(spaces, &range, ret);
		skip(spaces, range.length);
		if (!hs_range_is_nothing(&range)) {
			return HS_OK;
		}
	}
	return HS_ERR_NOT_FOUND;
}

static bool merge(struct hs_space_item *item, const struct hs_space_item *next)
{
	if (item->kind != HS_SPACE_RANGE || next->kind != HS_SPACE_RANGE || item->space != next->space ||
	    item->prot != next->prot || item->user != next->user || !hs_range_merge(&item->range, &next->range)) {
		return false;
	}
	item->length = item->range.length;
	return true;
}

static enum hs_status give_out(struct hs_spaces *spaces, struct hs_space_item *ret, struct hs_error *err)
{
	const struct hs_space_item *item = &spaces->pending;

	if (item->kind != HS_SPACE_TABLE) {
		if (spaces->ranges_left == 0) {
			return out_of(spaces, "budget of ranges is", item->space, item->gva.v, err);
		}
		spaces->ranges_left--;
	}
	spaces->space = item->space;
	*ret = *item;
	spaces->has_pending = false;
	return HS_OK;
}

enum hs_status hs_spaces_next(struct hs_spaces *spaces, struct hs_space_item *ret, struct hs_error *err)
{
	struct hs_space_item next;
	enum hs_status st;

	/* An item that there is no budget for stays pending, so that every later call ends here too. */
	for (;;) {
		if (spaces->has_pending && (spaces->pending.kind != HS_SPACE_RANGE || spaces->ranges_left == 0)) {
			return give_out(spaces, ret, err);
		}
		st = advance(spaces, &next, spaces->has_pending ? NULL : err);
		if (st) {
			return spaces->has_pending ? give_out(spaces, ret, err) : st;
		}
		if (spaces->has_pending && merge(&spaces->pending, &next)) {
			continue;
		}
		if (spaces->has_pending) {
			st = give_out(spaces, ret, err);
			spaces->pending = next;
			spaces->has_pending = true;
			return st;
		}
		spaces->pending = next;
		spaces->has_pending = true;
	}
}
