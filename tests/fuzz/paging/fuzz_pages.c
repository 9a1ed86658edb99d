/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A walk by pages, with ranges in between: each page against a lookup, and nothing between them. */
#include "checks.h"

/* What a walk of either kind has come to. */
struct progress {
	const struct hs_root *root;
	uint64_t start, last; /* that were asked for */
	uint64_t next;        /* the first address behind all that was given out */
	uint64_t given, visited;
	bool any;
};

static bool is_nothing(const struct hs_range *range)
{
	return range->kind == HS_RANGE_HOLE || range->kind == HS_RANGE_NON_CANONICAL;
}

/* What comes next lies behind what was before, and right behind that is nothing else. */
static void check_step(const struct hs_phys *phys, struct progress *progress, uint64_t start, uint64_t length)
{
	uint64_t end = start + (length - 1);
	struct hs_range between;

	CHECK(length > 0 && end >= start && start <= progress->last && end >= progress->start);
	if (progress->any) {
		CHECK(progress->next != 0 && start >= progress->next);
		hs_translate(phys, progress->root, hs_gva_of(progress->next), &between);
		CHECK(start == progress->next || is_nothing(&between));
	}
	progress->any = true;
	progress->next = end + 1;
}

static void check_page(const struct hs_phys *phys, const struct hs_root *root, const struct hs_pages *pages, uint32_t i)
{
	struct hs_range wanted = pages->first;
	struct hs_range one;

	wanted.start = hs_pages_gva(pages, i);
	wanted.gpa = hs_pages_gpa(pages, i);
	hs_translate(phys, root, wanted.start, &one);
	/* Without paging it is all one range. */
	if (scene_levels(root->format) > 0) {
		CHECK(same_range(&wanted, &one));
	} else {
		CHECK(wanted.gpa.v == wanted.start.v && wanted.length == HS_PAGE_SIZE);
	}
}

static void check_given(struct scene *scene, struct progress *progress, const struct hs_pages *pages)
{
	const struct hs_phys *phys = &scene->guest.phys;
	const struct hs_range *first = &pages->first;

	if (pages->count == 0) {
		CHECK(first->kind == HS_RANGE_UNREADABLE || first->kind == HS_RANGE_RESERVED);
		check_step(phys, progress, first->start.v, first->length);
		check_agrees(phys, progress->root, first, first->start.v);
		check_agrees(phys, progress->root, first, first->start.v + (first->length - 1));
		progress->given++;
		return;
	}
	CHECK(pages->count <= HS_PAGES_MAX && first->kind == HS_RANGE_MAPPED && first->length == first->page_bytes);
	CHECK(first->start.v == hs_pages_gva(pages, 0).v && first->gpa.v == hs_pages_gpa(pages, 0).v);
	for (uint32_t i = 0; i < pages->count; i++) {
		check_step(phys, progress, hs_pages_gva(pages, i).v, first->page_bytes);
		check_page(phys, progress->root, pages, i);
	}
	progress->given += pages->count;
}

/* One step of either kind. */
static enum hs_status step(struct scene *scene, struct hs_iter *iter, struct progress *progress, bool by_ranges,
			   struct hs_error *err)
{
	struct hs_pages pages;
	struct hs_range range;
	enum hs_status st;

	scene->guest.whole = 0;
	if (!by_ranges) {
		st = hs_iter_pages(iter, &pages, err);
		progress->visited += scene->guest.whole;
		if (!st) {
			check_given(scene, progress, &pages);
		}
		return st;
	}
	st = hs_iter_next(iter, &range, err);
	progress->visited += scene->guest.whole;
	if (!st) {
		CHECK(range.start.v >= progress->start && range.start.v + (range.length - 1) <= progress->last);
		check_step(&scene->guest.phys, progress, range.start.v, range.length);
		check_agrees(&scene->guest.phys, progress->root, &range, range.start.v);
		check_agrees(&scene->guest.phys, progress->root, &range, range.start.v + (range.length - 1));
		progress->given++;
	}
	return st;
}

void check_pages(struct scene *scene, const struct hs_root *root, uint64_t start, uint64_t length)
{
	struct progress progress = {
		.root = root,
		.start = start,
		.last = length == 0 || start + (length - 1) < start ? UINT64_MAX : start + (length - 1),
	};
	bool mixed = scene->choice[3] & 1;
	struct hs_error err = { .where = 0 };
	struct hs_iter iter;
	struct hs_range behind;
	enum hs_status st;

	hs_iter_init(&iter, &scene->guest.phys, root, hs_gva_of(start), length, scene->budget);
	do {
		st = step(scene, &iter, &progress, mixed && scene_random(scene) % 4 == 0, &err);
		CHECK(progress.given <= scene->budget.ranges);
	} while (!st);
	CHECK(st == HS_ERR_NOT_FOUND || st == HS_ERR_BUDGET);
	CHECK(step(scene, &iter, &progress, false, NULL) == st && step(scene, &iter, &progress, true, NULL) == st);
	CHECK(progress.visited <= scene->budget.tables);
	CHECK(st == HS_ERR_NOT_FOUND || !progress.any || err.where >= progress.next);
	if (st == HS_ERR_NOT_FOUND && progress.any && progress.next != 0 && progress.next <= progress.last) {
		hs_translate(&scene->guest.phys, root, hs_gva_of(progress.next), &behind);
		CHECK(is_nothing(&behind));
	}
}
