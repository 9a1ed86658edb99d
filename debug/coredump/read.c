/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a core: its ELF header, program headers, and memory contents on demand. See read.h. */
#include "coredump/read.h"

#include "arch/regs.h"
#include "base/arith.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/fd_io.h"
#include "coredump/compress.h"
#include "coredump/regnotes.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/** Program headers are read in portions of this many. */
#define PHDR_PORTION 256u

/** Fields of the ELF header that matter here. */
struct header {
	uint64_t phoff, shoff;
	uint64_t phnum;
	uint16_t phentsize, shentsize;
};

static enum hs_status open_file(const char *path, struct hs_core *core, struct hs_error *err)
{
	struct stat info;

	core->path = strdup(path);
	if (core->path == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory to open %s", path);
	}
	/* O_NONBLOCK: a FIFO under the name must not hold us up. It has no effect on regular files. */
	core->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (core->fd < 0 || fstat(core->fd, &info) != 0) {
		return hs_error_os(err, errno, "cannot open %s", path);
	}
	if (!S_ISREG(info.st_mode)) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "%s: not a core: not a regular file", path);
	}
	core->info.file_bytes = (uint64_t)info.st_size;
	core->info.disk_bytes = (uint64_t)info.st_blocks * 512; /* stat(2): st_blocks counts 512 bytes each */
	return HS_OK;
}

static const struct hs_core_class *class_of_ident(uint8_t ident_class)
{
	return hs_core_class_of(ident_class == ELFCLASS64 ? HS_ARCH_AMD64 : HS_ARCH_I686);
}

/**
 * Beside each machine's own class: a core of a machine that is not in long mode and has memory up to 4 GiB (where its
 * BIOS ends, so that all have) is ELFCLASS64 and EM_386 if QEMU writes it (7.2, target/i386/arch_dump.c). ELFCLASS32
 * and EM_X86_64 are another ABI (x32).
 */
static bool takes_class(int arch, uint8_t ident_class)
{
	return ident_class == ELFCLASS64 || (arch == HS_ARCH_I686 && ident_class == ELFCLASS32);
}

static enum hs_status check_ident(struct hs_core *core, const uint8_t *bytes, struct hs_error *err)
{
	const char *what = NULL;
	uint16_t type = hs_get_le16(bytes + 16);
	uint16_t machine = hs_get_le16(bytes + 18);

	if (hs_get_le32(bytes) == HS_CORE_ZSTD_MAGIC) {
		what = "it is compressed (zstd -d makes a core of it)";
	} else if (memcmp(bytes, ELFMAG, SELFMAG) != 0) {
		what = "not an ELF file";
	} else if (core->info.file_bytes < hs_core_class_of(HS_ARCH_I686)->ehdr_bytes) {
		what = "it ends within its ELF header";
	} else if (bytes[EI_DATA] != ELFDATA2LSB || bytes[EI_VERSION] != EV_CURRENT) {
		what = "not a little-endian ELF file of version 1";
	} else if (type != ET_CORE) {
		what = type == ET_EXEC || type == ET_DYN ? "a program, not its core" : "an ELF file, but no core";
	}
	if (what != NULL) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "%s: not a core: %s", core->path, what);
	}
	for (int arch = HS_ARCH_AMD64; arch <= HS_ARCH_I686; arch++) {
		if (machine == hs_core_class_of((enum hs_arch)arch)->machine && takes_class(arch, bytes[EI_CLASS])) {
			/* The class says how the file is written; the notes are the machine's own. */
			core->class = class_of_ident(bytes[EI_CLASS]);
			core->info.arch = (enum hs_arch)arch;
			return HS_OK;
		}
	}
	return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, 18, "%s: a core of ELF machine %u (amd64 and i686 are known)",
			    core->path, machine);
}

/** Read bytes whose place the file gives; the caller's sentence when they are not in it. */
static enum hs_status read_at(const struct hs_core *core, uint64_t offset, void *bytes, size_t length, const char *what,
			      struct hs_error *err)
{
	if (!hs_range_within(offset, length, core->info.file_bytes)) {
		return hs_core_broken(core, err, offset, "%s lies outside of the file", what);
	}
	return hs_fd_pread(core->fd, core->path, bytes, length, offset, err);
}

