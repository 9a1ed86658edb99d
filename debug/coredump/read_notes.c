/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The notes of a core that is being opened. Each kind that is understood has a row with a function; the others are
 * listed and left alone. Lengths are checked before a byte is looked at. See read.h.
 */
#include "base/arith.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "coredump/notes.h"
#include "coredump/read.h"
#include "coredump/regnotes.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* elf.h of glibc 2.36 has no name for it (Linux 6.12 include/uapi/linux/elf.h). */
#define NOTE_X86_XSAVE_LAYOUT 0x205

struct note_kind {
	const char *name;
	uint32_t type;
	const char *title;
	enum hs_status (*take)(struct hs_core *core, const struct hs_core_desc *desc, struct hs_error *err);
};

static enum hs_status take_prstatus(struct hs_core *core, const struct hs_core_desc *desc, struct hs_error *err)
{
	if (desc->length != hs_prstatus_bytes(core->info.arch)) {
		return hs_core_broken(core, err, desc->offset, "NT_PRSTATUS of %zu bytes, not %zu", desc->length,
				      hs_prstatus_bytes(core->info.arch));
	}
	if (core->info.cpu_count == HS_CORE_CPUS_MAX) {
		return HS_OK; /* listed as a note, but its registers are not kept */
	}
	if (core->info.cpu_count == 0) {
		core->info.signal = hs_prstatus_signal(core->info.arch, desc->bytes);
	}
	core->cpus[core->info.cpu_count++].prstatus = desc->bytes;
	return HS_OK;
}

/** The CPU that register notes belong to: that of the last NT_PRSTATUS. NULL when there was none. */
static struct hs_core_cpu_notes *current_cpu(struct hs_core *core)
{
	return core->info.cpu_count > 0 ? &core->cpus[core->info.cpu_count - 1] : NULL;
}

static enum hs_status take_fxsave(struct hs_core *core, const struct hs_core_desc *desc, struct hs_error *err)
{
	struct hs_core_cpu_notes *cpu = current_cpu(core);

	if (desc->length != HS_FXSAVE_BYTES) {
		return hs_core_broken(core, err, desc->offset, "a floating-point note of %zu bytes, not %u",
				      desc->length, HS_FXSAVE_BYTES);
	}
	if (cpu != NULL && cpu->fxsave == NULL) {
		cpu->fxsave = desc->bytes;
	}
	return HS_OK;
}

/** The bytes of a word in a note: of the machine, whatever class the file is of. */
static unsigned int note_word(const struct hs_core *core)
{
	return hs_core_class_of(core->info.arch)->word_bytes;
}

/** NT_FPREGSET: an FXSAVE image on amd64; on i686 the note beside it says more (NT_PRXFPREG). */
static enum hs_status take_fpregset(struct hs_core *core, const struct hs_core_desc *desc, struct hs_error *err)
{
	return core->info.arch == HS_ARCH_AMD64 ? take_fxsave(core, desc, err) : HS_OK;
}

static enum hs_status take_xstate(struct hs_core *core, const struct hs_core_desc *desc, struct hs_error *err)
{
	struct hs_core_cpu_notes *cpu = current_cpu(core);

	if (desc->length < HS_XSTATE_MIN_BYTES) {
		return hs_core_broken(core, err, desc->offset, "NT_X86_XSTATE of %zu bytes, fewer than %u",
				      desc->length, HS_XSTATE_MIN_BYTES);
	}
	if (cpu != NULL && cpu->xstate == NULL) {
		cpu->xstate = desc->bytes;
		cpu->xstate_length = desc->length;
	}
	return HS_OK;
}

static enum hs_status take_prpsinfo(struct hs_core *core, const struct hs_core_desc *desc, struct hs_error *err)
{
	size_t name = hs_prpsinfo_name_offset(core->info.arch);

	if (desc->length != name + HS_PRPSINFO_NAME_BYTES + HS_PRPSINFO_LINE_BYTES) {
		return hs_core_broken(core, err, desc->offset, "NT_PRPSINFO of %zu bytes", desc->length);
	}
	/* Neither text need have a NUL in the file; both of ours are larger and were zero. */
	memcpy(core->name, desc->bytes + name, HS_PRPSINFO_NAME_BYTES);
	memcpy(core->command_line, desc->bytes + name + HS_PRPSINFO_NAME_BYTES, HS_PRPSINFO_LINE_BYTES);
	return HS_OK;
}

