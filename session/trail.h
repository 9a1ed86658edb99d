/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The last things that a guest did with its host, for the report of its crash: what it logged, what it was called for
 * and what it called. Taking note costs a copy of a few words; text is made when somebody asks.
 */
#ifndef HS_SESSION_TRAIL_H
#define HS_SESSION_TRAIL_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

enum hs_trail_kind {
	HS_TRAIL_CALL,      /* the host called a function of the guest */
	HS_TRAIL_HOST_CALL, /* the guest called one of the host */
	HS_TRAIL_LOG,       /* the guest logged at a level */
	HS_TRAIL_RESTORE,   /* a snapshot was put back: all before it was another life */
};

#define HS_TRAIL_ENTRIES 32u
#define HS_TRAIL_TEXT_MAX 120u

struct hs_trail_entry {
	uint8_t kind, level, length;
	char text[HS_TRAIL_TEXT_MAX];
};

/** All zero is an empty one. */
struct hs_trail {
	uint64_t count; /* ever noted */
	struct hs_trail_entry entries[HS_TRAIL_ENTRIES];
};

/** Take note. What is longer than HS_TRAIL_TEXT_MAX is cut. level is for a log. */
void hs_trail_note(struct hs_trail *trail, enum hs_trail_kind kind, uint32_t level, const char *text, size_t length);

/** Append a line for each entry of this life, oldest first: "call add", "host call print", "warning: text". */
void hs_trail_text(const struct hs_trail *trail, struct hs_buf *out);

#endif
