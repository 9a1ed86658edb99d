/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hs_build_map and hs_build_tables_needed: what is written, what is refused, and what a failure leaves. */
#include "ram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB UINT64_C(0x100000)
#define GIB UINT64_C(0x40000000)
#define RWX (HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC)

static int make_ram(void **state)
{
	static struct ram ram;

	ram_init(&ram, false);
	ram_add(&ram, 0x1000, 64 * 4096);
	ram_set_tables(&ram, 0x2000, 63 * 4096);
	*state = &ram;
	return 0;
}

static struct hs_range at(struct ram *ram, const struct hs_root *root, uint64_t gva)
{
	struct hs_range range;

	hs_translate(&ram->phys, root, hs_gva_of(gva), &range);
	return range;
}

static const struct hs_root every_root[] = {
	{ .format = HS_PAGING_32BIT, .base = { 0x1000 } },
	{ .format = HS_PAGING_32BIT, .base = { 0x1000 }, .pse = true },
	{ .format = HS_PAGING_PAE, .base = { 0x1000 }, .nxe = true },
	{ .format = HS_PAGING_4LEVEL, .base = { 0x1000 }, .nxe = true },
	{ .format = HS_PAGING_4LEVEL, .base = { 0x1000 } },
	{ .format = HS_PAGING_5LEVEL, .base = { 0x1000 }, .nxe = true },
};
#define ROOTS (sizeof(every_root) / sizeof(every_root[0]))

static void test_build_then_translate_gives_the_mapping(void **state)
{
	struct ram *ram = *state;

	for (size_t i = 0; i < ROOTS; i++) {
		struct hs_mapping mapping = {
			.gva = { 0xbffff000 },
			.gpa = { 0x7654000 },
			.length = 0x3000,
			.prot = HS_PROT_READ | HS_PROT_WRITE,
			.user = i & 1,
			.leaf = HS_LEAF_GLOBAL | HS_LEAF_PAT | HS_LEAF_DIRTY,
		};
		struct hs_range range;

		memset(ram_at(ram, 0x1000), 0, 64 * 4096);
		ram_set_tables(ram, 0x2000, 63 * 4096);
		ram->tables_taken = 0;
		assert_int_equal(ram_map(ram, &every_root[i], &mapping), HS_OK);
		assert_int_equal(ram->tables_taken + 1, hs_build_tables_needed(&every_root[i], &mapping, 1));
		for (uint64_t page = 0; page < 3; page++) {
			range = at(ram, &every_root[i], 0xbffff000 + page * 0x1000);
			assert_int_equal(range.kind, HS_RANGE_MAPPED);
			assert_int_equal(range.gpa.v, 0x7654000 + page * 0x1000);
			assert_int_equal(range.prot, every_root[i].nxe ? HS_PROT_READ | HS_PROT_WRITE : RWX);
			assert_int_equal(range.user, i & 1);
			assert_int_equal(range.leaf, mapping.leaf);
			assert_false(range.cow);
		}
		assert_int_equal(at(ram, &every_root[i], 0xbfffe000).kind, HS_RANGE_HOLE);
		assert_int_equal(at(ram, &every_root[i], 0xc0002000).kind, HS_RANGE_HOLE);
	}
}

static void test_build_cow_replaces_w_and_the_software_bits(void **state)
{
	struct hs_mapping mapping = { .gva = { 0x1000 },
				      .gpa = { 0x5000 },
				      .length = 0x1000,
				      .prot = RWX,
				      .cow = true,
				      .leaf = UINT64_C(6) << 9 };
	struct hs_range range;

	assert_int_equal(ram_map(*state, &every_root[3], &mapping), HS_OK);
	range = at(*state, &every_root[3], 0x1000);
	assert_true(range.cow);
	assert_int_equal(range.prot, HS_PROT_READ | HS_PROT_EXEC);
	assert_int_equal(range.leaf, 1 << 9);
}

