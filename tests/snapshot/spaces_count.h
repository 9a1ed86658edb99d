/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much address spaces have in common, in numbers that a move of all of it does not change. */
#ifndef HS_TESTS_SNAPSHOT_SPACES_COUNT_H
#define HS_TESTS_SNAPSHOT_SPACES_COUNT_H

#include <hindsight/spaces.h>

#include <stdbool.h>

struct sharing {
	uint64_t tables, table_aliases; /* and how often one that was reached already is reached again */
	uint64_t pages, frames;         /* pages of 4 KiB that the tables map, each table once, and where these lead */
	uint64_t shared_frames;         /* that more than one of these pages leads to */
	uint64_t writable, constant;    /* pages that their owner may write to, in a copy or at once, and others */
	uint64_t user, large;           /* pages for ring 3; parts of large pages */
};

/* Leaves the window onto scratch out. @return false where the tables cannot be read */
bool count_sharing(const struct hs_phys *phys, const struct hs_root *roots, uint32_t count, hs_gva window,
		   uint64_t window_bytes, struct sharing *ret);
/* @return false, with both printed, when they differ */
bool same_sharing(const struct sharing *one, const struct sharing *other, const char *where);

#endif
