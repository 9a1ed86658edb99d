/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hs_iter: order, merging, cutting to the part asked for, what is skipped and what is not, and both budgets. */
#include "ram.h"
#include "same_range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB UINT64_C(0x100000)

static const struct hs_root root = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 }, .nxe = true };

static int make_ram(void **state)
{
	static struct ram ram;

	ram_init(&ram, true);
	ram_add(&ram, 0x1000, 64 * 4096);
	ram_set_tables(&ram, 0x2000, 63 * 4096);
	*state = &ram;
	return 0;
}

static void map(struct ram *ram, uint64_t gva, uint64_t gpa, uint64_t length, int prot)
{
	struct hs_mapping mapping = { .gva = { gva }, .gpa = { gpa }, .length = length, .prot = prot };

	assert_int_equal(ram_map(ram, &root, &mapping), HS_OK);
}

static void start(struct hs_iter *iter, struct ram *ram, uint64_t gva, uint64_t length)
{
	/* Whatever the storage held before must not matter. */
	memset(iter, 0xa5, sizeof(*iter));
	hs_iter_init(iter, &ram->phys, &root, hs_gva_of(gva), length, hs_budget_default());
}

static void expect(struct hs_iter *iter, uint64_t gva, uint64_t gpa, uint64_t length)
{
	struct hs_range range;

	assert_int_equal(hs_iter_next(iter, &range, NULL), HS_OK);
	assert_int_equal(range.kind, HS_RANGE_MAPPED);
	assert_int_equal(range.start.v, gva);
	assert_int_equal(range.gpa.v, gpa);
	assert_int_equal(range.length, length);
}

static void expect_end(struct hs_iter *iter)
{
	struct hs_range range;

	assert_int_equal(hs_iter_next(iter, &range, NULL), HS_ERR_NOT_FOUND);
	assert_int_equal(hs_iter_next(iter, &range, NULL), HS_ERR_NOT_FOUND);
}

static void test_iter_empty_space_takes_one_table(void **state)
{
	struct ram *ram = *state;
	struct hs_iter iter;

	start(&iter, ram, 0, 0);
	expect_end(&iter);
	assert_int_equal(hs_budget_default().tables - iter.walk.tables_left, 1);
	assert_int_equal(ram->pointers, 1);
}

static void test_iter_merges_over_tables_and_not_over_differences(void **state)
{
	struct hs_iter iter;

	/* 3 MiB that go on, over two page tables; then other rights, another place, another space half. */
	map(*state, 0x400000, 0x10000000, 3 * MIB, HS_PROT_WRITE);
	map(*state, 0x700000, 0x10300000, 0x1000, HS_PROT_EXEC);
	map(*state, 0x701000, 0x20000000, 0x1000, HS_PROT_EXEC);
	map(*state, UINT64_C(0x7ffffffff000), 0x30000000, 0x1000, 0);
	map(*state, UINT64_C(0xffff800000000000), 0x30001000, 0x1000, 0);
	map(*state, UINT64_C(0xfffffffffffff000), 0x40000000, 0x1000, 0);
	start(&iter, *state, 0, 0);
	expect(&iter, 0x400000, 0x10000000, 3 * MIB);
	expect(&iter, 0x700000, 0x10300000, 0x1000);
	expect(&iter, 0x701000, 0x20000000, 0x1000);
	expect(&iter, UINT64_C(0x7ffffffff000), 0x30000000, 0x1000);
	expect(&iter, UINT64_C(0xffff800000000000), 0x30001000, 0x1000);
	expect(&iter, UINT64_C(0xfffffffffffff000), 0x40000000, 0x1000);
	expect_end(&iter);
}

