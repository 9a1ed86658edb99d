/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the ranges of a root to segments and extents:
 *
 *   1. walk the root; cut each mapped range to what physical memory backs; join a piece to the one before it when gva
 *      and gpa both go on and the permissions are equal (the walk keeps apart what differs in accessed or dirty bits);
 *   2. sort the pieces' physical ranges and unite them: these are the extents, and their lengths add up to offsets;
 *      Ranges that are wanted whole are extents as well;
 *   3. each segment lies within one extent: its offset follows from its gpa. Aliases come out with equal offsets.
 *
 * Segments are joined only where gpa goes on, not where merely the data area would: p_paddr holds for every byte.
 */
#include "coredump/plan.h"

#include "base/arith.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/** The array of segments while it grows. */
struct growth {
	struct hs_core_plan *plan;
	size_t capacity;
	uint64_t segment_bytes;
	size_t segment_max;
};

/** Room for one more segment. Doubling from 64 keeps the copying below the cost of the walk. */
static enum hs_status reserve_segment(struct growth *growth, struct hs_error *err)
{
	struct hs_core_plan *plan = growth->plan;

	if (plan->segment_count < growth->capacity) {
		return HS_OK;
	}
	size_t capacity = growth->capacity == 0 ? 64 : growth->capacity * 2;
	struct hs_core_segment *larger = reallocarray(plan->segments, capacity, sizeof(*larger));

	if (larger == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a core of more than %zu segments",
				    plan->segment_count);
	}
	plan->segments = larger;
	growth->capacity = capacity;
	return HS_OK;
}

/** True when the piece was joined to the last segment. */
static bool join_piece(struct growth *growth, uint64_t gva, uint64_t gpa, uint64_t length, int prot)
{
	struct hs_core_plan *plan = growth->plan;

	if (plan->segment_count == 0) {
		return false;
	}
	struct hs_core_segment *last = &plan->segments[plan->segment_count - 1];

	if (last->prot != prot || last->start.v + last->length != gva || last->gpa.v + last->length != gpa ||
	    length > growth->segment_bytes - last->length) {
		return false;
	}
	last->length += length;
	last->stored_length = last->length;
	return true;
}

/** Add one backed piece; longer ones than a segment may be become several. */
static enum hs_status add_piece(struct growth *growth, uint64_t gva, uint64_t gpa, uint64_t length, int prot,
				struct hs_error *err)
{
	struct hs_core_plan *plan = growth->plan;

	if (join_piece(growth, gva, gpa, length, prot)) {
		return HS_OK;
	}
	while (length > 0) {
		uint64_t part = hs_min_u64(length, growth->segment_bytes);

		if (plan->segment_count >= growth->segment_max) {
			return HS_ERR_BUDGET;
		}
		enum hs_status st = reserve_segment(growth, err);

		if (st) {
			return st;
		}
		plan->segments[plan->segment_count++] = (struct hs_core_segment){
			.start = hs_gva_of(gva),
			.length = part,
			.gpa = hs_gpa_of(gpa),
			.stored_length = part,
			.prot = prot,
		};
		gva += part;
		gpa += part;
		length -= part;
	}
	return HS_OK;
}

/**
 * The first whole pages at or after gpa that physical memory backs, as an inclusive range; false when there are none.
 */
static bool next_backed(const struct hs_phys *phys, uint64_t gpa, uint64_t *ret_first, uint64_t *ret_last)
{
	hs_gpa start;
	uint64_t length;

	if (!phys->ops->next_region(phys->ctx, hs_gpa_of(gpa), &start, &length) || length == 0) {
		return false;
	}
	uint64_t last = start.v + (length - 1);

	if (last < start.v) {
		last = UINT64_MAX;
	}
	*ret_first = hs_max_u64(gpa, hs_align_down(start.v, HS_PAGE_SIZE));
	*ret_last = last | (HS_PAGE_SIZE - 1);
	return *ret_last > *ret_first;
}

/** Add what is backed of a mapped range. */
static enum hs_status add_range(struct growth *growth, const struct hs_phys *phys, const struct hs_range *range,
				struct hs_error *err)
{
	uint64_t last_gpa = range->gpa.v + (range->length - 1); /* a length of 0 is 2^64: ends at 2^64 - 1 */
	uint64_t at = range->gpa.v;

	for (;;) {
		uint64_t first, last;

		if (!next_backed(phys, at, &first, &last) || first > last_gpa) {
			growth->plan->unbacked_bytes += last_gpa - at + 1;
			return HS_OK;
		}
		growth->plan->unbacked_bytes += first - at;
		last = hs_min_u64(last, last_gpa);
		/* The whole of a 2^64 range cannot be backed: physical addresses have 52 bits. */
		enum hs_status st = add_piece(growth, range->start.v + (first - range->gpa.v), first, last - first + 1,
					      range->prot, err);

		if (st || last == last_gpa) {
			return st;
		}
		at = last + 1;
	}
}

