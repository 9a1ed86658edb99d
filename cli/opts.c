/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/opts.h"

#include "base/arith.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hex.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

/* Most options that one command has, --help included, and the first value of getopt_long() that stands for a row. */
#define ROWS_MAX 64
#define ROW_VALUE 256
#define HELP_VALUE (ROW_VALUE + ROWS_MAX)

/* Digits of the base (10 or 16) at *text; at least one. Moves *text behind them. */
static bool parse_digits(const char **text, unsigned int base, uint64_t *ret)
{
	const char *at = *text;
	uint64_t value = 0;

	for (;; at++) {
		int digit = hs_hex_digit(*at);

		if (digit < 0 || (unsigned int)digit >= base) {
			break;
		}
		if (!hs_mul_u64(value, base, &value) || !hs_add_u64(value, (uint64_t)digit, &value)) {
			return false;
		}
	}
	if (at == *text) {
		return false;
	}
	*text = at;
	*ret = value;
	return true;
}

bool hs_opts_number(const char *text, uint64_t *ret)
{
	unsigned int base = 10;
	uint64_t value;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		text += 2;
		base = 16;
	}
	if (!parse_digits(&text, base, &value) || *text != '\0') {
		return false;
	}
	*ret = value;
	return true;
}

bool hs_opts_size(const char *text, uint64_t *ret)
{
	static const char letters[] = "kKmMgG";
	const char *letter;
	uint64_t value;
	unsigned int shift = 0;

	if (!parse_digits(&text, 10, &value)) {
		return false;
	}
	if (*text != '\0') {
		letter = strchr(letters, *text++);
		if (!letter || *text != '\0') {
			return false;
		}
		shift = 10 * (unsigned int)((letter - letters) / 2 + 1);
	}
	if (!hs_mul_u64(value, (uint64_t)1 << shift, &value)) {
		return false;
	}
	*ret = value;
	return true;
}

static bool size_above_zero(const char *text, uint64_t *ret)
{
	uint64_t value;

	if (!hs_opts_size(text, &value) || value == 0) {
		return false;
	}
	*ret = value;
	return true;
}

bool hs_opts_seconds(const char *text, uint64_t *ret_ns)
{
	uint64_t unit = HS_NS_PER_SECOND;
	uint64_t value;

	if (!parse_digits(&text, 10, &value) || !hs_mul_u64(value, HS_NS_PER_SECOND, &value)) {
		return false;
	}
	if (*text == '.') {
		for (text++; *text >= '0' && *text <= '9'; text++) {
			unit /= 10;
			/* Digits below a nanosecond are checked for being digits and otherwise dropped. */
			if (!hs_add_u64(value, (uint64_t)(*text - '0') * unit, &value)) {
				return false;
			}
		}
		if (text[-1] == '.') {
			return false;
		}
	}
	/* A timerfd takes a signed count of seconds: keep well inside. */
	if (*text != '\0' || value == 0 || value > INT64_MAX) {
		return false;
	}
	*ret_ns = value;
	return true;
}

static bool is_port(const char *text)
{
	uint64_t port;

	return parse_digits(&text, 10, &port) && *text == '\0' && port <= UINT16_MAX;
}

bool hs_opts_address(const char *text)
{
	const char *colon;

	if (strcmp(text, "stdio") == 0) {
		return true;
	}
	if (strncmp(text, "unix:", 5) == 0) {
		return text[5] != '\0';
	}
	/* The last colon, because an IPv6 host ("[::1]:1234") has some of its own. */
	colon = strrchr(text, ':');
	return colon && is_port(colon + 1);
}

static enum hs_status bad_value(const struct hs_opt *row, const char *text, const char *want, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--%s: '%s' is not %s", row->name, text, want);
}

/* What a number is called that is not one, or one too large. */
static const char *wanted_number(const char *text)
{
	return text[0] && strspn(text, "0123456789") == strlen(text) ? "a number of 64 bits" : "a number";
}

static enum hs_status store_choice(const struct hs_opt *row, const char *text, int *field, struct hs_error *err)
{
	char words[128] = "";

	for (int i = 0; row->choices[i]; i++) {
		if (strcmp(row->choices[i], text) == 0) {
			*field = i;
			return HS_OK;
		}
		snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s",
			 i == 0                ? ""
			 : row->choices[i + 1] ? ", "
					       : " or ",
			 row->choices[i]);
	}
	return bad_value(row, text, words, err);
}

static enum hs_status check_room(const struct hs_opt *row, size_t count, struct hs_error *err)
{
	return count < HS_OPT_VALUES_MAX ? HS_OK
					 : hs_error_set(err, HS_ERR_INVALID, 0, 0, "--%s: given more than %u times",
							row->name, HS_OPT_VALUES_MAX);
}

static enum hs_status store_string(const struct hs_opt *row, const char *text, struct hs_opt_strings *field,
				   struct hs_error *err)
{
	enum hs_status st = check_room(row, field->count, err);

	if (st) {
		return st;
	}
	if (*text == '\0') {
		return bad_value(row, text, "a value", err);
	}
	field->values[field->count] = text;
	field->count++;
	return HS_OK;
}

static enum hs_status store_further(const struct hs_opt *row, const char *text, struct hs_opt_numbers *field,
				    struct hs_error *err)
{
	enum hs_status st = check_room(row, field->count, err);

	if (st) {
		return st;
	}
	if (!hs_opts_number(text, &field->values[field->count])) {
		return bad_value(row, text, wanted_number(text), err);
	}
	field->count++;
	return HS_OK;
}

