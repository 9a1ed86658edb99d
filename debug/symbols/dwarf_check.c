/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Headers of lists and of line tables. See dwarf_check.h. */
#include "symbols/dwarf_check.h"

#include "symbols/cursor.h"

#include <gelf.h>
#include <libelf.h>
#include <string.h>

/** A unit_length that says: the 64-bit format, and the length is in the next 8 bytes (DWARF 5, 7.4). */
#define DWARF64 0xFFFFFFFFu

/** More content types (a path, a directory, a time, a size, a checksum, the source) does no entry have. */
#define FORMATS_MAX 8u

/** What an entry of a line table's header is made of (DWARF 5, 7.5.6 and 7.22). */
enum {
	CONTENT_PATH = 1,
	CONTENT_DIRECTORY = 2,
	FORM_DATA2 = 0x05,
	FORM_DATA4 = 0x06,
	FORM_DATA8 = 0x07,
	FORM_STRING = 0x08,
	FORM_DATA1 = 0x0B,
	FORM_STRP = 0x0E,
	FORM_UDATA = 0x0F,
	FORM_DATA16 = 0x1E,
	FORM_LINE_STRP = 0x1F,
};

/** The sections that are looked at. */
struct sections {
	struct hs_cursor line, str, line_str, rnglists, loclists;
};

/** A part with a unit_length: what is in it, and in *ret_bytes how long offsets are. */
static struct hs_cursor take_unit(struct hs_cursor *cursor, unsigned int *ret_bytes)
{
	uint64_t length = hs_cursor_fixed(cursor, 4);

	*ret_bytes = length == DWARF64 ? 8 : 4;
	if (length == DWARF64) {
		length = hs_cursor_fixed(cursor, 8);
	}
	const uint8_t *bytes = hs_cursor_take(cursor, length);

	return (struct hs_cursor){ .bytes = bytes, .length = bytes != NULL ? length : 0, .failed = bytes == NULL };
}

/** version, address_size, segment_selector_size, offset_entry_count, offsets; then lists. */
static bool skip_lists(struct hs_cursor *cursor)
{
	unsigned int offset_bytes;
	struct hs_cursor table = take_unit(cursor, &offset_bytes);
	uint64_t version = hs_cursor_fixed(&table, 2), address_bytes = hs_cursor_fixed(&table, 1);
	uint64_t segment_bytes = hs_cursor_fixed(&table, 1), offsets = hs_cursor_fixed(&table, 4);

	/* The count is a u32: the product does not wrap. */
	hs_cursor_take(&table, offsets * offset_bytes);
	/* A list ends with a 0 (DW_RLE_end_of_list, DW_LLE_end_of_list), so none goes on behind the table. */
	if (table.failed || table.bytes[table.length - 1] != 0) {
		return false;
	}
	return version == 5 && (address_bytes == 4 || address_bytes == 8) && segment_bytes == 0;
}

/** A string with its NUL; whether it is not empty. */
static bool skip_string(struct hs_cursor *cursor)
{
	size_t rest = cursor->length - cursor->at;
	const uint8_t *start = cursor->bytes + cursor->at,
		      *nul = !cursor->failed && rest > 0 ? memchr(start, 0, rest) : NULL;

	cursor->failed = cursor->failed || nul == NULL;
	return nul != NULL && hs_cursor_take(cursor, (uint64_t)(nul - start) + 1) != NULL && nul > start;
}

/** An offset into a section of strings, which ends in a NUL. */
static void skip_offset(struct hs_cursor *cursor, unsigned int offset_bytes, const struct hs_cursor *strings)
{
	uint64_t offset = hs_cursor_fixed(cursor, offset_bytes);

	if (offset >= strings->length || strings->bytes[strings->length - 1] != 0) {
		cursor->failed = true;
	}
}

/** A part of an entry; its value where it is a number. */
static uint64_t skip_form(struct hs_cursor *cursor, uint64_t form, unsigned int offset_bytes,
			  const struct sections *sections)
{
	switch (form) {
	case FORM_DATA1:
		return hs_cursor_fixed(cursor, 1);
	case FORM_DATA2:
		return hs_cursor_fixed(cursor, 2);
	case FORM_DATA4:
		return hs_cursor_fixed(cursor, 4);
	case FORM_DATA8:
		return hs_cursor_fixed(cursor, 8);
	case FORM_UDATA:
		return hs_cursor_unsigned(cursor);
	case FORM_DATA16:
		hs_cursor_take(cursor, 16);
		return 0;
	case FORM_STRING:
		skip_string(cursor);
		return 0;
	case FORM_STRP:
		skip_offset(cursor, offset_bytes, &sections->str);
		return 0;
	case FORM_LINE_STRP:
		skip_offset(cursor, offset_bytes, &sections->line_str);
		return 0;
	default:
		cursor->failed = true;
		return 0;
	}
}

static bool is_text(uint64_t form)
{
	return form == FORM_STRING || form == FORM_STRP || form == FORM_LINE_STRP;
}

