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
#include <hindsight/snapshot.h>

#include <stdio.h>
#include <unistd.h>

struct info_options {
	bool json;
	bool all;
	bool hash;
};

static const struct hs_opt info_rows[] = {
	{ "json", HS_OPT_FLAG, offsetof(struct info_options, json), NULL, "print one JSON object", NULL },
	{ "all", HS_OPT_FLAG, offsetof(struct info_options, all), NULL, "list every segment", NULL },
	{ "hash", HS_OPT_FLAG, offsetof(struct info_options, hash), NULL,
	  "show the hash of a snapshot, too: reads all of it", NULL },
};

static const struct hs_opts info_opts = {
	.command = "core info",
	.operands = "FILE",
	.summary = "Show what is in a core: guest, reason, registers, segments, files and notes",
	.rows = info_rows,
	.count = sizeof(info_rows) / sizeof(info_rows[0]),
};

/* The hash as hexadecimal text. */
static enum hs_status hash_of(const char *path, char ret[2 * HS_SNAPSHOT_HASH_BYTES + 1], struct hs_error *err)
{
	uint8_t hash[HS_SNAPSHOT_HASH_BYTES];
	struct hs_snapshot *snapshot;
	enum hs_status st = hs_snapshot_open(path, false, &snapshot, err);

	if (st) {
		return st;
	}
	hs_snapshot_hash(snapshot, hash);
	hs_snapshot_unref(snapshot);
	for (size_t i = 0; i < sizeof(hash); i++) {
		snprintf(ret + 2 * i, 3, "%02x", hash[i]);
	}
	return HS_OK;
}

static int show_info(const struct hs_core *core, const char *path, const struct info_options *options)
{
	char hash[2 * HS_SNAPSHOT_HASH_BYTES + 1] = "";
	struct hs_error err;

	if (options->hash && hash_of(path, hash, &err)) {
		return hs_cli_failed(&err);
	}
	if (!options->json) {
		hs_core_info_text(core, path, hash, hs_term_colour(STDOUT_FILENO), options->all, stdout);
	} else if (!hs_core_info_json(core, path, hash, stdout)) {
		hs_cli_say("%s: no memory to show all of it", path);
		return HS_EXIT_FAILED;
	}
	return HS_EXIT_OK;
}

static int core_info(int argc, char **argv)
{
	struct info_options options = { 0 };
	const char *file;
	struct hs_core *core;
	struct hs_error err;
	int status;

	if (!hs_cli_parse_file(&info_opts, argc, argv, &options, &file, &status)) {
		return status;
	}
	if (hs_core_open(file, &core, &err)) {
		return hs_cli_failed(&err);
	}
	status = show_info(core, file, &options);
	hs_core_close(core);
	return status;
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
