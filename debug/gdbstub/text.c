/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gdbstub/text.h"

#include "gdbstub/signals.h"

#include "base/hex.h"

#include <string.h>

size_t hs_text_left(const struct hs_text *text)
{
	return (size_t)(text->end - text->at);
}

bool hs_text_done(const struct hs_text *text)
{
	return text->at == text->end;
}

bool hs_text_take_char(struct hs_text *text, char c)
{
	if (hs_text_done(text) || *text->at != (uint8_t)c) {
		return false;
	}
	text->at++;
	return true;
}

bool hs_text_take_word(struct hs_text *text, const char *word)
{
	size_t length = strlen(word);

	if (hs_text_left(text) < length || memcmp(text->at, word, length) != 0) {
		return false;
	}
	text->at += length;
	return true;
}

bool hs_text_take_number(struct hs_text *text, uint64_t *ret)
{
	const char *at = (const char *)text->at;

	if (!hs_hex_parse_u64(&at, (const char *)text->end, ret)) {
		return false;
	}
	text->at += at - (const char *)text->at;
	return true;
}

/* Everything up to a character (which stays) or the end. */
struct hs_span hs_text_take_until(struct hs_text *text, char stop)
{
	uint8_t *found = hs_text_done(text) ? NULL : memchr(text->at, stop, hs_text_left(text));
	struct hs_span span = { .data = text->at };

	span.length = found ? (size_t)(found - text->at) : hs_text_left(text);
	text->at += span.length;
	return span;
}

/* Hex digits up to a character (which stays) or the end, decoded in place. */
bool hs_text_take_hex(struct hs_text *text, char stop, struct hs_span *ret)
{
	uint8_t *start = text->at;
	struct hs_span digits = hs_text_take_until(text, stop);

	if (digits.length % 2 || !hs_hex_decode((const char *)start, digits.length / 2, start)) {
		return false;
	}
	*ret = (struct hs_span){ .data = start, .length = digits.length / 2 };
	return true;
}

bool hs_text_take_hex_bytes(struct hs_text *text, size_t length, struct hs_span *ret)
{
	uint8_t *start = text->at;

	if (hs_text_left(text) / 2 < length || !hs_hex_decode((const char *)start, length, start)) {
		return false;
	}
	text->at += 2 * length;
	*ret = (struct hs_span){ .data = start, .length = length };
	return true;
}

static bool take_id(struct hs_text *text, uint32_t *ret)
{
	uint64_t number;

	if (hs_text_take_word(text, "-1")) {
		*ret = HS_ID_ALL;
		return true;
	}
	if (!hs_text_take_number(text, &number)) {
		return false;
	}
	*ret = number < HS_ID_NONE ? (uint32_t)number : HS_ID_NONE;
	return true;
}

bool hs_text_take_thread(struct hs_text *text, struct hs_thread_id *ret)
{
	struct hs_thread_id id = { .process = HS_ID_ANY, .thread = HS_ID_ALL };

	if (!hs_text_take_char(text, 'p')) {
		*ret = id;
		return take_id(text, &ret->thread);
	}
	if (!take_id(text, &id.process) || (hs_text_take_char(text, '.') && !take_id(text, &id.thread))) {
		return false;
	}
	*ret = id;
	return true;
}

bool hs_text_take_process(struct hs_text *text, struct hs_thread_id *ret)
{
	*ret = (struct hs_thread_id){ .thread = HS_ID_ALL };
	return take_id(text, &ret->process);
}

/* lldb's QThreadSuffixSupported: register packets end in ";thread:TID;". */
bool hs_text_take_thread_suffix(struct hs_text *text)
{
	struct hs_thread_id id;

	if (hs_text_done(text)) {
		return true;
	}
	return hs_text_take_word(text, ";thread:") && hs_text_take_thread(text, &id) &&
	       (id.thread <= 1 || id.thread == HS_ID_ALL) && hs_text_take_char(text, ';') && hs_text_done(text);
}

bool hs_text_take_signal(struct hs_text *text, int *ret)
{
	uint64_t number;
	int signal;

	if (!hs_text_take_number(text, &number) || number > 255) {
		return false;
	}
	signal = hs_signal_from_gdb((int)number);
	if (signal < 0) {
		return false;
	}
	*ret = signal;
	return true;
}

/* Whether the bytes are exactly this word. */
bool hs_span_is(struct hs_span span, const char *word)
{
	return span.length == strlen(word) && memcmp(span.data, word, span.length) == 0;
}
