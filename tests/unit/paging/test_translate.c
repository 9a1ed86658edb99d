/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hs_translate and hs_root_of_cpu on tables written by hand, entry by entry, from the figures of SDM vol. 3A chapter 4.
 */
#include "ram.h"

#include <hindsight/cpu.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define XD (UINT64_C(1) << 63)

static struct hs_range at(struct ram *ram, const struct hs_root *root, uint64_t gva)
{
	struct hs_range range;

	memset(&range, 0xa5, sizeof(range));
	hs_translate(&ram->phys, root, hs_gva_of(gva), &range);
	return range;
}

static int make_ram(void **state)
{
	static struct ram ram;

	ram_init(&ram, true);
	ram_add(&ram, 0x1000, 0x10000);
	*state = &ram;
	return 0;
}

static void test_translate_without_paging_is_the_identity(void **state)
{
	struct hs_root root = { .format = HS_PAGING_NONE };
	struct hs_range range = at(*state, &root, 0x12345);

	assert_int_equal(range.kind, HS_RANGE_MAPPED);
	assert_int_equal(range.start.v, 0);
	assert_int_equal(range.length, UINT64_C(1) << 32);
	assert_int_equal(range.gpa.v, 0);
	assert_int_equal(range.prot, HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC);
	assert_true(range.user);
	range = at(*state, &root, UINT64_C(1) << 32);
	assert_int_equal(range.kind, HS_RANGE_NON_CANONICAL);
	assert_int_equal(range.start.v, UINT64_C(1) << 32);
	assert_int_equal(range.start.v + range.length, 0);
}

static void test_translate_32bit_page_gives_its_parts(void **state)
{
	struct hs_root root = { .format = HS_PAGING_32BIT, .base = { 0x1000 } };
	struct hs_range range;

	/* 0x08049123: directory 0x20, table 0x49, offset 0x123 (10 + 10 + 12 bits). */
	ram_put(*state, 0x1000 + 4 * 0x20, 4, 0x2007);
	ram_put(*state, 0x2000 + 4 * 0x49, 4, 0xfedcb165);
	/* The next entry is all ones: an 8-byte read of a 4-byte entry would mix it in. */
	ram_put(*state, 0x2000 + 4 * 0x4a, 4, 0xffffffff);
	range = at(*state, &root, 0x08049123);
	assert_int_equal(range.kind, HS_RANGE_MAPPED);
	assert_int_equal(range.start.v, 0x08049000);
	assert_int_equal(range.length, 0x1000);
	assert_int_equal(range.gpa.v, 0xfedcb000);
	assert_int_equal(range.prot, HS_PROT_READ | HS_PROT_EXEC);
	assert_true(range.user);
	assert_int_equal(range.level, 1);
	assert_int_equal(range.page_bytes, 0x1000);
	assert_int_equal(range.leaf, HS_LEAF_GLOBAL | HS_LEAF_DIRTY | HS_LEAF_ACCESSED);
	assert_int_equal(at(*state, &root, 0x0804b000).kind, HS_RANGE_HOLE);
}

static void test_translate_32bit_large_page_needs_pse(void **state)
{
	struct hs_root root = { .format = HS_PAGING_32BIT, .base = { 0x1000 }, .pse = true };
	struct hs_range range;

	/* A 4 MiB page at 0xC0000000: PAT (bit 12), address bits 39:32 = 0x5a in bits 20:13 (PSE-36). */
	ram_put(*state, 0x1000 + 4 * 0x300, 4, 0x00400000 | 0x5a << 13 | 1 << 12 | 0x83);
	range = at(*state, &root, 0xc0123456);
	assert_int_equal(range.kind, HS_RANGE_MAPPED);
	assert_int_equal(range.start.v, 0xc0000000);
	assert_int_equal(range.length, 0x400000);
	assert_int_equal(range.gpa.v, UINT64_C(0x5a00400000));
	assert_int_equal(range.page_bytes, 0x400000);
	assert_int_equal(range.leaf, HS_LEAF_PAT);
	assert_false(range.user);
	/*
	 * With a narrower CPU the high bits are reserved; without PSE, bit 7 means nothing and the entry names a table.
	 */
	root.maxphyaddr = 36;
	range = at(*state, &root, 0xc0123456);
	assert_int_equal(range.kind, HS_RANGE_RESERVED);
	assert_int_equal(range.gpa.v, 0x1000 + 4 * 0x300);
	root.pse = false;
	range = at(*state, &root, 0xc0123456);
	assert_int_equal(range.kind, HS_RANGE_UNREADABLE);
	assert_int_equal(range.gpa.v, (0x00400000 | 0x5a << 13 | 1 << 12) & ~0xfff);
	assert_int_equal(range.level, 1);
}

