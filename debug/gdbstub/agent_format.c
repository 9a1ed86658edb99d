/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The printf of agent bytecode. A format comes from the wire, as C source has it between the quotes, so it is taken
 * apart and rendered here, piece by piece: the host's printf never sees it. What printf takes from memory by itself
 * (%n, a width of *), and floating point, which bytecode has no values of, is refused.
 */
#include "gdbstub/agent.h"

#include "base/arith.h"
#include "base/error.h"

#include <string.h>

/* Digits of 64 bits in base 8, and a sign or "0x". */
#define DIGITS_MAX (22 + 2)
/* Read of a string at a time. */
#define STRING_BYTES 64u

/* A byte as it is, or a conversion. */
struct piece {
	char conversion; /* 0 for a byte, else one of "diuoxXcps" */
	uint8_t byte;
	bool left, plus, space, alternate, zero;
	unsigned int width;
	bool has_precision;
	unsigned int precision;
	char size; /* 0, 'H' for hh, 'h', 'l' for l, z and t, 'L' for ll and j */
};

static uint8_t take(struct hs_span *rest)
{
	uint8_t byte = *rest->data;

	rest->data++;
	rest->length--;
	return byte;
}

static bool take_if(struct hs_span *rest, char c)
{
	if (rest->length == 0 || *rest->data != (uint8_t)c) {
		return false;
	}
	(void)take(rest);
	return true;
}

/* Behind a backslash. */
static bool take_escape(struct hs_span *rest, uint8_t *ret)
{
	static const char letters[] = "abefnrtv\\\"'";
	static const char bytes[] = "\a\b\033\f\n\r\t\v\\\"'";
	unsigned int value = 0;
	unsigned int digits = 0;
	const char *found;

	if (rest->length == 0) {
		return false;
	}
	found = *rest->data ? strchr(letters, *rest->data) : NULL;
	if (found) {
		(void)take(rest);
		*ret = (uint8_t)bytes[found - letters];
		return true;
	}
	while (digits < 3 && rest->length > 0 && *rest->data >= '0' && *rest->data <= '7') {
		value = value * 8 + (take(rest) - '0');
		digits++;
	}
	*ret = (uint8_t)value;
	return digits > 0;
}

static bool take_count(struct hs_span *rest, unsigned int *ret)
{
	unsigned int value = 0;

	while (rest->length > 0 && *rest->data >= '0' && *rest->data <= '9') {
		value = value * 10 + (take(rest) - '0');
		if (value > HS_AGENT_TEXT_MAX) {
			return false;
		}
	}
	*ret = value;
	return true;
}

static void take_flags(struct hs_span *rest, struct piece *piece)
{
	for (;;) {
		if (take_if(rest, '-')) {
			piece->left = true;
		} else if (take_if(rest, '+')) {
			piece->plus = true;
		} else if (take_if(rest, ' ')) {
			piece->space = true;
		} else if (take_if(rest, '#')) {
			piece->alternate = true;
		} else if (take_if(rest, '0')) {
			piece->zero = true;
		} else {
			return;
		}
	}
}

static void take_size(struct hs_span *rest, struct piece *piece)
{
	if (take_if(rest, 'h')) {
		piece->size = take_if(rest, 'h') ? 'H' : 'h';
	} else if (take_if(rest, 'l')) {
		piece->size = take_if(rest, 'l') ? 'L' : 'l';
	} else if (take_if(rest, 'j')) {
		piece->size = 'L';
	} else if (take_if(rest, 'z') || take_if(rest, 't')) {
		piece->size = 'l';
	}
}

/* Behind a percent sign. */
static bool take_conversion(struct hs_span *rest, struct piece *piece)
{
	take_flags(rest, piece);
	if (!take_count(rest, &piece->width)) {
		return false;
	}
	if (take_if(rest, '.')) {
		piece->has_precision = true;
		if (!take_count(rest, &piece->precision)) {
			return false;
		}
	}
	take_size(rest, piece);
	if (rest->length == 0) {
		return false;
	}
	piece->conversion = (char)take(rest);
	switch (piece->conversion) {
	case 'd':
	case 'i':
	case 'u':
	case 'o':
	case 'x':
	case 'X':
		return true;
	case 'c':
	case 'p':
	case 's':
		return piece->size == 0; /* %ls and %lc are of wide characters */
	default:
		return false;
	}
}

/* The next piece of a format that is not empty. */
static bool take_piece(struct hs_span *rest, struct piece *ret)
{
	*ret = (struct piece){ .byte = take(rest) };
	if (ret->byte == '\\') {
		return take_escape(rest, &ret->byte);
	}
	if (ret->byte != '%' || take_if(rest, '%')) {
		return true;
	}
	return take_conversion(rest, ret);
}

enum hs_status hs_agent_format_verify(struct hs_span format, uint64_t values, struct hs_error *err)
{
	size_t length = format.length;
	uint64_t conversions = 0;

	while (format.length > 0) {
		struct piece piece;
		size_t at = length - format.length;

		if (!take_piece(&format, &piece)) {
			return hs_error_set(err, HS_ERR_FORMAT, 0, at,
					    "agent printf: character %zu of the format begins what it cannot print",
					    at);
		}
		conversions += piece.conversion != 0;
	}
	if (conversions != values) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "agent printf: a format for %llu values has %llu",
				    (unsigned long long)conversions, (unsigned long long)values);
	}
	return HS_OK;
}

static void pad(struct hs_buf *text, char with, size_t length, size_t width)
{
	for (size_t i = length; i < width; i++) {
		hs_buf_append_byte(text, (uint8_t)with);
	}
}

