/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What other systems got wrong when they read the page tables of several address spaces and made them again: each is
 * shown not to happen here, in every format, from the list of the spaces to what is built of it.
 */
#include "rebuild.h"
#include "shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SOURCE 0x1000
#define SOURCE_PAGES 32
#define BUILT 0x100000
#define BUILT_PAGES 32
#define LARGE 0x40000000 /* of every alignment, and there is memory */
#define FRAME 0x5000000  /* where there is none */
#define ITEMS 64

static struct hs_space_item items[ITEMS];
static size_t item_count;

static int make_ram(void **state)
{
	static struct ram ram;

	ram_init(&ram, true);
	ram_add(&ram, SOURCE, SOURCE_PAGES * 4096);
	ram_add(&ram, BUILT, BUILT_PAGES * 4096);
	ram_add(&ram, LARGE, 4096);
	*state = &ram;
	return 0;
}

static struct hs_root root_of(const struct shape *shape, uint64_t base)
{
	return (struct hs_root){ .format = shape->format, .base = { base }, .pse = true, .nxe = true };
}

static uint64_t table_of(unsigned int space, unsigned int depth)
{
	return SOURCE + 0x1000 * (uint64_t)(space * HS_PAGING_LEVELS_MAX + depth);
}

/* Set one entry of a table. */
static void put(struct ram *ram, const struct shape *shape, uint64_t table, unsigned int index, uint64_t entry)
{
	ram_put(ram, table + (uint64_t)index * shape->bytes, shape->bytes, entry);
}

/* Tables of a space down the first entries, as far as the one at depth `last`; nothing else is in the memory. */
static void put_chain(struct ram *ram, const struct shape *shape, unsigned int space, unsigned int last)
{
	for (unsigned int depth = 0; depth < last; depth++) {
		shape_fill(ram, shape, depth, table_of(space, depth), 0, 1, table_of(space, depth + 1));
	}
}

static void clear(struct ram *ram)
{
	memset(ram_at(ram, SOURCE), 0, SOURCE_PAGES * 4096);
	memset(ram_at(ram, BUILT), 0, BUILT_PAGES * 4096);
}

/* The list of all items, and all of it again. */
static void rebuild(struct ram *ram, const struct hs_root *roots, struct hs_root *built, uint32_t count)
{
	static struct hs_space_place places[2 * BUILT_PAGES];
	struct hs_spaces spaces;
	enum hs_status st;

	item_count = 0;
	ram_set_tables(ram, BUILT, BUILT_PAGES * 4096);
	hs_spaces_init(&spaces, &ram->phys, roots, count, places, 2 * BUILT_PAGES, hs_budget_default());
	while ((st = hs_spaces_next(&spaces, &items[item_count], NULL)) == HS_OK) {
		assert_true(item_count + 1 < ITEMS);
		item_count++;
	}
	assert_int_equal(st, HS_ERR_NOT_FOUND);
	for (size_t i = 0; i < item_count; i++) {
		assert_int_equal(rebuild_item(&ram->phys, &ram->source, roots, built, &items[i]), HS_OK);
	}
}

static size_t count_of(enum hs_space_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < item_count; i++) {
		count += items[i].kind == kind;
	}
	return count;
}

/* What is at an address of the old root and of the new one, which is the same. */
static struct hs_range same_at(struct ram *ram, const struct hs_root *old, const struct hs_root *built, uint64_t gva)
{
	struct hs_range a;
	struct hs_range b;

	hs_translate(&ram->phys, old, hs_gva_of(gva), &a);
	hs_translate(&ram->phys, built, hs_gva_of(gva), &b);
	assert_int_equal(a.kind, b.kind);
	assert_int_equal(a.gpa.v, b.gpa.v);
	assert_int_equal(a.prot, b.prot);
	assert_int_equal(a.user, b.user);
	assert_int_equal(a.cow, b.cow);
	assert_int_equal(a.leaf, b.leaf);
	assert_int_equal(a.page_bytes, b.page_bytes);
	return b;
}

