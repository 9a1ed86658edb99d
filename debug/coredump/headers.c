/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Headers of a core as bytes. See headers.h. */
#include "coredump/headers.h"

#include "base/arith.h"
#include "base/bytes.h"
#include "base/error.h"

#include <elf.h>
#include <string.h>

static const struct hs_core_class CLASSES[] = {
	[HS_ARCH_AMD64] = { ELFCLASS64, EM_X86_64, 64, 56, 64, 8 },
	[HS_ARCH_I686] = { ELFCLASS32, EM_386, 52, 32, 40, 4 },
};

/** Sections, where there are any: the null section, the notes, the names. The latter two are for readers that look for
 *  notes in sections as soon as a file has a section header (eu-readelf). */
enum { SECTION_NULL, SECTION_NOTES, SECTION_NAMES, SECTION_COUNT };

/** Names of the sections, 17 bytes and NULs up to a multiple of 4; a section's sh_name is an offset into it. */
enum { NAME_NOTES = 1, NAME_NAMES = 7, NAMES_BYTES = 20 };
static const char NAMES[NAMES_BYTES] = "\0.note\0.shstrtab";

const struct hs_core_class *hs_core_class_of(enum hs_arch arch)
{
	return &CLASSES[arch == HS_ARCH_I686 ? HS_ARCH_I686 : HS_ARCH_AMD64];
}

/** Appends fields in file order. */
struct cursor {
	uint8_t *at;
	unsigned int word_bytes;
};

static void put_half(struct cursor *cursor, uint16_t value)
{
	hs_put_le16(cursor->at, value);
	cursor->at += 2;
}

static void put_u32(struct cursor *cursor, uint64_t value)
{
	hs_put_le32(cursor->at, (uint32_t)value);
	cursor->at += 4;
}

/** An address, an offset or a size: 4 or 8 bytes by class. */
static void put_word(struct cursor *cursor, uint64_t value)
{
	hs_put_le(cursor->at, value, cursor->word_bytes);
	cursor->at += cursor->word_bytes;
}

enum hs_status hs_core_layout_make(enum hs_arch arch, uint64_t segments, uint64_t note_bytes, uint64_t data_bytes,
				   struct hs_core_layout *ret, struct hs_error *err)
{
	const struct hs_core_class *class = hs_core_class_of(arch);
	struct hs_core_layout layout = { .class = class, .program_headers = segments + 1, .note_bytes = note_bytes };
	uint64_t limit = class->word_bytes == 4 ? UINT32_MAX : INT64_MAX;
	uint64_t at = class->ehdr_bytes;
	uint64_t table;
	bool fits = segments < UINT32_MAX && hs_mul_u64(layout.program_headers, class->phdr_bytes, &table) &&
		    hs_add_u64(at, table, &at);

	/* PN_XNUM in e_phnum says that the count is in sh_info of section header 0 (gABI 4.3; Linux writes cores so).
	 * It is needed from PN_XNUM itself on: 65,534 headers are the most that e_phnum can hold. */
	if (layout.program_headers >= PN_XNUM) {
		layout.shdr_offset = at;
		at += SECTION_COUNT * class->shdr_bytes + NAMES_BYTES;
	}
	layout.note_offset = at;
	fits = fits && hs_add_u64(at, note_bytes, &at) && hs_align_up(at, HS_PAGE_SIZE, &layout.data_offset) &&
	       hs_add_u64(layout.data_offset, data_bytes, &layout.file_bytes) && layout.file_bytes <= limit;
	if (!fits) {
		return hs_error_set(
			err, HS_ERR_RANGE, 0, 0, "a core with %llu segments and %llu bytes does not fit into ELF%u",
			(unsigned long long)segments, (unsigned long long)data_bytes, class->word_bytes * 8u);
	}
	*ret = layout;
	return HS_OK;
}

