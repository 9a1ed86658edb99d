/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hindsight core WORD: one row and one function for each word. */
#include "cli/cli.h"
#include "cli/core_info.h"
#include "cli/core_words.h"
#include "cli/opts.h"
#include "cli/parse.h"
#include "cli/term.h"
#include "cli/words.h"

#include <hindsight/coredump.h>

#include <stdio.h>
#include <unistd.h>

struct info_options {
	bool json;
	bool all;
};

static const struct hs_opt info_rows[] = {
	{ "json", HS_OPT_FLAG, offsetof(struct info_options, json), NULL, "print one JSON object", NULL },
	{ "all", HS_OPT_FLAG, offsetof(struct info_options, all), NULL, "list every segment", NULL },
};

static const struct hs_opts info_opts = {
	.command = "core info",
	.operands = "FILE",
	.summary = "Show what is in a core: guest, reason, registers, segments, files and notes",
	.rows = info_rows,
	.count = sizeof(info_rows) / sizeof(info_rows[0]),
};

static int core_info(int argc, char **argv)
{
	struct info_options options = { 0 };
	const char *file;
	struct hs_core *core;
	struct hs_error err;
	bool complete = true;
	int status;

	if (!hs_cli_parse_file(&info_opts, argc, argv, &options, &file, &status)) {
		return status;
	}
	if (hs_core_open(file, &core, &err)) {
		return hs_cli_failed(&err);
	}
	if (options.json) {
		complete = hs_core_info_json(core, file, stdout);
	} else {
		hs_core_info_text(core, file, hs_term_colour(STDOUT_FILENO), options.all, stdout);
	}
	hs_core_close(core);
	if (!complete) {
		hs_cli_say("%s: no memory to show all of it", file);
		return HS_EXIT_FAILED;
	}
	return HS_EXIT_OK;
}

static const struct hs_word words[] = {
	{ "info", "show what is in a core", core_info },
	{ "report", "tell what happened: source, backtrace, registers, memory", hs_core_report },
	{ "extract", "write one address space as a core of its own", hs_core_word_extract },
	{ "verify", "check a core against its checksums", hs_core_word_verify },
	{ "from-image", "write a core of a raw image of physical memory", hs_core_word_from_image },
};

int hs_cmd_core(int argc, char **argv)
{
	static const struct hs_words core = {
		.command = "core",
		.usage = "WORD [OPTIONS] [FILE]",
		.summary = "Look into the core of a guest, check it, take it apart, or make one of a memory image",
		.words = words,
		.count = sizeof(words) / sizeof(words[0]),
	};

	return hs_words_run(&core, argc, argv);
}
