/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/call_text: calls as text, read and printed. */
#include "cli/call_text.h"

#include "base/buf.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The one argument of f(TEXT). Its bytes live until the next call. */
static struct hs_value value_of(const char *text)
{
	static struct hs_call_text call;
	char line[128];
	struct hs_error err;

	hs_call_text_free(&call);
	snprintf(line, sizeof(line), "f(%s)", text);
	if (hs_call_text_parse(line, &call, &err)) {
		fail_msg("%s: %s", line, err.message);
	}
	assert_int_equal(call.count, 1);
	return call.arguments[0];
}

static void assert_refused(const char *text, const char *message)
{
	struct hs_call_text call;
	struct hs_error err;

	assert_int_equal(hs_call_text_parse(text, &call, &err), HS_ERR_INVALID);
	assert_string_equal(err.message, message);
}

/* What is printed of a call that was read. */
static void assert_printed(const char *text, const char *expected)
{
	struct hs_call_text call;
	struct hs_error err;
	struct hs_buf out;

	hs_buf_init(&out, 4096);
	assert_int_equal(hs_call_text_parse(text, &call, &err), HS_OK);
	hs_call_text_print(&call, &out);
	hs_buf_append_byte(&out, 0);
	assert_string_equal((const char *)out.data, expected);
	hs_buf_deinit(&out);
	hs_call_text_free(&call);
}

