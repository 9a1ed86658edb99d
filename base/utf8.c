/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/utf8.h"

#include <stdbool.h>

size_t hs_utf8_length(const unsigned char *text)
{
	/* By the first byte: length, and the range that the second byte may be in. */
	static const struct {
		unsigned char first, last, length, low, high;
	} rows[] = {
		{ 0x00, 0x7F, 1, 0, 0 },       { 0xC2, 0xDF, 2, 0x80, 0xBF }, { 0xE0, 0xE0, 3, 0xA0, 0xBF },
		{ 0xE1, 0xEC, 3, 0x80, 0xBF }, { 0xED, 0xED, 3, 0x80, 0x9F }, { 0xEE, 0xEF, 3, 0x80, 0xBF },
		{ 0xF0, 0xF0, 4, 0x90, 0xBF }, { 0xF1, 0xF3, 4, 0x80, 0xBF }, { 0xF4, 0xF4, 4, 0x80, 0x8F },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (text[0] < rows[i].first || text[0] > rows[i].last) {
			continue;
		}
		if (rows[i].length > 1 && (text[1] < rows[i].low || text[1] > rows[i].high)) {
			return 0;
		}
		for (size_t at = 2; at < rows[i].length; at++) { /* a NUL ends it, too */
			if ((text[at] & 0xC0) != 0x80) {
				return 0;
			}
		}
		return rows[i].length;
	}
	return 0;
}

size_t hs_utf8_printable_length(const unsigned char *text)
{
	bool control = text[0] < 0x20 || text[0] == 0x7F || (text[0] == 0xC2 && text[1] < 0xA0);

	return control ? 0 : hs_utf8_length(text);
}

void hs_utf8_make_printable(char *text)
{
	unsigned char *at = (unsigned char *)text;

	while (*at) {
		size_t length = hs_utf8_printable_length(at);

		if (length == 0 && *at != '\t') {
			*at = '?';
		}
		at += length > 0 ? length : 1;
	}
}
