/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Physical to virtual: every place at which any of several roots maps some memory. There is no index to ask, so each
 * address space is walked whole, shared tables again for each path to them: each path is an address that counts.
 */
#include "paging/leaves.h"

#include <hindsight/spaces.h>

#include "base/arith.h"
#include "base/error.h"

/* Walk the current root with the tables that the roots before it left over. */
static void start_space(struct hs_reverse *reverse, uint64_t tables)
{
	struct hs_budget budget = { .tables = tables, .ranges = UINT64_MAX };

	if (reverse->space < reverse->count) {
		hs_iter_init(&reverse->iter, reverse->phys, &reverse->roots[reverse->space], hs_gva_of(0), 0, budget);
	}
}

void hs_reverse_init(struct hs_reverse *reverse, const struct hs_phys *phys, const struct hs_root *roots,
		     uint32_t count, hs_gpa gpa, uint64_t length, struct hs_budget budget)
{
	reverse->space = 0;
	reverse->phys = phys;
	reverse->roots = roots;
	reverse->count = count;
	reverse->first = gpa.v;
	reverse->ranges_left = budget.ranges;
	reverse->has_pending = false;
	if (length == 0 || !hs_add_u64(gpa.v, length - 1, &reverse->last)) {
		reverse->last = UINT64_MAX;
	}
	start_space(reverse, budget.tables);
}

/* Cut a mapped range to the memory that is looked for; false when it has none of it. */
static bool clip(const struct hs_reverse *reverse, struct hs_range *range)
{
	uint64_t last = range->gpa.v + (range->length - 1);
	uint64_t skipped = reverse->first > range->gpa.v ? reverse->first - range->gpa.v : 0;

	if (range->kind != HS_RANGE_MAPPED || range->gpa.v > reverse->last || last < reverse->first) {
		return false;
	}
	range->start.v += skipped;
	range->gpa.v += skipped;
	range->length = hs_min_u64(last, reverse->last) - range->gpa.v + 1;
	return true;
}

static enum hs_status give_out(struct hs_reverse *reverse, struct hs_reverse_item *ret, struct hs_error *err)
{
	const struct hs_reverse_item *item = &reverse->pending;

	if (reverse->ranges_left == 0) {
		return hs_error_set(err, HS_ERR_BUDGET, 0, item->range.start.v,
				    "the search of the page tables stopped at 0x%llx of root %u: its budget of ranges "
				    "is used up",
				    (unsigned long long)item->range.start.v, (unsigned int)item->space);
	}
	reverse->ranges_left--;
	reverse->has_pending = false;
	*ret = *item;
	return HS_OK;
}

enum hs_status hs_reverse_next(struct hs_reverse *reverse, struct hs_reverse_item *ret, struct hs_error *err)
{
	/* An item that there is no budget for stays pending, so that every later call ends here too. */
	while (!reverse->has_pending && reverse->space < reverse->count) {
		enum hs_status st;

		hs_iter_skip(&reverse->iter, reverse->first, reverse->last);
		st = hs_iter_next(&reverse->iter, &reverse->pending.range, err);

		if (st == HS_ERR_NOT_FOUND) {
			reverse->space++;
			start_space(reverse, reverse->iter.walk.tables_left);
			continue;
		}
		if (st) {
			return st;
		}
		reverse->pending.space = reverse->space;
		reverse->has_pending = clip(reverse, &reverse->pending.range);
	}
	return reverse->has_pending ? give_out(reverse, ret, err) : HS_ERR_NOT_FOUND;
}
