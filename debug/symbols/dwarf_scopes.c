/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The functions at an address, and what is inlined into them. Of a unit that is asked for the first time all functions
 * are noted with where they are; the DIEs within one are looked at each time.
 */
#include "symbols/dwarf_reader.h"

#include "symbols/dwarf_lib.h"

#include <stdlib.h>
#include <string.h>

/** Bounds: DIEs that are looked at, how deep blocks are nested, how far a name is away. */
#define DIES_MAX (1u << 20)
#define DEPTH_MAX 200u
#define HOPS_MAX 8u

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
	struct hs_dwarf_index *index; /* what functions are noted in */
	uint64_t function;            /* whose ranges are being noted */
};

/** What is done with a range of code; true ends it. */
typedef bool range_fn(struct lookup *lookup, uint64_t start, uint64_t end);

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
static bool each_of_rnglist(struct lookup *lookup, Dwarf_Attribute attribute, range_fn *visit)
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
			visit(lookup, start, end);
	}
	dwarf_dealloc_rnglists_head(head);
	return found;
}

/** Ranges before DWARF 5. */
static bool each_of_range_list(struct lookup *lookup, Dwarf_Die die, Dwarf_Attribute attribute, range_fn *visit)
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
			found = visit(lookup, base + ranges[i].dwr_addr1, base + ranges[i].dwr_addr2);
		}
	}
	dwarf_dealloc_ranges(lookup->dwarf, ranges, count);
	return found;
}

/** Each range of the code of a DIE, until one ends it, which is told; DIEs without code have none. */
static bool each_range(struct lookup *lookup, Dwarf_Die die, range_fn *visit)
{
	Dwarf_Addr low = 0, high = 0;
	Dwarf_Half form;
	enum Dwarf_Form_Class class;
	Dwarf_Attribute attribute = NULL;
	Dwarf_Error error = NULL;

	if (dwarf_lowpc(die, &low, &error) == DW_DLV_OK &&
	    dwarf_highpc_b(die, &high, &form, &class, &error) == DW_DLV_OK) {
		high += class == DW_FORM_CLASS_CONSTANT ? low : 0;
		return visit(lookup, low, high);
	}
	if (dwarf_attr(die, DW_AT_ranges, &attribute, &error) != DW_DLV_OK) {
		return false;
	}
	bool found = lookup->version >= 5 ? each_of_rnglist(lookup, attribute, visit)
					  : each_of_range_list(lookup, die, attribute, visit);

	dwarf_dealloc(lookup->dwarf, attribute, DW_DLA_ATTR);
	return found;
}

static bool has_address(struct lookup *lookup, uint64_t start, uint64_t end)
{
	return lookup->address >= start && lookup->address < end;
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

/** What is done with a DIE; true passes over those beside it. */
typedef bool die_fn(struct lookup *lookup, Dwarf_Die die, unsigned int depth);

/** Each DIE directly within another, until one ends it, which is told. */
static bool each_child(struct lookup *lookup, Dwarf_Die parent, unsigned int depth, die_fn *visit)
{
	Dwarf_Die die = NULL, next = NULL;
	Dwarf_Error error = NULL;
	bool found = false;

	if (depth == DEPTH_MAX || dwarf_child(parent, &die, &error) != DW_DLV_OK) {
		return false;
	}
	while (die != NULL) {
		found = lookup->dies++ < DIES_MAX && visit(lookup, die, depth);
		bool more = !found && lookup->dies < DIES_MAX &&
			    dwarf_siblingof_b(lookup->dwarf, die, 1, &next, &error) == DW_DLV_OK;

		dwarf_dealloc(lookup->dwarf, die, DW_DLA_DIE);
		die = more ? next : NULL;
	}
	return found;
}

/** Look into one DIE. True when the address is in it: its siblings need no look then. */
static bool search_in(struct lookup *lookup, Dwarf_Die die, unsigned int depth)
{
	Dwarf_Half tag = 0;
	Dwarf_Error error = NULL;

	if (dwarf_tag(die, &tag, &error) != DW_DLV_OK) {
		return false;
	}
	bool is_function = tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;

	if ((!is_function && tag != DW_TAG_lexical_block) || !each_range(lookup, die, has_address)) {
		return false;
	}
	if (is_function && lookup->count < HS_DWARF_SCOPES_MAX) {
		keep_scope(lookup, die);
	}
	each_child(lookup, die, depth + 1, search_in);
	return true;
}

static bool note_range(struct lookup *lookup, uint64_t start, uint64_t end)
{
	return !hs_dwarf_index_add(lookup->index, (struct hs_dwarf_code){ start, end, lookup->function });
}

/** Note where a function is, or those of a namespace are. True when there is no memory. */
static bool note_function(struct lookup *lookup, Dwarf_Die die, unsigned int depth)
{
	Dwarf_Half tag = 0;
	Dwarf_Off offset = 0;
	Dwarf_Error error = NULL;

	if (dwarf_tag(die, &tag, &error) != DW_DLV_OK) {
		return false;
	}
	if (tag == DW_TAG_namespace || tag == DW_TAG_module) {
		return each_child(lookup, die, depth + 1, note_function);
	}
	if (tag != DW_TAG_subprogram || dwarf_dieoffset(die, &offset, &error) != DW_DLV_OK) {
		return false;
	}
	lookup->function = offset;
	return each_range(lookup, die, note_range);
}

/** The functions of the unit of a lookup; NULL when there is no memory. */
static const struct hs_dwarf_index *index_of(struct hs_dwarf_reader *reader, const struct hs_dwarf_unit *unit,
					     const struct lookup *lookup)
{
	struct hs_dwarf_index index = { .unit = unit->die };
	struct lookup noting = *lookup;

	for (size_t i = 0; i < reader->unit_count; i++) {
		if (reader->units[i].unit == unit->die) {
			return &reader->units[i];
		}
	}
	struct hs_dwarf_index *units = reallocarray(reader->units, reader->unit_count + 1, sizeof(*units));

	if (units == NULL) {
		return NULL;
	}
	reader->units = units;
	noting.index = &index;
	if (each_child(&noting, noting.unit, 0, note_function)) {
		hs_dwarf_index_deinit(&index);
		return NULL;
	}
	hs_dwarf_index_sort(&index);
	units[reader->unit_count] = index;
	return &units[reader->unit_count++];
}

/** Look into the function at the address. */
static void search(struct hs_dwarf_reader *reader, const struct hs_dwarf_unit *unit, struct lookup *lookup)
{
	const struct hs_dwarf_index *index = index_of(reader, unit, lookup);
	const struct hs_dwarf_code *code = index != NULL ? hs_dwarf_index_at(index, lookup->address) : NULL;
	Dwarf_Die die = NULL;
	Dwarf_Error error = NULL;

	if (code == NULL || dwarf_offdie_b(reader->dwarf, code->die, 1, &die, &error) != DW_DLV_OK) {
		return;
	}
	search_in(lookup, die, 0);
	dwarf_dealloc(reader->dwarf, die, DW_DLA_DIE);
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
		search(reader, unit, &lookup);
	}
	dwarf_dealloc(reader->dwarf, lookup.unit, DW_DLA_DIE);
	return lookup.count;
}
