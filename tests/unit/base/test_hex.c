/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* base/hex: digits in both directions, and every way in which text is not a number. */
#include "base/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_hex_encode_then_decode_gives_the_bytes_back(void **state)
{
	uint8_t bytes[256];
	uint8_t back[256];
	char text[512];

	(void)state;
	for (int i = 0; i < 256; i++) {
		bytes[i] = (uint8_t)i;
	}
	hs_hex_encode(bytes, sizeof(bytes), text);
	assert_memory_equal(text, "000102", 6);
	assert_memory_equal(text + 510, "ff", 2);
	assert_true(hs_hex_decode(text, sizeof(back), back));
	assert_memory_equal(bytes, back, sizeof(bytes));
}

static void test_hex_encode_writes_as_much_as_it_was_told(void **state)
{
	uint8_t bytes[100] = { 0 };

	(void)state;
	for (size_t length = 0; length <= sizeof(bytes); length++) {
		char text[2 * sizeof(bytes) + 1];

		memset(text, '-', sizeof(text));
		for (size_t i = 0; i < length; i++) {
			bytes[i] = (uint8_t)(i * 37 + length);
		}
		hs_hex_encode(bytes, length, text);
		for (size_t i = 0; i < length; i++) {
			char digits[3];

			snprintf(digits, sizeof(digits), "%02x", bytes[i]);
			assert_memory_equal(text + 2 * i, digits, 2);
		}
		assert_int_equal(text[2 * length], '-');
	}
}

static void test_hex_encode_both_ways_of_any_length_and_alignment_agree(void **state)
{
	uint8_t bytes[200];
	char text[2 * sizeof(bytes)];
	char plain[2 * sizeof(bytes)];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (uint8_t)(i * 73 + 11);
	}
	for (size_t from = 0; from < 40; from++) {
		for (size_t length = 0; length <= sizeof(bytes) - from; length++) {
			memset(text, '-', sizeof(text));
			memset(plain, '-', sizeof(plain));
			hs_hex_encode(bytes + from, length, text);
			hs_hex_encode_plain(bytes + from, length, plain);
			assert_memory_equal(text, plain, sizeof(text));
		}
	}
}

static void test_hex_decode_bad_digit_is_refused(void **state)
{
	uint8_t bytes[2];

	(void)state;
	assert_false(hs_hex_decode("0g12", 2, bytes));
	assert_false(hs_hex_decode("01:2", 2, bytes));
	assert_false(hs_hex_decode("01 2", 2, bytes));
}

static void test_hex_parse_stops_at_the_end_and_at_17_digits(void **state)
{
	const char *text = "12345678aBcDeF01,4";
	const char *at = text;
	uint64_t value = 7;

	(void)state;
	assert_true(hs_hex_parse_u64(&at, text + 18, &value));
	assert_int_equal(value, 0x12345678abcdef01);
	assert_int_equal(*at, ',');
	at = text;
	assert_true(hs_hex_parse_u64(&at, text + 2, &value));
	assert_int_equal(value, 0x12);
	at = "1ffffffffffffffff";
	assert_false(hs_hex_parse_u64(&at, at + 17, &value));
	assert_int_equal(value, 0x12);
	at = text;
	assert_false(hs_hex_parse_u64(&at, text, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hex_encode_then_decode_gives_the_bytes_back),
		cmocka_unit_test(test_hex_encode_writes_as_much_as_it_was_told),
		cmocka_unit_test(test_hex_encode_both_ways_of_any_length_and_alignment_agree),
		cmocka_unit_test(test_hex_decode_bad_digit_is_refused),
		cmocka_unit_test(test_hex_parse_stops_at_the_end_and_at_17_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
