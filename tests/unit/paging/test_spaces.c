/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several roots together: who owns which table, what is a reference, and that hostile tables cost each table once. */
#include "shape.h"

#include <hindsight/spaces.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PLACES 2052
#define ITEMS 8192

static struct hs_space_item items[ITEMS];
static size_t item_count;
static struct hs_error last_error;

static int make_ram(void **state)
{
	static struct ram ram;

	ram_init(&ram, true);
	ram_add(&ram, 0x1000, 64 * 4096);
	*state = &ram;
	return 0;
}

static void check_reference(const struct hs_space_item *item, const struct hs_space_item *owner)
{
	assert_int_equal(owner->kind, HS_SPACE_TABLE);
	assert_int_equal(owner->space, item->owner);
	assert_int_equal(owner->gva.v, item->owner_gva.v);
	assert_int_equal(owner->length, item->length);
}

/* What must hold of any list: order, one owner a table and depth, references to what came before. */
static void check_items(void)
{
	for (size_t i = 0; i < item_count; i++) {
		size_t found = 0;

		if (i > 0) {
			assert_true(items[i].space >= items[i - 1].space);
			assert_true(items[i].space > items[i - 1].space || items[i].gva.v >= items[i - 1].gva.v);
		}
		for (size_t k = 0; items[i].kind == HS_SPACE_ALIAS && k < i; k++) {
			if (items[k].kind == HS_SPACE_TABLE && items[k].table.v == items[i].table.v &&
			    items[k].depth == items[i].depth && items[k].space == items[i].owner) {
				check_reference(&items[i], &items[k]);
				found++;
			}
		}
		assert_int_equal(found, items[i].kind == HS_SPACE_ALIAS);
	}
}

/* All items into items[]; the status at the end. */
static enum hs_status collect(struct ram *ram, const struct hs_root *roots, uint32_t count, size_t places_count,
			      struct hs_budget budget)
{
	static struct hs_space_place places[PLACES];
	static struct hs_spaces spaces;
	struct hs_space_item item;
	enum hs_status st;

	item_count = 0;
	hs_spaces_init(&spaces, &ram->phys, roots, count, places, places_count, budget);
	for (;;) {
		st = hs_spaces_next(&spaces, &item, &last_error);
		if (st) {
			break;
		}
		assert_true(item_count < ITEMS);
		items[item_count++] = item;
	}
	assert_int_equal(hs_spaces_next(&spaces, &item, &last_error), st);
	check_items();
	return st;
}

static enum hs_status collect_all(struct ram *ram, const struct hs_root *roots, uint32_t count)
{
	return collect(ram, roots, count, PLACES, hs_budget_default());
}

static size_t count_of(enum hs_space_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < item_count; i++) {
		count += items[i].kind == kind;
	}
	return count;
}

static const struct hs_space_item *only(enum hs_space_kind kind)
{
	const struct hs_space_item *found = NULL;

	assert_int_equal(count_of(kind), 1);
	for (size_t i = 0; i < item_count; i++) {
		if (items[i].kind == kind) {
			found = &items[i];
		}
	}
	return found;
}

/* Flags of an entry that names a table, with neither writes nor user mode. */
static uint64_t restricted(const struct shape *shape)
{
	/* APTable is 11. */
	return shape->format == HS_PAGING_AARCH64_TTBR0 ? UINT64_C(3) << 61 | 3 : 1;
}

/* Tables from base on, a page each, down the first slots to a page at 0x30000; flags in all but PDPTEs. */
static void put_chain(struct ram *ram, const struct shape *shape, uint64_t base, uint64_t flags)
{
	for (unsigned int depth = 0; depth < shape->levels; depth++) {
		bool last = depth + 1 == shape->levels;
		bool pdpte = shape->format == HS_PAGING_PAE && depth == 0;

		ram_put(ram, base + 0x1000 * depth, shape->bytes,
			(last ? 0x30000 : base + 0x1000 * (depth + 1)) | (pdpte ? 1 : flags));
	}
}

