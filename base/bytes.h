/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Little-endian loads and stores at any alignment. Every byte of a file, of the wire or of guest memory is read so. */
#ifndef HS_BASE_BYTES_H
#define HS_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t hs_get_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t hs_get_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t hs_get_le64(const uint8_t *p)
{
	return (uint64_t)hs_get_le32(p) | (uint64_t)hs_get_le32(p + 4) << 32;
}

/** Load count numbers of 4 bytes each, on most hosts by one copy. */
static inline void hs_get_le32_array(const uint8_t *p, uint32_t *ret, size_t count)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	memcpy(ret, p, count * sizeof(*ret));
#else
	for (size_t i = 0; i < count; i++) {
		ret[i] = hs_get_le32(p + i * sizeof(*ret));
	}
#endif
}

/** The same of 8 bytes each. */
static inline void hs_get_le64_array(const uint8_t *p, uint64_t *ret, size_t count)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	memcpy(ret, p, count * sizeof(*ret));
#else
	for (size_t i = 0; i < count; i++) {
		ret[i] = hs_get_le64(p + i * sizeof(*ret));
	}
#endif
}

/** Load size (1..8) bytes, zero-extended. */
static inline uint64_t hs_get_le(const uint8_t *p, unsigned int size)
{
	uint64_t value = 0;

	for (unsigned int i = size; i > 0; i--) {
		value = value << 8 | p[i - 1];
	}
	return value;
}

static inline void hs_put_le16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

static inline void hs_put_le32(uint8_t *p, uint32_t value)
{
	hs_put_le16(p, (uint16_t)value);
	hs_put_le16(p + 2, (uint16_t)(value >> 16));
}

static inline void hs_put_le64(uint8_t *p, uint64_t value)
{
	hs_put_le32(p, (uint32_t)value);
	hs_put_le32(p + 4, (uint32_t)(value >> 32));
}

/** Store the low size (1..8) bytes of value. */
static inline void hs_put_le(uint8_t *p, uint64_t value, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++) {
		p[i] = (uint8_t)(value >> (8 * i));
	}
}

/** Whether length bytes are all zero. */
static inline bool hs_bytes_are_zero(const uint8_t *p, size_t length)
{
	uint64_t first = 0;

	if (length == 0) {
		return true;
	}
	/* Looking at the first word spares the call for most pages with data; behind it each byte is what the one
	 * before it is, which memcmp() finds with the C library's vector code. */
	memcpy(&first, p, length < sizeof(first) ? length : sizeof(first));
	return first == 0 && (length <= sizeof(first) || memcmp(p, p + 1, length - 1) == 0);
}

#endif
