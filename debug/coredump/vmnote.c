/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records of the HINDSIGHT note. See vmnote.h. */
#include "coredump/vmnote.h"

#include "base/bytes.h"
#include "base/error.h"

#include <string.h>

enum record_kind {
	RECORD_PRODUCER = 1,    /* text with its NUL */
	RECORD_REASON_NAME = 2, /* text with its NUL */
	RECORD_REASON = 3,      /* text with its NUL */
	RECORD_WALK = 4,        /* u64: flags (bit 0: partial), reached, bad tables, unbacked bytes */
	RECORD_ROOT = 5,        /* u32 format, u32 bits (0 PSE, 1 NXE, 2 WP, 8..15 MAXPHYADDR), u64 base */
	RECORD_STORED = 6,      /* for each piece: u64 gpa, bytes, file offset; u32 checksum, u32 0 */
	RECORD_SPACES = 7,      /* u32 count, u32 which is the PT_LOADs; for each its root, u64 flags (bit 0: partial),
				 * u64 reached, u64 count of segments, and those: u64 gva, u64 bytes | enum hs_prot, u64
				 * gpa, u64 file offset */
};

enum { WALK_BYTES = 32, SPACES_HEAD_BYTES = 8, SPACE_HEAD_BYTES = HS_VMNOTE_ROOT_BYTES + 24 };

static void put_record(struct hs_buf *buf, uint32_t kind, const void *bytes, size_t length)
{
	static const uint8_t zeros[4];
	uint8_t header[8];

	hs_put_le32(header, kind);
	hs_put_le32(header + 4, (uint32_t)length);
	hs_buf_append(buf, header, sizeof(header));
	hs_buf_append(buf, bytes, length);
	hs_buf_append(buf, zeros, -length & 3);
}

static void put_text(struct hs_buf *buf, uint32_t kind, const char *text)
{
	put_record(buf, kind, text, strlen(text) + 1);
}

void hs_vmnote_root_put(const struct hs_root *root, uint8_t ret[HS_VMNOTE_ROOT_BYTES])
{
	uint32_t bits = (root->pse ? 1u : 0u) | (root->nxe ? 2u : 0u) | (root->wp ? 4u : 0u) | (root->smep ? 8u : 0u) |
			(root->smap ? 16u : 0u) | (uint32_t)root->maxphyaddr << 8;

	hs_put_le32(ret, root->format);
	hs_put_le32(ret + 4, bits);
	hs_put_le64(ret + 8, root->base.v);
}

static void put_root(struct hs_buf *buf, const struct hs_root *root)
{
	uint8_t bytes[HS_VMNOTE_ROOT_BYTES];

	hs_vmnote_root_put(root, bytes);
	put_record(buf, RECORD_ROOT, bytes, sizeof(bytes));
}

/** The record's length is known when all of it is there. */
static void put_stored(struct hs_buf *buf, const struct hs_vmnote *note)
{
	size_t start = buf->length;
	uint8_t bytes[HS_VMNOTE_STORED_BYTES] = { 0 };

	put_record(buf, RECORD_STORED, NULL, 0);
	for (size_t i = 0; i < note->plan->extent_count; i++) {
		const struct hs_core_extent *extent = &note->plan->extents[i];

		if (extent->whole) {
			hs_put_le64(bytes, extent->gpa);
			hs_put_le64(bytes + 8, extent->length);
			hs_put_le64(bytes + 16, note->data_offset + extent->offset);
			hs_put_le32(bytes + 24, extent->sum);
			hs_buf_append(buf, bytes, sizeof(bytes));
		}
	}
	if (buf->failed) {
		return;
	}
	if (buf->length == start + 8) {
		buf->length = start;
	} else {
		hs_put_le32(buf->data + start + 4, (uint32_t)(buf->length - start - 8));
	}
}

static void put_segments(struct hs_buf *buf, const struct hs_vmnote *note, const struct hs_core_plan_space *space)
{
	uint8_t bytes[HS_VMNOTE_SEGMENT_BYTES];

	for (size_t i = 0; i < space->count; i++) {
		const struct hs_core_segment *segment = &note->plan->segments[space->first + i];

		hs_put_le64(bytes, segment->start.v);
		hs_put_le64(bytes + 8, segment->length | (uint64_t)segment->prot);
		hs_put_le64(bytes + 16, segment->gpa.v);
		hs_put_le64(bytes + 24, note->data_offset + segment->offset);
		hs_buf_append(buf, bytes, sizeof(bytes));
	}
}

