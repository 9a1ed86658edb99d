/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tables of aarch64 written by hand, entry by entry, from the figures of DDI 0487, D8.3 (descriptor formats) and D8.4
 * (access control). What all formats have in common is tested with the other formats.
 */
#include "ram.h"

#include <hindsight/spaces.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BIT(n) (UINT64_C(1) << (n))

#define BLOCK UINT64_C(1)
#define TABLE UINT64_C(3)
#define PAGE UINT64_C(3)
#define EL0 BIT(6)
#define READ_ONLY BIT(7)
#define AF BIT(10)
#define NOT_GLOBAL BIT(11)
#define PXN BIT(53)
#define UXN BIT(54)
#define PXN_TABLE BIT(59)
#define UXN_TABLE BIT(60)
#define NO_EL0_TABLE BIT(61)
#define READ_ONLY_TABLE BIT(62)

#define R HS_PROT_READ
#define W HS_PROT_WRITE
#define X HS_PROT_EXEC

#define GVA UINT64_C(0x8040201000) /* slot 1 of the table of each level */
#define HIGH UINT64_C(0xffff000000000000)

static const struct hs_root low = { .format = HS_PAGING_AARCH64_TTBR0, .base = { 0x1000 } };
static const struct hs_root high = { .format = HS_PAGING_AARCH64_TTBR1, .base = { 0x1000 } };

/* Tables at 0x1000, 0x2000, 0x3000 and 0x4000, a page at 0x5000, slot 1 of each. */
static int make_ram(void **state)
{
	static struct ram ram;

	ram_init(&ram, true);
	ram_add(&ram, 0x1000, 64 * 4096);
	ram_set_tables(&ram, 0x10000, 32 * 4096);
	for (uint64_t table = 0x1000; table < 0x5000; table += 0x1000) {
		ram_put(&ram, table + 8, 8, (table + 0x1000) | TABLE);
	}
	*state = &ram;
	return 0;
}

static struct hs_range at(struct ram *ram, const struct hs_root *root, uint64_t gva)
{
	struct hs_range range;

	memset(&range, 0xa5, sizeof(range));
	hs_translate(&ram->phys, root, hs_gva_of(gva), &range);
	return range;
}

static void test_aarch64_page_gives_its_parts(void **state)
{
	struct hs_range range;

	/* AttrIndx 4, inner shareable, AF, nG, UXN, PXN, software's bits 0110; the highest address. */
	ram_put(*state, 0x4008, 8, UINT64_C(0x0360fffffffff000) | 4 << 2 | 3 << 8 | AF | NOT_GLOBAL | EL0 | PAGE);
	range = at(*state, &low, GVA + 0xfff);
	assert_int_equal(range.kind, HS_RANGE_MAPPED);
	assert_int_equal(range.start.v, GVA);
	assert_int_equal(range.length, 0x1000);
	assert_int_equal(range.gpa.v, UINT64_C(0xfffffffff000));
	assert_int_equal(range.prot, R | W);
	assert_true(range.user);
	assert_false(range.cow);
	assert_int_equal(range.level, 3);
	assert_int_equal(range.page_bytes, 0x1000);
	assert_int_equal(range.leaf, UINT64_C(6) << 55 | HS_LEAF_A64_UXN | HS_LEAF_A64_PXN | HS_LEAF_A64_NOT_GLOBAL |
					     HS_LEAF_A64_ACCESSED | HS_LEAF_A64_SHARED | 4 << 2);
	assert_int_equal(at(*state, &low, GVA + 0x1000).kind, HS_RANGE_HOLE);
}

