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
	/* What is stored whole. When written: the plan's extents that are marked so, and where its data begins. */
	const struct hs_core_extent *extents;
	size_t extent_count;
	uint64_t data_offset;
	/* When read: records of HS_VMNOTE_STORED_BYTES for hs_vmnote_stored(), which lie within the descriptor. */
	const uint8_t *stored;
	size_t stored_count;
};

#define HS_VMNOTE_STORED_BYTES 32u

/** The record of a root: what hs_vmnote_root_get() takes. */
#define HS_VMNOTE_ROOT_BYTES 16u
void hs_vmnote_root_put(const struct hs_root *root, uint8_t ret[HS_VMNOTE_ROOT_BYTES]);
/** False for no paging format that is known; *ret is untouched then. */
bool hs_vmnote_root_get(const uint8_t bytes[HS_VMNOTE_ROOT_BYTES], struct hs_root *ret);

/** Append the descriptor. */
void hs_vmnote_put(struct hs_buf *buf, const struct hs_vmnote *note);
/** One of note->stored; nothing has been checked. */
struct hs_core_stored hs_vmnote_stored(const struct hs_vmnote *note, size_t index);
/** Read a descriptor; HS_ERR_FORMAT for a broken one, HS_ERR_UNSUPPORTED for one of another version. */
HS_MUST_CHECK enum hs_status hs_vmnote_get(const uint8_t *desc, size_t length, struct hs_vmnote *ret,
					   struct hs_error *err);

#endif
