/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A report put together from a scene. See report.h. */
#include "session/report.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "session/report_parts.h"
#include "symbols/symbols.h"
#include "vmm/insn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where distributions install debug files (gdb manual, Separate Debug Files). */
#define DEBUG_DIRECTORY "/usr/lib/debug"

static enum hs_status no_memory(struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a report");
}

static char *copy(const char *text)
{
	return strdup(text ? text : "");
}

static struct hs_cpu_state *copy_cpu(const struct hs_cpu_state *cpu)
{
	struct hs_cpu_state *ret = HS_NEW_ALIGNED(struct hs_cpu_state);

	if (ret) {
		*ret = *cpu;
	}
	return ret;
}

static enum hs_status copy_facts(const struct hs_report_scene *scene, struct hs_report *report, struct hs_error *err)
{
	report->arch = scene->arch;
	report->signal = scene->signal;
	report->code = scene->code;
	report->has_fault = scene->has_fault;
	report->fault_address = scene->fault_address;
	report->registers_lost = scene->registers_lost;
	report->has_before = scene->before != NULL;
	report->name = copy(scene->name);
	report->command_line = copy(scene->command_line);
	report->reason_name = copy(scene->reason_name);
	report->reason = copy(scene->reason);
	report->image = copy(scene->image);
	report->log = copy(scene->log);
	report->incomplete = copy(scene->incomplete);
	report->cpu = copy_cpu(scene->cpu);
	report->before = scene->before ? copy_cpu(scene->before) : NULL;
	if (!report->name || !report->command_line || !report->reason_name || !report->reason || !report->image ||
	    !report->log || !report->incomplete || !report->cpu || (scene->before && !report->before)) {
		return no_memory(err);
	}
	return HS_OK;
}

/* The symbols of the image, or NULL and why there are none. */
static struct hs_symbols *open_symbols(const struct hs_report_scene *scene, struct hs_error *ret_why)
{
	struct hs_symbols *symbols = NULL;
	HS_CLOSE int fd = -1;
	enum hs_status st;

	st = hs_report_image_open(scene->image, scene->build_id, scene->build_id_length, &fd, ret_why);
	st = st ? st : hs_symbols_open(fd, scene->image, &symbols, ret_why);
	if (st) {
		return NULL;
	}
	/* Where there is no debug file, what the image itself has is all there is. */
	(void)!hs_symbols_add_debug(symbols, scene->debug_directory ? scene->debug_directory : DEBUG_DIRECTORY, NULL);
	return symbols;
}

static void find_insns(const struct hs_report_scene *scene, struct hs_report *report)
{
	uint64_t address = scene->cpu->rip;

	for (size_t i = 0; i < HS_REPORT_INSNS_MAX; i++) {
		struct hs_report_insn *insn = &report->insns[report->insn_count++];
		struct hs_insn decoded;

		insn->address = address;
		hs_insn_text(&scene->phys, scene->cpu, hs_gva_of(address), insn->text, sizeof(insn->text));
		if (hs_insn_decode(&scene->phys, scene->cpu, hs_gva_of(address), &decoded, NULL)) {
			return;
		}
		address += decoded.length;
	}
}

static void explain_fault(const struct hs_report_scene *scene, struct hs_report *report)
{
	if (!report->has_fault) {
		return;
	}
	hs_path_find(&scene->phys, &scene->roots[scene->root_current], hs_gva_of(report->fault_address),
		     &report->fault_path);
	hs_report_why(&scene->phys, &scene->roots[scene->root_current], &report->fault_path, report->fault_address,
		      report->fault_why, sizeof(report->fault_why));
}

/* Helpers of the guest SDK are seldom at fault: an abort or a port access is of interest where it was asked for. */
static bool is_helper(const struct hs_report_frame *frame)
{
	return strcmp(frame->function, "hs_abort") == 0 ||
	       (frame->inlined && strncmp(frame->function, "hs_", strlen("hs_")) == 0);
}

