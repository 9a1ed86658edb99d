/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/opts: values are taken whole or refused with the option's name; operands and what follows "--" are told apart. */
#include "cli/opts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct values {
	bool loud;
	const char *core;
	const char *gdb;
	uint64_t heap;
	uint64_t timeout;
	uint64_t level;
	int backend;
	struct hs_opt_numbers roots;
};

static const char *const backends[] = { "auto", "kvm", "soft", NULL };

static const struct hs_opt rows[] = {
	{ "loud", HS_OPT_FLAG, offsetof(struct values, loud), NULL, "be loud", NULL },
	{ "core", HS_OPT_STRING, offsetof(struct values, core), "DIR", "where cores go", NULL },
	{ "gdb", HS_OPT_ADDRESS, offsetof(struct values, gdb), "ADDR", "listen", NULL },
	{ "heap", HS_OPT_SIZE, offsetof(struct values, heap), "SIZE", "heap", NULL },
	{ "timeout", HS_OPT_SECONDS, offsetof(struct values, timeout), "S", "limit", NULL },
	{ "level", HS_OPT_NUMBER, offsetof(struct values, level), "N", "level", NULL },
	{ "backend", HS_OPT_CHOICE, offsetof(struct values, backend), "NAME", "backend", backends },
	{ "root", HS_OPT_NUMBERS, offsetof(struct values, roots), "N", "roots", NULL },
};

static const struct hs_opts opts = {
	.command = "run",
	.operands = "GUEST [-- ARGS...]",
	.summary = "Run",
	.rows = rows,
	.count = sizeof(rows) / sizeof(rows[0]),
};

#define ARGV_MAX 20

struct parsed {
	struct values values;
	struct hs_opts_rest rest;
	struct hs_error err;
	enum hs_status st;
	char *argv[ARGV_MAX];
};

/* Parse a NULL-terminated list of words as the command line of "run". */
static void parse(struct parsed *p, const char *const *words)
{
	int argc = 1;

	memset(p, 0, sizeof(*p));
	p->argv[0] = (char *)"run";
	while (words[argc - 1]) {
		assert_true(argc < ARGV_MAX - 1);
		p->argv[argc] = (char *)words[argc - 1];
		argc++;
	}
	p->st = hs_opts_parse(&opts, argc, p->argv, &p->values, &p->rest, &p->err);
}

#define PARSE(p, ...) parse((p), (const char *const[]){ __VA_ARGS__, NULL })

static void test_opts_every_kind_fills_its_field(void **state)
{
	struct parsed p;

	(void)state;
	PARSE(&p, "--loud", "--core=/tmp", "--gdb", ":1234", "--heap", "2M", "--timeout=0.25", "--level", "0x1f",
	      "--backend", "kvm", "--root", "0x10", "guest", "--root=9");
	assert_int_equal(p.st, HS_OK);
	assert_int_equal(p.values.roots.count, 2);
	assert_int_equal(p.values.roots.values[0], 0x10);
	assert_int_equal(p.values.roots.values[1], 9);
	assert_true(p.values.loud);
	assert_string_equal(p.values.core, "/tmp");
	assert_string_equal(p.values.gdb, ":1234");
	assert_int_equal(p.values.heap, 2 << 20);
	assert_int_equal(p.values.timeout, 250000000);
	assert_int_equal(p.values.level, 31);
	assert_int_equal(p.values.backend, 1);
	assert_int_equal(p.rest.operand_count, 1);
	assert_string_equal(p.rest.operands[0], "guest");
	assert_int_equal(p.rest.after_count, 0);
	assert_false(p.rest.help);
}

static void test_opts_not_given_leaves_the_default(void **state)
{
	struct parsed p;

	(void)state;
	PARSE(&p, "guest");
	assert_int_equal(p.st, HS_OK);
	assert_null(p.values.core);
	assert_int_equal(p.values.heap, 0);
}

static void test_opts_double_dash_parts_operands_from_arguments(void **state)
{
	struct parsed p;

	(void)state;
	PARSE(&p, "guest", "--loud", "--", "--heap", "x", "--");
	assert_int_equal(p.st, HS_OK);
	assert_true(p.values.loud);
	assert_int_equal(p.values.heap, 0);
	assert_int_equal(p.rest.operand_count, 1);
	assert_string_equal(p.rest.operands[0], "guest");
	assert_int_equal(p.rest.after_count, 3);
	assert_string_equal(p.rest.after[0], "--heap");
	assert_string_equal(p.rest.after[2], "--");

	PARSE(&p, "--", "guest");
	assert_int_equal(p.rest.operand_count, 0);
	assert_int_equal(p.rest.after_count, 1);
}

static void test_opts_help_wins(void **state)
{
	struct parsed p;

	(void)state;
	PARSE(&p, "--help", "--nonsense");
	assert_int_equal(p.st, HS_OK);
	assert_true(p.rest.help);
	PARSE(&p, "guest", "--", "--help");
	assert_false(p.rest.help);
}

static void expect_refused(const char *message, const char *const *words)
{
	struct parsed p;

	parse(&p, words);
	assert_int_equal(p.st, HS_ERR_INVALID);
	assert_string_equal(p.err.message, message);
}

#define REFUSED(message, ...) expect_refused(message, (const char *const[]){ __VA_ARGS__, NULL })