/* The entry that decides about an address, as it is in memory. */
static uint64_t entry_at(struct ram *ram, const struct hs_root *root, uint64_t gva)
{
	struct hs_path path;

	hs_path_find(&ram->phys, root, hs_gva_of(gva), &path);
	assert_true(path.count > 0 && path.levels[path.count - 1].readable);
	return path.levels[path.count - 1].entry;
}

static void test_faults_large_page_is_never_taken_for_a_table(void **state)
{
	struct ram *ram = *state;

	/* Its memory is full of what would be entries. */
	for (unsigned int at = 0; at < 4096; at++) {
		ram_put(ram, LARGE + at, 1, 0x67);
	}
	for (const struct shape *shape = shapes; shape < shapes + SHAPES_X86; shape++) {
		for (unsigned int i = 0; i < shape->large_count; i++) {
			unsigned int depth = shape->large_first + i;
			uint64_t bytes = UINT64_C(1) << shape->shifts[depth];
			struct hs_root root = root_of(shape, table_of(0, 0));
			struct hs_root built;
			struct hs_range range;

			clear(ram);
			put_chain(ram, shape, 0, depth);
			put(ram, shape, table_of(0, depth), 1, LARGE | 0xe7);
			rebuild(ram, &root, &built, 1);
			assert_int_equal(count_of(HS_SPACE_TABLE), depth + 1);
			assert_int_equal(count_of(HS_SPACE_RANGE), 1);
			range = same_at(ram, &root, &built, bytes + 0x1234);
			assert_int_equal(range.gpa.v, LARGE);
			assert_int_equal(range.page_bytes, bytes);
			assert_int_equal(entry_at(ram, &built, bytes), LARGE | 0xe7);
		}
	}
}

static void test_faults_addresses_of_one_frame_all_survive_writable(void **state)
{
	struct ram *ram = *state;

	for (const struct shape *shape = shapes; shape < shapes + SHAPES; shape++) {
		unsigned int last = shape->levels - 1;
		struct hs_root roots[2] = { root_of(shape, table_of(0, 0)), root_of(shape, table_of(1, 0)) };
		struct hs_root built[2];
		struct hs_reverse reverse;
		struct hs_reverse_item found;
		size_t count = 0;

		/* Twice in the one space, once in the other, through tables of their own. */
		clear(ram);
		put_chain(ram, shape, 0, last);
		put_chain(ram, shape, 1, last);
		put(ram, shape, table_of(0, last), 3, FRAME | 7);
		put(ram, shape, table_of(0, last), 5, FRAME | 7);
		put(ram, shape, table_of(1, last), 4, FRAME | 7);
		rebuild(ram, roots, built, 2);
		assert_int_equal(count_of(HS_SPACE_RANGE), 3);
		for (unsigned int slot = 3; slot <= 5; slot++) {
			unsigned int space = slot == 4;
			struct hs_range range = same_at(ram, &roots[space], &built[space], slot << 12);

			assert_int_equal(range.gpa.v, FRAME);
			assert_true(range.prot & HS_PROT_WRITE);
			assert_false(range.cow);
		}
		hs_reverse_init(&reverse, &ram->phys, built, 2, hs_gpa_of(FRAME), 4096, hs_budget_default());
		while (hs_reverse_next(&reverse, &found, NULL) == HS_OK) {
			count++;
		}
		assert_int_equal(count, 3);
	}
}