static enum hs_status take_siginfo(struct hs_core *core, const struct hs_core_desc *desc, struct hs_error *err)
{
	size_t address = hs_siginfo_address_offset(core->info.arch);

	if (desc->length < address + note_word(core)) {
		return hs_core_broken(core, err, desc->offset, "NT_SIGINFO of %zu bytes", desc->length);
	}
	if (!core->info.has_siginfo) {
		core->info.has_siginfo = true;
		core->info.code = (int32_t)hs_get_le32(desc->bytes + 8);
		core->info.fault_address = hs_get_le(desc->bytes + address, note_word(core));
	}
	return HS_OK;
}

static enum hs_status take_auxv(struct hs_core *core, const struct hs_core_desc *desc, struct hs_error *err)
{
	unsigned int word = note_word(core);
	struct hs_core_auxv *auxv = &core->info.auxv;

	(void)err;
	for (size_t at = 0; desc->length - at >= 2 * (size_t)word; at += 2 * (size_t)word) {
		uint64_t type = hs_get_le(desc->bytes + at, word);
		uint64_t value = hs_get_le(desc->bytes + at + word, word);

		switch (type) {
		case AT_NULL:
			return HS_OK;
		case AT_ENTRY:
			auxv->entry = value;
			break;
		case AT_PHDR:
			auxv->phdr = value;
			break;
		case AT_PHENT:
			auxv->phent = value;
			break;
		case AT_PHNUM:
			auxv->phnum = value;
			break;
		case AT_BASE:
			auxv->base = value;
			break;
		case AT_PAGESZ:
			auxv->page_bytes = value;
			break;
		default:
			break;
		}
	}
	return HS_OK;
}

/** One mapping of NT_FILE; its words were checked to be there. */
static enum hs_status get_file(const struct hs_core *core, const struct hs_core_desc *desc, size_t index,
			       uint64_t page_bytes, struct hs_core_file *ret, struct hs_error *err)
{
	unsigned int word = note_word(core);
	const uint8_t *words = desc->bytes + (2 + 3 * index) * word;
	uint64_t start = hs_get_le(words, word);
	uint64_t end = hs_get_le(words + word, word);
	uint64_t offset;

	if (end < start || !hs_mul_u64(hs_get_le(words + 2 * (size_t)word, word), page_bytes, &offset)) {
		return hs_core_broken(core, err, desc->offset, "NT_FILE has a mapping that ends before it starts");
	}
	*ret = (struct hs_core_file){ .start = hs_gva_of(start), .length = end - start, .file_offset = offset };
	return HS_OK;
}

static enum hs_status take_files(struct hs_core *core, const struct hs_core_desc *desc, struct hs_error *err)
{
	size_t word = note_word(core);

	if (core->files != NULL) {
		return HS_OK;
	}
	if (desc->length < 2 * word) {
		return hs_core_broken(core, err, desc->offset, "NT_FILE of %zu bytes", desc->length);
	}
	uint64_t count = hs_get_le(desc->bytes, (unsigned int)word);
	uint64_t page_bytes = hs_get_le(desc->bytes + word, (unsigned int)word);

	if (count > (desc->length - 2 * word) / (3 * word)) {
		return hs_core_broken(core, err, desc->offset, "NT_FILE promises %llu mappings",
				      (unsigned long long)count);
	}
	core->files = calloc((size_t)count + 1, sizeof(*core->files));
	if (core->files == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the mappings of %s", core->path);
	}
	size_t at = (2 + 3 * (size_t)count) * word;

	for (size_t i = 0; i < count; i++) {
		const uint8_t *text = desc->bytes + at;
		const uint8_t *end = at < desc->length ? memchr(text, 0, desc->length - at) : NULL;
		enum hs_status st = get_file(core, desc, i, page_bytes, &core->files[i], err);

		if (st) {
			return st;
		}
		if (end == NULL) {
			return hs_core_broken(core, err, desc->offset, "NT_FILE has fewer paths than mappings");
		}
		core->files[i].path = (const char *)text;
		at += (size_t)(end - text) + 1;
	}
	core->info.file_count = (size_t)count;
	return HS_OK;
}