static void test_opts_bad_command_line_names_the_option(void **state)
{
	(void)state;
	REFUSED("unknown or ambiguous option '--nonsense'", "--nonsense", "guest");
	REFUSED("unknown or ambiguous option '--l'", "--l", "guest");
	REFUSED("unknown option '-x'", "-x", "guest");
	REFUSED("--loud takes no value", "--loud=yes");
	REFUSED("--help takes no value", "--help=yes");
	REFUSED("--heap needs a value", "guest", "--heap");
	REFUSED("--heap needs a value", "--heap", "--", "guest");
	REFUSED("--core: '' is not a value", "--core=");
	REFUSED("--heap: '2Q' is not a size above 0 (bytes, or with K, M or G)", "--heap", "2Q");
	REFUSED("--heap: '0' is not a size above 0 (bytes, or with K, M or G)", "--heap", "0");
	REFUSED("--heap: '0K' is not a size above 0 (bytes, or with K, M or G)", "--heap", "0K");
	REFUSED("--timeout: '0' is not a number of seconds above 0", "--timeout", "0");
	REFUSED("--level: '-1' is not a number", "--level", "-1");
	REFUSED("--root: 'x' is not a number", "--root", "1", "--root", "x");
	REFUSED("--backend: 'xen' is not auto, kvm or soft", "--backend", "xen");
	REFUSED("--gdb: '1234' is not an address (:PORT, HOST:PORT, unix:PATH or stdio)", "--gdb", "1234");
}

static void test_opts_size_takes_suffixes_and_refuses_the_rest(void **state)
{
	static const char *const bad[] = { "",
					   "K",
					   "1KB",
					   "1 ",
					   " 1",
					   "+1",
					   "-1",
					   "1.5M",
					   "0x10",
					   "1T",
					   "18446744073709551616",
					   "17179869184G",
					   "18014398509481984K" };
	uint64_t value = 0;

	(void)state;
	assert_true(hs_opts_size("0", &value));
	assert_int_equal(value, 0);
	assert_true(hs_opts_size("4096", &value));
	assert_int_equal(value, 4096);
	assert_true(hs_opts_size("64K", &value));
	assert_int_equal(value, 65536);
	assert_true(hs_opts_size("3g", &value));
	assert_int_equal(value, 3ull << 30);
	assert_true(hs_opts_size("17179869183G", &value));
	assert_int_equal(value, 17179869183ull << 30);
	value = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(hs_opts_size(bad[i], &value));
		assert_int_equal(value, 7);
	}
}

static void test_opts_seconds_takes_fractions_and_refuses_the_rest(void **state)
{
	static const char *const bad[] = { "",    ".",          "1.",         ".5",           "1.5s",
					   "-1",  "0",          "0.0",        "0.0000000001", "1e3",
					   "1,5", "9223372037", "18446744074" };
	uint64_t value = 0;

	(void)state;
	assert_true(hs_opts_seconds("1", &value));
	assert_int_equal(value, 1000000000);
	assert_true(hs_opts_seconds("0.000000001", &value));
	assert_int_equal(value, 1);
	assert_true(hs_opts_seconds("2.5", &value));
	assert_int_equal(value, 2500000000);
	assert_true(hs_opts_seconds("1.99999999999", &value));
	assert_int_equal(value, 1999999999);
	value = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(hs_opts_seconds(bad[i], &value));
		assert_int_equal(value, 7);
	}
}

static void test_opts_number_is_decimal_or_hexadecimal(void **state)
{
	uint64_t value = 0;

	(void)state;
	assert_true(hs_opts_number("010", &value));
	assert_int_equal(value, 10);
	assert_true(hs_opts_number("0xFFFFffffFFFFffff", &value));
	assert_true(value == UINT64_MAX);
	assert_false(hs_opts_number("0x", &value));
	assert_false(hs_opts_number("0x10000000000000000", &value));
	assert_false(hs_opts_number("10h", &value));
	assert_false(hs_opts_number("ff", &value));
}

static void test_opts_address_forms(void **state)
{
	static const char *const good[] = { ":0",         ":65535",  "localhost:1", "127.0.0.1:1234",
					    "[::1]:1234", "unix:/x", "stdio" };
	static const char *const bad[] = {
		"", ":", "host:", ":65536", ":-1", ":1x", "1234", "unix:", "/path", "stdin"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(hs_opts_address(good[i]));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(hs_opts_address(bad[i]));
	}
}

static void test_opts_help_lists_every_option(void **state)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	assert_non_null(out);
	hs_opts_help(&opts, out);
	assert_int_equal(fclose(out), 0);
	for (size_t i = 0; i < opts.count; i++) {
		assert_non_null(strstr(text, rows[i].name));
		assert_non_null(strstr(text, rows[i].help));
	}
	assert_non_null(strstr(text, "Usage: hindsight run [OPTIONS] GUEST [-- ARGS...]\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opts_every_kind_fills_its_field),
		cmocka_unit_test(test_opts_not_given_leaves_the_default),
		cmocka_unit_test(test_opts_double_dash_parts_operands_from_arguments),
		cmocka_unit_test(test_opts_help_wins),
		cmocka_unit_test(test_opts_bad_command_line_names_the_option),
		cmocka_unit_test(test_opts_size_takes_suffixes_and_refuses_the_rest),
		cmocka_unit_test(test_opts_seconds_takes_fractions_and_refuses_the_rest),
		cmocka_unit_test(test_opts_number_is_decimal_or_hexadecimal),
		cmocka_unit_test(test_opts_address_forms),
		cmocka_unit_test(test_opts_help_lists_every_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