static void test_faults_table_in_three_slots_of_one_root_is_in_all_of_them(void **state)
{
	struct ram *ram = *state;

	for (const struct shape *shape = shapes; shape < shapes + SHAPES; shape++) {
		for (unsigned int depth = 1; depth < shape->levels; depth++) {
			unsigned int last = shape->levels - 1;
			struct hs_root roots[2] = { root_of(shape, table_of(0, 0)), root_of(shape, table_of(0, 0)) };
			struct hs_root built[2];

			clear(ram);
			put_chain(ram, shape, 0, last);
			shape_fill(ram, shape, depth - 1, table_of(0, depth - 1), 0, 3, table_of(0, depth));
			put(ram, shape, table_of(0, last), 0, FRAME | 7);
			rebuild(ram, roots, built, 2);
			/* The root that is there twice is no empty one. */
			assert_int_equal(count_of(HS_SPACE_ALIAS), 3);
			assert_int_equal(ram->next_table, BUILT + 0x1000 * (uint64_t)shape->levels);
			for (unsigned int i = 0; i < 6; i++) {
				uint64_t gva = shape_gva(shape, depth - 1, i % 3);

				assert_int_equal(same_at(ram, &roots[i / 3], &built[i / 3], gva).gpa.v, FRAME);
			}
		}
	}
}

static void test_faults_alias_keeps_its_own_flags_and_the_owner_its(void **state)
{
	struct ram *ram = *state;

	for (const struct shape *shape = shapes; shape < shapes + SHAPES_X86; shape++) {
		for (unsigned int depth = 1; depth < shape->levels; depth++) {
			unsigned int last = shape->levels - 1;
			/* A PDPTE has no rights; what it has is PWT and PCD. */
			bool pdpte = shape->format == HS_PAGING_PAE && depth == 1;
			uint64_t ours = table_of(0, depth) | (pdpte ? 0x19 : 0x3d);
			struct hs_root root = root_of(shape, table_of(0, 0));
			struct hs_root built;
			struct hs_range range;

			clear(ram);
			put_chain(ram, shape, 0, last);
			put(ram, shape, table_of(0, depth - 1), 1, ours);
			put(ram, shape, table_of(0, last), 0, FRAME | 7);
			rebuild(ram, &root, &built, 1);
			range = same_at(ram, &root, &built, shape_gva(shape, depth - 1, 1));
			assert_int_equal(range.prot & HS_PROT_WRITE, pdpte ? HS_PROT_WRITE : 0);
			assert_true(range.user);
			range = same_at(ram, &root, &built, 0);
			assert_true(range.prot & HS_PROT_WRITE);
			/* All of the entry but where its table is. */
			for (size_t i = 0; i < item_count; i++) {
				if (items[i].kind == HS_SPACE_ALIAS) {
					assert_int_equal(items[i].entry, ours);
				}
			}
			assert_int_equal(count_of(HS_SPACE_ALIAS), 1);
		}
	}
}

/* A leaf of all rights and one more bit comes back with that bit, and as it was. */
static void check_attribute(struct ram *ram, const struct shape *shape, unsigned int depth, uint64_t bit)
{
	bool large = depth + 1 < shape->levels;
	uint64_t leaf = (large ? LARGE | 0x80 : FRAME) | 1 | bit;
	struct hs_root root = root_of(shape, table_of(0, 0));
	struct hs_root built;

	clear(ram);
	put_chain(ram, shape, 0, depth);
	put(ram, shape, table_of(0, depth), 2, leaf);
	rebuild(ram, &root, &built, 1);
	assert_int_equal(same_at(ram, &root, &built, shape_gva(shape, depth, 2)).kind, HS_RANGE_MAPPED);
	assert_int_equal(entry_at(ram, &built, shape_gva(shape, depth, 2)), leaf);
}

