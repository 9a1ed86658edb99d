/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/call_text.h"

#include "base/error.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct reader {
	const char *text;
	const char *at;
	char *bytes;      /* where the next string goes; there is room for all, since none is longer than its text */
	const char *name; /* of the function, once it was read */
	size_t argument;  /* the one that is being read, from 1; 0 for none */
	struct hs_error *err;
};

/* An error at a place of the text. Always false. */
__attribute__((format(printf, 3, 4))) static bool refuse(struct reader *reader, const char *at, const char *format, ...)
{
	char what[192];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (reader->argument > 0) {
		hs_error_set(reader->err, HS_ERR_INVALID, 0, 0, "column %zu: argument %zu of %s: %s",
			     (size_t)(at - reader->text) + 1, reader->argument, reader->name, what);
	} else {
		hs_error_set(reader->err, HS_ERR_INVALID, 0, 0, "column %zu: %s%s%s", (size_t)(at - reader->text) + 1,
			     reader->name ? reader->name : "", reader->name ? ": " : "", what);
	}
	return false;
}

static void skip_spaces(struct reader *reader)
{
	reader->at += strspn(reader->at, " \t\n");
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *found = c ? strchr(digits, c) : NULL;

	if (!found) {
		return -1;
	}
	return (int)(found - digits) - (found - digits > 15 ? 6 : 0);
}

/* The byte that two hexadecimal digits make; -1 for anything else. */
static int hex_byte(const char *digits)
{
	int high = hex_digit(digits[0]);
	int low = high < 0 ? -1 : hex_digit(digits[1]);

	return low < 0 ? -1 : high << 4 | low;
}

/* One character of a string, behind at; -1 when it is refused. */
static int read_character(struct reader *reader)
{
	static const char letters[] = "ntr\"\\";
	static const char meanings[] = "\n\t\r\"\\";
	const char *start = reader->at++;
	const char *found;
	int byte;

	if (*start != '\\') {
		return (unsigned char)*start;
	}
	if (*reader->at == 'x') {
		byte = hex_byte(reader->at + 1);
		if (byte <= 0) {
			refuse(reader, start,
			       byte < 0 ? "expected two hexadecimal digits behind \\x"
					: "a string has no NUL (bytes have: x\"00\")");
			return -1;
		}
		reader->at += 3;
		return byte;
	}
	found = *reader->at ? strchr(letters, *reader->at) : NULL;
	if (!found) {
		refuse(reader, start, "expected \\n, \\t, \\r, \\\", \\\\ or \\xNN");
		return -1;
	}
	reader->at++;
	return meanings[found - letters];
}

/* Both kinds end alike: the value is what lies between begin and where the next one will begin. */
static bool end_bytes(struct reader *reader, enum hs_type type, const char *begin, struct hs_value *ret)
{
	*ret = (struct hs_value){ .type = type, .bytes = { begin, (size_t)(reader->bytes - begin) } };
	*reader->bytes++ = '\0';
	reader->at++;
	return true;
}

static bool read_string(struct reader *reader, struct hs_value *ret)
{
	const char *quote = reader->at++;
	const char *begin = reader->bytes;

	while (*reader->at != '"') {
		int byte = *reader->at ? read_character(reader) : 0;

		if (byte == 0) {
			return refuse(reader, quote, "the string does not end: expected another \"");
		}
		if (byte < 0) {
			return false;
		}
		*reader->bytes++ = (char)byte;
	}
	return end_bytes(reader, HS_TYPE_STRING, begin, ret);
}

static bool read_bytes(struct reader *reader, struct hs_value *ret)
{
	const char *begin = reader->bytes;

	reader->at += 2;
	while (*reader->at != '"') {
		int byte = hex_byte(reader->at);

		if (byte < 0) {
			return refuse(reader, reader->at, "expected two hexadecimal digits or \"");
		}
		*reader->bytes++ = (char)byte;
		reader->at += 2;
	}
	return end_bytes(reader, HS_TYPE_BYTES, begin, ret);
}