static void test_spaces_alias_of_another_root_at_every_depth(void **state)
{
	struct ram *ram = *state;

	for (size_t i = 0; i < SHAPES; i++) {
		const struct shape *shape = &shapes[i];
		struct hs_root roots[2] = { { .format = shape->format, .base = { 0x1000 } },
					    { .format = shape->format, .base = { 0x11000 } } };

		for (unsigned int depth = 1; depth < shape->levels; depth++) {
			uint64_t slot = 0x11000 + 0x1000 * (depth - 1) + 3 * shape->bytes;
			bool pdpte = shape->format == HS_PAGING_PAE && depth == 1;
			uint64_t flags = restricted(shape);
			const struct hs_space_item *alias;

			memset(ram_at(ram, 0x1000), 0, 63 * 4096);
			put_chain(ram, shape, 0x1000, 7);
			put_chain(ram, shape, 0x11000, 7);
			/* Slot 3 of our table above leads to the other's table, with neither W nor U. */
			ram_put(ram, slot, shape->bytes, (0x1000 + 0x1000 * depth) | flags);
			assert_int_equal(collect_all(ram, roots, 2), HS_ERR_NOT_FOUND);
			assert_int_equal(count_of(HS_SPACE_TABLE), 2 * shape->levels);
			assert_int_equal(count_of(HS_SPACE_RANGE), 2);
			alias = only(HS_SPACE_ALIAS);
			assert_int_equal(alias->space, 1);
			assert_int_equal(alias->owner, 0);
			assert_int_equal(alias->owner_gva.v, 0);
			assert_int_equal(alias->depth, depth);
			assert_int_equal(alias->table.v, 0x1000 + 0x1000 * depth);
			assert_int_equal(alias->gva.v, UINT64_C(3) << shape->shifts[depth - 1]);
			assert_int_equal(alias->length, UINT64_C(1) << shape->shifts[depth - 1]);
			assert_int_equal(alias->entry, (0x1000 + 0x1000 * depth) | flags);
			assert_int_equal(alias->user, pdpte);
			assert_int_equal(alias->prot & HS_PROT_WRITE, pdpte ? HS_PROT_WRITE : 0);
		}
	}
}

static void test_spaces_alias_within_one_root_at_every_depth(void **state)
{
	struct ram *ram = *state;

	for (size_t i = 0; i < SHAPES; i++) {
		const struct shape *shape = &shapes[i];
		struct hs_root root = { .format = shape->format, .base = { 0x1000 } };

		for (unsigned int depth = 1; depth < shape->levels; depth++) {
			memset(ram_at(ram, 0x1000), 0, 63 * 4096);
			put_chain(ram, shape, 0x1000, 7);
			ram_put(ram, 0x1000 * depth + 2 * shape->bytes, shape->bytes,
				(0x1000 + 0x1000 * depth) | restricted(shape));
			assert_int_equal(collect_all(ram, &root, 1), HS_ERR_NOT_FOUND);
			assert_int_equal(count_of(HS_SPACE_TABLE), shape->levels);
			assert_int_equal(count_of(HS_SPACE_RANGE), 1);
			assert_int_equal(only(HS_SPACE_ALIAS)->owner, 0);
			assert_int_equal(only(HS_SPACE_ALIAS)->depth, depth);
			assert_int_equal(only(HS_SPACE_ALIAS)->gva.v, UINT64_C(2) << shape->shifts[depth - 1]);
		}
	}
}