static void test_call_text_integers_have_the_type_of_their_suffix(void **state)
{
	static const struct {
		const char *text;
		enum hs_type type;
		uint64_t bits;
	} rows[] = {
		{ "0", HS_TYPE_INT, 0 },
		{ "-1", HS_TYPE_INT, UINT32_MAX },
		{ "2147483647", HS_TYPE_INT, INT32_MAX },
		{ "-2147483648", HS_TYPE_INT, 0x80000000u },
		{ "0x7fffffff", HS_TYPE_INT, INT32_MAX },
		{ "-0x10", HS_TYPE_INT, 0xFFFFFFF0u },
		{ "007", HS_TYPE_INT, 7 },
		{ "0u", HS_TYPE_UINT, 0 },
		{ "4294967295U", HS_TYPE_UINT, UINT32_MAX },
		{ "0XFFu", HS_TYPE_UINT, 255 },
		{ "1L", HS_TYPE_LONG, 1 },
		{ "-1l", HS_TYPE_LONG, UINT64_MAX },
		{ "9223372036854775807L", HS_TYPE_LONG, INT64_MAX },
		{ "-9223372036854775808L", HS_TYPE_LONG, (uint64_t)1 << 63 },
		{ "18446744073709551615UL", HS_TYPE_ULONG, UINT64_MAX },
		{ "0xffffffffffffffffuL", HS_TYPE_ULONG, UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hs_value value = value_of(rows[i].text);
		bool small = value.type == HS_TYPE_INT || value.type == HS_TYPE_UINT;

		assert_int_equal(value.type, rows[i].type);
		assert_int_equal(small ? value.u : value.ul, rows[i].bits);
	}
}

static void test_call_text_numbers_too_large_for_their_type_are_refused(void **state)
{
	static const char an_int[] =
		"column 3: argument 1 of f: the number does not fit an int (-2147483648 to 2147483647; a long is 1L)";
	static const char a_uint[] =
		"column 3: argument 1 of f: the number does not fit a uint (0 to 4294967295; a ulong is 1UL)";
	static const char a_long[] = "column 3: argument 1 of f: the number does not fit a long (64 bits with a sign)";
	static const char a_ulong[] =
		"column 3: argument 1 of f: the number does not fit a ulong (64 bits without a sign)";

	(void)state;
	assert_refused("f(2147483648)", an_int);
	assert_refused("f(-2147483649)", an_int);
	assert_refused("f(0xffffffff)", an_int);
	assert_refused("f(4294967296u)", a_uint);
	assert_refused("f(-1u)", a_uint);
	assert_refused("f(9223372036854775808L)", a_long);
	assert_refused("f(-9223372036854775809L)", a_long);
	assert_refused("f(-1UL)", a_ulong);
	assert_refused("f(18446744073709551616UL)", "column 3: argument 1 of f: the number is too large for any type");
	assert_refused("f(0x10000000000000000)", "column 5: argument 1 of f: the number is too large for any type");
	assert_refused("f(1e309)", "column 3: argument 1 of f: the number does not fit a double");
	assert_refused("f(-1e39f)", "column 3: argument 1 of f: the number does not fit a float");
}

static void test_call_text_floating_numbers_are_double_unless_f_follows(void **state)
{
	struct hs_value value;

	(void)state;
	value = value_of("1.5");
	assert_int_equal(value.type, HS_TYPE_DOUBLE);
	assert_true(value.d == 1.5);
	value = value_of("-2.5e-3");
	assert_true(value.type == HS_TYPE_DOUBLE && value.d == -2.5e-3);
	value = value_of("1e9");
	assert_true(value.type == HS_TYPE_DOUBLE && value.d == 1e9);
	value = value_of("0.1f");
	assert_true(value.type == HS_TYPE_FLOAT && value.f == 0.1f);
	/* Nearer to the float above the middle of two than a double can say. */
	value = value_of("1.00000005960464477540f");
	assert_true(value.f == 0x1.000002p0f);
	value = value_of("-inf");
	assert_true(value.type == HS_TYPE_DOUBLE && isinf(value.d) && value.d < 0);
	value = value_of("nanf");
	assert_true(value.type == HS_TYPE_FLOAT && isnan(value.f));
}

static void test_call_text_strings_have_their_escapes_replaced(void **state)
{
	static const char expected[] = "a\n\t\r\"\\\x01\xff)";
	struct hs_value value = value_of("\"a\\n\\t\\r\\\"\\\\\\x01\\xfF)\"");

	(void)state;
	assert_int_equal(value.type, HS_TYPE_STRING);
	assert_int_equal(value.bytes.length, sizeof(expected) - 1);
	assert_memory_equal(value.bytes.data, expected, sizeof(expected));
	value = value_of("\"\"");
	assert_int_equal(value.bytes.length, 0);
	assert_string_equal(value.bytes.data, "");
}

static void test_call_text_bytes_are_hexadecimal(void **state)
{
	struct hs_value value = value_of("x\"00fF10\"");

	(void)state;
	assert_int_equal(value.type, HS_TYPE_BYTES);
	assert_int_equal(value.bytes.length, 3);
	assert_memory_equal(value.bytes.data, "\x00\xff\x10", 3);
	assert_int_equal(value_of("x\"\"").bytes.length, 0);
}

static void test_call_text_call_is_printed_as_it_is_read(void **state)
{
	static const char *const same[] = {
		"f()",
		"f(1, -1, 2u, 3L, -3L, 4UL)",
		"f(1.5, 1.0, 0.1, -0.0, 1e+300, 5e-324, 1.7976931348623157e+308)",
		"f(1.5f, 0.1f, 1e+30f, 3.4028235e+38f, 1e-45f)",
		"f(inf, -inf, nan, inff, -inff, nanf)",
		"f(true, false)",
		"f(\"\", \"a\\n\\t\\r\\\"\\\\\\x01\\x7f\\xff'\", x\"\", x\"00ff\")",
		"a.b::c$1()",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		assert_printed(same[i], same[i]);
	}
	assert_printed(" f ( 0x10 ,\t1U,-0 ) ", "f(16, 1u, 0)");
}

static void test_call_text_of_no_result_is_an_empty_pair(void **state)
{
	const struct hs_value nothing = { .type = HS_TYPE_VOID };
	struct hs_buf out;

	(void)state;
	hs_buf_init(&out, 16);
	hs_call_text_print_value(&nothing, &out);
	assert_int_equal(out.length, 2);
	assert_memory_equal(out.data, "()", 2);
	hs_buf_deinit(&out);
}

static void test_call_text_error_names_the_place_and_what_was_expected(void **state)
{
	static const char a_value[] = "expected a value: 1, 1u, 1L, 1UL, 1.5f, 1.5, true, \"string\" or x\"00ff\"";
	static const struct {
		const char *text;
		unsigned int column;
		const char *where, *what;
	} rows[] = {
		{ "", 1, "", "expected the name of a function" },
		{ "(1)", 1, "", "expected the name of a function" },
		{ "\x01(1)", 1, "", "expected the name of a function" },
		{ "add", 4, "add: ", "expected (" },
		{ "add 1", 5, "add: ", "expected (" },
		{ "add(", 5, "argument 1 of add: ", a_value },
		{ "add(1,)", 7, "argument 2 of add: ", a_value },
		{ "add(,1)", 5, "argument 1 of add: ", a_value },
		{ "add(-)", 5, "argument 1 of add: ", a_value },
		{ "add(TRUE)", 5, "argument 1 of add: ", a_value },
		{ "add(truex)", 5, "argument 1 of add: ", a_value },
		{ "add(.5)", 5, "argument 1 of add: ", a_value },
		{ "add(\xc3\xa9)", 5, "argument 1 of add: ", a_value },
		{ "add(1", 6, "argument 1 of add: ", "expected , or )" },
		{ "add(1 2)", 7, "argument 1 of add: ", "expected , or )" },
		{ "add(1.5L)", 8, "argument 1 of add: ", "expected , or )" },
		{ "add(1e)", 6, "argument 1 of add: ", "expected , or )" },
		{ "add(1)x", 7, "add: ", "expected nothing behind the )" },
		{ "add(1ull)", 6, "argument 1 of add: ", "expected u, L or UL behind the number, or nothing" },
		{ "add(1lu)", 6, "argument 1 of add: ", "expected u, L or UL behind the number, or nothing" },
		{ "add(0x)", 7, "argument 1 of add: ", "expected a digit" },
		{ "s(\"abc)", 3, "argument 1 of s: ", "the string does not end: expected another \"" },
		{ "s(\"abc\\\")", 3, "argument 1 of s: ", "the string does not end: expected another \"" },
		{ "s(\"abc\\", 7, "argument 1 of s: ", "expected \\n, \\t, \\r, \\\", \\\\ or \\xNN" },
		{ "s(\"\\q\")", 4, "argument 1 of s: ", "expected \\n, \\t, \\r, \\\", \\\\ or \\xNN" },
		{ "s(\"\\x1\")", 4, "argument 1 of s: ", "expected two hexadecimal digits behind \\x" },
		{ "s(\"\\x", 4, "argument 1 of s: ", "expected two hexadecimal digits behind \\x" },
		{ "s(\"\\x00\")", 4, "argument 1 of s: ", "a string has no NUL (bytes have: x\"00\")" },
		{ "s(x\"0\")", 5, "argument 1 of s: ", "expected two hexadecimal digits or \"" },
		{ "s(x\"00", 7, "argument 1 of s: ", "expected two hexadecimal digits or \"" },
		{ "f(1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17)", 42,
		  "argument 17 of f: ", "a call has up to 16 arguments" },
	};
	char message[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(message, sizeof(message), "column %u: %s%s", rows[i].column, rows[i].where, rows[i].what);
		assert_refused(rows[i].text, message);
	}
}

static void test_call_text_long_name_is_refused_beyond_its_limit(void **state)
{
	char text[HS_CALL_NAME_MAX + 4];
	struct hs_call_text call;
	struct hs_error err;

	(void)state;
	memset(text, 'n', sizeof(text));
	strcpy(text + HS_CALL_NAME_MAX, "()");
	assert_int_equal(hs_call_text_parse(text, &call, &err), HS_OK);
	assert_int_equal(strlen(call.name), HS_CALL_NAME_MAX);
	hs_call_text_free(&call);
	strcpy(text + HS_CALL_NAME_MAX, "n()");
	assert_refused(text, "column 1: the name is longer than 63 characters");
}

/* Every text that is cut short is refused, and read within its bounds (the sanitizers see to that). */
static void test_call_text_cut_anywhere_is_refused(void **state)
{
	static const char text[] = "f(\"\\x41\\n\", x\"00ff\", -0x10UL , -1.5e-3f,true)";

	(void)state;
	for (size_t length = 0; length < sizeof(text) - 1; length++) {
		char *cut = strndup(text, length);
		struct hs_call_text call;

		assert_int_equal(hs_call_text_parse(cut, &call, NULL), HS_ERR_INVALID);
		free(cut);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call_text_integers_have_the_type_of_their_suffix),
		cmocka_unit_test(test_call_text_numbers_too_large_for_their_type_are_refused),
		cmocka_unit_test(test_call_text_floating_numbers_are_double_unless_f_follows),
		cmocka_unit_test(test_call_text_strings_have_their_escapes_replaced),
		cmocka_unit_test(test_call_text_bytes_are_hexadecimal),
		cmocka_unit_test(test_call_text_call_is_printed_as_it_is_read),
		cmocka_unit_test(test_call_text_of_no_result_is_an_empty_pair),
		cmocka_unit_test(test_call_text_error_names_the_place_and_what_was_expected),
		cmocka_unit_test(test_call_text_long_name_is_refused_beyond_its_limit),
		cmocka_unit_test(test_call_text_cut_anywhere_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
