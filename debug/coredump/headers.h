/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ELF header, program headers and section headers of a core, as bytes of either class.
 *
 * In: counts and sizes. Out: where everything lies in the file, and the bytes of each header. The structures of
 * <elf.h> are never used: fields are stored one by one, so host layout and byte order do not matter. Offsets of the
 * fields: System V gABI, figures 4-3, 4-8 and 5-1.
 */
#ifndef HS_COREDUMP_HEADERS_H
#define HS_COREDUMP_HEADERS_H

#include <hindsight/coredump.h>

/** Sizes of the headers of a class. */
struct hs_core_class {
	uint8_t ident_class; /* ELFCLASS32 or ELFCLASS64 */
	uint16_t machine;
	uint16_t ehdr_bytes, phdr_bytes, shdr_bytes;
	uint8_t word_bytes; /* of an address */
};

/** The class of an architecture's cores; static. */
const struct hs_core_class *hs_core_class_of(enum hs_arch arch);

/**
 * Where everything lies: ELF header, program headers, section headers if any, notes, data; byte offsets in the file.
 */
struct hs_core_layout {
	const struct hs_core_class *class;
	uint64_t program_headers; /* count: PT_NOTE and the PT_LOADs */
	uint64_t shdr_offset;     /* 0 when e_phnum can hold the count */
	uint64_t note_offset, note_bytes;
	uint64_t data_offset; /* page-aligned */
	uint64_t file_bytes;
};

/** Largest encoded header of any kind. */
#define HS_CORE_HEADER_MAX 64u
/** What the section headers and their names take, at the size of the larger class. */
#define HS_CORE_SECTIONS_BYTES (3 * HS_CORE_HEADER_MAX + 20)

/** The layout; HS_ERR_RANGE when offsets do not fit into the class. */
HS_MUST_CHECK enum hs_status hs_core_layout_make(enum hs_arch arch, uint64_t segments, uint64_t note_bytes,
						 uint64_t data_bytes, struct hs_core_layout *ret, struct hs_error *err);

/** The ELF header: class->ehdr_bytes bytes. */
void hs_core_put_ehdr(const struct hs_core_layout *layout, uint8_t *ret);
/** The program header of the notes: class->phdr_bytes bytes. */
void hs_core_put_note_phdr(const struct hs_core_layout *layout, uint8_t *ret);
/** The program header of a segment whose offset is that in the data area. */
void hs_core_put_load_phdr(const struct hs_core_layout *layout, const struct hs_core_segment *segment, uint8_t *ret);
/** The section headers, of which the first carries a large count of program headers, and their names. */
void hs_core_put_sections(const struct hs_core_layout *layout, uint8_t ret[HS_CORE_SECTIONS_BYTES]);

#endif
