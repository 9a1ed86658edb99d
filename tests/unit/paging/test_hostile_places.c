/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tables at places where a guest should have none, at every depth of every format: where there is no memory, behind its
 * end, over the border of two regions, beyond the width of physical addresses. Every walk says so and ends, in as many
 * tables as it takes to get there; with host pointers and without.
 */
#include "walks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LAST_PAGE (WALK_ROOT + 0x1000 * (WALK_PAGES - 1))
#define FRAME 0x5000000 /* what the pages are of: nothing is there */
#define BORDER 0x40000  /* a table over two regions */

static void make_ram(struct ram *ram, bool pointers)
{
	ram_init(ram, pointers);
	ram_add(ram, WALK_ROOT, WALK_PAGES * 4096);
}

static uint64_t table_at(unsigned int depth)
{
	return WALK_ROOT + 0x1000 * depth;
}

/* The first entry of each table leads to the next and that of the last to a page, but the table at odd is at place. */
static struct hs_root put_chain(struct ram *ram, const struct shape *shape, unsigned int odd, uint64_t place)
{
	struct hs_root root = { .format = shape->format, .base = { WALK_ROOT }, .pse = true, .nxe = true };

	memset(ram_at(ram, WALK_ROOT), 0, WALK_PAGES * 4096);
	for (unsigned int depth = 0; depth < shape->levels; depth++) {
		uint64_t next = depth + 1 == shape->levels ? FRAME : depth + 1 == odd ? place : table_at(depth + 1);

		if (depth != odd) {
			shape_fill(ram, shape, depth, table_at(depth), 0, 1, next);
		}
	}
	if (odd == 0) {
		root.base.v = place;
	}
	return root;
}

/* A bad table or entry at some depth. */
struct bad {
	const struct shape *shape;
	unsigned int depth;
	enum hs_range_kind kind;
	uint64_t gpa;    /* that is said */
	uint64_t ranges; /* of it */
};

static void check_lookups(struct ram *ram, const struct hs_root *root, const struct bad *bad)
{
	uint8_t byte = 0;
	size_t got = 7;
	struct hs_error err = { .where = 1 };
	struct hs_range range;
	struct hs_path path;

	hs_translate(&ram->phys, root, hs_gva_of(0), &range);
	assert_int_equal(range.kind, bad->kind);
	assert_int_equal(range.level, bad->depth);
	assert_int_equal(range.gpa.v, bad->gpa);
	assert_int_equal(range.start.v, 0);
	assert_int_equal(range.length, UINT64_C(1) << bad->shape->shifts[bad->depth]);
	hs_path_find(&ram->phys, root, hs_gva_of(0), &path);
	assert_int_equal(path.count, bad->depth + 1);
	assert_int_equal(path.levels[bad->depth].readable, bad->kind != HS_RANGE_UNREADABLE);
	assert_int_equal(path.levels[bad->depth].place.v, bad->gpa);
	assert_int_equal(hs_vmem_read(&ram->phys, root, hs_gva_of(0), &byte, 1, &got, &err), HS_ERR_UNREADABLE);
	assert_int_equal(err.where, 0);
	assert_int_equal(got, 7);
	assert_int_equal(hs_vmem_write(&ram->phys, root, hs_gva_of(0), &byte, 1, &err), HS_ERR_UNREADABLE);
	assert_int_equal(err.where, 0);
}

