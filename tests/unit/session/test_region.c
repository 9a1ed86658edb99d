/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pieces of an address space against a model that looks at one page after the other, in tables of random pages: mapped
 * or not, with memory behind them or not, writable or not. And physical memory by its regions.
 */
#include "session/region.h"

#include "lib/random.h"
#include "ram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE ((uint64_t)HS_PAGE_SIZE)
#define PAGES 40u
#define ROUNDS 150u
/* Memory: what pages are mapped to, which goes on as nothing, and tables. */
#define MEMORY UINT64_C(0x100000)
#define MEMORY_PAGES 24u
#define NOTHING UINT64_C(0x900000)
#define TABLES UINT64_C(0x200000)
#define TABLES_BYTES UINT64_C(0x20000)

struct place {
	enum hs_paging_format format;
	uint64_t base; /* of the pages; the last may be the last of all */
};

static const struct place places[] = {
	{ HS_PAGING_32BIT, 0x40000000 },
	{ HS_PAGING_32BIT, UINT64_C(0x100000000) - PAGES *PAGE },
	{ HS_PAGING_PAE, 0x3ffff000 },
	{ HS_PAGING_4LEVEL, 0 },
	{ HS_PAGING_4LEVEL, 0x7ffffffe0000 - 8 * PAGE },
	{ HS_PAGING_4LEVEL, 0 - PAGES *PAGE },
};

struct scene {
	struct ram ram;
	struct hs_root root;
	int rights[PAGES]; /* of each page; 0 where nothing can be read */
};

static void map_page(struct scene *scene, uint64_t base, unsigned int page, uint64_t *seed)
{
	bool backed = random_below(seed, 4) != 0;
	struct hs_mapping mapping = {
		.gva = hs_gva_of(base + page * PAGE),
		.gpa = hs_gpa_of(backed ? MEMORY + random_below(seed, MEMORY_PAGES) * PAGE : NOTHING),
		.length = PAGE,
		.prot = HS_PROT_READ | HS_PROT_EXEC | (random_below(seed, 2) ? HS_PROT_WRITE : 0),
	};

	assert_int_equal(ram_map(&scene->ram, &scene->root, &mapping), HS_OK);
	scene->rights[page] = backed ? mapping.prot : 0;
}

static void make(struct scene *scene, const struct place *place, uint64_t *seed)
{
	memset(scene->rights, 0, sizeof(scene->rights));
	ram_init(&scene->ram, random_below(seed, 2));
	ram_add(&scene->ram, MEMORY, MEMORY_PAGES * PAGE);
	ram_add(&scene->ram, TABLES, TABLES_BYTES);
	ram_set_tables(&scene->ram, TABLES + PAGE, TABLES_BYTES - PAGE);
	scene->root = (struct hs_root){ .format = place->format, .base = hs_gpa_of(TABLES), .nxe = true };
	for (unsigned int page = 0; page < PAGES; page++) {
		if (random_below(seed, 3)) {
			map_page(scene, place->base, page, seed);
		}
	}
}

/* The piece of a page, by its neighbours; a hole at an edge goes on to the end of all addresses. */
static struct hs_target_region expected(const struct scene *scene, const struct place *place, unsigned int page)
{
	int rights = scene->rights[page];
	unsigned int first = page;
	unsigned int last = page;
	struct hs_target_region region = { .mapped = rights != 0, .prot = rights };
	uint64_t end;

	while (first > 0 && scene->rights[first - 1] == rights) {
		first--;
	}
	while (last < PAGES - 1 && scene->rights[last + 1] == rights) {
		last++;
	}
	region.start.v = first == 0 && rights == 0 ? 0 : place->base + first * PAGE;
	end = last == PAGES - 1 && rights == 0 ? 0 : place->base + (last + 1) * PAGE;
	region.length = end == region.start.v ? UINT64_MAX : end - region.start.v;
	return region;
}

static void check_page(struct scene *scene, const struct place *place, unsigned int page, uint64_t offset)
{
	struct hs_target_region want = expected(scene, place, page);
	struct hs_target_region got;

	hs_region_find(&scene->ram.phys, &scene->root, hs_gva_of(place->base + page * PAGE + offset), &got);
	assert_int_equal(got.mapped, want.mapped);
	assert_int_equal(got.start.v, want.start.v);
	assert_int_equal(got.length, want.length);
	assert_int_equal(got.prot, want.prot);
}