static void test_build_large_uses_the_largest_leaf_that_fits(void **state)
{
	/* One page, then up to the next 2 MiB by pages, 2 MiB leaves up to the next GiB, one GiB leaf, and a tail. */
	struct hs_mapping mapping = {
		.gva = { 2 * GIB - 2 * MIB - 0x1000 },
		.gpa = { 4 * GIB - 2 * MIB - 0x1000 },
		.length = 0x1000 + 2 * MIB + GIB + 2 * MIB + 0x1000,
		.prot = HS_PROT_WRITE,
		.leaf = HS_LEAF_PAT,
		.large = true,
	};
	const struct hs_root *root = &every_root[3];
	struct ram *ram = *state;

	assert_int_equal(ram_map(ram, root, &mapping), HS_OK);
	assert_int_equal(ram->tables_taken + 1, hs_build_tables_needed(root, &mapping, 1));
	assert_int_equal(ram->tables_taken, 1 + 2 + 2);
	assert_int_equal(at(ram, root, 2 * GIB - 2 * MIB - 0x1000).page_bytes, 0x1000);
	assert_int_equal(at(ram, root, 2 * GIB - 2 * MIB).page_bytes, 2 * MIB);
	assert_int_equal(at(ram, root, 2 * GIB).page_bytes, GIB);
	assert_int_equal(at(ram, root, 2 * GIB).gpa.v, 4 * GIB);
	assert_int_equal(at(ram, root, 2 * GIB).leaf, HS_LEAF_PAT);
	assert_int_equal(at(ram, root, 3 * GIB).page_bytes, 2 * MIB);
	assert_int_equal(at(ram, root, 3 * GIB + 2 * MIB).page_bytes, 0x1000);
	assert_int_equal(at(ram, root, 3 * GIB + 2 * MIB).gpa.v, 5 * GIB + 2 * MIB);
	assert_int_equal(at(ram, root, 3 * GIB + 2 * MIB + 0x1000).kind, HS_RANGE_HOLE);
}

static void test_build_leaves_are_not_larger_than_asked_for(void **state)
{
	struct hs_mapping mapping = {
		.gva = { GIB }, .gpa = { 2 * GIB }, .length = GIB, .large = true, .largest = 4 * MIB
	};
	const struct hs_root *root = &every_root[3];
	struct ram *ram = *state;

	assert_int_equal(ram_map(ram, root, &mapping), HS_OK);
	assert_int_equal(ram->tables_taken, 2);
	assert_int_equal(ram->tables_taken + 1, hs_build_tables_needed(root, &mapping, 1));
	assert_int_equal(at(ram, root, GIB).page_bytes, 2 * MIB);
	assert_int_equal(at(ram, root, 2 * GIB - 0x1000).page_bytes, 2 * MIB);
	/* Without `large`, any but the smallest. */
	mapping = (struct hs_mapping){ .gva = { 4 * MIB }, .gpa = { 4 * MIB }, .length = 4 * MIB, .largest = 4 * MIB };
	assert_int_equal(ram_map(ram, root, &mapping), HS_OK);
	assert_int_equal(at(ram, root, 4 * MIB).page_bytes, 0x1000);
}

static void test_build_large_32bit_reaches_40_bits_with_pse_only(void **state)
{
	struct hs_mapping mapping = { .gva = { 0xc0000000 }, .gpa = { UINT64_C(0xab00400000) }, .length = 4 * MIB };

	mapping.large = true;
	assert_int_equal(ram_map(*state, &every_root[0], &mapping), HS_ERR_RANGE);
	assert_int_equal(ram_map(*state, &every_root[1], &mapping), HS_OK);
	assert_int_equal(at(*state, &every_root[1], 0xc0000000).gpa.v, UINT64_C(0xab00400000));
	/* Half a large page cannot be mapped up there. */
	mapping.gva.v = 0xd0000000;
	mapping.length = 2 * MIB;
	assert_int_equal(ram_map(*state, &every_root[1], &mapping), HS_ERR_RANGE);
}

static void test_build_mapped_already_is_busy_after_the_pages_before(void **state)
{
	struct hs_mapping first = { .gva = { 0x203000 }, .gpa = { 0x9000 }, .length = 0x1000 };
	struct hs_mapping second = { .gva = { 0x1fe000 }, .gpa = { 0x20000 }, .length = 0x10000 };
	struct hs_mapping large = { .gva = { 0 }, .gpa = { 0 }, .length = 4 * MIB, .large = true };
	struct hs_error err;

	for (size_t i = 0; i < ROOTS; i++) {
		struct ram *ram = *state;

		memset(ram_at(ram, 0x1000), 0, 64 * 4096);
		ram_set_tables(ram, 0x2000, 63 * 4096);
		assert_int_equal(ram_map(ram, &every_root[i], &first), HS_OK);
		assert_int_equal(hs_build_map(&ram->phys, &every_root[i], &second, &ram->source, &err), HS_ERR_BUSY);
		assert_int_equal(err.where, 0x203000);
		assert_int_equal(at(ram, &every_root[i], 0x202000).gpa.v, 0x24000);
		assert_int_equal(at(ram, &every_root[i], 0x203000).gpa.v, 0x9000);
		assert_int_equal(at(ram, &every_root[i], 0x204000).kind, HS_RANGE_HOLE);
		assert_int_equal(hs_build_map(&ram->phys, &every_root[i], &large, &ram->source, &err), HS_ERR_BUSY);
		assert_int_equal(err.where, 0x1fe000);
	}
}