/** Where whole pieces of physical memory are. Only what can be is kept: whoever looks need not check it again. */
static enum hs_status take_stored(struct hs_core *core, const struct hs_core_desc *desc, const struct hs_vmnote *note,
				  struct hs_error *err)
{
	uint64_t behind = 0;

	if (note->stored_count == 0 || core->stored != NULL) {
		return HS_OK;
	}
	core->stored = calloc(note->stored_count, sizeof(*core->stored));
	if (core->stored == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the notes of %s", core->path);
	}
	for (size_t i = 0; i < note->stored_count; i++) {
		struct hs_core_stored stored = hs_vmnote_stored(note, i);
		uint64_t end;

		if (stored.length == 0 || (stored.gpa.v | stored.length | stored.offset) % HS_PAGE_SIZE ||
		    stored.gpa.v < behind || !hs_add_u64(stored.gpa.v, stored.length, &behind) ||
		    !hs_add_u64(stored.offset, stored.length, &end) || end > INT64_MAX) {
			return hs_core_broken(core, err, desc->offset,
					      "stored memory %zu is out of bounds or out of order", i);
		}
		if (end > core->info.file_bytes) {
			core->info.missing_bytes = hs_max_u64(core->info.missing_bytes, end - core->info.file_bytes);
		}
		core->stored[i] = stored;
	}
	core->info.stored_count = note->stored_count;
	return HS_OK;
}

static enum hs_status take_facts(struct hs_core *core, const struct hs_core_desc *desc, struct hs_error *err)
{
	struct hs_vmnote note;
	enum hs_status st = hs_vmnote_get(desc->bytes, desc->length, &note, err);

	if (st) {
		hs_core_broken_note(core, desc->offset, st, err);
		return st;
	}
	core->info.producer = note.producer;
	core->info.reason_name = note.reason_name;
	core->info.reason = note.reason;
	core->info.partial = note.partial;
	core->info.reached = note.reached;
	core->info.bad_tables = note.bad_tables;
	core->info.unbacked_bytes = note.unbacked_bytes;
	core->info.has_root = note.has_root;
	core->info.root = note.root;
	st = take_stored(core, desc, &note, err);
	return st ? st : hs_core_read_spaces(core, desc, &note, err);
}

/** The notes before this one are what the sum is of. */
static enum hs_status take_sum(struct hs_core *core, const struct hs_core_desc *desc, struct hs_error *err)
{
	/* The header is 12 bytes, the name HINDSIGHT with its NUL and two bytes of zeros another 12. */
	size_t before = (size_t)(desc->bytes - core->note_bytes) - 24;

	if (desc->length != 4) {
		return hs_core_broken(core, err, desc->offset, "a checksum of %zu bytes", desc->length);
	}
	core->info.notes_sum = hs_crc32c(0, core->note_bytes, before) == hs_get_le32(desc->bytes) ? HS_CORE_SUM_GOOD
												  : HS_CORE_SUM_BAD;
	return HS_OK;
}

static const struct note_kind KINDS[] = {
	{ "CORE", NT_PRSTATUS, "NT_PRSTATUS", take_prstatus },
	{ "CORE", NT_PRPSINFO, "NT_PRPSINFO", take_prpsinfo },
	{ "CORE", NT_SIGINFO, "NT_SIGINFO", take_siginfo },
	{ "CORE", NT_AUXV, "NT_AUXV", take_auxv },
	{ "CORE", NT_FILE, "NT_FILE", take_files },
	{ "CORE", NT_FPREGSET, "NT_FPREGSET", take_fpregset },
	{ "LINUX", NT_PRXFPREG, "NT_PRXFPREG", take_fxsave },
	{ "LINUX", NT_X86_XSTATE, "NT_X86_XSTATE", take_xstate },
	{ "LINUX", NT_386_TLS, "NT_386_TLS", NULL },
	{ "LINUX", NT_386_IOPERM, "NT_386_IOPERM", NULL },
	{ "LINUX", NOTE_X86_XSAVE_LAYOUT, "NT_X86_XSAVE_LAYOUT", NULL },
	{ HS_VMNOTE_NAME, HS_VMNOTE_FACTS, "facts", take_facts },
	{ HS_VMNOTE_NAME, HS_VMNOTE_SNAPSHOT, "snapshot", NULL },
	{ HS_VMNOTE_NAME, HS_VMNOTE_HISTORY, "history", NULL },
	{ HS_VMNOTE_NAME, HS_VMNOTE_SUM, "checksum", take_sum },
};