/* All that there is, is bad; so many tables are needed to find out. */
static void check_bad(struct ram *ram, const struct hs_root *root, const struct bad *bad)
{
	uint64_t tables = bad->depth + 1;
	struct hs_budget budget = { .tables = tables, .ranges = bad->ranges };
	struct hs_budget less = { .tables = tables - 1, .ranges = bad->ranges };
	struct walk_count count;

	check_lookups(ram, root, bad);
	count = walk_iter(ram, root, budget);
	assert_int_equal(count.status, HS_ERR_NOT_FOUND);
	assert_int_equal(count.ranges, bad->ranges);
	count = walk_iter(ram, root, less);
	assert_int_equal(count.status, HS_ERR_BUDGET);
	assert_int_equal(count.where, 0);
	count = walk_spaces(ram, root, 1, WALK_PLACES, budget);
	assert_int_equal(count.status, HS_ERR_NOT_FOUND);
	assert_int_equal(count.tables, tables);
	assert_int_equal(count.ranges, bad->ranges);
	assert_int_equal(count.aliases, 0);
	count = walk_spaces(ram, root, 1, WALK_PLACES, less);
	assert_int_equal(count.status, HS_ERR_BUDGET);
	assert_int_equal(count.where, 0);
	count = walk_reverse(ram, root, 1, 0, 0, budget);
	assert_int_equal(count.status, HS_ERR_NOT_FOUND);
	assert_int_equal(count.ranges, 0);
	count = walk_reverse(ram, root, 1, 0, 0, less);
	assert_int_equal(count.status, HS_ERR_BUDGET);
}

static void test_hostile_table_where_no_memory_is_said_with_its_place(void **state)
{
	struct ram ram;

	(void)state;
	for (unsigned int i = 0; i < 2 * SHAPES; i++) {
		const struct shape *shape = &shapes[i / 2];

		make_ram(&ram, i % 2);
		for (unsigned int depth = 0; depth < shape->levels; depth++) {
			/* Far off; the first page behind memory; the highest that can be named. */
			uint64_t places[] = {
				0x50000000,
				LAST_PAGE + 0x1000,
				depth == 0 && shape->format == HS_PAGING_PAE ? 0xfffff000 : shape->address,
			};
			struct bad bad = { shape, depth, HS_RANGE_UNREADABLE, 0, 1 };

			/* The root's has two halves with a gap between them. */
			bad.ranges = depth == 0 && shape_has_halves(shape) ? 2 : 1;
			for (unsigned int k = 0; k < 3; k++) {
				struct hs_root root = put_chain(&ram, shape, depth, places[k]);

				bad.gpa = places[k];
				check_bad(&ram, &root, &bad);
			}
		}
		ram_deinit(&ram);
	}
}

static void test_hostile_table_in_the_last_page_of_memory_is_read(void **state)
{
	struct hs_budget budget = { .tables = HS_PAGING_LEVELS_MAX, .ranges = 1 };
	struct hs_range range;
	struct ram ram;

	(void)state;
	for (unsigned int i = 0; i < 2 * SHAPES; i++) {
		const struct shape *shape = &shapes[i / 2];

		make_ram(&ram, i % 2);
		for (unsigned int depth = 0; depth < shape->levels; depth++) {
			uint64_t next = depth + 1 == shape->levels ? FRAME : table_at(depth + 1);
			struct hs_root root = put_chain(&ram, shape, depth, LAST_PAGE);
			unsigned int last = shape_entries(shape, depth) - 1;

			/* The last bytes of memory are an entry. */
			shape_fill(&ram, shape, depth, LAST_PAGE, last, last + 1, next);
			hs_translate(&ram.phys, &root, hs_gva_of(shape_gva(shape, depth, last)), &range);
			assert_int_equal(range.kind, HS_RANGE_MAPPED);
			assert_int_equal(range.gpa.v, FRAME);
			assert_int_equal(walk_iter(&ram, &root, budget).status, HS_ERR_NOT_FOUND);
			assert_int_equal(walk_iter(&ram, &root, budget).ranges, 1);
			assert_int_equal(walk_spaces(&ram, &root, 1, WALK_PLACES, budget).tables, shape->levels);
			assert_int_equal(walk_reverse(&ram, &root, 1, FRAME, 1, budget).ranges, 1);
		}
		ram_deinit(&ram);
	}
}

/* A table of which the first `cut` bytes are in one region and the rest in another, or nowhere: each of its entries
 * leads to the same, and each that is there counts. */
