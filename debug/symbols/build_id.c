/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/build_id.h"

#include "base/error.h"
#include "symbols/elf_note.h"
#include "symbols/elf_open.h"

#include <gelf.h>
#include <string.h>

size_t hs_elf_note_build_id(Elf_Data *data, uint8_t ret[HS_BUILD_ID_MAX])
{
	size_t at = 0, name, desc;
	GElf_Nhdr note;

	while (data != NULL && (at = gelf_getnote(data, at, &note, &name, &desc)) > 0) {
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    memcmp((const char *)data->d_buf + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 &&
		    note.n_descsz <= HS_BUILD_ID_MAX) {
			memcpy(ret, (const char *)data->d_buf + desc, note.n_descsz);
			return note.n_descsz;
		}
	}
	return 0;
}

enum hs_status hs_build_id_read(int fd, const char *name, uint8_t ret[HS_BUILD_ID_MAX], size_t *ret_length,
				struct hs_error *err)
{
	enum hs_status st;
	size_t count = 0;
	Elf *elf;

	st = hs_elf_open(fd, name, &elf, err);
	if (st) {
		return st;
	}
	*ret_length = 0;
	if (elf_getphdrnum(elf, &count) != 0) {
		count = 0;
	}
	for (size_t i = 0; i < count && *ret_length == 0; i++) {
		GElf_Phdr segment;

		if (gelf_getphdr(elf, (int)i, &segment) != NULL && segment.p_type == PT_NOTE) {
			*ret_length = hs_elf_note_build_id(
				elf_getdata_rawchunk(elf, (int64_t)segment.p_offset, segment.p_filesz, ELF_T_NHDR),
				ret);
		}
	}
	elf_end(elf);
	return HS_OK;
}
