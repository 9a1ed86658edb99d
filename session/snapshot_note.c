/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One function for each record says what is in it, whichever way the bytes go: so what is written is what is read.
 */
#include "session/snapshot_note.h"

#include "arch/regs.h"
#include "base/arith.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "coredump/vmnote.h"
#include "vmm/signature.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum record_kind {
	RECORD_GUEST = 1,
	RECORD_MEMORY = 2,
	RECORD_ROOTS = 3,
	RECORD_CPU = 4,
	RECORD_CRASH = 5,
	RECORD_MACHINE = 6,
	RECORD_FUNCTIONS = 7,
	RECORD_COUNT,
};

/** More than any snapshot has, so that a file cannot ask for all memory. */
#define ROOTS_MAX 65536u

#define PART_SHARED 1u
#define INFO_COW 1u

/** Bytes on their way: to the file while out is set, else from the descriptor. */
struct codec {
	struct hs_buf *out;
	const uint8_t *in;
	size_t at, length;  /* of in */
	const char *broken; /* what was wrong first; static */
	size_t broken_at;
};

static void blame(struct codec *codec, const char *what)
{
	if (!codec->broken) {
		codec->broken = what;
		codec->broken_at = codec->at;
	}
}

/** Bytes that have no order. */
static void code_bytes(struct codec *codec, void *bytes, size_t length)
{
	if (codec->out) {
		hs_buf_append(codec->out, bytes, length);
	} else if (length > codec->length - codec->at) {
		blame(codec, "a record that is too short");
	} else {
		memcpy(bytes, codec->in + codec->at, length);
		codec->at += length;
	}
}

/** A number of size bytes. */
static uint64_t code_number(struct codec *codec, uint64_t value, unsigned int size)
{
	uint8_t bytes[8] = { 0 };

	hs_put_le(bytes, value, size);
	code_bytes(codec, bytes, size);
	return hs_get_le(bytes, size);
}

static void code_u64(struct codec *codec, uint64_t *value)
{
	*value = code_number(codec, *value, 8);
}

static void code_u32(struct codec *codec, uint32_t *value)
{
	*value = (uint32_t)code_number(codec, *value, 4);
}

static void code_u16(struct codec *codec, uint16_t *value)
{
	*value = (uint16_t)code_number(codec, *value, 2);
}

static void code_u64s(struct codec *codec, uint64_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		code_u64(codec, &values[i]);
	}
}

/** A number from 0 to most. */
static uint64_t code_choice(struct codec *codec, uint64_t value, uint64_t most, const char *what)
{
	uint64_t read = code_number(codec, value, 4);

	if (read > most) {
		blame(codec, what);
		return 0;
	}
	return read;
}

/** An int, which may be negative. */
static void code_int(struct codec *codec, int *value)
{
	*value = (int32_t)(uint32_t)code_number(codec, (uint32_t)*value, 4);
}

/** A text in a field of size bytes: its NUL must be there. */
static void code_text(struct codec *codec, char *text, size_t size)
{
	uint32_t length = (uint32_t)strnlen(text, size - 1);

	code_u32(codec, &length);
	if (length >= size) {
		blame(codec, "a text that is too long");
		return;
	}
	code_bytes(codec, text, length);
	text[length] = '\0';
	if (strlen(text) != length) {
		blame(codec, "a text with a NUL in it");
	}
}

/** A text that is shown on a terminal, which would obey what is not text. */
static void code_line(struct codec *codec, char *text, size_t size)
{
	code_text(codec, text, size);
	for (const char *at = text; !codec->broken && *at != '\0'; at++) {
		if (*at < 0x20 || *at > 0x7e) {
			blame(codec, "a line of text with bytes that are none");
		}
	}
}

static void code_guest(struct codec *codec, struct hs_snapshot_info *info)
{
	struct hs_snapshot_guest *guest = &info->guest;
	uint64_t *const words[] = {
		&guest->features,       &guest->entry,        &guest->phdr,        &guest->dispatch,
		&guest->input_bytes,    &guest->output_bytes, &guest->boot_idt,    &guest->roots,
		&guest->roots_variable, &guest->roots_stride, &guest->roots_count, &guest->generation,
	};

	guest->arch = (enum hs_arch)code_choice(codec, guest->arch, HS_ARCH_I686, "no architecture that is known");
	guest->build_id_length = (uint32_t)code_choice(codec, guest->build_id_length, sizeof(guest->build_id),
						       "a build-id that is too long");
	code_bytes(codec, guest->build_id, sizeof(guest->build_id));
	code_u16(codec, &guest->phentsize);
	code_u16(codec, &guest->phnum);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		code_u64(codec, words[i]);
	}
	code_text(codec, guest->path, sizeof(guest->path));
}