static void check_border(const struct shape *shape, unsigned int depth, uint64_t cut, bool rest, bool pointers)
{
	unsigned int entries = shape_entries(shape, depth);
	unsigned int here = rest ? entries : (unsigned int)cut / shape->bytes;
	unsigned int below = shape->levels - 1 - depth; /* tables under each entry */
	uint64_t next = below ? table_at(depth + 1) : FRAME;
	uint64_t tables = depth + 1 + (uint64_t)here * below;
	/* What is not there is one range, or two around the gap of addresses. */
	unsigned int missing = rest ? 0 : depth == 0 && shape_has_halves(shape) && here < entries / 2 ? 2 : 1;
	struct hs_budget budget = { .tables = tables, .ranges = here + missing };
	struct walk_count count;
	struct hs_range range;
	struct hs_root root;
	struct ram ram;

	make_ram(&ram, pointers);
	ram_add(&ram, BORDER, cut);
	if (rest) {
		ram_add(&ram, BORDER + cut, 0x1000 - cut);
	}
	root = put_chain(&ram, shape, depth, BORDER);
	shape_fill(&ram, shape, depth, BORDER, 0, here, next);
	count = walk_iter(&ram, &root, budget);
	assert_int_equal(count.status, HS_ERR_NOT_FOUND);
	assert_int_equal(count.ranges, here + missing);
	budget.tables--;
	assert_int_equal(walk_iter(&ram, &root, budget).status, HS_ERR_BUDGET);
	count = walk_reverse(&ram, &root, 1, FRAME, 4096, hs_budget_default());
	assert_int_equal(count.ranges, here);
	count = walk_spaces(&ram, &root, 1, WALK_PLACES, hs_budget_default());
	assert_int_equal(count.tables, here ? shape->levels : depth + 1);
	assert_int_equal(count.aliases, below && here ? here - 1 : 0);
	assert_int_equal(count.ranges, missing + (below && here ? 1 : here));
	for (unsigned int i = 0; i < entries; i += entries < 8 ? 1 : entries / 8 - 1) {
		hs_translate(&ram.phys, &root, hs_gva_of(shape_gva(shape, depth, i)), &range);
		assert_int_equal(range.kind, i < here ? HS_RANGE_MAPPED : HS_RANGE_UNREADABLE);
		assert_int_equal(range.gpa.v, i < here ? FRAME : BORDER);
	}
	ram_deinit(&ram);
}

static void test_hostile_table_over_two_regions_is_read_whole(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < SHAPES * 2; i++) {
		const struct shape *shape = &shapes[i / 2];

		for (unsigned int depth = 0; depth < shape->levels; depth++) {
			uint64_t bytes = (uint64_t)shape_entries(shape, depth) * shape->bytes;
			/* Between entries, and within the first, a middle and the last one. */
			uint64_t cuts[] = { bytes / 2, bytes / 2 + shape->bytes / 2, 1, shape->bytes, bytes - 1 };

			for (unsigned int k = 0; k < sizeof(cuts) / sizeof(cuts[0]); k++) {
				check_border(shape, depth, cuts[k], true, i % 2);
				check_border(shape, depth, cuts[k], false, i % 2);
			}
		}
	}
}

static void test_hostile_address_beyond_the_width_is_reserved(void **state)
{
	struct ram ram;

	(void)state;
	for (unsigned int i = 0; i < 2 * SHAPES; i++) {
		const struct shape *shape = &shapes[i / 2];

		make_ram(&ram, i % 2);
		/* No entry of four bytes reaches beyond 32 bits, but a leaf of 4 MiB: its bit 17 is address bit 36. */
		for (unsigned int depth = 0; depth < (shape->bytes == 4 ? 1 : shape->levels); depth++) {
			struct hs_root root = put_chain(&ram, shape, HS_PAGING_LEVELS_MAX, 0);
			struct bad bad = { shape, depth, HS_RANGE_RESERVED, table_at(depth), 1 };
			uint64_t high = shape->bytes == 4 ? 0x20080 : UINT64_C(1) << 36;

			root.maxphyaddr = 36;
			ram_put(&ram, table_at(depth), shape->bytes, shape_entry(shape, depth, high));
			check_bad(&ram, &root, &bad);
		}
		ram_deinit(&ram);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile_table_where_no_memory_is_said_with_its_place),
		cmocka_unit_test(test_hostile_table_in_the_last_page_of_memory_is_read),
		cmocka_unit_test(test_hostile_table_over_two_regions_is_read_whole),
		cmocka_unit_test(test_hostile_address_beyond_the_width_is_reserved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
