/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The path of one walk, and the names of the bits of each entry on it. */
#include "ram.h"
#include "same_range.h"

#include <hindsight/spaces.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int make_ram(void **state)
{
	static struct ram ram;

	ram_init(&ram, true);
	ram_add(&ram, 0x1000, 16 * 4096);
	*state = &ram;
	return 0;
}

static void test_path_shows_every_entry(void **state)
{
	struct hs_root root = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 }, .nxe = true };
	struct hs_range range;
	struct hs_path path;

	ram_put(*state, 0x1000 + 8 * 256, 8, 0x2027);
	ram_put(*state, 0x2008, 8, 0x3067);
	ram_put(*state, 0x3010, 8, 0x4003);
	ram_put(*state, 0x4018, 8, UINT64_C(0x8000000000009163));
	hs_path_find(&((struct ram *)*state)->phys, &root, hs_gva_of(UINT64_C(0xffff800040403123)), &path);
	assert_int_equal(path.count, 4);
	for (unsigned int i = 0; i < 4; i++) {
		static const uint64_t entries[] = { 0x2027, 0x3067, 0x4003, UINT64_C(0x8000000000009163) };
		static const uint64_t places[] = { 0x1800, 0x2008, 0x3010, 0x4018 };

		assert_true(path.levels[i].readable);
		assert_int_equal(path.levels[i].table.v, 0x1000 * (i + 1));
		assert_int_equal(path.levels[i].place.v, places[i]);
		assert_int_equal(path.levels[i].entry, entries[i]);
	}
	hs_translate(&((struct ram *)*state)->phys, &root, hs_gva_of(UINT64_C(0xffff800040403123)), &range);
	check_same_range(&range, &path.range);
	assert_int_equal(path.range.gpa.v, 0x9000);
}

static void test_path_ends_where_the_walk_does(void **state)
{
	struct hs_root root = { .format = HS_PAGING_32BIT, .base = { 0x1000 }, .pse = true };
	struct ram *ram = *state;
	struct hs_path path;

	ram_put(ram, 0x1004, 4, 0x00400083);
	ram_put(ram, 0x1008, 4, 0x70000007);
	hs_path_find(&ram->phys, &root, hs_gva_of(0), &path);
	assert_int_equal(path.count, 1);
	assert_int_equal(path.range.kind, HS_RANGE_HOLE);
	assert_true(path.levels[0].readable);
	hs_path_find(&ram->phys, &root, hs_gva_of(0x412345), &path);
	assert_int_equal(path.count, 1);
	assert_int_equal(path.levels[0].entry, 0x00400083);
	assert_int_equal(path.range.kind, HS_RANGE_MAPPED);
	hs_path_find(&ram->phys, &root, hs_gva_of(0x801000), &path);
	assert_int_equal(path.count, 2);
	assert_int_equal(path.range.kind, HS_RANGE_UNREADABLE);
	assert_false(path.levels[1].readable);
	assert_int_equal(path.levels[1].entry, 0);
	assert_int_equal(path.levels[1].table.v, 0x70000000);
	assert_int_equal(path.levels[1].place.v, 0x70000004);
	hs_path_find(&ram->phys, &root, hs_gva_of(UINT64_C(1) << 32), &path);
	assert_int_equal(path.count, 0);
	assert_int_equal(path.range.kind, HS_RANGE_NON_CANONICAL);
	root.format = HS_PAGING_NONE;
	hs_path_find(&ram->phys, &root, hs_gva_of(0x801000), &path);
	assert_int_equal(path.count, 0);
	assert_int_equal(path.range.kind, HS_RANGE_MAPPED);
}

/* The fields as text: names of bits that are set, with a number where a field has more bits than one. */
static const char *names(enum hs_paging_format format, unsigned int depth, uint64_t entry, bool nxe)
{
	static char text[200];
	struct hs_root root = { .format = format, .pse = true, .nxe = nxe };
	struct hs_entry_fields fields;
	size_t used = 0;

	hs_entry_describe(&root, depth, entry, &fields);
	text[0] = 0;
	for (unsigned int i = 0; i < fields.count; i++) {
		const struct hs_entry_field *field = &fields.fields[i];

		assert_true(used < sizeof(text) - 40);
		used += (size_t)snprintf(text + used, sizeof(text) - used, field->value > 1 ? "%s%s=%llx" : "%s%s",
					 used ? " " : "", field->name, (unsigned long long)field->value);
		if (field->value == 0) {
			used += (size_t)snprintf(text + used, sizeof(text) - used, "=0");
		}
	}
	return text;
}