/** Add a part of the space (length 0: to its end). HS_ERR_BUDGET (plan->reached is set) leaves what was found. */
static enum hs_status walk(struct growth *growth, const struct hs_phys *phys, const struct hs_root *root,
			   uint64_t start, uint64_t length, struct hs_budget budget, struct hs_error *err)
{
	struct hs_core_plan *plan = growth->plan;
	struct hs_error stop = { 0 };
	struct hs_iter iter;

	hs_iter_init(&iter, phys, root, hs_gva_of(start), length, budget);
	for (;;) {
		struct hs_range range;
		enum hs_status st = hs_iter_next(&iter, &range, &stop);

		if (st == HS_ERR_NOT_FOUND) {
			return HS_OK;
		}
		if (st) {
			plan->reached = stop.where;
			return HS_ERR_BUDGET;
		}
		if (range.kind == HS_RANGE_UNREADABLE || range.kind == HS_RANGE_RESERVED) {
			plan->bad_tables++;
		}
		if (range.kind != HS_RANGE_MAPPED) {
			continue;
		}
		st = add_range(growth, phys, &range, err);
		if (st) {
			plan->reached = range.start.v;
			return st;
		}
	}
}

static int compare_addresses(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

/** Add the surroundings of one anchor, as far as they lie behind all segments, so that these stay ascending. */
static enum hs_status walk_anchor(struct growth *growth, const struct hs_phys *phys, const struct hs_root *root,
				  uint64_t anchor, struct hs_error *err)
{
	const struct hs_budget budget = { .tables = HS_CORE_ANCHOR_TABLES, .ranges = HS_CORE_ANCHOR_RANGES };
	const struct hs_core_plan *plan = growth->plan;
	uint64_t start = anchor - hs_min_u64(anchor, HS_CORE_ANCHOR_BYTES);
	uint64_t end;

	if (plan->segment_count > 0) {
		const struct hs_core_segment *last = &plan->segments[plan->segment_count - 1];
		uint64_t behind;

		if (!hs_add_u64(last->start.v, last->length, &behind)) {
			return HS_OK; /* that one ends at 2^64 */
		}
		start = hs_max_u64(start, behind);
	}
	uint64_t length = hs_add_u64(anchor, HS_CORE_ANCHOR_BYTES, &end) ? end - start : 0; /* 0: to the end */

	if (length != 0 && end <= start) {
		return HS_OK;
	}
	growth->segment_max = plan->segment_count + HS_CORE_ANCHOR_RANGES;
	enum hs_status st = walk(growth, phys, root, start, length, budget, err);

	return st == HS_ERR_BUDGET ? HS_OK : st;
}

/**
 * Step 1 after the budget ran out: a guest whose tables have no end (a table that refers to itself) shall still have
 * its code and its stack in the core.
 */
static enum hs_status walk_anchors(struct growth *growth, const struct hs_phys *phys, const struct hs_root *root,
				   const struct hs_core_plan_limits *limits, struct hs_error *err)
{
	uint64_t reached = growth->plan->reached;
	uint64_t anchors[HS_CORE_ANCHORS_MAX];
	size_t count = limits->anchor_count < HS_CORE_ANCHORS_MAX ? limits->anchor_count : HS_CORE_ANCHORS_MAX;

	for (size_t i = 0; i < count; i++) {
		anchors[i] = hs_align_down(limits->anchors[i], HS_PAGE_SIZE);
	}
	qsort(anchors, count, sizeof(*anchors), compare_addresses);
	for (size_t i = 0; i < count; i++) {
		enum hs_status st = walk_anchor(growth, phys, root, anchors[i], err);

		if (st) {
			return st;
		}
	}
	growth->plan->reached = reached; /* the walks above may have run out of theirs */
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
	plan->extents = reallocarray(NULL, plan->segment_count + limits->range_count + 1, sizeof(*plan->extents));
	if (plan->extents == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a core of %zu segments",
				    plan->segment_count);
	}
	for (size_t i = 0; i < plan->segment_count; i++) {
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

/** Step 3. */
static void place_segments(struct hs_core_plan *plan)
{
	size_t count = 0;

	for (size_t i = 0; i < plan->segment_count; i++) {
		struct hs_core_segment segment = plan->segments[i];

		if (plan->extent_count == 0) {
			break;
		}
		const struct hs_core_extent *extent = &plan->extents[find_extent(plan, segment.gpa.v)];
		uint64_t into = segment.gpa.v - extent->gpa;

		if (!hs_range_within(into, segment.length, extent->length)) {
			continue; /* limit_data() took it away */
		}
		segment.offset = extent->offset + into;
		plan->segments[count++] = segment;
	}
	plan->segment_count = count;
}

enum hs_status hs_core_plan_init(const struct hs_phys *phys, const struct hs_root *root,
				 const struct hs_core_plan_limits *limits, struct hs_core_plan *ret,
				 struct hs_error *err)
{
	struct hs_core_plan plan = { 0 };
	struct growth growth = { .plan = &plan,
				 .segment_bytes = limits->segment_bytes,
				 .segment_max = limits->budget.ranges };
	enum hs_status st = walk(&growth, phys, root, 0, 0, limits->budget, err);

	if (st == HS_ERR_BUDGET) {
		plan.partial = true;
		st = walk_anchors(&growth, phys, root, limits, err);
	}
	if (st) {
		hs_core_plan_deinit(&plan);
		return st;
	}
	st = list_extents(&plan, limits, err);
	if (st) {
		hs_core_plan_deinit(&plan);
		return st;
	}
	unite_extents(&plan);
	limit_data(&plan, limits->data_bytes);
	st = mark_whole(&plan, limits, err);
	if (st) {
		hs_core_plan_deinit(&plan);
		return st;
	}
	place_segments(&plan);
	*ret = plan;
	return HS_OK;
}

void hs_core_plan_deinit(struct hs_core_plan *plan)
{
	free(plan->segments);
	free(plan->extents);
	*plan = (struct hs_core_plan){ 0 };
}
