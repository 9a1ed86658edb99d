/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * In four passes: find all tables and ranges; note for each page who maps it and how; give small pages and tables
 * their places in the order in which they are found, so that neighbours in a space become neighbours in memory; then
 * large pages, behind the small ones, so that at most one gap per part comes from their alignment.
 */
#include "snapshot/plan.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <hindsight/spaces.h>

#include <errno.h>
#include <stdlib.h>

/* Of the storage for tables seen, at first; doubled until the walk has room. */
#define FIRST_TABLES 1024

static enum hs_status no_memory(struct hs_error *err)
{
	return hs_error_os(err, ENOMEM, "cannot plan the snapshot");
}

/* Room for one more in an array that doubles: count is a power of two when it is full. */
static bool grow(void **array, size_t count, size_t size)
{
	void *bigger;

	if (count & (count - 1)) {
		return true;
	}
	bigger = reallocarray(*array, count ? 2 * count : 1, size);
	if (!bigger) {
		return false;
	}
	*array = bigger;
	return true;
}

static enum hs_status add_piece(struct hs_plan *plan, const struct hs_space_item *item, uint64_t start, uint64_t end,
				struct hs_error *err)
{
	if (start >= end) {
		return HS_OK;
	}
	if (!grow((void **)&plan->ranges, plan->range_count, sizeof(*plan->ranges))) {
		return no_memory(err);
	}
	plan->ranges[plan->range_count++] = (struct hs_plan_range){
		.gva = item->gva.v + start,
		.gpa = item->range.gpa.v + start,
		.length = end - start,
		.page_bytes = item->range.page_bytes,
		.space = item->space,
		.writable = (item->prot & HS_PROT_WRITE) || (plan->input->cow && item->range.cow),
		.tagged = !item->range.cow && (item->range.leaf & HS_LEAF_AVL),
	};
	return HS_OK;
}

/* The range but what of it is the window: pages of it that begin and end there. */
static enum hs_status add_range(struct hs_plan *plan, const struct hs_space_item *item, struct hs_error *err)
{
	const struct hs_compact_input *input = plan->input;
	uint64_t page = item->range.page_bytes;
	uint64_t window = input->scratch_gva.v;
	uint64_t from = window > item->gva.v ? window - item->gva.v : 0;
	uint64_t to = hs_min_u64(item->length, window + input->scratch_bytes - item->gva.v);
	enum hs_status st;

	/* Behind the window, or before it. */
	if (item->gva.v - window >= input->scratch_bytes && from >= item->length) {
		return add_piece(plan, item, 0, item->length, err);
	}
	from = (from + page - 1) / page * page;
	to = to / page * page;
	if (from >= to || !hs_plan_is_window(input, item->gva.v + from, item->range.gpa.v + from, page)) {
		return add_piece(plan, item, 0, item->length, err);
	}
	st = add_piece(plan, item, 0, from, err);
	return st ? st : add_piece(plan, item, to, item->length, err);
}

static enum hs_status add_table(struct hs_plan *plan, const struct hs_space_item *item, struct hs_error *err)
{
	if (!grow((void **)&plan->tables, plan->table_count, sizeof(*plan->tables))) {
		return no_memory(err);
	}
	plan->tables[plan->table_count++] = (struct hs_plan_table){
		.table = item->table.v,
		.gva = item->gva.v,
		.space = item->space,
		.depth = item->depth,
	};
	return HS_OK;
}

static enum hs_status add_item(struct hs_plan *plan, const struct hs_space_item *item, struct hs_error *err)
{
	if (item->kind == HS_SPACE_TABLE) {
		return add_table(plan, item, err);
	}
	if (item->kind == HS_SPACE_ALIAS || item->range.kind == HS_RANGE_RESERVED) {
		return HS_OK;
	}
	if (item->range.kind == HS_RANGE_UNREADABLE) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, item->range.gpa.v,
				    "the page table at 0x%llx, for address 0x%llx of space %u, is not in the guest's "
				    "memory",
				    (unsigned long long)item->range.gpa.v, (unsigned long long)item->gva.v,
				    (unsigned int)item->space);
	}
	return add_range(plan, item, err);
}

