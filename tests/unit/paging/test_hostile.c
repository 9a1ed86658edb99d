/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Page tables that a guest can write to hurt who reads them. Each walk must end within its budget and say so; the work
 * done is counted in host pointers asked for, which is once a table visited, rather than in time.
 */
#include "ram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct hs_root root = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 }, .nxe = true };

static int make_ram(void **state)
{
	static struct ram ram;

	ram_init(&ram, true);
	ram_add(&ram, 0x1000, 16 * 4096);
	*state = &ram;
	return 0;
}

static int drop_ram(void **state)
{
	ram_deinit(*state);
	return 0;
}

/* Walk all of it; the status at the end, how many ranges and where. */
static enum hs_status walk(struct ram *ram, const struct hs_root *space, struct hs_budget budget, uint64_t *ret_count,
			   uint64_t *ret_where)
{
	struct hs_iter iter;
	struct hs_range range;
	struct hs_error err = { .where = 0 };
	enum hs_status st;
	uint64_t next = 0;

	*ret_count = 0;
	ram->pointers = 0;
	hs_iter_init(&iter, &ram->phys, space, hs_gva_of(0), 0, budget);
	for (;;) {
		st = hs_iter_next(&iter, &range, &err);
		if (st) {
			break;
		}
		assert_true(range.start.v >= next && range.length > 0);
		next = range.start.v + range.length;
		(*ret_count)++;
		assert_true(*ret_count <= budget.ranges);
	}
	*ret_where = err.where;
	assert_true(ram->pointers <= budget.tables);
	return st;
}

static void test_hostile_one_self_reference_is_only_itself(void **state)
{
	uint64_t count;
	uint64_t where;

	/* The recursive slot of many kernels: slot 511 shows the PML4 as the page at the top of the address space. */
	ram_put(*state, 0x1000 + 8 * 511, 8, 0x1003);
	assert_int_equal(walk(*state, &root, hs_budget_default(), &count, &where), HS_ERR_NOT_FOUND);
	assert_int_equal(count, 1);
	assert_int_equal(((struct ram *)*state)->pointers, 4);
}

static void test_hostile_full_self_reference_ends_at_the_range_budget(void **state)
{
	struct hs_budget budget = { .tables = 1 << 20, .ranges = 10000 };
	uint64_t count;
	uint64_t where;

	/* 2^36 pages, all of them the PML4. */
	for (unsigned int i = 0; i < 512; i++) {
		ram_put(*state, 0x1000 + 8 * i, 8, 0x1007);
	}
	assert_int_equal(walk(*state, &root, budget, &count, &where), HS_ERR_BUDGET);
	assert_int_equal(count, 10000);
	assert_int_equal(where, 10000 * 4096);
	assert_true(((struct ram *)*state)->pointers <= 3 + 10000 / 512 + 1);
}

static void test_hostile_cycle_of_two_tables_ends_at_the_table_budget(void **state)
{
	struct hs_budget budget = { .tables = 10000, .ranges = UINT64_MAX };
	struct ram *ram = *state;
	uint64_t count;
	uint64_t where;

	/* 0x1000 -> 0x2000 -> 0x1000 -> 0x2000, whose entries are read as leaves: 2^36 pages, all of them 0x1000. */
	for (unsigned int i = 0; i < 512; i++) {
		ram_put(ram, 0x1000 + 8 * i, 8, 0x2007);
		ram_put(ram, 0x2000 + 8 * i, 8, 0x1007);
	}
	assert_int_equal(walk(ram, &root, budget, &count, &where), HS_ERR_BUDGET);
	assert_int_equal(ram->pointers, 10000);
	assert_int_equal(where >> 12, count);
	/* A PML4, a PDPT, and a directory before every 512 page tables. */
	assert_int_equal(where >> 21, 10000 - 2 - (10000 - 2 + 512) / 513);
}

static void test_hostile_fan_out_of_empty_tables_ends_at_the_table_budget(void **state)
{
	struct hs_budget budget = { .tables = 5000, .ranges = 10 };
	struct ram *ram = *state;
	uint64_t count;
	uint64_t where;

	/* 512 ways to the same table at each of three levels; the last table is empty: no range ever comes. */
	for (unsigned int level = 0; level < 3; level++) {
		for (unsigned int i = 0; i < 512; i++) {
			ram_put(ram, 0x1000 * (level + 1) + 8 * i, 8, 0x1000 * (level + 2) + 7);
		}
	}
	assert_int_equal(walk(ram, &root, budget, &count, &where), HS_ERR_BUDGET);
	assert_int_equal(count, 0);
	assert_int_equal(ram->pointers, 5000);
	assert_int_equal(where >> 21, 5000 - 2 - (5000 - 2 + 512) / 513);
}

