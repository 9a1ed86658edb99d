/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Page tables that a guest can write to hurt who reads them: in every format, every walk must end within its budget and
 * say so. The work done is counted in host pointers asked for, which is once a table visited, rather than in time; how
 * much it has to be follows from the shape of the format.
 */
#include "walks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RANGES 3000
#define TABLES 300

static int make_ram(void **state)
{
	static struct ram ram;

	ram_init(&ram, true);
	ram_add(&ram, WALK_ROOT, WALK_PAGES * 4096);
	*state = &ram;
	return 0;
}

static struct hs_root root_of(const struct shape *shape)
{
	return (struct hs_root){ .format = shape->format, .base = { WALK_ROOT }, .pse = true, .nxe = true };
}

/* Tables on the way to the first `pages` small pages, where every entry leads on. */
static uint64_t tables_for(const struct shape *shape, uint64_t pages)
{
	uint64_t tables = 1;

	for (unsigned int depth = 1; depth < shape->levels; depth++) {
		uint64_t reach = UINT64_C(1) << (shape->shifts[depth - 1] - 12);

		tables += (pages + reach - 1) / reach;
	}
	return tables;
}

/* The first small page that so many tables do not lead to. */
static uint64_t page_beyond(const struct shape *shape, uint64_t tables)
{
	uint64_t page = 0;

	while (tables_for(shape, page + 1) <= tables) {
		page += UINT64_C(1) << (shape->shifts[shape->levels - 2] - 12);
	}
	return page;
}

static void test_hostile_tangle_ends_iter_at_either_budget(void **state)
{
	struct ram *ram = *state;

	for (const struct shape *shape = shapes; shape < shapes + SHAPES; shape++) {
		struct hs_root root = root_of(shape);

		for (enum tangle tangle = 0; tangle < TANGLE_COUNT; tangle++) {
			struct hs_budget budget = { .tables = TABLES, .ranges = UINT64_MAX };
			uint64_t page = page_beyond(shape, TABLES);
			struct walk_count count;

			tangle_put(ram, shape, tangle);
			count = walk_iter(ram, &root, budget);
			assert_int_equal(count.status, HS_ERR_BUDGET);
			assert_int_equal(count.visited, TABLES);
			assert_int_equal(count.where, page << 12);
			assert_int_equal(count.ranges, tangle == TANGLE_HOLLOW ? 0 : page);
			if (tangle == TANGLE_HOLLOW) {
				continue;
			}
			budget = (struct hs_budget){ .tables = UINT64_MAX, .ranges = RANGES };
			count = walk_iter(ram, &root, budget);
			assert_int_equal(count.status, HS_ERR_BUDGET);
			assert_int_equal(count.ranges, RANGES);
			assert_int_equal(count.where, RANGES << 12);
			/* One more page is looked at, to see that it does not go on. */
			assert_int_equal(count.visited, tables_for(shape, RANGES + 1));
		}
	}
}

static void test_hostile_tangle_ends_reverse_at_either_budget(void **state)
{
	struct ram *ram = *state;

	for (const struct shape *shape = shapes; shape < shapes + SHAPES; shape++) {
		struct hs_root roots[2] = { root_of(shape), root_of(shape) };

		for (enum tangle tangle = 0; tangle < TANGLE_COUNT; tangle++) {
			struct hs_budget budget = { .tables = TABLES, .ranges = UINT64_MAX };
			uint64_t page = page_beyond(shape, TABLES);
			struct walk_count count;

			tangle_put(ram, shape, tangle);
			/* Somebody whom nobody maps, and then all that there is. */
			count = walk_reverse(ram, roots, 2, UINT64_C(1) << 30, 4096, budget);
			assert_int_equal(count.status, HS_ERR_BUDGET);
			assert_int_equal(count.ranges, 0);
			assert_int_equal(count.where, page << 12);
			assert_int_equal(count.visited, TABLES);
			count = walk_reverse(ram, roots, 2, 0, 0, budget);
			assert_int_equal(count.ranges, tangle == TANGLE_HOLLOW ? 0 : page);
			assert_int_equal(count.visited, TABLES);
			if (tangle == TANGLE_HOLLOW) {
				continue;
			}
			budget = (struct hs_budget){ .tables = UINT64_MAX, .ranges = RANGES };
			count = walk_reverse(ram, roots, 2, 0, 0, budget);
			assert_int_equal(count.status, HS_ERR_BUDGET);
			assert_int_equal(count.ranges, RANGES);
			assert_int_equal(count.where, RANGES << 12);
			assert_int_equal(count.space, 0);
			assert_int_equal(count.visited, tables_for(shape, RANGES + 2));
		}
	}
}

