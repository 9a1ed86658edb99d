/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes as a core. The input is what follows a valid ELF header: program headers, notes and data; so it gets past the
 * first checks. If the file opens, all of it is used, and what must hold of any core is checked: notes lie in the
 * file, memory is read only where a segment has it.
 *
 * Input: 1 byte of control (bit 0: class, bit 1: take the header from the input, too), 1 byte for the number of program
 * headers, then the bytes behind the ELF header.
 */
#include "driver.h"

#include <hindsight/coredump.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/** An ELF header with count program headers right behind it; returns its length. */
static size_t make_header(int wide, uint8_t count, uint8_t ret[64])
{
	const Elf64_Ehdr header64 = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = count == 0xFF ? PN_XNUM : count % 8,
		.e_shoff = sizeof(Elf64_Ehdr),
		.e_shentsize = sizeof(Elf64_Shdr),
	};
	const Elf32_Ehdr header32 = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_CORE,
		.e_machine = EM_386,
		.e_phoff = sizeof(Elf32_Ehdr),
		.e_phentsize = sizeof(Elf32_Phdr),
		.e_phnum = count == 0xFF ? PN_XNUM : count % 8,
		.e_shoff = sizeof(Elf32_Ehdr),
		.e_shentsize = sizeof(Elf32_Shdr),
	};

	memcpy(ret, wide ? (const void *)&header64 : (const void *)&header32,
	       wide ? sizeof(header64) : sizeof(header32));
	return wide ? sizeof(header64) : sizeof(header32);
}

/**
 * Make it likelier that the input means something: the first program header becomes a PT_NOTE over bytes of the file,
 * the others PT_LOADs whose offsets lie about in it.
 */
static void tame_headers(uint8_t *bytes, size_t size, int wide, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		if (wide && size >= (i + 1) * sizeof(Elf64_Phdr)) {
			Elf64_Phdr phdr;

			memcpy(&phdr, bytes + i * sizeof(phdr), sizeof(phdr));
			phdr.p_type = i == 0 ? PT_NOTE : PT_LOAD;
			phdr.p_offset %= 2 * size;
			phdr.p_filesz %= size + 1;
			phdr.p_memsz = phdr.p_filesz + phdr.p_memsz % 0x10000;
			memcpy(bytes + i * sizeof(phdr), &phdr, sizeof(phdr));
		}
		if (!wide && size >= (i + 1) * sizeof(Elf32_Phdr)) {
			Elf32_Phdr phdr;

			memcpy(&phdr, bytes + i * sizeof(phdr), sizeof(phdr));
			phdr.p_type = i == 0 ? PT_NOTE : PT_LOAD;
			phdr.p_offset %= (Elf32_Off)(2 * size);
			phdr.p_filesz %= (Elf32_Word)size + 1;
			phdr.p_memsz = phdr.p_filesz + phdr.p_memsz % 0x10000;
			memcpy(bytes + i * sizeof(phdr), &phdr, sizeof(phdr));
		}
	}
}

/** Turn the bytes of the notes into notes of kinds and sizes that the reader takes apart. */
static void tame_notes(uint8_t *bytes, size_t size)
{
	static const struct {
		const char *name;
		uint32_t type, length;
	} rows[] = {
		{ "CORE", NT_PRSTATUS, 336 }, { "CORE", NT_PRSTATUS, 144 },    { "CORE", NT_PRPSINFO, 136 },
		{ "CORE", NT_SIGINFO, 128 },  { "CORE", NT_FILE, 64 },         { "CORE", NT_AUXV, 48 },
		{ "CORE", NT_FPREGSET, 512 }, { "LINUX", NT_X86_XSTATE, 600 }, { "HINDSIGHT", 0x48530001, 64 },
	};
	size_t at = 0;

	while (size - at >= 24) {
		const unsigned int row = bytes[at] % (sizeof(rows) / sizeof(rows[0]));
		uint32_t name = (uint32_t)strlen(rows[row].name) + 1;
		uint32_t length = rows[row].length + (bytes[at + 1] % 16 == 0 ? bytes[at + 2] % 8 : 0);

		memcpy(bytes + at, &name, 4);
		memcpy(bytes + at + 4, &length, 4);
		memcpy(bytes + at + 8, &rows[row].type, 4);
		memcpy(bytes + at + 12, rows[row].name, name < size - at - 12 ? name : size - at - 12);
		at += 12 + ((name + 3) & ~3u) + ((length + 3) & ~3u);
		if (at > size) {
			return;
		}
	}
}

static void use(struct hs_core *core)
{
	const struct hs_core_info *info = hs_core_info(core);
	struct hs_cpu_state cpu;
	uint8_t bytes[256];

	CHECK(strlen(info->name) <= 16 && strlen(info->command_line) <= 80);
	CHECK(strlen(info->reason) + strlen(info->reason_name) + strlen(info->producer) < info->file_bytes);
	for (size_t i = 0; i < info->cpu_count; i++) {
		hs_core_cpu(core, i, &cpu);
	}
	for (size_t i = 0; i < info->note_count; i++) {
		const struct hs_core_note *note = hs_core_note(core, i);

		CHECK(note->offset <= info->file_bytes && note->length <= info->file_bytes - note->offset);
		CHECK(strlen(note->name) < sizeof(note->name));
	}
	for (size_t i = 0; i < info->file_count; i++) {
		CHECK(strlen(hs_core_file(core, i)->path) < info->file_bytes);
	}
	for (size_t i = 0; i < info->segment_count; i++) {
		const struct hs_core_segment *segment = hs_core_segment(core, i);
		size_t done = 0;

		CHECK(segment->length > 0 && segment->stored_length <= segment->length);
		if (hs_core_read(core, segment->start, bytes, sizeof(bytes), &done, NULL) == HS_OK) {
			CHECK(done > 0 && done <= sizeof(bytes));
		} else {
			CHECK(segment->stored_length == 0 || segment->offset >= info->file_bytes ||
			      info->segment_count > 1);
		}
	}
}

/** The input as a file in memory, under a name that can be opened. */
static void run_file(int fd, const uint8_t *bytes, size_t size)
{
	char path[64];
	struct hs_core *core;
	struct hs_error err = { 0 };

	CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, size, 0) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (hs_core_open(path, &core, &err) != HS_OK) {
		CHECK(err.status != HS_OK && err.message[0] != '\0');
		return;
	}
	use(core);
	hs_core_close(core);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	uint8_t *bytes;

	if (fd < 0) {
		fd = memfd_create("core", MFD_CLOEXEC);
	}
	if (size < 2) {
		return 0;
	}
	if (data[0] & 2) {
		run_file(fd, data + 2, size - 2);
		return 0;
	}
	int wide = data[0] & 1;

	bytes = malloc(size + 64);
	CHECK(bytes != NULL);
	size_t header = make_header(wide, data[1], bytes);
	size_t rest = size - 2;

	memcpy(bytes + header, data + 2, rest);
	if (data[0] & 4) {
		size_t headers = (data[1] % 8) * (wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));

		tame_headers(bytes + header, rest, wide, data[1] % 8);
		if (headers > 0 && headers < rest && data[0] & 8) {
			tame_notes(bytes + header + headers, rest - headers);
			/* And the PT_NOTE is exactly these. */
			uint64_t offset = header + headers, length = rest - headers;

			memcpy(bytes + header + (wide ? 8 : 4), &offset, wide ? 8 : 4);
			memcpy(bytes + header + (wide ? 32 : 16), &length, wide ? 8 : 4);
		}
	}
	run_file(fd, bytes, header + rest);
	free(bytes);
	return 0;
}
