/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one part of JSON that is easy to get wrong: strings (RFC 8259 section 7). */
#ifndef HS_BASE_JSON_H
#define HS_BASE_JSON_H

#include "base/buf.h"

/** Append text as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD: the result always is. */
void hs_json_string(struct hs_buf *buf, const char *text);

#endif