static void test_hostile_tangle_ends_reverse_in_a_later_root(void **state)
{
	struct ram *ram = *state;

	for (const struct shape *shape = shapes; shape < shapes + SHAPES; shape++) {
		struct hs_budget budget = { .tables = TABLES, .ranges = 1 };
		struct hs_root roots[2] = { root_of(shape), root_of(shape) };
		struct walk_count count;

		/* The table of the first one is empty, and is one of those that may be visited. */
		roots[0].base.v = WALK_ROOT + 0x1000 * (WALK_PAGES - 1);
		tangle_put(ram, shape, TANGLE_HOLLOW);
		count = walk_reverse(ram, roots, 2, 0, 0, budget);
		assert_int_equal(count.status, HS_ERR_BUDGET);
		assert_int_equal(count.space, 1);
		assert_int_equal(count.where, page_beyond(shape, TABLES - 1) << 12);
		assert_int_equal(count.visited, TABLES);
	}
}

/* References that a walk over several roots finds in one: all but the first entry of each table but the last. */
static uint64_t aliases_of(const struct shape *shape)
{
	uint64_t aliases = 0;

	for (unsigned int depth = 0; depth + 1 < shape->levels; depth++) {
		aliases += shape_entries(shape, depth) - 1;
	}
	return aliases;
}

static void test_hostile_tangle_costs_spaces_each_level_once(void **state)
{
	struct ram *ram = *state;

	for (const struct shape *shape = shapes; shape < shapes + SHAPES; shape++) {
		struct hs_root roots[3] = { root_of(shape), root_of(shape), root_of(shape) };
		struct hs_budget ample = { .tables = UINT64_MAX, .ranges = UINT64_MAX };

		for (enum tangle tangle = 0; tangle < TANGLE_COUNT; tangle++) {
			uint64_t leaves = tangle == TANGLE_HOLLOW ? 0 : 4096 / shape->bytes;
			struct walk_count count;

			tangle_put(ram, shape, tangle);
			count = walk_spaces(ram, roots, 3, WALK_PLACES, ample);
			assert_int_equal(count.status, HS_ERR_NOT_FOUND);
			assert_int_equal(count.tables, shape->levels);
			assert_int_equal(count.visited, shape->levels);
			/* Both of the roots that are there again are references. */
			assert_int_equal(count.aliases, aliases_of(shape) + 2);
			assert_int_equal(count.ranges, leaves);
		}
	}
}

static void test_hostile_tangle_ends_spaces_at_each_budget(void **state)
{
	struct ram *ram = *state;

	for (const struct shape *shape = shapes; shape < shapes + SHAPES; shape++) {
		struct hs_root root = root_of(shape);
		uint64_t leaves = 4096 / shape->bytes;
		uint64_t all = leaves + aliases_of(shape);

		for (enum tangle tangle = 0; tangle < TANGLE_HOLLOW; tangle++) {
			struct hs_budget budget = { .tables = shape->levels, .ranges = all };
			struct walk_count count;

			tangle_put(ram, shape, tangle);
			count = walk_spaces(ram, &root, 1, WALK_PLACES, budget);
			assert_int_equal(count.status, HS_ERR_NOT_FOUND);
			budget.tables--;
			count = walk_spaces(ram, &root, 1, WALK_PLACES, budget);
			assert_int_equal(count.status, HS_ERR_BUDGET);
			assert_int_equal(count.where, 0);
			assert_int_equal(count.visited, shape->levels - 1);
			budget = (struct hs_budget){ .tables = shape->levels, .ranges = leaves - 1 };
			count = walk_spaces(ram, &root, 1, WALK_PLACES, budget);
			assert_int_equal(count.status, HS_ERR_BUDGET);
			assert_int_equal(count.where, (leaves - 1) << 12);
			assert_int_equal(count.ranges, leaves - 1);
			assert_int_equal(count.visited, shape->levels);
			count = walk_spaces(ram, &root, 1, shape->levels - 1, hs_budget_default());
			assert_int_equal(count.status, HS_ERR_BUDGET);
			assert_int_equal(count.tables, shape->levels - 1);
		}
	}
}

