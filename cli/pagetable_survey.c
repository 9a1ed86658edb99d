/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See pagetable_survey.h. hs_spaces_next() wants its storage before the number of tables is known. So the walk begins
 * with little, and when that is used up it begins anew with more and passes over what was given out already: the
 * file says the same again. All of it together costs a fraction more than the last walk alone.
 */
#include "cli/pagetable_survey.h"

#include "base/arith.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* 128 KiB: enough for a guest of ours with hundreds of roots. */
#define PLACES_FIRST 4096u
#define PLACES_GROWTH 8u

void hs_pagetable_survey_init(struct hs_pagetable_survey *survey, const struct hs_pagetable_source *source,
			      struct hs_budget budget)
{
	memset(survey, 0, sizeof(*survey));
	survey->source = source;
	survey->budget = budget;
}

void hs_pagetable_survey_deinit(struct hs_pagetable_survey *survey)
{
	free(survey->places);
	free(survey->memory.pairs);
	free(survey->shared.pairs);
}

static void start(struct hs_pagetable_survey *survey, const struct hs_root *roots, size_t count)
{
	hs_spaces_init(&survey->spaces, &survey->source->phys, roots, (uint32_t)count, survey->places,
		       survey->places_count, survey->budget);
}

/** The storage that the budget of tables is worth: twice as many, as <hindsight/spaces.h> asks for. */
static uint64_t places_most(const struct hs_pagetable_survey *survey)
{
	uint64_t most;

	return hs_mul_u64(survey->budget.tables, 2, &most) ? hs_max_u64(most, PLACES_FIRST) : UINT64_MAX;
}

static enum hs_status grow(struct hs_pagetable_survey *survey, struct hs_error *err)
{
	uint64_t count = hs_max_u64(PLACES_FIRST, (uint64_t)survey->places_count * PLACES_GROWTH);

	count = hs_min_u64(count, places_most(survey));
	free(survey->places);
	survey->places = calloc(count, sizeof(survey->places[0]));
	if (survey->places == NULL) {
		survey->places_count = 0;
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for %llu page tables",
				    (unsigned long long)count);
	}
	survey->places_count = count;
	return HS_OK;
}

/** Whether it was neither of the budgets that ended the walk, and more storage is allowed. */
static bool wants_places(const struct hs_pagetable_survey *survey)
{
	return survey->tables < survey->budget.tables && survey->ranges + survey->aliases < survey->budget.ranges &&
	       survey->places_count < places_most(survey);
}

/** From the beginning to the item after those that were given out. */
static enum hs_status repeat(struct hs_pagetable_survey *survey, struct hs_space_item *ret, struct hs_error *err)
{
	uint64_t known = survey->tables + survey->aliases + survey->ranges;
	enum hs_status st = HS_OK;

	start(survey, survey->source->roots, survey->source->root_count);
	for (uint64_t i = 0; i <= known && st == HS_OK; i++) {
		st = hs_spaces_next(&survey->spaces, ret, err);
	}
	return st;
}

static enum hs_status find_next(struct hs_pagetable_survey *survey, struct hs_space_item *ret, struct hs_error *err)
{
	enum hs_status st = HS_ERR_BUDGET;

	if (survey->places_count > 0) {
		st = hs_spaces_next(&survey->spaces, ret, err);
	}
	while (survey->places_count == 0 || (st == HS_ERR_BUDGET && wants_places(survey))) {
		st = grow(survey, err);
		if (st) {
			return st;
		}
		st = repeat(survey, ret, err);
	}
	return st;
}

static enum hs_status add_pair(struct hs_pagetable_pile *pile, uint64_t a, uint64_t b, struct hs_error *err)
{
	if (pile->pairs == NULL || pile->count == pile->room) {
		size_t room = pile->room > 0 ? 2 * pile->room : 64;
		struct hs_pagetable_pair *pairs = reallocarray(pile->pairs, room, sizeof(*pairs));

		if (pairs == NULL) {
			return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for %zu ranges", room);
		}
		pile->pairs = pairs;
		pile->room = room;
	}
	pile->pairs[pile->count++] = (struct hs_pagetable_pair){ a, b };
	return HS_OK;
}