/* All tables and ranges, with storage for so many tables; HS_ERR_BUDGET when those or the budget don't do. */
static enum hs_status find_with(struct hs_plan *plan, const struct hs_budget *budget, struct hs_error *err)
{
	const struct hs_compact_input *input = plan->input;
	size_t place_count = (size_t)budget->tables * 2;
	HS_FREE struct hs_space_place *places = reallocarray(NULL, place_count, sizeof(*places));
	struct hs_spaces spaces;
	struct hs_space_item item;
	enum hs_status st;

	if (!places) {
		return no_memory(err);
	}
	plan->range_count = 0;
	plan->table_count = 0;
	hs_spaces_init(&spaces, input->phys, input->roots, input->root_count, places, place_count, *budget);
	while (!(st = hs_spaces_next(&spaces, &item, err))) {
		st = add_item(plan, &item, err);
		if (st) {
			return st;
		}
	}
	return st == HS_ERR_NOT_FOUND ? HS_OK : st;
}

static enum hs_status find(struct hs_plan *plan, struct hs_error *err)
{
	struct hs_budget whole = plan->input->budget;
	struct hs_budget part;
	enum hs_status st;

	if (whole.tables == 0 && whole.ranges == 0) {
		whole = hs_budget_default();
	}
	part = whole;
	part.tables = hs_min_u64(whole.tables, FIRST_TABLES);
	while ((st = find_with(plan, &part, err)) == HS_ERR_BUDGET && part.tables < whole.tables) {
		part.tables = hs_min_u64(whole.tables, 4 * part.tables);
	}
	return st;
}

static enum hs_status unreadable(const struct hs_plan_range *range, uint64_t at, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_UNREADABLE, 0, range->gpa + at,
			    "address 0x%llx of space %u is mapped to 0x%llx, where the guest has no memory",
			    (unsigned long long)(range->gva + at), (unsigned int)range->space,
			    (unsigned long long)(range->gpa + at));
}

static uint64_t one_more_leaf(uint64_t word)
{
	return (word & HS_FRAME_LEAVES) == 2 ? word : word + 1;
}

/* Who maps each page of the range. */
static enum hs_status mark_range(struct hs_plan *plan, const struct hs_plan_range *range, struct hs_error *err)
{
	uint64_t known = (range->writable ? HS_FRAME_WRITTEN : 0) | (range->tagged ? HS_FRAME_PLAIN : 0) |
			 (range->page_bytes > HS_PAGE_SIZE ? HS_FRAME_LARGE : 0);

	for (uint64_t at = 0; at < range->length;) {
		uint64_t pages;
		uint64_t *word = hs_frames_find(&plan->frames, range->gpa + at, &pages);

		if (!word) {
			return unreadable(range, at, err);
		}
		pages = hs_min_u64(pages, (range->length - at) / HS_PAGE_SIZE);
		for (uint64_t i = 0; i < pages; i++) {
			word[i] = one_more_leaf(word[i]) | known;
		}
		at += pages * HS_PAGE_SIZE;
	}
	return HS_OK;
}

/* The pages of a range that is kept as it is. */
static void mark_kept(struct hs_plan *plan, const struct hs_plan_kept *kept)
{
	const struct hs_compact_input *input = plan->input;
	uint64_t first = hs_align_down(kept->gva.v, HS_PAGE_SIZE);
	uint64_t last = kept->gva.v + (kept->length - 1);

	for (uint64_t at = first; kept->length > 0 && at - first <= last - first; at += HS_PAGE_SIZE) {
		struct hs_range range;
		uint64_t pages;
		uint64_t *word;

		hs_translate(input->phys, &input->roots[input->current], hs_gva_of(at), &range);
		word = range.kind == HS_RANGE_MAPPED
			       ? hs_frames_find(&plan->frames, range.gpa.v + (at - range.start.v), &pages)
			       : NULL;
		if (word) {
			*word |= HS_FRAME_PLAIN;
		}
	}
}

