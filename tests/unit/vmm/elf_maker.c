/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elf_maker.h"

#include "base/bytes.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void elf_spec_init(struct elf_spec *spec, bool is_64)
{
	memset(spec, 0, sizeof(*spec));
	spec->is_64 = is_64;
	spec->data = ELFDATA2LSB;
	spec->type = ET_EXEC;
	spec->machine = is_64 ? EM_X86_64 : EM_386;
	spec->entry = ELF_MAKER_TEXT_GVA + 0x200;
	spec->phoff = is_64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
	spec->phentsize = is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	spec->bytes = ELF_MAKER_FILE_BYTES;
	for (size_t i = 0; i < sizeof(spec->body); i++) {
		spec->body[i] = (uint8_t)(i * 7 + i / 256);
	}
	elf_spec_add(spec, &(struct elf_phdr){
				   .type = PT_LOAD,
				   .flags = PF_R | PF_X,
				   .vaddr = ELF_MAKER_TEXT_GVA,
				   .filesz = ELF_MAKER_DATA_AT,
				   .memsz = ELF_MAKER_DATA_AT,
				   .align = 0x1000,
			   });
	elf_spec_add(spec, &(struct elf_phdr){
				   .type = PT_LOAD,
				   .flags = PF_R | PF_W,
				   .offset = ELF_MAKER_DATA_AT,
				   .vaddr = ELF_MAKER_DATA_GVA,
				   .filesz = 0x200,
				   .memsz = 0x3000,
				   .align = 0x1000,
			   });
}

struct elf_phdr *elf_spec_add(struct elf_spec *spec, const struct elf_phdr *phdr)
{
	if (spec->phdr_count == ELF_MAKER_PHDRS_MAX) {
		abort();
	}
	spec->phdrs[spec->phdr_count] = *phdr;
	spec->phdr_count++;
	spec->phnum = (uint16_t)spec->phdr_count;
	return &spec->phdrs[spec->phdr_count - 1];
}

static size_t pad(size_t offset, size_t align)
{
	return (offset + align - 1) / align * align;
}

size_t elf_spec_note(struct elf_spec *spec, size_t offset, const char *name, uint32_t type, const void *desc,
		     uint32_t desc_bytes, size_t align)
{
	uint32_t name_bytes = (uint32_t)strlen(name) + 1;
	size_t name_at = offset + 12;
	size_t desc_at = pad(name_at + name_bytes, align);
	size_t end = pad(desc_at + desc_bytes, align);

	if (end > sizeof(spec->body)) {
		abort();
	}
	memset(spec->body + offset, 0, end - offset);
	hs_put_le32(spec->body + offset, name_bytes);
	hs_put_le32(spec->body + offset + 4, desc_bytes);
	hs_put_le32(spec->body + offset + 8, type);
	memcpy(spec->body + name_at, name, name_bytes);
	memcpy(spec->body + desc_at, desc, desc_bytes);
	return end;
}

void elf_spec_add_notes(struct elf_spec *spec, size_t end, size_t align)
{
	elf_spec_add(spec, &(struct elf_phdr){
				   .type = PT_NOTE,
				   .flags = PF_R,
				   .offset = ELF_MAKER_NOTES_AT,
				   .vaddr = ELF_MAKER_TEXT_GVA + ELF_MAKER_NOTES_AT,
				   .filesz = end - ELF_MAKER_NOTES_AT,
				   .memsz = end - ELF_MAKER_NOTES_AT,
				   .align = align,
			   });
}

/* The fields of both classes in the order of ELF64, each with its offset and size in either (elf.h). */
struct field {
	uint64_t value;
	size_t at64, size64, at32, size32;
};

