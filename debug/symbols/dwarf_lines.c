/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of line tables, sorted and searched. See dwarf_lines.h. */
#include "symbols/dwarf_lines.h"

#include <stdlib.h>
#include <string.h>

/** Most rows, files and units that are kept; a Linux kernel with debug information has some ten million rows. */
#define ROWS_MAX (1u << 25)
#define FILES_MAX (1u << 20)
#define UNITS_MAX (1u << 20)

/** Grow an array to hold one more; the new array, or NULL when there is no memory or max is reached. */
static void *grow(void *items, size_t count, size_t *capacity, size_t max, size_t item_bytes)
{
	if (count < *capacity) {
		return items;
	}
	size_t larger_capacity = 2 * *capacity + 64;
	void *larger = larger_capacity <= max ? reallocarray(items, larger_capacity, item_bytes) : NULL;

	if (larger != NULL) {
		*capacity = larger_capacity;
	}
	return larger;
}

bool hs_dwarf_lines_add_unit(struct hs_dwarf_lines *lines, uint64_t die)
{
	struct hs_dwarf_unit *units =
		grow(lines->units, lines->unit_count, &lines->unit_capacity, UNITS_MAX, sizeof(*units));

	if (units == NULL) {
		return false;
	}
	lines->units = units;
	units[lines->unit_count++] = (struct hs_dwarf_unit){ die, (uint32_t)lines->row_count };
	return true;
}

bool hs_dwarf_lines_add_row(struct hs_dwarf_lines *lines, uint64_t address, uint32_t line, uint32_t file)
{
	struct hs_dwarf_row *rows = grow(lines->rows, lines->row_count, &lines->row_capacity, ROWS_MAX, sizeof(*rows));

	if (rows == NULL) {
		return false;
	}
	lines->rows = rows;
	rows[lines->row_count] = (struct hs_dwarf_row){ address, line, file, (uint32_t)lines->row_count };
	lines->row_count++;
	return true;
}

/* Units share few names, so they are not searched for. */
bool hs_dwarf_lines_add_file(struct hs_dwarf_lines *lines, const char *name, uint32_t *ret)
{
	char **files = grow(lines->files, lines->file_count, &lines->file_capacity, FILES_MAX, sizeof(*files));

	if (files == NULL) {
		return false;
	}
	lines->files = files;
	files[lines->file_count] = strdup(name);
	if (files[lines->file_count] == NULL) {
		return false;
	}
	*ret = (uint32_t)lines->file_count++;
	return true;
}

static int compare_rows(const void *left, const void *right)
{
	const struct hs_dwarf_row *a = left, *b = right;

	if (a->address != b->address) {
		return a->address < b->address ? -1 : 1;
	}
	/* The end of one sequence stands before the start of the next. */
	if ((a->line == 0) != (b->line == 0)) {
		return a->line == 0 ? -1 : 1;
	}
	return a->order < b->order ? -1 : a->order > b->order;
}

void hs_dwarf_lines_sort(struct hs_dwarf_lines *lines)
{
	if (lines->row_count > 0) {
		qsort(lines->rows, lines->row_count, sizeof(*lines->rows), compare_rows);
	}
}

void hs_dwarf_lines_deinit(struct hs_dwarf_lines *lines)
{
	for (size_t i = 0; i < lines->file_count; i++) {
		free(lines->files[i]);
	}
	free(lines->files);
	free(lines->rows);
	free(lines->units);
	*lines = (struct hs_dwarf_lines){ 0 };
}

/** The last row at or before address, or NULL. */
static const struct hs_dwarf_row *last_row(const struct hs_dwarf_lines *lines, uint64_t address)
{
	size_t low = 0, high = lines->row_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (lines->rows[middle].address <= address) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low > 0 ? &lines->rows[low - 1] : NULL;
}

const struct hs_dwarf_row *hs_dwarf_row_at(const struct hs_dwarf_lines *lines, uint64_t address)
{
	const struct hs_dwarf_row *row = last_row(lines, address);

	return row != NULL && row->line != 0 ? row : NULL;
}

const struct hs_dwarf_unit *hs_dwarf_unit_at(const struct hs_dwarf_lines *lines, uint64_t address)
{
	const struct hs_dwarf_row *row = last_row(lines, address);
	size_t low = 0, high = row != NULL ? lines->unit_count : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (lines->units[middle].first_order <= row->order) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low > 0 ? &lines->units[low - 1] : NULL;
}
