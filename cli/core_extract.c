/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hindsight core extract: an address space of a core, or of a snapshot's file, as a core of its own. */
#include "cli/cli.h"
#include "cli/core_words.h"
#include "cli/opts.h"
#include "cli/parse.h"
#include "cli/progress.h"
#include "cli/term.h"
#include "coredump/fault.h"

#include <hindsight/coredump.h>

#include <stdio.h>

/** Not given: that of the CPU. */
#define NO_SPACE UINT64_MAX

struct options {
	uint64_t space;
	const char *output;
};

static const struct hs_opt rows[] = {
	{ "root", HS_OPT_NUMBER, offsetof(struct options, space), "N", "number of the space [the CPU's]", NULL },
	{ "output", HS_OPT_STRING, offsetof(struct options, output), "FILE|DIR", "where the core goes [.]", NULL },
};

static const struct hs_opts opts = {
	.command = "core extract",
	.operands = "FILE",
	.summary = "Write what one address space of a core maps as a core of its own",
	.epilogue = "core info lists the spaces. Data is shared with FILE where the file system can.\n",
	.rows = rows,
	.count = sizeof(rows) / sizeof(rows[0]),
};

void hs_core_say_written(const struct hs_core_result *result)
{
	char size[32], packed[32] = "";

	hs_term_size(result->bytes, size, sizeof(size));
	if (result->packed_bytes > 0) {
		hs_term_size(result->packed_bytes, packed, sizeof(packed));
	}
	fprintf(stderr, "core: %s (%s%s%s%s%s)\n", result->path, size, packed[0] ? ", compressed to " : "", packed,
		result->reduced ? ", cut down to its limit" : "", result->partial ? ", incomplete" : "");
}

void hs_core_warn(const struct hs_core *core)
{
	struct hs_error fault;

	for (size_t i = 0; hs_core_fault(core, i, &fault); i++) {
		hs_cli_say("warning: %s", fault.message);
	}
}

static int extract(const struct options *options, const char *file)
{
	struct hs_progress progress;
	const struct hs_core_options how = { .progress = hs_progress_tell, .progress_ctx = &progress };
	struct hs_core_result result;
	struct hs_core *core;
	struct hs_error err;

	if (hs_core_open(file, &core, &err)) {
		return hs_cli_failed(&err);
	}
	size_t space = options->space == NO_SPACE ? hs_core_info(core)->space_index : (size_t)options->space;

	hs_progress_init("core", &progress);
	enum hs_status st = hs_core_extract(core, space, options->output, &how, &result, &err);

	hs_progress_end(&progress);
	if (!st) {
		hs_core_warn(core);
	}
	hs_core_close(core);
	if (st) {
		return hs_cli_failed(&err);
	}
	hs_core_say_written(&result);
	return HS_EXIT_OK;
}

int hs_core_word_extract(int argc, char **argv)
{
	struct options options = { .space = NO_SPACE };
	const char *file;
	int status;

	if (!hs_cli_parse_file(&opts, argc, argv, &options, &file, &status)) {
		return status;
	}
	return extract(&options, file);
}
