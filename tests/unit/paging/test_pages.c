/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pages by the table: that they are what lookups one by one say, in every format, and how the walk ends. */
#include "ram.h"

#include "lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

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
	hs_iter_init(iter, &ram->phys, &root, hs_gva_of(gva), length, hs_budget_default());
}

/* Whether each of the pages is what a lookup of its address says; the address behind the last. */
static uint64_t check_pages(const struct hs_phys *phys, const struct hs_root *space, const struct hs_pages *pages,
			    uint64_t next)
{
	for (uint32_t i = 0; i < pages->count; i++) {
		struct hs_range range;

		assert_true(hs_pages_gva(pages, i).v >= next);
		next = hs_pages_gva(pages, i).v + pages->first.page_bytes;
		if (space->format == HS_PAGING_NONE) {
			assert_int_equal(hs_pages_gpa(pages, i).v, hs_pages_gva(pages, i).v);
			continue;
		}
		hs_translate(phys, space, hs_pages_gva(pages, i), &range);
		assert_int_equal(range.kind, HS_RANGE_MAPPED);
		assert_int_equal(range.start.v, hs_pages_gva(pages, i).v);
		assert_int_equal(range.gpa.v, hs_pages_gpa(pages, i).v);
		assert_int_equal(range.length, pages->first.length);
		assert_int_equal(range.page_bytes, pages->first.page_bytes);
		assert_int_equal(range.prot, pages->first.prot);
		assert_int_equal(range.user, pages->first.user);
		assert_int_equal(range.cow, pages->first.cow);
		assert_int_equal(range.leaf, pages->first.leaf);
		assert_int_equal(range.level, pages->first.level);
	}
	return next;
}

/* All pages of a space, each checked; how many bytes they are, and what else there was. */
static uint64_t walk_pages(const struct hs_phys *phys, const struct hs_root *space, uint64_t *ret_others)
{
	static struct hs_iter iter;
	struct hs_pages pages;
	enum hs_status st;
	uint64_t next = 0;
	uint64_t bytes = 0;

	*ret_others = 0;
	hs_iter_init(&iter, phys, space, hs_gva_of(0), 0, hs_budget_default());
	while ((st = hs_iter_pages(&iter, &pages, NULL)) == HS_OK) {
		assert_int_equal(pages.first.kind == HS_RANGE_MAPPED, pages.count > 0);
		*ret_others += pages.count == 0;
		next = check_pages(phys, space, &pages, next);
		bytes += pages.count * pages.first.page_bytes;
	}
	assert_int_equal(st, HS_ERR_NOT_FOUND);
	return bytes;
}

static uint64_t walk_ranges(const struct hs_phys *phys, const struct hs_root *space, uint64_t *ret_others)
{
	static struct hs_iter iter;
	struct hs_range range;
	uint64_t bytes = 0;

	*ret_others = 0;
	hs_iter_init(&iter, phys, space, hs_gva_of(0), 0, hs_budget_default());
	while (hs_iter_next(&iter, &range, NULL) == HS_OK) {
		*ret_others += range.kind != HS_RANGE_MAPPED;
		bytes += range.kind == HS_RANGE_MAPPED ? range.length : 0;
	}
	return bytes;
}

/* Put random entries, many of them much alike, into the root table and those that it leads to. */
static void fill(struct ram *ram, const struct hs_root *space, uint64_t *seed)
{
	unsigned int bytes = space->format == HS_PAGING_32BIT ? 4 : 8;
	unsigned int entries = 4096 / bytes;

	for (unsigned int table = 1; table <= 6; table++) {
		uint64_t style = random_next(seed);

		for (unsigned int i = 0; i < entries; i++) {
			uint64_t random = random_next(seed);
			uint64_t entry = (random & 0xfff000) | (style & 0x1f ? 1 : random & 1) | (style & 0xfe6);

			if (table < 5) {
				/* To the next table, here and there something else. */
				entry = random % 128 ? 0 : (uint64_t)(table + 1) << 12 | 0x27;
				entry = random % 64 == 1 ? (random & 0xfe00000) | 0x80 | (random & 0xf67) : entry;
			} else if (random % 7 == 0) {
				entry ^= style >> 12 & 0xe7f;
			}
			ram_put(ram, 0x1000 * table + bytes * i, bytes, entry);
		}
	}
}

