/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Formatted text: a format string and its arguments in, bytes out to a buffer that is flushed when full. Knows
 * integers, pointers, characters and strings; no floating point (the runtime never touches vector registers) and no %n.
 */
#include "rt.h"

/* One conversion: %[flags][width][.precision][length]letter. */
struct spec {
	bool left, zero, has_precision;
	unsigned int width, precision;
	unsigned int bytes; /* of an integer argument */
	char letter;
};

static void put(struct hs_format_out *out, char byte)
{
	out->total++;
	if (out->used == out->size) {
		if (out->flush == NULL) {
			return;
		}
		out->flush(out->buffer, out->used);
		out->used = 0;
	}
	out->buffer[out->used++] = byte;
}

static void put_bytes(struct hs_format_out *out, const char *bytes, size_t length)
{
	/* The common case in one move: instructions are what is dear. */
	if (length <= out->size - out->used) {
		memcpy(out->buffer + out->used, bytes, length);
		out->used += length;
		out->total += length;
		return;
	}
	for (size_t i = 0; i < length; i++) {
		put(out, bytes[i]);
	}
}

static void put_padding(struct hs_format_out *out, char byte, unsigned int width, size_t length)
{
	for (size_t i = length; i < width; i++) {
		put(out, byte);
	}
}

/* Text of a number, with its sign, padded. digits has no sign. */
static void put_number(struct hs_format_out *out, const struct spec *spec, const char *sign, const char *digits,
		       size_t length)
{
	size_t sign_length = strlen(sign);
	size_t whole = sign_length + length;
	if (!spec->left && !spec->zero) {
		put_padding(out, ' ', spec->width, whole);
	}
	put_bytes(out, sign, sign_length);
	if (spec->zero && !spec->left) {
		put_padding(out, '0', spec->width, whole);
	}
	put_bytes(out, digits, length);
	if (spec->left) {
		put_padding(out, ' ', spec->width, whole);
	}
}

static void put_text(struct hs_format_out *out, const struct spec *spec, const char *text, size_t length)
{
	if (!spec->left) {
		put_padding(out, ' ', spec->width, length);
	}
	put_bytes(out, text, length);
	if (spec->left) {
		put_padding(out, ' ', spec->width, length);
	}
}

/* value / 10, the remainder to *ret. In four 16-bit digits, so that i686 needs no 64-bit division from libgcc. */
static uint64_t divide_by_10(uint64_t value, unsigned int *ret)
{
	unsigned int rest = 0;
	uint64_t quotient = 0;
	for (int shift = 48; shift >= 0; shift -= 16) {
		unsigned int part = rest << 16 | (unsigned int)(value >> shift & 0xFFFF);
		quotient |= (uint64_t)(part / 10) << shift;
		rest = part % 10;
	}
	*ret = rest;
	return quotient;
}

/* Digits of value, written backwards from end; the first one is returned. 20 digits hold any value. */
static char *digits_decimal(char *end, uint64_t value)
{
	while (value > UINT32_MAX) {
		unsigned int digit;
		value = divide_by_10(value, &digit);
		*--end = (char)('0' + digit);
	}
	uint32_t rest = (uint32_t)value;
	do {
		*--end = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest != 0);
	return end;
}

static char *digits_hex(char *end, uint64_t value, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	do {
		*--end = digits[value & 15];
		value >>= 4;
	} while (value != 0);
	return end;
}

static void put_unsigned(struct hs_format_out *out, const struct spec *spec, const char *sign, uint64_t value)
{
	char text[20];
	char *end = text + sizeof(text);
	char *start;
	if (spec->letter == 'x' || spec->letter == 'X' || spec->letter == 'p') {
		start = digits_hex(end, value, spec->letter == 'X');
	} else {
		start = digits_decimal(end, value);
	}
	put_number(out, spec, sign, start, (size_t)(end - start));
}

static void put_signed(struct hs_format_out *out, const struct spec *spec, int64_t value)
{
	if (value < 0) {
		put_unsigned(out, spec, "-", -(uint64_t)value);
	} else {
		put_unsigned(out, spec, "", (uint64_t)value);
	}
}

