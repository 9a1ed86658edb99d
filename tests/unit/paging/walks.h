/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole walks over hostile tables, counted; and the tables that are hostile in every format. */
#ifndef HS_TESTS_PAGING_WALKS_H
#define HS_TESTS_PAGING_WALKS_H

#include "shape.h"

#include <hindsight/spaces.h>

/** What a walk came to. */
struct walk_count {
	enum hs_status status; /* at the end */
	uint64_t where;        /* of the error */
	uint32_t space;
	uint64_t ranges, tables, aliases; /* items; without hs_spaces all are ranges */
	uint64_t visited; /* host pointers asked for: one a table where each table is whole, in one region */
};

/** Walk all of a root with hs_iter, of roots with hs_spaces, and for who maps [gpa, gpa + length) with hs_reverse. */
struct walk_count walk_iter(struct ram *ram, const struct hs_root *root, struct hs_budget budget);
struct walk_count walk_spaces(struct ram *ram, const struct hs_root *roots, uint32_t count, size_t places_count,
			      struct hs_budget budget);
struct walk_count walk_reverse(struct ram *ram, const struct hs_root *roots, uint32_t count, uint64_t gpa,
			       uint64_t length, struct hs_budget budget);

/** Most places for tables that walk_spaces() has. */
#define WALK_PLACES 4096

/** Tables that lead back, from WALK_ROOT on. Every address of the format reaches the last level. */
enum tangle {
	TANGLE_SELF,    /* one table, all of whose entries name it */
	TANGLE_CYCLE,   /* two, all of whose entries name the other */
	TANGLE_FAN_OUT, /* a table a level, all of whose entries name the next one; the last one's a page */
	TANGLE_HOLLOW,  /* the same, the last one empty: no range ever comes */
	TANGLE_COUNT,
};

#define WALK_ROOT 0x1000
#define WALK_PAGES 16 /* of memory from there on */

/** Zero the memory and put such tables there. */
void tangle_put(struct ram *ram, const struct shape *shape, enum tangle tangle);

#endif