static void test_iter_every_attribute_ends_a_range(void **state)
{
	static const uint64_t differences[] = {
		2,
		4,
		HS_LEAF_PWT,
		HS_LEAF_PCD,
		HS_LEAF_ACCESSED,
		HS_LEAF_DIRTY,
		HS_LEAF_PAT,
		HS_LEAF_GLOBAL,
		UINT64_C(1) << 9,
		UINT64_C(1) << 11,
		UINT64_C(1) << 52,
		UINT64_C(1) << 62,
		UINT64_C(1) << 63,
	};

	map(*state, 0x400000, 0x10000000, 0x4000, HS_PROT_EXEC);
	for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++) {
		struct hs_iter iter;

		ram_put(*state, 0x4008, 8, UINT64_C(0x10001001) ^ differences[i]);
		start(&iter, *state, 0, 0);
		expect(&iter, 0x400000, 0x10000000, 0x1000);
		expect(&iter, 0x401000, 0x10001000, 0x1000);
		expect(&iter, 0x402000, 0x10002000, 0x2000);
		expect_end(&iter);
	}
}

static void test_iter_rights_of_tables_count_in_the_merge(void **state)
{
	struct hs_iter iter;
	struct hs_range range;

	map(*state, 0x400000, 0x10000000, 4 * MIB, HS_PROT_WRITE | HS_PROT_EXEC);
	ram_put(*state, 0x3000 + 8 * 3, 8, 0x5005); /* the PDE of the second 2 MiB loses W */
	start(&iter, *state, 0, 0);
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.length, 2 * MIB);
	assert_int_equal(range.prot, HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC);
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.length, 2 * MIB);
	assert_int_equal(range.prot, HS_PROT_READ | HS_PROT_EXEC);
	expect_end(&iter);
}

static void test_iter_an_address_that_runs_over_does_not_merge(void **state)
{
	struct hs_root narrow = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 }, .nxe = true, .maxphyaddr = 40 };
	struct hs_iter iter;
	struct hs_range range;

	/* The last page of 40 bits, and what an addition makes of it: the first page with a reserved bit. */
	map(*state, 0x400000, 0x10000000, 0x2000, 0);
	ram_put(*state, 0x4000, 8, UINT64_C(0xfffffff001));
	ram_put(*state, 0x4008, 8, UINT64_C(0x10000000001));
	hs_iter_init(&iter, &((struct ram *)*state)->phys, &narrow, hs_gva_of(0), 0, hs_budget_default());
	expect(&iter, 0x400000, UINT64_C(0xfffffff000), 0x1000);
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.kind, HS_RANGE_RESERVED);
	assert_int_equal(range.gpa.v, 0x4008);
	expect_end(&iter);
	/* The same at the top of the 52 bits, where the carry becomes a software bit. */
	ram_put(*state, 0x4000, 8, UINT64_C(0xffffffffff001));
	ram_put(*state, 0x4008, 8, UINT64_C(0x10000000000001));
	start(&iter, *state, 0, 0);
	expect(&iter, 0x400000, UINT64_C(0xffffffffff000), 0x1000);
	expect(&iter, 0x401000, 0, 0x1000);
	expect_end(&iter);
}

static void test_iter_large_pages_merge_among_themselves(void **state)
{
	struct hs_mapping mapping = { .gva = { 2 * MIB }, .gpa = { 4 * MIB }, .length = 5 * MIB, .large = true };
	struct hs_iter iter;
	struct hs_range range;

	assert_int_equal(ram_map(*state, &root, &mapping), HS_OK);
	start(&iter, *state, 0, 0);
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.length, 4 * MIB);
	assert_int_equal(range.page_bytes, 2 * MIB);
	assert_int_equal(range.level, 2);
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.length, MIB);
	assert_int_equal(range.gpa.v, 8 * MIB);
	assert_int_equal(range.page_bytes, 0x1000);
	expect_end(&iter);
}

