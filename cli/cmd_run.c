/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hindsight run: one guest from its first instruction to its end, on the terminal or under a debugger. The exit
 * status is the guest's own, or says how it ended (cli.h).
 */
#include "base/error.h"
#include "cli/cli.h"
#include "cli/guest.h"
#include "cli/map.h"
#include "cli/opts.h"
#include "cli/parse.h"
#include "cli/roots_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
	struct hs_guest_options guest;
	int boot; /* enum hs_boot */
	uint64_t heap_bytes, scratch_bytes, memory_bytes;
	uint64_t log_level;
	struct hs_opt_strings map;
	const char *snapshot;
	const char *roots;
};

/* In the order of the enums of <hindsight/vm.h>. */
static const char *const boots[] = { "auto", "native", "pvh", NULL };

static const struct hs_opt rows[] = {
	HS_GUEST_ROWS(struct options),
	{ "boot", HS_OPT_CHOICE, offsetof(struct options, boot), "KIND", "protocol: auto, native or pvh [auto]",
	  boots },
	{ "heap", HS_OPT_SIZE, offsetof(struct options, heap_bytes), "SIZE", "heap of the guest [128K]", NULL },
	{ "scratch", HS_OPT_SIZE, offsetof(struct options, scratch_bytes), "SIZE", "scratch memory [288K]", NULL },
	{ "memory", HS_OPT_SIZE, offsetof(struct options, memory_bytes), "SIZE", "most memory in all [1G]", NULL },
	{ "map", HS_OPT_STRINGS, offsetof(struct options, map), "[LABEL=]FILE@GPA",
	  "put a private copy of FILE at GPA; may be given again", NULL },
	{ "snapshot", HS_OPT_STRING, offsetof(struct options, snapshot), "FILE",
	  "write a snapshot to FILE when the guest is ready", NULL },
	{ "roots", HS_OPT_STRING, offsetof(struct options, roots), "SPEC",
	  "which page tables a snapshot takes along [registered]", NULL },
	{ "log-level", HS_OPT_NUMBER, offsetof(struct options, log_level), "N", "log level that the guest is told [0]",
	  NULL },
};

static const struct hs_opts opts = {
	.command = "run",
	.operands = "GUEST [-- ARGS...]",
	.summary = "Run a guest: a static ELF image for amd64 or i686",
	.epilogue = HS_GUEST_VALUES
	"SPEC is registered, current, or a variable: symbol:NAME, symbol:NAME:STRIDE:COUNT.\n"
	"SIGQUIT writes a core of the running guest, which goes on; SIGINT and SIGTERM end it without one.\n",
	.rows = rows,
	.count = sizeof(rows) / sizeof(rows[0]),
};

/* One run of the command. */
struct run {
	struct options options;
	const char *guest;
	const char **args; /* of the guest, args[0] being its path */
	size_t args_count;
	struct hs_map_list maps;
	struct hs_drive_spec drive;
	struct hs_roots_spec roots;
	char roots_name[HS_ROOTS_TEXT_NAME_MAX]; /* borrowed by roots */
};

static struct hs_vm_config vm_config(const struct run *run)
{
	return (struct hs_vm_config){
		.boot = (enum hs_boot)run->options.boot,
		.heap_bytes = run->options.heap_bytes,
		.scratch_bytes = run->options.scratch_bytes,
		.memory_bytes = run->options.memory_bytes,
		.log_level = (uint32_t)run->options.log_level,
		.args = run->args,
		.args_count = run->args_count,
		.mappings = run->maps.mappings,
		.mapping_count = run->maps.count,
	};
}

static int run_guest(struct run *run)
{
	struct hs_guest_spec spec = {
		.options = &run->options.guest,
		.vm = vm_config(run),
		.image = run->guest,
		.drive = run->drive,
		.roots = run->roots,
	};

	return hs_guest_run(&spec);
}

static enum hs_status check_drive(struct run *run, struct hs_error *err)
{
	const struct options *options = &run->options;
	enum hs_status st = hs_guest_check(&options->guest, &run->drive, err);

	run->drive.save = options->snapshot;
	if (!st && options->roots) {
		if (!options->snapshot && options->guest.cycles == 1 && !options->guest.gdb &&
		    !options->guest.gdb_on_crash) {
			return hs_error_set(err, HS_ERR_INVALID, 0, 0,
					    "--roots is for a debugger and for --snapshot or --cycles");
		}
		st = hs_roots_text_parse(options->roots, run->roots_name, &run->roots, err);
	}
	return st;
}

static enum hs_status check(struct run *run, const struct hs_opts_rest *rest, struct hs_error *err)
{
	if (rest->operand_count > 1) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0,
				    "'%s' is one word too many: the guest's arguments follow --", rest->operands[1]);
	}
	if (run->options.log_level > UINT32_MAX) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--log-level: the number is too large");
	}
	enum hs_status st = check_drive(run, err);

	st = st ? st : hs_map_parse(&run->options.map, &run->maps, err);
	return st ? st : hs_opts_operands(rest, 1, "GUEST", err);
}

static void free_lists(struct run *run)
{
	hs_map_free(&run->maps);
	hs_call_list_free(&run->drive.calls);
}

int hs_cmd_run(int argc, char **argv)
{
	struct run run = { .guest = NULL };
	struct hs_opts_rest rest;
	struct hs_error err;
	int status;

	hs_guest_options_init(&run.options.guest);
	if (!hs_cli_parse(&opts, argc, argv, &run.options, &rest, &status)) {
		return status;
	}
	if (check(&run, &rest, &err)) {
		free_lists(&run);
		return hs_cli_misused(opts.command, &err);
	}
	run.guest = rest.operands[0];
	run.args_count = 1 + rest.after_count;
	run.args = calloc(run.args_count, sizeof(*run.args));
	if (run.args) {
		run.args[0] = run.guest;
		memcpy(run.args + 1, rest.after, rest.after_count * sizeof(*run.args));
		status = run_guest(&run);
	} else {
		hs_cli_say("no memory for the guest's arguments");
		status = HS_EXIT_FAILED;
	}
	free(run.args);
	free_lists(&run);
	return status;
}
