/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * paging/ against the naive walker. A path of page tables is laid out, one table a level, everything around its entries
 * is ones; then the entries go through the combinations of their bits and both walkers must say the same of an address.
 *
 *   combinations  P, W, U, PS, A, D, XD and the copy-on-write tag at every level, for every NXE, PSE and WP: all of
 *                 them at the level that decides; at the tables above, all of P, W, U, PS, XD, and A, D and the tag
 *                 (which tables ignore) exhaustively one level at a time
 *   reserved      every bit, and every pair of bits, of every entry turned over, for many physical-address widths
 *   random        entries of random bits
 *   ranges        hs_iter against steps of the naive walker, over random small tables full of loops
 */
#include "naive.h"
#include "world.h"

#include <hindsight/paging.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What paging/ should say, given what the naive walker says. */
static struct hs_range expected(const struct naive_result *naive)
{
	static const enum hs_range_kind kinds[] = {
		[NAIVE_PAGE] = HS_RANGE_MAPPED,
		[NAIVE_NOT_PRESENT] = HS_RANGE_HOLE,
		[NAIVE_RESERVED_BIT] = HS_RANGE_RESERVED,
		[NAIVE_NO_MEMORY] = HS_RANGE_UNREADABLE,
		[NAIVE_NOT_CANONICAL] = HS_RANGE_NON_CANONICAL,
	};
	struct hs_range range;

	memset(&range, 0, sizeof(range));
	range.kind = kinds[naive->outcome];
	range.start.v = naive->start;
	range.length = naive->length;
	range.gpa.v = naive->physical;
	range.level = (uint8_t)naive->depth;
	if (naive->outcome == NAIVE_PAGE) {
		range.prot = HS_PROT_READ | (naive->write ? HS_PROT_WRITE : 0) | (naive->fetch ? HS_PROT_EXEC : 0);
		range.user = naive->user;
		range.cow = naive->tagged;
		range.page_bytes = naive->length;
		range.leaf = naive->attributes;
	}
	return range;
}

static bool same(const struct hs_range *a, const struct hs_range *b)
{
	return a->kind == b->kind && a->start.v == b->start.v && a->length == b->length && a->gpa.v == b->gpa.v &&
	       a->prot == b->prot && a->user == b->user && a->cow == b->cow && a->level == b->level &&
	       a->page_bytes == b->page_bytes && a->leaf == b->leaf;
}

static void print_range(const char *who, const struct hs_range *range)
{
	print_error("%s: kind %d start %llx length %llx gpa %llx prot %d user %d cow %d level %d page %llx leaf %llx\n",
		    who, range->kind, (unsigned long long)range->start.v, (unsigned long long)range->length,
		    (unsigned long long)range->gpa.v, range->prot, range->user, range->cow, range->level,
		    (unsigned long long)range->page_bytes, (unsigned long long)range->leaf);
}

static void print_world(struct world *world)
{
	print_error("%s gva %llx nxe %d pse %d width %u\n", hs_paging_format_name(world->root.format),
		    (unsigned long long)world->gva, world->root.nxe, world->root.pse, world->naive.maxphyaddr);
	for (unsigned int depth = 0; depth < world->levels; depth++) {
		const uint8_t *entry = world->bytes + world->path[depth];

		print_error("  level %u entry", depth);
		for (unsigned int i = world->size; i > 0; i--) {
			print_error(" %02x", entry[i - 1]);
		}
		print_error("\n");
	}
}

/* Both walkers on the address of the world; the naive one's answer. */
static struct naive_result compare(struct world *world)
{
	struct naive_result naive = naive_walk(&world->memory, &world->naive, world->gva);
	struct hs_range want = expected(&naive);
	struct hs_range got;

	world->cases++;
	world->root.wp = world->cases & 1;
	hs_translate(&world->phys, &world->root, hs_gva_of(world->gva), &got);
	if (!same(&got, &want)) {
		print_world(world);
		print_range("paging", &got);
		print_range("model ", &want);
		fail();
	}
	return naive;
}

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

/*
 * All combinations at this depth. Those that end the walk are compared; those that go on to the next table recurse, of
 * the eight that differ only in A, D and the tag all at the depth `wide` and a random one elsewhere.
 */
static void combine(struct world *world, unsigned int depth, unsigned int wide)
{
	unsigned int chosen = (unsigned int)world_random(world) & 0xe0;

	for (unsigned int bits = 0; bits < 0x100; bits++) {
		uint64_t entry = combination(world, bits) | noise(world, depth);
		struct naive_result result;
		/* A large leaf takes its address from the same bits: only those above its size can stay. */
		uint64_t next = onward(depth);

		if ((bits & 8) && depth + 1 < world->levels &&
		    (world->naive.mode != NAIVE_32BIT || world->naive.cr4_pse)) {
			next = UINT64_C(0xc0000000) | (world_random(world) & BIT(12));
		}
		world_put(world, world->path[depth], entry | next);
		result = compare(world);
		if (result.depth > depth && (depth == wide || (bits & 0xe0) == chosen)) {
			combine(world, depth + 1, wide);
		}
	}
	world_put(world, world->path[depth], 0);
}

static void test_model_all_combinations_of_bits(void **state)
{
	static struct world world;
	uint64_t cases = 0;

	(void)state;
	for (size_t which = 0; which < FORMATS; which++) {
		/* CR4.PSE matters to the 32-bit format alone; that it does not to the others is seen below. */
		for (unsigned int controls = 0; controls < (which == 0 ? 4 : 2); controls++) {
			for (unsigned int wide = 0; wide + 1 < world_formats[which].levels; wide++) {
				world_init(&world, which, (controls + wide) % 3);
				world_set_controls(&world, controls & 1, controls & 2, 52);
				combine(&world, 0, wide);
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
			for (unsigned int controls = 0; controls < 4; controls++) {
				world_init(&world, which, controls % 3);
				world_set_controls(&world, controls & 1, controls & 2, widths[width]);
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
		struct hs_range range = expected(&naive);
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
				if (!same(&got, &want)) {
					print_error("%s round %u range %u\n", hs_paging_format_name(world.root.format),
						    round, i);
					print_range("paging", &got);
					print_range("model ", &want);
					fail();
				}
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
		cmocka_unit_test(test_model_all_combinations_of_bits),
		cmocka_unit_test(test_model_every_bit_and_pair_of_bits_turned_over),
		cmocka_unit_test(test_model_random_entries),
		cmocka_unit_test(test_model_random_addresses),
		cmocka_unit_test(test_model_ranges_of_random_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