static void test_translate_pae_root_is_32_bytes_and_has_no_rights(void **state)
{
	struct hs_root root = { .format = HS_PAGING_PAE, .base = { 0x1fe0 }, .nxe = true };
	struct hs_range range;

	ram_put(*state, 0x1fe0 + 8 * 3, 8, 0x2001);
	ram_put(*state, 0x2000 + 8 * 1, 8, 0x3007);
	ram_put(*state, 0x3000 + 8 * 2, 8, UINT64_C(0xf123456789000) | 7 | XD);
	range = at(*state, &root, 0xc0202fff);
	assert_int_equal(range.kind, HS_RANGE_MAPPED);
	assert_int_equal(range.start.v, 0xc0202000);
	assert_int_equal(range.gpa.v, UINT64_C(0xf123456789000));
	assert_int_equal(range.prot, HS_PROT_READ | HS_PROT_WRITE);
	assert_true(range.user);
	assert_int_equal(range.level, 2);
	/* W is reserved in a PDPTE. */
	ram_put(*state, 0x1fe0 + 8 * 3, 8, 0x2003);
	range = at(*state, &root, 0xc0202fff);
	assert_int_equal(range.kind, HS_RANGE_RESERVED);
	assert_int_equal(range.gpa.v, 0x1ff8);
	assert_int_equal(range.level, 0);
	assert_int_equal(range.length, 0x40000000);
}

static void test_translate_pae_pdpte_with_bit_5_is_reserved_but_where_it_is_to_be_ignored(void **state)
{
	struct hs_root root = { .format = HS_PAGING_PAE, .base = { 0x1000 } };

	ram_put(*state, 0x1000, 8, 0x2021);
	ram_put(*state, 0x2000, 8, 0x3023);
	ram_put(*state, 0x3000, 8, 0x5021);
	assert_int_equal(at(*state, &root, 0).kind, HS_RANGE_RESERVED);
	root.pdpte_a = true;
	assert_int_equal(at(*state, &root, 0).kind, HS_RANGE_MAPPED);
	assert_int_equal(at(*state, &root, 0).gpa.v, 0x5000);
	/* Of the bits beside it nothing has changed. */
	for (unsigned int bit = 1; bit < 9; bit++) {
		bool reserved = bit == 1 || bit == 2 || bit > 5;

		ram_put(*state, 0x1000, 8, 0x2021 | UINT64_C(1) << bit);
		assert_int_equal(at(*state, &root, 0).kind, reserved ? HS_RANGE_RESERVED : HS_RANGE_MAPPED);
	}
}

/* The tables of a 4-level path: PML4 0x1000, PDPT 0x2000, PD 0x3000, PT 0x4000, slot 1 of each, all rights. */
static uint64_t four_levels(struct ram *ram)
{
	ram_put(ram, 0x1008, 8, 0x2007);
	ram_put(ram, 0x2008, 8, 0x3007);
	ram_put(ram, 0x3008, 8, 0x4007);
	ram_put(ram, 0x4008, 8, 0x5007);
	return UINT64_C(0x8040201000);
}

static void test_translate_rights_are_those_of_all_levels(void **state)
{
	struct hs_root root = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 }, .nxe = true };
	uint64_t gva = four_levels(*state);

	assert_int_equal(at(*state, &root, gva).prot, HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC);
	for (uint64_t table = 0x1000; table < 0x5000; table += 0x1000) {
		uint64_t entry = table + 0x1007;

		ram_put(*state, table + 8, 8, entry & ~UINT64_C(2));
		assert_int_equal(at(*state, &root, gva).prot, HS_PROT_READ | HS_PROT_EXEC);
		assert_true(at(*state, &root, gva).user);
		ram_put(*state, table + 8, 8, entry & ~UINT64_C(4));
		assert_int_equal(at(*state, &root, gva).prot, HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC);
		assert_false(at(*state, &root, gva).user);
		ram_put(*state, table + 8, 8, entry | XD);
		assert_int_equal(at(*state, &root, gva).prot, HS_PROT_READ | HS_PROT_WRITE);
		ram_put(*state, table + 8, 8, entry);
	}
}

