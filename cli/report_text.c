/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A report as text. Whatever comes out of a guest or a file is made printable first: it goes to a terminal. */
#include "base/path.h"
#include "base/utf8.h"
#include "cli/report_print.h"
#include "cli/report_values.h"
#include "cli/term.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Registers side by side. */
#define COLUMNS 3u
/* Where the text of a label begins. */
#define LABEL_COLUMNS 10
/* Areas that are shown before and behind the address that faulted. */
#define AREAS_AROUND 2u

struct text {
	const struct hs_report *report;
	struct hs_buf *out;
	const char *bold, *red, *dim, *plain; /* colours, or nothing */
};

/* Text from elsewhere. */
static void put_foreign(struct text *text, const char *string)
{
	hs_report_put_foreign(string, text->out);
}

static void put_title(struct text *text, const char *title)
{
	hs_buf_printf(text->out, "\n%s%s%s\n", text->bold, title, text->plain);
}

static void put_label(struct text *text, const char *label)
{
	hs_buf_printf(text->out, "%s%-*s%s ", text->bold, LABEL_COLUMNS, label, text->plain);
}

static void put_fact(struct text *text, const char *label, const char *fact)
{
	if (*fact) {
		put_label(text, label);
		put_foreign(text, fact);
		hs_buf_append_byte(text->out, '\n');
	}
}

static void put_head(struct text *text)
{
	const struct hs_report *report = text->report;
	char signal[64];

	put_label(text, "guest");
	put_foreign(text, report->name);
	hs_buf_printf(text->out, " (%s)%s", hs_arch_name(report->arch), report->command_line[0] ? ": " : "");
	put_foreign(text, report->command_line);
	hs_buf_append_byte(text->out, '\n');
	if (report->reason[0]) {
		put_label(text, "what");
		hs_buf_append_string(text->out, text->red);
		put_foreign(text, report->reason);
		hs_buf_printf(text->out, "%s\n", text->plain);
	}
	hs_report_signal(report, signal, sizeof(signal));
	put_fact(text, "signal", signal);
	if (report->has_fault) {
		put_label(text, "why");
		hs_buf_printf(text->out, "0x%" PRIx64 " is %s\n", report->fault_address, report->fault_why);
	}
	put_fact(text, "symbols", report->symbols_missing);
	put_fact(text, "incomplete", report->incomplete);
}

static void put_source(struct text *text)
{
	const struct hs_report *report = text->report;

	if (report->line_count == 0) {
		return;
	}
	put_title(text, "source");
	hs_buf_append_string(text->out, "  ");
	put_foreign(text, report->source_file);
	hs_buf_append_byte(text->out, '\n');
	for (size_t i = 0; i < report->line_count; i++) {
		const struct hs_report_line *line = &report->lines[i];
		bool here = line->number == report->source_line;

		hs_buf_printf(text->out, "  %s%s%5" PRIu32 "  ", here ? text->red : "", here ? "=>" : "  ",
			      line->number);
		put_foreign(text, line->text);
		hs_buf_printf(text->out, "%s\n", here ? text->plain : "");
	}
}

static void put_insns(struct text *text)
{
	const struct hs_report *report = text->report;

	if (report->insn_count == 0) {
		return;
	}
	put_title(text, "instructions");
	for (size_t i = 0; i < report->insn_count; i++) {
		hs_buf_printf(text->out, "  %s%s 0x%0*" PRIx64 "  %s%s\n", i == 0 ? text->red : "",
			      i == 0 ? "=>" : "  ", hs_report_digits(report), report->insns[i].address,
			      report->insns[i].text, i == 0 ? text->plain : "");
	}
}

static void put_frames(struct text *text)
{
	const struct hs_report_colours colours = { text->dim, text->plain };

	if (text->report->frame_count > 0) {
		put_title(text, "backtrace");
		hs_report_frames_text(text->report, &colours, text->out);
	}
}

