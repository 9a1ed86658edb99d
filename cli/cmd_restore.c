/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hindsight restore: one guest from where a snapshot or a core has it to its end. Everything but where it begins is as
 * with run (guest.h).
 */
#include "base/error.h"
#include "cli/cli.h"
#include "cli/guest.h"
#include "cli/opts.h"
#include "session/snapshot_file.h"

#include <stdio.h>

struct options {
	struct hs_guest_options guest;
	uint64_t memory_bytes;
	bool verify;
};

static const struct hs_opt rows[] = {
	HS_GUEST_ROWS(struct options),
	{ "memory", HS_OPT_SIZE, offsetof(struct options, memory_bytes), "SIZE", "most memory in all [1G]", NULL },
	{ "verify", HS_OPT_FLAG, offsetof(struct options, verify), NULL,
	  "read all memory in FILE and compare it with its checksums first", NULL },
};

static const struct hs_opts opts = {
	.command = "restore",
	.operands = "FILE",
	.summary = "Go on from a snapshot, or from a core of a guest that has crashed",
	.epilogue = "ADDR is :PORT (loopback), HOST:PORT, unix:PATH or stdio. SIZE is bytes, or with K, M or G.\n"
		    "A guest that has crashed is at the instruction that failed: without a debugger it fails again.\n",
	.rows = rows,
	.count = sizeof(rows) / sizeof(rows[0]),
};

static int restore(const struct options *options, const char *path)
{
	struct hs_guest_spec spec = {
		.options = &options->guest,
		.vm = { .memory_bytes = options->memory_bytes },
	};
	struct hs_event event;
	struct hs_error err;
	int status;

	if (hs_snapshot_file_read(path, options->verify, &spec.snapshot, &event, &err)) {
		return hs_cli_failed(&err);
	}
	spec.at = event.kind == HS_EVENT_CRASHED ? &event : NULL;
	status = hs_guest_run(&spec);
	hs_snapshot_unref(spec.snapshot);
	return status;
}

int hs_cmd_restore(int argc, char **argv)
{
	struct options options = { .guest = { .core = hs_guest_core_directory() } };
	struct hs_opts_rest rest;
	struct hs_error err;

	if (hs_opts_parse(&opts, argc, argv, &options, &rest, &err)) {
		return hs_cli_misused(opts.command, &err);
	}
	if (rest.help) {
		hs_opts_help(&opts, stdout);
		return HS_EXIT_OK;
	}
	if (hs_guest_check(&options.guest, &err) || hs_opts_operands(&rest, 1, "FILE", &err)) {
		return hs_cli_misused(opts.command, &err);
	}
	return restore(&options, rest.operands[0]);
}