static void test_build_large_leaf_in_the_way_is_busy(void **state)
{
	struct hs_mapping large = { .gva = { 4 * MIB }, .gpa = { 0 }, .length = 4 * MIB, .large = true };
	struct hs_mapping page = { .gva = { 4 * MIB + 0x5000 }, .gpa = { 0 }, .length = 0x1000 };

	assert_int_equal(ram_map(*state, &every_root[1], &large), HS_OK);
	assert_int_equal(ram_map(*state, &every_root[1], &page), HS_ERR_BUSY);
}

static void test_build_large_keeps_a_table_that_is_there(void **state)
{
	struct hs_mapping page = { .gva = { 2 * MIB }, .gpa = { 0x9000 }, .length = 0x1000 };
	struct hs_mapping large = { .gva = { 2 * MIB }, .gpa = { 8 * MIB }, .length = 4 * MIB, .large = true };
	const struct hs_root *root = &every_root[3];
	struct ram *ram = *state;

	assert_int_equal(ram_map(ram, root, &page), HS_OK);
	/* PML4 0x1000, PDPT 0x2000, PD 0x3000, PT 0x4000; the page's own entry goes, its table stays. */
	ram_put(ram, 0x4000, 8, 0);
	assert_int_equal(ram_map(ram, root, &large), HS_OK);
	assert_int_equal(at(ram, root, 2 * MIB).page_bytes, 0x1000);
	assert_int_equal(at(ram, root, 4 * MIB - 0x1000).gpa.v, 10 * MIB - 0x1000);
	assert_int_equal(at(ram, root, 4 * MIB).page_bytes, 2 * MIB);
}

static void test_build_refuses_before_it_writes(void **state)
{
	const struct hs_mapping good = { .gva = { 0x1000 }, .gpa = { 0x1000 }, .length = 0x1000 };
	struct hs_root none = { .format = HS_PAGING_NONE };
	struct hs_root narrow = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 }, .maxphyaddr = 36 };
	struct ram *ram = *state;
	struct hs_mapping bad = good;

	assert_int_equal(ram_map(ram, &none, &good), HS_ERR_INVALID);
	bad.gva.v = 0x1001;
	assert_int_equal(ram_map(ram, &every_root[3], &bad), HS_ERR_RANGE);
	bad = good;
	bad.gpa.v = 0x1800;
	assert_int_equal(ram_map(ram, &every_root[3], &bad), HS_ERR_RANGE);
	bad = good;
	bad.length = 0x800;
	assert_int_equal(ram_map(ram, &every_root[3], &bad), HS_ERR_RANGE);
	bad = good;
	bad.gva.v = UINT64_C(0x7ffffffff000);
	bad.length = 0x2000;
	assert_int_equal(ram_map(ram, &every_root[3], &bad), HS_ERR_RANGE);
	bad.gva.v = UINT64_C(1) << 47;
	assert_int_equal(ram_map(ram, &every_root[3], &bad), HS_ERR_RANGE);
	bad = good;
	bad.gva.v = 0xfffff000;
	bad.length = 0x2000;
	assert_int_equal(ram_map(ram, &every_root[0], &bad), HS_ERR_RANGE);
	bad = good;
	bad.gpa.v = UINT64_C(0xffffff000);
	bad.length = 0x2000;
	assert_int_equal(ram_map(ram, &narrow, &bad), HS_ERR_RANGE);
	bad.gpa.v = UINT64_C(0xfffffffffffff000);
	assert_int_equal(ram_map(ram, &every_root[3], &bad), HS_ERR_RANGE);
	bad = good;
	bad.leaf = UINT64_C(1) << 52;
	assert_int_equal(ram_map(ram, &every_root[2], &bad), HS_ERR_INVALID);
	bad.leaf = 2;
	assert_int_equal(ram_map(ram, &every_root[3], &bad), HS_ERR_INVALID);
	ram->ops.write = NULL;
	assert_int_equal(ram_map(ram, &every_root[3], &good), HS_ERR_INVALID);
	assert_int_equal(ram->tables_taken, 0);
	assert_int_equal(ram->writes, 0);
}