static enum hs_status store(const struct hs_opt *row, const char *text, void *values, struct hs_error *err)
{
	void *field = (char *)values + row->offset;

	switch (row->kind) {
	case HS_OPT_FLAG:
		*(bool *)field = true;
		return HS_OK;
	case HS_OPT_STRING:
		if (*text == '\0') {
			return bad_value(row, text, "a value", err);
		}
		*(const char **)field = text;
		return HS_OK;
	case HS_OPT_ADDRESS:
		if (!hs_opts_address(text)) {
			return bad_value(row, text, "an address (:PORT, HOST:PORT, unix:PATH or stdio)", err);
		}
		*(const char **)field = text;
		return HS_OK;
	case HS_OPT_SIZE:
		/* 0 would stand for the default further down. */
		return size_above_zero(text, field)
			       ? HS_OK
			       : bad_value(row, text, "a size above 0 (bytes, or with K, M or G)", err);
	case HS_OPT_SECONDS:
		return hs_opts_seconds(text, field) ? HS_OK : bad_value(row, text, "a number of seconds above 0", err);
	case HS_OPT_NUMBER:
		return hs_opts_number(text, field) ? HS_OK : bad_value(row, text, wanted_number(text), err);
	case HS_OPT_CHOICE:
		return store_choice(row, text, field, err);
	case HS_OPT_NUMBERS:
		return store_further(row, text, field, err);
	case HS_OPT_STRINGS:
		return store_string(row, text, field, err);
	}
	return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--%s: option of no kind", row->name);
}

/* getopt_long() has refused the word at optind - 1; optopt holds the row where it knew one. */
static enum hs_status refuse(const struct hs_opts *opts, int returned, char **argv, struct hs_error *err)
{
	const char *name = NULL;

	if (optopt == HELP_VALUE) {
		name = "help";
	} else if (optopt >= ROW_VALUE) {
		name = opts->rows[optopt - ROW_VALUE].name;
	}
	if (returned == ':' && name) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--%s needs a value", name);
	}
	if (name) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--%s takes no value", name);
	}
	if (optopt != 0) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "unknown option '-%c'", optopt);
	}
	return hs_error_set(err, HS_ERR_INVALID, 0, 0, "unknown or ambiguous option '%s'", argv[optind - 1]);
}

static void fill_longs(const struct hs_opts *opts, struct option *longs)
{
	for (size_t i = 0; i < opts->count; i++) {
		longs[i] = (struct option){
			.name = opts->rows[i].name,
			.has_arg = opts->rows[i].kind == HS_OPT_FLAG ? no_argument : required_argument,
			.val = ROW_VALUE + (int)i,
		};
	}
	longs[opts->count] = (struct option){ .name = "help", .has_arg = no_argument, .val = HELP_VALUE };
	longs[opts->count + 1] = (struct option){ 0 };
}

static int find_end_of_options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			return i;
		}
	}
	return argc;
}

enum hs_status hs_opts_parse(const struct hs_opts *opts, int argc, char **argv, void *values, struct hs_opts_rest *ret,
			     struct hs_error *err)
{
	/*
	 * "--" is found here and hidden from getopt_long(), which would not say what stood before it and what behind.
	 */
	int end = find_end_of_options(argc, argv);
	struct option longs[ROWS_MAX + 1];
	enum hs_status st;
	int value;

	if (opts->count >= ROWS_MAX) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "%s: too many options in the table", opts->command);
	}
	fill_longs(opts, longs);
	optind = 0; /* glibc: start afresh (getopt(3), NOTES) */
	opterr = 0;
	while ((value = getopt_long(end, argv, ":", longs, NULL)) != -1) {
		if (value == HELP_VALUE) {
			*ret = (struct hs_opts_rest){ .help = true };
			return HS_OK;
		}
		if (value < ROW_VALUE) {
			return refuse(opts, value, argv, err);
		}
		st = store(&opts->rows[value - ROW_VALUE], optarg, values, err);
		if (st) {
			return st;
		}
	}
	*ret = (struct hs_opts_rest){
		.operands = argv + optind,
		.operand_count = (size_t)(end - optind),
		.after = argv + (end < argc ? end + 1 : argc),
		.after_count = end < argc ? (size_t)(argc - end - 1) : 0,
	};
	return HS_OK;
}

enum hs_status hs_opts_operands(const struct hs_opts_rest *rest, size_t count, const char *names, struct hs_error *err)
{
	if (rest->operand_count < count) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "%s is missing", names);
	}
	if (rest->operand_count > count) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "'%s' is one word too many", rest->operands[count]);
	}
	return HS_OK;
}

static void help_row(const char *name, const char *value, const char *help, FILE *out)
{
	char left[64];

	snprintf(left, sizeof(left), "--%s%s%s", name, value ? " " : "", value ? value : "");
	fprintf(out, "  %-24s  %s\n", left, help);
}

void hs_opts_help(const struct hs_opts *opts, FILE *out)
{
	fprintf(out, "Usage: hindsight %s [OPTIONS]%s%s\n\n%s.\n\nOptions:\n", opts->command,
		opts->operands[0] ? " " : "", opts->operands, opts->summary);
	for (size_t i = 0; i < opts->count; i++) {
		help_row(opts->rows[i].name, opts->rows[i].value, opts->rows[i].help, out);
	}
	help_row("help", NULL, "show this help and exit", out);
	if (opts->epilogue) {
		fprintf(out, "\n%s", opts->epilogue);
	}
}
