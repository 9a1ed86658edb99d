/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The note that only we write: what a core knows beyond what Linux's notes can say.
 *
 * Name "HINDSIGHT", type HS_VMNOTE_FACTS. Descriptor, all little-endian: u32 version, then records {u32 kind, u32
 * length, length bytes, zeros up to a multiple of 4}. A reader skips kinds that it does not know, so new kinds need
 * no new version; docs/cores.md lists them.
 */
#ifndef HS_COREDUMP_VMNOTE_H
#define HS_COREDUMP_VMNOTE_H

#include "base/buf.h"
#include "coredump/plan.h"

#include <hindsight/coredump.h>

#define HS_VMNOTE_NAME "HINDSIGHT"
/* "HS" in the upper half: readers look at some small types without looking at the name (BFD, elfcore_grok_note). */
#define HS_VMNOTE_FACTS 0x48530001
/* What it takes to go on from a core (session/snapshot_note.h). */
#define HS_VMNOTE_SNAPSHOT 0x48530003
/* What went before (session/history_note.h). */
#define HS_VMNOTE_HISTORY 0x48530004
/* u32: CRC-32C of all notes before this one. The last of the notes. */
#define HS_VMNOTE_SUM 0x48530002
#define HS_VMNOTE_VERSION 1

/** What the note holds. Strings are not NULL. When read, they are borrowed from the descriptor, and NUL-terminated. */
struct hs_vmnote {
	const char *producer, *reason_name, *reason;
	bool partial;
	uint64_t reached, bad_tables, unbacked_bytes;
	bool has_root;
	struct hs_root root;
	/* When written: what is stored whole are the plan's extents that are marked so; where its data begins. */
	uint64_t data_offset;
	/* All address spaces, when there are several. When written: the plan that has them. */
	const struct hs_core_plan *plan;
	/* When read: their number, which is the primary, and what hs_vmnote_space() takes. */
	uint32_t space_count, primary;
	const uint8_t *spaces;
	size_t spaces_length;
	/* When read: records of HS_VMNOTE_STORED_BYTES for hs_vmnote_stored(), which lie within the descriptor. */
	const uint8_t *stored;
	size_t stored_count;
};

#define HS_VMNOTE_STORED_BYTES 32u
#define HS_VMNOTE_SEGMENT_BYTES 32u

/** The record of a root: what hs_vmnote_root_get() takes. */
#define HS_VMNOTE_ROOT_BYTES 16u
void hs_vmnote_root_put(const struct hs_root *root, uint8_t ret[HS_VMNOTE_ROOT_BYTES]);
/** False for no paging format that is known; *ret is untouched then. */
bool hs_vmnote_root_get(const uint8_t bytes[HS_VMNOTE_ROOT_BYTES], struct hs_root *ret);

/** One address space, as the record of spaces has it. Nothing but the lengths has been checked. */
struct hs_vmnote_space {
	struct hs_root root;
	bool partial, has_root; /* has_root: of a paging format that is known */
	uint64_t reached;
	const uint8_t *segments; /* for hs_vmnote_segment() */
	size_t count;
};

/**
 * The next space of a record: *at moves behind it.
 *
 * @param at  0 at first; it is within note->spaces_length
 */
HS_MUST_CHECK enum hs_status hs_vmnote_space(const struct hs_vmnote *note, size_t *at, struct hs_vmnote_space *ret,
					     struct hs_error *err);
/** A segment of a space, below its count; offset is that in the file. */
struct hs_core_segment hs_vmnote_segment(const struct hs_vmnote_space *space, size_t index);

/** Append the descriptor. */
void hs_vmnote_put(struct hs_buf *buf, const struct hs_vmnote *note);
/** One of note->stored; nothing has been checked. */
struct hs_core_stored hs_vmnote_stored(const struct hs_vmnote *note, size_t index);
/** Read a descriptor; HS_ERR_FORMAT for a broken one, HS_ERR_UNSUPPORTED for one of another version. */
HS_MUST_CHECK enum hs_status hs_vmnote_get(const uint8_t *desc, size_t length, struct hs_vmnote *ret,
					   struct hs_error *err);

#endif
