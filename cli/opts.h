/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Command-line options as data: one table a command feeds the parser and --help, so neither can say
 * what the other does not do. Parsing is strict: a value is used whole or refused with the name of its option.
 *
 * In: argv and a table. Out: a struct of the command's own with one field a row. Prints only help, and only when told.
 */
#ifndef HS_CLI_OPTS_H
#define HS_CLI_OPTS_H

#include <hindsight/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** What an option's value is, and the type of the field that receives it. */
enum hs_opt_kind {
	HS_OPT_FLAG,    /**< bool: no value, true when given */
	HS_OPT_STRING,  /**< const char *: any text but the empty one, borrowed from argv */
	HS_OPT_ADDRESS, /**< const char *: :PORT, HOST:PORT, unix:PATH or stdio, checked and borrowed from argv */
	HS_OPT_SIZE,    /**< uint64_t: bytes, with an optional K, M or G (powers of 1024) */
	HS_OPT_SECONDS, /**< uint64_t: a duration in nanoseconds, given in seconds with an optional fraction; not 0 */
	HS_OPT_NUMBER,  /**< uint64_t: decimal, or hexadecimal after 0x */
	HS_OPT_CHOICE,  /**< int: the index of the word in choices */
	HS_OPT_NUMBERS, /**< struct hs_opt_numbers: a number each time the option is given */
	HS_OPT_STRINGS, /**< struct hs_opt_strings: a text each time the option is given */
};

/** Most values of an option that may be given several times. */
#define HS_OPT_VALUES_MAX 64u

/** The values of such an option, in the order in which they were given. */
struct hs_opt_numbers {
	uint64_t values[HS_OPT_VALUES_MAX];
	size_t count;
};

struct hs_opt_strings {
	const char *values[HS_OPT_VALUES_MAX]; /**< borrowed from argv */
	size_t count;
};

/** One option. */
struct hs_opt {
	const char *name; /**< without the dashes */
	enum hs_opt_kind kind;
	size_t offset;              /**< of the field in the command's struct */
	const char *value;          /**< what help calls the value, NULL for a flag */
	const char *help;           /**< one line without a full stop */
	const char *const *choices; /**< for HS_OPT_CHOICE: words, NULL-terminated */
};

/** The command line of one command. --help is understood by every command and has no row. */
struct hs_opts {
	const char *command;  /**< "run", or "core info" */
	const char *operands; /**< as help shows them: "GUEST [-- ARGS...]" */
	const char *summary;  /**< one sentence without a full stop */
	const char *epilogue; /**< further text of --help, whole lines, or NULL */
	const struct hs_opt *rows;
	size_t count;
};

/** What is left of argv after the options. Borrowed from argv. */
struct hs_opts_rest {
	char **operands; /**< before "--" */
	size_t operand_count;
	char **after; /**< behind "--" */
	size_t after_count;
	bool help; /**< --help was given: nothing else was checked or filled */
};

/**
 * Parse argv (argv[0] is skipped). Options and operands may be mixed; "--" ends both.
 *
 * HS_OK: fields of the given options are filled, the others keep what they had. HS_ERR_INVALID: err says which option
 * and why; values may be partly filled.
 *
 * @param values  the command's struct, with its defaults
 * @param ret     untouched on failure
 */
HS_MUST_CHECK enum hs_status hs_opts_parse(const struct hs_opts *opts, int argc, char **argv, void *values,
					   struct hs_opts_rest *ret, struct hs_error *err);

/**
 * Check that there are exactly count operands before "--".
 *
 * @param names  what is missing when there are too few: "GUEST"
 */
HS_MUST_CHECK enum hs_status hs_opts_operands(const struct hs_opts_rest *rest, size_t count, const char *names,
					      struct hs_error *err);

/** Write the help text. */
void hs_opts_help(const struct hs_opts *opts, FILE *out);

/** Parse one value; the whole text must be one. False: *ret is untouched. */
bool hs_opts_size(const char *text, uint64_t *ret);
bool hs_opts_seconds(const char *text, uint64_t *ret_ns);
bool hs_opts_number(const char *text, uint64_t *ret);
/** True when text is an address to listen on. A host is not looked up here. */
bool hs_opts_address(const char *text);

#endif
