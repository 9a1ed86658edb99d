/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which roots and addresses reach some memory: each one, cut to what was asked for, within a budget. */
#include "ram.h"

#include <hindsight/spaces.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ITEMS 64

static struct hs_reverse_item items[ITEMS];
static size_t item_count;
static struct hs_error last_error;

static int make_ram(void **state)
{
	static struct ram ram;

	ram_init(&ram, true);
	ram_add(&ram, 0x1000, 64 * 4096);
	ram_set_tables(&ram, 0x10000, 32 * 4096);
	*state = &ram;
	return 0;
}

static enum hs_status search(struct ram *ram, const struct hs_root *roots, uint32_t count, uint64_t gpa,
			     uint64_t length, struct hs_budget budget)
{
	static struct hs_reverse reverse;
	struct hs_reverse_item item;
	enum hs_status st;

	item_count = 0;
	hs_reverse_init(&reverse, &ram->phys, roots, count, hs_gpa_of(gpa), length, budget);
	for (;;) {
		struct hs_range range;

		st = hs_reverse_next(&reverse, &item, &last_error);
		if (st) {
			break;
		}
		assert_true(item_count < ITEMS);
		/* What comes out is so: it is within what was asked for, and its first address leads there. */
		assert_true(item.range.gpa.v >= gpa && item.range.gpa.v - gpa <= length - item.range.length);
		hs_translate(&ram->phys, &roots[item.space], item.range.start, &range);
		assert_int_equal(range.gpa.v + (item.range.start.v - range.start.v), item.range.gpa.v);
		items[item_count++] = item;
	}
	assert_int_equal(hs_reverse_next(&reverse, &item, &last_error), st);
	return st;
}

static void check_item(size_t which, uint32_t space, uint64_t gva, uint64_t length)
{
	assert_true(which < item_count);
	assert_int_equal(items[which].space, space);
	assert_int_equal(items[which].range.start.v, gva);
	assert_int_equal(items[which].range.length, length);
}

static const enum hs_paging_format formats[] = { HS_PAGING_32BIT, HS_PAGING_PAE, HS_PAGING_4LEVEL, HS_PAGING_5LEVEL,
						 HS_PAGING_AARCH64_TTBR0 };

static void test_reverse_finds_each_mapping_in_each_root(void **state)
{
	struct ram *ram = *state;

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct hs_root roots[3] = { { .format = formats[i], .base = { 0x1000 }, .pse = true },
					    { .format = HS_PAGING_NONE },
					    { .format = formats[i], .base = { 0x2000 }, .pse = true } };
		struct hs_mapping once = { .gva = { 0x8000 }, .gpa = { 0x400000 }, .length = 0x4000 };
		struct hs_mapping again = { .gva = { 0x7000000 }, .gpa = { 0x402000 }, .length = 0x1000, .prot = 2 };
		struct hs_mapping large = {
			.gva = { 0x40000000 }, .gpa = { 0x400000 }, .length = 0x400000, .large = true
		};

		memset(ram_at(ram, 0x1000), 0, 63 * 4096);
		ram_set_tables(ram, 0x10000, 32 * 4096);
		assert_int_equal(ram_map(ram, &roots[0], &once), HS_OK);
		assert_int_equal(ram_map(ram, &roots[0], &again), HS_OK);
		assert_int_equal(ram_map(ram, &roots[2], &large), HS_OK);
		assert_int_equal(search(ram, roots, 3, 0x402000, 0x1000, hs_budget_default()), HS_ERR_NOT_FOUND);
		assert_int_equal(item_count, 4);
		check_item(0, 0, 0xa000, 0x1000);
		check_item(1, 0, 0x7000000, 0x1000);
		assert_int_equal(items[1].range.prot & HS_PROT_WRITE, HS_PROT_WRITE);
		check_item(2, 1, 0x402000, 0x1000);
		check_item(3, 2, 0x40002000, 0x1000);
		/* One byte; more than is mapped; memory that only the root without paging reaches. */
		assert_int_equal(search(ram, roots, 3, 0x402123, 1, hs_budget_default()), HS_ERR_NOT_FOUND);
		check_item(0, 0, 0xa123, 1);
		check_item(3, 2, 0x40002123, 1);
		assert_int_equal(search(ram, roots, 3, 0x3ff000, 0x2000, hs_budget_default()), HS_ERR_NOT_FOUND);
		assert_int_equal(item_count, 3);
		check_item(0, 0, 0x8000, 0x1000);
		check_item(1, 1, 0x3ff000, 0x2000);
		assert_int_equal(search(ram, roots, 3, 0x900000, 0x1000, hs_budget_default()), HS_ERR_NOT_FOUND);
		assert_int_equal(item_count, 1);
	}
}

