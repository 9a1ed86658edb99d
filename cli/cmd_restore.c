/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hindsight restore: one guest from where a snapshot or a core has it to its end. Everything but where it begins is as
 * with run (guest.h).
 */
#include "base/error.h"
#include "cli/cli.h"
#include "cli/guest.h"
#include "cli/opts.h"
#include "cli/parse.h"
#include "session/snapshot.h"

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
	.epilogue = HS_GUEST_VALUES
	"A guest that has crashed is at the instruction that failed: without a debugger it fails again.\n",
	.rows = rows,
	.count = sizeof(rows) / sizeof(rows[0]),
};

/* What the guest is to do beside going on asks for one that waits for it. */
static enum hs_status check_ready(const char *path, const struct hs_snapshot *snapshot, struct hs_error *err)
{
	if (hs_snapshot_takes_calls(snapshot)) {
		return HS_OK;
	}
	return hs_error_set(err, HS_ERR_STATE, 0, 0, "%s: the guest %s: it takes no calls", path,
			    hs_snapshot_info(snapshot)->crashed ? "has crashed"
								: "was not ready when this was written");
}

static int restore(const struct options *options, const struct hs_drive_spec *drive, const char *path)
{
	struct hs_guest_spec spec = {
		.options = &options->guest,
		.vm = { .memory_bytes = options->memory_bytes },
		.drive = *drive,
	};
	struct hs_event event = { .kind = HS_EVENT_CRASHED };
	struct hs_error err;
	int status;

	if (hs_snapshot_open(path, options->verify, &spec.snapshot, &err)) {
		return hs_cli_failed(&err);
	}
	if (hs_snapshot_info(spec.snapshot)->crashed) {
		event.crash = hs_snapshot_info(spec.snapshot)->crash;
		spec.at = &event;
	}
	spec.drive.snapshot = spec.snapshot;
	if (hs_drive_wanted(drive) && check_ready(path, spec.snapshot, &err)) {
		status = hs_cli_failed(&err);
	} else {
		status = hs_guest_run(&spec);
	}
	hs_snapshot_unref(spec.snapshot);
	return status;
}

int hs_cmd_restore(int argc, char **argv)
{
	struct options options = { .verify = false };
	struct hs_drive_spec drive = { .cycles = 1 };
	struct hs_opts_rest rest;
	struct hs_error err;
	int status;

	hs_guest_options_init(&options.guest);
	if (!hs_cli_parse(&opts, argc, argv, &options, &rest, &status)) {
		return status;
	}
	if (hs_guest_check(&options.guest, &drive, &err) || hs_opts_operands(&rest, 1, "FILE", &err)) {
		status = hs_cli_misused(opts.command, &err);
	} else {
		status = restore(&options, &drive, rest.operands[0]);
	}
	hs_call_list_free(&drive.calls);
	return status;
}