static void test_region_is_what_the_pages_around_are(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	uint64_t seed = 1;

	(void)state;
	assert_non_null(scene);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			make(scene, &places[i], &seed);
			for (unsigned int page = 0; page < PAGES; page++) {
				check_page(scene, &places[i], page, random_below(&seed, PAGE));
			}
			ram_deinit(&scene->ram);
		}
	}
	free(scene);
}

static void test_region_of_empty_tables_is_one_hole(void **state)
{
	const struct hs_root root = { .format = HS_PAGING_4LEVEL, .base = { TABLES } };
	struct hs_target_region region;
	struct ram ram;

	(void)state;
	ram_init(&ram, true);
	ram_add(&ram, TABLES, PAGE);
	hs_region_find(&ram.phys, &root, hs_gva_of(0xffff800000001234), &region);
	assert_false(region.mapped);
	assert_int_equal(region.start.v, 0);
	assert_int_equal(region.length, UINT64_MAX);
	ram_deinit(&ram);
}

static void test_physical_memory_ends_where_no_more_is_there(void **state)
{
	uint8_t bytes[8] = { 0 };
	struct hs_error err;
	struct ram ram;
	size_t got = 77;

	(void)state;
	ram_init(&ram, false);
	ram_add(&ram, MEMORY, PAGE);
	ram_add(&ram, MEMORY + PAGE, PAGE);
	assert_int_equal(hs_region_write_physical(&ram.phys, hs_gpa_of(MEMORY + PAGE - 4), "abcdefgh", 8, &err), HS_OK);
	assert_int_equal(hs_region_read_physical(&ram.phys, hs_gpa_of(MEMORY + PAGE - 4), bytes, 8, &got, &err), HS_OK);
	assert_int_equal(got, 8);
	assert_memory_equal(bytes, "abcdefgh", 8);
	assert_int_equal(hs_region_read_physical(&ram.phys, hs_gpa_of(MEMORY + 2 * PAGE - 3), bytes, 8, &got, &err),
			 HS_OK);
	assert_int_equal(got, 3);
	got = 77;
	assert_int_equal(hs_region_read_physical(&ram.phys, hs_gpa_of(NOTHING), bytes, 8, &got, &err),
			 HS_ERR_UNREADABLE);
	assert_int_equal(got, 77);
	assert_int_equal(hs_region_read_physical(&ram.phys, hs_gpa_of(UINT64_MAX), bytes, 8, &got, &err),
			 HS_ERR_UNREADABLE);
	ram.ops.write = NULL;
	assert_int_equal(hs_region_write_physical(&ram.phys, hs_gpa_of(MEMORY), "a", 1, &err), HS_ERR_UNSUPPORTED);
	ram_deinit(&ram);
}

static void expect_physical(struct ram *ram, uint64_t gpa, uint64_t start, uint64_t length, int prot)
{
	struct hs_target_region region;

	hs_region_of_physical(&ram->phys, hs_gpa_of(gpa), &region);
	assert_int_equal(region.start.v, start);
	assert_int_equal(region.length, length);
	assert_int_equal(region.mapped, prot != 0);
	assert_int_equal(region.prot, prot);
}

static void test_physical_region_is_memory_or_all_up_to_the_next(void **state)
{
	struct ram ram;

	(void)state;
	ram_init(&ram, false);
	expect_physical(&ram, 0, 0, UINT64_MAX, 0);
	ram_add(&ram, MEMORY, PAGE);
	ram_add(&ram, NOTHING, 2 * PAGE);
	expect_physical(&ram, 0, 0, MEMORY, 0);
	expect_physical(&ram, MEMORY, MEMORY, PAGE, HS_PROT_READ | HS_PROT_WRITE);
	expect_physical(&ram, MEMORY + PAGE, MEMORY + PAGE, NOTHING - MEMORY - PAGE, 0);
	ram.ops.write = NULL;
	expect_physical(&ram, NOTHING + PAGE + 5, NOTHING + PAGE + 5, PAGE - 5, HS_PROT_READ);
	expect_physical(&ram, NOTHING + 2 * PAGE, NOTHING + 2 * PAGE, 0 - (NOTHING + 2 * PAGE), 0);
	ram_deinit(&ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_region_is_what_the_pages_around_are),
		cmocka_unit_test(test_region_of_empty_tables_is_one_hole),
		cmocka_unit_test(test_physical_memory_ends_where_no_more_is_there),
		cmocka_unit_test(test_physical_region_is_memory_or_all_up_to_the_next),
	};

	return cmocka_run_group_tests_name("region", tests, NULL, NULL);
}