/** Nothing for one space: that is the root and the PT_LOADs. The primary's segments are the PT_LOADs, too. */
static void put_spaces(struct hs_buf *buf, const struct hs_vmnote *note)
{
	const struct hs_core_plan *plan = note->plan;
	size_t start = buf->length;
	uint8_t head[SPACES_HEAD_BYTES], bytes[SPACE_HEAD_BYTES];

	if (plan->space_count < 2) {
		return;
	}
	hs_put_le32(head, (uint32_t)plan->space_count);
	hs_put_le32(head + 4, (uint32_t)plan->primary);
	put_record(buf, RECORD_SPACES, head, sizeof(head));
	for (size_t i = 0; i < plan->space_count; i++) {
		const struct hs_core_plan_space *space = &plan->spaces[i];

		hs_vmnote_root_put(&space->root, bytes);
		hs_put_le64(bytes + 16, space->partial);
		hs_put_le64(bytes + 24, space->reached);
		hs_put_le64(bytes + 32, i == plan->primary ? 0 : space->count);
		hs_buf_append(buf, bytes, sizeof(bytes));
		if (i != plan->primary) {
			put_segments(buf, note, space);
		}
	}
	if (!buf->failed) {
		hs_put_le32(buf->data + start + 4, (uint32_t)(buf->length - start - 8));
	}
}

struct hs_core_segment hs_vmnote_segment(const struct hs_vmnote_space *space, size_t index)
{
	const uint8_t *bytes = space->segments + index * HS_VMNOTE_SEGMENT_BYTES;
	uint64_t length = hs_get_le64(bytes + 8);

	return (struct hs_core_segment){
		.start = { hs_get_le64(bytes) },
		.length = length & ~(uint64_t)(HS_PAGE_SIZE - 1),
		.gpa = { hs_get_le64(bytes + 16) },
		.offset = hs_get_le64(bytes + 24),
		.stored_length = length & ~(uint64_t)(HS_PAGE_SIZE - 1),
		.prot = (int)(length & (HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC)),
	};
}

struct hs_core_stored hs_vmnote_stored(const struct hs_vmnote *note, size_t index)
{
	const uint8_t *bytes = note->stored + index * HS_VMNOTE_STORED_BYTES;

	return (struct hs_core_stored){
		.gpa = { hs_get_le64(bytes) },
		.length = hs_get_le64(bytes + 8),
		.offset = hs_get_le64(bytes + 16),
		.sum = hs_get_le32(bytes + 24),
	};
}

void hs_vmnote_put(struct hs_buf *buf, const struct hs_vmnote *note)
{
	uint8_t version[4], walk[WALK_BYTES];

	hs_put_le32(version, HS_VMNOTE_VERSION);
	hs_buf_append(buf, version, sizeof(version));
	put_text(buf, RECORD_PRODUCER, note->producer);
	put_text(buf, RECORD_REASON_NAME, note->reason_name);
	put_text(buf, RECORD_REASON, note->reason);
	hs_put_le64(walk, note->partial);
	hs_put_le64(walk + 8, note->reached);
	hs_put_le64(walk + 16, note->bad_tables);
	hs_put_le64(walk + 24, note->unbacked_bytes);
	put_record(buf, RECORD_WALK, walk, sizeof(walk));
	if (note->has_root) {
		put_root(buf, &note->root);
	}
	put_stored(buf, note);
	put_spaces(buf, note);
}

static enum hs_status broken(struct hs_error *err, const char *what)
{
	return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "broken core: HINDSIGHT note: %s", what);
}

static enum hs_status get_text(const uint8_t *bytes, size_t length, const char **ret, struct hs_error *err)
{
	if (length == 0 || memchr(bytes, 0, length) != bytes + length - 1) {
		return broken(err, "a text that does not end in its one NUL");
	}
	*ret = (const char *)bytes;
	return HS_OK;
}

bool hs_vmnote_root_get(const uint8_t bytes[HS_VMNOTE_ROOT_BYTES], struct hs_root *ret)
{
	uint32_t bits = hs_get_le32(bytes + 4);

	if (hs_get_le32(bytes) >= HS_PAGING_FORMAT_COUNT) {
		return false;
	}
	*ret = (struct hs_root){
		.format = (enum hs_paging_format)hs_get_le32(bytes),
		.base = hs_gpa_of(hs_get_le64(bytes + 8)),
		.pse = bits & 1,
		.nxe = bits & 2,
		.wp = bits & 4,
		.smep = bits & 8,
		.smap = bits & 16,
		.maxphyaddr = (uint8_t)(bits >> 8),
	};
	return true;
}

