/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The line tables of an image. This is the one file that includes libdwarf, whose interface changed with version 0.1:
 * HS_LIBDWARF_ACCESS (set by meson) says that it is the older one.
 */
#include "symbols/dwarf_lines.h"

#include "base/error.h"

#ifdef HS_LIBDWARF_ACCESS
#include <libdwarf/libdwarf.h>
#else
#include <libdwarf.h>
#endif

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/** Most rows and files that are kept; a Linux kernel with debug information has some ten million rows. */
#define ROWS_MAX (1u << 25)
#define FILES_MAX (1u << 20)

/** Files of one unit whose index is remembered by number; those beyond are looked up each time. */
#define UNIT_FILES 1024u

/** An image while it is read. */
struct reading {
	Dwarf_Debug dwarf;
	const char *name; /* of the file */
	struct hs_dwarf_lines lines;
	size_t row_capacity, file_capacity;
	uint32_t unit_files[UNIT_FILES]; /* index + 1 by the unit's file number; 0: not seen yet */
};

static enum hs_status no_memory(const struct reading *reading, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the source lines of %s", reading->name);
}

static int open_dwarf(int fd, Dwarf_Debug *ret)
{
	Dwarf_Error error = NULL;
#ifdef HS_LIBDWARF_ACCESS
	int result = dwarf_init_b(fd, DW_DLC_READ, DW_GROUPNUMBER_ANY, NULL, NULL, ret, &error);
#else
	int result = dwarf_init_b(fd, DW_GROUPNUMBER_ANY, NULL, NULL, ret, &error);
#endif

	if (result == DW_DLV_ERROR) {
		dwarf_dealloc_error(NULL, error);
	}
	return result;
}

static void close_dwarf(Dwarf_Debug dwarf)
{
#ifdef HS_LIBDWARF_ACCESS
	Dwarf_Error error = NULL;

	dwarf_finish(dwarf, &error);
#else
	dwarf_finish(dwarf);
#endif
}

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

static enum hs_status keep_row(struct reading *reading, uint64_t address, uint32_t line, uint32_t file,
			       struct hs_error *err)
{
	struct hs_dwarf_lines *lines = &reading->lines;
	struct hs_dwarf_row *rows =
		grow(lines->rows, lines->row_count, &reading->row_capacity, ROWS_MAX, sizeof(*rows));

	if (rows == NULL) {
		return no_memory(reading, err);
	}
	lines->rows = rows;
	rows[lines->row_count] = (struct hs_dwarf_row){ address, line, file, (uint32_t)lines->row_count };
	lines->row_count++;
	return HS_OK;
}

/** The index of a name that was read for the current unit. Units share few names, so they are not searched for. */
static enum hs_status keep_file(struct reading *reading, const char *name, uint32_t *ret, struct hs_error *err)
{
	struct hs_dwarf_lines *lines = &reading->lines;
	char **files = grow(lines->files, lines->file_count, &reading->file_capacity, FILES_MAX, sizeof(*files));

	if (files == NULL) {
		return no_memory(reading, err);
	}
	lines->files = files;
	files[lines->file_count] = strdup(name);
	if (files[lines->file_count] == NULL) {
		return no_memory(reading, err);
	}
	*ret = (uint32_t)lines->file_count++;
	return HS_OK;
}

/** The file of a row. libdwarf makes a full path of it, which is slow: once for each file of a unit is enough. */
static enum hs_status file_of(struct reading *reading, Dwarf_Line line, uint32_t *ret, struct hs_error *err)
{
	Dwarf_Unsigned number = 0;
	Dwarf_Error error = NULL;
	char *name = NULL;

	if (dwarf_line_srcfileno(line, &number, &error) != DW_DLV_OK) {
		number = UNIT_FILES;
	}
	if (number < UNIT_FILES && reading->unit_files[number] != 0) {
		*ret = reading->unit_files[number] - 1;
		return HS_OK;
	}
	bool named = dwarf_linesrc(line, &name, &error) == DW_DLV_OK;
	enum hs_status st = keep_file(reading, named ? name : "", ret, err);

	if (named) {
		dwarf_dealloc(reading->dwarf, name, DW_DLA_STRING);
	}
	if (st == HS_OK && number < UNIT_FILES) {
		reading->unit_files[number] = *ret + 1;
	}
	return st;
}