static void test_aarch64_blocks_are_at_levels_1_and_2(void **state)
{
	struct hs_range range;

	/* Bits below the address of a block are no part of it. */
	ram_put(*state, 0x3008, 8, UINT64_C(0x7fe1ff000) | AF | BLOCK);
	range = at(*state, &low, GVA + 0x12345);
	assert_int_equal(range.kind, HS_RANGE_MAPPED);
	assert_int_equal(range.start.v, UINT64_C(0x8040200000));
	assert_int_equal(range.length, 0x200000);
	assert_int_equal(range.gpa.v, UINT64_C(0x7fe000000));
	assert_int_equal(range.page_bytes, 0x200000);
	assert_int_equal(range.level, 2);
	assert_int_equal(range.leaf, HS_LEAF_A64_ACCESSED);
	ram_put(*state, 0x2008, 8, UINT64_C(0x80000000) | READ_ONLY | BLOCK);
	range = at(*state, &low, GVA);
	assert_int_equal(range.kind, HS_RANGE_MAPPED);
	assert_int_equal(range.start.v, UINT64_C(0x8040000000));
	assert_int_equal(range.length, 0x40000000);
	assert_int_equal(range.gpa.v, 0x80000000);
	assert_int_equal(range.prot, R | X);
	assert_int_equal(range.level, 1);
	assert_int_equal(range.leaf, 0);
}

static void test_aarch64_reserved_encodings_are_not_holes(void **state)
{
	struct hs_range range;

	/* D8.3.1: 01 is reserved at level 3, and at level 0, which has no blocks. */
	ram_put(*state, 0x4008, 8, 0x5000 | BLOCK);
	range = at(*state, &low, GVA);
	assert_int_equal(range.kind, HS_RANGE_RESERVED);
	assert_int_equal(range.gpa.v, 0x4008);
	assert_int_equal(range.length, 0x1000);
	ram_put(*state, 0x1008, 8, 0x2000 | BLOCK);
	range = at(*state, &low, GVA);
	assert_int_equal(range.kind, HS_RANGE_RESERVED);
	assert_int_equal(range.gpa.v, 0x1008);
	assert_int_equal(range.level, 0);
	/* Not valid: nothing else in it counts. */
	ram_put(*state, 0x1008, 8, ~UINT64_C(1));
	range = at(*state, &low, GVA);
	assert_int_equal(range.kind, HS_RANGE_HOLE);
	assert_int_equal(range.length, UINT64_C(1) << 39);
}

static void test_aarch64_addresses_beyond_the_output_size_are_reserved(void **state)
{
	struct hs_root narrow = low;

	narrow.maxphyaddr = 40;
	for (uint64_t table = 0x1000; table < 0x5000; table += 0x1000) {
		uint64_t entry = (table + 0x1000) | TABLE;

		assert_int_equal(at(*state, &narrow, GVA).kind, HS_RANGE_MAPPED);
		ram_put(*state, table + 8, 8, entry | BIT(40));
		assert_int_equal(at(*state, &narrow, GVA).kind, HS_RANGE_RESERVED);
		assert_int_equal(at(*state, &narrow, GVA).gpa.v, table + 8);
		/* Bits 49:48 are no address bits of this granule without LPA2. */
		ram_put(*state, table + 8, 8, entry | BIT(48) | BIT(49));
		assert_int_equal(at(*state, &narrow, GVA).kind, HS_RANGE_MAPPED);
		assert_int_equal(at(*state, &narrow, GVA).gpa.v, 0x5000);
		ram_put(*state, table + 8, 8, entry);
	}
}

static void check_rights(struct ram *ram, uint64_t leaf, int prot, bool user)
{
	struct hs_range range;

	ram_put(ram, 0x4008, 8, 0x5000 | PAGE | leaf);
	range = at(ram, &low, GVA);
	assert_int_equal(range.kind, HS_RANGE_MAPPED);
	assert_int_equal(range.prot, prot);
	assert_int_equal(range.user, user);
}

static void test_aarch64_rights_of_a_page_are_those_of_who_may_use_it(void **state)
{
	/* D8.4.1, AP[2:1]: 00 and 10 are EL1's alone, and PXN is what counts; 01 and 11 are EL0's too, and UXN is. */
	check_rights(*state, 0, R | W | X, false);
	check_rights(*state, UXN, R | W | X, false);
	check_rights(*state, PXN, R | W, false);
	check_rights(*state, READ_ONLY | UXN, R | X, false);
	check_rights(*state, READ_ONLY | PXN | UXN, R, false);
	check_rights(*state, EL0, R | W | X, true);
	check_rights(*state, EL0 | PXN, R | W | X, true);
	check_rights(*state, EL0 | UXN, R | W, true);
	check_rights(*state, EL0 | READ_ONLY | PXN, R | X, true);
	check_rights(*state, EL0 | READ_ONLY | UXN, R, true);
}

