/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/error: one printable line whatever goes in, the status that belongs to an errno, and NULL for who does not ask.
 */
#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_error_set_fills_every_field(void **state)
{
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_error_set(&err, HS_ERR_RANGE, ENOSPC, 0x1234, "segment %d: %s", 3, "too large"),
			 HS_ERR_RANGE);
	assert_int_equal(err.status, HS_ERR_RANGE);
	assert_int_equal(err.os_errno, ENOSPC);
	assert_int_equal(err.where, 0x1234);
	assert_string_equal(err.message, "segment 3: too large");
}

static void test_error_without_storage_still_has_its_status(void **state)
{
	(void)state;
	assert_int_equal(hs_error_set(NULL, HS_ERR_FORMAT, 0, 0, "%d", 1), HS_ERR_FORMAT);
	assert_int_equal(hs_error_os(NULL, EACCES, "x"), HS_ERR_PERMISSION);
}

/* Names come from files and guests: no escape sequence reaches a terminal, no newline makes two lines of one. */
static void test_error_message_has_no_control_characters(void **state)
{
	struct hs_error err;

	(void)state;
	(void)hs_error_set(&err, HS_ERR_FORMAT, 0, 0, "%s", "a\033[31mb\nc\x7f\t\xc3\xa9");
	assert_string_equal(err.message, "a?[31mb?c??\xc3\xa9");
}

static void test_error_long_message_is_cut_and_terminated(void **state)
{
	char text[2 * HS_ERROR_MESSAGE_MAX];
	struct hs_error err;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	(void)hs_error_set(&err, HS_ERR_FORMAT, 0, 0, "%s", text);
	assert_int_equal(strlen(err.message), HS_ERROR_MESSAGE_MAX - 1);
	(void)hs_error_os(&err, ENOENT, "%s", text);
	assert_int_equal(strlen(err.message), HS_ERROR_MESSAGE_MAX - 1);
	assert_int_equal(hs_error_prefix(&err, "front"), HS_ERR_NOT_FOUND);
	assert_int_equal(strlen(err.message), HS_ERROR_MESSAGE_MAX - 1);
	assert_memory_equal(err.message, "front: xxx", 10);
	(void)hs_error_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.message), HS_ERROR_MESSAGE_MAX - 1);
}

static void test_error_os_chooses_the_status_and_says_why(void **state)
{
	static const struct {
		int os_errno;
		enum hs_status status;
	} rows[] = {
		{ ENOENT, HS_ERR_NOT_FOUND }, { EACCES, HS_ERR_PERMISSION }, { EPERM, HS_ERR_PERMISSION },
		{ ENOMEM, HS_ERR_NOMEM },     { EADDRINUSE, HS_ERR_BUSY },   { EBUSY, HS_ERR_BUSY },
		{ EPIPE, HS_ERR_CLOSED },     { ECONNRESET, HS_ERR_CLOSED }, { ENOSPC, HS_ERR_IO },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hs_error err;

		assert_int_equal(hs_error_os(&err, rows[i].os_errno, "cannot open %s", "x"), rows[i].status);
		assert_int_equal(err.status, rows[i].status);
		assert_int_equal(err.os_errno, rows[i].os_errno);
		assert_memory_equal(err.message, "cannot open x: ", 15);
		assert_string_equal(err.message + 15, strerror(rows[i].os_errno));
	}
}

static void test_error_prefix_keeps_the_rest(void **state)
{
	struct hs_error err;

	(void)state;
	(void)hs_error_set(&err, HS_ERR_BUSY, EBUSY, 7, "in use");
	assert_int_equal(hs_error_prefix(&err, "port %d", 1234), HS_ERR_BUSY);
	assert_string_equal(err.message, "port 1234: in use");
	assert_int_equal(err.where, 7);
	assert_int_equal(err.os_errno, EBUSY);
}

static void test_status_names_are_different_and_never_null(void **state)
{
	(void)state;
	for (int i = HS_OK; i <= HS_ERR_INTERRUPTED; i++) {
		assert_string_not_equal(hs_status_name((enum hs_status)i), "unknown");
		for (int j = HS_OK; j < i; j++) {
			assert_string_not_equal(hs_status_name((enum hs_status)i), hs_status_name((enum hs_status)j));
		}
	}
	assert_string_equal(hs_status_name((enum hs_status)(HS_ERR_INTERRUPTED + 1)), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_set_fills_every_field),
		cmocka_unit_test(test_error_without_storage_still_has_its_status),
		cmocka_unit_test(test_error_message_has_no_control_characters),
		cmocka_unit_test(test_error_long_message_is_cut_and_terminated),
		cmocka_unit_test(test_error_os_chooses_the_status_and_says_why),
		cmocka_unit_test(test_error_prefix_keeps_the_rest),
		cmocka_unit_test(test_status_names_are_different_and_never_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