/* Flags, width, precision and length; the letter is what format points at afterwards. */
static const char *parse_spec(const char *format, struct spec *ret)
{
	*ret = (struct spec){ .bytes = sizeof(int) };
	for (; *format == '-' || *format == '0'; format++) {
		ret->left |= *format == '-';
		ret->zero |= *format == '0';
	}
	for (; *format >= '0' && *format <= '9'; format++) {
		ret->width = ret->width * 10 + (unsigned int)(*format - '0');
	}
	if (*format == '.') {
		ret->has_precision = true;
		for (format++; *format >= '0' && *format <= '9'; format++) {
			ret->precision = ret->precision * 10 + (unsigned int)(*format - '0');
		}
	}
	for (;; format++) {
		if (*format == 'l') {
			ret->bytes = ret->bytes == sizeof(int) ? sizeof(long) : sizeof(long long);
			/* On i686 long is as wide as int: the second l must still count. */
			if (format[1] == 'l') {
				ret->bytes = sizeof(long long);
			}
		} else if (*format == 'h') {
			ret->bytes /= 2;
		} else if (*format == 'z') {
			ret->bytes = sizeof(size_t);
		} else {
			break;
		}
	}
	ret->letter = *format;
	return format;
}

/* Narrow arguments arrive promoted to int (C11 6.5.2.2). */
static int64_t signed_of(const struct spec *spec, va_list *args)
{
	if (spec->bytes == sizeof(long long)) {
		return va_arg(*args, long long);
	}
	int value = va_arg(*args, int);
	switch (spec->bytes) {
	case 1:
		return (signed char)value;
	case 2:
		return (short)value;
	default:
		return value;
	}
}

static uint64_t unsigned_of(const struct spec *spec, va_list *args)
{
	if (spec->bytes == sizeof(unsigned long long)) {
		return va_arg(*args, unsigned long long);
	}
	unsigned int value = va_arg(*args, unsigned int);
	switch (spec->bytes) {
	case 1:
		return (unsigned char)value;
	case 2:
		return (unsigned short)value;
	default:
		return value;
	}
}

static void put_string(struct hs_format_out *out, const struct spec *spec, const char *string)
{
	if (string == NULL) {
		string = "(null)";
	}
	put_text(out, spec, string, spec->has_precision ? strnlen(string, spec->precision) : strlen(string));
}

/* Whether the letter is known; nothing is taken from args when it is not. */
static bool put_conversion(struct hs_format_out *out, const struct spec *spec, va_list *args)
{
	char character;
	switch (spec->letter) {
	case 'd':
	case 'i':
		put_signed(out, spec, signed_of(spec, args));
		return true;
	case 'u':
	case 'x':
	case 'X':
		put_unsigned(out, spec, "", unsigned_of(spec, args));
		return true;
	case 'p':
		put_unsigned(out, spec, "0x", (uintptr_t)va_arg(*args, void *));
		return true;
	case 'c':
		character = (char)va_arg(*args, int);
		put_text(out, spec, &character, 1);
		return true;
	case 's':
		put_string(out, spec, va_arg(*args, const char *));
		return true;
	case '%':
		put(out, '%');
		return true;
	default:
		return false;
	}
}

void hs_format(struct hs_format_out *out, const char *format, va_list args)
{
	/* A va_list parameter may be an array: a copy has an address that is one everywhere (C11 7.16 footnote). */
	va_list copy;
	va_copy(copy, args);
	while (*format != 0) {
		const char *percent = strchr(format, '%');
		if (percent == NULL) {
			put_bytes(out, format, strlen(format));
			break;
		}
		put_bytes(out, format, (size_t)(percent - format));
		struct spec spec;
		const char *letter = parse_spec(percent + 1, &spec);
		format = *letter != 0 ? letter + 1 : letter;
		if (!put_conversion(out, &spec, &copy)) {
			put_bytes(out, percent, (size_t)(format - percent));
		}
	}
	va_end(copy);
}

int hs_vsnprintf(char *buffer, size_t size, const char *format, va_list args)
{
	struct hs_format_out out = { .buffer = buffer, .size = size > 0 ? size - 1 : 0 };
	hs_format(&out, format, args);
	if (size > 0) {
		buffer[out.used] = 0;
	}
	return (int)out.total;
}

int hs_snprintf(char *buffer, size_t size, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int length = hs_vsnprintf(buffer, size, format, args);
	va_end(args);
	return length;
}