static void test_aarch64_tables_take_rights_away_by_bits_of_their_own(void **state)
{
	for (uint64_t table = 0x1000; table < 0x4000; table += 0x1000) {
		uint64_t entry = (table + 0x1000) | TABLE;

		/* In a table the bits of a leaf's rights mean nothing. */
		ram_put(*state, table + 8, 8, entry | READ_ONLY | PXN | UXN);
		check_rights(*state, EL0, R | W | X, true);
		ram_put(*state, table + 8, 8, entry | READ_ONLY_TABLE);
		check_rights(*state, EL0, R | X, true);
		ram_put(*state, table + 8, 8, entry | UXN_TABLE);
		check_rights(*state, EL0, R | W, true);
		check_rights(*state, 0, R | W | X, false);
		ram_put(*state, table + 8, 8, entry | PXN_TABLE);
		check_rights(*state, EL0, R | W | X, true);
		check_rights(*state, 0, R | W, false);
		/* EL0 has no access: then PXN decides about a page of its, too. */
		ram_put(*state, table + 8, 8, entry | NO_EL0_TABLE);
		check_rights(*state, EL0 | UXN, R | W | X, false);
		check_rights(*state, EL0 | PXN, R | W, false);
		ram_put(*state, table + 8, 8, entry);
	}
	/* One level takes UXN, another PXN: nobody fetches. */
	ram_put(*state, 0x1008, 8, 0x2000 | TABLE | UXN_TABLE);
	check_rights(*state, EL0 | PXN, R | W, true);
	check_rights(*state, PXN, R | W, false);
}

static void test_aarch64_copy_on_write_tag(void **state)
{
	ram_put(*state, 0x4008, 8, BIT(58) | 0x5000 | READ_ONLY | PAGE);
	assert_true(at(*state, &low, GVA).cow);
	ram_put(*state, 0x4008, 8, BIT(58) | 0x5000 | PAGE);
	assert_false(at(*state, &low, GVA).cow);
	for (unsigned int bit = 55; bit < 58; bit++) {
		ram_put(*state, 0x4008, 8, BIT(58) | BIT(bit) | 0x5000 | READ_ONLY | PAGE);
		assert_false(at(*state, &low, GVA).cow);
	}
}

static void test_aarch64_each_register_has_its_half(void **state)
{
	struct hs_root with_asid = high;
	struct hs_range range = at(*state, &low, BIT(48));

	assert_int_equal(range.kind, HS_RANGE_NON_CANONICAL);
	assert_int_equal(range.start.v, BIT(48));
	assert_int_equal(range.start.v + range.length, 0);
	assert_int_equal(at(*state, &low, BIT(48) - 1).kind, HS_RANGE_HOLE);
	range = at(*state, &high, HIGH - 1);
	assert_int_equal(range.kind, HS_RANGE_NON_CANONICAL);
	assert_int_equal(range.start.v, 0);
	assert_int_equal(range.length, HIGH);
	range = at(*state, &high, HIGH);
	assert_int_equal(range.kind, HS_RANGE_HOLE);
	assert_int_equal(range.start.v, HIGH);
	range = at(*state, &high, HIGH | GVA);
	assert_int_equal(range.kind, HS_RANGE_MAPPED);
	assert_int_equal(range.start.v, HIGH | GVA);
	assert_int_equal(range.gpa.v, 0x5000);
	/* The ASID, bits 63:48, and CnP, bit 0. */
	with_asid.base.v |= UINT64_C(0x1234) << 48 | 1;
	assert_int_equal(at(*state, &with_asid, HIGH | GVA).gpa.v, 0x5000);
	/* The last page of all. */
	ram_put(*state, 0x1ff8, 8, 0x20000 | TABLE);
	ram_put(*state, 0x20ff8, 8, 0x21000 | TABLE);
	ram_put(*state, 0x21ff8, 8, 0x22000 | TABLE);
	ram_put(*state, 0x22ff8, 8, 0x6000 | PAGE);
	range = at(*state, &high, UINT64_MAX);
	assert_int_equal(range.gpa.v, 0x6000);
	assert_int_equal(range.start.v + range.length, 0);
}