static void test_entry_fields_of_each_level(void **state)
{
	const uint64_t xd = UINT64_C(1) << 63;

	(void)state;
	assert_string_equal(names(HS_PAGING_32BIT, 0, 0x2007, true), "P RW US PWT=0 PCD=0 A=0 PS=0 AVL=0");
	assert_string_equal(names(HS_PAGING_32BIT, 0, 0x11f9, true), "P RW=0 US=0 PWT PCD A D PS G AVL=0 PAT");
	assert_string_equal(names(HS_PAGING_32BIT, 1, 0x10e01, true),
			    "P RW=0 US=0 PWT=0 PCD=0 A=0 D=0 PAT=0 G=0 AVL=7");
	assert_string_equal(names(HS_PAGING_PAE, 0, 0x2e19, true), "P PWT PCD AVL=7");
	assert_string_equal(names(HS_PAGING_PAE, 0, 0x2003, true), "P PWT=0 PCD=0 AVL=0 RSVD=2");
	assert_string_equal(names(HS_PAGING_PAE, 1, xd | 0x2001, true), "P RW=0 US=0 PWT=0 PCD=0 A=0 PS=0 AVL=0 XD");
	assert_string_equal(names(HS_PAGING_PAE, 2, xd | 0x2001, false),
			    "P RW=0 US=0 PWT=0 PCD=0 A=0 D=0 PAT=0 G=0 AVL=0 RSVD=8000000000000000");
	assert_string_equal(names(HS_PAGING_4LEVEL, 0, 0x2021, true), "P RW=0 US=0 PWT=0 PCD=0 A AVL=0 XD=0");
	assert_string_equal(names(HS_PAGING_4LEVEL, 1, UINT64_C(5) << 59 | 0x10e1, true),
			    "P RW=0 US=0 PWT=0 PCD=0 A D PS G=0 AVL=0 PAT PKEY=5 XD=0");
	assert_string_equal(names(HS_PAGING_5LEVEL, 4, 0x2081, true),
			    "P RW=0 US=0 PWT=0 PCD=0 A=0 D=0 PAT G=0 AVL=0 PKEY=0 XD=0");
	/* What is ignored and has no name: bits 6, 7 without CR4.PSE and 8 of an entry that names a table, and the high
	 * ones, which in a leaf are the protection key from bit 59 on. */
	assert_string_equal(names(HS_PAGING_32BIT, 0, 0x2143, true), "P RW US=0 PWT=0 PCD=0 A=0 PS=0 AVL=0 IGN=140");
	assert_string_equal(names(HS_PAGING_PAE, 1, 0x2141, false), "P RW=0 US=0 PWT=0 PCD=0 A=0 PS=0 AVL=0 IGN=140");
	assert_string_equal(names(HS_PAGING_4LEVEL, 0, UINT64_C(0x7ff) << 52 | 0x2141, true),
			    "P RW=0 US=0 PWT=0 PCD=0 A=0 AVL=0 XD=0 IGN=7ff0000000000140");
	assert_string_equal(names(HS_PAGING_5LEVEL, 4, UINT64_C(0x3ff) << 52 | 0x2001, true),
			    "P RW=0 US=0 PWT=0 PCD=0 A=0 D=0 PAT=0 G=0 AVL=0 PKEY=7 XD=0 IGN=7f0000000000000");
	assert_string_equal(names(HS_PAGING_5LEVEL, 4, UINT64_MAX - 1, true), "P=0");
	assert_string_equal(names(HS_PAGING_5LEVEL, 5, 1, true), "");
	assert_string_equal(names(HS_PAGING_NONE, 0, 1, true), "");
}

/* The address that an entry holds, spread over the bits it is taken from: turning one of those over moves it. */
static bool is_of_address(const struct hs_root *root, unsigned int depth, uint64_t entry, uint64_t bit)
{
	struct hs_entry_fields with, without;

	hs_entry_describe(root, depth, entry | bit, &with);
	hs_entry_describe(root, depth, entry & ~bit, &without);
	return with.leaf == without.leaf && with.gpa.v != without.gpa.v;
}

static void test_entry_fields_leave_no_bit_out(void **state)
{
	struct hs_entry_fields fields;

	(void)state;
	for (unsigned int i = 0; i < HS_PAGING_FORMAT_COUNT * HS_PAGING_LEVELS_MAX * 16; i++) {
		struct hs_root root = { .format = (enum hs_paging_format)(i / 16 / HS_PAGING_LEVELS_MAX),
					.pse = i & 1,
					.nxe = i & 2,
					.maxphyaddr = i & 4 ? 36 : 0 };
		unsigned int depth = i / 16 % HS_PAGING_LEVELS_MAX, bits = root.format == HS_PAGING_32BIT ? 32 : 64;
		uint64_t entry = UINT64_MAX >> (64 - bits) & (i & 8 ? UINT64_MAX : ~UINT64_C(0x80)), shown = 0;

		hs_entry_describe(&root, depth, entry, &fields);
		for (unsigned int f = 0; f < fields.count; f++) {
			shown |= fields.fields[f].mask;
		}
		for (unsigned int bit = 0; fields.count > 0 && bit < bits; bit++) {
			uint64_t mask = UINT64_C(1) << bit;

			assert_true(!(entry & mask) || (shown & mask) != 0 || is_of_address(&root, depth, entry, mask));
		}
		assert_int_equal(shown & ~entry & ~UINT64_C(0x80), 0);
	}
}

static void test_entry_fields_never_overlap_and_fit(void **state)
{
	struct hs_entry_fields fields;

	(void)state;
	for (int format = HS_PAGING_NONE; format < HS_PAGING_FORMAT_COUNT; format++) {
		for (unsigned int i = 0; i < 64 * HS_PAGING_LEVELS_MAX; i++) {
			struct hs_root root = { .format = (enum hs_paging_format)format, .pse = i & 1, .nxe = i & 2 };
			uint64_t entry = (i & 4 ? UINT64_MAX : 0x1001) ^ (UINT64_C(1) << i % 64);
			uint64_t seen = 0;

			hs_entry_describe(&root, i / 64, entry, &fields);
			assert_true(fields.count <= HS_ENTRY_FIELDS_MAX);
			for (unsigned int f = 0; f < fields.count; f++) {
				assert_int_equal(seen & fields.fields[f].mask, 0);
				seen |= fields.fields[f].mask;
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_path_shows_every_entry, make_ram, ram_drop),
		cmocka_unit_test_setup_teardown(test_path_ends_where_the_walk_does, make_ram, ram_drop),
		cmocka_unit_test(test_entry_fields_of_each_level),
		cmocka_unit_test(test_entry_fields_leave_no_bit_out),
		cmocka_unit_test(test_entry_fields_never_overlap_and_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