/* The frame whose source is shown: the innermost that has a line, if possible no helper. */
static const struct hs_report_frame *choose_frame(const struct hs_report *report)
{
	const struct hs_report_frame *first = NULL;

	for (size_t i = 0; i < report->frame_count; i++) {
		const struct hs_report_frame *frame = &report->frames[i];

		if (frame->line == 0) {
			continue;
		}
		if (!is_helper(frame)) {
			return frame;
		}
		first = first ? first : frame;
	}
	return first;
}

static enum hs_status find_source(struct hs_report *report, struct hs_error *err)
{
	const struct hs_report_frame *frame = choose_frame(report);

	/* Compilers note paths as they were given: build/../a.c. */
	report->source_file = frame ? realpath(frame->file, NULL) : NULL;
	report->source_file = report->source_file ? report->source_file : copy(frame ? frame->file : "");
	if (!report->source_file) {
		return no_memory(err);
	}
	if (frame) {
		report->source_line = frame->line;
		report->line_count = hs_report_lines_read(report->source_file, report->source_line, report->lines);
	}
	return HS_OK;
}

static enum hs_status find_spaces(const struct hs_report_scene *scene, struct hs_report *report, struct hs_error *err)
{
	size_t count = scene->root_count < HS_REPORT_SPACES_MAX ? scene->root_count : HS_REPORT_SPACES_MAX;

	report->spaces_omitted = scene->root_count - count;
	report->spaces = calloc(count, sizeof(*report->spaces));
	if (!report->spaces) {
		return no_memory(err);
	}
	for (size_t i = 0; i < count; i++) {
		/* The CPU's before the others. */
		size_t root = i == 0 ? scene->root_current : i <= scene->root_current ? i - 1 : i;
		enum hs_status st = hs_report_space_init(&scene->phys, &scene->roots[root], &report->spaces[i], err);

		if (st) {
			return st;
		}
		report->space_count++;
	}
	return HS_OK;
}

static enum hs_status find_code(const struct hs_report_scene *scene, struct hs_report *report, struct hs_error *err)
{
	struct hs_error why;
	struct hs_symbols *symbols = open_symbols(scene, &why);
	enum hs_status st = HS_OK;

	report->symbols_missing = copy(symbols ? "" : why.message);
	if (!report->symbols_missing) {
		st = no_memory(err);
	}
	/* Registers of a reset lead nowhere. */
	if (!st && !report->registers_lost) {
		find_insns(scene, report);
		st = hs_report_frames(scene, symbols, report, err);
	}
	hs_symbols_close(symbols);
	return st ? st : find_source(report, err);
}

enum hs_status hs_report_init(const struct hs_report_scene *scene, struct hs_report *ret, struct hs_error *err)
{
	struct hs_report report = { 0 };
	enum hs_status st = copy_facts(scene, &report, err);

	if (!st) {
		explain_fault(scene, &report);
		st = find_code(scene, &report, err);
	}
	st = st ? st : find_spaces(scene, &report, err);
	if (st) {
		hs_report_deinit(&report);
		return st;
	}
	*ret = report;
	return HS_OK;
}

void hs_report_deinit(struct hs_report *report)
{
	free(report->name);
	free(report->command_line);
	free(report->reason_name);
	free(report->reason);
	free(report->image);
	free(report->log);
	free(report->incomplete);
	free(report->symbols_missing);
	free(report->cpu);
	free(report->before);
	free(report->source_file);
	for (size_t i = 0; i < report->frame_count; i++) {
		free(report->frames[i].function);
		free(report->frames[i].file);
	}
	free(report->frames);
	for (size_t i = 0; i < report->line_count; i++) {
		free(report->lines[i].text);
	}
	for (size_t i = 0; i < report->space_count; i++) {
		free(report->spaces[i].areas);
	}
	free(report->spaces);
}
