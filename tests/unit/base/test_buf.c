/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* base/buf: what is appended is there, and the bound holds whatever is appended. */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_buf_appends_of_every_kind_are_there_in_order(void **state)
{
	static const char wanted[] = "ab\0c0aff-17";
	struct hs_buf buf;

	(void)state;
	hs_buf_init(&buf, 100);
	assert_null(buf.data);
	assert_true(hs_buf_append(&buf, "", 0));
	assert_true(hs_buf_append_string(&buf, "ab"));
	assert_true(hs_buf_append(&buf, "\0c", 2));
	assert_true(hs_buf_append_hex(&buf, "\x0a\xff", 2));
	assert_true(hs_buf_append_byte(&buf, '-'));
	assert_true(hs_buf_printf(&buf, "%d", 17));
	assert_int_equal(buf.length, sizeof(wanted) - 1);
	assert_memory_equal(buf.data, wanted, buf.length);
	hs_buf_deinit(&buf);
	assert_null(buf.data);
	assert_int_equal(buf.length, 0);
}

static void test_buf_grows_to_its_limit_and_not_past_it(void **state)
{
	struct hs_buf buf;

	(void)state;
	hs_buf_init(&buf, 1000);
	for (int i = 0; i < 1000; i++) {
		assert_true(hs_buf_append_byte(&buf, (uint8_t)i));
	}
	assert_false(hs_buf_append_byte(&buf, 0));
	assert_int_equal(buf.length, 1000);
	for (size_t i = 0; i < 1000; i++) {
		assert_int_equal(buf.data[i], (uint8_t)i);
	}
	hs_buf_deinit(&buf);
}

/* After one append that did not fit, nothing is appended any more: no text with a hole in its middle. */
static void test_buf_failure_is_sticky_until_cleared(void **state)
{
	struct hs_buf buf;

	(void)state;
	hs_buf_init(&buf, 4);
	assert_true(hs_buf_append_string(&buf, "abc"));
	assert_false(hs_buf_append_string(&buf, "de"));
	assert_true(buf.failed);
	assert_false(hs_buf_append_byte(&buf, 'd'));
	assert_false(hs_buf_append(&buf, "", 0));
	assert_int_equal(buf.length, 3);
	hs_buf_clear(&buf);
	assert_false(buf.failed);
	assert_int_equal(buf.length, 0);
	assert_true(hs_buf_append_string(&buf, "wxyz"));
	hs_buf_deinit(&buf);
}

static void test_buf_lengths_that_would_wrap_are_refused(void **state)
{
	struct hs_buf buf;

	(void)state;
	hs_buf_init(&buf, SIZE_MAX);
	assert_true(hs_buf_append_byte(&buf, 'a'));
	assert_null(hs_buf_extend(&buf, SIZE_MAX));
	assert_true(buf.failed);
	hs_buf_clear(&buf);
	assert_false(hs_buf_append_hex(&buf, "x", SIZE_MAX / 2 + 1));
	assert_true(buf.failed);
	hs_buf_deinit(&buf);
}

static void test_buf_extend_gives_room_that_counts(void **state)
{
	struct hs_buf buf;
	uint8_t *room;

	(void)state;
	hs_buf_init(&buf, 200);
	assert_true(hs_buf_append_string(&buf, "ab"));
	room = hs_buf_extend(&buf, 150);
	assert_non_null(room);
	memset(room, 'x', 150);
	assert_int_equal(buf.length, 152);
	assert_memory_equal(buf.data, "abxx", 4);
	hs_buf_deinit(&buf);
}

static void test_buf_consume_drops_from_the_front(void **state)
{
	struct hs_buf buf;

	(void)state;
	hs_buf_init(&buf, 10);
	hs_buf_consume(&buf, 3);
	assert_int_equal(buf.length, 0);
	assert_true(hs_buf_append_string(&buf, "abcdef"));
	hs_buf_consume(&buf, 0);
	hs_buf_consume(&buf, 4);
	assert_int_equal(buf.length, 2);
	assert_memory_equal(buf.data, "ef", 2);
	hs_buf_consume(&buf, 100);
	assert_int_equal(buf.length, 0);
	hs_buf_deinit(&buf);
}

/* vsnprintf needs room for a NUL that is not part of the buffer: text as long as the limit does not fit. */
static void test_buf_printf_needs_room_for_its_nul(void **state)
{
	struct hs_buf buf;

	(void)state;
	hs_buf_init(&buf, 4);
	assert_true(hs_buf_printf(&buf, "%s", "abc"));
	assert_int_equal(buf.length, 3);
	assert_false(hs_buf_printf(&buf, "%s", "d"));
	assert_int_equal(buf.length, 3);
	hs_buf_deinit(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf_appends_of_every_kind_are_there_in_order),
		cmocka_unit_test(test_buf_grows_to_its_limit_and_not_past_it),
		cmocka_unit_test(test_buf_failure_is_sticky_until_cleared),
		cmocka_unit_test(test_buf_lengths_that_would_wrap_are_refused),
		cmocka_unit_test(test_buf_extend_gives_room_that_counts),
		cmocka_unit_test(test_buf_consume_drops_from_the_front),
		cmocka_unit_test(test_buf_printf_needs_room_for_its_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