static void put_registers(struct text *text)
{
	const struct hs_report *report = text->report;
	struct hs_report_value value;

	put_title(text, report->registers_lost ? "registers, as the reset left them"
			: report->has_before   ? "registers (* since the snapshot)"
					       : "registers");
	for (size_t i = 0; hs_report_register(report, i, &value); i++) {
		bool changed = value.value != value.before;
		bool last = i % COLUMNS == COLUMNS - 1;
		int pad = last ? 0 : hs_report_digits(report) - value.digits;

		hs_buf_printf(text->out, "%s %s%s%-6s 0x%0*" PRIx64 "%*s%s", i % COLUMNS == 0 && i > 0 ? "\n" : "",
			      changed ? text->bold : "", changed ? "*" : " ", value.name, value.digits, value.value,
			      pad > 0 ? pad : 0, "", changed ? text->plain : "");
	}
	hs_buf_append_byte(text->out, '\n');
}

static void put_steps(struct text *text)
{
	struct hs_path_step step;
	char bits[HS_PATH_FIELDS_BYTES];

	for (size_t i = 0; hs_report_step(text->report, i, &step, bits); i++) {
		if (i == 0) {
			put_title(text, "page tables on the way there");
		}
		hs_buf_printf(text->out, "  %-5s 0x%-12" PRIx64 " [%3" PRIu64 "]  ", step.name, step.table, step.index);
		if (!step.readable) {
			hs_buf_append_string(text->out, "not in physical memory\n");
		} else if (step.leads_on) {
			hs_buf_printf(text->out, "0x%0*" PRIx64 "  -> 0x%-12" PRIx64 " %s\n", step.digits, step.entry,
				      step.leads_to, bits);
		} else {
			hs_buf_printf(text->out, "0x%0*" PRIx64 "  %s\n", step.digits, step.entry,
				      bits[0] ? bits : "not present");
		}
	}
}

static void put_area(struct text *text, const struct hs_report_area *area)
{
	int digits = hs_report_digits(text->report);
	char rights[4], size[32];

	hs_report_rights(area->prot, rights);
	hs_term_size(area->length, size, sizeof(size));
	hs_buf_printf(text->out, "  0x%0*" PRIx64 "  0x%0*" PRIx64 "  %-10s %s%c%s  %s0x%" PRIx64 "\n", digits,
		      area->start, digits, area->start + (area->length - 1), size, rights, area->user ? 'u' : '-',
		      area->cow ? " cow" : "    ", area->contiguous ? "" : "scattered, first ", area->gpa.v);
}

/* The areas about the address that faulted, and where it lies among them; all of them where none did. */
static void put_areas(struct text *text)
{
	const struct hs_report *report = text->report;
	const struct hs_report_space *space = &report->spaces[0];
	int digits = hs_report_digits(report);
	uint64_t address = report->fault_address;
	size_t first = 0;
	size_t place = 0;

	if (!report->has_fault || space->area_count == 0) {
		return;
	}
	while (place < space->area_count && space->areas[place].start + (space->areas[place].length - 1) < address) {
		place++;
	}
	first = place > AREAS_AROUND ? place - AREAS_AROUND : 0;
	put_title(text, "memory around it");
	for (size_t i = first; i <= place + AREAS_AROUND && i <= space->area_count; i++) {
		bool outside = i == place && (i == space->area_count || address < space->areas[i].start);

		if (outside) {
			hs_buf_printf(text->out, "  %s0x%0*" PRIx64 "  <- not mapped%s\n", text->red, digits, address,
				      text->plain);
		}
		if (i < space->area_count) {
			put_area(text, &space->areas[i]);
		}
		if (i == place && !outside) {
			hs_buf_printf(text->out, "  %s0x%0*" PRIx64 "  <- in there%s\n", text->red, digits, address,
				      text->plain);
		}
	}
}

static void put_log(struct text *text)
{
	const char *at = text->report->log;
	char line[HS_REPORT_LINE_BYTES];

	if (*at) {
		put_title(text, "last of its log");
	}
	while (hs_report_log_line(&at, line)) {
		hs_buf_append_string(text->out, "  ");
		put_foreign(text, line);
		hs_buf_append_byte(text->out, '\n');
	}
}

void hs_report_text(const struct hs_report *report, bool with_head, bool colour, struct hs_buf *out)
{
	struct text text = {
		.report = report,
		.out = out,
		.bold = colour ? "\033[1m" : "",
		.red = colour ? "\033[1;31m" : "",
		.dim = colour ? "\033[2m" : "",
		.plain = colour ? "\033[0m" : "",
	};

	if (with_head) {
		put_head(&text);
	}
	put_source(&text);
	put_insns(&text);
	put_frames(&text);
	put_registers(&text);
	put_steps(&text);
	put_areas(&text);
	put_log(&text);
}
