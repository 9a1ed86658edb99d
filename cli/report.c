/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/report.h"

#include "arch/exception.h"
#include "base/buf.h"
#include "cli/cli.h"
#include "cli/term.h"
#include "session/dump.h"
#include "vmm/insn.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096u
#define INSN_TEXT_MAX 128

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* " at ADDRESS: INSTRUCTION", unless the registers are not those of the crash. */
static void append_place(struct hs_session *session, const struct hs_crash *crash, struct hs_buf *line)
{
	struct hs_vm *vm = hs_session_vm(session);
	struct hs_phys phys = hs_vm_phys(vm);
	struct hs_cpu_state cpu;
	char text[INSN_TEXT_MAX];

	if (crash->registers_lost) {
		return;
	}
	hs_buf_printf(line, ", at 0x%llx", (unsigned long long)crash->rip);
	if (hs_vm_cpu_get(vm, &cpu, NULL) == HS_OK) {
		hs_insn_text(&phys, &cpu, hs_gva_of(crash->rip), text, sizeof(text));
		hs_buf_printf(line, ": %s", text);
	}
}

void hs_report_crash(struct hs_session *session, const struct hs_crash *crash)
{
	const char *bold = hs_term_colour(STDERR_FILENO) ? "\033[1;31m" : "";
	const char *name = hs_signal_name(crash->signal);
	struct hs_buf line;

	hs_buf_init(&line, LINE_MAX_BYTES);
	append_place(session, crash, &line);
	hs_buf_append_byte(&line, 0);
	fprintf(stderr, "hindsight: %s: %s%s%s%s\n", base_name(hs_vm_image(hs_session_vm(session))->path), bold, crash->text,
		bold[0] ? "\033[0m" : "", line.failed ? "" : (const char *)line.data);
	fprintf(stderr, "signal: %s (%d)\n", name ? name : "unnamed", crash->signal);
	hs_buf_deinit(&line);
}

void hs_report_core(struct hs_session *session, const struct hs_crash *crash, const char *path)
{
	struct hs_core_result result;
	struct hs_error err;
	char size[32];

	if (hs_dump_write(session, crash, path, &result, &err)) {
		hs_cli_say("no core: %s", err.message);
		return;
	}
	hs_term_size(result.bytes, size, sizeof(size));
	fprintf(stderr, "core: %s (%s)%s\n", result.path, size, result.partial ? ", incomplete" : "");
}
