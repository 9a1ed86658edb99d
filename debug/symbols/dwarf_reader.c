/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The DWARF of an image. This is the one file that includes libdwarf, whose interface changed with version 0.1:
 * HS_LIBDWARF_ACCESS (set by meson) says that it is the older one.
 */
#include "symbols/dwarf_reader.h"

#ifdef HS_LIBDWARF_ACCESS
#include <libdwarf/dwarf.h>
#include <libdwarf/libdwarf.h>
#define BYTES Dwarf_Ptr
#define INIT(fd, dwarf, error) dwarf_init_b(fd, DW_DLC_READ, DW_GROUPNUMBER_ANY, NULL, NULL, dwarf, error)
#define FINISH(dwarf) dwarf_finish(dwarf, &(Dwarf_Error){ NULL })
#define dwarf_dealloc_fde_cie_list dwarf_fde_cie_list_dealloc
#define dwarf_dealloc_ranges dwarf_ranges_dealloc
#else
#include <dwarf.h>
#include <libdwarf.h>
#define BYTES Dwarf_Small *
#define INIT(fd, dwarf, error) dwarf_init_b(fd, DW_GROUPNUMBER_ANY, NULL, NULL, dwarf, error)
#define FINISH(dwarf) dwarf_finish(dwarf)
#endif

#include <stdlib.h>
#include <string.h>

/** Files of one unit whose index is remembered by number; those beyond are looked up each time. */
#define UNIT_FILES 1024u

/** Bounds of a lookup: DIEs that are looked at, how deep blocks are nested, how far a name is away. */
#define DIES_MAX (1u << 20)
#define DEPTH_MAX 200u
#define HOPS_MAX 8u

struct hs_dwarf_reader {
	Dwarf_Debug dwarf;
	uint32_t unit_files[UNIT_FILES]; /* of the unit that is read: index + 1 by its file number; 0: not seen yet */
};

/** A lookup of functions. */
struct lookup {
	Dwarf_Debug dwarf;
	Dwarf_Die unit;
	uint64_t address;
	Dwarf_Unsigned base; /* of the unit: what ranges are relative to */
	Dwarf_Half version;
	unsigned int dies; /* looked at so far */
	struct hs_dwarf_scope *scopes;
	size_t count;
};

struct hs_dwarf_reader *hs_dwarf_reader_open(int fd)
{
	struct hs_dwarf_reader *reader = calloc(1, sizeof(*reader));
	Dwarf_Error error = NULL;
	int result = reader != NULL ? INIT(fd, &reader->dwarf, &error) : DW_DLV_NO_ENTRY;

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
	FINISH(reader->dwarf);
	free(reader);
}

