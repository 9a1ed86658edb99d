/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A report as one JSON object. Addresses and registers are strings "0x...": many readers keep numbers as doubles. */
#include "base/json.h"
#include "cli/report_print.h"
#include "cli/report_values.h"

#include "arch/exception.h"
#include "cli/core_info.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put_text(struct hs_buf *out, const char *name, const char *text)
{
	hs_buf_printf(out, "\"%s\": ", name);
	hs_json_string(out, text);
}

static const char *flag(bool value)
{
	return value ? "true" : "false";
}

static void put_signal(const struct hs_report *report, struct hs_buf *out)
{
	const char *name = hs_signal_name(report->signal);
	const char *code = hs_core_code_name(report->signal, report->code);

	if (report->signal == 0) {
		hs_buf_append_string(out, "\"signal\": null");
		return;
	}
	hs_buf_printf(out, "\"signal\": {\"number\": %d, ", report->signal);
	put_text(out, "name", name ? name : "");
	hs_buf_printf(out, ", \"code\": %d, ", report->code);
	put_text(out, "code_name", code ? code : "");
	hs_buf_append_byte(out, '}');
}

static void put_walk(const struct hs_report *report, struct hs_buf *out)
{
	struct hs_path_step step;
	char bits[HS_PATH_FIELDS_BYTES];

	for (size_t i = 0; hs_report_step(report, i, &step, bits); i++) {
		hs_buf_printf(out,
			      "%s{\"name\": \"%s\", \"table\": \"0x%" PRIx64 "\", \"index\": %" PRIu64 ", \"entry\": ",
			      i > 0 ? ", " : "", step.name, step.table, step.index);
		if (step.readable) {
			hs_buf_printf(out, "\"0x%" PRIx64 "\", \"bits\": \"%s\", \"leads_to\": ", step.entry, bits);
		} else {
			hs_buf_append_string(out, "null, \"bits\": \"\", \"leads_to\": ");
		}
		if (step.leads_on) {
			hs_buf_printf(out, "\"0x%" PRIx64 "\"}", step.leads_to);
		} else {
			hs_buf_append_string(out, "null}");
		}
	}
}

static void put_fault(const struct hs_report *report, struct hs_buf *out)
{
	if (!report->has_fault) {
		hs_buf_append_string(out, "\"fault\": null");
		return;
	}
	hs_buf_printf(out, "\"fault\": {\"address\": \"0x%" PRIx64 "\", ", report->fault_address);
	put_text(out, "why", report->fault_why);
	hs_buf_append_string(out, ", \"walk\": [");
	put_walk(report, out);
	hs_buf_append_string(out, "]}");
}

static void put_frames(const struct hs_report *report, struct hs_buf *out)
{
	hs_buf_append_string(out, "\"backtrace\": {\"frames\": [");
	for (size_t i = 0; i < report->frame_count; i++) {
		const struct hs_report_frame *frame = &report->frames[i];

		hs_buf_printf(out, "%s{\"pc\": \"0x%" PRIx64 "\", ", i > 0 ? ", " : "", frame->pc);
		put_text(out, "function", frame->function);
		hs_buf_printf(out, ", \"offset\": %" PRIu64 ", ", frame->offset);
		put_text(out, "file", frame->file);
		hs_buf_printf(out, ", \"line\": %" PRIu32 ", \"inlined\": %s, \"interrupted\": %s, ", frame->line,
			      flag(frame->inlined), flag(frame->interrupted));
		put_text(out, "method", frame->method);
		hs_buf_append_byte(out, '}');
	}
	hs_buf_append_string(out, "], ");
	put_text(out, "end", report->frames_end);
	hs_buf_append_byte(out, '}');
}

static void put_code(const struct hs_report *report, struct hs_buf *out)
{
	hs_buf_append_string(out, "\"instructions\": [");
	for (size_t i = 0; i < report->insn_count; i++) {
		hs_buf_printf(out, "%s{\"address\": \"0x%" PRIx64 "\", ", i > 0 ? ", " : "", report->insns[i].address);
		put_text(out, "text", report->insns[i].text);
		hs_buf_append_byte(out, '}');
	}
	hs_buf_append_string(out, "], \"source\": ");
	if (report->line_count == 0) {
		hs_buf_append_string(out, "null");
		return;
	}
	hs_buf_append_byte(out, '{');
	put_text(out, "file", report->source_file);
	hs_buf_printf(out, ", \"line\": %" PRIu32 ", \"lines\": [", report->source_line);
	for (size_t i = 0; i < report->line_count; i++) {
		hs_buf_printf(out, "%s{\"number\": %" PRIu32 ", ", i > 0 ? ", " : "", report->lines[i].number);
		put_text(out, "text", report->lines[i].text);
		hs_buf_append_byte(out, '}');
	}
	hs_buf_append_string(out, "]}");
}