static void test_aarch64_iter_goes_over_the_half(void **state)
{
	struct hs_iter iter;
	struct hs_range range;

	ram_put(*state, 0x4010, 8, 0x6000 | PAGE);
	ram_put(*state, 0x4018, 8, 0x7000 | PAGE | AF);
	ram_put(*state, 0x4020, 8, 0x8000 | BLOCK);
	ram_put(*state, 0x1ff8, 8, 0x30000000 | TABLE);
	hs_iter_init(&iter, &((struct ram *)*state)->phys, &high, hs_gva_of(0), 0, hs_budget_default());
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.start.v, HIGH | GVA);
	assert_int_equal(range.length, 0x2000);
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.start.v, (HIGH | GVA) + 0x2000);
	assert_int_equal(range.length, 0x1000);
	assert_int_equal(range.leaf, HS_LEAF_A64_ACCESSED);
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.kind, HS_RANGE_RESERVED);
	assert_int_equal(range.gpa.v, 0x4020);
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_OK);
	assert_int_equal(range.kind, HS_RANGE_UNREADABLE);
	assert_int_equal(range.gpa.v, 0x30000000);
	assert_int_equal(range.start.v, UINT64_C(0xffffff8000000000));
	assert_int_equal(range.start.v + range.length, 0);
	assert_int_equal(hs_iter_next(&iter, &range, NULL), HS_ERR_NOT_FOUND);
}

static uint64_t entry_at(struct ram *ram, uint64_t gpa)
{
	uint64_t entry = 0;

	for (unsigned int i = 8; i-- > 0;) {
		entry = entry << 8 | *ram_at(ram, gpa + i);
	}
	return entry;
}

static void test_aarch64_build_writes_the_entries(void **state)
{
	struct ram *ram = *state;
	struct hs_root root = { .format = HS_PAGING_AARCH64_TTBR1, .base = { 0x8000 } };
	struct hs_mapping mapping = { .gva = { HIGH },
				      .gpa = { 0x40000000 },
				      .length = 0x1000,
				      .prot = R | X,
				      .user = true,
				      .leaf = HS_LEAF_A64_ACCESSED | HS_LEAF_A64_SHARED | HS_LEAF_A64_PXN };

	assert_int_equal(ram_map(ram, &root, &mapping), HS_OK);
	assert_int_equal(entry_at(ram, 0x8000), 0x10003);
	assert_int_equal(entry_at(ram, 0x10000), 0x11003);
	assert_int_equal(entry_at(ram, 0x11000), 0x12003);
	assert_int_equal(entry_at(ram, 0x12000), PXN | 0x40000000 | AF | 3 << 8 | READ_ONLY | EL0 | PAGE);
	/* The kernel's, without fetches: UXN is as it is asked for. */
	mapping = (struct hs_mapping){ .gva = { HIGH + 0x1000 }, .gpa = { 0x9000 }, .length = 0x1000, .prot = W };
	assert_int_equal(ram_map(ram, &root, &mapping), HS_OK);
	assert_int_equal(entry_at(ram, 0x12008), PXN | 0x9000 | PAGE);
	mapping.gva.v += 0x1000;
	mapping.cow = true;
	mapping.leaf = HS_LEAF_A64_UXN | UINT64_C(3) << 55;
	assert_int_equal(ram_map(ram, &root, &mapping), HS_OK);
	assert_int_equal(entry_at(ram, 0x12010), BIT(58) | UXN | PXN | 0x9000 | READ_ONLY | PAGE);
	/* What EXEC asks for, an attribute does not take away. */
	mapping = (struct hs_mapping){ .gva = { HIGH + 0x3000 }, .length = 0x1000, .prot = X, .leaf = HS_LEAF_A64_PXN };
	assert_int_equal(ram_map(ram, &root, &mapping), HS_OK);
	assert_int_equal(entry_at(ram, 0x12018), READ_ONLY | PAGE);
	/* AP is no attribute. */
	mapping.gva.v += 0x1000;
	mapping.leaf = EL0;
	assert_int_equal(ram_map(ram, &root, &mapping), HS_ERR_INVALID);
	mapping.gva.v = GVA;
	mapping.leaf = 0;
	assert_int_equal(ram_map(ram, &root, &mapping), HS_ERR_RANGE);
	mapping.gva.v = HIGH + 0x4000;
	mapping.gpa.v = BIT(48);
	assert_int_equal(ram_map(ram, &root, &mapping), HS_ERR_RANGE);
}

