/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text for terminals: what would drive one is replaced, all else stays. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void test_make_printable_replaces_controls_and_rubbish(void **state)
{
	static const struct {
		const char *text, *printable;
	} rows[] = {
		{ "", "" },
		{ "a b~\t", "a b~\t" },
		{ "\033[31m\r\n\001\177", "?[31m????" },
		{ "\xC2\x9B"
		  "31m \xC2\x80\xC2\x9F",
		  "??31m ????" },     /* CSI, and the ends of its block */
		{ "\x9B\xFF", "??" }, /* CSI of an 8-bit terminal */
		{ "\xC2\xA0\xC3\xBC\xE2\x82\xAC", "\xC2\xA0\xC3\xBC\xE2\x82\xAC" },
		{ "\xC2", "?" }, /* cut off */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[32];

		snprintf(text, sizeof(text), "%s", rows[i].text);
		hs_utf8_make_printable(text);
		assert_string_equal(text, rows[i].printable);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make_printable_replaces_controls_and_rubbish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
