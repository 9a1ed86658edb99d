/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/report.h"

#include "arch/exception.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/path.h"
#include "cli/cli.h"
#include "cli/core_words.h"
#include "cli/progress.h"
#include "cli/term.h"
#include "cli/report_print.h"
#include "session/dump.h"
#include "session/report.h"
#include "symbols/symbols.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096u

/* " FUNCTION+OFFSET (FILE:LINE)" as far as the image tells: the function whose code it is, the innermost line. */
static void append_symbol(const struct hs_report *report, struct hs_buf *line)
{
	struct hs_symbol symbol = { .function = "", .file = "" };
	char text[HS_SYMBOL_TEXT_MAX];
	size_t i = 0;

	while (i + 1 < report->frame_count && report->frames[i].inlined) {
		i++;
	}
	if (report->frame_count > 0) {
		symbol.function = report->frames[i].function;
		symbol.offset = report->frames[i].offset;
		symbol.file = report->frames[0].file;
		symbol.line = report->frames[0].line;
	}
	if (symbol.function[0] || symbol.line) {
		hs_symbol_print(&symbol, text, sizeof(text));
		hs_buf_printf(line, " %s", text);
	}
}

/* What happened and where, and the signal. Registers that are lost name no place. */
static void say_crash(const char *image, const struct hs_crash *crash, const struct hs_report *report)
{
	const char *bold = hs_term_colour(STDERR_FILENO) ? "\033[1;31m" : "";
	const char *name = hs_signal_name(crash->signal);
	struct hs_buf line;

	hs_buf_init(&line, LINE_MAX_BYTES);
	if (!crash->registers_lost) {
		hs_buf_printf(&line, ", at 0x%llx", (unsigned long long)crash->rip);
	}
	if (report && report->insn_count > 0) {
		append_symbol(report, &line);
		hs_buf_printf(&line, ": %s", report->insns[0].text);
	}
	hs_buf_append_byte(&line, 0);
	fprintf(stderr, "hindsight: %s: %s%s%s%s\n", hs_base_name(image), bold, crash->text, bold[0] ? "\033[0m" : "",
		line.failed ? "" : (const char *)line.data);
	fprintf(stderr, "signal: %s (%d)\n", name ? name : "unnamed", crash->signal);
	hs_buf_deinit(&line);
}

static void say_report(const struct hs_report *report)
{
	struct hs_buf text;

	hs_buf_init(&text, HS_REPORT_BYTES_MAX);
	hs_report_text(report, false, hs_term_colour(STDERR_FILENO), &text);
	hs_buf_append_byte(&text, '\n');
	if (!text.failed) {
		fwrite(text.data, 1, text.length, stderr);
	}
	hs_buf_deinit(&text);
}

void hs_report_crash(struct hs_session *session, const struct hs_crash *crash)
{
	struct hs_vm *vm = hs_session_vm(session);
	struct hs_dump_spec spec;
	struct hs_report report;
	struct hs_buf log;
	enum hs_status st;

	hs_dump_describe(hs_session_sandbox(session), &spec, &log);
	spec.crash = crash;
	st = hs_report_of_vm(vm, &spec, &report, NULL);
	say_crash(hs_vm_image(vm)->path, crash, st ? NULL : &report);
	if (!st) {
		say_report(&report);
		hs_report_deinit(&report);
	}
	hs_buf_deinit(&log);
}

/* A name that is no directory would become the core's own name. */
static enum hs_status check_directory(const char *path, struct hs_error *err)
{
	struct stat info;

	if (stat(path, &info) < 0) {
		return hs_error_os(err, errno, "%s", path);
	}
	if (!S_ISDIR(info.st_mode)) {
		return hs_error_os(err, ENOTDIR, "%s", path);
	}
	return HS_OK;
}

void hs_report_core(struct hs_session *session, const struct hs_crash *crash, const char *directory,
		    const struct hs_core_options *how)
{
	struct hs_progress progress;
	struct hs_core_options options = *how;
	struct hs_core_result result;
	struct hs_error err;

	options.progress = hs_progress_tell;
	options.progress_ctx = &progress;
	hs_progress_init("core", &progress);
	enum hs_status st = check_directory(directory, &err);

	st = st ? st : hs_dump_sandbox(hs_session_sandbox(session), crash, directory, &options, &result, &err);
	hs_progress_end(&progress);
	if (st) {
		hs_cli_say("no core: %s", err.message);
		return;
	}
	hs_core_say_written(&result);
}