void hs_core_put_ehdr(const struct hs_core_layout *layout, uint8_t *ret)
{
	const struct hs_core_class *class = layout->class;
	const uint8_t ident[EI_NIDENT] = { ELFMAG0,     ELFMAG1,    ELFMAG2,      ELFMAG3, class->ident_class,
					   ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE };
	struct cursor cursor = { ret + EI_NIDENT, class->word_bytes };
	bool extended = layout->shdr_offset != 0;

	memcpy(ret, ident, sizeof(ident));
	put_half(&cursor, ET_CORE);
	put_half(&cursor, class->machine);
	put_u32(&cursor, EV_CURRENT);
	put_word(&cursor, 0);                   /* e_entry */
	put_word(&cursor, class->ehdr_bytes);   /* e_phoff */
	put_word(&cursor, layout->shdr_offset); /* e_shoff */
	put_u32(&cursor, 0);                    /* e_flags */
	put_half(&cursor, class->ehdr_bytes);
	put_half(&cursor, class->phdr_bytes);
	put_half(&cursor, extended ? PN_XNUM : (uint16_t)layout->program_headers);
	put_half(&cursor, extended ? class->shdr_bytes : 0);
	put_half(&cursor, extended ? SECTION_COUNT : 0);
	put_half(&cursor, extended ? SECTION_NAMES : SHN_UNDEF); /* e_shstrndx */
}

/** One program header; the order of the fields differs by class. */
static void put_phdr(const struct hs_core_class *class, const struct hs_core_segment *segment, uint32_t type,
		     uint32_t flags, uint32_t alignment, uint8_t *ret)
{
	struct cursor cursor = { ret, class->word_bytes };
	bool wide = class->word_bytes == 8;
	/* A PAE guest has physical addresses that p_paddr cannot hold: then it says nothing rather than something
	 * wrong. */
	uint64_t paddr = wide || segment->gpa.v <= UINT32_MAX ? segment->gpa.v : 0;

	put_u32(&cursor, type);
	if (wide) {
		put_u32(&cursor, flags);
	}
	put_word(&cursor, segment->offset);
	put_word(&cursor, segment->start.v);
	put_word(&cursor, paddr);
	put_word(&cursor, segment->stored_length);
	put_word(&cursor, segment->length);
	if (!wide) {
		put_u32(&cursor, flags);
	}
	put_word(&cursor, alignment);
}

void hs_core_put_note_phdr(const struct hs_core_layout *layout, uint8_t *ret)
{
	const struct hs_core_segment notes = { .offset = layout->note_offset, .stored_length = layout->note_bytes };

	put_phdr(layout->class, &notes, PT_NOTE, 0, 4, ret);
}

void hs_core_put_load_phdr(const struct hs_core_layout *layout, const struct hs_core_segment *segment, uint8_t *ret)
{
	struct hs_core_segment placed = *segment;
	uint32_t flags = (segment->prot & HS_PROT_READ ? PF_R : 0u) | (segment->prot & HS_PROT_WRITE ? PF_W : 0u) |
			 (segment->prot & HS_PROT_EXEC ? PF_X : 0u);

	placed.offset += layout->data_offset;
	put_phdr(layout->class, &placed, PT_LOAD, flags, HS_PAGE_SIZE, ret);
}

/** A section of the file: what its header says. */
struct section {
	uint32_t name, type;
	uint64_t offset, size;
	uint32_t info;
	uint32_t alignment;
};

static void put_shdr(struct cursor *cursor, const struct section *section)
{
	put_u32(cursor, section->name);
	put_u32(cursor, section->type);
	put_word(cursor, 0); /* sh_flags */
	put_word(cursor, 0); /* sh_addr */
	put_word(cursor, section->offset);
	put_word(cursor, section->size);
	put_u32(cursor, SHN_UNDEF); /* sh_link */
	put_u32(cursor, section->info);
	put_word(cursor, section->alignment);
	put_word(cursor, 0); /* sh_entsize */
}

void hs_core_put_sections(const struct hs_core_layout *layout, uint8_t ret[HS_CORE_SECTIONS_BYTES])
{
	uint64_t names_offset = layout->shdr_offset + SECTION_COUNT * layout->class->shdr_bytes;
	const struct section sections[SECTION_COUNT] = {
		[SECTION_NULL] = { .info = (uint32_t)layout->program_headers },
		[SECTION_NOTES] = { NAME_NOTES, SHT_NOTE, layout->note_offset, layout->note_bytes, 0, 4 },
		[SECTION_NAMES] = { NAME_NAMES, SHT_STRTAB, names_offset, NAMES_BYTES, 0, 1 },
	};
	struct cursor cursor = { ret, layout->class->word_bytes };

	for (unsigned int i = 0; i < SECTION_COUNT; i++) {
		put_shdr(&cursor, &sections[i]);
	}
	memcpy(cursor.at, NAMES, NAMES_BYTES);
}
