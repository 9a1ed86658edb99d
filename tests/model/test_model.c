/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * paging/ against the naive walker. A path of page tables is laid out, one table a level, everything around its entries
 * is ones; then the entries go through the combinations of their bits and both walkers must say the same of an address,
 * and of every access to it. Formats are given here; which one the registers ask for is test_controls.c's.
 *
 *   controls      P, W, U, PS, XD at every level, and A, D and the copy-on-write tag at the one that decides, all of
 *                 them under every NXE, PSE, WP, SMEP and SMAP; in the tables above A, D and the tag are random
 *   ignored bits  the same with every A, D and tag in the tables above, one table at a time, under every NXE (and PSE
 *                 where a format has it), the other controls random
 *   reserved      every bit, and every pair of bits, of every entry turned over, for many physical-address widths
 *   random        entries of random bits
 *   ranges        hs_iter against steps of the naive walker, over random small tables full of loops
 */
#include "compare.h"

#include <hindsight/paging.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* An entry at depth that names the next table of the path, or the page behind the last table. */
static uint64_t onward(unsigned int depth)
{
	return BASE + (depth + 1) * 4096;
}

/* The eight bits that are combined, spread over an entry. The tag is AVL bits 001, or one of the other seven values. */
static uint64_t combination(struct world *world, unsigned int bits)
{
	uint64_t avl = bits & 0x80 ? 1 : (2 + world_random(world) % 7) % 8;
	uint64_t entry = (bits & 7) | (bits & 8 ? BIT(7) : 0) | (bits & 0x20 ? BIT(5) : 0) |
			 (bits & 0x40 ? BIT(6) : 0) | avl << 9;

	return entry | (bits & 0x10 && world->size == 8 ? BIT(63) : 0);
}

/* Bits that mean nothing to the walk in this entry. */
static uint64_t noise(struct world *world, unsigned int depth)
{
	uint64_t bits = BIT(3) | BIT(4);

	if (world->naive.mode != NAIVE_PAE || depth > 0) {
		bits |= BIT(8);
	}
	if (world->naive.mode >= NAIVE_4LEVEL) {
		bits |= UINT64_C(0x7ff) << 52;
	}
	return bits & world_random(world);
}

#define NO_DEPTH LEVELS_MAX

/*
 * All combinations at this depth. Those that end the walk are compared; those that go on to the next table recurse, of
 * the eight that differ only in A, D and the tag all at the depth `wide` and a random one elsewhere. With a depth that
 * is wide the controls of rights are random, otherwise they stay as they are.
 */
static void combine(struct world *world, unsigned int depth, unsigned int wide)
{
	/* A and D are reserved in a PDPTE of PAE paging: with them no table would be reached. */
	unsigned int free = world->naive.mode == NAIVE_PAE && depth == 0 ? 0x80 : 0xe0;
	unsigned int chosen = (unsigned int)world_random(world) & free;

	for (unsigned int bits = 0; bits < 0x100; bits++) {
		uint64_t entry = combination(world, bits) | noise(world, depth);
		struct naive_result result;
		/* A large leaf takes its address from the same bits: only those above its size can stay. */
		uint64_t next = onward(depth);

		if ((bits & 8) && depth + 1 < world->levels &&
		    (world->naive.mode != NAIVE_32BIT || world->naive.cr4_pse)) {
			next = UINT64_C(0xc0000000) | (world_random(world) & BIT(12));
		}
		if (wide != NO_DEPTH) {
			world_set_rights(world, (unsigned int)(world_random(world) >> 32) & 7);
		}
		world_put(world, world->path[depth], entry | next);
		result = compare(world);
		world->pages[depth] += result.outcome == NAIVE_PAGE && result.depth == depth;
		if (result.depth > depth && (depth == wide || (bits & 0xe0) == chosen)) {
			combine(world, depth + 1, wide);
		}
	}
	world_put(world, world->path[depth], 0);
}

/* Leaves were met wherever the format has them. */
static void check_pages(const struct world *world)
{
	static const unsigned int first_leaf[] = {
		[NAIVE_32BIT] = 0, [NAIVE_PAE] = 1, [NAIVE_4LEVEL] = 1, [NAIVE_5LEVEL] = 2
	};
	bool no_large = world->naive.mode == NAIVE_32BIT && !world->naive.cr4_pse;

	for (unsigned int depth = 0; depth < world->levels; depth++) {
		assert_int_equal(world->pages[depth] != 0, depth >= first_leaf[world->naive.mode] + (no_large ? 1 : 0));
	}
}

