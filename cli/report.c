/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/report.h"

#include "arch/exception.h"
#include "base/buf.h"
#include "base/error.h"
#include "cli/cli.h"
#include "cli/core_words.h"
#include "cli/progress.h"
#include "cli/term.h"
#include "session/dump.h"
#include "symbols/symbols.h"
#include "vmm/insn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096u
#define INSN_TEXT_MAX 128

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* " FUNCTION+OFFSET (FILE:LINE)" as far as the image tells; nothing when it does not. */
static void append_symbol(const struct hs_vm_image *image, uint64_t address, struct hs_buf *line)
{
	struct hs_symbols *symbols;
	struct hs_symbol symbol;
	char text[HS_SYMBOL_TEXT_MAX];

	if (image->fd < 0 || hs_symbols_open(image->fd, image->path, &symbols, NULL)) {
		return;
	}
	if (hs_symbols_lookup(symbols, hs_gva_of(address), &symbol) == HS_OK) {
		hs_symbol_print(&symbol, text, sizeof(text));
		hs_buf_printf(line, " %s", text);
	}
	hs_symbols_close(symbols);
}

/* ", at ADDRESS SYMBOL: INSTRUCTION", unless the registers are not those of the crash. */
static void append_place(struct hs_vm *vm, const struct hs_crash *crash, struct hs_buf *line)
{
	struct hs_phys phys = hs_vm_phys(vm);
	struct hs_cpu_state cpu;
	char text[INSN_TEXT_MAX];

	if (crash->registers_lost) {
		return;
	}
	hs_buf_printf(line, ", at 0x%llx", (unsigned long long)crash->rip);
	append_symbol(hs_vm_image(vm), crash->rip, line);
	if (hs_vm_cpu_get(vm, &cpu, NULL) == HS_OK) {
		hs_insn_text(&phys, &cpu, hs_gva_of(crash->rip), text, sizeof(text));
		hs_buf_printf(line, ": %s", text);
	}
}

void hs_report_crash(struct hs_vm *vm, const struct hs_crash *crash)
{
	const char *bold = hs_term_colour(STDERR_FILENO) ? "\033[1;31m" : "";
	const char *name = hs_signal_name(crash->signal);
	struct hs_buf line;

	hs_buf_init(&line, LINE_MAX_BYTES);
	append_place(vm, crash, &line);
	hs_buf_append_byte(&line, 0);
	fprintf(stderr, "hindsight: %s: %s%s%s%s\n", base_name(hs_vm_image(vm)->path), bold, crash->text,
		bold[0] ? "\033[0m" : "", line.failed ? "" : (const char *)line.data);
	fprintf(stderr, "signal: %s (%d)\n", name ? name : "unnamed", crash->signal);
	hs_buf_deinit(&line);
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

void hs_report_core(struct hs_vm *vm, const char *command_line, const struct hs_crash *crash, const char *directory,
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

	st = st ? st : hs_dump_write(vm, command_line, crash, directory, &options, &result, &err);
	hs_progress_end(&progress);
	if (st) {
		hs_cli_say("no core: %s", err.message);
		return;
	}
	hs_core_say_written(&result);
}
