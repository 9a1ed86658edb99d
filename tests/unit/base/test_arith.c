/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* base/arith, base/bytes: every edge at which 64 bits run out, and byte order at odd addresses. */
#include "base/arith.h"
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_add_and_mul_say_when_they_overflow(void **state)
{
	uint64_t value = 0;

	(void)state;
	assert_true(hs_add_u64(UINT64_MAX - 1, 1, &value));
	assert_int_equal(value, UINT64_MAX);
	assert_false(hs_add_u64(UINT64_MAX, 1, &value));
	assert_true(hs_mul_u64(UINT64_C(1) << 32, UINT32_MAX, &value));
	assert_int_equal(value, UINT64_C(0xffffffff00000000));
	assert_false(hs_mul_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &value));
}

static void test_align_rounds_to_the_multiple_and_not_past_the_end(void **state)
{
	uint64_t value = 0;

	(void)state;
	assert_int_equal(hs_align_down(0x1fff, 0x1000), 0x1000);
	assert_int_equal(hs_align_down(0x1000, 0x1000), 0x1000);
	assert_true(hs_align_up(0, 0x1000, &value));
	assert_int_equal(value, 0);
	assert_true(hs_align_up(0x1001, 0x1000, &value));
	assert_int_equal(value, 0x2000);
	assert_true(hs_align_up(UINT64_C(0xfffffffffffff000), 0x1000, &value));
	assert_int_equal(value, UINT64_C(0xfffffffffffff000));
	assert_false(hs_align_up(UINT64_C(0xfffffffffffff001), 0x1000, &value));
}

static void test_range_within_takes_the_whole_and_refuses_what_wraps(void **state)
{
	(void)state;
	assert_true(hs_range_within(0, 16, 16));
	assert_true(hs_range_within(16, 0, 16));
	assert_false(hs_range_within(1, 16, 16));
	assert_false(hs_range_within(17, 0, 16));
	assert_false(hs_range_within(UINT64_MAX, 2, 16));
	assert_false(hs_range_within(8, UINT64_MAX - 7, 16));
	assert_true(hs_range_within(0, UINT64_MAX, UINT64_MAX));
}

static void test_ranges_overlap_to_the_byte_and_up_to_the_last_one(void **state)
{
	(void)state;
	assert_false(hs_ranges_overlap(0, 16, 16, 16));
	assert_true(hs_ranges_overlap(0, 17, 16, 16));
	assert_true(hs_ranges_overlap(16, 16, 0, 17));
	assert_true(hs_ranges_overlap(0, 100, 40, 1));
	assert_false(hs_ranges_overlap(0, 0, 0, 16));
	assert_false(hs_ranges_overlap(4, 0, 0, 16));
	/* Both end at 2^64. */
	assert_true(hs_ranges_overlap(UINT64_MAX - 15, 16, UINT64_MAX, 1));
	assert_false(hs_ranges_overlap(0, 1, UINT64_MAX, 1));
}

static void test_bytes_are_little_endian_at_any_address(void **state)
{
	uint8_t bytes[9] = { 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee };
	static const uint8_t wanted[9] = { 0xee, 0xf8, 0xf7, 0xf6, 0xf5, 0xf4, 0xf3, 0xf2, 0xf1 };

	(void)state;
	hs_put_le64(bytes + 1, UINT64_C(0xf1f2f3f4f5f6f7f8));
	assert_memory_equal(bytes, wanted, sizeof(wanted));
	assert_int_equal(hs_get_le16(bytes + 1), 0xf7f8);
	assert_int_equal(hs_get_le32(bytes + 1), 0xf5f6f7f8);
	assert_int_equal(hs_get_le64(bytes + 1), UINT64_C(0xf1f2f3f4f5f6f7f8));
}

static void test_bytes_of_every_size_touch_only_their_own(void **state)
{
	(void)state;
	for (unsigned int size = 1; size <= 8; size++) {
		uint64_t mask = size == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * size)) - 1;
		uint8_t bytes[10];

		memset(bytes, 0xee, sizeof(bytes));
		hs_put_le(bytes + 1, UINT64_C(0x8182838485868788), size);
		assert_int_equal(hs_get_le(bytes + 1, size), UINT64_C(0x8182838485868788) & mask);
		assert_int_equal(bytes[0], 0xee);
		assert_int_equal(bytes[1 + size], 0xee);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_and_mul_say_when_they_overflow),
		cmocka_unit_test(test_align_rounds_to_the_multiple_and_not_past_the_end),
		cmocka_unit_test(test_range_within_takes_the_whole_and_refuses_what_wraps),
		cmocka_unit_test(test_ranges_overlap_to_the_byte_and_up_to_the_last_one),
		cmocka_unit_test(test_bytes_are_little_endian_at_any_address),
		cmocka_unit_test(test_bytes_of_every_size_touch_only_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