static void test_aarch64_build_makes_blocks_but_none_of_512_gib(void **state)
{
	struct ram *ram = *state;
	struct hs_root root = { .format = HS_PAGING_AARCH64_TTBR0, .base = { 0x8000 } };
	struct hs_mapping mapping = {
		.gva = { 0 }, .gpa = { 0 }, .length = BIT(39) + BIT(21), .prot = W | X, .large = true
	};

	assert_int_equal(ram_map(ram, &root, &mapping), HS_OK);
	assert_int_equal(ram->tables_taken + 1, hs_build_tables_needed(&root, &mapping, 1));
	assert_int_equal(ram->tables_taken, 1 + 1 + 1);
	assert_int_equal(entry_at(ram, 0x8000), 0x10003);
	assert_int_equal(entry_at(ram, 0x10ff8), UINT64_C(511) << 30 | BLOCK);
	assert_int_equal(entry_at(ram, 0x12000), BIT(39) | BLOCK);
}

static void test_aarch64_build_respects_the_tables_of_others(void **state)
{
	struct ram *ram = *state;
	struct hs_mapping kernel = { .gva = { GVA + 0x1000 }, .gpa = { 0x9000 }, .length = 0x1000, .prot = W | X };
	struct hs_mapping user = { .gva = { GVA + 0x2000 }, .gpa = { 0x9000 }, .length = 0x1000, .user = true };

	ram_put(ram, 0x2008, 8, 0x3000 | TABLE | UXN_TABLE);
	assert_int_equal(ram_map(ram, &low, &kernel), HS_OK);
	assert_int_equal(ram_map(ram, &low, &user), HS_OK);
	user.gva.v = kernel.gva.v = GVA + 0x3000;
	user.prot = X;
	assert_int_equal(ram_map(ram, &low, &user), HS_ERR_STATE);
	ram_put(ram, 0x2008, 8, 0x3000 | TABLE | PXN_TABLE);
	assert_int_equal(ram_map(ram, &low, &kernel), HS_ERR_STATE);
	ram_put(ram, 0x2008, 8, 0x3000 | TABLE | READ_ONLY_TABLE);
	assert_int_equal(ram_map(ram, &low, &kernel), HS_ERR_STATE);
	ram_put(ram, 0x2008, 8, 0x3000 | TABLE | NO_EL0_TABLE);
	assert_int_equal(ram_map(ram, &low, &user), HS_ERR_STATE);
	/* Reserved: a block at level 0. */
	ram_put(ram, 0x1008, 8, 0x2000 | BLOCK);
	assert_int_equal(ram_map(ram, &low, &user), HS_ERR_BUSY);
	ram_put(ram, 0x1008, 8, 0x2000 | TABLE);
	ram_put(ram, 0x2008, 8, 0x3000 | TABLE);
	ram_put(ram, 0x4020, 8, BLOCK);
	user.gva.v = GVA + 0x3000;
	assert_int_equal(ram_map(ram, &low, &user), HS_ERR_BUSY);
	assert_int_equal(ram->tables_taken, 0);
}