/** The file of a row. libdwarf makes a full path of it, which is slow: once for each file of a unit is enough. */
static bool file_of(struct hs_dwarf_reader *reader, struct hs_dwarf_lines *lines, Dwarf_Line line, uint32_t *ret)
{
	Dwarf_Unsigned number = 0;
	Dwarf_Error error = NULL;
	char *name = NULL;

	if (dwarf_line_srcfileno(line, &number, &error) != DW_DLV_OK) {
		number = UNIT_FILES;
	}
	if (number < UNIT_FILES && reader->unit_files[number] != 0) {
		*ret = reader->unit_files[number] - 1;
		return true;
	}
	bool named = dwarf_linesrc(line, &name, &error) == DW_DLV_OK;
	bool added = hs_dwarf_lines_add_file(lines, named ? name : "", ret);

	if (named) {
		dwarf_dealloc(reader->dwarf, name, DW_DLA_STRING);
	}
	if (added && number < UNIT_FILES) {
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
	BYTES instructions;
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
	BYTES instructions;
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

/** A number in an attribute, or where in .debug_info what it refers to is. */
static bool value_of(struct lookup *lookup, Dwarf_Die die, Dwarf_Half name, Dwarf_Unsigned *ret)
{
	Dwarf_Attribute attribute = NULL;
	Dwarf_Signed number = 0;
	Dwarf_Error error = NULL;

	if (dwarf_attr(die, name, &attribute, &error) != DW_DLV_OK) {
		return false;
	}
	bool is_reference = name == DW_AT_abstract_origin || name == DW_AT_specification;
	int result = is_reference ? dwarf_global_formref(attribute, ret, &error)
				  : dwarf_formudata(attribute, ret, &error);

	/* DW_FORM_implicit_const is signed to libdwarf. */
	if (result != DW_DLV_OK && !is_reference && dwarf_formsdata(attribute, &number, &error) == DW_DLV_OK) {
		*ret = (Dwarf_Unsigned)number;
		result = DW_DLV_OK;
	}
	dwarf_dealloc(lookup->dwarf, attribute, DW_DLA_ATTR);
	return result == DW_DLV_OK;
}

/** The name of a function: its own, or that of what it is an instance of, which may be in another unit. */
static const char *name_of(struct lookup *lookup, Dwarf_Die die, unsigned int hops)
{
	char *name = NULL;
	Dwarf_Unsigned offset;
	Dwarf_Die origin = NULL;
	Dwarf_Error error = NULL;

	if (dwarf_diename(die, &name, &error) == DW_DLV_OK) {
		return name;
	}
	if (hops == 0 ||
	    (!value_of(lookup, die, DW_AT_abstract_origin, &offset) &&
	     !value_of(lookup, die, DW_AT_specification, &offset)) ||
	    dwarf_offdie_b(lookup->dwarf, offset, 1, &origin, &error) != DW_DLV_OK) {
		return NULL;
	}
	const char *found = name_of(lookup, origin, hops - 1);

	dwarf_dealloc(lookup->dwarf, origin, DW_DLA_DIE);
	return found;
}

/** A copy of the name of a file of the unit, or NULL. */
static char *file_name(struct lookup *lookup, Dwarf_Unsigned number)
{
	char **files = NULL, *name = NULL;
	Dwarf_Signed count = 0;
	Dwarf_Error error = NULL;

	if (dwarf_srcfiles(lookup->unit, &files, &count, &error) != DW_DLV_OK) {
		return NULL;
	}
	/* Files count from 0 since DWARF 5, from 1 before (DWARF 5, 6.2.4). */
	Dwarf_Unsigned index = lookup->version >= 5 ? number : number - 1;

	if (index < (Dwarf_Unsigned)count) {
		name = strdup(files[index]);
	}
	for (Dwarf_Signed i = 0; i < count; i++) {
		dwarf_dealloc(lookup->dwarf, files[i], DW_DLA_STRING);
	}
	dwarf_dealloc(lookup->dwarf, files, DW_DLA_LIST);
	return name;
}

/** Ranges of DWARF 5. */
static bool rnglist_has(struct lookup *lookup, Dwarf_Attribute attribute)
{
	Dwarf_Half form = 0;
	Dwarf_Unsigned value = 0, count = 0, offset, bytes = 0;
	Dwarf_Addr address;
	Dwarf_Rnglists_Head head = NULL;
	Dwarf_Error error = NULL;
	bool found = false;

	if (dwarf_whatform(attribute, &form, &error) != DW_DLV_OK ||
	    (form == DW_FORM_rnglistx ? dwarf_formudata(attribute, &value, &error)
				      : dwarf_global_formref(attribute, &value, &error)) != DW_DLV_OK ||
	    /* libdwarf 20210528 does not look whether there is such a place, or the section at all. */
	    dwarf_get_section_info_by_name(lookup->dwarf, ".debug_rnglists", &address, &bytes, &error) != DW_DLV_OK ||
	    value >= bytes ||
	    dwarf_rnglists_get_rle_head(attribute, form, value, &head, &count, &offset, &error) != DW_DLV_OK) {
		return false;
	}
	for (Dwarf_Unsigned i = 0; i < count && !found; i++) {
		unsigned int length, kind = 0;
		Dwarf_Unsigned raw1, raw2, start = 0, end = 0;
		Dwarf_Bool unavailable = 0;

		if (dwarf_get_rnglists_entry_fields_a(head, i, &length, &kind, &raw1, &raw2, &unavailable, &start, &end,
						      &error) != DW_DLV_OK ||
		    kind == DW_RLE_end_of_list) {
			break;
		}
		found = kind != DW_RLE_base_address && kind != DW_RLE_base_addressx && !unavailable &&
			lookup->address >= start && lookup->address < end;
	}
	dwarf_dealloc_rnglists_head(head);
	return found;
}

/** Ranges before DWARF 5. */
static bool range_list_has(struct lookup *lookup, Dwarf_Die die, Dwarf_Attribute attribute)
{
	Dwarf_Off offset, real_offset;
	Dwarf_Ranges *ranges = NULL;
	Dwarf_Signed count = 0;
	Dwarf_Unsigned bytes, base = lookup->base;
	Dwarf_Error error = NULL;
	bool found = false;

	if (dwarf_global_formref(attribute, &offset, &error) != DW_DLV_OK ||
	    dwarf_get_ranges_b(lookup->dwarf, offset, die, &real_offset, &ranges, &count, &bytes, &error) !=
		    DW_DLV_OK) {
		return false;
	}
	for (Dwarf_Signed i = 0; i < count && ranges[i].dwr_type != DW_RANGES_END && !found; i++) {
		if (ranges[i].dwr_type == DW_RANGES_ADDRESS_SELECTION) {
			base = ranges[i].dwr_addr2;
		} else {
			found = lookup->address >= base + ranges[i].dwr_addr1 &&
				lookup->address < base + ranges[i].dwr_addr2;
		}
	}
	dwarf_dealloc_ranges(lookup->dwarf, ranges, count);
	return found;
}

/** Whether the address is in the code of a DIE; DIEs without code have none. */
static bool has_address(struct lookup *lookup, Dwarf_Die die)
{
	Dwarf_Addr low = 0, high = 0;
	Dwarf_Half form;
	enum Dwarf_Form_Class class;
	Dwarf_Attribute attribute = NULL;
	Dwarf_Error error = NULL;

	if (dwarf_lowpc(die, &low, &error) == DW_DLV_OK &&
	    dwarf_highpc_b(die, &high, &form, &class, &error) == DW_DLV_OK) {
		high += class == DW_FORM_CLASS_CONSTANT ? low : 0;
		return lookup->address >= low && lookup->address < high;
	}
	if (dwarf_attr(die, DW_AT_ranges, &attribute, &error) != DW_DLV_OK) {
		return false;
	}
	bool found = lookup->version >= 5 ? rnglist_has(lookup, attribute) : range_list_has(lookup, die, attribute);

	dwarf_dealloc(lookup->dwarf, attribute, DW_DLA_ATTR);
	return found;
}

static void keep_scope(struct lookup *lookup, Dwarf_Die die)
{
	struct hs_dwarf_scope *scope = &lookup->scopes[lookup->count++];
	Dwarf_Unsigned number;

	*scope = (struct hs_dwarf_scope){ .name = name_of(lookup, die, HOPS_MAX) };
	if (value_of(lookup, die, DW_AT_call_line, &number) && number <= UINT32_MAX) {
		scope->call_line = (uint32_t)number;
	}
	if (value_of(lookup, die, DW_AT_call_file, &number)) {
		scope->call_file = file_name(lookup, number);
	}
}

static bool search(struct lookup *lookup, Dwarf_Die parent, unsigned int depth);

/** Look into one DIE. True when the address is in it: its siblings need no look then. */
static bool search_in(struct lookup *lookup, Dwarf_Die die, unsigned int depth)
{
	Dwarf_Half tag = 0;
	Dwarf_Error error = NULL;

	if (dwarf_tag(die, &tag, &error) != DW_DLV_OK) {
		return false;
	}
	if (tag == DW_TAG_namespace || tag == DW_TAG_module) {
		return search(lookup, die, depth + 1);
	}
	bool is_function = tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;

	if ((!is_function && tag != DW_TAG_lexical_block) || !has_address(lookup, die)) {
		return false;
	}
	if (is_function && lookup->count < HS_DWARF_SCOPES_MAX) {
		keep_scope(lookup, die);
	}
	search(lookup, die, depth + 1);
	return true;
}

/** Look into what a DIE has in it. */
static bool search(struct lookup *lookup, Dwarf_Die parent, unsigned int depth)
{
	Dwarf_Die die = NULL, next = NULL;
	Dwarf_Error error = NULL;
	bool found = false;

	if (depth == DEPTH_MAX || dwarf_child(parent, &die, &error) != DW_DLV_OK) {
		return false;
	}
	while (die != NULL) {
		found = lookup->dies++ < DIES_MAX && search_in(lookup, die, depth);
		bool more = !found && lookup->dies < DIES_MAX &&
			    dwarf_siblingof_b(lookup->dwarf, die, 1, &next, &error) == DW_DLV_OK;

		dwarf_dealloc(lookup->dwarf, die, DW_DLA_DIE);
		die = more ? next : NULL;
	}
	return found;
}

size_t hs_dwarf_reader_scopes(struct hs_dwarf_reader *reader, const struct hs_dwarf_unit *unit, uint64_t address,
			      struct hs_dwarf_scope ret[HS_DWARF_SCOPES_MAX])
{
	struct lookup lookup = { .dwarf = reader->dwarf, .address = address, .scopes = ret };
	Dwarf_Half offset_bytes;
	Dwarf_Addr base = 0;
	Dwarf_Error error = NULL;

	if (dwarf_offdie_b(reader->dwarf, unit->die, 1, &lookup.unit, &error) != DW_DLV_OK) {
		return 0;
	}
	if (dwarf_get_version_of_die(lookup.unit, &lookup.version, &offset_bytes) == DW_DLV_OK) {
		lookup.base = dwarf_lowpc(lookup.unit, &base, &error) == DW_DLV_OK ? base : 0;
		search(&lookup, lookup.unit, 0);
	}
	dwarf_dealloc(reader->dwarf, lookup.unit, DW_DLA_DIE);
	return lookup.count;
}
