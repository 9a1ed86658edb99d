/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/dirty: pages are noted once each, until they are cleared, and then again. */
#include "vmm/dirty.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PAGES 130u /* more than two words of bits */
#define AT 0x10000u

static void note_all(struct hs_dirty *dirty)
{
	for (uint64_t page = 0; page < PAGES; page++) {
		hs_dirty_note(dirty, AT + page * HS_PAGE_SIZE + page);
	}
}

static void test_dirty_pages_are_noted_once_and_again_when_cleared(void **state)
{
	struct hs_dirty dirty;
	struct hs_ram ram;

	(void)state;
	hs_ram_init(&ram);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(AT), PAGES * HS_PAGE_SIZE, NULL, NULL), HS_OK);
	assert_int_equal(hs_dirty_init(&dirty, &ram, NULL), HS_OK);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(dirty.count, 0);
		note_all(&dirty);
		note_all(&dirty);
		assert_int_equal(dirty.count, PAGES);
		for (uint64_t page = 0; page < PAGES; page++) {
			assert_int_equal(dirty.pages[page].region, 0);
			assert_int_equal(dirty.pages[page].number, page);
		}
		hs_dirty_clear(&dirty);
	}
	hs_dirty_deinit(&dirty);
	hs_ram_deinit(&ram);
}

/* The second region is nobody's to write to; pages of the others take turns. */
static void test_dirty_pages_of_several_regions_are_each_of_theirs(void **state)
{
	static uint8_t page[HS_PAGE_SIZE] __attribute__((aligned(HS_PAGE_SIZE)));
	const struct hs_ram_source read_only = { .kind = HS_RAM_BORROWED, .host = page, .read_only = true };
	struct hs_dirty dirty;
	struct hs_ram ram;

	(void)state;
	hs_ram_init(&ram);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(AT), PAGES * HS_PAGE_SIZE, NULL, NULL), HS_OK);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(2 * AT + PAGES * HS_PAGE_SIZE), HS_PAGE_SIZE, &read_only, NULL),
			 HS_OK);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(4 * AT + PAGES * HS_PAGE_SIZE), HS_PAGE_SIZE, NULL, NULL), HS_OK);
	assert_int_equal(hs_dirty_init(&dirty, &ram, NULL), HS_OK);
	for (int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < 3; i++) {
			hs_dirty_note(&dirty, AT + i * HS_PAGE_SIZE);
			hs_dirty_note(&dirty, ram.regions[1].gpa.v);
			hs_dirty_note(&dirty, ram.regions[2].gpa.v + i);
		}
		assert_int_equal(dirty.count, 4);
		assert_int_equal(dirty.pages[0].region, 0);
		assert_int_equal(dirty.pages[1].region, 2);
		assert_int_equal(dirty.pages[1].number, 0);
		assert_int_equal(dirty.pages[3].region, 0);
		assert_int_equal(dirty.pages[3].number, 2);
		hs_dirty_clear(&dirty);
	}
	hs_dirty_deinit(&dirty);
	hs_ram_deinit(&ram);
}

static void test_dirty_note_outside_of_memory_is_none(void **state)
{
	struct hs_dirty dirty;
	struct hs_ram ram;

	(void)state;
	hs_ram_init(&ram);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(AT), PAGES * HS_PAGE_SIZE, NULL, NULL), HS_OK);
	assert_int_equal(hs_dirty_init(&dirty, &ram, NULL), HS_OK);
	hs_dirty_note(&dirty, AT - 1);
	hs_dirty_note(&dirty, AT + PAGES * HS_PAGE_SIZE);
	hs_dirty_note(&dirty, UINT64_MAX);
	assert_int_equal(dirty.count, 0);
	hs_dirty_deinit(&dirty);
	hs_ram_deinit(&ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dirty_pages_are_noted_once_and_again_when_cleared),
		cmocka_unit_test(test_dirty_pages_of_several_regions_are_each_of_theirs),
		cmocka_unit_test(test_dirty_note_outside_of_memory_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