static void check_lookup(struct ram *ram, const struct hs_root *root, uint64_t gva, bool hole, unsigned int levels)
{
	struct hs_range range;

	ram->pointers = 0;
	hs_translate(&ram->phys, root, hs_gva_of(gva), &range);
	assert_int_equal(range.kind, hole ? HS_RANGE_HOLE : HS_RANGE_MAPPED);
	assert_int_equal(range.level, levels - 1);
	assert_int_equal(ram->pointers, levels);
}

static void test_hostile_tangle_costs_a_lookup_one_table_a_level(void **state)
{
	struct ram *ram = *state;

	for (const struct shape *shape = shapes; shape < shapes + SHAPES; shape++) {
		struct hs_root root = root_of(shape);
		uint64_t addresses[] = { 0, 0x12345678, shape_has_halves(shape) ? UINT64_MAX : UINT32_MAX };

		for (enum tangle tangle = 0; tangle < TANGLE_COUNT; tangle++) {
			tangle_put(ram, shape, tangle);
			for (unsigned int i = 0; i < 3; i++) {
				check_lookup(ram, &root, addresses[i], tangle == TANGLE_HOLLOW, shape->levels);
			}
		}
	}
}

static void test_hostile_tangle_costs_bytes_as_many_tables_as_pages_need(void **state)
{
	static uint8_t bytes[5 * 4096];
	struct ram *ram = *state;
	size_t got = 0;

	for (const struct shape *shape = shapes; shape < shapes + SHAPES; shape++) {
		struct hs_root root = root_of(shape);
		struct hs_error err = { .where = 0 };
		/* Pages of which the third is the first of another page table. */
		uint64_t gva = (UINT64_C(1) << shape->shifts[shape->levels - 2]) - 2 * 4096;

		for (enum tangle tangle = 0; tangle < TANGLE_HOLLOW; tangle++) {
			tangle_put(ram, shape, tangle);
			ram->pointers = 0;
			assert_int_equal(
				hs_vmem_read(&ram->phys, &root, hs_gva_of(gva), bytes, sizeof(bytes), &got, &err),
				HS_OK);
			assert_int_equal(got, sizeof(bytes));
			/* The pages, the way to the first, and what changes of it at the third. */
			assert_in_range(ram->pointers, 5 + shape->levels + 1, 5 + 2 * shape->levels);
			/* It writes over the tables that it goes through, and ends. */
			ram->pointers = 0;
			assert_int_equal(hs_vmem_write(&ram->phys, &root, hs_gva_of(gva), bytes, sizeof(bytes), &err),
					 HS_OK);
			assert_true(ram->pointers <= 20 + 10 * shape->levels);
		}
		tangle_put(ram, shape, TANGLE_HOLLOW);
		assert_int_equal(hs_vmem_read(&ram->phys, &root, hs_gva_of(gva), bytes, 1, &got, &err),
				 HS_ERR_UNREADABLE);
		assert_int_equal(err.where, gva);
	}
}