static void test_faults_no_bit_of_a_leaf_is_lost(void **state)
{
	struct ram *ram = *state;

	for (const struct shape *shape = shapes; shape < shapes + SHAPES_X86; shape++) {
		for (unsigned int depth = 0; depth < shape->levels; depth++) {
			bool large = depth + 1 < shape->levels;

			if (large && (depth < shape->large_first || depth >= shape->large_first + shape->large_count)) {
				continue;
			}
			/* W, U, PWT, PCD, A, D, PAT of 4 KiB, G, AVL; PAT of others; what is ignored; XD. */
			for (unsigned int bit = 1; bit < 12; bit++) {
				check_attribute(ram, shape, depth, UINT64_C(1) << bit);
			}
			if (large) {
				check_attribute(ram, shape, depth, UINT64_C(1) << 12);
			}
			for (unsigned int bit = 52; bit < 63 && shape->levels >= 4; bit++) {
				check_attribute(ram, shape, depth, UINT64_C(1) << bit);
			}
			if (shape->bytes == 8) {
				check_attribute(ram, shape, depth, UINT64_C(1) << 63);
			}
		}
	}
}

static void test_faults_what_cannot_be_read_is_never_left_out(void **state)
{
	struct ram *ram = *state;

	for (const struct shape *shape = shapes; shape < shapes + SHAPES; shape++) {
		for (unsigned int depth = 1; depth < shape->levels; depth++) {
			struct hs_root root = root_of(shape, table_of(0, 0));
			struct hs_root built;
			size_t found = 0;

			clear(ram);
			put_chain(ram, shape, 0, depth);
			put(ram, shape, table_of(0, depth - 1), 0, shape_entry(shape, depth - 1, FRAME));
			rebuild(ram, &root, &built, 1);
			for (size_t i = 0; i < item_count; i++) {
				if (items[i].kind == HS_SPACE_RANGE) {
					assert_int_equal(items[i].range.kind, HS_RANGE_UNREADABLE);
					assert_int_equal(items[i].range.gpa.v, FRAME);
					assert_int_equal(items[i].length, UINT64_C(1) << shape->shifts[depth - 1]);
					found++;
				}
			}
			assert_int_equal(found, 1);
		}
	}
}

static void test_faults_four_byte_entries_are_read_and_written_by_themselves(void **state)
{
	const struct shape *shape = &shapes[0];
	struct ram *ram = *state;
	struct hs_root root = root_of(shape, table_of(0, 0));
	struct hs_mapping mapping = { .gva = { 0x1000 }, .gpa = { FRAME }, .length = 4096 };
	struct hs_range range;

	/* Neighbours with every bit set; bytes in the order that the manual gives, whatever the host's. */
	clear(ram);
	put_chain(ram, shape, 0, 1);
	memset(ram_at(ram, table_of(0, 1)), 0xff, 12);
	memcpy(ram_at(ram, table_of(0, 1) + 4), "\x05\x20\x43\x65", 4);
	hs_translate(&ram->phys, &root, hs_gva_of(0x1000), &range);
	assert_int_equal(range.kind, HS_RANGE_MAPPED);
	assert_int_equal(range.gpa.v, 0x65432000);
	assert_int_equal(entry_at(ram, &root, 0x1000), 0x65432005);
	assert_int_equal(range.prot, HS_PROT_READ | HS_PROT_EXEC);
	assert_true(range.user);
	assert_int_equal(range.leaf, 0);
	memset(ram_at(ram, table_of(0, 1) + 4), 0, 4);
	assert_int_equal(ram_map(ram, &root, &mapping), HS_OK);
	assert_memory_equal(ram_at(ram, table_of(0, 1)), "\xff\xff\xff\xff\x01\x00\x00\x05\xff\xff\xff\xff", 12);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_ram, ram_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_faults_large_page_is_never_taken_for_a_table),
		TEST(test_faults_addresses_of_one_frame_all_survive_writable),
		TEST(test_faults_table_in_three_slots_of_one_root_is_in_all_of_them),
		TEST(test_faults_alias_keeps_its_own_flags_and_the_owner_its),
		TEST(test_faults_no_bit_of_a_leaf_is_lost),
		TEST(test_faults_what_cannot_be_read_is_never_left_out),
		TEST(test_faults_four_byte_entries_are_read_and_written_by_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
