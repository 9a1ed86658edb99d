/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random sets of mappings, built and walked again: the walk gives the set back, page by page, and the tables taken are
 * those foretold. The seed of a failing round is printed.
 */
#include "ram.h"

#include "lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 300
#define MAPPINGS 12
#define TABLES 1000

/* Bits 63:48, 11:8 and 5:2, but for PXN and UXN, of which one goes with the rights. */
#define A64_ATTRIBUTES (UINT64_C(0xff9f000000000f3c))

static bool is_aarch64(const struct hs_root *root)
{
	return root->format == HS_PAGING_AARCH64_TTBR0 || root->format == HS_PAGING_AARCH64_TTBR1;
}

/* A mapping of 1 page to 5 MiB somewhere; close to others, and to where its address and its memory align, more often
 * than by chance. */
static struct hs_mapping random_mapping(uint64_t *seed, const struct hs_root *root)
{
	static const unsigned int spans[] = { 12, 21, 22, 30, 39 };
	bool wide = root->format >= HS_PAGING_4LEVEL;
	bool a64 = is_aarch64(root);
	uint64_t region = random_below(seed, 4) << spans[random_below(seed, wide ? 5 : 4)];
	struct hs_mapping mapping = {
		.gva = { region + (random_below(seed, 0x400) << 12) },
		.gpa = { random_below(seed, 0x40000) << 12 },
		.length = (1 + random_below(seed, random_below(seed, 4) ? 16 : 0x500)) << 12,
		.prot = HS_PROT_READ | (random_below(seed, 2) ? HS_PROT_WRITE : 0) |
			(random_below(seed, 2) ? HS_PROT_EXEC : 0),
		.user = random_below(seed, 2),
		.cow = random_below(seed, 4) == 0,
		.large = random_below(seed, 2),
		.leaf = random_next(seed) & (a64    ? A64_ATTRIBUTES
					     : wide ? HS_LEAF_HIGH | 0xff8
						    : 0xff8),
	};

	if (root->format == HS_PAGING_AARCH64_TTBR1) {
		mapping.gva.v |= UINT64_C(0xffff000000000000);
	} else if (wide && !a64 && random_below(seed, 3) == 0) {
		mapping.gva.v |= root->format == HS_PAGING_4LEVEL ? UINT64_C(0xffff800000000000)
								  : UINT64_C(0xff00000000000000);
	}
	if (random_below(seed, 4) == 0) {
		mapping.gva.v &= ~UINT64_C(0x1fffff);
		mapping.length = (1 + random_below(seed, 3)) << 21;
	}
	if (random_below(seed, 2)) {
		mapping.gpa.v = (mapping.gpa.v & ~UINT64_C(0x3fffff)) | (mapping.gva.v & 0x3fffff);
	}
	return mapping;
}

static bool is_free(const struct hs_mapping *mappings, size_t count, const struct hs_mapping *mapping)
{
	for (size_t i = 0; i < count; i++) {
		if (mapping->gva.v < mappings[i].gva.v + mappings[i].length &&
		    mappings[i].gva.v < mapping->gva.v + mapping->length) {
			return false;
		}
	}
	return true;
}

static void check_range(const struct hs_mapping *mapping, const struct hs_root *root, const struct hs_range *range)
{
	bool a64 = is_aarch64(root);
	bool xd = a64 || (root->nxe && root->format != HS_PAGING_32BIT);
	uint64_t software = a64 ? HS_LEAF_A64_SOFTWARE : HS_LEAF_AVL;
	uint64_t tag = a64 ? UINT64_C(8) << 55 : UINT64_C(1) << 9;
	uint64_t leaf = mapping->cow ? (mapping->leaf & ~software) | tag : mapping->leaf;
	int prot = HS_PROT_READ | (mapping->cow ? 0 : mapping->prot & HS_PROT_WRITE) |
		   (xd ? mapping->prot & HS_PROT_EXEC : HS_PROT_EXEC);

	assert_int_equal(range->kind, HS_RANGE_MAPPED);
	assert_int_equal(range->gpa.v, mapping->gpa.v + (range->start.v - mapping->gva.v));
	assert_int_equal(range->prot, prot);
	assert_int_equal(range->user, mapping->user);
	assert_int_equal(range->cow, (leaf & software) == tag && !(prot & HS_PROT_WRITE));
	if (a64 && !(prot & HS_PROT_EXEC)) {
		leaf |= mapping->user ? HS_LEAF_A64_UXN : HS_LEAF_A64_PXN;
	}
	assert_int_equal(range->leaf, leaf);
	assert_true(mapping->large || range->page_bytes == HS_PAGE_SIZE);
}