static void put_registers(const struct hs_report *report, struct hs_buf *out)
{
	struct hs_report_value value;

	hs_buf_printf(out, "\"registers_lost\": %s, \"registers\": {", flag(report->registers_lost));
	for (size_t i = 0; hs_report_register(report, i, &value); i++) {
		hs_buf_printf(out, "%s\"%s\": \"0x%" PRIx64 "\"", i > 0 ? ", " : "", value.name, value.value);
	}
	hs_buf_append_string(out, "}, \"changed\": ");
	if (!report->has_before) {
		hs_buf_append_string(out, "null");
		return;
	}
	const char *between = "{";

	for (size_t i = 0; hs_report_register(report, i, &value); i++) {
		if (value.value != value.before) {
			hs_buf_printf(out, "%s\"%s\": \"0x%" PRIx64 "\"", between, value.name, value.before);
			between = ", ";
		}
	}
	hs_buf_append_string(out, between[0] == '{' ? "{}" : "}");
}

static void put_area(const struct hs_report_area *area, struct hs_buf *out)
{
	char rights[4];

	hs_report_rights(area->prot, rights);
	hs_buf_printf(out,
		      "{\"address\": \"0x%" PRIx64 "\", \"length\": %" PRIu64 ", \"access\": \"%s\", \"user\": %s, "
		      "\"copy_on_write\": %s, \"physical\": \"0x%" PRIx64 "\", \"contiguous\": %s}",
		      area->start, area->length, rights, flag(area->user), flag(area->cow), area->gpa.v,
		      flag(area->contiguous));
}

static void put_spaces(const struct hs_report *report, struct hs_buf *out)
{
	hs_buf_append_string(out, "\"spaces\": [");
	for (size_t i = 0; i < report->space_count; i++) {
		const struct hs_report_space *space = &report->spaces[i];

		hs_buf_printf(out,
			      "%s{\"format\": \"%s\", \"root\": \"0x%" PRIx64 "\", \"bytes\": %" PRIu64
			      ", \"partial\": %s, \"omitted\": %" PRIu64 ", \"areas\": [",
			      i > 0 ? ", " : "", hs_paging_format_name(space->root.format), space->root.base.v,
			      space->bytes, flag(space->partial), space->omitted);
		for (size_t j = 0; j < space->area_count; j++) {
			hs_buf_append_string(out, j > 0 ? ", " : "");
			put_area(&space->areas[j], out);
		}
		hs_buf_append_string(out, "]}");
	}
	hs_buf_printf(out, "], \"spaces_omitted\": %zu", report->spaces_omitted);
}

static void put_log(const struct hs_report *report, struct hs_buf *out)
{
	const char *at = report->log;
	const char *between = "";
	char line[HS_REPORT_LINE_BYTES];

	hs_buf_append_string(out, "\"log\": [");
	while (hs_report_log_line(&at, line)) {
		hs_buf_append_string(out, between);
		hs_json_string(out, line);
		between = ", ";
	}
	hs_buf_append_byte(out, ']');
}

void hs_report_json(const struct hs_report *report, struct hs_buf *out)
{
	hs_buf_append_byte(out, '{');
	put_text(out, "guest", report->name);
	hs_buf_append_string(out, ", ");
	put_text(out, "arch", hs_arch_name(report->arch));
	hs_buf_append_string(out, ", ");
	put_text(out, "command_line", report->command_line);
	hs_buf_append_string(out, ", ");
	put_text(out, "image", report->image);
	hs_buf_append_string(out, ", ");
	put_text(out, "symbols_missing", report->symbols_missing);
	hs_buf_append_string(out, ", ");
	put_text(out, "incomplete", report->incomplete);
	hs_buf_append_string(out, ", \"reason\": {");
	put_text(out, "name", report->reason_name);
	hs_buf_append_string(out, ", ");
	put_text(out, "text", report->reason);
	hs_buf_append_string(out, "}, ");
	put_signal(report, out);
	hs_buf_append_string(out, ", ");
	put_fault(report, out);
	hs_buf_append_string(out, ", ");
	put_code(report, out);
	hs_buf_append_string(out, ", ");
	put_frames(report, out);
	hs_buf_append_string(out, ", ");
	put_registers(report, out);
	hs_buf_append_string(out, ", ");
	put_spaces(report, out);
	hs_buf_append_string(out, ", ");
	put_log(report, out);
	hs_buf_append_string(out, "}\n");
}
