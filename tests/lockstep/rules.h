/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where two CPUs may differ and both be right. Each rule has its reason; whatever no rule speaks of must be equal.
 */
#ifndef HS_TESTS_LOCKSTEP_RULES_H
#define HS_TESTS_LOCKSTEP_RULES_H

#include <hindsight/cpu.h>
#include <hindsight/vm.h>

#include <stdbool.h>
#include <stdint.h>

/** What an instruction leaves open. */
struct rules_of_insn {
	uint64_t undefined_flags; /* SDM vol. 2: "undefined" after it */
	bool takes_results; /* rdtsc, rdtscp, rdpmc, rdrand, rdseed, cpuid: eax, ebx, ecx, edx, CF are the host's */
	bool repeats;       /* a rep prefix on a string instruction: how many rounds a step does is open */
	char text[96];      /* the instruction, disassembled */
};

/** The rules of the instruction at the CPU's rip; all false where there is none to be decoded. */
void rules_of_insn(struct hs_vm *vm, const struct hs_cpu_state *cpu, struct rules_of_insn *ret);

/** Make equal in *soft what may differ from *kvm whatever the instruction was. */
void rules_of_state(const struct hs_cpu_state *kvm, struct hs_cpu_state *soft);

/** Take over into *soft what the instruction leaves open. True when that changes anything. */
bool rules_take_over(const struct rules_of_insn *rules, const struct hs_cpu_state *kvm, struct hs_cpu_state *soft);

#endif
