/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* debug/symbols/dwarf_index: which of a unit's functions an address is in. */
#include "symbols/dwarf_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint64_t die_at(const struct hs_dwarf_index *index, uint64_t address)
{
	const struct hs_dwarf_code *code = hs_dwarf_index_at(index, address);

	return code != NULL ? code->die : 0;
}

static void add(struct hs_dwarf_index *index, uint64_t start, uint64_t end, uint64_t die)
{
	assert_true(hs_dwarf_index_add(index, (struct hs_dwarf_code){ start, end, die }));
}

static void test_dwarf_index_address_is_in_the_range_that_has_it(void **state)
{
	struct hs_dwarf_index index = { 0 };

	(void)state;
	assert_null(hs_dwarf_index_at(&index, 0));
	/* Descending, with a gap of as much between two; 7 is the second range of the function at 3. */
	for (uint64_t i = 1000; i > 0; i--) {
		add(&index, i * 0x100, i * 0x100 + 0x80, i == 7 ? 3 : i);
	}
	hs_dwarf_index_sort(&index);
	for (uint64_t i = 1; i <= 1000; i++) {
		assert_int_equal(die_at(&index, i * 0x100 - 1), 0);
		assert_int_equal(die_at(&index, i * 0x100), i == 7 ? 3 : i);
		assert_int_equal(die_at(&index, i * 0x100 + 0x7f), i == 7 ? 3 : i);
		assert_int_equal(die_at(&index, i * 0x100 + 0x80), 0);
	}
	assert_int_equal(die_at(&index, UINT64_MAX), 0);
	hs_dwarf_index_deinit(&index);
	assert_null(hs_dwarf_index_at(&index, 0x100));
}

static void test_dwarf_index_of_several_ranges_the_innermost_and_the_first_die_count(void **state)
{
	struct hs_dwarf_index index = { 0 };

	(void)state;
	add(&index, 0x1000, 0x2000, 4);
	add(&index, 0x1100, 0x1200, 9);
	add(&index, 0x1100, 0x1200, 5);
	add(&index, 0x1100, 0x1180, 6);
	/* Ranges of nothing are none. */
	add(&index, 0x1150, 0x1150, 7);
	add(&index, 0x1160, 0x1100, 8);
	hs_dwarf_index_sort(&index);
	assert_int_equal(index.count, 4);
	assert_int_equal(die_at(&index, 0x1000), 4);
	assert_int_equal(die_at(&index, 0x1150), 5);
	assert_int_equal(die_at(&index, 0x11ff), 5);
	assert_int_equal(die_at(&index, 0x1200), 4);
	assert_int_equal(die_at(&index, 0x2000), 0);
	hs_dwarf_index_deinit(&index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dwarf_index_address_is_in_the_range_that_has_it),
		cmocka_unit_test(test_dwarf_index_of_several_ranges_the_innermost_and_the_first_die_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
