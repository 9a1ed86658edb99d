/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The DWARF of an image: lines and call-frame information, whole. */
#include "symbols/dwarf_reader.h"

#include "symbols/dwarf_lib.h"

#include <stdlib.h>
#include <string.h>

struct hs_dwarf_reader *hs_dwarf_reader_open(int fd)
{
	struct hs_dwarf_reader *reader = calloc(1, sizeof(*reader));
	Dwarf_Error error = NULL;
	int result = reader != NULL ? HS_DWARF_INIT(fd, &reader->dwarf, &error) : DW_DLV_NO_ENTRY;

	if (result == DW_DLV_ERROR) {
		dwarf_dealloc_error(NULL, error);
	}
	if (result != DW_DLV_OK) {
		free(reader);
		return NULL;
	}
	return reader;
}

void hs_dwarf_reader_close(struct hs_dwarf_reader *reader)
{
	if (reader == NULL) {
		return;
	}
	for (size_t i = 0; i < reader->unit_count; i++) {
		hs_dwarf_index_deinit(&reader->units[i]);
	}
	free(reader->units);
	HS_DWARF_FINISH(reader->dwarf);
	free(reader);
}

/** The file of a row. libdwarf makes a full path of it, which is slow: once for each file of a unit is enough. */
static bool file_of(struct hs_dwarf_reader *reader, struct hs_dwarf_lines *lines, Dwarf_Line line, uint32_t *ret)
{
	Dwarf_Unsigned number = 0;
	Dwarf_Error error = NULL;
	char *name = NULL;

	if (dwarf_line_srcfileno(line, &number, &error) != DW_DLV_OK) {
		number = HS_DWARF_UNIT_FILES;
	}
	if (number < HS_DWARF_UNIT_FILES && reader->unit_files[number] != 0) {
		*ret = reader->unit_files[number] - 1;
		return true;
	}
	bool named = dwarf_linesrc(line, &name, &error) == DW_DLV_OK;
	bool added = hs_dwarf_lines_add_file(lines, named ? name : "", ret);

	if (named) {
		dwarf_dealloc(reader->dwarf, name, DW_DLA_STRING);
	}
	if (added && number < HS_DWARF_UNIT_FILES) {
		reader->unit_files[number] = *ret + 1;
	}
	return added;
}

static bool read_row(struct hs_dwarf_reader *reader, struct hs_dwarf_lines *lines, Dwarf_Line line)
{
	Dwarf_Addr address = 0;
	Dwarf_Unsigned number = 0;
	Dwarf_Bool ends = 0;
	Dwarf_Error error = NULL;
	uint32_t file = 0;

	if (dwarf_lineaddr(line, &address, &error) != DW_DLV_OK || dwarf_lineno(line, &number, &error) != DW_DLV_OK ||
	    dwarf_lineendsequence(line, &ends, &error) != DW_DLV_OK) {
		return true;
	}
	if (ends || number > UINT32_MAX) {
		number = 0;
	}
	return (number == 0 || file_of(reader, lines, line, &file)) &&
	       hs_dwarf_lines_add_row(lines, address, (uint32_t)number, file);
}

/** The line table of one unit. */
static bool read_unit(struct hs_dwarf_reader *reader, struct hs_dwarf_lines *lines, Dwarf_Die die)
{
	Dwarf_Unsigned version;
	Dwarf_Small tables;
	Dwarf_Line_Context context;
	Dwarf_Line *rows;
	Dwarf_Signed count = 0;
	Dwarf_Off offset = 0;
	Dwarf_Error error = NULL;

	if (dwarf_srclines_b(die, &version, &tables, &context, &error) != DW_DLV_OK) {
		return true;
	}
	memset(reader->unit_files, 0, sizeof(reader->unit_files));
	bool going = dwarf_dieoffset(die, &offset, &error) != DW_DLV_OK || hs_dwarf_lines_add_unit(lines, offset);

	if (dwarf_srclines_from_linecontext(context, &rows, &count, &error) != DW_DLV_OK) {
		count = 0;
	}
	for (Dwarf_Signed i = 0; i < count && going; i++) {
		going = read_row(reader, lines, rows[i]);
	}
	dwarf_srclines_dealloc_b(context);
	return going;
}

