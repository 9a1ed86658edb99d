/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ranges of an address space in ascending order. A lookup for the next address, the run of entries behind it that go on
 * the same way, then the merge with what came before: so a hole costs one step at the level where it is found, and a
 * table of contiguous pages costs one range and a comparison an entry.
 *
 * The table budget bounds the work, whatever the tables say: a table has at most 1024 entries, and each is looked at
 * once a visit. The range budget bounds what a caller that collects ranges has to keep.
 */
#include "paging/walk.h"

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
	iter->at = start.v;
	if (length == 0 || !hs_add_u64(start.v, length - 1, &iter->last)) {
		iter->last = UINT64_MAX;
	}
	iter->done = false;
	iter->exhausted = false;
	iter->ranges_left = budget.ranges;
	iter->has_pending = false;
}

/* Cut a range that contains iter->at to [iter->at, iter->last]. */
static void clip(const struct hs_iter *iter, struct hs_range *range)
{
	uint64_t skipped = iter->at - range->start.v;

	range->start.v += skipped;
	range->length -= skipped;
	if (range->kind == HS_RANGE_MAPPED) {
		range->gpa.v += skipped;
	}
	if (range->length - 1 > iter->last - iter->at) {
		range->length = iter->last - iter->at + 1;
	}
}

/* The next range of any kind, and step over it; false at the end and when the table budget is used up. */
static bool advance(struct hs_iter *iter, struct hs_range *ret)
{
	if (iter->done || iter->exhausted) {
		return false;
	}
	if (!hs_walk_find(&iter->walk, iter->at, ret)) {
		iter->exhausted = true;
		return false;
	}
	hs_walk_extend(&iter->walk, ret);
	clip(iter, ret);
	iter->done = ret->length - 1 == iter->last - iter->at;
	iter->at += ret->length;
	return true;
}

static enum hs_status out_of_budget(const char *what, uint64_t where, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_BUDGET, 0, where,
			    "the walk of the page tables stopped at 0x%llx: its budget of %s is used up",
			    (unsigned long long)where, what);
}

static enum hs_status give_out(struct hs_iter *iter, struct hs_range *ret, struct hs_error *err)
{
	if (iter->ranges_left == 0) {
		return out_of_budget("ranges", iter->pending.start.v, err);
	}
	iter->ranges_left--;
	*ret = iter->pending;
	return HS_OK;
}

enum hs_status hs_iter_next(struct hs_iter *iter, struct hs_range *ret, struct hs_error *err)
{
	struct hs_range next;
	enum hs_status st;

	/* A pending range that there is no budget for stays pending, so that every later call ends here too. */
	if (iter->has_pending && iter->ranges_left == 0) {
		return give_out(iter, ret, err);
	}
	while (advance(iter, &next)) {
		if (hs_range_is_nothing(&next) || (iter->has_pending && hs_range_merge(&iter->pending, &next))) {
			continue;
		}
		if (!iter->has_pending) {
			iter->pending = next;
			iter->has_pending = true;
			continue;
		}
		st = give_out(iter, ret, err);
		if (!st) {
			iter->pending = next;
		}
		return st;
	}
	if (iter->has_pending) {
		st = give_out(iter, ret, err);
		iter->has_pending = st != HS_OK;
		return st;
	}
	if (iter->exhausted) {
		return out_of_budget("tables", iter->at, err);
	}
	return HS_ERR_NOT_FOUND;
}
