/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hindsight core info --json: one object. Addresses and registers are strings "0x...", because many readers keep
 * numbers as doubles; counts and sizes are numbers.
 */
#include "arch/exception.h"
#include "arch/regs.h"
#include "base/bytes.h"
#include "base/json.h"
#include "cli/core_info.h"
#include "coredump/fault.h"

#include <inttypes.h>

/** Longest part that is put together before it is written. */
#define PART_MAX (1u << 20)

/** Where the object goes: through a buffer that is emptied now and then. */
struct json {
	struct hs_buf buf;
	FILE *out;
	bool failed;
};

static void flush(struct json *json)
{
	if (json->buf.failed) {
		json->failed = true;
	} else {
		fwrite(json->buf.data, 1, json->buf.length, json->out);
	}
	hs_buf_clear(&json->buf);
}

static void put_text(struct json *json, const char *name, const char *text)
{
	hs_buf_printf(&json->buf, "\"%s\": ", name);
	hs_json_string(&json->buf, text);
}

static void put_address(struct json *json, const char *name, uint64_t value)
{
	hs_buf_printf(&json->buf, "\"%s\": \"0x%" PRIx64 "\"", name, value);
}

static void put_number(struct json *json, const char *name, uint64_t value)
{
	hs_buf_printf(&json->buf, "\"%s\": %" PRIu64, name, value);
}

static void put_flag(struct json *json, const char *name, bool value)
{
	hs_buf_printf(&json->buf, "\"%s\": %s", name, value ? "true" : "false");
}

static void next(struct json *json)
{
	hs_buf_append_string(&json->buf, ", ");
}

static void put_signal(struct json *json, const struct hs_core_info *info)
{
	const char *name = hs_signal_name(info->signal);
	const char *code = hs_core_code_name(info->signal, info->code);

	if (info->signal == 0) {
		hs_buf_append_string(&json->buf, "\"signal\": null");
		return;
	}
	hs_buf_printf(&json->buf, "\"signal\": {\"number\": %d, ", info->signal);
	put_text(json, "name", name ? name : "");
	if (info->has_siginfo) {
		hs_buf_printf(&json->buf, ", \"code\": %d, ", info->code);
		put_text(json, "code_name", code ? code : "");
		next(json);
		put_address(json, "address", info->fault_address);
	}
	hs_buf_append_byte(&json->buf, '}');
}

static void put_space(struct json *json, const struct hs_core_info *info)
{
	if (!info->has_root) {
		hs_buf_append_string(&json->buf, "\"space\": null");
		return;
	}
	hs_buf_append_string(&json->buf, "\"space\": {");
	put_text(json, "format", hs_paging_format_name(info->root.format));
	next(json);
	put_address(json, "root", info->root.base.v);
	next(json);
	put_number(json, "bad_tables", info->bad_tables);
	next(json);
	put_number(json, "unbacked_bytes", info->unbacked_bytes);
	hs_buf_append_byte(&json->buf, '}');
}

/** The sentences of what is wrong with the file, as all commands say them. */
static void put_problems(struct json *json, const struct hs_core *core)
{
	struct hs_error fault;

	hs_buf_append_string(&json->buf, "\"problems\": [");
	for (size_t i = 0; hs_core_fault(core, i, &fault); i++) {
		hs_buf_append_string(&json->buf, i > 0 ? ", " : "");
		hs_json_string(&json->buf, fault.message);
	}
	hs_buf_append_byte(&json->buf, ']');
}

static void put_head(struct json *json, const struct hs_core *core, const char *path)
{
	const struct hs_core_info *info = hs_core_info(core);

	put_text(json, "file", path);
	next(json);
	put_text(json, "arch", hs_arch_name(info->arch));
	next(json);
	put_text(json, "guest", info->name);
	next(json);
	put_text(json, "command_line", info->command_line);
	next(json);
	put_text(json, "producer", info->producer);
	hs_buf_append_string(&json->buf, ", \"reason\": {");
	put_text(json, "name", info->reason_name);
	next(json);
	put_text(json, "text", info->reason);
	hs_buf_append_string(&json->buf, "}, ");
	put_signal(json, info);
	next(json);
	put_space(json, info);
	next(json);
	put_flag(json, "partial", info->partial);
	next(json);
	put_address(json, "reached", info->reached);
	next(json);
	put_number(json, "bytes", info->file_bytes);
	next(json);
	put_number(json, "disk_bytes", info->disk_bytes);
	next(json);
	put_number(json, "missing_bytes", info->missing_bytes);
	next(json);
	put_flag(json, "damaged", info->notes_sum == HS_CORE_SUM_BAD);
	next(json);
	put_problems(json, core);
	next(json);
	put_address(json, "entry", info->auxv.entry);
}

/** A register of any width as one hexadecimal number. */
static void put_register(struct json *json, const struct hs_reg *row, const struct hs_cpu_state *state)
{
	uint8_t bytes[HS_REG_BYTES_MAX] = { 0 };
	unsigned int digits = row->bytes;

	hs_reg_get(row, state, bytes);
	while (digits > 1 && bytes[digits - 1] == 0) {
		digits--;
	}
	hs_buf_printf(&json->buf, "\"%s\": \"0x%x", row->name, bytes[digits - 1]);
	for (unsigned int i = digits - 1; i > 0; i--) {
		hs_buf_printf(&json->buf, "%02x", bytes[i - 1]);
	}
	hs_buf_append_byte(&json->buf, '"');
}