static void code_memory(struct codec *codec, struct hs_snapshot_info *info)
{
	struct hs_memory_image *memory = &info->memory;

	code_u64(codec, &memory->scratch_gpa.v);
	code_u64(codec, &memory->scratch_length);
	code_u64(codec, &info->shared_bytes);
	code_u64(codec, &info->private_bytes);
	code_u64(codec, &info->table_bytes);
	memory->part_count =
		(size_t)code_choice(codec, memory->part_count, HS_MEMORY_PARTS_MAX, "too many parts of memory");
	for (size_t i = 0; i < memory->part_count; i++) {
		struct hs_memory_part *part = &memory->parts[i];

		code_u64(codec, &part->gpa.v);
		code_u64(codec, &part->length);
		part->shared = code_number(codec, part->shared ? PART_SHARED : 0, 8) & PART_SHARED;
	}
}

static void code_roots(struct codec *codec, struct hs_snapshot_info *info)
{
	struct hs_root *roots = NULL;

	info->root_count = (uint32_t)code_choice(codec, info->root_count, ROOTS_MAX, "too many roots");
	info->current = (uint32_t)code_choice(codec, info->current, ROOTS_MAX, "no such root");
	info->cow = code_number(codec, info->cow ? INFO_COW : 0, 8) & INFO_COW;
	if (!codec->out) {
		/* One too many, so that none is not asked of calloc() as zero bytes. */
		info->roots = roots = calloc(info->root_count + 1u, sizeof(*roots));
	}
	for (uint32_t i = 0; info->roots && i < info->root_count; i++) {
		uint8_t bytes[HS_VMNOTE_ROOT_BYTES] = { 0 };

		hs_vmnote_root_put(&info->roots[i], bytes);
		code_bytes(codec, bytes, sizeof(bytes));
		if (roots && !hs_vmnote_root_get(bytes, &roots[i])) {
			blame(codec, "a root of no known paging format");
		}
	}
}

static void code_segment(struct codec *codec, struct hs_segment *segment)
{
	uint8_t *const bits[] = {
		&segment->present, &segment->db,  &segment->s,        &segment->l,
		&segment->g,       &segment->avl, &segment->unusable,
	};
	uint8_t flags = 0;

	code_u64(codec, &segment->base);
	code_u32(codec, &segment->limit);
	code_u16(codec, &segment->selector);
	/* Bits 0 to 3: type, 4 and 5: DPL. */
	flags = (uint8_t)code_number(codec, (segment->type & 15u) | (segment->dpl & 3u) << 4, 1);
	segment->type = flags & 15;
	segment->dpl = flags >> 4 & 3;
	flags = 0;
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		flags |= (uint8_t)((*bits[i] & 1u) << i);
	}
	flags = (uint8_t)code_number(codec, flags, 1);
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		*bits[i] = flags >> i & 1;
	}
}

static void code_cpu(struct codec *codec, struct hs_cpu_state *cpu)
{
	struct hs_msrs *msr = &cpu->msr;
	uint64_t *const words[] = {
		&cpu->rip,          &cpu->rflags,
		&cpu->cr0,          &cpu->cr2,
		&cpu->cr3,          &cpu->cr4,
		&cpu->cr8,          &cpu->xcr0,
		&msr->efer,         &msr->star,
		&msr->lstar,        &msr->cstar,
		&msr->fmask,        &msr->kernel_gs_base,
		&msr->sysenter_cs,  &msr->sysenter_esp,
		&msr->sysenter_eip, &msr->pat,
		&msr->tsc,          &msr->tsc_aux,
		&msr->apic_base,    &cpu->gdt.base,
		&cpu->idt.base,
	};

	code_u64s(codec, cpu->gpr, HS_GPR_COUNT);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		code_u64(codec, words[i]);
	}
	code_u16(codec, &cpu->gdt.limit);
	code_u16(codec, &cpu->idt.limit);
	for (size_t i = 0; i < HS_SEG_COUNT; i++) {
		code_segment(codec, &cpu->seg[i]);
	}
	code_u64s(codec, cpu->dr, 8);
	code_bytes(codec, cpu->xsave, sizeof(cpu->xsave));
}

