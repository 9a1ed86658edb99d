/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/hex.h"

#include "base/bytes.h"

#include <endian.h>
#include <string.h>

/* Bytes that are encoded together. */
#define HEX_BLOCK 16

int hs_hex_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	if (c >= 'A' && c <= 'F') {
		return c - 'A' + 10;
	}
	return -1;
}

/* Both digits of a byte as the bytes of a 16-bit number, the first one lowest. */
static uint16_t digits_of(uint8_t byte)
{
	uint16_t halves = (uint16_t)((byte >> 4 | byte << 8) & 0x0F0F);
	/* 6 more carries out of a half that needs a letter. */
	uint16_t letters = (uint16_t)((halves + 0x0606) >> 4 & 0x0101);

	return (uint16_t)(halves + 0x0101 * '0' + letters * ('a' - '0' - 10));
}

/* HEX_BLOCK bytes: a loop that compilers vectorize. */
static void encode_block(const uint8_t *bytes, char *text)
{
	uint16_t pairs[HEX_BLOCK];

	for (size_t i = 0; i < HEX_BLOCK; i++) {
		pairs[i] = htole16(digits_of(bytes[i]));
	}
	memcpy(text, pairs, sizeof(pairs));
}

void hs_hex_encode(const uint8_t *bytes, size_t length, char *text)
{
	for (; length >= HEX_BLOCK; length -= HEX_BLOCK) {
		encode_block(bytes, text);
		bytes += HEX_BLOCK;
		text += (size_t)2 * HEX_BLOCK;
	}
	for (size_t i = 0; i < length; i++) {
		hs_put_le16((uint8_t *)text + 2 * i, digits_of(bytes[i]));
	}
}

bool hs_hex_decode(const char *text, size_t length, uint8_t *bytes)
{
	for (size_t i = 0; i < length; i++) {
		int high = hs_hex_digit(text[2 * i]);
		int low = hs_hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0) {
			return false;
		}
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool hs_hex_parse_u64(const char **text, const char *end, uint64_t *ret)
{
	const char *at = *text;
	uint64_t value = 0;

	while (at < end && hs_hex_digit(*at) >= 0) {
		if (value >> 60) {
			return false;
		}
		value = value << 4 | (uint64_t)hs_hex_digit(*at);
		at++;
	}
	if (at == *text) {
		return false;
	}
	*text = at;
	*ret = value;
	return true;
}
