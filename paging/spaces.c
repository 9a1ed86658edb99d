/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several address spaces in one walk. It goes through each root as hs_iter does, but stops before every table: one that
 * was never seen at this depth is noted in the caller's storage, given out and entered; one that was is given out as a
 * reference to where it was seen, and all that it covers is skipped. So no table is read twice at one depth, whatever
 * leads to it, and what is given out points backwards only.
 *
 * The storage is an open-addressing hash table of {table, depth, how it is read}. A slot is never emptied.
 */
#include "paging/leaves.h"

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
	spaces->has_other = false;
	spaces->covered = 0;
	spaces->leaves.next = 0;
	spaces->leaves.count = 0;
	for (size_t i = 0; i < places_count; i++) {
		places[i].used = false;
	}
}

/* Whether an entry says the same under both. */
static bool same_reading(const struct hs_root *a, const struct hs_root *b)
{
	return a->format == b->format && a->pse == b->pse && a->nxe == b->nxe && a->pdpte_a == b->pdpte_a &&
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
	if (place->used && spaces->ranges_left == 0) {
		return out_of(spaces, "budget of ranges is", spaces->current, spaces->at, err);
	}
	spaces->space = spaces->current;
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
		spaces->ranges_left--;
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

/* Bring what is next to hand: leaves, or the other range, both within one table. At the end nothing is found. */
static enum hs_walk_step look_further(struct hs_spaces *spaces)
{
	for (;;) {
		enum hs_walk_step step;

		if (spaces->covered > 0) {
			skip(spaces, spaces->covered);
			spaces->covered = 0;
		}
		if (!spaces->started && !start_space(spaces)) {
			return HS_WALK_FOUND;
		}
		step = hs_walk_leaves(&spaces->walk, spaces->at, UINT64_MAX, spaces->enter, &spaces->leaves,
				      &spaces->other, &spaces->covered);
		spaces->enter = false;
		if (step != HS_WALK_FOUND) {
			spaces->covered = 0;
			return step;
		}
		spaces->has_other = !hs_range_is_nothing(&spaces->other);
		if (spaces->has_other || spaces->leaves.count > 0) {
			return HS_WALK_FOUND;
		}
	}
}

static inline bool is_at_hand(const struct hs_spaces *spaces)
{
	return spaces->leaves.next < spaces->leaves.count || spaces->has_other;
}

static const struct hs_entry_rights *rights_of(const struct hs_spaces *spaces)
{
	return &spaces->walk.format->level[spaces->leaves.level].leaf_rights;
}

/* Bits of an entry that its own rights are in. */
static uint64_t own_bits(const struct hs_spaces *spaces)
{
	const struct hs_entry_rights *rights = rights_of(spaces);

	return rights->write | rights->user | rights->exec | rights->user_exec;
}

/* The rights that the entry of the next page has by itself. */
static uint8_t own_rights(const struct hs_spaces *spaces)
{
	return hs_walk_rights(rights_of(spaces), spaces->leaves.entry[spaces->leaves.next]);
}

/* Let a range that ends with the pages at hand grow by the next ones, where these are of the same table. */
static bool go_on(struct hs_spaces *spaces, uint8_t own, struct hs_range *range)
{
	uint32_t space = spaces->current;
	struct hs_range next;
	uint32_t count;

	if (look_further(spaces) != HS_WALK_FOUND || spaces->leaves.count == 0 || spaces->current != space ||
	    own != own_rights(spaces)) {
		return false;
	}
	count = hs_leaves_run(&spaces->leaves, own_bits(spaces));
	hs_leaves_range(&spaces->leaves, spaces->leaves.next, count, &next);
	if (!hs_range_merge(range, &next)) {
		return false;
	}
	spaces->leaves.next += count;
	return true;
}

/* Give out the pages that are at hand as far as they are one range. */
static uint8_t give_pages(struct hs_spaces *spaces, struct hs_range *ret)
{
	struct hs_leaves *leaves = &spaces->leaves;
	uint8_t own = own_rights(spaces);
	uint32_t count = hs_leaves_run(leaves, own_bits(spaces));

	hs_leaves_range(leaves, leaves->next, count, ret);
	leaves->next += count;
	while (!is_at_hand(spaces) && go_on(spaces, own, ret)) {
	}
	return own;
}

static enum hs_status give_range(struct hs_spaces *spaces, struct hs_space_item *ret, struct hs_error *err)
{
	uint8_t own;

	if (spaces->ranges_left == 0) {
		uint64_t where = spaces->has_other ? spaces->other.start.v
						   : hs_leaves_gva(&spaces->leaves, spaces->leaves.next);

		return out_of(spaces, "budget of ranges is", spaces->current, where, err);
	}
	spaces->ranges_left--;
	spaces->space = spaces->current;
	ret->kind = HS_SPACE_RANGE;
	ret->space = spaces->current;
	ret->table.v = 0;
	ret->entry = 0;
	ret->owner = 0;
	ret->owner_gva.v = 0;
	if (spaces->has_other) {
		ret->range = spaces->other;
		own = ret->range.kind == HS_RANGE_MAPPED ? HS_RIGHTS_ALL : 0;
		spaces->has_other = false;
	} else {
		own = give_pages(spaces, &ret->range);
	}
	ret->prot = hs_walk_leaf_prot(own);
	ret->user = own & HS_RIGHT_USER;
	ret->depth = ret->range.level;
	ret->gva = ret->range.start;
	ret->length = ret->range.length;
	return HS_OK;
}

enum hs_status hs_spaces_next(struct hs_spaces *spaces, struct hs_space_item *ret, struct hs_error *err)
{
	if (!is_at_hand(spaces)) {
		enum hs_walk_step step = look_further(spaces);

		if (step == HS_WALK_TABLE) {
			return meet_table(spaces, ret, err);
		}
		if (step == HS_WALK_BUDGET) {
			/* Not reached while memory stays as it is: meet_table() has asked for what is left. */
			return out_of(spaces, "budget of tables is", spaces->current, spaces->at, err);
		}
		if (!is_at_hand(spaces)) {
			return HS_ERR_NOT_FOUND;
		}
	}
	return give_range(spaces, ret, err);
}
