/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cores of a sandbox's guest: when its owner wants one, when any thread does, and when it crashes. */
#include "session/sandbox.h"

#include "base/error.h"
#include "session/command_line.h"
#include "session/crash.h"
#include "session/dump.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum hs_status hs_sandbox_keep_cores(struct hs_sandbox *sandbox, const struct hs_sandbox_config *config,
				     struct hs_error *err)
{
	hs_buf_init(&sandbox->command_line, HS_COMMAND_LINE_MAX);
	hs_command_line_append(sandbox->vm, config->vm.args, config->vm.args_count, &sandbox->command_line);
	/* With a slash behind it a name is never that of the core itself. */
	if (config->cores && asprintf(&sandbox->cores, "%s/", config->cores) < 0) {
		sandbox->cores = NULL;
	}
	sandbox->core_options = config->core_options;
	sandbox->core_written = config->core_written;
	sandbox->core_ctx = config->core_ctx;
	if (sandbox->command_line.failed || (config->cores && !sandbox->cores)) {
		return hs_error_os(err, ENOMEM, "cannot make the sandbox");
	}
	return HS_OK;
}

void hs_sandbox_drop_cores(struct hs_sandbox *sandbox)
{
	hs_buf_deinit(&sandbox->command_line);
	free(sandbox->cores);
}

enum hs_status hs_sandbox_core_write(struct hs_sandbox *sandbox, const char *path,
				     const struct hs_core_options *options, struct hs_core_result *ret,
				     struct hs_error *err)
{
	if (sandbox->state == HS_SANDBOX_UNUSABLE) {
		return hs_sandbox_wrong_state(sandbox, "write a core", err);
	}
	return hs_dump_sandbox(sandbox, hs_sandbox_crash(sandbox), path, options, ret, err);
}

static void write_own(struct hs_sandbox *sandbox)
{
	struct hs_core_result result = { 0 };
	struct hs_error err = { 0 };
	enum hs_status st = hs_sandbox_core_write(sandbox, sandbox->cores, &sandbox->core_options, &result, &err);

	if (sandbox->core_written) {
		sandbox->core_written(sandbox->core_ctx, st, &result, &err);
	}
}

void hs_sandbox_request_core(struct hs_sandbox *sandbox)
{
	atomic_store(&sandbox->core_asked, true);
	hs_vm_interrupt(sandbox->vm);
}

void hs_sandbox_serve_core(struct hs_sandbox *sandbox)
{
	if (atomic_exchange(&sandbox->core_asked, false)) {
		write_own(sandbox);
	}
}

void hs_sandbox_note_crash(struct hs_sandbox *sandbox, enum hs_status st, const struct hs_error *err)
{
	if (st == HS_ERR_TIMEOUT) {
		hs_crash_of_hang(sandbox->vm, sandbox->limit_ns, &sandbox->crash);
	} else if (st == HS_ERR_FORMAT) {
		hs_crash_of_call(sandbox->vm, err ? err->message : "a record that breaks the format", &sandbox->crash);
	} else if (!sandbox->has_crash) {
		return;
	}
	if (sandbox->crashed && !sandbox->has_crash) {
		sandbox->crashed(sandbox->run_ctx, &sandbox->crash);
	}
	sandbox->has_crash = true;
	if (sandbox->cores) {
		write_own(sandbox);
	}
}
