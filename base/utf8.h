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

#endif
