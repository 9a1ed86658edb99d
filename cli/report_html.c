/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A report as one HTML page that needs nothing beside itself: its style sheet is in report_style.c, escaping and the
 * drawing of the address space in report_map.c. Whatever comes out of a guest or a file is escaped.
 */
#include "cli/report_html.h"

#include "base/path.h"
#include "cli/report_print.h"
#include "cli/report_values.h"
#include "cli/term.h"

#include <inttypes.h>
#include <string.h>

/* One "FUNCTION  FILE:LINE  marks". */
static void put_frame(const struct hs_report *report, size_t index, struct hs_buf *out)
{
	const struct hs_report_frame *frame = &report->frames[index];

	hs_buf_printf(out, "<li><span class=\"mono dim\">0x%0*" PRIx64 "</span> <b class=\"mono\">",
		      hs_report_digits(report), frame->pc);
	hs_html_text(frame->function[0] ? frame->function : "??", out);
	hs_buf_append_string(out, "</b>");
	if (frame->function[0] && !frame->inlined) {
		hs_buf_printf(out, "<span class=\"mono dim\">+0x%" PRIx64 "</span>", frame->offset);
	}
	if (frame->line) {
		hs_buf_append_string(out, " <span class=\"mono\" title=\"");
		hs_html_text(frame->file, out);
		hs_buf_append_string(out, "\">");
		hs_html_text(hs_base_name(frame->file), out);
		hs_buf_printf(out, ":%" PRIu32 "</span>", frame->line);
	}
	hs_buf_printf(out, "%s%s <span class=\"dim\">", frame->inlined ? " <span class=\"tag\">inlined</span>" : "",
		      frame->interrupted ? " <span class=\"tag\">interrupted</span>" : "");
	hs_html_text(frame->method, out);
	hs_buf_append_string(out, "</span></li>\n");
}

static void put_frames(const struct hs_report *report, struct hs_buf *out)
{
	if (report->frame_count == 0) {
		return;
	}
	hs_buf_append_string(out, "<section><h2>Backtrace</h2><ol start=\"0\" class=\"frames\">\n");
	for (size_t i = 0; i < report->frame_count; i++) {
		put_frame(report, i, out);
	}
	hs_buf_append_string(out, "</ol>");
	if (report->frames_end[0]) {
		hs_buf_append_string(out, "<p class=\"dim\">");
		hs_html_text(report->frames_end, out);
		hs_buf_append_string(out, "</p>");
	}
	hs_buf_append_string(out, "</section>\n");
}

static void put_source(const struct hs_report *report, struct hs_buf *out)
{
	if (report->line_count == 0) {
		return;
	}
	hs_buf_append_string(out, "<section><h2>Source</h2><p class=\"mono dim wrap\">");
	hs_html_text(report->source_file, out);
	hs_buf_append_string(out, "</p><div class=\"scroll\"><table class=\"code\">\n");
	for (size_t i = 0; i < report->line_count; i++) {
		const struct hs_report_line *line = &report->lines[i];

		hs_buf_printf(out, "<tr%s><td class=\"dim\">%" PRIu32 "</td><td>",
			      line->number == report->source_line ? " class=\"here\"" : "", line->number);
		hs_html_text(line->text, out);
		hs_buf_append_string(out, "</td></tr>\n");
	}
	hs_buf_append_string(out, "</table></div></section>\n");
}

static void put_insns(const struct hs_report *report, struct hs_buf *out)
{
	if (report->insn_count == 0) {
		return;
	}
	hs_buf_append_string(out, "<section><h2>Instructions</h2><div class=\"scroll\"><table class=\"code\">\n");
	for (size_t i = 0; i < report->insn_count; i++) {
		hs_buf_printf(out, "<tr%s><td class=\"dim\">0x%" PRIx64 "</td><td>", i == 0 ? " class=\"here\"" : "",
			      report->insns[i].address);
		hs_html_text(report->insns[i].text, out);
		hs_buf_append_string(out, "</td></tr>\n");
	}
	hs_buf_append_string(out, "</table></div></section>\n");
}

