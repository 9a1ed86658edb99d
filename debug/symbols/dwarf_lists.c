/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Headers of .debug_rnglists and .debug_loclists. See dwarf_lists.h. */
#include "symbols/dwarf_lists.h"

#include "symbols/cursor.h"

#include <gelf.h>
#include <libelf.h>
#include <string.h>

/** A unit_length that says: the 64-bit format, and the length is in the next 8 bytes (DWARF 5, 7.4). */
#define DWARF64 0xFFFFFFFFu

/** One table: unit_length, version, address_size, segment_selector_size, offset_entry_count, offsets; then lists. */
static bool skip_table(struct hs_cursor *cursor)
{
	uint64_t length = hs_cursor_fixed(cursor, 4);
	unsigned int offset_bytes = length == DWARF64 ? 8 : 4;

	if (length == DWARF64) {
		length = hs_cursor_fixed(cursor, 8);
	}
	struct hs_cursor table = { .bytes = hs_cursor_take(cursor, length), .length = length };

	if (table.bytes == NULL) {
		return false;
	}
	uint64_t version = hs_cursor_fixed(&table, 2), address_bytes = hs_cursor_fixed(&table, 1);
	uint64_t segment_bytes = hs_cursor_fixed(&table, 1), offsets = hs_cursor_fixed(&table, 4);

	/* Offsets are u32 or u64: their count is a u32, so the product does not wrap. */
	hs_cursor_take(&table, offsets * offset_bytes);
	return !table.failed && version == 5 && (address_bytes == 4 || address_bytes == 8) && segment_bytes == 0;
}

static bool is_section_sound(Elf_Scn *scn, const GElf_Shdr *section)
{
	if (section->sh_type == SHT_NOBITS || (section->sh_flags & SHF_COMPRESSED && elf_compress(scn, 0, 0) < 0)) {
		return section->sh_type == SHT_NOBITS;
	}
	Elf_Data *data = elf_getdata(scn, NULL);

	if (data == NULL || (data->d_buf == NULL && data->d_size > 0)) {
		return false;
	}
	struct hs_cursor cursor = { .bytes = data->d_buf, .length = data->d_size };

	while (cursor.at < cursor.length) {
		if (!skip_table(&cursor)) {
			return false;
		}
	}
	return true;
}

static bool are_sound(Elf *elf)
{
	Elf_Scn *scn = NULL;
	size_t names = 0;
	GElf_Shdr section;

	if (elf_getshdrstrndx(elf, &names) != 0) {
		return false;
	}
	while ((scn = elf_nextscn(elf, scn)) != NULL) {
		const char *name = gelf_getshdr(scn, &section) != NULL ? elf_strptr(elf, names, section.sh_name) : NULL;

		if (name == NULL) {
			return false;
		}
		if ((strstr(name, "debug_rnglists") != NULL || strstr(name, "debug_loclists") != NULL) &&
		    !is_section_sound(scn, &section)) {
			return false;
		}
	}
	return true;
}

bool hs_dwarf_lists_are_sound(int fd)
{
	Elf *elf = elf_version(EV_CURRENT) != EV_NONE ? elf_begin(fd, ELF_C_READ, NULL) : NULL;
	bool sound = elf != NULL && are_sound(elf);

	elf_end(elf);
	return sound;
}