/* Digits of base 10 or 16. False: more than 64 bits, or none. */
static bool read_digits(struct reader *reader, unsigned int base, uint64_t *ret)
{
	const char *start = reader->at;
	uint64_t value = 0;

	for (;; reader->at++) {
		int digit = hex_digit(*reader->at);

		if (digit < 0 || (unsigned int)digit >= base) {
			break;
		}
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, (unsigned int)digit, &value)) {
			return refuse(reader, start, "the number is too large for any type");
		}
	}
	*ret = value;
	return reader->at > start || refuse(reader, start, "expected a digit");
}

/* Give an integer the type that its suffix says. */
static bool settle_integer(struct reader *reader, const char *start, bool negative, uint64_t magnitude,
			   struct hs_value *ret)
{
	static const struct {
		const char *suffix;
		enum hs_type type;
		uint64_t most, least; /* magnitudes of positive and negative ones */
		const char *wrong;
	} types[] = {
		{ "", HS_TYPE_INT, INT32_MAX, (uint64_t)INT32_MAX + 1,
		  "does not fit an int (-2147483648 to 2147483647; a long is 1L)" },
		{ "u", HS_TYPE_UINT, UINT32_MAX, 0, "does not fit a uint (0 to 4294967295; a ulong is 1UL)" },
		{ "l", HS_TYPE_LONG, INT64_MAX, (uint64_t)INT64_MAX + 1, "does not fit a long (64 bits with a sign)" },
		{ "ul", HS_TYPE_ULONG, UINT64_MAX, 0, "does not fit a ulong (64 bits without a sign)" },
	};
	size_t length = strspn(reader->at, "uUlL");

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strlen(types[i].suffix) != length || strncasecmp(types[i].suffix, reader->at, length) != 0) {
			continue;
		}
		if (magnitude > (negative ? types[i].least : types[i].most)) {
			return refuse(reader, start, "the number %s", types[i].wrong);
		}
		reader->at += length;
		magnitude = negative ? 0 - magnitude : magnitude;
		*ret = types[i].type == HS_TYPE_INT || types[i].type == HS_TYPE_UINT
			       ? (struct hs_value){ .type = types[i].type, .u = (uint32_t)magnitude }
			       : (struct hs_value){ .type = types[i].type, .ul = magnitude };
		return true;
	}
	return refuse(reader, reader->at, "expected u, L or UL behind the number, or nothing");
}

/* A decimal number with a point or an exponent; an f behind it makes it a float. */
static bool read_floating(struct reader *reader, const char *start, struct hs_value *ret)
{
	char *end;
	double number = strtod(start, &end);

	if (*end == 'f' || *end == 'F') {
		/* Anew: rounding twice is not rounding once. */
		*ret = (struct hs_value){ .type = HS_TYPE_FLOAT, .f = strtof(start, &end) };
		number = (double)ret->f;
		end++;
	} else {
		*ret = (struct hs_value){ .type = HS_TYPE_DOUBLE, .d = number };
	}
	if (isinf(number)) {
		return refuse(reader, start, "the number does not fit a %s",
			      ret->type == HS_TYPE_FLOAT ? "float" : "double");
	}
	reader->at = end;
	return true;
}

static bool read_number(struct reader *reader, struct hs_value *ret)
{
	const char *start = reader->at;
	const bool negative = *start == '-';
	const char *digits = start + negative;
	uint64_t magnitude = 0;

	if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X')) {
		reader->at = digits + 2;
		return read_digits(reader, 16, &magnitude) && settle_integer(reader, start, negative, magnitude, ret);
	}
	const char *behind = digits + strspn(digits, "0123456789");
	if (*behind == '.' || *behind == 'e' || *behind == 'E') {
		return read_floating(reader, start, ret);
	}
	reader->at = digits;
	return read_digits(reader, 10, &magnitude) && settle_integer(reader, start, negative, magnitude, ret);
}