static void put_field(struct hs_buf *text, const struct piece *piece, const char *bytes, size_t length)
{
	if (!piece->left) {
		pad(text, ' ', length, piece->width);
	}
	hs_buf_append(text, bytes, length);
	if (piece->left) {
		pad(text, ' ', length, piece->width);
	}
}

static unsigned int bits_of(const struct hs_agent_scene *scene, char size)
{
	switch (size) {
	case 'H':
		return 8;
	case 'h':
		return 16;
	case 'l':
		return scene->cpu.arch == HS_ARCH_AMD64 ? 64 : 32;
	case 'L':
		return 64;
	default:
		return 32;
	}
}

/* A number's digits, from the end of the buffer backwards; returns how many. */
static size_t digits_of(uint64_t value, unsigned int base, bool capitals, char *end)
{
	const char *digits = capitals ? "0123456789ABCDEF" : "0123456789abcdef";
	size_t length = 0;

	while (value > 0) {
		*--end = digits[value % base];
		value /= base;
		length++;
	}
	return length;
}

static void put_digits(struct hs_buf *text, const struct piece *piece, const char *prefix, uint64_t value,
		       unsigned int base)
{
	char buffer[DIGITS_MAX];
	size_t digits = digits_of(value, base, piece->conversion == 'X', buffer + sizeof(buffer));
	size_t prefix_length = strlen(prefix);
	size_t least = piece->has_precision ? piece->precision : 1;
	size_t length;

	if (piece->zero && !piece->left && !piece->has_precision && piece->width > prefix_length) {
		least = piece->width - prefix_length;
	}
	if (base == 8 && piece->alternate && digits >= least) {
		least = digits + 1;
	}
	length = prefix_length + (digits > least ? digits : least);
	if (!piece->left) {
		pad(text, ' ', length, piece->width);
	}
	hs_buf_append_string(text, prefix);
	pad(text, '0', digits, least);
	hs_buf_append(text, buffer + sizeof(buffer) - digits, digits);
	if (piece->left) {
		pad(text, ' ', length, piece->width);
	}
}

static void put_number(const struct hs_agent_scene *scene, const struct piece *piece, uint64_t value)
{
	unsigned int unused = 64 - bits_of(scene, piece->size);
	const char *prefix = "";

	value = value << unused >> unused;
	switch (piece->conversion) {
	case 'u':
		put_digits(scene->text, piece, "", value, 10);
		return;
	case 'o':
		put_digits(scene->text, piece, "", value, 8);
		return;
	case 'x':
	case 'X':
		if (piece->alternate && value != 0) {
			prefix = piece->conversion == 'x' ? "0x" : "0X";
		}
		put_digits(scene->text, piece, prefix, value, 16);
		return;
	default:
		break;
	}
	if (piece->plus || piece->space) {
		prefix = piece->plus ? "+" : " ";
	}
	if (value << unused >> 63) {
		value = (0 - value) << unused >> unused;
		prefix = "-";
	}
	put_digits(scene->text, piece, prefix, value, 10);
}

/* As gdb's printf has it. */
static void put_pointer(const struct hs_agent_scene *scene, struct piece *piece, uint64_t value)
{
	if (scene->cpu.arch == HS_ARCH_I686) {
		value = (uint32_t)value;
	}
	if (value == 0) {
		put_field(scene->text, piece, "(nil)", 5);
		return;
	}
	piece->conversion = 'x';
	put_digits(scene->text, piece, "0x", value, 16);
}

/* Up to its NUL, the precision, or what one string may be; it may end where memory does. */
static enum hs_status put_string(const struct hs_agent_scene *scene, const struct piece *piece, uint64_t gva,
				 struct hs_error *err)
{
	size_t limit = piece->has_precision ? piece->precision : HS_AGENT_TEXT_MAX;
	char text[HS_AGENT_TEXT_MAX];
	size_t length = 0;

	while (length < limit) {
		size_t part = hs_min_u64(STRING_BYTES, limit - length);
		size_t end;
		enum hs_status st = hs_agent_read(scene, gva + length, text + length, part, &part, err);

		if (st) {
			return st;
		}
		end = strnlen(text + length, part);
		length += end;
		if (end < part) {
			break;
		}
	}
	put_field(scene->text, piece, text, length);
	return HS_OK;
}

static enum hs_status put_piece(const struct hs_agent_scene *scene, struct piece *piece, uint64_t value,
				struct hs_error *err)
{
	char c = (char)value;

	switch (piece->conversion) {
	case 'c':
		put_field(scene->text, piece, &c, 1);
		return HS_OK;
	case 'p':
		put_pointer(scene, piece, value);
		return HS_OK;
	case 's':
		return put_string(scene, piece, value, err);
	default:
		put_number(scene, piece, value);
		return HS_OK;
	}
}

enum hs_status hs_agent_format(const struct hs_agent_scene *scene, struct hs_span format, const uint64_t *values,
			       struct hs_error *err)
{
	while (format.length > 0) {
		struct piece piece;
		enum hs_status st = HS_OK;

		if (!take_piece(&format, &piece)) {
			return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "agent printf: an unchecked format");
		}
		if (piece.conversion == 0) {
			hs_buf_append_byte(scene->text, piece.byte);
		} else {
			st = put_piece(scene, &piece, *values++, err);
		}
		if (st) {
			return st;
		}
		if (scene->text->failed) {
			return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "the text is too long");
		}
	}
	return HS_OK;
}
