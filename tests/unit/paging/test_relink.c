/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The round trip of several roots: random ones with tables that they share, walked together, built again elsewhere, and
 * walked again, which gives the same translations and the same sharing.
 */
#include "rebuild.h"
#include "same_range.h"
#include "shape.h"

#include "lib/random.h"

#include <hindsight/spaces.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 150
#define ROOTS 5
#define WIDTH 3 /* tables of each depth */
#define SOURCE_PAGES (HS_PAGING_LEVELS_MAX * WIDTH)
#define PLACES 512
#define ITEMS 4096

struct list {
	struct hs_space_item items[ITEMS];
	size_t count, aliases, tables;
};

static struct list before;
static struct list after;

static uint64_t table_at(unsigned int depth, unsigned int which)
{
	return 0x1000 + 0x1000 * (uint64_t)(depth * WIDTH + which);
}

static bool is_aarch64(const struct shape *shape)
{
	return shape->format == HS_PAGING_AARCH64_TTBR0;
}

/* A leaf of any rights and attributes, large above the last level. */
static uint64_t random_leaf(uint64_t *seed, const struct shape *shape, unsigned int depth, bool nxe)
{
	bool last = depth + 1 == shape->levels;
	uint64_t frame = (random_below(seed, UINT64_C(1) << 20) << 12) & -(UINT64_C(1) << shape->shifts[depth]);
	uint64_t entry = frame | (random_next(seed) & 0xffe) | 1;

	if (is_aarch64(shape)) {
		/* A page has bit 1, a block has not. */
		return (entry & ~UINT64_C(2)) | (last ? 2 : 0) | random_next(seed) << 48;
	}
	entry = last ? entry : entry | 0x80 | (random_below(seed, 2) << 12);
	if (shape->bytes == 8 && nxe && random_below(seed, 2)) {
		entry |= UINT64_C(1) << 63;
	}
	if (shape->format >= HS_PAGING_4LEVEL) {
		entry |= random_below(seed, 0x800) << 52;
	}
	return entry;
}

/* An entry for a table of the next depth as a rule, for any table or for none that is there now and then. */
static uint64_t random_table(uint64_t *seed, const struct shape *shape, unsigned int depth, bool nxe)
{
	bool pdpte = shape->format == HS_PAGING_PAE && depth == 0;
	uint64_t table = table_at(depth + 1, (unsigned int)random_below(seed, WIDTH));
	uint64_t flags = 1 | (random_next(seed) & (pdpte ? 0xe18 : 0xe3e));

	if (is_aarch64(shape)) {
		flags |= 2 | (random_below(seed, 2) ? random_next(seed) << 48 : 0);
	}
	if (random_below(seed, 8) == 0) {
		table = table_at((unsigned int)random_below(seed, shape->levels),
				 (unsigned int)random_below(seed, WIDTH));
	} else if (random_below(seed, 16) == 0) {
		table = 0x70000000;
	}
	if (shape->bytes == 8 && nxe && !pdpte && !is_aarch64(shape) && random_below(seed, 4) == 0) {
		flags |= UINT64_C(1) << 63;
	}
	return table | flags;
}

static void put_random_table(struct ram *ram, uint64_t *seed, const struct shape *shape, unsigned int depth,
			     uint64_t table, bool nxe)
{
	bool last = depth + 1 == shape->levels;
	bool large = depth >= shape->large_first && depth < shape->large_first + shape->large_count;
	unsigned int entries = shape->format == HS_PAGING_PAE && depth == 0 ? 4 : 4096 / shape->bytes;

	for (unsigned int i = 0; i < 5; i++) {
		uint64_t slot = random_below(seed, 3) ? random_below(seed, 4) : random_below(seed, entries);
		bool leaf = last || (large && random_below(seed, 4) == 0);

		ram_put(ram, table + slot * shape->bytes, shape->bytes,
			leaf ? random_leaf(seed, shape, depth, nxe) : random_table(seed, shape, depth, nxe));
	}
}

static void collect(struct ram *ram, const struct hs_root *roots, struct list *ret)
{
	static struct hs_space_place places[PLACES];
	static struct hs_spaces spaces;
	struct hs_space_item item;

	memset(ret, 0, sizeof(*ret));
	hs_spaces_init(&spaces, &ram->phys, roots, ROOTS, places, PLACES, hs_budget_default());
	for (;;) {
		enum hs_status st = hs_spaces_next(&spaces, &item, NULL);

		if (st) {
			assert_int_equal(st, HS_ERR_NOT_FOUND);
			break;
		}
		if (item.kind == HS_SPACE_RANGE && item.range.kind != HS_RANGE_MAPPED) {
			continue;
		}
		assert_true(ret->count < ITEMS);
		ret->items[ret->count++] = item;
		ret->aliases += item.kind == HS_SPACE_ALIAS;
		ret->tables += item.kind == HS_SPACE_TABLE;
	}
}

