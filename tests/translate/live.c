/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What paging/ reads in the tables of a running guest is what its CPU finds, all over the guest's address space: at its
 * start, at each exit, and every few instructions behind one.
 *
 *   live [--exits N] [--steps N] [--spoil N] kvm|soft GUEST.elf [ARGUMENT...]
 *
 * So many exits at most (default 20), so many single steps behind each (default 60). --spoil: the N-th mapped address
 * is looked up in tables with a wrong entry, which a comparison that works reports.
 *
 * Ends with 0 when all is equal, 1 when not, 77 with the reason where the backend does not run the guest, 2 for wrong
 * use.
 */
#include "agree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EQUAL = 0, DIFFERENT = 1, WRONG_USE = 2, MISSING = 77 };

#define COMPARE_EVERY 20

struct options {
	unsigned long exits, steps, spoil;
	struct hs_vm_config config;
	const char *image;
};

static int report(const char *when, unsigned long count, const char *what)
{
	printf("%s %lu: %s\n", when, count, what);
	return DIFFERENT;
}

static int step_on(struct side *side, struct agree *agree, const struct options *options, unsigned long *steps)
{
	struct hs_error err = { 0 };

	for (unsigned long i = 0; i < options->steps && !side->ended; i++) {
		++*steps;
		if (side_step(side, &err)) {
			return report("step", *steps, err.message);
		}
		if ((i % COMPARE_EVERY == COMPARE_EVERY - 1 || side->ended) && !agree_everywhere(agree, side)) {
			return report("step", *steps, agree->difference);
		}
	}
	return EQUAL;
}

static int run(struct side *side, const struct options *options)
{
	struct agree agree = { .spoil = options->spoil, .random = 1 };
	unsigned long exits = 0;
	unsigned long steps = 0;
	struct hs_error err = { 0 };
	struct hs_exit exit;
	int result;

	if (!agree_everywhere(&agree, side)) {
		return report("exit", 0, agree.difference);
	}
	result = step_on(side, &agree, options, &steps);
	while (result == EQUAL && exits < options->exits && !side->ended) {
		exits++;
		if (side_run_to_exit(side, &exit, &err)) {
			return report("exit", exits, err.message);
		}
		if (!agree_everywhere(&agree, side)) {
			return report("exit", exits, agree.difference);
		}
		result = step_on(side, &agree, options, &steps);
	}
	if (result == EQUAL) {
		printf("%" PRIu64 " addresses agree, %" PRIu64 " of them mapped, at %lu exits and %lu steps%s\n",
		       agree.asked, agree.mapped, exits, steps, side->ended ? ", to the end" : "");
	}
	return result;
}

static int usage(void)
{
	fprintf(stderr, "usage: live [--exits N] [--steps N] [--spoil N] kvm|soft GUEST.elf [ARGUMENT...]\n");
	return WRONG_USE;
}

static bool parse(struct options *options, int argc, char **argv)
{
	int at = 1;

	for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
		unsigned long number = strtoul(argv[at + 1], NULL, 10);

		if (strcmp(argv[at], "--exits") == 0) {
			options->exits = number;
		} else if (strcmp(argv[at], "--steps") == 0) {
			options->steps = number;
		} else if (strcmp(argv[at], "--spoil") == 0) {
			options->spoil = number;
		} else {
			return false;
		}
	}
	if (argc - at < 2) {
		return false;
	}
	options->config.backend = strcmp(argv[at], "kvm") == 0 ? HS_BACKEND_KVM : HS_BACKEND_SOFT;
	options->image = argv[at + 1];
	options->config.args = (const char *const *)&argv[at + 1];
	options->config.args_count = (size_t)(argc - at - 1);
	return true;
}

int main(int argc, char **argv)
{
	static struct side side;
	struct options options = { .exits = 20, .steps = 60 };
	struct hs_error err = { 0 };
	int result = MISSING;

	if (!parse(&options, argc, argv)) {
		return usage();
	}
	if (side_init(&side, options.image, &options.config, &err)) {
		printf("%s\n", err.message);
	} else {
		result = run(&side, &options);
	}
	side_deinit(&side);
	return result;
}