static void test_hostile_fan_out_of_every_format_is_bounded(void **state)
{
	struct hs_budget budget = { .tables = 2000, .ranges = 2000 };
	struct ram *ram = *state;
	uint64_t count;
	uint64_t where;

	for (int format = HS_PAGING_32BIT; format < HS_PAGING_FORMAT_COUNT; format++) {
		struct hs_root self = { .format = (enum hs_paging_format)format, .base = { 0x1000 } };
		unsigned int bytes = format == HS_PAGING_32BIT ? 4 : 8;

		for (unsigned int i = 0; i < 4096 / bytes; i++) {
			ram_put(ram, 0x1000 + bytes * i, bytes, format == HS_PAGING_PAE ? 0x1001 : 0x1007);
		}
		assert_int_equal(walk(ram, &self, budget, &count, &where), HS_ERR_BUDGET);
		assert_int_equal(count, 2000);
	}
}

static void test_hostile_tables_nowhere_and_at_the_end(void **state)
{
	struct ram *ram = *state;
	uint64_t count;
	uint64_t where;

	/* The highest address an entry can name, the first page behind memory, and the last page in it. */
	ram_put(ram, 0x1000, 8, UINT64_C(0xffffffffff007));
	ram_put(ram, 0x1008, 8, 0x11007);
	ram_put(ram, 0x1010, 8, 0x10007);
	assert_int_equal(walk(ram, &root, hs_budget_default(), &count, &where), HS_ERR_NOT_FOUND);
	assert_int_equal(count, 2);
}

/* A page table at 0x5000 of which the first `bytes` bytes are in one region and the rest is in another or nowhere. */
static void check_straddling(uint64_t bytes, bool rest, bool pointers, uint64_t expect_pages)
{
	struct ram ram;
	struct hs_iter iter;
	struct hs_range range;
	uint64_t next = 0;

	ram_init(&ram, pointers);
	ram_add(&ram, 0x1000, 0x4000 + bytes);
	if (rest) {
		ram_add(&ram, 0x5000 + bytes, 0x1000 - bytes);
	}
	ram_put(&ram, 0x1000, 8, 0x2007);
	ram_put(&ram, 0x2000, 8, 0x3007);
	ram_put(&ram, 0x3000, 8, 0x5007);
	for (uint64_t i = 0; i < 512 && (rest || 8 * i + 8 <= bytes); i++) {
		ram_put(&ram, 0x5000 + 8 * i, 8, (0x100 + i) << 12 | 7);
	}
	hs_iter_init(&iter, &ram.phys, &root, hs_gva_of(0), 0, hs_budget_default());
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.kind, HS_RANGE_MAPPED);
	assert_int_equal(range.gpa.v, 0x100000);
	assert_int_equal(range.length, expect_pages << 12);
	next = range.length;
	if (!rest) {
		assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
		assert_int_equal(range.kind, HS_RANGE_UNREADABLE);
		assert_int_equal(range.start.v, next);
		assert_int_equal(range.start.v + range.length, 0x200000);
		assert_int_equal(range.gpa.v, 0x5000);
	}
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_ERR_NOT_FOUND);
	hs_translate(&ram.phys, &root, hs_gva_of(0x1ff000), &range);
	assert_int_equal(range.kind, rest ? HS_RANGE_MAPPED : HS_RANGE_UNREADABLE);
	ram_deinit(&ram);
}

static void test_hostile_table_over_two_regions_is_read_whole(void **state)
{
	(void)state;
	for (int pointers = 0; pointers < 2; pointers++) {
		check_straddling(0x800, true, pointers, 512);
		check_straddling(0x804, true, pointers, 512); /* the border is within an entry */
		check_straddling(1, true, pointers, 512);
		check_straddling(0xfff, true, pointers, 512);
		check_straddling(0x800, false, pointers, 256);
		check_straddling(0x804, false, pointers, 256);
		check_straddling(0x8, false, pointers, 1);
		check_straddling(0xfff, false, pointers, 511);
	}
}

static void test_hostile_builder_in_a_cycle_ends(void **state)
{
	struct hs_mapping mapping = { .gva = { 0 }, .gpa = { 0x100000 }, .length = UINT64_C(1) << 40, .prot = 2 };
	struct ram *ram = *state;

	/* The root is its own PDPT, directory and page table; building there fills the one page and ends. */
	ram_set_tables(ram, 0x2000, 4 * 4096);
	ram_put(ram, 0x1000, 8, 0x1007);
	assert_int_not_equal(ram_map(ram, &root, &mapping), HS_OK);
	assert_true(ram->writes < 10000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_ram, drop_ram)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hostile_one_self_reference_is_only_itself),
		TEST(test_hostile_full_self_reference_ends_at_the_range_budget),
		TEST(test_hostile_cycle_of_two_tables_ends_at_the_table_budget),
		TEST(test_hostile_fan_out_of_empty_tables_ends_at_the_table_budget),
		TEST(test_hostile_fan_out_of_every_format_is_bounded),
		TEST(test_hostile_tables_nowhere_and_at_the_end),
		TEST(test_hostile_table_over_two_regions_is_read_whole),
		TEST(test_hostile_builder_in_a_cycle_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