static void test_reverse_counts_every_path_through_shared_tables(void **state)
{
	struct hs_root roots[2] = { { .format = HS_PAGING_4LEVEL, .base = { 0x1000 } },
				    { .format = HS_PAGING_4LEVEL, .base = { 0x1000 } } };
	struct ram *ram = *state;

	/* Two slots of the root, three of the PDPT: six ways, in each of two roots that are one. */
	ram_put(ram, 0x1000, 8, 0x2007);
	ram_put(ram, 0x1008, 8, 0x2005);
	for (unsigned int i = 0; i < 3; i++) {
		ram_put(ram, 0x2000 + 8 * i, 8, 0x3007);
	}
	ram_put(ram, 0x3000, 8, 0x4007);
	ram_put(ram, 0x4000, 8, 0x30007);
	assert_int_equal(search(ram, roots, 2, 0x30000, 0x1000, hs_budget_default()), HS_ERR_NOT_FOUND);
	assert_int_equal(item_count, 12);
	for (unsigned int i = 0; i < 12; i++) {
		uint64_t way = i % 6;

		check_item(i, i / 6, (way / 3 << 39) + (way % 3 << 30), 0x1000);
		assert_int_equal(items[i].range.prot & HS_PROT_WRITE, way < 3 ? HS_PROT_WRITE : 0);
	}
}

static void test_reverse_budgets_end_the_search_with_what_was_found(void **state)
{
	struct hs_root roots[2] = { { .format = HS_PAGING_4LEVEL, .base = { 0x1000 } },
				    { .format = HS_PAGING_4LEVEL, .base = { 0x1000 } } };
	struct ram *ram = *state;

	/* 2^36 pages, all of them the PML4. */
	for (unsigned int i = 0; i < 512; i++) {
		ram_put(ram, 0x1000 + 8 * i, 8, 0x1007);
	}
	assert_int_equal(search(ram, roots, 2, 0x1000, 0x1000, (struct hs_budget){ .tables = 1000, .ranges = 10 }),
			 HS_ERR_BUDGET);
	assert_int_equal(item_count, 10);
	assert_int_equal(last_error.where, 10 * 4096);
	ram->pointers = 0;
	assert_int_equal(search(ram, roots, 2, 0x2000, 0x1000, (struct hs_budget){ .tables = 1000, .ranges = 10 }),
			 HS_ERR_BUDGET);
	assert_int_equal(item_count, 0);
	assert_true(ram->pointers <= 1000);
	/* The tables of all roots together count. */
	memset(ram_at(ram, 0x1000), 0, 4096);
	assert_int_equal(search(ram, roots, 2, 0, 4096, (struct hs_budget){ .tables = 1 }), HS_ERR_BUDGET);
	assert_int_equal(search(ram, roots, 2, 0, 4096, (struct hs_budget){ .tables = 2 }), HS_ERR_NOT_FOUND);
	assert_int_equal(search(ram, NULL, 0, 0, 4096, (struct hs_budget){ .tables = 0 }), HS_ERR_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_ram, ram_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reverse_finds_each_mapping_in_each_root),
		TEST(test_reverse_counts_every_path_through_shared_tables),
		TEST(test_reverse_budgets_end_the_search_with_what_was_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