static enum hs_status mark(struct hs_plan *plan, struct hs_error *err)
{
	uint64_t pages;

	for (size_t i = 0; i < plan->range_count; i++) {
		enum hs_status st = mark_range(plan, &plan->ranges[i], err);

		if (st) {
			return st;
		}
	}
	for (size_t i = 0; i < plan->input->kept_count; i++) {
		mark_kept(plan, &plan->input->kept[i]);
	}
	for (size_t i = 0; i < plan->table_count; i++) {
		uint64_t *word = hs_frames_find(&plan->frames, plan->tables[i].table, &pages);

		/* A table beyond memory was found unreadable, so that only memory that changes comes here. */
		if (!word) {
			return hs_error_set(err, HS_ERR_UNREADABLE, 0, plan->tables[i].table,
					    "the page table at 0x%llx is not in the guest's memory",
					    (unsigned long long)plan->tables[i].table);
		}
		*word |= HS_FRAME_TABLE;
	}
	return HS_OK;
}

/* Which part a page, or a large page with all that is known of its pages, goes to. */
static enum hs_part part_of(const struct hs_plan *plan, uint64_t known)
{
	bool alone = (known & HS_FRAME_LEAVES) < 2 && !(known & (HS_FRAME_LARGE | HS_FRAME_PLAIN));

	if (known & HS_FRAME_TABLE) {
		return known & HS_FRAME_LARGE ? HS_PART_PRIVATE : HS_PART_TABLES;
	}
	if (!(known & HS_FRAME_WRITTEN) || (plan->input->cow && alone)) {
		return HS_PART_SHARED;
	}
	return HS_PART_PRIVATE;
}

/* Give pages from gpa on, one behind the other, the next places of a part. */
static enum hs_status place(struct hs_plan *plan, uint64_t gpa, uint64_t *words, uint64_t pages, enum hs_part part,
			    struct hs_error *err)
{
	struct hs_plan_copy *last = plan->copy_count > 0 ? &plan->copies[plan->copy_count - 1] : NULL;
	uint64_t offset = plan->bytes[part];

	for (uint64_t i = 0; i < pages; i++) {
		words[i] = (words[i] & ~(HS_FRAME_OFFSET | HS_FRAME_PART)) | (offset + i * HS_PAGE_SIZE) |
			   HS_FRAME_PLACED | (uint64_t)part << HS_FRAME_PART_SHIFT;
	}
	plan->bytes[part] += pages * HS_PAGE_SIZE;
	if (last && last->part == part && last->gpa + last->pages * HS_PAGE_SIZE == gpa &&
	    last->offset + last->pages * HS_PAGE_SIZE == offset) {
		last->pages += pages;
		return HS_OK;
	}
	/* Said twice: the analyzer does not see that the array is there once it has grown. */
	if (!grow((void **)&plan->copies, plan->copy_count, sizeof(*plan->copies)) || !plan->copies) {
		return no_memory(err);
	}
	plan->copies[plan->copy_count++] = (struct hs_plan_copy){
		.gpa = gpa & HS_FRAME_OFFSET,
		.offset = offset,
		.pages = pages,
		.part = part,
	};
	return HS_OK;
}

static enum hs_status place_small(struct hs_plan *plan, struct hs_error *err)
{
	enum hs_status st = HS_OK;
	uint64_t left;