#define FIELD(struct_name, field, value)                                                                               \
	{                                                                                                              \
		(value), offsetof(Elf64_##struct_name, field), sizeof(((Elf64_##struct_name *)NULL)->field),           \
			offsetof(Elf32_##struct_name, field), sizeof(((Elf32_##struct_name *)NULL)->field)             \
	}

static void put_fields(bool is_64, const struct field *fields, size_t count, uint8_t *at)
{
	for (size_t i = 0; i < count; i++) {
		const struct field *field = &fields[i];

		hs_put_le(at + (is_64 ? field->at64 : field->at32), field->value,
			  (unsigned int)(is_64 ? field->size64 : field->size32));
	}
}

static void put_header(const struct elf_spec *spec, uint8_t *ret)
{
	const struct field fields[] = {
		FIELD(Ehdr, e_type, spec->type),
		FIELD(Ehdr, e_machine, spec->machine),
		FIELD(Ehdr, e_version, EV_CURRENT),
		FIELD(Ehdr, e_entry, spec->entry),
		FIELD(Ehdr, e_phoff, spec->phoff),
		FIELD(Ehdr, e_shoff, 0),
		FIELD(Ehdr, e_flags, 0),
		FIELD(Ehdr, e_ehsize, spec->is_64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)),
		FIELD(Ehdr, e_phentsize, spec->phentsize),
		FIELD(Ehdr, e_phnum, spec->phnum),
		FIELD(Ehdr, e_shentsize, 0),
		FIELD(Ehdr, e_shnum, 0),
		FIELD(Ehdr, e_shstrndx, 0),
	};

	memset(ret, 0, EI_NIDENT);
	memcpy(ret, ELFMAG, SELFMAG);
	ret[EI_CLASS] = spec->is_64 ? ELFCLASS64 : ELFCLASS32;
	ret[EI_DATA] = spec->data;
	ret[EI_VERSION] = EV_CURRENT;
	put_fields(spec->is_64, fields, sizeof(fields) / sizeof(fields[0]), ret);
}

static void put_phdr(const struct elf_spec *spec, const struct elf_phdr *phdr, uint8_t *ret)
{
	const struct field fields[] = {
		FIELD(Phdr, p_type, phdr->type),     FIELD(Phdr, p_flags, phdr->flags),
		FIELD(Phdr, p_offset, phdr->offset), FIELD(Phdr, p_vaddr, phdr->vaddr),
		FIELD(Phdr, p_paddr, phdr->paddr),   FIELD(Phdr, p_filesz, phdr->filesz),
		FIELD(Phdr, p_memsz, phdr->memsz),   FIELD(Phdr, p_align, phdr->align),
	};

	put_fields(spec->is_64, fields, sizeof(fields) / sizeof(fields[0]), ret);
}

void elf_make(const struct elf_spec *spec, uint8_t *ret)
{
	uint8_t all[ELF_MAKER_BYTES_MAX];
	size_t phdr_bytes = spec->is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

	memcpy(all, spec->body, sizeof(all));
	put_header(spec, all);
	for (size_t i = 0; i < spec->phdr_count; i++) {
		uint64_t at = spec->phoff + i * phdr_bytes;

		if (spec->phoff < sizeof(all) && at <= sizeof(all) - phdr_bytes) {
			put_phdr(spec, &spec->phdrs[i], all + at);
		}
	}
	memcpy(ret, all, spec->bytes);
}

void elf_file_replace(const struct elf_file *file, const void *bytes, size_t length)
{
	if (ftruncate(file->fd, 0) != 0 || pwrite(file->fd, bytes, length, 0) != (ssize_t)length) {
		perror("elf_maker: write");
		abort();
	}
}

void elf_file_create(struct elf_file *file, const void *bytes, size_t length)
{
	file->fd = memfd_create("elf_maker", MFD_CLOEXEC);
	if (file->fd < 0) {
		perror("elf_maker: memfd_create");
		abort();
	}
	snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
	elf_file_replace(file, bytes, length);
}

void elf_file_close(struct elf_file *file)
{
	close(file->fd);
	file->fd = -1;
}
