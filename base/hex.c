/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/hex.h"

#include "base/bytes.h"

#include <endian.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

#if defined(__x86_64__)
#define WIDE_BLOCK 32

/* As many of the bytes as make whole blocks; returns how many those are. */
__attribute__((target("avx2"))) static size_t encode_avx2(const uint8_t *bytes, size_t length, char *text)
{
	const __m256i letters =
		_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)"0123456789abcdef"));
	const __m256i low_half = _mm256_set1_epi8(0x0F);
	size_t done = 0;

	for (; length - done >= WIDE_BLOCK; done += WIDE_BLOCK) {
		/* Unpacking takes the lower halves of both lanes together: the middle two quarters change places. */
		__m256i block = _mm256_permute4x64_epi64(
			_mm256_loadu_si256((const __m256i *)(const void *)(bytes + done)), 0xD8);
		__m256i high = _mm256_and_si256(_mm256_srli_epi16(block, 4), low_half);
		__m256i first = _mm256_shuffle_epi8(letters, high);
		__m256i second = _mm256_shuffle_epi8(letters, _mm256_and_si256(block, low_half));
		__m256i *to = (__m256i *)(void *)(text + 2 * done);

		_mm256_storeu_si256(to, _mm256_unpacklo_epi8(first, second));
		_mm256_storeu_si256(to + 1, _mm256_unpackhi_epi8(first, second));
	}
	return done;
}
#endif

/* What the CPU has wide vectors for; returns how many bytes those are. */
static size_t encode_wide(const uint8_t *bytes, size_t length, char *text)
{
#if defined(__x86_64__)
	if (length >= WIDE_BLOCK && __builtin_cpu_supports("avx2")) {
		return encode_avx2(bytes, length, text);
	}
#endif
	(void)bytes;
	(void)length;
	(void)text;
	return 0;
}

void hs_hex_encode(const uint8_t *bytes, size_t length, char *text)
{
	size_t done = encode_wide(bytes, length, text);

	hs_hex_encode_plain(bytes + done, length - done, text + 2 * done);
}

void hs_hex_encode_plain(const uint8_t *bytes, size_t length, char *text)
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
