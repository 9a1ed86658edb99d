/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/history_note.h"

#include "base/bytes.h"
#include "base/error.h"
#include "coredump/vmnote.h"

#include <stdlib.h>
#include <string.h>

enum record_kind {
	RECORD_LOG = 1,    /* text with its NUL */
	RECORD_BEFORE = 2, /* u64 each: general registers in encoding order, rip, rflags */
};

#define VERSION 1u
#define BEFORE_WORDS (HS_GPR_COUNT + 2)
#define LOG_BYTES_MAX 65536u

static void put_head(struct hs_buf *buf, uint32_t kind, size_t length)
{
	uint8_t head[8];

	hs_put_le32(head, kind);
	hs_put_le32(head + 4, (uint32_t)length);
	hs_buf_append(buf, head, sizeof(head));
}

void hs_history_note_put(struct hs_buf *buf, const struct hs_cpu_state *before, const char *log)
{
	static const uint8_t zeros[4];
	uint8_t version[4];
	uint8_t word[8];

	hs_put_le32(version, VERSION);
	hs_buf_append(buf, version, sizeof(version));
	if (log && *log) {
		put_head(buf, RECORD_LOG, strlen(log) + 1);
		hs_buf_append(buf, log, strlen(log) + 1);
		hs_buf_append(buf, zeros, -(strlen(log) + 1) & 3);
	}
	if (!before) {
		return;
	}
	put_head(buf, RECORD_BEFORE, BEFORE_WORDS * sizeof(word));
	for (size_t i = 0; i < BEFORE_WORDS; i++) {
		hs_put_le64(word, i < HS_GPR_COUNT ? before->gpr[i] : i == HS_GPR_COUNT ? before->rip : before->rflags);
		hs_buf_append(buf, word, sizeof(word));
	}
}

static enum hs_status take_log(const uint8_t *bytes, size_t length, struct hs_history *ret, struct hs_error *err)
{
	if (ret->log || length == 0 || length > LOG_BYTES_MAX || bytes[length - 1] != '\0') {
		return HS_OK;
	}
	ret->log = strdup((const char *)bytes);
	return ret->log ? HS_OK : hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for what is in a core");
}

static void take_before(const uint8_t *bytes, size_t length, struct hs_history *ret)
{
	if (length != BEFORE_WORDS * 8) {
		return;
	}
	for (size_t i = 0; i < HS_GPR_COUNT; i++) {
		ret->before.gpr[i] = hs_get_le64(bytes + i * 8);
	}
	ret->before.rip = hs_get_le64(bytes + HS_GPR_COUNT * 8);
	ret->before.rflags = hs_get_le64(bytes + (HS_GPR_COUNT + 1) * 8);
	ret->has_before = true;
}

static enum hs_status take_records(const uint8_t *bytes, size_t length, struct hs_history *ret, struct hs_error *err)
{
	enum hs_status st = HS_OK;

	if (length < 4 || hs_get_le32(bytes) != VERSION) {
		return HS_OK;
	}
	for (size_t at = 4; !st && length - at >= 8;) {
		uint32_t kind = hs_get_le32(bytes + at);
		size_t size = hs_get_le32(bytes + at + 4);

		at += 8;
		if (size > length - at) {
			return HS_OK;
		}
		if (kind == RECORD_LOG) {
			st = take_log(bytes + at, size, ret, err);
		} else if (kind == RECORD_BEFORE) {
			take_before(bytes + at, size, ret);
		}
		size += -size & 3;
		at += size < length - at ? size : length - at;
	}
	return st;
}

enum hs_status hs_history_note_get(const struct hs_core *core, struct hs_history *ret, struct hs_error *err)
{
	const struct hs_core_info *info = hs_core_info(core);

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; info->notes_sum == HS_CORE_SUM_GOOD && i < info->note_count; i++) {
		const struct hs_core_note *note = hs_core_note(core, i);

		if (note->type == HS_VMNOTE_HISTORY && strcmp(note->name, HS_VMNOTE_NAME) == 0) {
			return take_records(hs_core_note_bytes(core, i), note->length, ret, err);
		}
	}
	return HS_OK;
}
