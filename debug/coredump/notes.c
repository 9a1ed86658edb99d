/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The notes of a core. See notes.h. */
#include "coredump/notes.h"

#include "base/arith.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "coredump/headers.h"
#include "coredump/regnotes.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

/** Appends notes for one class. */
struct writer {
	struct hs_buf *buf;
	enum hs_arch arch;
	unsigned int word_bytes;
};

static void put_word(const struct writer *writer, uint64_t value)
{
	uint8_t bytes[8];

	hs_put_le(bytes, value, writer->word_bytes);
	hs_buf_append(writer->buf, bytes, writer->word_bytes);
}

static void pad(struct hs_buf *buf, size_t length)
{
	static const uint8_t zeros[4];

	hs_buf_append(buf, zeros, -length & 3);
}

/** A note's header and name; the descriptor follows, then pad() to 4 bytes (both classes: gABI 5, and all readers). */
static void put_note_start(const struct writer *writer, const char *name, uint32_t type, size_t length)
{
	uint8_t header[12];

	hs_put_le32(header, (uint32_t)strlen(name) + 1);
	hs_put_le32(header + 4, (uint32_t)length);
	hs_put_le32(header + 8, type);
	hs_buf_append(writer->buf, header, sizeof(header));
	hs_buf_append(writer->buf, name, strlen(name) + 1);
	pad(writer->buf, strlen(name) + 1);
}

static void put_note(const struct writer *writer, const char *name, uint32_t type, const void *desc, size_t length)
{
	put_note_start(writer, name, type, length);
	hs_buf_append(writer->buf, desc, length);
	pad(writer->buf, length);
}

static void put_prstatus(const struct writer *writer, const struct hs_core_input *input, size_t cpu)
{
	uint8_t desc[HS_PRSTATUS64_BYTES];

	hs_prstatus_put(writer->arch, &input->cpus[cpu], input->signal, hs_core_thread_id(input, cpu), desc);
	put_note(writer, "CORE", NT_PRSTATUS, desc, hs_prstatus_bytes(writer->arch));
}

static void put_vector_registers(const struct writer *writer, const struct hs_core_input *input, size_t cpu)
{
	const struct hs_cpu_state *state = &input->cpus[cpu];
	uint8_t desc[HS_XSAVE_SIZE];
	size_t length = hs_xstate_bytes(state->xcr0, input->xsave_bytes);

	if (writer->arch == HS_ARCH_I686) {
		hs_fsave_put(state, desc);
		put_note(writer, "CORE", NT_FPREGSET, desc, HS_FSAVE_BYTES);
		put_note(writer, "LINUX", NT_PRXFPREG, state->xsave, HS_FXSAVE_BYTES);
	} else {
		put_note(writer, "CORE", NT_FPREGSET, state->xsave, HS_FXSAVE_BYTES);
	}
	hs_xstate_put(state, length, desc);
	put_note(writer, "LINUX", NT_X86_XSTATE, desc, length);
}

size_t hs_prpsinfo_name_offset(enum hs_arch arch)
{
	/* struct elf_prpsinfo: state, sname, zomb, nice; flag (8 at 8, or 4 at 4), uid and gid (4 or 2 bytes each),
	 * pid, ppid, pgrp, sid; fname[16]; psargs[80]. */
	return arch == HS_ARCH_I686 ? 28 : 40;
}

static void put_prpsinfo(const struct writer *writer, const struct hs_core_input *input)
{
	size_t name = hs_prpsinfo_name_offset(writer->arch);
	uint8_t desc[HS_PRPSINFO64_BYTES] = { 0 };

	desc[1] = 'R';
	hs_put_le32(desc + name - 16, hs_core_thread_id(input, 0)); /* pid; ppid, pgrp and sid are 0 */
	memcpy(desc + name, input->name, strnlen(input->name, HS_PRPSINFO_NAME_BYTES - 1));
	memcpy(desc + name + HS_PRPSINFO_NAME_BYTES, input->command_line,
	       strnlen(input->command_line, HS_PRPSINFO_LINE_BYTES - 1));
	put_note(writer, "CORE", NT_PRPSINFO, desc, name + HS_PRPSINFO_NAME_BYTES + HS_PRPSINFO_LINE_BYTES);
}

size_t hs_siginfo_address_offset(enum hs_arch arch)
{
	/* signo, errno and code, 4 bytes each; the union that follows is aligned to a pointer. */
	return arch == HS_ARCH_I686 ? 12 : 16;
}

