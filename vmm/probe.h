/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What this host does, found out by running tiny guests: KVM is not one thing (docs/hosts.md), and a capability flag
 * does not tell whether a breakpoint fires. Nothing else may assume more than is recorded here.
 */
#ifndef HS_VMM_PROBE_H
#define HS_VMM_PROBE_H

#include <hindsight/error.h>
#include <hindsight/types.h>

#include <stdbool.h>
#include <stdint.h>

/** The answer to a yes-or-no question. */
enum hs_answer { HS_ANSWER_UNKNOWN, HS_ANSWER_NO, HS_ANSWER_YES };

/** What becomes of an int3 at CPL 0 when a debugger asked KVM to report it. */
enum hs_int3_fate {
	HS_INT3_UNKNOWN,
	HS_INT3_DEBUG_EXIT,        /* reported as it should be */
	HS_INT3_EMULATION_FAILURE, /* an internal error with rip at the int3; resumable */
	HS_INT3_GUEST,             /* goes to the guest's IDT as if nobody had asked */
};

/** All that is known. Plain data. */
struct hs_probe {
	bool kvm_usable;           /* /dev/kvm opens and answers */
	struct hs_error kvm_error; /* why not, when it is not */
	char kvm_module[32];       /* "kvm_amd", "kvm_intel", "kvm_pvm", "" when none is listed */
	enum hs_answer hardware;   /* the processor has VMX or SVM: without, KVM has other ways, and they are slow */
	enum hs_answer paging_amd64, paging_32bit, paging_pae;
	enum hs_int3_fate int3;
	enum hs_answer hlt_exits;        /* hlt at CPL 0 is an exit with rip behind it */
	enum hs_answer hardware_execute; /* an execute breakpoint in a debug register fires */
	enum hs_answer hardware_data;    /* a data watchpoint in a debug register fires */
	enum hs_answer single_step;
	enum hs_answer step_of_fault; /* a single step of an instruction that faults ends in the guest's handler */
	enum hs_answer keeps_state_at_shutdown; /* the registers after a triple fault are those of the fault */
	enum hs_answer sync_regs, xsave, xcrs, debug_registers, read_only_memory, dirty_log, msr_filter;
	enum hs_answer vectors; /* an SSE2 instruction that is no move is executed at CPL 0 */
	/* The software CPU executes SSE2, and AVX2: instructions that it hands to the host's. */
	enum hs_answer soft_vectors, soft_avx2;
	/* At CPL 0, of a loop of dec and jnz, on KVM and on the software CPU; 0: unknown, 0.1: too quick to tell. */
	double ns_per_instruction, soft_ns_per_instruction;
};

/**
 * Probe, the first time in a process; later calls return the same. A host without KVM is an answer, not an error.
 * Thread-safe. Takes a few milliseconds.
 */
void hs_probe(struct hs_probe *ret);

/**
 * Only what decides what is good for guests of arch: whether KVM is usable and the processor's own and, when it is,
 * their paging, vectors, both speeds; the rest is unknown. Takes one or two milliseconds with a KVM of the processor's,
 * the first time in a process, and a tenth without.
 */
void hs_probe_arch(enum hs_arch arch, struct hs_probe *ret);

#endif
