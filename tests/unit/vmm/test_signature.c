/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/signature: which texts are signatures, which names are names, which arguments belong to a signature. */
#include "vmm/signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_signature_of_every_type_is_read(void **state)
{
	static const char letters[] = "iuIUfdbsy";
	struct hs_signature signature;

	(void)state;
	assert_int_equal(hs_signature_parse("v(iuIUfdbsy)", &signature, NULL), HS_OK);
	assert_int_equal(signature.result, HS_TYPE_VOID);
	assert_int_equal(signature.count, strlen(letters));
	for (size_t i = 0; i < signature.count; i++) {
		assert_int_equal(signature.arguments[i], letters[i]);
	}
}

static void test_signature_without_arguments_is_read(void **state)
{
	struct hs_signature signature = { .count = 3 };

	(void)state;
	assert_int_equal(hs_signature_parse("y()", &signature, NULL), HS_OK);
	assert_int_equal(signature.result, HS_TYPE_BYTES);
	assert_int_equal(signature.count, 0);
}

static void test_signature_of_sixteen_arguments_is_read_and_of_seventeen_refused(void **state)
{
	struct hs_signature signature;
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_signature_parse("i(iiiiiiiiiiiiiiii)", &signature, NULL), HS_OK);
	assert_int_equal(signature.count, 16);
	assert_int_equal(hs_signature_parse("i(iiiiiiiiiiiiiiiii)", &signature, &err), HS_ERR_INVALID);
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
		struct hs_signature signature = { .count = 7 };
		struct hs_error err = { 0 };

		assert_int_equal(hs_signature_parse(cases[i].text, &signature, &err), HS_ERR_INVALID);
		assert_int_equal(err.where, cases[i].where);
		assert_non_null(strstr(err.message, "broken at character"));
		assert_int_equal(signature.count, 7);
	}
}

static void test_signature_check_of_other_arguments_names_the_first(void **state)
{
	const struct hs_value values[] = { { .type = HS_TYPE_INT }, { .type = HS_TYPE_BYTES } };
	struct hs_signature signature;
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_signature_parse("v(iy)", &signature, NULL), HS_OK);
	assert_int_equal(hs_signature_check(&signature, values, 2, NULL), HS_OK);
	assert_int_equal(hs_signature_check(&signature, values, 1, &err), HS_ERR_INVALID);
	assert_string_equal(err.message, "the function takes 2 arguments, not 1");
	assert_int_equal(hs_signature_parse("v(is)", &signature, NULL), HS_OK);
	assert_int_equal(hs_signature_check(&signature, values, 2, &err), HS_ERR_INVALID);
	assert_string_equal(err.message, "argument 2 is of type string and not bytes");
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
		cmocka_unit_test(test_signature_of_every_type_is_read),
		cmocka_unit_test(test_signature_without_arguments_is_read),
		cmocka_unit_test(test_signature_of_sixteen_arguments_is_read_and_of_seventeen_refused),
		cmocka_unit_test(test_signature_that_is_none_is_refused_with_its_place),
		cmocka_unit_test(test_signature_check_of_other_arguments_names_the_first),
		cmocka_unit_test(test_name_is_printing_ascii_of_one_to_63_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
