/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/json.h"

#include "base/utf8.h"

void hs_json_string(struct hs_buf *buf, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	hs_buf_append_byte(buf, '"');
	while (*at) {
		size_t length = hs_utf8_length(at);

		if (length == 0) {
			hs_buf_append_string(buf, "\\ufffd");
			length = 1;
		} else if (*at == '"' || *at == '\\') {
			hs_buf_append_byte(buf, '\\');
			hs_buf_append_byte(buf, *at);
		} else if (hs_utf8_printable_length(at) == 0) {
			hs_buf_printf(buf, "\\u%04x", at[length - 1]); /* U+0080 to U+009F are C2 80 to C2 9F */
		} else {
			hs_buf_append(buf, at, length);
		}
		at += length;
	}
	hs_buf_append_byte(buf, '"');
}