static bool code_bool(struct codec *codec, bool value)
{
	return code_number(codec, value, 1) & 1;
}

static void code_machine(struct codec *codec, struct hs_snapshot_guest *guest)
{
	struct hs_devices *devices = &guest->devices;

	code_u64(codec, &guest->guard);
	code_u64(codec, &guest->guard_bytes);
	devices->uart_lcr = (uint8_t)code_number(codec, devices->uart_lcr, 1);
	devices->uart_scratch = (uint8_t)code_number(codec, devices->uart_scratch, 1);
	code_line(codec, devices->abort_text, sizeof(devices->abort_text));
	code_text(codec, guest->roots_symbol, sizeof(guest->roots_symbol));
}

static void code_functions(struct codec *codec, struct hs_snapshot_info *info)
{
	struct hs_snapshot_function *functions = NULL;

	info->function_count = (uint32_t)code_choice(codec, info->function_count, HS_SNAPSHOT_FUNCTIONS_MAX,
						     "too many host functions");
	if (!codec->out) {
		info->functions = functions = calloc(info->function_count + 1u, sizeof(*functions));
	}
	for (uint32_t i = 0; info->functions && i < info->function_count && !codec->broken; i++) {
		struct hs_snapshot_function function = info->functions[i];

		code_line(codec, function.name, sizeof(function.name));
		code_line(codec, function.signature, sizeof(function.signature));
		if (functions) {
			functions[i] = function;
		}
		if (!hs_call_name_ok(function.name, strlen(function.name)) ||
		    hs_signature_check(function.signature, NULL)) {
			blame(codec, "a host function without a name or a signature");
		}
	}
}

static void code_crash(struct codec *codec, struct hs_crash *crash)
{
	crash->reason = (enum hs_crash_reason)code_choice(codec, crash->reason, HS_CRASH_CALL, "no reason of a crash");
	code_int(codec, &crash->signal);
	code_int(codec, &crash->code);
	code_u64(codec, &crash->fault_address);
	code_u64(codec, &crash->rip);
	code_u64(codec, &crash->gpa);
	code_u32(codec, &crash->error_code);
	code_u16(codec, &crash->port);
	crash->vector = (uint8_t)code_number(codec, crash->vector, 1);
	crash->has_error_code = code_bool(codec, crash->has_error_code);
	crash->registers_lost = code_bool(codec, crash->registers_lost);
	code_line(codec, crash->abort_message, sizeof(crash->abort_message));
	code_line(codec, crash->text, sizeof(crash->text));
	if (crash->signal < 0 || crash->signal > 127) {
		blame(codec, "no signal that a crash has");
	}
}

static void code_record(struct codec *codec, enum record_kind kind, struct hs_snapshot_note *note)
{
	switch (kind) {
	case RECORD_GUEST:
		code_guest(codec, &note->info);
		return;
	case RECORD_MEMORY:
		code_memory(codec, &note->info);
		return;
	case RECORD_ROOTS:
		code_roots(codec, &note->info);
		return;
	case RECORD_CPU:
		code_cpu(codec, &note->cpu);
		return;
	case RECORD_CRASH:
		note->info.crashed = true;
		code_crash(codec, &note->info.crash);
		return;
	case RECORD_MACHINE:
		code_machine(codec, &note->info.guest);
		return;
	case RECORD_FUNCTIONS:
		code_functions(codec, &note->info);
		return;
	case RECORD_COUNT:
		return;
	}
}

/** A record: u32 kind, u32 length, the bytes, zeros up to a multiple of 4. */
static void put_record(struct codec *codec, enum record_kind kind, struct hs_snapshot_note *note)
{
	static const uint8_t zeros[4];
	struct hs_buf *buf = codec->out;
	uint8_t header[8] = { 0 };
	size_t start;

	hs_put_le32(header, kind);
	hs_buf_append(buf, header, sizeof(header));
	start = buf->length;
	code_record(codec, kind, note);
	if (!buf->failed) {
		hs_put_le32(buf->data + start - 4, (uint32_t)(buf->length - start));
		hs_buf_append(buf, zeros, -(buf->length - start) & 3);
	}
}

static struct hs_snapshot_note *note_create(void)
{
	struct hs_snapshot_note *note = HS_NEW_ALIGNED(struct hs_snapshot_note);

