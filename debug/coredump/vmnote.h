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

#include <hindsight/coredump.h>

#define HS_VMNOTE_NAME "HINDSIGHT"
/* "HS" in the upper half: readers look at some small types without looking at the name (BFD, elfcore_grok_note). */
#define HS_VMNOTE_FACTS 0x48530001
#define HS_VMNOTE_VERSION 1

/** What the note holds. Strings are not NULL. When read, they are borrowed from the descriptor, and NUL-terminated. */
struct hs_vmnote {
	const char *producer, *reason_name, *reason;
	bool partial;
	uint64_t reached, bad_tables, unbacked_bytes;
	bool has_root;
	struct hs_root root;
};

/** Append the descriptor. */
void hs_vmnote_put(struct hs_buf *buf, const struct hs_vmnote *note);
/** Read a descriptor; HS_ERR_FORMAT for a broken one, HS_ERR_UNSUPPORTED for one of another version. */
HS_MUST_CHECK enum hs_status hs_vmnote_get(const uint8_t *desc, size_t length, struct hs_vmnote *ret,
					   struct hs_error *err);

#endif
