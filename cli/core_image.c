/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hindsight core from-image: an ELF core of raw physical memory, for debuggers. */
#include "cli/cli.h"
#include "cli/core_registers.h"
#include "cli/core_words.h"
#include "cli/opts.h"
#include "cli/parse.h"
#include "cli/pagetable.h"
#include "cli/progress.h"

#include "arch/regs.h"
#include "base/error.h"

#include <hindsight/coredump.h>

#include <stdio.h>
#include <string.h>

struct options {
	struct hs_pagetable_options tables;
	struct hs_opt_strings registers;
	uint64_t signal;
	const char *output;
};

/* In the order of enum hs_paging_format, without those that no core of x86 has. */
static const char *const formats[] = { "none", "i686", "pae", "amd64-4", "amd64-5", NULL };

#define FIELD(member) offsetof(struct options, member)

static const struct hs_opt rows[] = {
	{ "image", HS_OPT_STRING, FIELD(tables.image), "FILE", "the raw image of physical memory", NULL },
	{ "base", HS_OPT_NUMBER, FIELD(tables.base), "GPA", "physical address of the image's first byte (0)", NULL },
	{ "format", HS_OPT_CHOICE, FIELD(tables.format), "NAME", "none, i686, pae, amd64-4 or amd64-5", formats },
	{ "root", HS_OPT_NUMBERS, FIELD(tables.roots), "GPA", "CR3: the CPU's first; may be given again", NULL },
	{ "no-nxe", HS_OPT_FLAG, FIELD(tables.no_nxe), NULL, "EFER.NXE is 0: bit 63 of an entry is reserved", NULL },
	{ "no-pse", HS_OPT_FLAG, FIELD(tables.no_pse), NULL, "CR4.PSE is 0: i686 has no 4 MiB pages", NULL },
	{ "pdpte-a", HS_OPT_FLAG, FIELD(tables.pdpte_a), NULL, "pae: a PDPTE may have bit 5 set, as in QEMU", NULL },
	{ "physical-bits", HS_OPT_NUMBER, FIELD(tables.physical_bits), "N", "MAXPHYADDR (52)", NULL },
	{ "regs", HS_OPT_STRINGS, FIELD(registers), "FILE|NAME=VALUE",
	  "registers, by gdb's names (zeros); may be given again", NULL },
	{ "signal", HS_OPT_NUMBER, FIELD(signal), "N", "signal that the core is of (0)", NULL },
	{ "output", HS_OPT_STRING, FIELD(output), "FILE|DIR", "where the core goes [.]", NULL },
};

static const struct hs_opts opts = {
	.command = "core from-image",
	.operands = "",
	.summary = "Write a core of what page tables in a raw image of physical memory map",
	.epilogue =
		"A FILE of registers has one a line: its name and its value, as gdb's info registers prints them.\n",
	.rows = rows,
	.count = sizeof(rows) / sizeof(rows[0]),
};

static enum hs_arch arch_of(int format)
{
	return format == HS_PAGING_4LEVEL || format == HS_PAGING_5LEVEL ? HS_ARCH_AMD64 : HS_ARCH_I686;
}

static enum hs_status check(const struct options *options, const struct hs_opts_rest *rest, struct hs_error *err)
{
	if (options->tables.image == NULL) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--image is missing");
	}
	if (options->signal > 127) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--signal: there are 0 to 127");
	}
	enum hs_status st = hs_opts_operands(rest, 0, "", err);

	return st ? st : hs_pagetable_check(&options->tables, err);
}

static enum hs_status write_core(const struct options *options, const struct hs_pagetable_source *source,
				 const struct hs_cpu_state *cpu, struct hs_core_result *ret, struct hs_error *err)
{
	const char *slash = strrchr(options->tables.image, '/');
	struct hs_progress progress;
	const struct hs_core_input input = {
		.arch = arch_of(options->tables.format),
		.cpus = cpu,
		.cpu_count = 1,
		.phys = source->phys,
		.root = source->roots[0],
		.spaces = source->roots,
		.space_count = source->root_count,
		.signal = (int)options->signal,
		.name = slash != NULL ? slash + 1 : options->tables.image,
		.command_line = options->tables.image,
		.reason_name = "image",
		.reason = "a raw image of physical memory",
		.options = { .progress = hs_progress_tell, .progress_ctx = &progress },
	};

	hs_progress_init("core", &progress);
	enum hs_status st = hs_core_write(&input, options->output, ret, err);

	hs_progress_end(&progress);
	return st;
}

static int from_image(const struct options *options)
{
	struct hs_pagetable_source source;
	struct hs_core_result result;
	struct hs_cpu_state cpu;
	struct hs_error err;

	hs_cpu_state_init(&cpu);
	enum hs_status st = hs_core_registers_parse(&options->registers, arch_of(options->tables.format), &cpu, &err);

	if (st == HS_ERR_INVALID) {
		return hs_cli_misused(opts.command, &err);
	}
	if (st || hs_pagetable_open(&options->tables, NULL, &source, &err)) {
		return hs_cli_failed(&err);
	}
	st = write_core(options, &source, &cpu, &result, &err);
	hs_pagetable_close(&source);
	if (st) {
		return hs_cli_failed(&err);
	}
	hs_core_say_written(&result);
	return HS_EXIT_OK;
}

int hs_core_word_from_image(int argc, char **argv)
{
	struct options options = { .tables.format = -1 };
	struct hs_opts_rest rest;
	struct hs_error err;
	int status;

	if (!hs_cli_parse(&opts, argc, argv, &options, &rest, &status)) {
		return status;
	}
	if (check(&options, &rest, &err)) {
		return hs_cli_misused(opts.command, &err);
	}
	return from_image(&options);
}
