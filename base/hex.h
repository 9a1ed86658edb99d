/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hexadecimal text to bytes and numbers and back. Total: bad digits are an answer, never a zero. */
#ifndef HS_BASE_HEX_H
#define HS_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The value of one hex digit of either case, or -1. */
int hs_hex_digit(char c);

/** Write 2 * length lower-case digits to text, without a NUL. */
void hs_hex_encode(const uint8_t *bytes, size_t length, char *text);

/** The same without the wide vectors that a CPU may have. */
void hs_hex_encode_plain(const uint8_t *bytes, size_t length, char *text);

/** Read exactly 2 * length digits; false at the first character that is none. */
bool hs_hex_decode(const char *text, size_t length, uint8_t *bytes);

/**
 * Parse a number of 1 to 16 hex digits at the front of [*text, end).
 *
 * True: *ret is the number and *text stands behind its last digit. False (no digit, or more than 64 bits): both
 * untouched.
 */
bool hs_hex_parse_u64(const char **text, const char *end, uint64_t *ret);

#endif