static enum hs_status get_root(const uint8_t *bytes, size_t length, struct hs_vmnote *note, struct hs_error *err)
{
	if (length < HS_VMNOTE_ROOT_BYTES || !hs_vmnote_root_get(bytes, &note->root)) {
		return broken(err, "a root of no known paging format");
	}
	note->has_root = true;
	return HS_OK;
}

enum hs_status hs_vmnote_space(const struct hs_vmnote *note, size_t *at, struct hs_vmnote_space *ret,
			       struct hs_error *err)
{
	const uint8_t *bytes = note->spaces + *at;
	size_t left = note->spaces_length - *at;
	struct hs_vmnote_space space = { 0 };

	if (left < SPACE_HEAD_BYTES || hs_get_le64(bytes + 32) > (left - SPACE_HEAD_BYTES) / HS_VMNOTE_SEGMENT_BYTES) {
		return broken(err, "fewer address spaces than it promises");
	}
	space.has_root = hs_vmnote_root_get(bytes, &space.root);
	space.partial = hs_get_le64(bytes + 16) & 1;
	space.reached = hs_get_le64(bytes + 24);
	space.count = (size_t)hs_get_le64(bytes + 32);
	space.segments = bytes + SPACE_HEAD_BYTES;
	*at += SPACE_HEAD_BYTES + space.count * HS_VMNOTE_SEGMENT_BYTES;
	*ret = space;
	return HS_OK;
}

static enum hs_status get_spaces(const uint8_t *bytes, size_t length, struct hs_vmnote *note, struct hs_error *err)
{
	if (length < SPACES_HEAD_BYTES) {
		return broken(err, "a short record of the address spaces");
	}
	note->space_count = hs_get_le32(bytes);
	note->primary = hs_get_le32(bytes + 4);
	note->spaces = bytes + SPACES_HEAD_BYTES;
	note->spaces_length = length - SPACES_HEAD_BYTES;
	if (note->primary >= note->space_count || note->space_count > note->spaces_length / SPACE_HEAD_BYTES) {
		return broken(err, "fewer address spaces than it promises");
	}
	return HS_OK;
}

static enum hs_status get_record(uint32_t kind, const uint8_t *bytes, size_t length, struct hs_vmnote *note,
				 struct hs_error *err)
{
	switch (kind) {
	case RECORD_PRODUCER:
		return get_text(bytes, length, &note->producer, err);
	case RECORD_REASON_NAME:
		return get_text(bytes, length, &note->reason_name, err);
	case RECORD_REASON:
		return get_text(bytes, length, &note->reason, err);
	case RECORD_ROOT:
		return get_root(bytes, length, note, err);
	case RECORD_WALK:
		if (length < WALK_BYTES) {
			return broken(err, "a short record of the walk");
		}
		note->partial = hs_get_le64(bytes) & 1;
		note->reached = hs_get_le64(bytes + 8);
		note->bad_tables = hs_get_le64(bytes + 16);
		note->unbacked_bytes = hs_get_le64(bytes + 24);
		return HS_OK;
	case RECORD_STORED:
		note->stored = bytes;
		note->stored_count = length / HS_VMNOTE_STORED_BYTES;
		return HS_OK;
	case RECORD_SPACES:
		return get_spaces(bytes, length, note, err);
	default:
		return HS_OK;
	}
}

enum hs_status hs_vmnote_get(const uint8_t *desc, size_t length, struct hs_vmnote *ret, struct hs_error *err)
{
	struct hs_vmnote note = { .producer = "", .reason_name = "", .reason = "" };
	size_t at = 4;

	if (length < 4) {
		return broken(err, "no version");
	}
	if (hs_get_le32(desc) != HS_VMNOTE_VERSION) {
		return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, 0,
				    "HINDSIGHT note of version %u, this program knows %u (use a newer one)",
				    (unsigned int)hs_get_le32(desc), HS_VMNOTE_VERSION);
	}
	while (length - at >= 8) {
		uint32_t kind = hs_get_le32(desc + at);
		size_t bytes = hs_get_le32(desc + at + 4);

		at += 8;
		if (bytes > length - at) {
			return broken(err, "a record longer than the note");
		}
		enum hs_status st = get_record(kind, desc + at, bytes, &note, err);

		if (st) {
			return st;
		}
		at += bytes;
		at += (-bytes & 3) < length - at ? -bytes & 3 : length - at;
	}
	*ret = note;
	return HS_OK;
}