static void put_cpus(struct json *json, const struct hs_core *core)
{
	enum hs_arch arch = hs_core_info(core)->arch;
	size_t count;
	const struct hs_reg *rows = hs_regs(arch, &count);

	hs_buf_append_string(&json->buf, "\"cpus\": [");
	for (size_t cpu = 0; cpu < hs_core_info(core)->cpu_count; cpu++) {
		struct hs_cpu_state state;
		const char *separator = "";

		hs_core_cpu(core, cpu, &state);
		hs_buf_append_string(&json->buf, cpu == 0 ? "{" : ", {");
		for (size_t i = 0; i < count; i++) {
			/* No note that is read holds control registers; what is switched off says nothing. */
			if (!hs_reg_enabled(&rows[i], &state) || rows[i].feature == HS_REG_CONTROL ||
			    rows[i].feature == HS_REG_LINUX ||
			    (rows[i].feature == HS_REG_SEGMENTS && rows[i].prstatus < 0)) {
				continue;
			}
			hs_buf_append_string(&json->buf, separator);
			put_register(json, &rows[i], &state);
			separator = ", ";
		}
		hs_buf_append_byte(&json->buf, '}');
		flush(json);
	}
	hs_buf_append_byte(&json->buf, ']');
}

static void put_segments(struct json *json, const struct hs_core *core)
{
	hs_buf_append_string(&json->buf, "\"segments\": [");
	for (size_t i = 0; i < hs_core_info(core)->segment_count; i++) {
		const struct hs_core_segment *segment = hs_core_segment(core, i);

		hs_buf_append_string(&json->buf, i == 0 ? "{" : ", {");
		put_address(json, "address", segment->start.v);
		next(json);
		put_number(json, "length", segment->length);
		next(json);
		put_number(json, "stored_length", segment->stored_length);
		hs_buf_printf(&json->buf, ", \"access\": \"%s%s%s\", ", segment->prot & HS_PROT_READ ? "r" : "",
			      segment->prot & HS_PROT_WRITE ? "w" : "", segment->prot & HS_PROT_EXEC ? "x" : "");
		put_address(json, "physical", segment->gpa.v);
		next(json);
		put_number(json, "offset", segment->offset);
		hs_buf_append_byte(&json->buf, '}');
		flush(json);
	}
	hs_buf_append_byte(&json->buf, ']');
}

static void put_spaces(struct json *json, const struct hs_core *core)
{
	hs_buf_append_string(&json->buf, "\"spaces\": [");
	for (size_t i = 0; i < hs_core_info(core)->space_count; i++) {
		const struct hs_core_space *space = hs_core_space(core, i);

		hs_buf_append_string(&json->buf, i == 0 ? "{" : ", {");
		put_text(json, "format", hs_paging_format_name(space->root.format));
		next(json);
		put_address(json, "root", space->root.base.v);
		next(json);
		put_number(json, "segments", space->segment_count);
		next(json);
		put_flag(json, "current", i == hs_core_info(core)->space_index);
		next(json);
		put_flag(json, "partial", space->partial);
		hs_buf_append_byte(&json->buf, '}');
		flush(json);
	}
	hs_buf_append_byte(&json->buf, ']');
}

static void put_files(struct json *json, const struct hs_core *core)
{
	hs_buf_append_string(&json->buf, "\"files\": [");
	for (size_t i = 0; i < hs_core_info(core)->file_count; i++) {
		const struct hs_core_file *file = hs_core_file(core, i);

		hs_buf_append_string(&json->buf, i == 0 ? "{" : ", {");
		put_text(json, "path", file->path);
		next(json);
		put_address(json, "address", file->start.v);
		next(json);
		put_number(json, "length", file->length);
		next(json);
		put_number(json, "offset", file->file_offset);
		hs_buf_append_byte(&json->buf, '}');
		flush(json);
	}
	hs_buf_append_byte(&json->buf, ']');
}

static void put_notes(struct json *json, const struct hs_core *core)
{
	hs_buf_append_string(&json->buf, "\"notes\": [");
	for (size_t i = 0; i < hs_core_info(core)->note_count; i++) {
		const struct hs_core_note *note = hs_core_note(core, i);

		hs_buf_append_string(&json->buf, i == 0 ? "{" : ", {");
		put_text(json, "owner", note->name);
		next(json);
		put_number(json, "type", note->type);
		next(json);
		put_text(json, "title", note->title ? note->title : "");
		next(json);
		put_number(json, "length", note->length);
		next(json);
		put_number(json, "offset", note->offset);
		hs_buf_append_byte(&json->buf, '}');
		flush(json);
	}
	hs_buf_append_byte(&json->buf, ']');
}

bool hs_core_info_json(const struct hs_core *core, const char *path, const char *hash, FILE *out)
{
	struct json json = { .out = out };

	hs_buf_init(&json.buf, PART_MAX);
	hs_buf_append_byte(&json.buf, '{');
	put_head(&json, core, path);
	if (hash[0] != '\0') {
		next(&json);
		put_text(&json, "hash", hash);
	}
	next(&json);
	put_cpus(&json, core);
	next(&json);
	put_segments(&json, core);
	next(&json);
	put_spaces(&json, core);
	next(&json);
	put_files(&json, core);
	next(&json);
	put_notes(&json, core);
	hs_buf_append_string(&json.buf, "}\n");
	flush(&json);
	hs_buf_deinit(&json.buf);
	return !json.failed;
}