static void test_model_all_combinations_of_bits_and_controls(void **state)
{
	static struct world world;
	uint64_t cases = 0;

	(void)state;
	for (size_t which = 0; which < FORMATS; which++) {
		for (unsigned int controls = 0; controls < 32; controls++) {
			world_init(&world, which, controls % 3);
			world_set_controls(&world, controls & 1, controls & 2, 52);
			world_set_rights(&world, controls >> 2);
			combine(&world, 0, NO_DEPTH);
			check_pages(&world);
			cases += world.cases;
		}
	}
	print_message("# %llu cases\n", (unsigned long long)cases);
}

static void test_model_all_combinations_of_ignored_bits(void **state)
{
	static struct world world;
	uint64_t cases = 0;

	(void)state;
	for (size_t which = 0; which < FORMATS; which++) {
		for (unsigned int controls = 0; controls < (which == 0 ? 4 : 2); controls++) {
			for (unsigned int wide = 0; wide + 1 < world_formats[which].levels; wide++) {
				world_init(&world, which, (controls + wide) % 3);
				world_set_controls(&world, controls & 1, controls & 2, 52);
				combine(&world, 0, wide);
				check_pages(&world);
				cases += world.cases;
			}
		}
	}
	print_message("# %llu cases\n", (unsigned long long)cases);
}

/* A path on which everything is allowed, that ends in a leaf at `leaf`. */
static void plain_path(struct world *world, unsigned int leaf)
{
	for (unsigned int depth = 0; depth < world->levels; depth++) {
		uint64_t rights = world->naive.mode == NAIVE_PAE && depth == 0 ? 1 : 7;
		uint64_t entry = onward(depth) | rights;

		if (depth == leaf && depth + 1 < world->levels) {
			entry = UINT64_C(0xc0000000) | rights | BIT(7);
		}
		world_put(world, world->path[depth], entry);
	}
}

static uint64_t entry_at(const struct world *world, unsigned int depth)
{
	uint64_t entry = 0;

	for (unsigned int i = world->size; i > 0; i--) {
		entry = entry << 8 | world->bytes[world->path[depth] + i - 1];
	}
	return entry;
}

static void turn_bits_over(struct world *world, unsigned int depth)
{
	uint64_t plain = entry_at(world, depth);

	for (unsigned int first = 0; first < 8 * world->size; first++) {
		for (unsigned int second = first; second < 8 * world->size; second++) {
			world_put(world, world->path[depth], plain ^ BIT(first) ^ (second > first ? BIT(second) : 0));
			compare(world);
		}
	}
	world_put(world, world->path[depth], plain);
}

static void test_model_every_bit_and_pair_of_bits_turned_over(void **state)
{
	static const unsigned int widths[] = { 32, 33, 36, 39, 40, 41, 46, 48, 51, 52 };
	static struct world world;

	(void)state;
	for (size_t which = 0; which < FORMATS; which++) {
		for (size_t width = 0; width < sizeof(widths) / sizeof(widths[0]); width++) {
			for (unsigned int controls = 0; controls < 8; controls++) {
				world_init(&world, which, controls % 3);
				world.naive.pdpte_a = world.root.pdpte_a = controls & 4;
				world_set_controls(&world, controls & 1, controls & 2, widths[width]);
				world_set_rights(&world, (unsigned int)width);
				for (unsigned int leaf = 0; leaf < world.levels; leaf++) {
					plain_path(&world, leaf);
					for (unsigned int depth = 0; depth <= leaf; depth++) {
						turn_bits_over(&world, depth);
					}
				}
			}
		}
	}
}

/* Random, but not so random that the first level ends it all. */
static uint64_t random_entry(struct world *world, unsigned int depth)
{
	uint64_t entry = world_random(world);
	uint64_t choice = world_random(world);

	if (choice & 7) {
		entry |= 1;
	}
	if (choice & 0x38) {
		entry &= UINT64_C(0xfff);
		entry |= choice & 0x1c0 ? onward(depth) : BASE + (choice >> 40) % (PAGES + 2) * 4096;
	}
	if (choice & 0x600) {
		entry &= ~BIT(7);
	} else if (choice & 0x1800) {
		entry &= ~UINT64_C(0x3fffe000);
	}
	if (world->naive.mode == NAIVE_PAE && depth == 0 && choice & 0xe000) {
		entry &= ~UINT64_C(0x1e6);
	}
	if (choice & 0xf0000) {
		entry &= ~(UINT64_C(0xfff) << 52) | (choice & 0x100000 ? BIT(63) : 0);
	}
	return entry;
}

static void test_model_random_entries(void **state)
{
	static const unsigned int widths[] = { 32, 36, 40, 46, 52 };
	static struct world world;

	(void)state;
	for (size_t which = 0; which < FORMATS; which++) {
		world_init(&world, which, 0);
		for (unsigned int i = 0; i < 300000; i++) {
			uint64_t controls = world_random(&world);

			world_set_controls(&world, controls & 1, controls & 2, widths[(controls >> 8) % 5]);
			world_set_rights(&world, (unsigned int)(controls >> 16) & 7);
			for (unsigned int depth = 0; depth < world.levels; depth++) {
				world_put(&world, world.path[depth], random_entry(&world, depth));
			}
			compare(&world);
		}
	}
}