	if (note) {
		hs_cpu_state_init(&note->cpu);
	}
	return note;
}

void hs_snapshot_note_free(struct hs_snapshot_note *note)
{
	if (note) {
		free((void *)(uintptr_t)note->info.roots);
		free((void *)(uintptr_t)note->info.functions);
	}
	free(note);
}

void hs_snapshot_note_put(struct hs_buf *buf, const struct hs_snapshot_info *info, const struct hs_cpu_state *cpu)
{
	struct codec codec = { .out = buf };
	struct hs_snapshot_note *note = note_create();
	uint8_t version[4];

	if (!note) {
		buf->failed = true;
		return;
	}
	note->info = *info;
	note->cpu = *cpu;
	hs_put_le32(version, HS_SNAPSHOT_NOTE_VERSION);
	hs_buf_append(buf, version, sizeof(version));
	for (unsigned int kind = RECORD_GUEST; kind < RECORD_COUNT; kind++) {
		if ((kind != RECORD_CRASH || info->crashed) && (kind != RECORD_FUNCTIONS || info->function_count > 0)) {
			put_record(&codec, (enum record_kind)kind, note);
		}
	}
	note->info.roots = NULL; /* the caller's, as the next */
	note->info.functions = NULL;
	hs_snapshot_note_free(note);
}

/** All records; which kinds there were, as bits. Kinds that are not known are skipped. */
static unsigned int get_records(struct codec *whole, struct hs_snapshot_note *note)
{
	unsigned int seen = 0;

	while (!whole->broken && whole->length - whole->at >= 8) {
		uint32_t kind = hs_get_le32(whole->in + whole->at);
		size_t length = hs_get_le32(whole->in + whole->at + 4);
		struct codec record = { .in = whole->in, .at = whole->at + 8 };

		if (length > whole->length - record.at) {
			blame(whole, "a record that is longer than the note");
			break;
		}
		record.length = record.at + length;
		whole->at = record.length + hs_min_u64(-length & 3, whole->length - record.length);
		if (kind == 0 || kind >= RECORD_COUNT) {
			continue;
		}
		if (seen & 1u << kind) {
			blame(whole, "two records of one kind");
			break;
		}
		seen |= 1u << kind;
		code_record(&record, (enum record_kind)kind, note);
		whole->broken = record.broken;
		whole->broken_at = record.broken_at;
	}
	return seen;
}

static enum hs_status check_version(const uint8_t *desc, size_t length, uint64_t offset, struct hs_error *err)
{
	uint32_t version = length >= 4 ? hs_get_le32(desc) : 0;

	if (version == 0) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, offset, "broken core: the snapshot's note has no version");
	}
	return version == HS_SNAPSHOT_NOTE_VERSION
		       ? HS_OK
		       : hs_error_set(err, HS_ERR_UNSUPPORTED, 0, offset,
				      "a snapshot of version %u, this program knows version %u (use %s one)", version,
				      HS_SNAPSHOT_NOTE_VERSION,
				      version > HS_SNAPSHOT_NOTE_VERSION ? "a newer" : "an older");
}

enum hs_status hs_snapshot_note_get(const uint8_t *desc, size_t length, uint64_t offset, struct hs_snapshot_note **ret,
				    struct hs_error *err)
{
	const unsigned int needed = 1u << RECORD_GUEST | 1u << RECORD_MEMORY | 1u << RECORD_ROOTS | 1u << RECORD_CPU |
				    1u << RECORD_MACHINE;
	struct codec codec = { .in = desc, .at = 4, .length = length };
	enum hs_status st = check_version(desc, length, offset, err);
	struct hs_snapshot_note *note = st ? NULL : note_create();

	if (st) {
		return st;
	}
	if (!note) {
		return hs_error_os(err, ENOMEM, "cannot read the snapshot's note");
	}
	if ((get_records(&codec, note) & needed) != needed) {
		blame(&codec, "a record that must be there is missing");
	}
	if (!codec.broken && (!note->info.roots || (note->info.function_count > 0 && !note->info.functions))) {
		hs_snapshot_note_free(note);
		return hs_error_os(err, ENOMEM, "cannot read the snapshot's note");
	}
	if (codec.broken) {
		hs_snapshot_note_free(note);
		return hs_error_set(err, HS_ERR_FORMAT, 0, offset + codec.broken_at,
				    "broken core: the snapshot's note has %s", codec.broken);
	}
	*ret = note;
	return HS_OK;
}