bool hs_dwarf_reader_lines(struct hs_dwarf_reader *reader, struct hs_dwarf_lines *lines)
{
	Dwarf_Unsigned length, type_offset, next;
	Dwarf_Half version, address_bytes, offset_bytes, extension_bytes, unit_type;
	Dwarf_Off abbreviations;
	Dwarf_Sig8 signature;
	Dwarf_Error error = NULL;

	/* The loop ends: each call moves on in the section, and an error ends it. */
	while (dwarf_next_cu_header_d(reader->dwarf, 1, &length, &version, &abbreviations, &address_bytes,
				      &offset_bytes, &extension_bytes, &signature, &type_offset, &next, &unit_type,
				      &error) == DW_DLV_OK) {
		Dwarf_Die die = NULL;

		if (dwarf_siblingof_b(reader->dwarf, NULL, 1, &die, &error) != DW_DLV_OK) {
			continue;
		}
		bool going = read_unit(reader, lines, die);

		dwarf_dealloc(reader->dwarf, die, DW_DLA_DIE);
		if (!going) {
			return false;
		}
	}
	hs_dwarf_lines_sort(lines);
	return true;
}

/** The CIE of an FDE, which is mostly that of the FDE before. */
static bool read_cie(struct hs_cfi_table *table, Dwarf_Cie cie, uint32_t *ret, bool *ret_usable)
{
	Dwarf_Unsigned bytes, code_alignment, length;
	Dwarf_Signed data_alignment;
	Dwarf_Small version;
	Dwarf_Half return_column, offset_size;
	char *augmentation = NULL;
	HS_DWARF_BYTES instructions;
	Dwarf_Error error = NULL;

	/* What follows an augmentation can be skipped if there is none, or a 'z' (LSB Core 5.0, 10.6.1.1.1). */
	*ret_usable = dwarf_get_cie_info_b(cie, &bytes, &version, &augmentation, &code_alignment, &data_alignment,
					   &return_column, &instructions, &length, &offset_size, &error) == DW_DLV_OK &&
		      (*augmentation == '\0' || *augmentation == 'z');
	if (!*ret_usable) {
		return true;
	}
	const struct hs_cfi_cie kept = {
		.code_alignment = code_alignment,
		.data_alignment = data_alignment,
		.return_column = return_column,
		.is_signal_frame = strchr(augmentation, 'S') != NULL,
		.length = length,
	};

	return hs_cfi_add_cie(table, kept, instructions, ret);
}

static bool read_fde(struct hs_cfi_table *table, Dwarf_Fde fde, uint32_t cie)
{
	Dwarf_Addr start;
	Dwarf_Unsigned code_length, length;
	HS_DWARF_BYTES instructions;
	Dwarf_Error error = NULL;

	if (dwarf_get_fde_range(fde, &start, &code_length, NULL, NULL, NULL, NULL, NULL, &error) != DW_DLV_OK ||
	    dwarf_get_fde_instr_bytes(fde, &instructions, &length, &error) != DW_DLV_OK) {
		return true;
	}
	return hs_cfi_add_fde(
		table, (struct hs_cfi_fde){ .start = start, .end = start + code_length, .length = length, .cie = cie },
		instructions);
}

static bool read_fdes(struct hs_cfi_table *table, Dwarf_Fde *fdes, Dwarf_Signed count)
{
	Dwarf_Cie last = NULL;
	bool usable = false;
	uint32_t index = 0;

	for (Dwarf_Signed i = 0; i < count; i++) {
		Dwarf_Cie cie = NULL;
		Dwarf_Error error = NULL;

		if (dwarf_get_cie_of_fde(fdes[i], &cie, &error) != DW_DLV_OK) {
			continue;
		}
		bool going = cie == last || read_cie(table, cie, &index, &usable);

		last = cie;
		if (!going || (usable && !read_fde(table, fdes[i], index))) {
			return false;
		}
	}
	return true;
}

bool hs_dwarf_reader_frames(struct hs_dwarf_reader *reader, struct hs_cfi_table *table)
{
	int (*const sections[])(Dwarf_Debug, Dwarf_Cie **, Dwarf_Signed *, Dwarf_Fde **, Dwarf_Signed *,
				Dwarf_Error *) = { dwarf_get_fde_list_eh, dwarf_get_fde_list };
	bool going = true;

	for (unsigned int i = 0; i < sizeof(sections) / sizeof(sections[0]) && going; i++) {
		Dwarf_Cie *cies = NULL;
		Dwarf_Fde *fdes = NULL;
		Dwarf_Signed cie_count = 0, fde_count = 0;
		Dwarf_Error error = NULL;

		if (sections[i](reader->dwarf, &cies, &cie_count, &fdes, &fde_count, &error) == DW_DLV_OK) {
			going = read_fdes(table, fdes, fde_count);
			dwarf_dealloc_fde_cie_list(reader->dwarf, cies, cie_count, fdes, fde_count);
		}
	}
	hs_cfi_sort(table);
	return going;
}