	for (size_t i = 0; i < plan->table_count && !st; i++) {
		uint64_t *word = hs_frames_find(&plan->frames, plan->tables[i].table, &left);

		if (!(*word & (HS_FRAME_PLACED | HS_FRAME_LARGE))) {
			st = place(plan, plan->tables[i].table & HS_FRAME_OFFSET, word, 1, HS_PART_TABLES, err);
		}
	}
	for (size_t i = 0; i < plan->range_count && !st; i++) {
		const struct hs_plan_range *range = &plan->ranges[i];

		for (uint64_t at = 0; at < range->length && range->page_bytes == HS_PAGE_SIZE && !st;
		     at += HS_PAGE_SIZE) {
			uint64_t *word = hs_frames_find(&plan->frames, range->gpa + at, &left);

			if (!(*word & (HS_FRAME_PLACED | HS_FRAME_LARGE))) {
				st = place(plan, range->gpa + at, word, 1, part_of(plan, *word), err);
			}
		}
	}
	return st;
}

/* What is known of the pages of a large page together. Two entries map all of it if they map any of it. */
static uint64_t known_of(struct hs_plan *plan, uint64_t gpa, uint64_t bytes)
{
	uint64_t known = 0;
	uint64_t pages;

	for (uint64_t at = 0; at < bytes; at += HS_PAGE_SIZE) {
		known |= *hs_frames_find(&plan->frames, gpa + at, &pages);
	}
	return known;
}

static enum hs_status place_large(struct hs_plan *plan, const struct hs_plan_range *range, struct hs_error *err)
{
	uint64_t *largest = plan->alignment;

	for (uint64_t at = 0; at < range->length; at += range->page_bytes) {
		uint64_t gpa = range->gpa + at;
		enum hs_part part = part_of(plan, known_of(plan, gpa, range->page_bytes));
		uint64_t begin = part == HS_PART_SHARED ? plan->input->gpa.v : 0;
		uint64_t left;

		if (*hs_frames_find(&plan->frames, gpa, &left) & HS_FRAME_PLACED) {
			continue;
		}
		largest[part] = hs_max_u64(largest[part], range->page_bytes);
		if (!hs_align_up(begin + plan->bytes[part], range->page_bytes, &plan->bytes[part])) {
			return hs_error_set(err, HS_ERR_RANGE, 0, gpa, "the snapshot is too large");
		}
		plan->bytes[part] -= begin;
		for (uint64_t done = 0; done < range->page_bytes;) {
			uint64_t *words = hs_frames_find(&plan->frames, gpa + done, &left);
			enum hs_status st;

			left = hs_min_u64(left, (range->page_bytes - done) / HS_PAGE_SIZE);
			st = place(plan, gpa + done, words, left, part, err);
			if (st) {
				return st;
			}
			done += left * HS_PAGE_SIZE;
		}
	}
	return HS_OK;
}

/* Large pages of one size, then of the next smaller one: so a page within another large page is placed with the
 * larger. */
static enum hs_status place_all_large(struct hs_plan *plan, struct hs_error *err)
{
	uint64_t size = UINT64_MAX;
	enum hs_status st = HS_OK;

	while (!st) {
		uint64_t next = HS_PAGE_SIZE;

		for (size_t i = 0; i < plan->range_count; i++) {
			uint64_t bytes = plan->ranges[i].page_bytes;

			next = bytes < size ? hs_max_u64(next, bytes) : next;
		}
		if (next == HS_PAGE_SIZE) {
			break;
		}
		size = next;
		for (size_t i = 0; i < plan->range_count && !st; i++) {
			if (plan->ranges[i].page_bytes == size) {
				st = place_large(plan, &plan->ranges[i], err);
			}
		}
	}
	return st;
}

/* Where each part begins, now that their sizes are known. */
static enum hs_status join(struct hs_plan *plan, struct hs_error *err)
{
	const struct hs_compact_input *input = plan->input;
	uint64_t private_gpa;
	uint64_t need;