static void test_build_passes_the_errors_of_others_through(void **state)
{
	const struct hs_mapping page = {
		.gva = { 0x1000 }, .gpa = { 0x1000 }, .length = 0x1000, .prot = RWX, .user = true
	};
	struct hs_error err;
	struct ram *ram = *state;

	ram_set_tables(ram, 0x2000, 2 * 4096);
	assert_int_equal(hs_build_map(&ram->phys, &every_root[3], &page, &ram->source, &err), HS_ERR_EXHAUSTED);
	assert_int_equal(err.where, 0x4000);
	/* A source that gives an address outside what an entry can hold, and one outside memory. */
	ram_set_tables(ram, UINT64_C(1) << 52, 4096);
	assert_int_equal(hs_build_map(&ram->phys, &every_root[3], &page, &ram->source, &err), HS_ERR_RANGE);
	ram_set_tables(ram, 0x900000, 4096);
	assert_int_equal(hs_build_map(&ram->phys, &every_root[3], &page, &ram->source, &err), HS_ERR_UNREADABLE);
}

static void test_build_tables_of_others_are_respected(void **state)
{
	const struct hs_mapping page = {
		.gva = { 0x1000 }, .gpa = { 0x1000 }, .length = 0x1000, .prot = RWX, .user = true
	};
	struct hs_error err;
	struct ram *ram = *state;

	ram_put(ram, 0x1000, 8, 0x2003); /* no U */
	assert_int_equal(hs_build_map(&ram->phys, &every_root[3], &page, &ram->source, &err), HS_ERR_STATE);
	ram_put(ram, 0x1000, 8, 0x2005); /* no W */
	assert_int_equal(hs_build_map(&ram->phys, &every_root[3], &page, &ram->source, &err), HS_ERR_STATE);
	ram_put(ram, 0x1000, 8, 0x2007 | UINT64_C(1) << 63);
	assert_int_equal(hs_build_map(&ram->phys, &every_root[3], &page, &ram->source, &err), HS_ERR_STATE);
	assert_int_equal(err.where, 0x1000);
	ram_put(ram, 0x1000, 8, 0x2087); /* PS in a PML4E */
	assert_int_equal(hs_build_map(&ram->phys, &every_root[3], &page, &ram->source, &err), HS_ERR_FORMAT);
	assert_int_equal(ram->tables_taken, 0);
}

static void test_build_tables_needed_counts_shared_tables_once(void **state)
{
	const struct hs_mapping mappings[] = {
		{ .gva = { 0x400000 }, .length = 0x2000 },
		{ .gva = { 0x402000 }, .length = 0 },
		{ .gva = { 0x405000 }, .length = 0x1000 },                      /* same PT */
		{ .gva = { 0x5ff000 }, .length = 0x2000 },                      /* and the next one */
		{ .gva = { UINT64_C(0xffffffff80000000) }, .length = 4 * MIB }, /* PDPT, PD, two PTs */
		{ .gva = { UINT64_C(0xfffffffffffff000) }, .length = 0x1000 },  /* PD, PT */
	};
	struct ram *ram = *state;

	assert_int_equal(hs_build_tables_needed(&every_root[3], mappings, 6), 1 + 4 + 4 + 2);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(ram_map(ram, &every_root[3], &mappings[i]), HS_OK);
	}
	assert_int_equal(ram->tables_taken + 1, 1 + 4 + 4 + 2);
	assert_int_equal(hs_build_tables_needed(&every_root[3], NULL, 0), 1);
	assert_int_equal(hs_build_tables_needed(&(struct hs_root){ .format = HS_PAGING_NONE }, mappings, 6), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_ram, ram_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_build_then_translate_gives_the_mapping),
		TEST(test_build_cow_replaces_w_and_the_software_bits),
		TEST(test_build_large_uses_the_largest_leaf_that_fits),
		TEST(test_build_leaves_are_not_larger_than_asked_for),
		TEST(test_build_large_32bit_reaches_40_bits_with_pse_only),
		TEST(test_build_mapped_already_is_busy_after_the_pages_before),
		TEST(test_build_large_leaf_in_the_way_is_busy),
		TEST(test_build_large_keeps_a_table_that_is_there),
		TEST(test_build_refuses_before_it_writes),
		TEST(test_build_passes_the_errors_of_others_through),
		TEST(test_build_tables_of_others_are_respected),
		TEST(test_build_tables_needed_counts_shared_tables_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