static void test_spaces_duplicate_root_is_an_alias_of_depth_0(void **state)
{
	struct ram *ram = *state;

	for (size_t i = 0; i < SHAPES; i++) {
		struct hs_root roots[3] = { { .format = shapes[i].format, .base = { 0x1000 } },
					    { .format = HS_PAGING_NONE },
					    { .format = shapes[i].format, .base = { 0x1000 }, .wp = true } };

		memset(ram_at(ram, 0x1000), 0, 63 * 4096);
		put_chain(ram, &shapes[i], 0x1000, 7);
		assert_int_equal(collect_all(ram, roots, 3), HS_ERR_NOT_FOUND);
		assert_int_equal(count_of(HS_SPACE_TABLE), shapes[i].levels);
		assert_int_equal(count_of(HS_SPACE_RANGE), 2);
		assert_int_equal(only(HS_SPACE_ALIAS)->space, 2);
		assert_int_equal(only(HS_SPACE_ALIAS)->depth, 0);
		assert_int_equal(only(HS_SPACE_ALIAS)->length, 0);
		assert_int_equal(only(HS_SPACE_ALIAS)->table.v, 0x1000);
	}
}

static void test_spaces_roots_that_read_tables_differently_share_none(void **state)
{
	struct ram *ram = *state;
	struct hs_root roots[6] = {
		{ .format = HS_PAGING_4LEVEL, .base = { 0x1000 } },
		{ .format = HS_PAGING_4LEVEL, .base = { 0x1000 }, .nxe = true },
		{ .format = HS_PAGING_4LEVEL, .base = { 0x1000 }, .maxphyaddr = 40 },
		{ .format = HS_PAGING_32BIT, .base = { 0x1000 } },
		{ .format = HS_PAGING_32BIT, .base = { 0x1000 }, .pse = true },
		{ .format = HS_PAGING_4LEVEL, .base = { 0x1000 }, .maxphyaddr = 52 },
	};

	put_chain(ram, &shapes[2], 0x1000, 7);
	/* Storage for just so many, so that every search in it passes what is stored for the others. */
	for (size_t storage = 16; storage <= 256; storage += 240) {
		assert_int_equal(collect(ram, roots, 6, storage, hs_budget_default()), HS_ERR_NOT_FOUND);
		/* 52 bits are what 0 stands for. */
		assert_int_equal(only(HS_SPACE_ALIAS)->space, 5);
		assert_int_equal(only(HS_SPACE_ALIAS)->owner, 0);
		assert_int_equal(count_of(HS_SPACE_TABLE), 3 * 4 + 2 * 2);
	}
}

static void test_spaces_same_table_at_another_depth_is_another(void **state)
{
	struct ram *ram = *state;
	struct hs_root root = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 } };

	/* A self-map: the PML4 at each depth, and in the last one the page that it maps. */
	ram_put(ram, 0x1000 + 8 * 511, 8, 0x1003);
	assert_int_equal(collect_all(ram, &root, 1), HS_ERR_NOT_FOUND);
	assert_int_equal(count_of(HS_SPACE_TABLE), 4);
	assert_int_equal(count_of(HS_SPACE_ALIAS), 0);
	assert_int_equal(only(HS_SPACE_RANGE)->gva.v, -(uint64_t)0x1000);
	assert_int_equal(only(HS_SPACE_RANGE)->range.gpa.v, 0x1000);
}

static void test_spaces_ranges_keep_the_rights_of_their_own_entries(void **state)
{
	struct ram *ram = *state;
	struct hs_root root = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 }, .nxe = true };

	/* Two pages that continue, under a directory entry without W: one may be written by its own entry. */
	put_chain(ram, &shapes[2], 0x1000, 7);
	ram_put(ram, 0x3000, 8, 0x4005);
	ram_put(ram, 0x4008, 8, 0x31005);
	assert_int_equal(collect_all(ram, &root, 1), HS_ERR_NOT_FOUND);
	assert_int_equal(count_of(HS_SPACE_RANGE), 2);
	assert_int_equal(items[4].prot, HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC);
	assert_int_equal(items[4].range.prot, HS_PROT_READ | HS_PROT_EXEC);
	assert_int_equal(items[5].prot, HS_PROT_READ | HS_PROT_EXEC);
	assert_true(items[5].user);
	assert_int_equal(items[3].prot, HS_PROT_READ | HS_PROT_EXEC);
}

