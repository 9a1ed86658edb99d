/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encodings that are read back, and a compressor whose output is expanded again. */
#include "../program.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static NOINLINE size_t base64_encode(char *to, const unsigned char *from, size_t length)
{
	size_t at = 0;

	for (size_t i = 0; i < length; i += 3) {
		uint32_t group = (uint32_t)from[i] << 16;

		group |= i + 1 < length ? (uint32_t)from[i + 1] << 8 : 0;
		group |= i + 2 < length ? from[i + 2] : 0;
		to[at++] = letters[group >> 18];
		to[at++] = letters[group >> 12 & 63];
		to[at++] = i + 1 < length ? letters[group >> 6 & 63] : '=';
		to[at++] = i + 2 < length ? letters[group & 63] : '=';
	}
	return at;
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z') {
		return c - 'A';
	}
	if (c >= 'a' && c <= 'z') {
		return c - 'a' + 26;
	}
	if (c >= '0' && c <= '9') {
		return c - '0' + 52;
	}
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static NOINLINE size_t base64_decode(unsigned char *to, const char *from, size_t length)
{
	uint32_t held = 0;
	unsigned int bits = 0;
	size_t at = 0;

	for (size_t i = 0; i < length && base64_value(from[i]) >= 0; i++) {
		held = held << 6 | (uint32_t)base64_value(from[i]);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			to[at++] = (unsigned char)(held >> bits);
		}
	}
	return at;
}

/* Numbers in groups of seven bits (DWARF 4, 7.6). */
static NOINLINE size_t leb_encode(unsigned char *to, int64_t value)
{
	size_t at = 0;

	for (;;) {
		unsigned char low = value & 0x7F;

		value >>= 7;
		if ((value == 0 && !(low & 0x40)) || (value == -1 && (low & 0x40))) {
			to[at++] = low;
			return at;
		}
		to[at++] = low | 0x80;
	}
}

static NOINLINE int64_t leb_decode(const unsigned char *from)
{
	uint64_t value = 0;
	unsigned int shift = 0;
	unsigned char byte;

	do {
		byte = *from++;
		value |= (uint64_t)(byte & 0x7F) << shift;
		shift += 7;
	} while (byte & 0x80);
	if (shift < 64 && byte & 0x40) {
		value |= UINT64_MAX << shift;
	}
	return (int64_t)value;
}

/* RFC 3629, 3. */
static NOINLINE size_t utf8(unsigned char *to, uint32_t point)
{
	if (point < 0x80) {
		to[0] = (unsigned char)point;
		return 1;
	}
	size_t length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;

	for (size_t i = length; i-- > 1; point >>= 6) {
		to[i] = (unsigned char)(0x80 | (point & 0x3F));
	}
	to[0] = (unsigned char)(0xF00 >> length | point);
	return length;
}

void topic_encoding(void)
{
	struct source s = source(0xE4C);
	unsigned char bytes[50];
	unsigned char back[52];
	char text[72];
	uint64_t d = 0;
	bool same = true;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (unsigned char)next(&s);
	}
	for (size_t length = 0; length <= sizeof(bytes); length += 7) {
		size_t written = base64_encode(text, bytes, length);

		d = mix_bytes(d, text, written);
		same &= base64_decode(back, text, written) == length && memcmp(back, bytes, length) == 0;
	}
	say_text("base64", text, base64_encode(text, bytes, 45));
	say("all", d);
	for (unsigned int i = 0; i < 40; i++) {
		int64_t value = (int64_t)next_wide(&s);

		d = mix_bytes(d, back, leb_encode(back, value));
		same &= leb_decode(back) == value;
		d = mix_bytes(d, back, utf8(back, (uint32_t)((uint64_t)value % 0x110000)));
	}
	say("groups", d);
	say("read back", same);
}

#define PLAIN 700
#define SHORTEST 3
#define LONGEST 18

/* An old way (Lempel, Ziv, Storer, Szymanski): a byte of flags, then eight bytes or references back. */
static size_t longest(const unsigned char *from, size_t at, size_t length, size_t *ret_distance)
{
	size_t best = 0;

	for (size_t start = at > 200 ? at - 200 : 0; start < at; start++) {
		size_t run = 0;

		while (run < LONGEST && at + run < length && from[start + run] == from[at + run]) {
			run++;
		}
		if (run > best) {
			best = run;
			*ret_distance = at - start;
		}
	}
	return best;
}

static NOINLINE size_t compress(unsigned char *to, const unsigned char *from, size_t length)
{
	size_t out = 0;
	size_t flags = 0;
	unsigned int count = 0;

	for (size_t at = 0; at < length; count++) {
		size_t distance = 0;
		size_t run = longest(from, at, length, &distance);

		if (count % 8 == 0) {
			flags = out++;
			to[flags] = 0;
		}
		if (run < SHORTEST) {
			to[out++] = from[at++];
			continue;
		}
		to[flags] |= (unsigned char)(1u << count % 8);
		to[out++] = (unsigned char)distance;
		to[out++] = (unsigned char)(run - SHORTEST);
		at += run;
	}
	return out;
}

static NOINLINE size_t expand(unsigned char *to, const unsigned char *from, size_t length)
{
	size_t out = 0;
	unsigned int count = 0;
	unsigned char flags = 0;

	for (size_t at = 0; at < length; count++) {
		if (count % 8 == 0) {
			flags = from[at++];
		}
		if (!(flags >> count % 8 & 1)) {
			to[out++] = from[at++];
			continue;
		}
		for (size_t run = from[at + 1] + SHORTEST; run > 0; run--, out++) {
			to[out] = to[out - from[at]];
		}
		at += 2;
	}
	return out;
}

void topic_compression(void)
{
	static const char *const words[] = { "push ", "pop ", "mov eax, ", "add ", "xchg ", "rep movsb ", "jnz " };
	struct source s = source(0x12);
	unsigned char plain[PLAIN + 16];
	unsigned char packed[PLAIN * 9 / 8 + 2];
	unsigned char back[PLAIN + 16];
	size_t length = 0;

	while (length < 400) {
		const char *word = words[next(&s) % COUNT(words)];

		memcpy(plain + length, word, strlen(word));
		length += strlen(word);
	}
	size_t written = compress(packed, plain, length);
	size_t expanded = expand(back, packed, written);

	say("length", length);
	say("compressed", written);
	say("digest", mix_bytes(0, packed, written));
	say("the same", expanded == length && memcmp(back, plain, length) == 0);
}
