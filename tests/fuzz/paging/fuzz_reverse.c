/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From memory to addresses, against lookups in the other direction. */
#include "checks.h"

static struct hs_reverse_item items[SCENE_RANGES];

/* A piece of memory that the address is in, if it is mapped; else one of the input's. */
static uint64_t memory_of(struct scene *scene, const struct hs_root *root, uint64_t gva, bool *ret_mapped)
{
	struct hs_range range;

	hs_translate(&scene->guest.phys, root, hs_gva_of(gva), &range);
	*ret_mapped = range.kind == HS_RANGE_MAPPED;
	return *ret_mapped ? range.gpa.v + (gva - range.start.v) : scene->gva >> 12;
}

static void check_item(struct scene *scene, const struct hs_reverse_item *item, uint64_t first, uint64_t last)
{
	const struct hs_range *range = &item->range;

	CHECK(range->kind == HS_RANGE_MAPPED && range->length > 0);
	CHECK(range->gpa.v >= first && range->gpa.v + (range->length - 1) <= last);
	check_agrees(&scene->guest.phys, &scene->roots[item->space], range, range->start.v);
	check_agrees(&scene->guest.phys, &scene->roots[item->space], range, range->start.v + (range->length - 1));
}

static void check_search(struct scene *scene, uint32_t space, uint64_t gva, uint64_t length)
{
	bool mapped;
	uint64_t gpa = memory_of(scene, &scene->roots[space], gva, &mapped);
	uint64_t last = length == 0 || gpa + (length - 1) < gpa ? UINT64_MAX : gpa + (length - 1);
	struct hs_error err = { .where = 0 };
	struct hs_reverse reverse;
	enum hs_status st;
	size_t count = 0;
	size_t found = 0;

	scene->guest.whole = 0;
	hs_reverse_init(&reverse, &scene->guest.phys, scene->roots, scene->root_count, hs_gpa_of(gpa), length,
			scene->budget);
	while ((st = hs_reverse_next(&reverse, &items[count], &err)) == HS_OK) {
		CHECK(++count <= scene->budget.ranges);
	}
	CHECK(st == HS_ERR_NOT_FOUND || st == HS_ERR_BUDGET);
	CHECK(hs_reverse_next(&reverse, &items[count], NULL) == st);
	CHECK(scene->guest.whole <= scene->budget.tables);
	for (size_t i = 0; i < count; i++) {
		const struct hs_reverse_item *item = &items[i];

		check_item(scene, item, gpa, last);
		CHECK(i == 0 || item->space > items[i - 1].space ||
		      (item->space == items[i - 1].space &&
		       item->range.start.v - items[i - 1].range.start.v >= items[i - 1].range.length));
		found += item->space == space && gva - item->range.start.v < item->range.length;
	}
	if (mapped &&
	    (st == HS_ERR_NOT_FOUND || reverse.space > space || (reverse.space == space && gva < err.where))) {
		CHECK(found == 1);
	}
}

void check_reverse(struct scene *scene)
{
	uint32_t space = (uint32_t)(scene_random(scene) % scene->root_count);
	struct hs_iter iter;
	struct hs_range range;
	struct hs_budget budget = { .tables = 64, .ranges = scene->choice[2] % 8 + 1u };
	uint64_t gva = scene->gva;

	/* One of the first addresses that are there, so that there is something to be found. */
	hs_iter_init(&iter, &scene->guest.phys, &scene->roots[space], hs_gva_of(0), 0, budget);
	while (hs_iter_next(&iter, &range, NULL) == HS_OK) {
		gva = range.start.v + scene_random(scene) % range.length;
	}
	check_search(scene, space, gva, scene->length);
	check_search(scene, space, scene->gva, 1);
}