static enum hs_status add_memory(struct hs_pagetable_pile *memory, const struct hs_range *range, struct hs_error *err)
{
	struct hs_pagetable_pair *last = memory->count > 0 ? &memory->pairs[memory->count - 1] : NULL;

	if (last != NULL && last->a + last->b == range->gpa.v) {
		last->b += range->length;
		return HS_OK;
	}
	return add_pair(memory, range->gpa.v, range->length, err);
}

static enum hs_status count_item(struct hs_pagetable_survey *survey, const struct hs_space_item *item,
				 struct hs_error *err)
{
	switch (item->kind) {
	case HS_SPACE_TABLE:
		survey->tables++;
		return HS_OK;
	case HS_SPACE_ALIAS:
		survey->aliases++;
		return add_pair(&survey->shared, item->table.v, item->depth, err);
	case HS_SPACE_RANGE:
		survey->ranges++;
		survey->unreadable += item->range.kind == HS_RANGE_UNREADABLE;
		survey->reserved += item->range.kind == HS_RANGE_RESERVED;
		return item->range.kind == HS_RANGE_MAPPED ? add_memory(&survey->memory, &item->range, err) : HS_OK;
	}
	return HS_OK;
}

enum hs_status hs_pagetable_survey_next(struct hs_pagetable_survey *survey, struct hs_space_item *ret,
					struct hs_error *err)
{
	enum hs_status st = find_next(survey, ret, err);

	return st ? st : count_item(survey, ret, err);
}

static int by_number(const void *one, const void *other)
{
	const struct hs_pagetable_pair *x = one, *y = other;

	if (x->a != y->a) {
		return x->a < y->a ? -1 : 1;
	}
	return (x->b > y->b) - (x->b < y->b);
}

static void sort(struct hs_pagetable_pile *pile)
{
	if (pile->count > 0) {
		qsort(pile->pairs, pile->count, sizeof(pile->pairs[0]), by_number);
	}
}

/** How many bytes there are in ranges that may overlap. */
static uint64_t bytes_of(struct hs_pagetable_pile *memory)
{
	uint64_t end = 0, bytes = 0;

	sort(memory);
	for (size_t i = 0; i < memory->count; i++) {
		/* Neither wraps: a physical address has at most 52 bits. */
		uint64_t first = hs_max_u64(memory->pairs[i].a, end);
		uint64_t behind = memory->pairs[i].a + memory->pairs[i].b;

		if (behind > first) {
			bytes += behind - first;
			end = behind;
		}
	}
	return bytes;
}

static uint64_t different(struct hs_pagetable_pile *pile)
{
	uint64_t count = 0;

	sort(pile);
	for (size_t i = 0; i < pile->count; i++) {
		count += i == 0 || by_number(&pile->pairs[i - 1], &pile->pairs[i]) != 0;
	}
	return count;
}

/**
 * The tables of each root by itself. The storage and the budget are enough for that when they were for all roots:
 * what a root reaches by itself is a part of what it reached with the others, each table and each entry once.
 */
static bool count_separate(struct hs_pagetable_survey *survey, uint64_t *ret)
{
	uint64_t tables = 0;

	if (survey->source->root_count == 1) {
		*ret = survey->tables;
		return true;
	}
	for (size_t i = 0; i < survey->source->root_count; i++) {
		enum hs_status st;
		struct hs_space_item item;

		start(survey, &survey->source->roots[i], 1);
		while ((st = hs_spaces_next(&survey->spaces, &item, NULL)) == HS_OK) {
			tables += item.kind == HS_SPACE_TABLE;
		}
		if (st != HS_ERR_NOT_FOUND) {
			return false;
		}
	}
	*ret = tables;
	return true;
}

void hs_pagetable_survey_total(struct hs_pagetable_survey *survey, bool whole, struct hs_pagetable_totals *ret)
{
	*ret = (struct hs_pagetable_totals){
		.shared_tables = different(&survey->shared),
		.mapped_bytes = bytes_of(&survey->memory),
	};
	ret->has_separate = whole && count_separate(survey, &ret->separate_tables);
}
