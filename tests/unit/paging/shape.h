/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The shape of each format with tables, from the SDM (vol. 3A 4.3 to 4.5) and the Arm ARM (D8), not from the code. */
#ifndef HS_TESTS_PAGING_SHAPE_H
#define HS_TESTS_PAGING_SHAPE_H

#include "ram.h"

#define SHAPES 5
#define SHAPES_X86 4 /* the first of them, for tests of bits that x86 alone has there */

struct shape {
	enum hs_paging_format format;
	unsigned int levels, bytes;            /* of an entry */
	unsigned int large_first, large_count; /* depths that have large leaves */
	unsigned int shifts[HS_PAGING_LEVELS_MAX];
	uint64_t address; /* of the tables that an entry can name */
};

extern const struct shape shapes[SHAPES];

/** Whether its addresses are two halves with a gap between them. */
bool shape_has_halves(const struct shape *shape);
/** Entries of a table at depth. */
unsigned int shape_entries(const struct shape *shape, unsigned int depth);
/** An entry of the table at depth, its last one a leaf, that lets everything through. */
uint64_t shape_entry(const struct shape *shape, unsigned int depth, uint64_t gpa);
/** The address that the entry at index of the table at depth decides about, all tables above by their first. */
uint64_t shape_gva(const struct shape *shape, unsigned int depth, uint64_t index);
/** Fill entries [first, end) of the table at depth with the one entry. */
void shape_fill(struct ram *ram, const struct shape *shape, unsigned int depth, uint64_t table, unsigned int first,
		unsigned int end, uint64_t gpa);

#endif