static enum hs_status read_header(struct hs_core *core, struct header *ret, struct hs_error *err)
{
	uint8_t bytes[HS_CORE_HEADER_MAX] = { 0 };
	size_t have = (size_t)hs_min_u64(sizeof(bytes), core->info.file_bytes);
	enum hs_status st = hs_fd_pread(core->fd, core->path, bytes, have, 0, err);

	if (st == HS_OK) {
		st = check_ident(core, bytes, err);
	}
	if (st) {
		return st;
	}
	if (have < core->class->ehdr_bytes) {
		return hs_core_broken(core, err, have, "the file ends within its ELF header");
	}
	unsigned int word = core->class->word_bytes;
	/* Behind e_ident: type 2, machine 2, version 4, entry, phoff, shoff (words), flags 4, ehsize, phentsize, phnum,
	 * shentsize, shnum, shstrndx (2 each). */
	const uint8_t *halves = bytes + 24 + 3 * word + 4;

	ret->phoff = hs_get_le(bytes + 24 + word, word);
	ret->shoff = hs_get_le(bytes + 24 + 2 * word, word);
	ret->phentsize = hs_get_le16(halves + 2);
	ret->phnum = hs_get_le16(halves + 4);
	ret->shentsize = hs_get_le16(halves + 6);
	return HS_OK;
}

/** The number of program headers when e_phnum is too small for it: sh_info of section header 0. */
static enum hs_status read_extended_count(struct hs_core *core, struct header *header, struct hs_error *err)
{
	uint8_t bytes[HS_CORE_HEADER_MAX] = { 0 };
	unsigned int word = core->class->word_bytes;

	if (header->phnum != PN_XNUM) {
		return HS_OK;
	}
	if (header->shoff == 0 || header->shentsize != core->class->shdr_bytes) {
		return hs_core_broken(core, err, 0, "PN_XNUM without a section header");
	}
	enum hs_status st = read_at(core, header->shoff, bytes, core->class->shdr_bytes, "its section header", err);

	if (st) {
		return st;
	}
	/* name 4, type 4, flags, addr, offset, size (words), link 4, info 4 */
	header->phnum = hs_get_le32(bytes + 8 + 4 * word + 4);
	return HS_OK;
}

/** A program header of either class, as a segment, with its type. */
static uint32_t decode_phdr(const struct hs_core_class *class, const uint8_t *bytes, struct hs_core_segment *ret)
{
	unsigned int word = class->word_bytes;
	bool wide = word == 8;
	const uint8_t *at = bytes + (wide ? 8 : 4);
	uint32_t flags = hs_get_le32(wide ? bytes + 4 : bytes + 24);

	ret->offset = hs_get_le(at, word);
	ret->start = hs_gva_of(hs_get_le(at + word, word));
	ret->gpa = hs_gpa_of(hs_get_le(at + 2 * word, word));
	ret->stored_length = hs_get_le(at + 3 * word, word);
	ret->length = hs_get_le(at + 4 * word, word);
	ret->prot = (flags & PF_R ? HS_PROT_READ : 0) | (flags & PF_W ? HS_PROT_WRITE : 0) |
		    (flags & PF_X ? HS_PROT_EXEC : 0);
	return hs_get_le32(bytes);
}

static enum hs_status add_segment(struct hs_core *core, const struct hs_core_segment *segment, uint64_t where,
				  struct hs_error *err)
{
	uint64_t last_address = core->class->word_bytes == 8 ? UINT64_MAX : UINT32_MAX;
	uint64_t end;

	if (segment->length == 0) {
		return HS_OK;
	}
	if (segment->length - 1 > last_address - segment->start.v) {
		return hs_core_broken(core, err, where, "a segment runs past the end of the address space");
	}
	if (segment->stored_length > segment->length) {
		return hs_core_broken(core, err, where, "a segment has more bytes in the file than in memory");
	}
	if (!hs_add_u64(segment->offset, segment->stored_length, &end)) {
		return hs_core_broken(core, err, where, "a segment lies at an impossible file offset");
	}
	if (segment->stored_length > 0 && end > core->info.file_bytes) {
		core->info.missing_bytes = hs_max_u64(core->info.missing_bytes, end - core->info.file_bytes);
	}
	if (core->info.segment_count > 0) {
		const struct hs_core_segment *before = &core->segments[core->info.segment_count - 1];

		core->ordered = core->ordered && segment->start.v > before->start.v + (before->length - 1);
	}
	core->segments[core->info.segment_count++] = *segment;
	return HS_OK;
}