/* A value that is a word; false without an error when there is none. */
static bool read_word(struct reader *reader, struct hs_value *ret)
{
	static const struct {
		const char *word;
		struct hs_value value;
	} words[] = {
		{ "true", { .type = HS_TYPE_BOOL, .b = true } },
		{ "false", { .type = HS_TYPE_BOOL, .b = false } },
		{ "inf", { .type = HS_TYPE_DOUBLE, .d = INFINITY } },
		{ "-inf", { .type = HS_TYPE_DOUBLE, .d = -INFINITY } },
		{ "nan", { .type = HS_TYPE_DOUBLE, .d = NAN } },
		{ "inff", { .type = HS_TYPE_FLOAT, .f = INFINITY } },
		{ "-inff", { .type = HS_TYPE_FLOAT, .f = -INFINITY } },
		{ "nanf", { .type = HS_TYPE_FLOAT, .f = NAN } },
	};
	const bool negative = *reader->at == '-';
	const size_t length = negative + strspn(reader->at + negative, "abcdefghijklmnopqrstuvwxyz");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strlen(words[i].word) == length && memcmp(words[i].word, reader->at, length) == 0) {
			reader->at += length;
			*ret = words[i].value;
			return true;
		}
	}
	return false;
}

static bool read_value(struct reader *reader, struct hs_value *ret)
{
	const char *at = reader->at;

	if (*at == '"') {
		return read_string(reader, ret);
	}
	if (at[0] == 'x' && at[1] == '"') {
		return read_bytes(reader, ret);
	}
	if (is_digit(at[*at == '-'])) {
		return read_number(reader, ret);
	}
	return read_word(reader, ret) ||
	       refuse(reader, at, "expected a value: 1, 1u, 1L, 1UL, 1.5f, 1.5, true, \"string\" or x\"00ff\"");
}

static bool read_name(struct reader *reader, struct hs_call_text *ret)
{
	const char *start = reader->at;
	size_t length;

	/* What names are made of (call.h), but for the parenthesis. */
	while (*reader->at > ' ' && *reader->at < 0x7F && *reader->at != '(') {
		reader->at++;
	}
	length = (size_t)(reader->at - start);
	if (length == 0) {
		return refuse(reader, start, "expected the name of a function");
	}
	if (length > HS_CALL_NAME_MAX) {
		return refuse(reader, start, "the name is longer than %d characters", HS_CALL_NAME_MAX);
	}
	memcpy(ret->name, start, length);
	return true;
}

/* What stands in the parentheses, and the closing one. */
static bool read_arguments(struct reader *reader, struct hs_call_text *ret)
{
	skip_spaces(reader);
	if (*reader->at == ')') {
		reader->at++;
		return true;
	}
	for (;;) {
		reader->argument = ret->count + 1;
		if (ret->count == HS_CALL_ARGUMENTS_MAX) {
			return refuse(reader, reader->at, "a call has up to %d arguments", HS_CALL_ARGUMENTS_MAX);
		}
		if (!read_value(reader, &ret->arguments[ret->count])) {
			return false;
		}
		ret->count++;
		skip_spaces(reader);
		if (*reader->at == ')') {
			reader->at++;
			reader->argument = 0;
			return true;
		}
		if (*reader->at != ',') {
			return refuse(reader, reader->at, "expected , or )");
		}
		reader->at++;
		skip_spaces(reader);
	}
}

static bool read_call(struct reader *reader, struct hs_call_text *ret)
{
	skip_spaces(reader);
	if (!read_name(reader, ret)) {
		return false;
	}
	reader->name = ret->name;
	skip_spaces(reader);
	if (*reader->at != '(') {
		return refuse(reader, reader->at, "expected (");
	}
	reader->at++;
	if (!read_arguments(reader, ret)) {
		return false;
	}
	skip_spaces(reader);
	return *reader->at == '\0' || refuse(reader, reader->at, "expected nothing behind the )");
}

