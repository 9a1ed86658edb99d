/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * KVM as an oracle for the software CPU: one guest on both.
 *
 *   lockstep [--steps N] [--exits N] [--spoil N] [--spoil-vector N] GUEST.elf [ARGUMENT...]
 *
 * First from exit to exit to the end, or for so many exits (default 10,000), with registers, memory and output compared
 * at each; then again for so many single steps (default 10,000), with registers compared at each and memory at every
 * 500th and at the end. 0 of either leaves that out. The first difference is reported with the instruction. --spoil
 * changes rbp of the software CPU before that step, --spoil-vector xmm7: a comparison that works reports it.
 *
 * Ends with 0 when all is equal, 1 when not, 77 with the reason where KVM does not run the guest, 2 for wrong use.
 */
#include "pair.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EQUAL = 0, DIFFERENT = 1, WRONG_USE = 2, MISSING = 77 };

#define MEMORY_EVERY 500

struct options {
	unsigned long steps, exits, spoil, spoil_vector;
	const char *image;
	const char *const *args; /* the image's name first */
	size_t args_count;
};

static int report(struct pair *pair, const char *when, unsigned long count)
{
	struct rules_of_insn rules;

	printf("%s %lu: %s\n", when, count, pair->difference);
	rules_of_insn(pair->kvm.vm, &pair->kvm.cpu, &rules);
	printf("  KVM is at 0x%llx: %s\n", (unsigned long long)pair->kvm.cpu.rip, rules.text);
	rules_of_insn(pair->soft.vm, &pair->soft.cpu, &rules);
	printf("  the software CPU is at 0x%llx: %s\n", (unsigned long long)pair->soft.cpu.rip, rules.text);
	if (pair->kvm.ended && pair->kvm.event.kind == HS_EVENT_CRASHED) {
		printf("  KVM: %s\n", pair->kvm.event.crash.text);
	}
	if (pair->soft.ended && pair->soft.event.kind == HS_EVENT_CRASHED) {
		printf("  the software CPU: %s\n", pair->soft.event.crash.text);
	}
	return DIFFERENT;
}

static int by_exits(struct pair *pair, const struct options *options)
{
	unsigned long most = options->exits;
	unsigned long count = 0;

	while (count < most && !pair->kvm.ended) {
		count++;
		if (!pair_run_to_exit(pair)) {
			return report(pair, "exit", count);
		}
		if (pair->kvm.event.kind == HS_EVENT_CRASHED && pair->kvm.event.crash.registers_lost) {
			break;
		}
		if (!pair_compare_registers(pair) || !pair_compare_memory(pair) || !pair_compare_ends(pair)) {
			return report(pair, "exit", count);
		}
	}
	if (!pair_compare_ends(pair)) {
		return report(pair, "exit", count);
	}
	printf("%lu exits equal%s\n", count, pair->kvm.ended ? ", to the end" : "");
	return EQUAL;
}

/* The highest bit of rbp, or one of xmm7: no instruction of a few depends on it. */
static void spoil(struct pair *pair, bool vector)
{
	struct hs_cpu_state cpu = pair->soft.cpu;

	if (vector) {
		cpu.xsave[HS_XSAVE_XMM0 + 7 * 16 + 15] ^= 0x80;
		cpu.xsave[HS_XSAVE_XSTATE_BV] |= 1 << HS_XSTATE_SSE;
	} else {
		cpu.gpr[HS_RBP] ^= UINT64_C(1) << 31;
	}
	(void)!hs_vm_cpu_set(pair->soft.vm, &cpu, NULL);
}

static int by_steps(struct pair *pair, const struct options *options)
{
	unsigned long most = options->steps;
	unsigned long count = 0;
	char before[96] = "";

	while (count < most && !pair->kvm.ended) {
		struct rules_of_insn rules;
		bool equal;

		count++;
		rules_of_insn(pair->soft.vm, &pair->soft.cpu, &rules);
		memcpy(before, rules.text, sizeof(before));
		if (count == options->spoil || count == options->spoil_vector) {
			spoil(pair, count == options->spoil_vector);
		}
		equal = pair_step(pair);
		if (equal && (count % MEMORY_EVERY == 0 || count == most || pair->kvm.ended)) {
			equal = pair_compare_memory(pair) && pair_compare_ends(pair);
		}
		if (!equal && pair->kvm.ended && pair->kvm.event.kind == HS_EVENT_CRASHED &&
		    pair->kvm.event.crash.registers_lost) {
			break;
		}
		if (!equal) {
			printf("behind %s\n", before);
			return report(pair, "step", count);
		}
	}
	printf("%lu steps equal%s\n", count, pair->kvm.ended ? ", to the end" : "");
	return EQUAL;
}

/* One of the two ways, in VMs of its own. */
static int run(const struct options *options, int (*way)(struct pair *pair, const struct options *options))
{
	struct hs_error err = { 0 };
	struct pair *pair;
	int result = MISSING;

	pair = aligned_alloc(64, (sizeof(*pair) + 63) & ~(size_t)63);
	if (!pair) {
		perror("lockstep");
		return WRONG_USE;
	}
	memset(pair, 0, sizeof(*pair));
	if (pair_init(pair, options->image, options->args, options->args_count, &err)) {
		printf("%s\n", err.message);
	} else if (!pair_compare_registers(pair) || !pair_compare_memory(pair)) {
		result = report(pair, "before instruction", 1);
	} else {
		result = way(pair, options);
	}
	pair_deinit(pair);
	free(pair);
	return result;
}

static int usage(void)
{
	fprintf(stderr, "usage: lockstep [--steps N] [--exits N] [--spoil N] [--spoil-vector N] GUEST.elf "
			"[ARGUMENT...]\n");
	return WRONG_USE;
}

int main(int argc, char **argv)
{
	struct options options = { .steps = 10000, .exits = 10000 };
	int at = 1;
	int result;

	for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2) {
		unsigned long number = strtoul(argv[at + 1], NULL, 10);

		if (strcmp(argv[at], "--steps") == 0) {
			options.steps = number;
		} else if (strcmp(argv[at], "--exits") == 0) {
			options.exits = number;
		} else if (strcmp(argv[at], "--spoil") == 0) {
			options.spoil = number;
		} else if (strcmp(argv[at], "--spoil-vector") == 0) {
			options.spoil_vector = number;
		} else {
			return usage();
		}
	}
	if (at >= argc) {
		return usage();
	}
	options.image = argv[at];
	options.args = (const char *const *)&argv[at];
	options.args_count = (size_t)(argc - at);
	result = options.exits ? run(&options, by_exits) : EQUAL;
	return result || !options.steps ? result : run(&options, by_steps);
}
