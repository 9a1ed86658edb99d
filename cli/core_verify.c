/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hindsight core verify: whether a core is what was written, a line for each thing that is not. */
#include "base/arith.h"
#include "cli/cli.h"
#include "cli/core_words.h"
#include "cli/opts.h"
#include "cli/parse.h"
#include "cli/term.h"
#include "coredump/fault.h"

#include <hindsight/coredump.h>

#include <inttypes.h>
#include <stdio.h>

static const struct hs_opts opts = {
	.command = "core verify",
	.operands = "FILE",
	.summary = "Check a core against its checksums and its own size: a line for each problem",
	.epilogue = "Exit status: 1 when there is a problem.\n",
};

struct check {
	const char *file;
	const struct hs_core *core;
	unsigned int problems;
};

static void problem(struct check *check, const struct hs_error *err)
{
	check->problems++;
	printf("%s\n", err->message);
}

static void check_faults(struct check *check)
{
	struct hs_error err;

	for (size_t i = 0; hs_core_fault(check->core, i, &err); i++) {
		problem(check, &err);
	}
}

/** Segments ascend in a core of ours. */
static void check_segments(struct check *check)
{
	uint64_t behind = 0;
	struct hs_error err;

	for (size_t i = 0; i < hs_core_info(check->core)->segment_count; i++) {
		const struct hs_core_segment *segment = hs_core_segment(check->core, i);

		if (segment->start.v < behind) {
			hs_core_broken(check->core, &err, segment->offset,
				       "segment %zu, of 0x%" PRIx64 ", overlaps the one before it, or is out of order",
				       i, segment->start.v);
			problem(check, &err);
		}
		behind = segment->start.v + (segment->length - 1);
	}
}

/** Its pieces are in no order of the file: each is found by its address. That the file ends was said already. */
static void check_memory(struct check *check)
{
	const struct hs_core_info *info = hs_core_info(check->core);
	struct hs_error err;

	for (size_t i = 0; i < info->stored_count; i++) {
		const struct hs_core_stored *stored = hs_core_stored(check->core, i);

		if (hs_range_within(stored->offset, stored->length, info->file_bytes) &&
		    hs_core_verify_stored(check->core, i, &err)) {
			problem(check, &err);
		}
	}
}

static void say_good(const struct check *check)
{
	const struct hs_core_info *info = hs_core_info(check->core);
	uint64_t summed = 0;
	char size[32];

	for (size_t i = 0; i < info->stored_count; i++) {
		summed += hs_core_stored(check->core, i)->length;
	}
	hs_term_size(summed, size, sizeof(size));
	printf("%s: no problem: %zu segments within the file", check->file, info->segment_count);
	if (info->notes_sum == HS_CORE_SUM_GOOD) {
		printf(", notes as they were written");
	}
	if (summed > 0) {
		printf(", %s of memory as they were", size);
	}
	printf("%s\n", info->partial ? "; the core was incomplete when it was written" : "");
}

static int verify(const char *file)
{
	struct check check = { .file = file };
	struct hs_core *core;
	struct hs_error err;
	enum hs_status st = hs_core_open(file, &core, &err);

	/* What the file is, is the answer; that it cannot be looked into is a failure. */
	if (st == HS_ERR_FORMAT || st == HS_ERR_UNSUPPORTED) {
		problem(&check, &err);
		return HS_EXIT_NOT_ALL;
	}
	if (st) {
		return hs_cli_failed(&err);
	}
	check.core = core;
	check_faults(&check);
	check_segments(&check);
	check_memory(&check);
	if (check.problems == 0) {
		say_good(&check);
	}
	hs_core_close(core);
	return check.problems == 0 ? HS_EXIT_OK : HS_EXIT_NOT_ALL;
}

int hs_core_word_verify(int argc, char **argv)
{
	const char *file;
	int status;

	if (!hs_cli_parse_file(&opts, argc, argv, NULL, &file, &status)) {
		return status;
	}
	return verify(file);
}