enum hs_status hs_call_text_parse(const char *text, struct hs_call_text *ret, struct hs_error *err)
{
	struct hs_call_text call = { .bytes = malloc(strlen(text) + 1) };
	struct reader reader = { .text = text, .at = text, .bytes = call.bytes, .err = err };

	if (!call.bytes) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a call");
	}
	if (!read_call(&reader, &call)) {
		hs_call_text_free(&call);
		return HS_ERR_INVALID;
	}
	*ret = call;
	return HS_OK;
}

void hs_call_text_free(struct hs_call_text *call)
{
	free(call->bytes);
	call->bytes = NULL;
}

void hs_call_text_escape(const void *bytes, size_t length, struct hs_buf *out)
{
	static const char letters[] = "ntr\"\\";
	static const char meanings[] = "\n\t\r\"\\";
	const unsigned char *at = bytes;

	for (size_t i = 0; i < length; i++) {
		const char *found = at[i] ? strchr(meanings, at[i]) : NULL;

		if (found) {
			hs_buf_append_byte(out, '\\');
			hs_buf_append_byte(out, (uint8_t)letters[found - meanings]);
		} else if (at[i] < ' ' || at[i] >= 0x7F) {
			hs_buf_printf(out, "\\x%02x", at[i]);
		} else {
			hs_buf_append_byte(out, at[i]);
		}
	}
}

/* With as few digits as bring the same number back, and a point or an exponent to tell it from an integer. */
static void print_floating(double number, bool is_float, struct hs_buf *out)
{
	char text[40];
	int digits = 1;

	for (;; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, number);
		if (digits == 17 || (is_float ? (double)strtof(text, NULL) : strtod(text, NULL)) == number) {
			break;
		}
	}
	if (isnan(number)) {
		strcpy(text, "nan"); /* its sign says nothing */
	}
	hs_buf_append_string(out, text);
	if (!isnan(number) && !isinf(number) && !strpbrk(text, ".e")) {
		hs_buf_append_string(out, ".0");
	}
	if (is_float) {
		hs_buf_append_byte(out, 'f');
	}
}

void hs_call_text_print_value(const struct hs_value *value, struct hs_buf *out)
{
	switch (value->type) {
	case HS_TYPE_VOID:
		hs_buf_append_string(out, "()");
		break;
	case HS_TYPE_INT:
		hs_buf_printf(out, "%" PRId32, value->i);
		break;
	case HS_TYPE_UINT:
		hs_buf_printf(out, "%" PRIu32 "u", value->u);
		break;
	case HS_TYPE_LONG:
		hs_buf_printf(out, "%" PRId64 "L", value->l);
		break;
	case HS_TYPE_ULONG:
		hs_buf_printf(out, "%" PRIu64 "UL", value->ul);
		break;
	case HS_TYPE_FLOAT:
		print_floating((double)value->f, true, out);
		break;
	case HS_TYPE_DOUBLE:
		print_floating(value->d, false, out);
		break;
	case HS_TYPE_BOOL:
		hs_buf_append_string(out, value->b ? "true" : "false");
		break;
	case HS_TYPE_STRING:
		hs_buf_append_byte(out, '"');
		hs_call_text_escape(value->bytes.data, value->bytes.length, out);
		hs_buf_append_byte(out, '"');
		break;
	case HS_TYPE_BYTES:
		hs_buf_append_string(out, "x\"");
		hs_buf_append_hex(out, value->bytes.data, value->bytes.length);
		hs_buf_append_byte(out, '"');
		break;
	}
}

void hs_call_text_print(const struct hs_call_text *call, struct hs_buf *out)
{
	hs_buf_append_string(out, call->name);
	hs_buf_append_byte(out, '(');
	for (size_t i = 0; i < call->count; i++) {
		hs_buf_append_string(out, i > 0 ? ", " : "");
		hs_call_text_print_value(&call->arguments[i], out);
	}
	hs_buf_append_byte(out, ')');
}