/** Copy the PT_NOTE and take it in. No writer of cores makes two. */
static enum hs_status add_notes(struct hs_core *core, const struct hs_core_segment *segment, struct hs_error *err)
{
	if (segment->stored_length == 0) {
		return HS_OK;
	}
	if (core->note_bytes != NULL) {
		return hs_core_broken(core, err, segment->offset, "a second PT_NOTE");
	}
	if (segment->stored_length > HS_CORE_NOTE_BYTES_MAX) {
		return hs_core_broken(core, err, segment->offset, "more than %u bytes of notes",
				      HS_CORE_NOTE_BYTES_MAX);
	}
	size_t length = (size_t)segment->stored_length;

	if (!hs_range_within(segment->offset, length, core->info.file_bytes)) {
		return hs_core_broken(core, err, segment->offset, "the notes lie outside of the file");
	}
	core->note_bytes = malloc(length);
	if (core->note_bytes == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the notes of %s", core->path);
	}
	core->note_length = length;
	core->note_offset = segment->offset;
	enum hs_status st = hs_fd_pread(core->fd, core->path, core->note_bytes, length, segment->offset, err);

	return st ? st : hs_core_read_notes(core, segment->offset, err);
}

/** A portion of program headers. */
static enum hs_status take_phdrs(struct hs_core *core, const uint8_t *bytes, size_t count, uint64_t offset,
				 struct hs_error *err)
{
	size_t entry = core->class->phdr_bytes;

	for (size_t i = 0; i < count; i++) {
		struct hs_core_segment segment;
		uint32_t type = decode_phdr(core->class, bytes + i * entry, &segment);
		enum hs_status st = HS_OK;

		if (type == PT_LOAD) {
			st = add_segment(core, &segment, offset + i * entry, err);
		} else if (type == PT_NOTE) {
			st = add_notes(core, &segment, err);
		}
		if (st) {
			return st;
		}
	}
	return HS_OK;
}

static enum hs_status read_phdrs(struct hs_core *core, const struct header *header, struct hs_error *err)
{
	size_t entry = core->class->phdr_bytes;
	uint8_t bytes[PHDR_PORTION * HS_CORE_HEADER_MAX];

	if (header->phnum > 0 && header->phentsize != entry) {
		return hs_core_broken(core, err, 0, "program headers of %u bytes, not %zu", header->phentsize, entry);
	}
	if (header->phnum > HS_CORE_SEGMENTS_MAX) {
		return hs_core_broken(core, err, 0, "%llu program headers, more than %u",
				      (unsigned long long)header->phnum, HS_CORE_SEGMENTS_MAX);
	}
	if (!hs_range_within(header->phoff, header->phnum * entry, core->info.file_bytes)) {
		return hs_core_broken(core, err, header->phoff, "the program headers lie outside of the file");
	}
	core->ordered = true;
	core->segments = calloc(header->phnum + 1, sizeof(*core->segments));
	if (core->segments == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the segments of %s", core->path);
	}
	for (uint64_t i = 0; i < header->phnum;) {
		size_t count = (size_t)hs_min_u64(PHDR_PORTION, header->phnum - i);
		uint64_t offset = header->phoff + i * entry;
		enum hs_status st = read_at(core, offset, bytes, count * entry, "a program header", err);

		if (st == HS_OK) {
			st = take_phdrs(core, bytes, count, offset, err);
		}
		if (st) {
			return st;
		}
		i += count;
	}
	return HS_OK;
}

enum hs_status hs_core_open(const char *path, struct hs_core **ret, struct hs_error *err)
{
	struct hs_core *core = calloc(1, sizeof(*core));
	struct header header = { 0 };

	if (core == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory to open %s", path);
	}
	core->fd = -1;
	core->info.name = core->name;
	core->info.command_line = core->command_line;
	core->info.producer = core->info.reason_name = core->info.reason = "";
	enum hs_status st = open_file(path, core, err);