static void put_registers(const struct hs_report *report, struct hs_buf *out)
{
	struct hs_report_value value;

	hs_buf_printf(out, "<section><h2>Registers</h2>%s<div class=\"registers\">\n",
		      report->registers_lost ? "<p class=\"dim\">As the reset of the CPU left them.</p>"
		      : report->has_before   ? "<p class=\"dim\">Marked: changed since the snapshot.</p>"
					     : "");
	for (size_t i = 0; hs_report_register(report, i, &value); i++) {
		bool changed = value.value != value.before;

		hs_buf_printf(out, "<div%s><span>%s</span> <span class=\"mono\"", changed ? " class=\"changed\"" : "",
			      value.name);
		if (changed) {
			hs_buf_printf(out, " title=\"was 0x%" PRIx64 "\"", value.before);
		}
		hs_buf_printf(out, ">0x%0*" PRIx64 "</span></div>\n", value.digits, value.value);
	}
	hs_buf_append_string(out, "</div></section>\n");
}

static void put_steps(const struct hs_report *report, struct hs_buf *out)
{
	struct hs_path_step step;
	char bits[HS_PATH_FIELDS_BYTES];

	if (!report->has_fault) {
		return;
	}
	hs_buf_printf(out,
		      "<section><h2>Page tables on the way to 0x%" PRIx64
		      "</h2><div class=\"scroll\"><table class=\"walk\"><tr><th>entry</th><th>table</th><th>index</th>"
		      "<th>value</th><th>bits</th><th>leads to</th></tr>\n",
		      report->fault_address);
	for (size_t i = 0; hs_report_step(report, i, &step, bits); i++) {
		hs_buf_printf(out, "<tr%s><td>%s</td><td>0x%" PRIx64 "</td><td>%" PRIu64 "</td>",
			      step.leads_on ? "" : " class=\"here\"", step.name, step.table, step.index);
		if (!step.readable) {
			hs_buf_append_string(out, "<td colspan=\"3\">not in physical memory</td></tr>\n");
			continue;
		}
		hs_buf_printf(out, "<td>0x%" PRIx64 "</td><td>%s</td>", step.entry, bits[0] ? bits : "not present");
		if (step.leads_on) {
			hs_buf_printf(out, "<td>0x%" PRIx64 "</td></tr>\n", step.leads_to);
		} else {
			hs_buf_append_string(out, "<td>nowhere</td></tr>\n");
		}
	}
	hs_buf_append_string(out, "</table></div></section>\n");
}

static void put_log(const struct hs_report *report, struct hs_buf *out)
{
	if (report->log[0]) {
		hs_buf_append_string(out, "<section><h2>Last of its log</h2><pre class=\"scroll\">");
		hs_html_text(report->log, out);
		hs_buf_append_string(out, "</pre></section>\n");
	}
}

static void put_fact(const char *label, const char *text, struct hs_buf *out)
{
	if (*text) {
		hs_buf_printf(out, "<dt>%s</dt><dd class=\"wrap\">", label);
		hs_html_text(text, out);
		hs_buf_append_string(out, "</dd>\n");
	}
}

static void put_head(const struct hs_report *report, struct hs_buf *out)
{
	char signal[64];

	hs_buf_append_string(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
				  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
	hs_html_text(report->name, out);
	hs_buf_append_string(out, ": ");
	hs_html_text(report->reason[0] ? report->reason : "report", out);
	hs_buf_append_string(out, "</title>\n<style>\n");
	hs_buf_append_string(out, hs_report_style);
	hs_buf_append_string(out, "</style></head><body><main>\n<header><p>");
	hs_html_text(report->name, out);
	hs_buf_printf(out, " <span class=\"tag\">%s</span></p><h1>", hs_arch_name(report->arch));
	hs_html_text(report->reason[0] ? report->reason : "the guest goes on", out);
	hs_buf_append_string(out, "</h1>\n<dl>\n");
	hs_report_signal(report, signal, sizeof(signal));
	put_fact("signal", signal, out);
	if (report->has_fault) {
		hs_buf_printf(out, "<dt>why</dt><dd class=\"wrap\">0x%" PRIx64 " is ", report->fault_address);
		hs_html_text(report->fault_why, out);
		hs_buf_append_string(out, "</dd>\n");
	}
	put_fact("command", report->command_line, out);
	put_fact("image", report->image, out);
	put_fact("symbols", report->symbols_missing, out);
	put_fact("incomplete", report->incomplete, out);
	hs_buf_append_string(out, "</dl></header>\n");
}

void hs_report_html(const struct hs_report *report, struct hs_buf *out)
{
	put_head(report, out);
	put_source(report, out);
	put_frames(report, out);
	put_insns(report, out);
	put_registers(report, out);
	put_steps(report, out);
	hs_report_map(report, out);
	put_log(report, out);
	hs_buf_append_string(out, "</main></body></html>\n");
}