static void test_aarch64_table_of_a_path_may_have_what_either_mode_may(void **state)
{
	static struct hs_space_place places[16];
	static struct hs_spaces spaces;
	struct hs_space_item item;

	ram_put(*state, 0x1008, 8, 0x2000 | TABLE | UXN_TABLE);
	ram_put(*state, 0x2008, 8, 0x3000 | TABLE | PXN_TABLE);
	hs_spaces_init(&spaces, &((struct ram *)*state)->phys, &low, 1, places, 16, hs_budget_default());
	for (unsigned int depth = 0; depth < 3; depth++) {
		assert_int_equal(hs_spaces_next(&spaces, &item, NULL), HS_OK);
		assert_int_equal(item.kind, HS_SPACE_TABLE);
		assert_int_equal(item.depth, depth);
		assert_int_equal(item.prot, depth < 2 ? R | W | X : R | W);
		assert_true(item.user);
	}
}

/* The fields that are not zero as text. */
static const char *names(const struct hs_entry_fields *fields)
{
	static char text[300];
	size_t used = 0;

	text[0] = 0;
	for (unsigned int i = 0; i < fields->count; i++) {
		if (fields->fields[i].value == 0) {
			continue;
		}
		assert_true(used < sizeof(text) - 50);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s=%llx", used ? " " : "",
					 fields->fields[i].name, (unsigned long long)fields->fields[i].value);
	}
	return text;
}

static const char *names_at(unsigned int depth, uint64_t entry)
{
	struct hs_entry_fields fields;

	hs_entry_describe(&low, depth, entry, &fields);
	return names(&fields);
}

static void test_aarch64_entry_fields_have_the_names_of_the_manual(void **state)
{
	struct hs_entry_fields fields;

	(void)state;
	assert_string_equal(names_at(3, UINT64_MAX),
			    "VALID=1 TYPE=1 AttrIndx=7 NS=1 AP=3 SH=3 AF=1 nG=1 GP=1 DBM=1 Contiguous=1 PXN=1 UXN=1 "
			    "SW=f PBHA=f IGN=8003000000000000");
	assert_string_equal(names_at(2, 0x11ffffd), "VALID=1 AttrIndx=7 NS=1 AP=3 SH=3 AF=1 nG=1 IGN=1ff000");
	assert_string_equal(names_at(0, UINT64_MAX),
			    "VALID=1 TYPE=1 PXNTable=1 UXNTable=1 APTable=3 NSTable=1 IGN=7ff000000000ffc");
	assert_string_equal(names_at(3, AF | BLOCK), "RSVD=1 IGN=400");
	assert_string_equal(names_at(0, AF | BLOCK), "RSVD=1 IGN=400");
	assert_string_equal(names_at(1, UINT64_MAX - 1), "");
	hs_leaf_describe(&low, AF | UXN | PXN | BIT(58) | 3 << 8, &fields);
	assert_string_equal(names(&fields), "SH=3 AF=1 PXN=1 UXN=1 SW=8");
	/* Bits 62:59 are PBHA, and not what an entry for a table has there. */
	hs_leaf_describe(&low, UINT64_MAX & ~BIT(63), &fields);
	for (unsigned int i = 0; i < fields.count; i++) {
		assert_null(strstr(fields.fields[i].name, "Table"));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_ram, ram_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_aarch64_page_gives_its_parts),
		TEST(test_aarch64_blocks_are_at_levels_1_and_2),
		TEST(test_aarch64_reserved_encodings_are_not_holes),
		TEST(test_aarch64_addresses_beyond_the_output_size_are_reserved),
		TEST(test_aarch64_rights_of_a_page_are_those_of_who_may_use_it),
		TEST(test_aarch64_tables_take_rights_away_by_bits_of_their_own),
		TEST(test_aarch64_copy_on_write_tag),
		TEST(test_aarch64_each_register_has_its_half),
		TEST(test_aarch64_iter_goes_over_the_half),
		TEST(test_aarch64_build_writes_the_entries),
		TEST(test_aarch64_build_makes_blocks_but_none_of_512_gib),
		TEST(test_aarch64_build_respects_the_tables_of_others),
		TEST(test_aarch64_table_of_a_path_may_have_what_either_mode_may),
		cmocka_unit_test(test_aarch64_entry_fields_have_the_names_of_the_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
