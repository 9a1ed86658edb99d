/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the functions of one unit are, sorted by address, so that a lookup does not go through all of them. */
#ifndef HS_SYMBOLS_DWARF_INDEX_H
#define HS_SYMBOLS_DWARF_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A range of a function's code: [start, end). */
struct hs_dwarf_code {
	uint64_t start, end;
	uint64_t die; /* of the function: its offset in .debug_info */
};

/** Owns its array; all zero is an empty one. */
struct hs_dwarf_index {
	uint64_t unit; /* its DIE, for the user */
	struct hs_dwarf_code *items;
	size_t count, capacity;
};

/** False when there is no memory. A range that is empty is left out. */
bool hs_dwarf_index_add(struct hs_dwarf_index *index, struct hs_dwarf_code code);
/** Sort, once all is added and before the first lookup. */
void hs_dwarf_index_sort(struct hs_dwarf_index *index);
/** The range that contains address, or NULL: of several the one that begins last, of those the DIE that comes first. */
const struct hs_dwarf_code *hs_dwarf_index_at(const struct hs_dwarf_index *index, uint64_t address);
void hs_dwarf_index_deinit(struct hs_dwarf_index *index);

#endif