static void test_translate_reserved_bits_are_not_holes(void **state)
{
	struct hs_root root = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 }, .maxphyaddr = 40 };
	uint64_t gva = four_levels(*state);

	assert_int_equal(at(*state, &root, gva).kind, HS_RANGE_MAPPED);
	for (unsigned int level = 0; level < 4; level++) {
		uint64_t place = 0x1008 + 0x1000 * level;
		uint64_t entry = 0x2007 + 0x1000 * level;

		/* XD with NXE = 0, then an address beyond the CPU's 40 bits. */
		ram_put(*state, place, 8, entry | XD);
		assert_int_equal(at(*state, &root, gva).kind, HS_RANGE_RESERVED);
		assert_int_equal(at(*state, &root, gva).gpa.v, place);
		assert_int_equal(at(*state, &root, gva).level, level);
		ram_put(*state, place, 8, entry | UINT64_C(1) << 40);
		assert_int_equal(at(*state, &root, gva).kind, HS_RANGE_RESERVED);
		/* Not present: nothing else in it counts. */
		ram_put(*state, place, 8, (entry | XD) & ~UINT64_C(1));
		assert_int_equal(at(*state, &root, gva).kind, HS_RANGE_HOLE);
		assert_int_equal(at(*state, &root, gva).length, UINT64_C(1) << (39 - 9 * level));
		ram_put(*state, place, 8, entry);
	}
	ram_put(*state, 0x1008, 8, 0x2087); /* PS in a PML4E */
	assert_int_equal(at(*state, &root, gva).kind, HS_RANGE_RESERVED);
}

static void test_translate_large_leaves_are_not_followed(void **state)
{
	struct hs_root root = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 }, .nxe = true };
	uint64_t gva = four_levels(*state);
	struct hs_range range;

	ram_put(*state, 0x3008, 8, UINT64_C(0x7ff0000000001087) | 0xa0000000);
	range = at(*state, &root, gva + 0x12345);
	assert_int_equal(range.kind, HS_RANGE_MAPPED);
	assert_int_equal(range.length, 0x200000);
	assert_int_equal(range.gpa.v, 0xa0000000);
	assert_int_equal(range.level, 2);
	assert_int_equal(range.leaf, HS_LEAF_HIGH | HS_LEAF_PAT);
	ram_put(*state, 0x2008, 8, UINT64_C(0x40000000) | 0x83);
	range = at(*state, &root, gva + 0x12345);
	assert_int_equal(range.length, 0x40000000);
	assert_int_equal(range.page_bytes, 0x40000000);
	assert_int_equal(range.gpa.v, 0x40000000);
	ram_put(*state, 0x2008, 8, UINT64_C(0x40002000) | 0x83); /* bits 29:13 of a 1 GiB leaf */
	assert_int_equal(at(*state, &root, gva).kind, HS_RANGE_RESERVED);
}

static void test_translate_canonical_limits(void **state)
{
	struct hs_root root = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 } };
	struct hs_range range = at(*state, &root, UINT64_C(1) << 47);

	assert_int_equal(range.kind, HS_RANGE_NON_CANONICAL);
	assert_int_equal(range.start.v, UINT64_C(1) << 47);
	assert_int_equal(range.start.v + range.length, UINT64_C(0xffff800000000000));
	assert_int_equal(at(*state, &root, UINT64_C(0x7fffffffffff)).kind, HS_RANGE_HOLE);
	assert_int_equal(at(*state, &root, UINT64_C(0xffff800000000000)).kind, HS_RANGE_HOLE);
	assert_int_equal(at(*state, &root, UINT64_C(0xffff7fffffffffff)).kind, HS_RANGE_NON_CANONICAL);
	/* Slot 256 is the first of the upper half, and 5-level paging has 57 bits. */
	ram_put(*state, 0x1000 + 8 * 256, 8, 0x2007);
	range = at(*state, &root, UINT64_C(0xffff800000000000));
	assert_int_equal(range.level, 1);
	root.format = HS_PAGING_5LEVEL;
	assert_int_equal(at(*state, &root, UINT64_C(1) << 47).kind, HS_RANGE_HOLE);
	assert_int_equal(at(*state, &root, UINT64_C(1) << 56).kind, HS_RANGE_NON_CANONICAL);
	assert_int_equal(at(*state, &root, UINT64_C(0xff00000000000000)).level, 1);
	root.format = HS_PAGING_PAE;
	assert_int_equal(at(*state, &root, UINT64_C(1) << 32).kind, HS_RANGE_NON_CANONICAL);
}

static void test_translate_5level_goes_one_deeper(void **state)
{
	struct hs_root root = { .format = HS_PAGING_5LEVEL, .base = { 0x9000 } };
	uint64_t gva = four_levels(*state);
	struct hs_range range;

	ram_put(*state, 0x9000 + 8 * 3, 8, 0x1007);
	range = at(*state, &root, gva | UINT64_C(3) << 48);
	assert_int_equal(range.kind, HS_RANGE_MAPPED);
	assert_int_equal(range.gpa.v, 0x5000);
	assert_int_equal(range.level, 4);
}

