/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From roots to segments and extents:
 *
 *   1. walk each root, the primary one first (segments.h);
 *   2. sort the segments' physical ranges and unite them: these are the extents, and their lengths add up to offsets;
 *      Ranges that are wanted whole are extents as well;
 *   3. each segment lies within one extent: its offset follows from its gpa. Aliases come out with equal offsets, be
 *      they of one space or of two.
 */
#include "coredump/plan.h"

#include "base/arith.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/** The spaces' roots, each without a segment yet. */
static enum hs_status list_spaces(const struct hs_root *root, const struct hs_core_plan_limits *limits,
				  struct hs_core_plan *plan, struct hs_error *err)
{
	size_t count = limits->space_count > 0 ? limits->space_count : 1;

	plan->spaces = calloc(count, sizeof(*plan->spaces));
	if (plan->spaces == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a core of %zu address spaces", count);
	}
	for (size_t i = 0; i < limits->space_count; i++) {
		plan->spaces[i].root = limits->spaces[i];
	}
	plan->space_count = count;
	plan->primary = limits->space_count > 0 ? limits->primary : 0;
	plan->spaces[plan->primary].root = *root;
	return HS_OK;
}

/** A space is walked: note what came of it. HS_ERR_BUDGET is no failure. */
static enum hs_status end_space(const struct hs_core_segments *segments, struct hs_core_plan_space *space,
				enum hs_status st)
{
	space->first = segments->first;
	space->count = segments->count - segments->first;
	if (st == HS_ERR_BUDGET) {
		space->partial = true;
		space->reached = segments->reached;
		st = HS_OK;
	}
	return st;
}

static enum hs_status add_given(struct hs_core_segments *segments, const struct hs_core_plan_limits *limits,
				struct hs_error *err)
{
	const struct hs_core_plan_given *given = limits->given;

	segments->items = reallocarray(NULL, given->count + 1, sizeof(*segments->items));
	if (segments->items == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a core of %zu segments", given->count);
	}
	segments->count = given->count;
	segments->capacity = given->count + 1;
	memcpy(segments->items, given->segments, given->count * sizeof(*segments->items));
	segments->reached = given->reached;
	return given->partial ? HS_ERR_BUDGET : HS_OK;
}

static enum hs_status walk_primary(const struct hs_phys *phys, const struct hs_root *root,
				   const struct hs_core_plan_limits *limits, struct hs_core_segments *segments,
				   struct hs_core_plan_space *space, struct hs_error *err)
{
	enum hs_status st = HS_ERR_BUDGET;

	hs_core_segments_begin(segments, limits->budget.ranges);
	if (limits->given != NULL) {
		return end_space(segments, space, add_given(segments, limits, err));
	}
	if (!limits->anchors_only) {
		st = hs_core_segments_walk(segments, phys, root, 0, 0, limits->budget, err);
	}
	if (st == HS_ERR_BUDGET) {
		space->partial = true;
		space->reached = segments->reached;
		st = hs_core_segments_anchors(segments, phys, root, limits->anchors, limits->anchor_count, err);
	}
	return end_space(segments, space, st);
}

/** All spaces but the primary one share a budget as large as its own, so that they at most double the work. */
static enum hs_status walk_others(const struct hs_phys *phys, const struct hs_core_plan_limits *limits,
				  struct hs_core_segments *segments, struct hs_core_plan *plan, struct hs_error *err)
{
	size_t max = segments->count + HS_CORE_OTHER_SEGMENTS_MAX;
	struct hs_budget each = { .tables = limits->budget.tables / plan->space_count + 1,
				  .ranges = limits->budget.ranges };

	for (size_t i = 0; i < plan->space_count; i++) {
		struct hs_core_plan_space *space = &plan->spaces[i];
		enum hs_status st = HS_ERR_BUDGET;

		if (i == plan->primary) {
			continue;
		}
		hs_core_segments_begin(segments, max);
		if (!limits->primary_only) {
			st = hs_core_segments_walk(segments, phys, &space->root, 0, 0, each, err);
		}
		st = end_space(segments, space, st);
		if (st) {
			return st;
		}
	}
	return HS_OK;
}

/** Step 1. What was found is the plan's even on failure. */
static enum hs_status walk_all(const struct hs_phys *phys, const struct hs_root *root,
			       const struct hs_core_plan_limits *limits, struct hs_core_plan *plan,
			       struct hs_error *err)
{
	struct hs_core_segments segments;
	enum hs_status st = list_spaces(root, limits, plan, err);

	hs_core_segments_init(limits->segment_bytes, &segments);
	st = st ? st : walk_primary(phys, root, limits, &segments, &plan->spaces[plan->primary], err);
	plan->bad_tables = segments.bad_tables;
	plan->unbacked_bytes = segments.unbacked_bytes;
	st = st ? st : walk_others(phys, limits, &segments, plan, err);
	plan->segments = segments.items;
	plan->all_count = segments.count;
	if (st) {
		return st;
	}
	plan->reached = plan->spaces[plan->primary].reached;
	for (size_t i = 0; i < plan->space_count; i++) {
		plan->partial = plan->partial || plan->spaces[i].partial;
	}
	return HS_OK;
}

static int compare_extents(const void *left, const void *right)
{
	const struct hs_core_extent *a = left, *b = right;

	return a->gpa < b->gpa ? -1 : a->gpa > b->gpa;
}

