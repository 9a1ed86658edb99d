/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hindsight debug: a debugger looks at a core or a snapshot as at a guest that stands still. Nothing runs. */
#include "base/error.h"
#include "cli/cli.h"
#include "cli/core_words.h"
#include "cli/listen.h"
#include "cli/opts.h"
#include "cli/parse.h"
#include "cli/signals.h"
#include "session/target_stored.h"

#include <hindsight/coredump.h>
#include <hindsight/gdb.h>

#include <stdio.h>

struct options {
	const char *gdb;
	bool gdb_allow_remote;
	const char *image;
};

static const struct hs_opt rows[] = {
	{ "gdb", HS_OPT_ADDRESS, offsetof(struct options, gdb), "ADDR", "wait for debuggers at ADDR [:1234]", NULL },
	{ "gdb-allow-remote", HS_OPT_FLAG, offsetof(struct options, gdb_allow_remote), NULL,
	  "let ADDR be reachable from other hosts", NULL },
	{ "image", HS_OPT_STRING, offsetof(struct options, image), "FILE",
	  "give debuggers FILE as the image, not the one that the core names", NULL },
};

static const struct hs_opts opts = {
	.command = "debug",
	.operands = "FILE",
	.summary = "Show a core or a snapshot to debuggers, as it stands; nothing runs, nothing is changed",
	.epilogue = "ADDR is :PORT (loopback), HOST:PORT, unix:PATH or stdio.\n"
		    "It ends with a debugger's kill, SIGINT or SIGTERM.\n",
	.rows = rows,
	.count = sizeof(rows) / sizeof(rows[0]),
};

static int serve(const struct options *options, struct hs_stored *stored)
{
	struct hs_signals signals = { .all_fd = -1, .stop_fd = -1 };
	struct hs_target target = hs_stored_target(stored);
	struct hs_gdb_serve_options how = { .stop_fd = -1 };
	struct hs_gdb_listener *listener = NULL;
	int status = HS_EXIT_OK;
	enum hs_gdb_end end;
	struct hs_error err;

	if (hs_signals_init(&signals, &err) ||
	    hs_cli_listen(options->gdb, options->gdb_allow_remote, &listener, &err)) {
		hs_signals_deinit(&signals);
		return hs_cli_failed(&err);
	}
	how.stop_fd = signals.stop_fd;
	hs_cli_say_waiting(hs_gdb_listener_address(listener));
	if (hs_gdb_serve(listener, &target, &how, &end, &err)) {
		status = hs_cli_failed(&err);
	} else if (end == HS_GDB_END_STOPPED) {
		status = HS_EXIT_SIGNAL + hs_signals_take_stop(&signals);
	}
	hs_gdb_listener_close(listener);
	hs_signals_deinit(&signals);
	return status;
}

static int debug(const struct options *options, const char *path)
{
	struct hs_stored *stored;
	struct hs_core *core;
	struct hs_error err;
	int status;

	if (hs_core_open(path, &core, &err)) {
		return hs_cli_failed(&err);
	}
	if (hs_stored_create(core, path, options->image, &stored, &err)) {
		status = hs_cli_failed(&err);
	} else {
		/* Else a debugger's user takes what is not there for what was not mapped. */
		hs_core_warn(core);
		status = serve(options, stored);
		hs_stored_destroy(stored);
	}
	hs_core_close(core);
	return status;
}

int hs_cmd_debug(int argc, char **argv)
{
	struct options options = { .gdb = ":1234" };
	const char *file;
	int status;

	if (!hs_cli_parse_file(&opts, argc, argv, &options, &file, &status)) {
		return status;
	}
	return debug(&options, file);
}
