/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A cursor over the text of a packet, and the takers of its small pieces: words, hex numbers, hex bytes, thread
 * identifiers. Every taker either takes its piece and says so, or fails; none reads past the end. After a failure the
 * cursor stands somewhere in the piece, and the packet is malformed.
 */
#ifndef HS_GDBSTUB_TEXT_H
#define HS_GDBSTUB_TEXT_H

#include "gdbstub/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is not parsed yet. Mutable: hex and escapes are decoded where they lie. */
struct hs_text {
	uint8_t *at;
	uint8_t *end;
};

size_t hs_text_left(const struct hs_text *text);
bool hs_text_done(const struct hs_text *text);

bool hs_text_take_char(struct hs_text *text, char c);
bool hs_text_take_word(struct hs_text *text, const char *word);
/* 1 to 16 hex digits. */
bool hs_text_take_number(struct hs_text *text, uint64_t *ret);
/* Everything up to a character (which stays) or the end. */
struct hs_span hs_text_take_until(struct hs_text *text, char stop);
/* Hex digits up to a character (which stays) or the end, decoded in place. */
bool hs_text_take_hex(struct hs_text *text, char stop, struct hs_span *ret);
/* So many bytes of hex digits, decoded in place. */
bool hs_text_take_hex_bytes(struct hs_text *text, size_t length, struct hs_span *ret);
/* A thread identifier (gdb manual, Packets, "thread-id"): TID, or pPID, which is all threads of the process, or
 * pPID.TID, each number hex, or -1 for all, or 0 for any. Numbers of more than 32 bits name none that there is, and
 * come out as HS_ID_NONE. */
bool hs_text_take_thread(struct hs_text *text, struct hs_thread_id *ret);
/* A process alone, without a 'p'. */
bool hs_text_take_process(struct hs_text *text, struct hs_thread_id *ret);
/* Nothing, or lldb's ";thread:TID;" behind register packets (QThreadSuffixSupported), up to the end. */
bool hs_text_take_thread_suffix(struct hs_text *text);
/* A signal in gdb's numbering; *ret is Linux's. */
bool hs_text_take_signal(struct hs_text *text, int *ret);

/* Whether the bytes are exactly this word. */
bool hs_span_is(struct hs_span span, const char *word);

#endif