/** Step 2: sort, unite what touches or overlaps, and lay the results end to end. */
static void unite_extents(struct hs_core_plan *plan)
{
	size_t count = 0;

	qsort(plan->extents, plan->extent_count, sizeof(*plan->extents), compare_extents);
	for (size_t i = 0; i < plan->extent_count; i++) {
		const struct hs_core_extent next = plan->extents[i];
		struct hs_core_extent *last = count > 0 ? &plan->extents[count - 1] : NULL;

		if (last != NULL && next.gpa <= last->gpa + last->length) {
			last->length = hs_max_u64(last->length, next.gpa + next.length - last->gpa);
		} else {
			plan->extents[count++] = next;
		}
	}
	plan->extent_count = count;
	plan->data_bytes = 0;
	for (size_t i = 0; i < count; i++) {
		plan->extents[i].offset = plan->data_bytes;
		plan->data_bytes += plan->extents[i].length;
	}
}

/** The index of the extent that contains gpa; every segment's does. */
static size_t find_extent(const struct hs_core_plan *plan, uint64_t gpa)
{
	size_t low = 0, high = plan->extent_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (plan->extents[middle].gpa <= gpa) {
			low = middle;
		} else {
			high = middle;
		}
	}
	return low;
}

/**
 * Cut the data area to its limit: extents behind it go, and so do the segments that need them (step 3 sees to those).
 */
static void limit_data(struct hs_core_plan *plan, uint64_t data_bytes)
{
	if (plan->data_bytes <= data_bytes) {
		return;
	}
	plan->partial = true;
	while (plan->extent_count > 0 && plan->extents[plan->extent_count - 1].offset >= data_bytes) {
		plan->extent_count--;
	}
	plan->data_bytes = 0;
	if (plan->extent_count > 0) {
		struct hs_core_extent *last = &plan->extents[plan->extent_count - 1];

		last->length = hs_min_u64(last->length, hs_align_down(data_bytes - last->offset, HS_PAGE_SIZE));
		plan->data_bytes = last->offset + last->length;
	}
}

/** Where the extents come from: an extent for each segment and each range. */
static enum hs_status list_extents(struct hs_core_plan *plan, const struct hs_core_plan_limits *limits,
				   struct hs_error *err)
{
	/* One too many, so that an empty space is not asked of reallocarray() as zero bytes. */
	plan->extents = reallocarray(NULL, plan->all_count + limits->range_count + 1, sizeof(*plan->extents));
	if (plan->extents == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a core of %zu segments", plan->all_count);
	}
	for (size_t i = 0; i < plan->all_count; i++) {
		const struct hs_core_segment *segment = &plan->segments[i];

		plan->extents[plan->extent_count++] =
			(struct hs_core_extent){ .gpa = segment->gpa.v, .length = segment->length };
	}
	for (size_t i = 0; i < limits->range_count; i++) {
		const struct hs_core_range *range = &limits->ranges[i];

		plan->extents[plan->extent_count++] =
			(struct hs_core_extent){ .gpa = range->gpa.v, .length = range->length };
	}
	return HS_OK;
}

/** Every range is in an extent unless limit_data() took it away. */
static enum hs_status mark_whole(struct hs_core_plan *plan, const struct hs_core_plan_limits *limits,
				 struct hs_error *err)
{
	for (size_t i = 0; i < limits->range_count; i++) {
		const struct hs_core_range *range = &limits->ranges[i];
		size_t index = find_extent(plan, range->gpa.v);

		if (plan->extent_count == 0 || !hs_range_within(range->gpa.v - plan->extents[index].gpa, range->length,
								plan->extents[index].length)) {
			return hs_error_set(err, HS_ERR_RANGE, 0, range->gpa.v,
					    "a core of this class has no room for all of the guest's memory");
		}
		plan->extents[index].whole = true;
	}
	return HS_OK;
}

/** Step 3, of one space. What limit_data() took away is gone from it. */
static void place_segments(struct hs_core_plan *plan, struct hs_core_plan_space *space)
{
	struct hs_core_segment *segments = plan->segments + space->first;
	size_t count = 0;

	for (size_t i = 0; i < space->count && plan->extent_count > 0; i++) {
		struct hs_core_segment segment = segments[i];
		const struct hs_core_extent *extent = &plan->extents[find_extent(plan, segment.gpa.v)];
		uint64_t into = segment.gpa.v - extent->gpa;

		if (hs_range_within(into, segment.length, extent->length)) {
			segment.offset = extent->offset + into;
			segments[count++] = segment;
		}
	}
	space->partial = space->partial || count < space->count;
	space->count = count;
}

static enum hs_status lay_out(const struct hs_core_plan_limits *limits, struct hs_core_plan *plan, struct hs_error *err)
{
	enum hs_status st = list_extents(plan, limits, err);

	if (st) {
		return st;
	}
	unite_extents(plan);
	limit_data(plan, limits->data_bytes);
	st = mark_whole(plan, limits, err);
	for (size_t i = 0; i < plan->space_count && !st; i++) {
		place_segments(plan, &plan->spaces[i]);
	}
	plan->segment_count = plan->spaces[plan->primary].count;
	return st;
}

enum hs_status hs_core_plan_init(const struct hs_phys *phys, const struct hs_root *root,
				 const struct hs_core_plan_limits *limits, struct hs_core_plan *ret,
				 struct hs_error *err)
{
	struct hs_core_plan plan = { 0 };
	enum hs_status st = walk_all(phys, root, limits, &plan, err);

	st = st ? st : lay_out(limits, &plan, err);
	if (st) {
		hs_core_plan_deinit(&plan);
		return st;
	}
	*ret = plan;
	return HS_OK;
}

void hs_core_plan_deinit(struct hs_core_plan *plan)
{
	free(plan->segments);
	free(plan->spaces);
	free(plan->extents);
	*plan = (struct hs_core_plan){ 0 };
}
