/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/signature: which texts are signatures, which names are names, which arguments belong to a signature. */
#include "vmm/signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_signature_of_every_type_passes(void **state)
{
	static const char letters[] = "viuIUfdbsy";
	char signature[] = "v(i)";

	(void)state;
	assert_int_equal(hs_signature_check("v(iuIUfdbsy)", NULL), HS_OK);
	assert_int_equal(hs_signature_check("v()", NULL), HS_OK);
	for (size_t i = 0; i < strlen(letters); i++) {
		signature[0] = letters[i];
		assert_int_equal(hs_signature_check(signature, NULL), HS_OK);
	}
}

static void test_signature_of_sixteen_arguments_passes_and_of_seventeen_does_not(void **state)
{
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_signature_check("i(iiiiiiiiiiiiiiii)", NULL), HS_OK);
	assert_int_equal(hs_signature_check("i(iiiiiiiiiiiiiiiii)", &err), HS_ERR_INVALID);
	assert_int_equal(err.where, 18);
}

static void test_signature_that_is_none_is_refused_with_its_place(void **state)
{
	static const struct {
		const char *text;
		uint64_t where;
	} cases[] = {
		{ "", 0 },     { "x()", 0 },   { "(i)", 0 },    { "i", 1 },   { "ii", 1 },
		{ "i(", 2 },   { "i(v)", 2 },  { "i(iv)", 3 },  { "i(i", 3 }, { "i(i,i)", 3 },
		{ "i()i", 3 }, { "i(i) ", 4 }, { "i((i))", 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hs_error err = { 0 };

		assert_int_equal(hs_signature_check(cases[i].text, &err), HS_ERR_INVALID);
		assert_int_equal(err.where, cases[i].where);
		assert_non_null(strstr(err.message, "broken at character"));
	}
}

static void test_signature_takes_no_other_arguments_and_names_the_first(void **state)
{
	const struct hs_value values[] = { { .type = HS_TYPE_INT }, { .type = HS_TYPE_BYTES } };
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_signature_takes("v()", "f", NULL, 0, NULL), HS_OK);
	assert_int_equal(hs_signature_takes("v(iy)", "f", values, 2, NULL), HS_OK);
	assert_int_equal(hs_signature_takes("v(iy)", "f", values, 1, &err), HS_ERR_INVALID);
	assert_string_equal(err.message, "f() takes 2 arguments, not 1");
	assert_int_equal(hs_signature_takes("v(i)", "f", values, 2, &err), HS_ERR_INVALID);
	assert_string_equal(err.message, "f() takes 1 argument, not 2");
	assert_int_equal(hs_signature_takes("v(is)", "f", values, 2, &err), HS_ERR_INVALID);
	assert_string_equal(err.message, "argument 2 of f() is of type string, not bytes");
}

static void test_signature_gives_no_other_result(void **state)
{
	const struct hs_value nothing = { .type = HS_TYPE_VOID };
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_signature_gives("v()", "f", &nothing, NULL), HS_OK);
	assert_int_equal(hs_signature_gives("U()", "f", &nothing, &err), HS_ERR_INVALID);
	assert_string_equal(err.message, "the result of f() is of type ulong, not void");
}

static void test_name_is_printing_ascii_of_one_to_63_bytes(void **state)
{
	char longest[HS_CALL_NAME_MAX + 1];

	(void)state;
	memset(longest, 'n', sizeof(longest));
	assert_true(hs_call_name_ok(longest, HS_CALL_NAME_MAX));
	assert_false(hs_call_name_ok(longest, HS_CALL_NAME_MAX + 1));
	assert_false(hs_call_name_ok(longest, 0));
	assert_true(hs_call_name_ok("!~", 2));
	assert_false(hs_call_name_ok("a b", 3));
	assert_false(hs_call_name_ok("a\0b", 3));
	assert_false(hs_call_name_ok("a\x7f", 2));
	assert_false(hs_call_name_ok("\xc3\xa4", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signature_of_every_type_passes),
		cmocka_unit_test(test_signature_of_sixteen_arguments_passes_and_of_seventeen_does_not),
		cmocka_unit_test(test_signature_that_is_none_is_refused_with_its_place),
		cmocka_unit_test(test_signature_takes_no_other_arguments_and_names_the_first),
		cmocka_unit_test(test_signature_gives_no_other_result),
		cmocka_unit_test(test_name_is_printing_ascii_of_one_to_63_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
