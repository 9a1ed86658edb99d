/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/hex.h"

static const char hex_digits[] = "0123456789abcdef";

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

void hs_hex_encode(const uint8_t *bytes, size_t length, char *text)
{
	for (size_t i = 0; i < length; i++) {
		text[2 * i] = hex_digits[bytes[i] >> 4];
		text[2 * i + 1] = hex_digits[bytes[i] & 15];
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
