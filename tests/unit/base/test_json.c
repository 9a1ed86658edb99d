/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hs_json_string: what is escaped, and that the result is UTF-8 whatever comes in. */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_json_string_escapes_what_it_must(void **state)
{
	static const struct {
		const char *text, *json;
	} rows[] = {
		{ "", "\"\"" },
		{ "plain text/", "\"plain text/\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "\n\033[m\177", "\"\\u000a\\u001b[m\\u007f\"" },
		{ "\xC2\x80\xC2\x9B\xC2\x9F\xC2\xA0", "\"\\u0080\\u009b\\u009f\xC2\xA0\"" },
		{ "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x90\x9B",
		  "\"gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x90\x9B\"" },
		{ "\xFF", "\"\\ufffd\"" },
		{ "\xC3", "\"\\ufffd\"" },                                  /* cut off */
		{ "\xC0\xAF", "\"\\ufffd\\ufffd\"" },                       /* overlong */
		{ "\xED\xA0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },            /* surrogate */
		{ "\xF4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" }, /* over U+10FFFF */
		{ "\xE2\x82x", "\"\\ufffd\\ufffdx\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hs_buf buf;

		hs_buf_init(&buf, 1000);
		hs_json_string(&buf, rows[i].text);
		hs_buf_append_byte(&buf, 0);
		assert_string_equal((const char *)buf.data, rows[i].json);
		hs_buf_deinit(&buf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_string_escapes_what_it_must),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
