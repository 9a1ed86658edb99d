/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The build-id of a core's image: program headers in memory -> PT_NOTE -> NT_GNU_BUILD_ID (System V gABI chapter 5). */
#include "session/report_parts.h"

#include "base/bytes.h"

#include <elf.h>
#include <string.h>

/* Notes of an image are short; a build-id is among the first. */
#define NOTES_BYTES_MAX 4096u
#define HEADERS_MAX 64u

/* Where the notes of a program header are; false when it is of another type. */
static bool notes_of(const struct hs_core *core, const uint8_t *header, hs_gva *ret_start, size_t *ret_length)
{
	bool wide = hs_core_info(core)->arch == HS_ARCH_AMD64;
	uint64_t length = wide ? hs_get_le64(header + offsetof(Elf64_Phdr, p_memsz))
			       : hs_get_le32(header + offsetof(Elf32_Phdr, p_memsz));

	*ret_start = hs_gva_of(wide ? hs_get_le64(header + offsetof(Elf64_Phdr, p_vaddr))
				    : hs_get_le32(header + offsetof(Elf32_Phdr, p_vaddr)));
	*ret_length = length < NOTES_BYTES_MAX ? (size_t)length : NOTES_BYTES_MAX;
	return hs_get_le32(header) == PT_NOTE;
}

/* The build-id among notes; 0 when it is not there. */
static size_t find_build_id(const uint8_t *notes, size_t length, uint8_t ret[HS_BUILD_ID_MAX])
{
	while (length >= sizeof(Elf64_Nhdr)) {
		uint64_t name = hs_get_le32(notes);
		uint64_t desc = hs_get_le32(notes + 4);
		uint32_t type = hs_get_le32(notes + 8);
		uint64_t at = sizeof(Elf64_Nhdr) + ((name + 3) & ~UINT64_C(3));
		uint64_t next = at + ((desc + 3) & ~UINT64_C(3));

		if (next > length) {
			return 0;
		}
		if (type == NT_GNU_BUILD_ID && name == sizeof(ELF_NOTE_GNU) &&
		    memcmp(notes + sizeof(Elf64_Nhdr), ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 &&
		    desc <= HS_BUILD_ID_MAX) {
			memcpy(ret, notes + at, desc);
			return desc;
		}
		notes += next;
		length -= next;
	}
	return 0;
}

size_t hs_report_core_build_id(const struct hs_core *core, uint8_t ret[HS_BUILD_ID_MAX])
{
	const struct hs_core_info *info = hs_core_info(core);
	size_t header_bytes = info->arch == HS_ARCH_AMD64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	uint64_t count = info->auxv.phnum < HEADERS_MAX ? info->auxv.phnum : HEADERS_MAX;

	for (uint64_t i = 0; info->auxv.phdr != 0 && i < count; i++) {
		uint8_t header[sizeof(Elf64_Phdr)];
		uint8_t notes[NOTES_BYTES_MAX];
		size_t length, got;
		hs_gva start;

		if (hs_core_read(core, hs_gva_of(info->auxv.phdr + i * header_bytes), header, header_bytes, &got,
				 NULL) ||
		    got < header_bytes) {
			return 0;
		}
		if (notes_of(core, header, &start, &length) &&
		    hs_core_read(core, start, notes, length, &got, NULL) == HS_OK) {
			size_t found = find_build_id(notes, got, ret);

			if (found > 0) {
				return found;
			}
		}
	}
	return 0;
}