/** The directories or files of DWARF 5: formats, then as many entries as are said. Directories are below a bound. */
static uint64_t skip_entries(struct hs_cursor *cursor, unsigned int offset_bytes, const struct sections *sections,
			     uint64_t directories)
{
	uint64_t contents[FORMATS_MAX], forms[FORMATS_MAX], format_count = hs_cursor_fixed(cursor, 1), paths = 0;

	cursor->failed = cursor->failed || format_count > FORMATS_MAX;
	for (uint64_t i = 0; i < format_count && !cursor->failed; i++) {
		contents[i] = hs_cursor_unsigned(cursor);
		forms[i] = hs_cursor_unsigned(cursor);
		paths += contents[i] == CONTENT_PATH;
		/* Of contents that are not known the form is all that counts. */
		cursor->failed = cursor->failed || (contents[i] == CONTENT_PATH && !is_text(forms[i])) ||
				 (contents[i] > CONTENT_PATH && contents[i] <= 5 && is_text(forms[i]));
	}
	uint64_t count = hs_cursor_unsigned(cursor);

	cursor->failed = cursor->failed || (count > 0 && paths != 1);
	for (uint64_t i = 0; i < count && !cursor->failed; i++) {
		for (uint64_t j = 0; j < format_count; j++) {
			uint64_t value = skip_form(cursor, forms[j], offset_bytes, sections);

			cursor->failed = cursor->failed || (contents[j] == CONTENT_DIRECTORY && value >= directories);
		}
	}
	return count;
}

/** The directories and files before DWARF 5: each list ends with an empty name. Directory 0 is that of the unit. */
static void skip_names(struct hs_cursor *cursor)
{
	uint64_t directories = 1;

	while (skip_string(cursor)) {
		directories++;
	}
	while (skip_string(cursor)) {
		cursor->failed = cursor->failed || hs_cursor_unsigned(cursor) >= directories;
		hs_cursor_unsigned(cursor); /* time, then size */
		hs_cursor_unsigned(cursor);
	}
}

/** The header of a line table (DWARF 5, 6.2.4), which the table's program follows. */
static bool skip_line_table(struct hs_cursor *cursor, const struct sections *sections)
{
	unsigned int offset_bytes;
	struct hs_cursor table = take_unit(cursor, &offset_bytes);
	uint64_t version = hs_cursor_fixed(&table, 2), address_bytes = 8, segment_bytes = 0;

	if (version >= 5) {
		address_bytes = hs_cursor_fixed(&table, 1);
		segment_bytes = hs_cursor_fixed(&table, 1);
	}
	uint64_t header_bytes = hs_cursor_fixed(&table, offset_bytes);
	const uint8_t *bytes = hs_cursor_take(&table, header_bytes);
	struct hs_cursor header = { .bytes = bytes, .length = bytes != NULL ? header_bytes : 0 };

	/* minimum_instruction_length, maximum_operations_per_instruction since 4, default_is_stmt, line_base. */
	hs_cursor_take(&header, version >= 4 ? 4 : 3);
	uint64_t line_range = hs_cursor_fixed(&header, 1), opcode_base = hs_cursor_fixed(&header, 1);

	if (version < 2 || version > 5 || (address_bytes != 4 && address_bytes != 8) || segment_bytes != 0 ||
	    line_range == 0 || opcode_base == 0) {
		return false;
	}
	hs_cursor_take(&header, opcode_base - 1);
	if (version == 5) {
		uint64_t directories = skip_entries(&header, offset_bytes, sections, UINT64_MAX);

		skip_entries(&header, offset_bytes, sections, directories);
	} else {
		skip_names(&header);
	}
	return !table.failed && !header.failed;
}

static bool are_sound(struct sections *sections)
{
	struct hs_cursor *const lists[] = { &sections->rnglists, &sections->loclists };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		while (lists[i]->at < lists[i]->length) {
			if (!skip_lists(lists[i])) {
				return false;
			}
		}
	}
	while (sections->line.at < sections->line.length) {
		if (!skip_line_table(&sections->line, sections)) {
			return false;
		}
	}
	return true;
}

/** The bytes of a section; false when it is there and they cannot be read. */
static bool read_section(Elf_Scn *scn, const GElf_Shdr *section, struct hs_cursor *ret)
{
	if (section->sh_type == SHT_NOBITS) {
		return true;
	}
	if (section->sh_flags & SHF_COMPRESSED && elf_compress(scn, 0, 0) < 0) {
		return false;
	}
	Elf_Data *data = elf_getdata(scn, NULL);

	/* Two of one name: which of them would libdwarf take? */
	if (data == NULL || (data->d_buf == NULL && data->d_size > 0) || ret->length > 0) {
		return false;
	}
	*ret = (struct hs_cursor){ .bytes = data->d_buf, .length = data->d_size };
	return true;
}

static bool read_sections(Elf *elf, struct sections *ret)
{
	const struct {
		const char *name;
		struct hs_cursor *cursor;
	} wanted[] = {
		{ ".debug_line", &ret->line },         { ".debug_str", &ret->str },
		{ ".debug_line_str", &ret->line_str }, { ".debug_rnglists", &ret->rnglists },
		{ ".debug_loclists", &ret->loclists },
	};
	Elf_Scn *scn = NULL;
	size_t names = 0;
	GElf_Shdr section;

	if (elf_getshdrstrndx(elf, &names) != 0) {
		return false;
	}
	while ((scn = elf_nextscn(elf, scn)) != NULL) {
		const char *name = gelf_getshdr(scn, &section) != NULL ? elf_strptr(elf, names, section.sh_name) : NULL;

		/* Compressed as it was done before SHF_COMPRESSED, and split DWARF: not for us. */
		if (name == NULL || strncmp(name, ".zdebug_", 8) == 0 || strstr(name, ".dwo") != NULL) {
			return false;
		}
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
			if (strcmp(name, wanted[i].name) == 0 && !read_section(scn, &section, wanted[i].cursor)) {
				return false;
			}
		}
	}
	return true;
}

bool hs_dwarf_is_sound(int fd)
{
	Elf *elf = elf_version(EV_CURRENT) != EV_NONE ? elf_begin(fd, ELF_C_READ, NULL) : NULL;
	struct sections sections = { 0 };
	bool sound = elf != NULL && read_sections(elf, &sections) && are_sound(&sections);

	elf_end(elf);
	return sound;
}