static void test_model_random_addresses(void **state)
{
	static struct world world;

	(void)state;
	for (size_t which = 0; which < FORMATS; which++) {
		world_init(&world, which, 0);
		for (unsigned int i = 0; i < 100000; i++) {
			/* Any number of leading ones or zeros: both halves, the gap and its borders. */
			uint64_t gva = world_random(&world);
			unsigned int shift = world_random(&world) % 64;

			world.gva = world_random(&world) & 1 ? gva >> shift : ~(gva >> shift);
			world_set_rights(&world, i & 7);
			compare(&world);
		}
	}
}

/* The next range that is not a hole from *at on, as steps of the naive walker, merged. False at the end. */
static bool naive_next(struct world *world, uint64_t *at, bool *done, struct hs_range *ret)
{
	bool found = false;

	while (!*done) {
		struct naive_result naive = naive_walk(&world->memory, &world->naive, *at);
		struct hs_range range = compare_expected(&naive);
		uint64_t next = range.start.v + range.length;

		if (range.kind != HS_RANGE_HOLE && range.kind != HS_RANGE_NON_CANONICAL) {
			bool goes_on = found && ret->start.v + ret->length == range.start.v &&
				       ret->kind == range.kind && ret->prot == range.prot && ret->user == range.user &&
				       ret->cow == range.cow && ret->level == range.level &&
				       ret->page_bytes == range.page_bytes && ret->leaf == range.leaf;

			if (range.kind == HS_RANGE_MAPPED) {
				goes_on = goes_on && ret->gpa.v + ret->length == range.gpa.v;
			} else {
				goes_on = goes_on && range.kind == HS_RANGE_UNREADABLE && ret->gpa.v == range.gpa.v;
			}
			if (found && !goes_on) {
				return true;
			}
			if (goes_on) {
				ret->length += range.length;
			} else {
				*ret = range;
			}
			found = true;
		}
		*done = next == 0;
		*at = next;
	}
	return found;
}

/* A few entries in each page, most of them pointing into the pages: tables shared, looped and read at every level. */
static void random_tables(struct world *world)
{
	memset(world->bytes, 0, sizeof(world->bytes));
	for (unsigned int i = 0; i < 60; i++) {
		uint64_t place = world_random(world);
		uint64_t run = 1 + (place >> 32) % 4;
		uint64_t entry = random_entry(world, (unsigned int)(place >> 40) % (PAGES - 1));
		uint64_t offset = place % (sizeof(world->bytes) / world->size) * world->size;

		for (uint64_t j = 0; j < run && offset + world->size <= sizeof(world->bytes); j++) {
			world_put(world, offset, entry + j * 4096);
			offset += world->size;
		}
	}
}

static void test_model_ranges_of_random_tables(void **state)
{
	static struct world world;
	uint64_t total = 0;

	(void)state;
	for (size_t which = 0; which < FORMATS; which++) {
		for (unsigned int round = 0; round < 400; round++) {
			struct hs_iter iter;
			struct hs_range got;
			struct hs_range want;
			uint64_t at = 0;
			bool done = false;

			world_init(&world, which, 0);
			world.seed = which << 32 | round;
			world_set_pointers(&world, !(round & 1));
			world_set_controls(&world, round & 2, round & 4, 52);
			random_tables(&world);
			hs_iter_init(&iter, &world.phys, &world.root, hs_gva_of(0), 0, hs_budget_default());
			/* Loops make some of these spaces huge: the first ranges will do. */
			for (unsigned int i = 0; i < 500; i++) {
				bool more = naive_next(&world, &at, &done, &want);

				assert_int_equal(hs_iter_next(&iter, &got, NULL), more ? HS_OK : HS_ERR_NOT_FOUND);
				if (!more) {
					break;
				}
				total++;
				world.gva = want.start.v;
				compare_ranges(&world, &got, &want);
			}
		}
	}
	/* The tables are not all empty. */
	print_message("# %llu ranges\n", (unsigned long long)total);
	assert_true(total > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model_all_combinations_of_bits_and_controls),
		cmocka_unit_test(test_model_all_combinations_of_ignored_bits),
		cmocka_unit_test(test_model_every_bit_and_pair_of_bits_turned_over),
		cmocka_unit_test(test_model_random_entries),
		cmocka_unit_test(test_model_random_addresses),
		cmocka_unit_test(test_model_ranges_of_random_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
