/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small ELF images made in memory, good ones and, field by field, bad ones. It writes what it is told and checks
 * nothing. The file is nameless (memfd) and opened by its path in /proc, so a test leaves nothing behind.
 */
#ifndef HS_TEST_ELF_MAKER_H
#define HS_TEST_ELF_MAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_MAKER_BYTES_MAX 8192u
#define ELF_MAKER_PHDRS_MAX 80u

/* Where elf_spec_init() has the parts of its file. */
#define ELF_MAKER_FILE_BYTES 0x600u
#define ELF_MAKER_NOTES_AT 0x300u /* free for notes, 0x100 bytes */
#define ELF_MAKER_TEXT_GVA 0x400000u
#define ELF_MAKER_DATA_GVA 0x401400u
#define ELF_MAKER_DATA_AT 0x400u

struct elf_phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_spec {
	bool is_64;
	uint8_t data; /* EI_DATA */
	uint16_t type, machine;
	uint64_t entry, phoff;
	uint16_t phentsize, phnum; /* as the header says them */
	struct elf_phdr phdrs[ELF_MAKER_PHDRS_MAX];
	size_t phdr_count;                 /* as many are written */
	uint8_t body[ELF_MAKER_BYTES_MAX]; /* what header and program headers do not cover */
	size_t bytes;                      /* of the file */
};

/** A good image: text (R X, headers included) and data (R W, with more memory than file). Phdrs 0 and 1. */
void elf_spec_init(struct elf_spec *spec, bool is_64);
/** Append a program header; phnum follows. */
struct elf_phdr *elf_spec_add(struct elf_spec *spec, const struct elf_phdr *phdr);
/** Put a note into the body at offset (name with its NUL, parts padded to align); returns the offset behind it. */
size_t elf_spec_note(struct elf_spec *spec, size_t offset, const char *name, uint32_t type, const void *desc,
		     uint32_t desc_bytes, size_t align);
/** Add a PT_NOTE for the notes from ELF_MAKER_NOTES_AT to end. */
void elf_spec_add_notes(struct elf_spec *spec, size_t end, size_t align);
/** Encode: spec->bytes bytes to ret. */
void elf_make(const struct elf_spec *spec, uint8_t *ret);

/** A nameless file and a path that opens it. */
struct elf_file {
	int fd;
	char path[64];
};

/** Make a file of these bytes; aborts the test program when the host cannot. */
void elf_file_create(struct elf_file *file, const void *bytes, size_t length);
/** Replace its contents. */
void elf_file_replace(const struct elf_file *file, const void *bytes, size_t length);
void elf_file_close(struct elf_file *file);

#endif