static void check_same_items(const struct shape *shape)
{
	assert_int_equal(before.count, after.count);
	assert_int_equal(before.tables, after.tables);
	assert_int_equal(before.aliases, after.aliases);
	for (size_t i = 0; i < before.count; i++) {
		const struct hs_space_item *a = &before.items[i];
		const struct hs_space_item *b = &after.items[i];

		assert_int_equal(a->kind, b->kind);
		assert_int_equal(a->space, b->space);
		assert_int_equal(a->depth, b->depth);
		assert_int_equal(a->gva.v, b->gva.v);
		assert_int_equal(a->length, b->length);
		assert_int_equal(a->prot, b->prot);
		assert_int_equal(a->user, b->user);
		assert_int_equal(a->owner, b->owner);
		assert_int_equal(a->owner_gva.v, b->owner_gva.v);
		assert_int_equal(a->entry & ~shape->address, b->entry & ~shape->address);
		check_same_range(&a->range, &b->range);
	}
}

/* The next mapped range; false at the end. */
static bool next_mapped(struct hs_iter *iter, struct hs_range *ret)
{
	enum hs_status st;

	do {
		st = hs_iter_next(iter, ret, NULL);
	} while (st == HS_OK && ret->kind != HS_RANGE_MAPPED);
	assert_true(st == HS_OK || st == HS_ERR_NOT_FOUND);
	return st == HS_OK;
}

/* Each root by itself, every path of it. */
static void check_same_translations(struct ram *from, const struct hs_root *roots, struct ram *to,
				    const struct hs_root *built)
{
	for (unsigned int i = 0; i < ROOTS; i++) {
		static struct hs_iter iters[2];
		struct hs_range ranges[2];

		hs_iter_init(&iters[0], &from->phys, &roots[i], hs_gva_of(0), 0, hs_budget_default());
		hs_iter_init(&iters[1], &to->phys, &built[i], hs_gva_of(0), 0, hs_budget_default());
		while (next_mapped(&iters[0], &ranges[0])) {
			assert_true(next_mapped(&iters[1], &ranges[1]));
			check_same_range(&ranges[0], &ranges[1]);
		}
		assert_false(next_mapped(&iters[1], &ranges[1]));
	}
}

/* One format's rounds; the seed of the last one is in the state, for the teardown to print. */
struct rounds {
	const struct shape *shape;
	uint64_t seed;
	uint64_t aliases;
};

static void one_round(struct rounds *rounds, struct ram *from, struct ram *to)
{
	const struct shape *shape = rounds->shape;
	uint64_t seed = rounds->seed;
	bool nxe = seed & 1;
	struct hs_root roots[ROOTS];
	struct hs_root built[ROOTS] = { { .format = HS_PAGING_NONE } };

	memset(ram_at(from, 0x1000), 0, SOURCE_PAGES * 4096);
	memset(ram_at(to, 0x100000), 0, PLACES * 4096);
	ram_set_tables(to, 0x100000, PLACES * 4096);
	for (unsigned int depth = 0; depth < shape->levels; depth++) {
		for (unsigned int which = 0; which < WIDTH; which++) {
			put_random_table(from, &seed, shape, depth, table_at(depth, which), nxe);
		}
	}
	for (unsigned int i = 0; i < ROOTS; i++) {
		roots[i] = (struct hs_root){
			.format = shape->format,
			.base = { table_at(0, (unsigned int)random_below(&seed, WIDTH)) },
			.pse = true,
			.nxe = nxe,
			.maxphyaddr = random_below(&seed, 8) ? 0 : 40,
		};
	}
	collect(from, roots, &before);
	for (size_t i = 0; i < before.count; i++) {
		assert_int_equal(rebuild_item(&to->phys, &to->source, roots, built, &before.items[i]), HS_OK);
	}
	collect(to, built, &after);
	check_same_items(shape);
	check_same_translations(from, roots, to, built);
	rounds->aliases += before.aliases;
}

static void test_link_random_spaces_come_back_with_their_sharing(void **state)
{
	struct rounds *rounds = *state;
	struct ram from;
	struct ram to;

	ram_init(&from, rounds->shape->levels & 1);
	ram_add(&from, 0x1000, SOURCE_PAGES * 4096);
	ram_init(&to, true);
	ram_add(&to, 0x100000, PLACES * 4096);
	for (rounds->seed = 0; rounds->seed < ROUNDS; rounds->seed++) {
		one_round(rounds, &from, &to);
	}
	/* Two roots of five are doubles at least, and tables are few. */
	assert_true(rounds->aliases > 2 * ROUNDS);
	ram_deinit(&from);
	ram_deinit(&to);
}

static int print_seed(void **state)
{
	struct rounds *rounds = *state;

	if (rounds->seed < ROUNDS) {
		print_message("# %s failed with seed %u\n", hs_paging_format_name(rounds->shape->format),
			      (unsigned int)rounds->seed);
	}
	return 0;
}

#define TEST(rounds)                                                                                                   \
	cmocka_unit_test_prestate_setup_teardown(test_link_random_spaces_come_back_with_their_sharing, NULL,           \
						 print_seed, &(rounds))

int main(void)
{
	struct rounds rounds[] = {
		{ .shape = &shapes[0] }, { .shape = &shapes[1] }, { .shape = &shapes[2] },
		{ .shape = &shapes[3] }, { .shape = &shapes[4] },
	};
	const struct CMUnitTest tests[] = {
		TEST(rounds[0]), TEST(rounds[1]), TEST(rounds[2]), TEST(rounds[3]), TEST(rounds[4]),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
