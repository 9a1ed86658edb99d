/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/trail.h"

#include <hindsight/abi.h>

#include <string.h>

void hs_trail_note(struct hs_trail *trail, enum hs_trail_kind kind, uint32_t level, const char *text, size_t length)
{
	struct hs_trail_entry *entry = &trail->entries[trail->count++ % HS_TRAIL_ENTRIES];

	entry->kind = (uint8_t)kind;
	entry->level = level < UINT8_MAX ? (uint8_t)level : UINT8_MAX;
	entry->length = (uint8_t)(length < HS_TRAIL_TEXT_MAX ? length : HS_TRAIL_TEXT_MAX);
	memcpy(entry->text, text, entry->length);
}

static const char *lead_of(const struct hs_trail_entry *entry)
{
	static const char *const levels[] = {
		[HS_LOG_ERROR] = "error: ", [HS_LOG_WARNING] = "warning: ", [HS_LOG_INFO] = "info: ",
		[HS_LOG_DEBUG] = "debug: ", [HS_LOG_TRACE] = "trace: ",
	};

	if (entry->kind == HS_TRAIL_CALL) {
		return "call ";
	}
	if (entry->kind == HS_TRAIL_HOST_CALL) {
		return "host call ";
	}
	return entry->level < sizeof(levels) / sizeof(levels[0]) && levels[entry->level] ? levels[entry->level]
											 : "log: ";
}

/* A line is a line, whatever the guest has logged. */
static void put_line(const struct hs_trail_entry *entry, struct hs_buf *out)
{
	hs_buf_append_string(out, lead_of(entry));
	for (size_t i = 0; i < entry->length; i++) {
		char c = entry->text[i];

		hs_buf_append_byte(out, c == '\n' || c == '\0' ? ' ' : (uint8_t)c);
	}
	hs_buf_append_byte(out, '\n');
}

void hs_trail_text(const struct hs_trail *trail, struct hs_buf *out)
{
	uint64_t first = trail->count > HS_TRAIL_ENTRIES ? trail->count - HS_TRAIL_ENTRIES : 0;

	for (uint64_t i = first; i < trail->count; i++) {
		if (trail->entries[i % HS_TRAIL_ENTRIES].kind == HS_TRAIL_RESTORE) {
			first = i + 1;
		}
	}
	for (uint64_t i = first; i < trail->count; i++) {
		put_line(&trail->entries[i % HS_TRAIL_ENTRIES], out);
	}
}
