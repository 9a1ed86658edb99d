/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The printf of agent bytecode: what it renders, what it refuses, and its bounds. */
#include "agent_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* printf of some values, the last one pushed first, then function and channel, as gdb does. */
static struct hs_span printf_program(struct bench *bench, const char *format, const uint64_t *values, size_t count)
{
	uint8_t *to = bench->program;
	size_t length = strlen(format) + 1;

	for (size_t i = count; i > 0; i--) {
		*to++ = HS_AGENT_CONST64;
		for (unsigned int j = 0; j < 8; j++) {
			*to++ = (uint8_t)(values[i - 1] >> (56 - 8 * j));
		}
	}
	memcpy(to, "\x22\x00\x22\x00\x34", 5);
	to[5] = (uint8_t)count;
	to[6] = (uint8_t)(length >> 8);
	to[7] = (uint8_t)length;
	memcpy(to + 8, format, length);
	to += 8 + length;
	*to++ = HS_AGENT_END;
	bench->length = (size_t)(to - bench->program);
	return (struct hs_span){ .data = bench->program, .length = bench->length };
}

static void prints(struct bench *bench, const char *format, uint64_t value, const char *text)
{
	bool takes = strstr(format, "%") && !strstr(format, "%%");
	struct hs_span program = printf_program(bench, format, &value, takes ? 1 : 0);
	uint64_t left = 0;

	hs_buf_clear(&bench->text);
	if (hs_agent_verify(program, HS_AGENT_COMMAND, &bench->cpu, &bench->err) || bench_run(bench, program, &left)) {
		fail_msg("%s: %s", format, bench->err.message);
	}
	hs_buf_append_byte(&bench->text, 0);
	if (strcmp((const char *)bench->text.data, text) != 0) {
		fail_msg("%s: '%s'", format, (const char *)bench->text.data);
	}
}

static void test_printf_renders_as_c_does(void **state)
{
	struct bench *bench = *state;
	static const char *const formats[] = {
		"%d", "%5d", "%-5d|", "%05d", "%+d", "% d", "%.3d", "%8.3d", "%-8.3d|", "%+08d", "%i",    "%u",
		"%o", "%#o", "%x",    "%#x",  "%X",  "%#X", "%08x", "%#8x",  "%#08x",   "%.0d",  "%#.0o", "%x%%",
	};
	static const uint32_t values[] = { 0, 1, 42, 0xffffffff, 0x80000000, 123456 };

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
			struct hs_span program;
			uint64_t value = values[j];
			char expected[64];
			uint64_t left;

			/* The C library's own is the oracle; its formats are the constants above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(expected, sizeof(expected), formats[i], values[j]);
#pragma GCC diagnostic pop
			program = printf_program(bench, formats[i], &value, 1);
			hs_buf_clear(&bench->text);
			assert_int_equal(hs_agent_verify(program, HS_AGENT_COMMAND, &bench->cpu, NULL), HS_OK);
			assert_int_equal(bench_run(bench, program, &left), HS_OK);
			hs_buf_append_byte(&bench->text, 0);
			assert_string_equal((const char *)bench->text.data, expected);
		}
	}
	prints(bench, "%hhd", 0x1ff, "-1");
	prints(bench, "%hu", 0x12345, "9029");
	prints(bench, "%ld", (uint64_t)-5, "-5");
	prints(bench, "%lld", (uint64_t)-5, "-5");
	prints(bench, "%jd", 0x8000000000000000, "-9223372036854775808");
	prints(bench, "%zx", 0xfedcba9876543210, "fedcba9876543210");
	prints(bench, "%llo", ~0ull, "1777777777777777777777");
	prints(bench, "%p", 0x401000, "0x401000");
	prints(bench, "%8p", 0, "   (nil)");
	prints(bench, "[%c]", 'A', "[A]");
	prints(bench, "[%3c]", 'A', "[  A]");
	prints(bench, "[%s]", DATA + 0x20, "[lamp]");
	prints(bench, "[%6s]", DATA + 0x20, "[  lamp]");
	prints(bench, "[%-6s]", DATA + 0x20, "[lamp  ]");
	prints(bench, "[%.2s]", DATA + 0x20, "[la]");
	/* A string that ends with its page, one that its precision ends, and an empty one. */
	prints(bench, "%s", DATA + DATA_BYTES - 4, "end");
	prints(bench, "%.2s", DATA + DATA_BYTES - 2, "d");
	prints(bench, "[%.0s]", 0, "[]");
	prints(bench, "a\\tb\\n\\\\ \\\"\\101\\e[", 0, "a\tb\n\\ \"A\033[");
	prints(bench, "100%%", 0, "100%");
}

static void test_printf_on_i686_takes_longs_of_32_bits(void **state)
{
	struct bench *bench = *state;

	prints(bench, "%ld", 0x1ffffffff, "-1");
	prints(bench, "%lx", 0x1fffffffe, "fffffffe");
	prints(bench, "%p", 0x123456789, "0x23456789");
	prints(bench, "%lld", 0x1ffffffff, "8589934591");
}

