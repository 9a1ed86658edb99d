/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Source lines out of DWARF: the line tables of all units as one sorted array. */
#ifndef HS_SYMBOLS_DWARF_LINES_H
#define HS_SYMBOLS_DWARF_LINES_H

#include <hindsight/error.h>

#include <stddef.h>
#include <stdint.h>

/** From this address on, up to the next row, code is of this line. */
struct hs_dwarf_row {
	uint64_t address;
	uint32_t line;  /* 0: no line; also what ends a sequence */
	uint32_t file;  /* index of files[] */
	uint32_t order; /* in which the rows were read */
};

/** Owns its arrays and the names. */
struct hs_dwarf_lines {
	struct hs_dwarf_row *rows; /* ascending by address, then by order */
	size_t row_count;
	char **files;
	size_t file_count;
};

/**
 * Read all lines. fd's position may move. A unit that cannot be read is left out: no DWARF at all is an empty result.
 * HS_ERR_NOMEM is the only failure.
 */
HS_MUST_CHECK enum hs_status hs_dwarf_lines_init(int fd, const char *name, struct hs_dwarf_lines *ret,
						 struct hs_error *err);
void hs_dwarf_lines_deinit(struct hs_dwarf_lines *lines);

/** The row that covers address, or NULL. */
const struct hs_dwarf_row *hs_dwarf_row_at(const struct hs_dwarf_lines *lines, uint64_t address);

#endif