static void test_spaces_full_self_map_and_fan_out_cost_a_table_once_a_level(void **state)
{
	struct ram *ram = *state;

	for (size_t i = 0; i < SHAPES; i++) {
		const struct shape *shape = &shapes[i];
		struct hs_root root = { .format = shape->format, .base = { 0x1000 } };
		unsigned int slots = 4096 / shape->bytes;
		size_t aliases = 0;

		/* Every slot names the table itself, so at every level all slots but the first are references. */
		for (unsigned int slot = 0; slot < slots; slot++) {
			ram_put(ram, 0x1000 + shape->bytes * slot, shape->bytes,
				shape->format == HS_PAGING_PAE ? 0x1001 : 0x1007);
		}
		for (unsigned int depth = 1; depth < shape->levels; depth++) {
			aliases += (shape->format == HS_PAGING_PAE && depth == 1 ? 4 : slots) - 1;
		}
		ram->pointers = 0;
		assert_int_equal(collect_all(ram, &root, 1), HS_ERR_NOT_FOUND);
		assert_int_equal(count_of(HS_SPACE_TABLE), shape->levels);
		assert_int_equal(count_of(HS_SPACE_ALIAS), aliases);
		assert_int_equal(count_of(HS_SPACE_RANGE), slots);
		assert_true(ram->pointers <= shape->levels);
	}
}

static void test_spaces_cycle_of_two_tables_ends(void **state)
{
	struct ram *ram = *state;
	struct hs_root roots[2] = { { .format = HS_PAGING_5LEVEL, .base = { 0x1000 } },
				    { .format = HS_PAGING_5LEVEL, .base = { 0x2000 } } };

	for (unsigned int i = 0; i < 512; i++) {
		ram_put(ram, 0x1000 + 8 * i, 8, 0x2007);
		ram_put(ram, 0x2000 + 8 * i, 8, 0x1007);
	}
	ram->pointers = 0;
	assert_int_equal(collect_all(ram, roots, 2), HS_ERR_NOT_FOUND);
	/* Two tables at five levels. */
	assert_int_equal(count_of(HS_SPACE_TABLE), 10);
	assert_int_equal(count_of(HS_SPACE_ALIAS), 8 * 511);
	assert_true(ram->pointers <= 10);
}

static void test_spaces_budgets_end_the_walk_with_what_was_found(void **state)
{
	struct ram *ram = *state;
	struct hs_root roots[2] = { { .format = HS_PAGING_4LEVEL, .base = { 0x1000 } },
				    { .format = HS_PAGING_4LEVEL, .base = { 0x11000 } } };
	struct hs_budget exact = { .tables = 8, .ranges = 3 };

	put_chain(ram, &shapes[2], 0x1000, 7);
	put_chain(ram, &shapes[2], 0x11000, 7);
	ram_put(ram, 0x13000 + 8 * 5, 8, 0x4003);
	assert_int_equal(collect(ram, roots, 2, 8, exact), HS_ERR_NOT_FOUND);
	assert_int_equal(item_count, 11);
	for (uint64_t tables = 0; tables < 8; tables++) {
		struct hs_budget budget = { .tables = tables, .ranges = 3 };

		assert_int_equal(collect(ram, roots, 2, 8, budget), HS_ERR_BUDGET);
		assert_int_equal(count_of(HS_SPACE_TABLE), tables);
		assert_int_equal(count_of(HS_SPACE_RANGE), tables >= 4);
		assert_int_equal(last_error.status, HS_ERR_BUDGET);
		/* The same where the storage ends. */
		assert_int_equal(collect(ram, roots, 2, tables, exact), HS_ERR_BUDGET);
		assert_int_equal(count_of(HS_SPACE_TABLE), tables);
		assert_int_equal(count_of(HS_SPACE_RANGE), tables >= 4);
	}
	for (uint64_t ranges = 0; ranges < 3; ranges++) {
		struct hs_budget budget = { .tables = 8, .ranges = ranges };
		static const uint64_t where[] = { 0, 0, UINT64_C(5) << 21 };

		assert_int_equal(collect(ram, roots, 2, 8, budget), HS_ERR_BUDGET);
		assert_int_equal(count_of(HS_SPACE_RANGE) + count_of(HS_SPACE_ALIAS), ranges);
		assert_int_equal(last_error.where, where[ranges]);
	}
}

