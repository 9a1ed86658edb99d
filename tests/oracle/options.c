/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: oracle [option]...\n"
	"Execute instructions on the host's CPU and on a CPU backend, and compare.\n"
	"  --bits 32|64      one mode only\n"
	"  --form NAME       forms of this name only; a * at its end stands for anything\n"
	"  --cases N         cases for each form\n"
	"  --vectors N       cases for each form of x87, MMX, SSE and AVX, if others\n"
	"  --seed N          another seed\n"
	"  --only N          the case of this number only\n"
	"  --show N          differences to print for each form\n"
	"  --backend NAME    soft (the default), kvm, or host: the host's CPU against itself\n"
	"  --spoil FIELD     make xmm, ymm_hi, mxcsr, ftw or such wrong each time: all must be found\n"
	"  --list            print the forms\n"
	"  --undefined       print what is undefined and so not compared\n";

static const struct option table[] = {
	{ "bits", required_argument, NULL, 'b' },    { "form", required_argument, NULL, 'f' },
	{ "cases", required_argument, NULL, 'c' },   { "seed", required_argument, NULL, 's' },
	{ "only", required_argument, NULL, 'o' },    { "show", required_argument, NULL, 'w' },
	{ "backend", required_argument, NULL, 'k' }, { "list", no_argument, NULL, 'l' },
	{ "undefined", no_argument, NULL, 'u' },     { "vectors", required_argument, NULL, 'v' },
	{ "spoil", required_argument, NULL, 'p' },   { NULL, 0, NULL, 0 },
};

static bool take(struct oracle_options *options, int option)
{
	switch (option) {
	case 'b':
		options->bits = (unsigned int)strtoul(optarg, NULL, 0);
		return options->bits == 32 || options->bits == 64;
	case 'f':
		options->form = optarg;
		return true;
	case 'c':
		options->cases = (unsigned int)strtoul(optarg, NULL, 0);
		return options->cases > 0;
	case 'v':
		options->vectors = (unsigned int)strtoul(optarg, NULL, 0);
		return options->vectors > 0;
	case 'p':
		options->spoil = optarg;
		return true;
	case 's':
		options->seed = strtoull(optarg, NULL, 0);
		return true;
	case 'o':
		options->only = strtol(optarg, NULL, 0);
		return true;
	case 'w':
		options->shown = (unsigned int)strtoul(optarg, NULL, 0);
		return true;
	case 'k':
		options->backend = optarg;
		return true;
	case 'l':
		options->list = true;
		return true;
	case 'u':
		options->undefined = true;
		return true;
	default:
		return false;
	}
}

bool oracle_options_parse(int argc, char **argv, struct oracle_options *ret)
{
	struct oracle_options options = { .seed = 1, .cases = 100, .only = -1, .shown = 2, .backend = "soft" };
	int option;

	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (!take(&options, option)) {
			fputs(usage, stderr);
			return false;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return false;
	}
	if (options.only >= (long)options.cases) {
		options.cases = (unsigned int)options.only + 1;
	}
	if (options.vectors <= options.only) {
		options.vectors = 0;
	}
	*ret = options;
	return true;
}
