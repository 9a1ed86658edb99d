/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where one step will end, found out before it: of most instructions that is certain, and then it can be run up to
 * there, for which KVM need not be told anything; of the others it may be a handler of the guest's.
 */
#ifndef HS_VMM_STEP_PLAN_H
#define HS_VMM_STEP_PLAN_H

#include "vmm/insn.h"

#include <hindsight/cpu.h>
#include <hindsight/mem.h>

#include <stdbool.h>
#include <stddef.h>

/** A conditional branch has two ends. */
#define HS_STEP_ENDS_MAX 2

/**
 * Where the CPU stands behind an instruction of ring 0, if it is certain that it takes no exception and does not touch
 * what is there. The guest's own breakpoints and its trap flag are not looked at.
 *
 * @param insn  as decoded where cpu stands, which must be in memory
 * @return how many of ret it may be; 0 when it is not certain
 */
size_t hs_step_ends(const struct hs_phys *phys, const struct hs_cpu_state *cpu, const struct hs_insn *insn,
		    hs_gva ret[HS_STEP_ENDS_MAX]);

/** Where an iret goes, as far as the stack tells. False for other instructions. */
bool hs_step_return(const struct hs_phys *phys, const struct hs_cpu_state *cpu, const struct hs_insn *insn,
		    hs_gva *ret);

/** Exceptions have this many vectors (SDM vol. 3A table 6-1). */
#define HS_STEP_HANDLERS_MAX 32u

/** Where the guest handles an exception: the offset in its gate. False when there is no interrupt or trap gate. */
bool hs_step_handler(const struct hs_phys *phys, const struct hs_cpu_state *cpu, unsigned int vector, hs_gva *ret);
/**
 * Of all exceptions that instructions make, but debug exceptions; a place of several comes several times, and one that
 * the instruction itself touches is left out: it would see what is planted there.
 *
 * @param insn  as decoded where cpu stands; length 0 when there is none
 * @return how many
 */
size_t hs_step_handlers(const struct hs_phys *phys, const struct hs_cpu_state *cpu, const struct hs_insn *insn,
			hs_gva ret[HS_STEP_HANDLERS_MAX]);

#endif