static void test_iter_is_cut_to_what_was_asked_for(void **state)
{
	struct hs_iter iter;

	map(*state, 0x400000, 0x10000000, 3 * MIB, 0);
	start(&iter, *state, 0x401234, 0x1000);
	expect(&iter, 0x401234, 0x10001234, 0x1000);
	expect_end(&iter);
	start(&iter, *state, 0x401fff, 1);
	expect(&iter, 0x401fff, 0x10001fff, 1);
	expect_end(&iter);
	start(&iter, *state, 0, 0x400000);
	expect_end(&iter);
	start(&iter, *state, 0, 0x400001);
	expect(&iter, 0x400000, 0x10000000, 1);
	expect_end(&iter);
	start(&iter, *state, 0x6fffff, 0);
	expect(&iter, 0x6fffff, 0x102fffff, 1);
	expect_end(&iter);
	start(&iter, *state, UINT64_MAX, UINT64_MAX);
	expect_end(&iter);
	/* From the middle of the gap. */
	map(*state, UINT64_C(0xffff800000000000), 0x30001000, 0x1000, 0);
	start(&iter, *state, UINT64_C(1) << 60, 0);
	expect(&iter, UINT64_C(0xffff800000000000), 0x30001000, 0x1000);
	expect_end(&iter);
	start(&iter, *state, UINT64_C(1) << 60, 0x1000);
	expect_end(&iter);
}

static void test_iter_without_paging_is_one_range(void **state)
{
	struct hs_root flat = { .format = HS_PAGING_NONE };
	struct hs_iter iter;

	hs_iter_init(&iter, &((struct ram *)*state)->phys, &flat, hs_gva_of(0x1234), 0, hs_budget_default());
	expect(&iter, 0x1234, 0x1234, (UINT64_C(1) << 32) - 0x1234);
	expect_end(&iter);
}

static void test_iter_tables_that_are_wrong_are_ranges(void **state)
{
	struct hs_iter iter;
	struct hs_range range;

	map(*state, 0x400000, 0x10000000, 6 * MIB, 0);
	/* Of the three PDEs: two name tables outside memory (the same one), the third has a reserved bit. */
	ram_put(*state, 0x3000 + 8 * 2, 8, 0x900007);
	ram_put(*state, 0x3000 + 8 * 3, 8, 0x900007);
	ram_put(*state, 0x3000 + 8 * 4, 8, 0x2087);
	start(&iter, *state, 0, 0);
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.kind, HS_RANGE_UNREADABLE);
	assert_int_equal(range.start.v, 4 * MIB);
	assert_int_equal(range.length, 4 * MIB);
	assert_int_equal(range.gpa.v, 0x900000);
	assert_int_equal(range.level, 3);
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.kind, HS_RANGE_RESERVED);
	assert_int_equal(range.start.v, 8 * MIB);
	assert_int_equal(range.length, 2 * MIB);
	assert_int_equal(range.gpa.v, 0x3020);
	assert_int_equal(range.level, 2);
	expect_end(&iter);
}

static void test_iter_unreadable_root_is_the_whole_space(void **state)
{
	struct hs_root away = { .format = HS_PAGING_4LEVEL, .base = { 0x900000 } };
	struct hs_iter iter;
	struct hs_range range;

	hs_iter_init(&iter, &((struct ram *)*state)->phys, &away, hs_gva_of(0), 0, hs_budget_default());
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.kind, HS_RANGE_UNREADABLE);
	assert_int_equal(range.start.v, 0);
	assert_int_equal(range.length, UINT64_C(1) << 47);
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.start.v, UINT64_C(0xffff800000000000));
	assert_int_equal(range.start.v + range.length, 0);
	expect_end(&iter);
}

static void test_iter_range_budget_is_how_many_come_out(void **state)
{
	struct hs_iter iter;
	struct hs_range range;
	struct hs_error err;

	map(*state, 0x400000, 0x10000000, 0x1000, 0);
	map(*state, 0x402000, 0x10000000, 0x1000, 0);
	map(*state, 0x404000, 0x10000000, 0x1000, 0);
	for (uint64_t budget = 0; budget < 3; budget++) {
		hs_iter_init(&iter, &((struct ram *)*state)->phys, &root, hs_gva_of(0), 0,
			     (struct hs_budget){ .tables = 100, .ranges = budget });
		for (uint64_t i = 0; i < budget; i++) {
			expect(&iter, 0x400000 + 0x2000 * i, 0x10000000, 0x1000);
		}
		for (int again = 0; again < 3; again++) {
			assert_int_equal(hs_iter_next(&iter, &range, &err), HS_ERR_BUDGET);
			assert_int_equal(err.status, HS_ERR_BUDGET);
			assert_int_equal(err.where, 0x400000 + 0x2000 * budget);
		}
	}
	/* Just enough is no failure. */
	hs_iter_init(&iter, &((struct ram *)*state)->phys, &root, hs_gva_of(0), 0,
		     (struct hs_budget){ .tables = 4, .ranges = 3 });
	for (uint64_t i = 0; i < 3; i++) {
		expect(&iter, 0x400000 + 0x2000 * i, 0x10000000, 0x1000);
	}
	expect_end(&iter);
}

