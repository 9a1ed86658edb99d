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
	bool takes_results;     /* rdtsc, rdtscp, rdpmc, rdrand, rdseed, cpuid: eax, ebx, ecx, edx, CF are the host's */
	bool repeats;           /* a rep prefix on a string instruction: how many rounds a step does is open */
	uint8_t length;         /* 0: it does not decode, so it faults */
	bool branches;          /* it may go elsewhere without an exception */
	bool may_take_the_next; /* KVM's step may take the next instruction too: it is armed by TF */
	char text[96];          /* the instruction, disassembled */
};

/** The rules of the instruction at the CPU's rip; all false where there is none to be decoded. */
void rules_of_insn(struct hs_vm *vm, const struct hs_cpu_state *cpu, struct rules_of_insn *ret);

/** Make equal in *soft what may differ from *kvm whatever the instruction was. */
void rules_of_state(const struct hs_cpu_state *kvm, struct hs_cpu_state *soft);

/**
 * Whether two words of memory are the flags that an exception has pushed, and differ in RF or TF alone: QEMU's
 * translator does not set RF in them, where the SDM (vol. 3B 17.3.1.1) and hardware do; and a KVM that steps by TF has
 * it set.
 */
bool rules_are_pushed_flags(uint32_t kvm, uint32_t soft);

/**
 * Whether a difference of eight bytes of memory is the SS of an exception frame: QEMU's translator loads a null SS when
 * a gate has an IST, where the SDM (vol. 3A 6.14.4) does so only with a new privilege level. It shows when that handler
 * is interrupted in its turn. There are 24 bytes of the frame before.
 */
bool rules_is_pushed_ss(const uint8_t *kvm, const uint8_t *soft);

/** Take over into *soft what the instruction leaves open. True when that changes anything. */
bool rules_take_over(const struct rules_of_insn *rules, const struct hs_cpu_state *kvm, struct hs_cpu_state *soft);

#endif