static void test_hostile_fan_out_at_each_level_is_counted(void **state)
{
	struct ram *ram = *state;

	for (const struct shape *shape = shapes; shape < shapes + SHAPES; shape++) {
		struct hs_root root = root_of(shape);

		for (unsigned int wide = 0; wide < shape->levels; wide++) {
			uint64_t ways = shape_entries(shape, wide);
			uint64_t tables = wide + 1 + ways * (shape->levels - 1 - wide);
			struct hs_budget budget = { .tables = tables, .ranges = ways };
			bool last = wide + 1 == shape->levels;
			struct walk_count count;

			memset(ram_at(ram, WALK_ROOT), 0, WALK_PAGES * 4096);
			for (unsigned int depth = 0; depth < shape->levels; depth++) {
				shape_fill(ram, shape, depth, WALK_ROOT + 0x1000 * depth, 0,
					   depth == wide ? (unsigned int)ways : 1, WALK_ROOT + 0x1000 * (depth + 1));
			}
			count = walk_iter(ram, &root, budget);
			assert_int_equal(count.status, HS_ERR_NOT_FOUND);
			assert_int_equal(count.ranges, ways);
			assert_int_equal(count.visited, tables);
			budget.ranges--;
			count = walk_iter(ram, &root, budget);
			assert_int_equal(count.status, HS_ERR_BUDGET);
			assert_int_equal(count.where, shape_gva(shape, wide, ways - 1));
			budget = (struct hs_budget){ .tables = tables - 1, .ranges = ways };
			count = walk_reverse(ram, &root, 1, WALK_ROOT, WALK_PAGES * 4096, budget);
			assert_int_equal(count.status, HS_ERR_BUDGET);
			assert_int_equal(count.where, last ? 0 : shape_gva(shape, wide, ways - 1));
			count = walk_spaces(ram, &root, 1, WALK_PLACES, hs_budget_default());
			assert_int_equal(count.status, HS_ERR_NOT_FOUND);
			assert_int_equal(count.visited, shape->levels);
			assert_int_equal(count.aliases, last ? 0 : ways - 1);
			assert_int_equal(count.ranges, last ? ways : 1);
		}
	}
}

static void test_hostile_one_self_reference_is_only_itself(void **state)
{
	struct ram *ram = *state;

	for (const struct shape *shape = shapes; shape < shapes + SHAPES; shape++) {
		struct hs_root root = root_of(shape);
		unsigned int slot = shape_entries(shape, 0) - 1;
		struct walk_count count;

		/* The recursive slot of many kernels, the last one: it shows the root's table as one page. */
		memset(ram_at(ram, WALK_ROOT), 0, WALK_PAGES * 4096);
		shape_fill(ram, shape, 0, WALK_ROOT, slot, slot + 1, WALK_ROOT);
		count = walk_iter(ram, &root, hs_budget_default());
		assert_int_equal(count.status, HS_ERR_NOT_FOUND);
		assert_int_equal(count.ranges, 1);
		assert_int_equal(count.visited, shape->levels);
		count = walk_spaces(ram, &root, 1, WALK_PLACES, hs_budget_default());
		assert_int_equal(count.status, HS_ERR_NOT_FOUND);
		assert_int_equal(count.tables, shape->levels);
		assert_int_equal(count.ranges, 1);
		assert_int_equal(count.aliases, 0);
	}
}

static void test_hostile_builder_in_a_cycle_ends(void **state)
{
	struct ram *ram = *state;

	for (const struct shape *shape = shapes; shape < shapes + SHAPES; shape++) {
		struct hs_root root = root_of(shape);
		struct hs_mapping mapping = { .gpa = { 0x100000 }, .length = UINT64_C(1) << 31, .prot = HS_PROT_WRITE };

		/* The root is its own next table; building there fills the pages that there are and ends. */
		memset(ram_at(ram, WALK_ROOT), 0, WALK_PAGES * 4096);
		ram_set_tables(ram, 0x2000, 4 * 4096);
		shape_fill(ram, shape, 0, WALK_ROOT, 0, 1, WALK_ROOT);
		ram->writes = 0;
		assert_int_not_equal(ram_map(ram, &root, &mapping), HS_OK);
		assert_true(ram->writes < 10000);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_ram, ram_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hostile_tangle_ends_iter_at_either_budget),
		TEST(test_hostile_tangle_ends_reverse_at_either_budget),
		TEST(test_hostile_tangle_ends_reverse_in_a_later_root),
		TEST(test_hostile_tangle_costs_spaces_each_level_once),
		TEST(test_hostile_tangle_ends_spaces_at_each_budget),
		TEST(test_hostile_tangle_costs_a_lookup_one_table_a_level),
		TEST(test_hostile_tangle_costs_bytes_as_many_tables_as_pages_need),
		TEST(test_hostile_fan_out_at_each_level_is_counted),
		TEST(test_hostile_one_self_reference_is_only_itself),
		TEST(test_hostile_builder_in_a_cycle_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
