/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/crc32c.h"

#include <string.h>

/* The polynomial 0x1EDC6F41, bits in the other order: the lowest bit of a byte comes first. */
#define POLYNOMIAL 0x82F63B78u

uint32_t hs_crc32c_plain(uint32_t sum, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	uint32_t crc = ~sum;

	for (size_t i = 0; i < length; i++) {
		crc ^= at[i];
		for (unsigned int bit = 0; bit < 8; bit++) {
			crc = crc >> 1 ^ (POLYNOMIAL & -(crc & 1));
		}
	}
	return ~crc;
}

#if defined(__x86_64__)
/* SDM vol. 2A, CRC32: this polynomial, eight bytes at a time. */
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t sum, const uint8_t *at, size_t length)
{
	uint64_t crc = ~sum;

	for (; length >= sizeof(uint64_t); length -= sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, at, sizeof(word));
		crc = __builtin_ia32_crc32di(crc, word);
		at += sizeof(word);
	}
	for (; length > 0; length--) {
		crc = __builtin_ia32_crc32qi((uint32_t)crc, *at++);
	}
	return ~(uint32_t)crc;
}
#endif

uint32_t hs_crc32c(uint32_t sum, const void *bytes, size_t length)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2")) {
		return by_instruction(sum, bytes, length);
	}
#endif
	return hs_crc32c_plain(sum, bytes, length);
}