static void test_printf_values_come_in_order(void **state)
{
	struct bench *bench = *state;
	static const uint64_t values[] = { 1, 2, 3 };
	struct hs_span program = printf_program(bench, "%d %d %d", values, 3);
	uint64_t left;

	assert_int_equal(hs_agent_verify(program, HS_AGENT_COMMAND, &bench->cpu, &bench->err), HS_OK);
	assert_int_equal(bench_run(bench, program, &left), HS_OK);
	assert_memory_equal(bench->text.data, "1 2 3", 5);
}

static void test_printf_formats_that_could_do_harm_are_refused(void **state)
{
	static const char *const formats[] = { "%n",      "%*d",      "%.*d", "%f", "%ls", "%lc", "%hn",  "%",   "%-",
					       "%99999d", "%.99999d", "%l",   "%k", "a\\", "\\q", "%d%d", "none" };
	struct bench *bench = *state;
	static const uint64_t value = 1;

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct hs_span program = printf_program(bench, formats[i], &value, 1);

		if (hs_agent_verify(program, HS_AGENT_COMMAND, &bench->cpu, &bench->err) != HS_ERR_FORMAT ||
		    !strstr(bench->err.message, "agent printf")) {
			fail_msg("%s: accepted or called something else", formats[i]);
		}
	}
}

static void test_printf_is_a_commands_and_its_bytes_are_checked(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(bench_verify(bench, "220022003400000361620027", HS_AGENT_COMMAND), HS_OK);
	assert_int_equal(bench_verify(bench, "2201220022003400000361620027", HS_AGENT_CONDITION), HS_ERR_FORMAT);
	assert_non_null(strstr(bench->err.message, "a condition prints nothing"));
	/* Without its NUL, of no bytes, longer than the program, its length cut off, and values that are not there. */
	assert_int_equal(bench_verify(bench, "220022003400000261620027", HS_AGENT_COMMAND), HS_ERR_FORMAT);
	assert_int_equal(bench_verify(bench, "220022003400000027", HS_AGENT_COMMAND), HS_ERR_FORMAT);
	assert_int_equal(bench_verify(bench, "220022003400ffff610027", HS_AGENT_COMMAND), HS_ERR_FORMAT);
	assert_int_equal(bench_verify(bench, "22002200340000", HS_AGENT_COMMAND), HS_ERR_FORMAT);
	assert_int_equal(bench_verify(bench, "220022003401000325640027", HS_AGENT_COMMAND), HS_ERR_FORMAT);
	assert_non_null(strstr(bench->err.message, "takes more"));
}

static void test_printf_text_and_work_are_bounded(void **state)
{
	struct bench *bench = *state;
	static const uint64_t values[] = { 7, DATA + 0x30 };
	struct hs_span program = printf_program(bench, "%4096d", values, 1);
	uint64_t left;

	/* The same for ever: the text runs out of room first. */
	bench->program[bench->length - 1] = HS_AGENT_GOTO;
	bench->program[bench->length] = 0;
	bench->program[bench->length + 1] = 0;
	program.length = bench->length + 2;
	assert_int_equal(hs_agent_verify(program, HS_AGENT_COMMAND, &bench->cpu, &bench->err), HS_OK);
	assert_int_equal(bench_run(bench, program, &left), HS_ERR_NOMEM);
	assert_non_null(strstr(bench->err.message, "too long"));
	assert_true(bench->text.length <= bench->text.limit);
	/* Empty strings never fill it: the steps do. */
	hs_buf_clear(&bench->text);
	program = printf_program(bench, "%s", values + 1, 1);
	bench->program[bench->length - 1] = HS_AGENT_GOTO;
	bench->program[bench->length] = 0;
	bench->program[bench->length + 1] = 0;
	program.length = bench->length + 2;
	assert_int_equal(bench_run(bench, program, &left), HS_ERR_BUDGET);
	assert_int_equal(bench->text.length, 0);
}

static void test_printf_of_what_is_not_there_fails_behind_what_was_printed(void **state)
{
	struct bench *bench = *state;
	static const uint64_t nowhere = 8;
	struct hs_span program = printf_program(bench, "name %s", &nowhere, 1);
	uint64_t left;

	assert_int_equal(hs_agent_verify(program, HS_AGENT_COMMAND, &bench->cpu, &bench->err), HS_OK);
	assert_int_equal(bench_run(bench, program, &left), HS_ERR_UNREADABLE);
	assert_non_null(strstr(bench->err.message, "nothing is readable at 0x8"));
	assert_int_equal(bench->text.length, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_CASE(test_printf_renders_as_c_does),
		BENCH_CASE_I686(test_printf_on_i686_takes_longs_of_32_bits),
		BENCH_CASE(test_printf_values_come_in_order),
		BENCH_CASE(test_printf_formats_that_could_do_harm_are_refused),
		BENCH_CASE(test_printf_is_a_commands_and_its_bytes_are_checked),
		BENCH_CASE(test_printf_text_and_work_are_bounded),
		BENCH_CASE(test_printf_of_what_is_not_there_fails_behind_what_was_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
