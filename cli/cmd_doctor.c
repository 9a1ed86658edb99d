/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hindsight doctor: what this host can do. The probing is vmm/'s, the words are session/doctor.c's. */
#include "cli/cli.h"
#include "cli/opts.h"
#include "cli/parse.h"
#include "cli/term.h"
#include "session/doctor.h"

#include <stdio.h>
#include <unistd.h>

#define TEXT_MAX (1u << 20)

struct options {
	bool json;
};

static const struct hs_opt rows[] = {
	{ "json", HS_OPT_FLAG, offsetof(struct options, json), NULL, "print one JSON object", NULL },
};

static const struct hs_opts opts = {
	.command = "doctor",
	.operands = "",
	.summary = "Show what this host can do: KVM, guests, breakpoints, and what to do about what is missing",
	.rows = rows,
	.count = sizeof(rows) / sizeof(rows[0]),
};

int hs_cmd_doctor(int argc, char **argv)
{
	struct options options = { 0 };
	struct hs_opts_rest rest;
	struct hs_probe probe;
	struct hs_error err;
	struct hs_buf out;
	int status = HS_EXIT_OK;

	if (!hs_cli_parse(&opts, argc, argv, &options, &rest, &status)) {
		return status;
	}
	if (hs_opts_operands(&rest, 0, "", &err)) {
		return hs_cli_misused(opts.command, &err);
	}
	hs_probe(&probe);
	hs_buf_init(&out, TEXT_MAX);
	if (options.json) {
		hs_doctor_json(&probe, &out);
	} else {
		hs_doctor_text(&probe, hs_term_colour(STDOUT_FILENO), &out);
	}
	if (out.failed) {
		hs_cli_say("no memory for the report");
		status = HS_EXIT_FAILED;
	} else {
		fwrite(out.data, 1, out.length, stdout);
	}
	hs_buf_deinit(&out);
	return status;
}