static enum hs_status read_row(struct reading *reading, Dwarf_Line line, struct hs_error *err)
{
	Dwarf_Addr address = 0;
	Dwarf_Unsigned number = 0;
	Dwarf_Bool ends = 0;
	Dwarf_Error error = NULL;
	uint32_t file = 0;

	if (dwarf_lineaddr(line, &address, &error) != DW_DLV_OK || dwarf_lineno(line, &number, &error) != DW_DLV_OK ||
	    dwarf_lineendsequence(line, &ends, &error) != DW_DLV_OK) {
		return HS_OK;
	}
	if (ends || number > UINT32_MAX) {
		number = 0;
	}
	enum hs_status st = number != 0 ? file_of(reading, line, &file, err) : HS_OK;

	return st ? st : keep_row(reading, address, (uint32_t)number, file, err);
}

/** The line table of one unit. */
static enum hs_status read_unit(struct reading *reading, Dwarf_Die die, struct hs_error *err)
{
	Dwarf_Unsigned version;
	Dwarf_Small tables;
	Dwarf_Line_Context context;
	Dwarf_Line *rows;
	Dwarf_Signed count = 0;
	Dwarf_Error error = NULL;
	enum hs_status st = HS_OK;

	if (dwarf_srclines_b(die, &version, &tables, &context, &error) != DW_DLV_OK) {
		return HS_OK;
	}
	memset(reading->unit_files, 0, sizeof(reading->unit_files));
	if (dwarf_srclines_from_linecontext(context, &rows, &count, &error) != DW_DLV_OK) {
		count = 0;
	}
	for (Dwarf_Signed i = 0; i < count && st == HS_OK; i++) {
		st = read_row(reading, rows[i], err);
	}
	dwarf_srclines_dealloc_b(context);
	return st;
}

static enum hs_status read_units(struct reading *reading, struct hs_error *err)
{
	Dwarf_Unsigned length, type_offset, next;
	Dwarf_Half version, address_bytes, offset_bytes, extension_bytes, unit_type;
	Dwarf_Off abbreviations;
	Dwarf_Sig8 signature;
	Dwarf_Error error = NULL;

	/* The loop ends: each call moves on in the section, and an error ends it. */
	while (dwarf_next_cu_header_d(reading->dwarf, 1, &length, &version, &abbreviations, &address_bytes,
				      &offset_bytes, &extension_bytes, &signature, &type_offset, &next, &unit_type,
				      &error) == DW_DLV_OK) {
		Dwarf_Die die = NULL;

		if (dwarf_siblingof_b(reading->dwarf, NULL, 1, &die, &error) != DW_DLV_OK) {
			continue;
		}
		enum hs_status st = read_unit(reading, die, err);

		dwarf_dealloc(reading->dwarf, die, DW_DLA_DIE);
		if (st) {
			return st;
		}
	}
	return HS_OK;
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

enum hs_status hs_dwarf_lines_init(int fd, const char *name, struct hs_dwarf_lines *ret, struct hs_error *err)
{
	struct reading reading = { .name = name };

	if (open_dwarf(fd, &reading.dwarf) != DW_DLV_OK) {
		*ret = reading.lines;
		return HS_OK;
	}
	enum hs_status st = read_units(&reading, err);

	close_dwarf(reading.dwarf);
	if (st) {
		hs_dwarf_lines_deinit(&reading.lines);
		return st;
	}
	if (reading.lines.row_count > 0) {
		qsort(reading.lines.rows, reading.lines.row_count, sizeof(*reading.lines.rows), compare_rows);
	}
	*ret = reading.lines;
	return HS_OK;
}

void hs_dwarf_lines_deinit(struct hs_dwarf_lines *lines)
{
	for (size_t i = 0; i < lines->file_count; i++) {
		free(lines->files[i]);
	}
	free(lines->files);
	free(lines->rows);
	*lines = (struct hs_dwarf_lines){ 0 };
}

const struct hs_dwarf_row *hs_dwarf_row_at(const struct hs_dwarf_lines *lines, uint64_t address)
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
	return low > 0 && lines->rows[low - 1].line != 0 ? &lines->rows[low - 1] : NULL;
}