static const struct note_kind *find_kind(const char *name, uint32_t type)
{
	for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
		if (KINDS[i].type == type && strcmp(KINDS[i].name, name) == 0) {
			return &KINDS[i];
		}
	}
	return NULL;
}

static void copy_name(const uint8_t *bytes, size_t length, char *ret, size_t size)
{
	size_t i = 0;

	for (; i < length && i < size - 1 && bytes[i] != 0; i++) {
		ret[i] = bytes[i] >= ' ' && bytes[i] <= '~' ? (char)bytes[i] : '?';
	}
	ret[i] = '\0';
}

/** Where the next note stands, or the end. */
struct note_cursor {
	size_t at, end;
	uint64_t file_offset; /* of `at` 0 */
};

static size_t padded(size_t length, size_t left)
{
	size_t padding = -length & 3;

	return length + (padding < left - length ? padding : left - length);
}

/** One note at the cursor, which moves behind it. */
static enum hs_status next_note(const struct hs_core *core, struct note_cursor *cursor, struct hs_core_note *ret,
				struct hs_core_desc *ret_desc, struct hs_error *err)
{
	const uint8_t *bytes = core->note_bytes + cursor->at;
	size_t left = cursor->end - cursor->at;
	uint64_t where = cursor->file_offset + cursor->at;
	size_t name_length = left >= 12 ? hs_get_le32(bytes) : 0;
	size_t desc_length = left >= 12 ? hs_get_le32(bytes + 4) : 0;

	if (left < 12 || name_length > left - 12) {
		return hs_core_broken(core, err, where, "a note does not fit into its segment");
	}
	size_t name_end = 12 + padded(name_length, left - 12);

	if (desc_length > left - name_end) {
		return hs_core_broken(core, err, where, "a note's descriptor does not fit into its segment");
	}
	copy_name(bytes + 12, name_length, ret->name, sizeof(ret->name));
	ret->type = hs_get_le32(bytes + 8);
	ret->length = (uint32_t)desc_length;
	ret->offset = where + name_end;
	*ret_desc = (struct hs_core_desc){ bytes + name_end, desc_length, ret->offset };
	cursor->at += name_end + padded(desc_length, left - name_end);
	return HS_OK;
}

/** Notes in a segment: at most one for each 12 bytes. Counted first, so that the list is allocated once. */
static enum hs_status count_notes(struct hs_core *core, struct note_cursor cursor, size_t *ret, struct hs_error *err)
{
	struct hs_core_note note;
	struct hs_core_desc desc;
	size_t count = 0;

	while (cursor.at < cursor.end) {
		enum hs_status st = next_note(core, &cursor, &note, &desc, err);

		if (st) {
			return st;
		}
		count++;
	}
	*ret = count;
	return HS_OK;
}

enum hs_status hs_core_read_notes(struct hs_core *core, uint64_t file_offset, struct hs_error *err)
{
	struct note_cursor cursor = { .at = 0, .end = core->note_length, .file_offset = file_offset };
	size_t count;
	enum hs_status st = count_notes(core, cursor, &count, err);

	if (st) {
		return st;
	}
	core->notes = calloc(count + 1, sizeof(*core->notes));
	if (core->notes == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the notes of %s", core->path);
	}
	while (cursor.at < cursor.end) {
		struct hs_core_note *note = &core->notes[core->info.note_count];
		struct hs_core_desc desc;

		st = next_note(core, &cursor, note, &desc, err);
		if (st) {
			return st;
		}
		const struct note_kind *kind = find_kind(note->name, note->type);

		note->title = kind != NULL ? kind->title : NULL;
		core->info.note_count++;
		if (kind != NULL && kind->take != NULL) {
			st = kind->take(core, &desc, err);
		}
		if (st) {
			return st;
		}
	}
	return HS_OK;
}