	if (st == HS_OK) {
		st = read_header(core, &header, err);
	}
	if (st == HS_OK) {
		st = read_extended_count(core, &header, err);
	}
	if (st == HS_OK) {
		st = read_phdrs(core, &header, err);
	}
	if (st == HS_OK) {
		st = hs_core_finish_spaces(core, err);
	}
	if (st) {
		hs_core_close(core);
		return st;
	}
	*ret = core;
	return HS_OK;
}

void hs_core_close(struct hs_core *core)
{
	if (core == NULL) {
		return;
	}
	if (core->fd >= 0) {
		close(core->fd);
	}
	free(core->path);
	free(core->segments);
	free(core->note_bytes);
	free(core->notes);
	free(core->files);
	free(core->stored);
	free(core->spaces);
	free(core->space_segments);
	free(core);
}

const struct hs_core_info *hs_core_info(const struct hs_core *core)
{
	return &core->info;
}

const struct hs_core_segment *hs_core_segment(const struct hs_core *core, size_t index)
{
	return &core->segments[index];
}

const struct hs_core_note *hs_core_note(const struct hs_core *core, size_t index)
{
	return &core->notes[index];
}

const uint8_t *hs_core_note_bytes(const struct hs_core *core, size_t index)
{
	return core->note_bytes + (core->notes[index].offset - core->note_offset);
}

const struct hs_core_file *hs_core_file(const struct hs_core *core, size_t index)
{
	return &core->files[index];
}

const struct hs_core_stored *hs_core_stored(const struct hs_core *core, size_t index)
{
	return &core->stored[index];
}

const struct hs_core_space *hs_core_space(const struct hs_core *core, size_t index)
{
	return &core->spaces[index];
}

int hs_core_fd(const struct hs_core *core)
{
	return core->fd;
}

void hs_core_cpu(const struct hs_core *core, size_t index, struct hs_cpu_state *ret)
{
	const struct hs_core_cpu_notes *notes = &core->cpus[index];

	hs_cpu_state_init(ret);
	if (notes->xstate != NULL) {
		hs_xstate_get(notes->xstate, notes->xstate_length, ret);
	} else if (notes->fxsave != NULL) {
		memcpy(ret->xsave, notes->fxsave, HS_FXSAVE_BYTES);
		hs_put_le64(ret->xsave + HS_XSAVE_XSTATE_BV, 3); /* x87 and SSE are not in their initial state */
	}
	hs_prstatus_get(core->info.arch, notes->prstatus, ret);
}

/** The segment that contains gva and has it in the file, or NULL. */
static const struct hs_core_segment *find_segment(const struct hs_core *core, uint64_t gva)
{
	size_t low = 0, high = core->info.segment_count;

	while (core->ordered && high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (core->segments[middle].start.v <= gva) {
			low = middle;
		} else {
			high = middle;
		}
	}
	for (size_t i = low; i < high; i++) {
		const struct hs_core_segment *segment = &core->segments[i];

		if (gva >= segment->start.v && gva - segment->start.v < segment->stored_length) {
			return segment;
		}
	}
	return NULL;
}

enum hs_status hs_core_read(const struct hs_core *core, hs_gva gva, void *buffer, size_t length, size_t *ret_length,
			    struct hs_error *err)
{
	uint8_t *bytes = buffer;
	size_t done = 0;

	while (done < length) {
		uint64_t at = gva.v + done;
		const struct hs_core_segment *segment = find_segment(core, at);

		if (segment == NULL || (done > 0 && at == 0)) {
			break;
		}
		uint64_t into = at - segment->start.v;
		uint64_t part = hs_min_u64(length - done, segment->stored_length - into);

		if (segment->offset + into >= core->info.file_bytes) {
			break; /* a file that was cut off */
		}
		part = hs_min_u64(part, core->info.file_bytes - (segment->offset + into));
		enum hs_status st =
			hs_fd_pread(core->fd, core->path, bytes + done, (size_t)part, segment->offset + into, err);

		if (st) {
			return st;
		}
		done += (size_t)part;
	}
	if (done == 0 && length > 0) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, gva.v, "%s has no memory at 0x%llx", core->path,
				    (unsigned long long)gva.v);
	}
	*ret_length = done;
	return HS_OK;
}