/* Every byte of every mapping comes out once, and nothing else. A range may hold parts of two mappings, if they
 * continue one another, so it is checked piece by piece. */
static void check_walk(struct ram *ram, const struct hs_root *root, const struct hs_mapping *mappings, size_t count)
{
	struct hs_iter iter;
	struct hs_range range;
	uint64_t wanted = 0;
	uint64_t found = 0;

	for (size_t i = 0; i < count; i++) {
		wanted += mappings[i].length;
	}
	hs_iter_init(&iter, &ram->phys, root, hs_gva_of(0), 0, hs_budget_default());
	while (hs_iter_next(&iter, &range, NULL) == HS_OK) {
		found += range.length;
		while (range.length > 0) {
			const struct hs_mapping *owner = NULL;
			struct hs_range one;
			uint64_t piece;

			for (size_t i = 0; i < count && !owner; i++) {
				if (range.start.v - mappings[i].gva.v < mappings[i].length) {
					owner = &mappings[i];
				}
			}
			assert_non_null(owner);
			check_range(owner, root, &range);
			hs_translate(&ram->phys, root, range.start, &one);
			assert_int_equal(one.gpa.v + (range.start.v - one.start.v), range.gpa.v);
			assert_int_equal(one.page_bytes, range.page_bytes);
			piece = owner->length - (range.start.v - owner->gva.v);
			piece = piece < range.length ? piece : range.length;
			range.start.v += piece;
			range.gpa.v += piece;
			range.length -= piece;
		}
	}
	assert_int_equal(found, wanted);
}

static void one_round(struct ram *ram, uint64_t seed, enum hs_paging_format format)
{
	struct hs_root root = { .format = format, .base = { 0x1000 }, .pse = seed & 1, .nxe = seed & 2 };
	struct hs_mapping mappings[MAPPINGS];
	size_t count = 0;

	memset(ram_at(ram, 0x1000), 0, TABLES * 4096);
	ram_set_tables(ram, 0x2000, (TABLES - 1) * 4096);
	ram->tables_taken = 0;
	while (count < MAPPINGS) {
		mappings[count] = random_mapping(&seed, &root);
		if (!is_free(mappings, count, &mappings[count])) {
			continue;
		}
		assert_int_equal(ram_map(ram, &root, &mappings[count]), HS_OK);
		count++;
	}
	assert_int_equal(ram->tables_taken + 1, hs_build_tables_needed(&root, mappings, count));
	check_walk(ram, &root, mappings, count);
}

/* One format's rounds; the seed of the last one is in the state, for the teardown to print. */
struct rounds {
	enum hs_paging_format format;
	uint64_t seed;
};

static void test_roundtrip_random_sets_come_back(void **state)
{
	struct rounds *rounds = *state;
	struct ram ram;

	ram_init(&ram, rounds->format & 1);
	ram_add(&ram, 0x1000, TABLES * 4096);
	for (rounds->seed = 0; rounds->seed < ROUNDS; rounds->seed++) {
		one_round(&ram, rounds->seed, rounds->format);
	}
	ram_deinit(&ram);
}

static int print_seed(void **state)
{
	struct rounds *rounds = *state;

	if (rounds->seed < ROUNDS) {
		print_message("# %s failed with seed %u\n", hs_paging_format_name(rounds->format),
			      (unsigned int)rounds->seed);
	}
	return 0;
}

#define TEST(rounds)                                                                                                   \
	cmocka_unit_test_prestate_setup_teardown(test_roundtrip_random_sets_come_back, NULL, print_seed, &(rounds))

int main(void)
{
	struct rounds rounds[] = {
		{ .format = HS_PAGING_32BIT },         { .format = HS_PAGING_PAE },
		{ .format = HS_PAGING_4LEVEL },        { .format = HS_PAGING_5LEVEL },
		{ .format = HS_PAGING_AARCH64_TTBR0 }, { .format = HS_PAGING_AARCH64_TTBR1 },
	};
	const struct CMUnitTest tests[] = {
		TEST(rounds[0]), TEST(rounds[1]), TEST(rounds[2]), TEST(rounds[3]), TEST(rounds[4]), TEST(rounds[5]),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
