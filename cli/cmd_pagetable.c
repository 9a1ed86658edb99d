/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hindsight pagetable WORD: the command lines, what the words have in common, and where they part. */
#include "cli/cli.h"
#include "cli/core_words.h"
#include "cli/opts.h"
#include "cli/parse.h"
#include "cli/pagetable.h"
#include "cli/words.h"

#include "base/error.h"

#include <stdio.h>

/* In the order of enum hs_paging_format. */
static const char *const format_names[] = {
	"none", "i686", "pae", "amd64-4", "amd64-5", "aarch64-ttbr0", "aarch64-ttbr1", NULL,
};

#define FIELD(member) offsetof(struct hs_pagetable_options, member)

/* walk has none of the last three, and spaces has not the last one. */
static const struct hs_opt rows[] = {
	{ "image", HS_OPT_STRING, FIELD(image), "FILE", "read a raw image of physical memory, not a core", NULL },
	{ "base", HS_OPT_NUMBER, FIELD(base), "GPA", "physical address of the image's first byte (0)", NULL },
	{ "format", HS_OPT_CHOICE, FIELD(format), "NAME",
	  "none, i686, pae, amd64-4, -5, aarch64-ttbr0, -1 (the core's)", format_names },
	{ "root", HS_OPT_NUMBERS, FIELD(roots), "GPA", "CR3 or TTBR (the core's); may be given again", NULL },
	{ "no-nxe", HS_OPT_FLAG, FIELD(no_nxe), NULL, "EFER.NXE is 0: bit 63 of an entry is reserved", NULL },
	{ "no-pse", HS_OPT_FLAG, FIELD(no_pse), NULL, "CR4.PSE is 0: i686 has no 4 MiB pages", NULL },
	{ "pdpte-a", HS_OPT_FLAG, FIELD(pdpte_a), NULL, "pae: a PDPTE may have bit 5 set, as in QEMU", NULL },
	{ "physical-bits", HS_OPT_NUMBER, FIELD(physical_bits), "N", "MAXPHYADDR (the core's, or 52)", NULL },
	{ "json", HS_OPT_FLAG, FIELD(json), NULL, "print one JSON object", NULL },
	{ "ranges", HS_OPT_NUMBER, FIELD(budget.ranges), "N", "most ranges (1048576)", NULL },
	{ "tables", HS_OPT_NUMBER, FIELD(budget.tables), "N", "most tables visited (1048576)", NULL },
	{ "start", HS_OPT_NUMBER, FIELD(start), "GVA", "begin at this address (0)", NULL },
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static const struct hs_opts list_opts = {
	.command = "pagetable list",
	.operands = "[CORE]",
	.summary = "List what page tables map: the ranges of each root, by address",
	.epilogue = "--ranges and --tables are for each root.\n"
		    "Exit status: 1 when one of them ended a list before its end.\n",
	.rows = rows,
	.count = ROW_COUNT,
};

static const struct hs_opts spaces_opts = {
	.command = "pagetable spaces",
	.operands = "[CORE]",
	.summary = "List what the page tables of several roots map, and which tables they share",
	.epilogue = "--ranges (which shared tables count among) and --tables are for all roots together.\n"
		    "Exit status: 1 when one of them ended the list before its end.\n",
	.rows = rows,
	.count = ROW_COUNT - 1,
};

static const struct hs_opts walk_opts = {
	.command = "pagetable walk",
	.operands = "[CORE] ADDRESS",
	.summary = "Show each step of the translation of an address, and where it ends",
	.epilogue = "Exit status: 1 when the address is not mapped.\n",
	.rows = rows,
	.count = ROW_COUNT - 3,
};

/* What a word does, all else being the same. */
struct question {
	const struct hs_opts *opts;
	bool takes_address;
	/** Write the answer. False: no memory for all of it. *ret_whole false: the exit status is HS_EXIT_NOT_ALL. */
	bool (*answer)(const struct hs_pagetable_source *source, const struct hs_pagetable_options *options,
		       bool *ret_whole, FILE *out);
};

/** The operands: a core unless there is an image, then what the question takes. */
static enum hs_status take_operands(const struct question *question, const struct hs_opts_rest *rest,
				    struct hs_pagetable_options *options, const char **ret_core, struct hs_error *err)
{
	bool has_core = options->image == NULL;
	const char *names = !has_core ? "ADDRESS" : question->takes_address ? "CORE or ADDRESS" : "CORE (or --image)";
	enum hs_status st = hs_opts_operands(rest, (has_core ? 1 : 0) + (question->takes_address ? 1 : 0), names, err);

	if (st) {
		return st;
	}
	*ret_core = has_core ? rest->operands[0] : NULL;
	if (question->takes_address) {
		const char *text = rest->operands[has_core ? 1 : 0];

		if (!hs_opts_number(text, &options->address)) {
			return hs_error_set(err, HS_ERR_INVALID, 0, 0, "ADDRESS: '%s' is not a number", text);
		}
	}
	return hs_pagetable_check(options, err);
}

static int ask(const struct question *question, int argc, char **argv)
{
	struct hs_pagetable_options options = { .format = -1, .budget = hs_budget_default() };
	struct hs_pagetable_source source;
	struct hs_opts_rest rest;
	struct hs_error err;
	const char *core;
	bool whole;
	int status;

	if (!hs_cli_parse(question->opts, argc, argv, &options, &rest, &status)) {
		return status;
	}
	if (take_operands(question, &rest, &options, &core, &err)) {
		return hs_cli_misused(question->opts->command, &err);
	}
	if (hs_pagetable_open(&options, core, &source, &err)) {
		return hs_cli_failed(&err);
	}
	/* Else what is not there for a table that the guest did not map. */
	if (source.core != NULL) {
		hs_core_warn(source.core);
	}
	bool answered = question->answer(&source, &options, &whole, stdout);

	hs_pagetable_close(&source);
	if (!answered) {
		hs_cli_say("%s: no memory to show all of it", options.image != NULL ? options.image : core);
		return HS_EXIT_FAILED;
	}
	return whole ? HS_EXIT_OK : HS_EXIT_NOT_ALL;
}

static int list(int argc, char **argv)
{
	static const struct question question = { &list_opts, false, hs_pagetable_list };

	return ask(&question, argc, argv);
}

static int spaces(int argc, char **argv)
{
	static const struct question question = { &spaces_opts, false, hs_pagetable_spaces };

	return ask(&question, argc, argv);
}

static int walk(int argc, char **argv)
{
	static const struct question question = { &walk_opts, true, hs_pagetable_walk };

	return ask(&question, argc, argv);
}

static const struct hs_word words[] = {
	{ "list", "list what page tables map", list },
	{ "spaces", "list what several roots map, and which tables they share", spaces },
	{ "walk", "show how one address is translated", walk },
};

int hs_cmd_pagetable(int argc, char **argv)
{
	static const struct hs_words pagetable = {
		.command = "pagetable",
		.usage = "WORD [OPTIONS] [CORE] ...",
		.summary = "Read page tables out of a core, or with --image out of a raw image of physical memory",
		.words = words,
		.count = sizeof(words) / sizeof(words[0]),
	};

	return hs_words_run(&pagetable, argc, argv);
}
