/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Source lines as plain data: the line tables of all units as one sorted array. */
#ifndef HS_SYMBOLS_DWARF_LINES_H
#define HS_SYMBOLS_DWARF_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** From this address on, up to the next row, code is of this line. */
struct hs_dwarf_row {
	uint64_t address;
	uint32_t line;  /* 0: no line; also what ends a sequence */
	uint32_t file;  /* index of files[] */
	uint32_t order; /* in which the rows were read */
};

/** A unit: its rows are those read from first_order on, up to the next unit. */
struct hs_dwarf_unit {
	uint64_t die; /* offset of its first DIE in .debug_info */
	uint32_t first_order;
};

/** Owns its arrays and the names. */
struct hs_dwarf_lines {
	struct hs_dwarf_row *rows; /* ascending by address, then by order, once sorted */
	size_t row_count, row_capacity;
	char **files;
	size_t file_count, file_capacity;
	struct hs_dwarf_unit *units; /* ascending */
	size_t unit_count, unit_capacity;
};

/** Add what was read: a unit, then its files and rows. False when there is no memory. */
bool hs_dwarf_lines_add_unit(struct hs_dwarf_lines *lines, uint64_t die);
bool hs_dwarf_lines_add_row(struct hs_dwarf_lines *lines, uint64_t address, uint32_t line, uint32_t file);
bool hs_dwarf_lines_add_file(struct hs_dwarf_lines *lines, const char *name, uint32_t *ret);
/** To be called once all are in. */
void hs_dwarf_lines_sort(struct hs_dwarf_lines *lines);
void hs_dwarf_lines_deinit(struct hs_dwarf_lines *lines);

/** The row that covers address, or NULL. */
const struct hs_dwarf_row *hs_dwarf_row_at(const struct hs_dwarf_lines *lines, uint64_t address);
/** The unit whose code is at address, as far as rows tell, whether there is a line or not; or NULL. */
const struct hs_dwarf_unit *hs_dwarf_unit_at(const struct hs_dwarf_lines *lines, uint64_t address);

#endif
