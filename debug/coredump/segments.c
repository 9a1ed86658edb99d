/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Segments of address spaces. See segments.h. */
#include "coredump/segments.h"

#include "base/arith.h"
#include "base/error.h"

#include <stdlib.h>

void hs_core_segments_init(uint64_t segment_bytes, struct hs_core_segments *ret)
{
	*ret = (struct hs_core_segments){ .segment_bytes = segment_bytes };
}

void hs_core_segments_deinit(struct hs_core_segments *segments)
{
	free(segments->items);
	*segments = (struct hs_core_segments){ 0 };
}

void hs_core_segments_begin(struct hs_core_segments *segments, size_t max)
{
	segments->first = segments->count;
	segments->max = max;
}

/** Room for one more segment. Doubling from 64 keeps the copying below the cost of the walk. */
static enum hs_status reserve(struct hs_core_segments *segments, struct hs_error *err)
{
	if (segments->count < segments->capacity) {
		return HS_OK;
	}
	size_t capacity = segments->capacity == 0 ? 64 : segments->capacity * 2;
	struct hs_core_segment *larger = reallocarray(segments->items, capacity, sizeof(*larger));

	if (larger == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a core of more than %zu segments",
				    segments->count);
	}
	segments->items = larger;
	segments->capacity = capacity;
	return HS_OK;
}

/** True when the piece was joined to the last segment. */
static bool join_piece(struct hs_core_segments *segments, uint64_t gva, uint64_t gpa, uint64_t length, int prot)
{
	if (segments->count == segments->first) {
		return false;
	}
	struct hs_core_segment *last = &segments->items[segments->count - 1];

	if (last->prot != prot || last->start.v + last->length != gva || last->gpa.v + last->length != gpa ||
	    length > segments->segment_bytes - last->length) {
		return false;
	}
	last->length += length;
	last->stored_length = last->length;
	return true;
}

/** Add one backed piece; longer ones than a segment may be become several. */
static enum hs_status add_piece(struct hs_core_segments *segments, uint64_t gva, uint64_t gpa, uint64_t length,
				int prot, struct hs_error *err)
{
	if (join_piece(segments, gva, gpa, length, prot)) {
		return HS_OK;
	}
	while (length > 0) {
		uint64_t part = hs_min_u64(length, segments->segment_bytes);

		if (segments->count >= segments->max) {
			return HS_ERR_BUDGET;
		}
		enum hs_status st = reserve(segments, err);

		if (st) {
			return st;
		}
		segments->items[segments->count++] = (struct hs_core_segment){
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
static enum hs_status add_range(struct hs_core_segments *segments, const struct hs_phys *phys,
				const struct hs_range *range, struct hs_error *err)
{
	uint64_t last_gpa = range->gpa.v + (range->length - 1); /* a length of 0 is 2^64: ends at 2^64 - 1 */
	uint64_t at = range->gpa.v;

	for (;;) {
		uint64_t first, last;

		if (!next_backed(phys, at, &first, &last) || first > last_gpa) {
			segments->unbacked_bytes += last_gpa - at + 1;
			return HS_OK;
		}
		segments->unbacked_bytes += first - at;
		last = hs_min_u64(last, last_gpa);
		/* The whole of a 2^64 range cannot be backed: physical addresses have 52 bits. */
		enum hs_status st = add_piece(segments, range->start.v + (first - range->gpa.v), first,
					      last - first + 1, range->prot, err);

		if (st || last == last_gpa) {
			return st;
		}
		at = last + 1;
	}
}

enum hs_status hs_core_segments_walk(struct hs_core_segments *segments, const struct hs_phys *phys,
				     const struct hs_root *root, uint64_t start, uint64_t length,
				     struct hs_budget budget, struct hs_error *err)
{
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
			segments->reached = stop.where;
			return HS_ERR_BUDGET;
		}
		if (range.kind == HS_RANGE_UNREADABLE || range.kind == HS_RANGE_RESERVED) {
			segments->bad_tables++;
		}
		if (range.kind != HS_RANGE_MAPPED) {
			continue;
		}
		st = add_range(segments, phys, &range, err);
		if (st) {
			segments->reached = range.start.v;
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
static enum hs_status walk_anchor(struct hs_core_segments *segments, const struct hs_phys *phys,
				  const struct hs_root *root, uint64_t anchor, struct hs_error *err)
{
	const struct hs_budget budget = { .tables = HS_CORE_ANCHOR_TABLES, .ranges = HS_CORE_ANCHOR_RANGES };
	uint64_t start = anchor - hs_min_u64(anchor, HS_CORE_ANCHOR_BYTES);
	uint64_t end;

	if (segments->count > segments->first) {
		const struct hs_core_segment *last = &segments->items[segments->count - 1];
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
	segments->max = segments->count + HS_CORE_ANCHOR_RANGES;
	enum hs_status st = hs_core_segments_walk(segments, phys, root, start, length, budget, err);

	return st == HS_ERR_BUDGET ? HS_OK : st;
}

enum hs_status hs_core_segments_anchors(struct hs_core_segments *segments, const struct hs_phys *phys,
					const struct hs_root *root, const uint64_t *anchors, size_t count,
					struct hs_error *err)
{
	uint64_t reached = segments->reached;
	uint64_t sorted[HS_CORE_ANCHORS_MAX];

	count = count < HS_CORE_ANCHORS_MAX ? count : HS_CORE_ANCHORS_MAX;
	for (size_t i = 0; i < count; i++) {
		sorted[i] = hs_align_down(anchors[i], HS_PAGE_SIZE);
	}
	qsort(sorted, count, sizeof(*sorted), compare_addresses);
	for (size_t i = 0; i < count; i++) {
		enum hs_status st = walk_anchor(segments, phys, root, sorted[i], err);

		if (st) {
			return st;
		}
	}
	segments->reached = reached; /* the walks above may have run out of theirs */
	return HS_OK;
}