static void test_spaces_unreadable_table_is_shared_and_reported_once(void **state)
{
	struct ram *ram = *state;
	struct hs_root roots[2] = { { .format = HS_PAGING_PAE, .base = { 0x1020 } },
				    { .format = HS_PAGING_PAE, .base = { 0x1040 } } };

	ram_put(ram, 0x1028, 8, UINT64_C(0x7000000001));
	ram_put(ram, 0x1058, 8, UINT64_C(0x7000000001));
	assert_int_equal(collect_all(ram, roots, 2), HS_ERR_NOT_FOUND);
	assert_int_equal(only(HS_SPACE_RANGE)->range.kind, HS_RANGE_UNREADABLE);
	assert_int_equal(only(HS_SPACE_RANGE)->gva.v, 0x40000000);
	assert_int_equal(only(HS_SPACE_RANGE)->length, 0x40000000);
	assert_int_equal(only(HS_SPACE_RANGE)->prot, 0);
	assert_int_equal(only(HS_SPACE_ALIAS)->gva.v, 0xc0000000);
	assert_int_equal(only(HS_SPACE_ALIAS)->owner_gva.v, 0x40000000);
}

static void test_spaces_storage_takes_all_while_half_of_it_is_free(void **state)
{
	struct ram *ram = *state;
	struct hs_root roots[2] = { { .format = HS_PAGING_4LEVEL, .base = { 0x1000 } },
				    { .format = HS_PAGING_4LEVEL, .base = { 0x2000 } } };

	/* Tables that are nowhere, in a row, as an allocator gives them. */
	for (uint64_t i = 0; i < 1024; i++) {
		ram_put(ram, 0x1000 + 8 * i, 8, 0x70000007 + (i << 12));
	}
	assert_int_equal(collect(ram, roots, 2, 2052, hs_budget_default()), HS_ERR_NOT_FOUND);
	assert_int_equal(count_of(HS_SPACE_TABLE), 1026);
	assert_int_equal(count_of(HS_SPACE_RANGE), 1024);
	assert_int_equal(collect(ram, roots, 2, 1025, hs_budget_default()), HS_ERR_BUDGET);
	assert_true(count_of(HS_SPACE_TABLE) > 768);
}

static void test_spaces_none_is_nothing(void **state)
{
	assert_int_equal(collect_all(*state, NULL, 0), HS_ERR_NOT_FOUND);
	assert_int_equal(item_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_ram, ram_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_spaces_alias_of_another_root_at_every_depth),
		TEST(test_spaces_alias_within_one_root_at_every_depth),
		TEST(test_spaces_duplicate_root_is_an_alias_of_depth_0),
		TEST(test_spaces_roots_that_read_tables_differently_share_none),
		TEST(test_spaces_same_table_at_another_depth_is_another),
		TEST(test_spaces_ranges_keep_the_rights_of_their_own_entries),
		TEST(test_spaces_full_self_map_and_fan_out_cost_a_table_once_a_level),
		TEST(test_spaces_cycle_of_two_tables_ends),
		TEST(test_spaces_budgets_end_the_walk_with_what_was_found),
		TEST(test_spaces_unreadable_table_is_shared_and_reported_once),
		TEST(test_spaces_storage_takes_all_while_half_of_it_is_free),
		TEST(test_spaces_none_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