	if (!hs_align_up(input->gpa.v + plan->bytes[HS_PART_SHARED],
			 hs_max_u64(plan->alignment[HS_PART_PRIVATE], HS_PAGE_SIZE), &private_gpa)) {
		return hs_error_set(err, HS_ERR_RANGE, 0, 0, "the snapshot is too large");
	}
	plan->gpa[HS_PART_SHARED] = input->gpa.v;
	plan->gpa[HS_PART_PRIVATE] = private_gpa;
	plan->gpa[HS_PART_TABLES] = input->tables_gpa.v;
	plan->bytes[HS_PART_SHARED] = private_gpa - input->gpa.v;
	need = plan->bytes[HS_PART_SHARED] + plan->bytes[HS_PART_PRIVATE];
	if (need > input->limit) {
		return hs_error_set(err, HS_ERR_RANGE, 0, 0,
				    "the snapshot takes %llu bytes of memory, and there is room for %llu",
				    (unsigned long long)need, (unsigned long long)input->limit);
	}
	if (plan->bytes[HS_PART_TABLES] > input->tables_limit) {
		return hs_error_set(err, HS_ERR_RANGE, 0, 0,
				    "the page tables take %llu bytes of scratch, and there is room for %llu",
				    (unsigned long long)plan->bytes[HS_PART_TABLES],
				    (unsigned long long)input->tables_limit);
	}
	plan->offset[HS_PART_SHARED] = 0;
	plan->offset[HS_PART_PRIVATE] = plan->bytes[HS_PART_SHARED];
	plan->offset[HS_PART_TABLES] = need;
	return HS_OK;
}

bool hs_plan_moved(struct hs_plan *plan, uint64_t gpa, uint64_t *ret)
{
	uint64_t pages;
	const uint64_t *word = hs_frames_find(&plan->frames, gpa, &pages);

	if (!word || !(*word & HS_FRAME_PLACED)) {
		return false;
	}
	*ret = hs_plan_gpa(plan, *word) + gpa % HS_PAGE_SIZE;
	return true;
}

static enum hs_status move_roots(struct hs_plan *plan, struct hs_error *err)
{
	const struct hs_compact_input *input = plan->input;

	plan->roots = reallocarray(NULL, input->root_count ? input->root_count : 1, sizeof(*plan->roots));
	if (!plan->roots) {
		return no_memory(err);
	}
	for (uint32_t i = 0; i < input->root_count; i++) {
		plan->roots[i] = input->roots[i];
		if (!hs_plan_moved(plan, input->roots[i].base.v, &plan->roots[i].base.v)) {
			return hs_error_set(err, HS_ERR_UNREADABLE, 0, input->roots[i].base.v,
					    "the root of space %u, 0x%llx, is not in the guest's memory",
					    (unsigned int)i, (unsigned long long)input->roots[i].base.v);
		}
	}
	return HS_OK;
}

static enum hs_status make(struct hs_plan *plan, struct hs_error *err)
{
	enum hs_status st = HS_OK;

	for (uint32_t i = 0; i < plan->input->root_count; i++) {
		if (plan->input->roots[i].format == HS_PAGING_NONE) {
			return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, 0,
					    "space %u has no page tables: only a guest with paging on can be compacted",
					    (unsigned int)i);
		}
	}
	st = hs_frames_init(&plan->frames, plan->input->phys, err);
	st = st ? st : find(plan, err);
	st = st ? st : mark(plan, err);
	st = st ? st : place_small(plan, err);
	st = st ? st : place_all_large(plan, err);
	st = st ? st : join(plan, err);
	return st ? st : move_roots(plan, err);
}

enum hs_status hs_plan_init(struct hs_plan *ret, const struct hs_compact_input *input, struct hs_error *err)
{
	struct hs_plan plan = { .input = input };
	enum hs_status st = make(&plan, err);

	if (st) {
		hs_plan_deinit(&plan);
		return st;
	}
	*ret = plan;
	return HS_OK;
}

void hs_plan_deinit(struct hs_plan *plan)
{
	hs_frames_deinit(&plan->frames);
	free(plan->ranges);
	free(plan->tables);
	free(plan->copies);
	free(plan->roots);
	*plan = (struct hs_plan){ 0 };
}