static void test_pages_of_every_format_are_what_lookups_say(void **state)
{
	struct ram *ram = *state;
	struct hs_phys_ops copying = ram->ops;
	struct hs_phys by_copy = { .ops = &copying, .ctx = ram };
	/* Of each format the table from which on 0x5000 is the last level. */
	static const uint64_t bases[] = { 0x4000, 0x3000, 0x2000, 0x1000, 0x2000, 0x2000 };
	uint64_t seed = 88172645463325252u;
	uint64_t seen = 0;

	copying.pointer = NULL;
	for (unsigned int round = 0; round < 90; round++) {
		struct hs_root space = {
			.format = (enum hs_paging_format)(HS_PAGING_32BIT + round % 6),
			.base = { bases[round % 6] },
			.pse = round % 5 != 0,
			.nxe = round % 7 != 0,
		};
		uint64_t others[3];
		uint64_t bytes;

		fill(ram, &space, &seed);
		if (space.format == HS_PAGING_PAE) {
			/* Of the many bits that a PDPTE does not have none is set. */
			for (unsigned int i = 0; i < 4; i++) {
				ram_put(ram, space.base.v + 8 * i, 8, i % 2 ? 0x4001 : 0);
			}
		}
		bytes = walk_pages(&ram->phys, &space, &others[0]);
		assert_int_equal(bytes, walk_ranges(&ram->phys, &space, &others[1]));
		assert_int_equal(others[0], others[1]);
		assert_int_equal(bytes, walk_pages(&by_copy, &space, &others[2]));
		assert_int_equal(others[0], others[2]);
		seen += bytes > 0;
	}
	assert_true(seen > 60);
}

static void test_pages_differ_in_place_and_memory_alone(void **state)
{
	struct hs_iter iter;
	struct hs_pages pages;

	/* Of 512 pages, each to some other frame, the second half may be written to; one in each half is missing. */
	map(*state, 4 * MIB, 16 * MIB, 2 * MIB, 0);
	for (uint64_t i = 0; i < 512; i++) {
		uint64_t entry = (16 * MIB + (i * 37 % 512 << 12)) | (i < 256 ? 1 : 3);

		ram_put(*state, 0x4000 + 8 * i, 8, i == 100 || i == 300 ? 0 : entry);
	}
	start(&iter, *state, 0, 0);
	for (uint64_t half = 0; half < 2; half++) {
		assert_int_equal(hs_iter_pages(&iter, &pages, NULL), HS_OK);
		assert_int_equal(pages.count, 255);
		assert_int_equal(pages.first.start.v, 4 * MIB + half * MIB);
		assert_int_equal(pages.first.gpa.v, 16 * MIB + (half * 256 * 37 % 512 << 12));
		assert_int_equal(pages.first.length, 4096);
		assert_int_equal(pages.first.prot, HS_PROT_READ | HS_PROT_EXEC | (half ? HS_PROT_WRITE : 0));
		assert_int_equal(hs_pages_gva(&pages, 0).v, pages.first.start.v);
		assert_int_equal(hs_pages_gpa(&pages, 0).v, pages.first.gpa.v);
		assert_int_equal(hs_pages_gva(&pages, 254).v, 4 * MIB + (half + 1) * MIB - 0x1000);
		assert_int_equal(hs_pages_gpa(&pages, 254).v, 16 * MIB + ((half * 256 + 255) * 37 % 512 << 12));
	}
	assert_int_equal(hs_iter_pages(&iter, &pages, NULL), HS_ERR_NOT_FOUND);
	assert_int_equal(hs_iter_pages(&iter, &pages, NULL), HS_ERR_NOT_FOUND);
}

static void test_pages_are_whole_at_both_ends(void **state)
{
	struct hs_iter iter;
	struct hs_pages pages;

	map(*state, 4 * MIB, 16 * MIB, 2 * MIB, 0);
	start(&iter, *state, 4 * MIB + 0x1234, 0x1000);
	assert_int_equal(hs_iter_pages(&iter, &pages, NULL), HS_OK);
	assert_int_equal(pages.count, 2);
	assert_int_equal(pages.first.start.v, 4 * MIB + 0x1000);
	assert_int_equal(hs_pages_gva(&pages, 1).v, 4 * MIB + 0x2000);
	assert_int_equal(hs_iter_pages(&iter, &pages, NULL), HS_ERR_NOT_FOUND);
}

static void test_pages_and_ranges_take_turns(void **state)
{
	struct hs_iter iter;
	struct hs_pages pages;
	struct hs_range range;

	map(*state, 4 * MIB, 16 * MIB, 0x3000, 0);
	map(*state, 4 * MIB + 0x3000, 32 * MIB, 0x3000, 0);
	map(*state, 4 * MIB + 0x8000, 48 * MIB, 0x1000, 0);
	map(*state, 8 * MIB, 64 * MIB, 0x1000, 0);
	start(&iter, *state, 0, 0);
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.length, 0x3000);
	assert_int_equal(hs_iter_pages(&iter, &pages, NULL), HS_OK);
	assert_int_equal(pages.count, 4);
	assert_int_equal(pages.first.start.v, 4 * MIB + 0x3000);
	assert_int_equal(hs_pages_gpa(&pages, 3).v, 48 * MIB);
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.start.v, 8 * MIB);
	assert_int_equal(hs_iter_pages(&iter, &pages, NULL), HS_ERR_NOT_FOUND);
}