static void test_translate_copy_on_write_tag(void **state)
{
	struct hs_root root = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 } };
	uint64_t gva = four_levels(*state);

	for (unsigned int avl = 0; avl < 8; avl++) {
		ram_put(*state, 0x4008, 8, 0x5005 | avl << 9);
		assert_int_equal(at(*state, &root, gva).cow, avl == 1);
		assert_int_equal(at(*state, &root, gva).leaf, avl << 9);
		ram_put(*state, 0x4008, 8, 0x5007 | avl << 9);
		assert_false(at(*state, &root, gva).cow);
	}
	/* A table's entry has no tag. */
	ram_put(*state, 0x4008, 8, 0x5005);
	ram_put(*state, 0x3008, 8, 0x4205);
	assert_false(at(*state, &root, gva).cow);
}

static void test_translate_table_outside_memory_is_unreadable(void **state)
{
	struct hs_root root = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 } };
	uint64_t gva = four_levels(*state);
	struct hs_range range;

	ram_put(*state, 0x2008, 8, 0x11007); /* the byte behind the last */
	range = at(*state, &root, gva);
	assert_int_equal(range.kind, HS_RANGE_UNREADABLE);
	assert_int_equal(range.gpa.v, 0x11000);
	assert_int_equal(range.level, 2);
	assert_int_equal(range.prot, 0);
	root.base.v = UINT64_C(0xffffffffff000);
	range = at(*state, &root, gva);
	assert_int_equal(range.kind, HS_RANGE_UNREADABLE);
	assert_int_equal(range.gpa.v, UINT64_C(0xffffffffff000));
	assert_int_equal(range.level, 0);
}

static void test_root_of_cpu_follows_the_control_bits(void **state)
{
	struct hs_cpu_state cpu;
	struct hs_root root;

	(void)state;
	memset(&cpu, 0, sizeof(cpu));
	cpu.cr3 = UINT64_C(0x8000000123456fff);
	cpu.cr0 = 0x10001;
	hs_root_of_cpu(&cpu, &root);
	assert_int_equal(root.format, HS_PAGING_NONE);
	assert_true(root.wp);
	cpu.cr0 = 0x80000001;
	hs_root_of_cpu(&cpu, &root);
	assert_int_equal(root.format, HS_PAGING_32BIT);
	assert_int_equal(root.base.v, 0x23456000);
	assert_false(root.pse);
	assert_false(root.wp);
	cpu.cr4 = 1 << 4;
	hs_root_of_cpu(&cpu, &root);
	assert_true(root.pse);
	assert_false(root.smep || root.smap);
	cpu.cr4 = 1 << 20;
	hs_root_of_cpu(&cpu, &root);
	assert_true(root.smep && !root.smap);
	cpu.cr4 = 1 << 21;
	hs_root_of_cpu(&cpu, &root);
	assert_true(root.smap && !root.smep);
	cpu.cr4 = 1 << 5;
	hs_root_of_cpu(&cpu, &root);
	assert_int_equal(root.format, HS_PAGING_PAE);
	assert_int_equal(root.base.v, 0x23456fe0);
	assert_false(root.nxe);
	cpu.msr.efer = 1 << 8 | 1 << 10 | 1 << 11;
	hs_root_of_cpu(&cpu, &root);
	assert_int_equal(root.format, HS_PAGING_4LEVEL);
	assert_int_equal(root.base.v, 0x123456000);
	assert_true(root.nxe);
	assert_int_equal(root.maxphyaddr, 0);
	cpu.cr4 |= 1 << 12;
	hs_root_of_cpu(&cpu, &root);
	assert_int_equal(root.format, HS_PAGING_5LEVEL);
}

static void test_format_names(void **state)
{
	(void)state;
	assert_string_equal(hs_paging_format_name(HS_PAGING_NONE), "none");
	assert_string_equal(hs_paging_format_name(HS_PAGING_32BIT), "i686");
	assert_string_equal(hs_paging_format_name(HS_PAGING_PAE), "pae");
	assert_string_equal(hs_paging_format_name(HS_PAGING_4LEVEL), "amd64-4");
	assert_string_equal(hs_paging_format_name(HS_PAGING_5LEVEL), "amd64-5");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_ram, ram_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_translate_without_paging_is_the_identity),
		TEST(test_translate_32bit_page_gives_its_parts),
		TEST(test_translate_32bit_large_page_needs_pse),
		TEST(test_translate_pae_root_is_32_bytes_and_has_no_rights),
		TEST(test_translate_pae_pdpte_with_bit_5_is_reserved_but_where_it_is_to_be_ignored),
		TEST(test_translate_rights_are_those_of_all_levels),
		TEST(test_translate_reserved_bits_are_not_holes),
		TEST(test_translate_large_leaves_are_not_followed),
		TEST(test_translate_canonical_limits),
		TEST(test_translate_5level_goes_one_deeper),
		TEST(test_translate_copy_on_write_tag),
		TEST(test_translate_table_outside_memory_is_unreadable),
		cmocka_unit_test(test_root_of_cpu_follows_the_control_bits),
		cmocka_unit_test(test_format_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