static void put_siginfo(const struct writer *writer, const struct hs_core_input *input)
{
	uint8_t desc[HS_SIGINFO_BYTES] = { 0 };

	hs_put_le32(desc, (uint32_t)input->signal);
	hs_put_le32(desc + 8, (uint32_t)input->code);
	hs_put_le(desc + hs_siginfo_address_offset(writer->arch), input->fault_address, writer->word_bytes);
	put_note(writer, "CORE", NT_SIGINFO, desc, sizeof(desc));
}

static void put_auxv(const struct writer *writer, const struct hs_core_auxv *auxv)
{
	uint64_t page_bytes = auxv->page_bytes ? auxv->page_bytes : HS_PAGE_SIZE;
	const uint64_t words[][2] = {
		{ AT_PAGESZ, page_bytes }, { AT_BASE, auxv->base },   { AT_ENTRY, auxv->entry },
		{ AT_PHDR, auxv->phdr },   { AT_PHENT, auxv->phent }, { AT_PHNUM, auxv->phnum },
	};
	size_t count = auxv->phdr != 0 ? 6 : 3;

	put_note_start(writer, "CORE", NT_AUXV, (count + 1) * 2 * writer->word_bytes);
	for (size_t i = 0; i < count; i++) {
		put_word(writer, words[i][0]);
		put_word(writer, words[i][1]);
	}
	put_word(writer, AT_NULL);
	put_word(writer, 0);
}

/** NT_FILE: count, page size, {start, end, offset in pages} each, then the paths with their NULs. */
static void put_files(const struct writer *writer, const struct hs_core_input *input)
{
	size_t length = (2 + 3 * input->file_count) * writer->word_bytes;

	for (size_t i = 0; i < input->file_count; i++) {
		length += strlen(input->files[i].path) + 1;
	}
	put_note_start(writer, "CORE", NT_FILE, length);
	put_word(writer, input->file_count);
	put_word(writer, HS_PAGE_SIZE);
	for (size_t i = 0; i < input->file_count; i++) {
		const struct hs_core_file *file = &input->files[i];

		put_word(writer, file->start.v);
		put_word(writer, file->start.v + file->length);
		put_word(writer, file->file_offset / HS_PAGE_SIZE);
	}
	for (size_t i = 0; i < input->file_count; i++) {
		hs_buf_append(writer->buf, input->files[i].path, strlen(input->files[i].path) + 1);
	}
	pad(writer->buf, length);
}

static void put_vmnote(const struct writer *writer, const struct hs_vmnote *vmnote)
{
	size_t start = writer->buf->length;

	put_note_start(writer, HS_VMNOTE_NAME, HS_VMNOTE_FACTS, 0);
	size_t desc = writer->buf->length;

	hs_vmnote_put(writer->buf, vmnote);
	if (!writer->buf->failed) {
		hs_put_le32(writer->buf->data + start + 4, (uint32_t)(writer->buf->length - desc));
	}
	pad(writer->buf, writer->buf->length - desc);
}

/** Over everything that stands in the buffer. */
static void put_sum(const struct writer *writer)
{
	uint8_t bytes[4];

	hs_put_le32(bytes, hs_crc32c(0, writer->buf->data, writer->buf->length));
	put_note(writer, HS_VMNOTE_NAME, HS_VMNOTE_SUM, bytes, sizeof(bytes));
}

void hs_notes_put(struct hs_buf *buf, const struct hs_core_input *input, const struct hs_vmnote *vmnote)
{
	const struct writer writer = { buf, input->arch, hs_core_class_of(input->arch)->word_bytes };

	put_prstatus(&writer, input, 0);
	put_prpsinfo(&writer, input);
	put_siginfo(&writer, input);
	put_auxv(&writer, &input->auxv);
	if (input->file_count > 0) {
		put_files(&writer, input);
	}
	put_vector_registers(&writer, input, 0);
	for (size_t i = 1; i < input->cpu_count; i++) {
		put_prstatus(&writer, input, i);
		put_vector_registers(&writer, input, i);
	}
	put_vmnote(&writer, vmnote);
	for (size_t i = 0; i < input->note_count; i++) {
		put_note(&writer, HS_VMNOTE_NAME, input->notes[i].type, input->notes[i].bytes, input->notes[i].length);
	}
	put_sum(&writer);
}