static void test_pages_what_is_wrong_is_a_range(void **state)
{
	struct hs_iter iter;
	struct hs_pages pages;

	map(*state, 4 * MIB, 16 * MIB, 8 * MIB, 0);
	ram_put(*state, 0x4000 + 8 * 5, 8, UINT64_C(0x8000000000000003)); /* other rights */
	ram_put(*state, 0x3000 + 8 * 3, 8, 0x2087);                       /* a reserved bit */
	ram_put(*state, 0x3000 + 8 * 4, 8, 0x900007);
	ram_put(*state, 0x3000 + 8 * 5, 8, 0x900007);
	start(&iter, *state, 0, 0);
	for (uint32_t i = 0; i < 3; i++) {
		static const uint32_t counts[] = { 5, 1, 506 };

		assert_int_equal(hs_iter_pages(&iter, &pages, NULL), HS_OK);
		assert_int_equal(pages.count, counts[i]);
	}
	assert_int_equal(hs_iter_pages(&iter, &pages, NULL), HS_OK);
	assert_int_equal(pages.count, 0);
	assert_int_equal(pages.first.kind, HS_RANGE_RESERVED);
	assert_int_equal(pages.first.gpa.v, 0x3018);
	assert_int_equal(hs_iter_pages(&iter, &pages, NULL), HS_OK);
	assert_int_equal(pages.count, 0);
	assert_int_equal(pages.first.kind, HS_RANGE_UNREADABLE);
	assert_int_equal(pages.first.start.v, 8 * MIB);
	assert_int_equal(pages.first.length, 4 * MIB);
	assert_int_equal(hs_iter_pages(&iter, &pages, NULL), HS_ERR_NOT_FOUND);
}

static void test_pages_each_is_one_of_the_budget(void **state)
{
	struct hs_iter iter;
	struct hs_pages pages;
	struct hs_error err;

	map(*state, 4 * MIB, 16 * MIB, 0x9000, 0);
	for (uint64_t budget = 0; budget < 9; budget++) {
		hs_iter_init(&iter, &((struct ram *)*state)->phys, &root, hs_gva_of(0), 0,
			     (struct hs_budget){ .tables = 4, .ranges = budget });
		if (budget > 0) {
			assert_int_equal(hs_iter_pages(&iter, &pages, &err), HS_OK);
			assert_int_equal(pages.count, budget);
		}
		for (int again = 0; again < 2; again++) {
			assert_int_equal(hs_iter_pages(&iter, &pages, &err), HS_ERR_BUDGET);
			assert_int_equal(err.where, 4 * MIB + 0x1000 * budget);
		}
	}
	hs_iter_init(&iter, &((struct ram *)*state)->phys, &root, hs_gva_of(0), 0,
		     (struct hs_budget){ .tables = 3, .ranges = 9 });
	assert_int_equal(hs_iter_pages(&iter, &pages, &err), HS_ERR_BUDGET);
	assert_int_equal(err.where, 4 * MIB);
}

static void test_pages_without_paging_are_small(void **state)
{
	struct hs_root flat = { .format = HS_PAGING_NONE };
	struct hs_iter iter;
	struct hs_pages pages;
	uint64_t others;

	assert_int_equal(walk_pages(&((struct ram *)*state)->phys, &flat, &others), UINT64_C(1) << 32);
	assert_int_equal(others, 0);
	/* The first is one page of the one range that a lookup gives. */
	hs_iter_init(&iter, &((struct ram *)*state)->phys, &flat, hs_gva_of(0x1234), 0x1000, hs_budget_default());
	assert_int_equal(hs_iter_pages(&iter, &pages, NULL), HS_OK);
	assert_int_equal(hs_pages_gva(&pages, 0).v, 0x1000);
	assert_int_equal(pages.count, 2);
	assert_int_equal(pages.first.length, 0x1000);
	assert_int_equal(pages.first.prot, HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC);
	assert_true(pages.first.user && !pages.first.cow && pages.first.leaf == 0);
	assert_int_equal(hs_iter_pages(&iter, &pages, NULL), HS_ERR_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_ram, ram_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pages_of_every_format_are_what_lookups_say),
		TEST(test_pages_differ_in_place_and_memory_alone),
		TEST(test_pages_are_whole_at_both_ends),
		TEST(test_pages_and_ranges_take_turns),
		TEST(test_pages_what_is_wrong_is_a_range),
		TEST(test_pages_each_is_one_of_the_budget),
		TEST(test_pages_without_paging_are_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
