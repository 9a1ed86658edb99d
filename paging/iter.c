/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An address space in ascending order, by the pages of a table or by ranges. Both come of the same steps: what is next
 * is brought to hand, the pages of one table or one other range; hs_iter_pages() gives it out as it is, hs_iter_next()
 * makes ranges of it, of which one that ends with its table may go on in the next.
 *
 * The table budget bounds the work, whatever the tables say: a table has at most 1024 entries, and each is looked at
 * once a visit. The range budget bounds what a caller that collects ranges has to keep.
 */
#include "paging/leaves.h"

#include "base/arith.h"
#include "base/error.h"
#include "paging/range.h"

struct hs_budget hs_budget_default(void)
{
	return (struct hs_budget){ .tables = UINT64_C(1) << 20, .ranges = UINT64_C(1) << 20 };
}

void hs_iter_init(struct hs_iter *iter, const struct hs_phys *phys, const struct hs_root *root, hs_gva start,
		  uint64_t length, struct hs_budget budget)
{
	hs_walk_init(&iter->walk, phys, root, budget.tables, true);
	iter->first = start.v;
	iter->at = start.v;
	if (length == 0 || !hs_add_u64(start.v, length - 1, &iter->last)) {
		iter->last = UINT64_MAX;
	}
	iter->done = false;
	iter->exhausted = false;
	iter->has_other = false;
	iter->ranges_left = budget.ranges;
	iter->leaves.next = 0;
	iter->leaves.count = 0;
}

/* Step over the next length bytes. */
static void advance(struct hs_iter *iter, uint64_t length)
{
	iter->done = length - 1 >= iter->last - iter->at;
	iter->at += length;
}

/* Bring what is next to hand: leaves, or the other range. False at the end and out of tables. */
static bool look_further(struct hs_iter *iter)
{
	uint64_t length;

	while (!iter->done && !iter->exhausted) {
		if (hs_walk_leaves(&iter->walk, iter->at, iter->last, HS_PAGING_LEVELS_MAX, &iter->leaves, &iter->other,
				   &length) != HS_WALK_FOUND) {
			iter->exhausted = true;
			break;
		}
		advance(iter, length);
		iter->has_other = !hs_range_is_nothing(&iter->other);
		if (iter->leaves.count > 0 || iter->has_other) {
			return true;
		}
	}
	return false;
}

static inline bool look(struct hs_iter *iter)
{
	return iter->leaves.next < iter->leaves.count || iter->has_other || look_further(iter);
}

static enum hs_status out_of_budget(const char *what, uint64_t where, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_BUDGET, 0, where,
			    "the walk of the page tables stopped at 0x%llx: its budget of %s is used up",
			    (unsigned long long)where, what);
}

/* How the walk has ended when there is nothing at hand, or no budget for it. */
static enum hs_status how_ended(const struct hs_iter *iter, bool at_hand, struct hs_error *err)
{
	uint64_t where = iter->other.start.v;

	if (!at_hand) {
		return iter->exhausted ? out_of_budget("tables", iter->at, err) : HS_ERR_NOT_FOUND;
	}
	if (!iter->has_other) {
		where = hs_max_u64(hs_leaves_gva(&iter->leaves, iter->leaves.next), iter->first);
	}
	return out_of_budget("ranges", where, err);
}

/* Cut a range to what is wanted: of the first and of the last page of all it may be a part. */
static void cut(const struct hs_iter *iter, struct hs_range *range)
{
	if (range->start.v < iter->first) {
		uint64_t skipped = iter->first - range->start.v;

		range->start.v += skipped;
		range->gpa.v += skipped;
		range->length -= skipped;
	}
	if (range->length - 1 > iter->last - range->start.v) {
		range->length = iter->last - range->start.v + 1;
	}
}

/* Let a range that ends with its table grow by the pages of the next one. */
static bool go_on(struct hs_iter *iter, struct hs_range *range)
{
	struct hs_range next;
	uint32_t count;

	if (!look(iter) || iter->has_other) {
		return false;
	}
	count = hs_leaves_run(&iter->leaves, 0);
	hs_leaves_range(&iter->leaves, iter->leaves.next, count, &next);
	cut(iter, &next);
	if (!hs_range_merge(range, &next)) {
		return false;
	}
	iter->leaves.next += count;
	return true;
}

enum hs_status hs_iter_next(struct hs_iter *iter, struct hs_range *ret, struct hs_error *err)
{
	bool at_hand = look(iter);
	uint32_t count;

	if (!at_hand || iter->ranges_left == 0) {
		return how_ended(iter, at_hand, err);
	}
	iter->ranges_left--;
	if (iter->has_other) {
		*ret = iter->other;
		iter->has_other = false;
		return HS_OK;
	}
	count = hs_leaves_run(&iter->leaves, 0);
	hs_leaves_range(&iter->leaves, iter->leaves.next, count, ret);
	cut(iter, ret);
	iter->leaves.next += count;
	while (iter->leaves.next == iter->leaves.count && go_on(iter, ret)) {
	}
	return HS_OK;
}

/* Instead of the one range that there is without paging, some of its pages. */
static void make_flat(struct hs_iter *iter)
{
	iter->has_other = false;
	iter->at = iter->other.start.v;
	hs_leaves_flat(&iter->leaves, &iter->other);
	advance(iter, iter->leaves.reach + (uint64_t)iter->leaves.count * HS_PAGE_SIZE - iter->at);
}

enum hs_status hs_iter_pages(struct hs_iter *iter, struct hs_pages *ret, struct hs_error *err)
{
	struct hs_leaves *leaves = &iter->leaves;
	bool at_hand = look(iter);

	if (!at_hand || iter->ranges_left == 0) {
		return how_ended(iter, at_hand, err);
	}
	if (iter->has_other && iter->other.kind == HS_RANGE_MAPPED) {
		make_flat(iter);
	}
	if (iter->has_other) {
		iter->ranges_left--;
		iter->has_other = false;
		ret->first = iter->other;
		ret->count = 0;
		return HS_OK;
	}
	hs_leaves_range(leaves, leaves->next, 1, &ret->first);
	ret->count = (uint32_t)hs_min_u64(hs_leaves_alike(leaves), iter->ranges_left);
	ret->shift = leaves->shift;
	ret->reach = leaves->reach;
	ret->address = leaves->address;
	ret->index = leaves->index + leaves->next;
	ret->entry = leaves->entry + leaves->next;
	iter->ranges_left -= ret->count;
	leaves->next += ret->count;
	return HS_OK;
}

void hs_iter_skip(struct hs_iter *iter, uint64_t first, uint64_t last)
{
	struct hs_leaves *leaves = &iter->leaves;

	while (look(iter) && !iter->has_other) {
		uint64_t inside = (UINT64_C(1) << leaves->shift) - 1;

		for (; leaves->next < leaves->count; leaves->next++) {
			uint64_t gpa = leaves->entry[leaves->next] & leaves->address;

			if (gpa <= last && gpa + inside >= first) {
				return;
			}
		}
	}
}
