/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads of DWARF's encoded numbers (DWARF 5, 7.6) out of bytes that nobody vouches for: a read past the end gives 0
 * and is remembered.
 */
#ifndef HS_SYMBOLS_CURSOR_H
#define HS_SYMBOLS_CURSOR_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hs_cursor {
	const uint8_t *bytes;
	size_t at, length;
	bool failed; /* something was read past the end */
};

/** length bytes, or NULL. */
static inline const uint8_t *hs_cursor_take(struct hs_cursor *cursor, uint64_t length)
{
	if (cursor->failed || length > cursor->length - cursor->at) {
		cursor->failed = true;
		return NULL;
	}
	cursor->at += length;
	return cursor->bytes + cursor->at - length;
}

/** A number of size (1..8) bytes. */
static inline uint64_t hs_cursor_fixed(struct hs_cursor *cursor, unsigned int size)
{
	const uint8_t *bytes = hs_cursor_take(cursor, size);

	return bytes != NULL ? hs_get_le(bytes, size) : 0;
}

/** An LEB128: bits beyond the 64th are dropped. *ret_bits is how many bits were given. */
static inline uint64_t hs_cursor_leb128(struct hs_cursor *cursor, unsigned int *ret_bits)
{
	uint64_t value = 0;
	unsigned int bits = 0;
	uint8_t byte = 0;

	do {
		byte = (uint8_t)hs_cursor_fixed(cursor, 1);
		if (bits < 64) {
			value |= (uint64_t)(byte & 0x7F) << bits;
			bits += 7;
		}
	} while (byte & 0x80);
	*ret_bits = bits;
	return value;
}

static inline uint64_t hs_cursor_unsigned(struct hs_cursor *cursor)
{
	unsigned int bits;

	return hs_cursor_leb128(cursor, &bits);
}

static inline int64_t hs_cursor_signed(struct hs_cursor *cursor)
{
	unsigned int bits;
	uint64_t value = hs_cursor_leb128(cursor, &bits);

	if (bits < 64 && value >> (bits - 1) & 1) {
		value |= UINT64_MAX << bits;
	}
	return (int64_t)value;
}

#endif