static void test_iter_table_budget_gives_what_was_found(void **state)
{
	struct hs_iter iter;
	struct hs_range range;
	struct hs_error err;

	map(*state, 0x3ff000, 0x10000000, 0x1000, 0);
	map(*state, 0x400000, 0x10001000, 0x1000, 0);
	hs_iter_init(&iter, &((struct ram *)*state)->phys, &root, hs_gva_of(0), 0,
		     (struct hs_budget){ .tables = 4, .ranges = 10 });
	expect(&iter, 0x3ff000, 0x10000000, 0x1000);
	for (int again = 0; again < 3; again++) {
		assert_int_equal(hs_iter_next(&iter, &range, &err), HS_ERR_BUDGET);
		assert_int_equal(err.where, 0x400000);
	}
	hs_iter_init(&iter, &((struct ram *)*state)->phys, &root, hs_gva_of(0), 0,
		     (struct hs_budget){ .tables = 0, .ranges = 10 });
	assert_int_equal(hs_iter_next(&iter, &range, &err), HS_ERR_BUDGET);
	assert_int_equal(err.where, 0);
}

static void test_iter_without_host_pointers_is_the_same(void **state)
{
	struct ram *ram = *state;
	struct hs_iter fast;
	struct hs_iter slow;
	struct hs_range a;
	struct hs_range b;
	struct hs_phys_ops copying = ram->ops;
	struct hs_phys by_copy = { .ops = &copying, .ctx = ram };
	enum hs_status st;

	copying.pointer = NULL;
	for (uint64_t i = 0; i < 600; i++) {
		map(ram, 0x400000 + 0x1000 * i, 0x10000000 + 0x1000 * (i ^ 3), 0x1000, 0);
	}
	ram->pointers = 0;
	ram->reads = 0;
	start(&fast, ram, 0, 0);
	hs_iter_init(&slow, &by_copy, &root, hs_gva_of(0), 0, hs_budget_default());
	do {
		memset(&a, 0, sizeof(a));
		memset(&b, 0, sizeof(b));
		st = hs_iter_next(&fast, &a, NULL);
		assert_int_equal(hs_iter_next(&slow, &b, NULL), st);
		check_same_range(&a, &b);
	} while (st == HS_OK);
	assert_int_equal(st, HS_ERR_NOT_FOUND);
	/* Five tables: one pointer each, and 4096 / 512 reads each. */
	assert_int_equal(ram->pointers, 5);
	assert_int_equal(ram->reads, 5 * 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_ram, ram_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_iter_empty_space_takes_one_table),
		TEST(test_iter_merges_over_tables_and_not_over_differences),
		TEST(test_iter_every_attribute_ends_a_range),
		TEST(test_iter_rights_of_tables_count_in_the_merge),
		TEST(test_iter_an_address_that_runs_over_does_not_merge),
		TEST(test_iter_large_pages_merge_among_themselves),
		TEST(test_iter_is_cut_to_what_was_asked_for),
		TEST(test_iter_without_paging_is_one_range),
		TEST(test_iter_tables_that_are_wrong_are_ranges),
		TEST(test_iter_unreadable_root_is_the_whole_space),
		TEST(test_iter_range_budget_is_how_many_come_out),
		TEST(test_iter_table_budget_gives_what_was_found),
		TEST(test_iter_without_host_pointers_is_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
