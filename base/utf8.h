/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text that may be anything, for what may only be UTF-8 (RFC 3629). */
#ifndef HS_BASE_UTF8_H
#define HS_BASE_UTF8_H

#include <stddef.h>

/**
 * Bytes of the UTF-8 character at text, which ends in a NUL; 0 when there is none: overlong forms, surrogates and
 * values over U+10FFFF.
 */
size_t hs_utf8_length(const unsigned char *text);

/**
 * As hs_utf8_length(), but 0 as well for the control characters: U+0000 to U+001F, U+007F, and U+0080 to U+009F, of
 * which U+009B begins what drives a terminal as ESC [ does (ECMA-48 5.4).
 */
size_t hs_utf8_printable_length(const unsigned char *text);

/** Each byte that is no part of a printable character, or of a tab, becomes '?': for terminals, whoever wrote it. */
void hs_utf8_make_printable(char *text);

#endif
