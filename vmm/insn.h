/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What one guest instruction is: its length, its text, and the memory it is about to touch. Decoding is Zydis's; the
 * addresses are computed from the registers before it executes. Used where KVM has no watchpoint to offer, to find the
 * instruction behind an exit, and to show it to a person.
 */
#ifndef HS_VMM_INSN_H
#define HS_VMM_INSN_H

#include <hindsight/cpu.h>
#include <hindsight/error.h>
#include <hindsight/mem.h>
#include <hindsight/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Longest x86 instruction (SDM vol. 2A 2.3.11). */
#define HS_INSN_BYTES_MAX 15

/** One memory operand, explicit or implied. */
struct hs_insn_access {
	uint64_t address; /* linear, of the first element that is accessed */
	uint32_t bytes;   /* of one element */
	bool read, write;
};

#define HS_INSN_ACCESSES_MAX 4

struct hs_insn {
	uint8_t length;
	bool repeats;      /* a string instruction with a rep prefix: each iteration advances by one element */
	bool branches;     /* it may go elsewhere than to the next instruction without an exception */
	bool target_known; /* of branches: to target, rather than to what lies in memory */
	uint64_t target;
	bool is_conditional; /* of branches: it may go to the next instruction as well */
	bool is_plain;       /* in ring 0 it takes no exception but those of its accesses (insn_plain.h) */
	bool is_untrapped;   /* sti and pause: QEMU's translator takes no trap behind them (docs/hosts.md) */
	bool is_pushf, is_popf;
	bool is_syscall, is_sysret;
	uint8_t iret_bytes;      /* of an iret: each word that it pops; 0 of any other */
	bool is_out;             /* out or outs */
	uint16_t port;           /* of is_out: the immediate or DX */
	uint8_t port_bytes;      /* of is_out */
	bool moves_si, moves_di; /* a string instruction: by string_bytes an iteration, as RFLAGS.DF says */
	uint8_t string_bytes;
	uint8_t push_bytes; /* by which it moves the stack pointer down */
	size_t access_count;
	struct hs_insn_access accesses[HS_INSN_ACCESSES_MAX];
};

/**
 * Decode the instruction at gva. HS_ERR_UNREADABLE when nothing is there, HS_ERR_FORMAT when it is not an instruction.
 */
HS_MUST_CHECK enum hs_status hs_insn_decode(const struct hs_phys *phys, const struct hs_cpu_state *cpu, hs_gva gva,
					    struct hs_insn *ret, struct hs_error *err);

/** The instruction at gva in Intel syntax, NUL-terminated; "(bad)" and "(unreadable)" where there is none. */
void hs_insn_text(const struct hs_phys *phys, const struct hs_cpu_state *cpu, hs_gva gva, char *ret, size_t size);

/**
 * The instruction set of a vector or x87 instruction at gva ("SSE2", "AVX", "x87"), static; NULL for any other
 * instruction, and where there is none.
 *
 * @param ret_set the same as hs_backend_ops.executes takes it
 */
const char *hs_insn_vector_set(const struct hs_phys *phys, const struct hs_cpu_state *cpu, hs_gva gva,
			       unsigned int *ret_set);

/**
 * The general registers before an instruction, from those after it, as far as it has moved the stack pointer or, by
 * one iteration, the pointers of a string instruction.
 */
void hs_insn_undo(const struct hs_insn *insn, struct hs_cpu_state *cpu);

/**
 * The instruction that ends right before gva and satisfies wanted(): for exits that come after the instruction.
 *
 * x86 code cannot be read backwards; but decoded forwards from anywhere it soon falls into step with the real
 * instructions. So of several candidates, that one is taken which most starts before it lead to.
 *
 * @param cpu     the registers after it
 * @param wanted  is given each candidate, as decoded with the registers before it (hs_insn_undo())
 * @param ret     the registers before it, rip included; filled only on success
 * @return false when there is none
 */
bool hs_insn_before(const struct hs_phys *phys, const struct hs_cpu_state *cpu, hs_gva gva,
		    bool (*wanted)(void *ctx, const struct hs_insn *insn), void *ctx, struct hs_cpu_state *ret);

#endif
