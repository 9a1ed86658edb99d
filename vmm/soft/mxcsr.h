/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * MXCSR. While the CPU runs, the host's register may hold the guest's: from the first instruction that computes with it
 * to the end of the run, or until it changes. Flags gather there, because to read them behind each instruction costs
 * more than the instruction (stmxcsr: 5 ns on an AMD EPYC of family 26). That is done only with all exceptions masked,
 * so that none ever reaches the host.
 */
#ifndef HS_SOFT_MXCSR_H
#define HS_SOFT_MXCSR_H

#include "vmm/soft/fpu.h"

#define HS_SOFT_MXCSR_FLAGS 0x3fu
#define HS_SOFT_MXCSR_MASKS 0x1f80u
#define HS_SOFT_MXCSR_MASKS_AT 7
#define HS_SOFT_MXCSR_FTZ 0x8000u
/** Of the flags, and of the masks. */
#define HS_SOFT_MXCSR_INVALID 1u
#define HS_SOFT_MXCSR_DENORMAL 2u
#define HS_SOFT_MXCSR_ZERO_DIVIDE 4u
#define HS_SOFT_MXCSR_OVERFLOW 8u
#define HS_SOFT_MXCSR_UNDERFLOW 16u
#define HS_SOFT_MXCSR_PRECISION 32u

/** The guest's MXCSR, which is not part of what XSTATE_BV says of SSE (SDM vol. 1 13.6). While the CPU runs nobody
 *  reads it from cpu->xsave, or writes it there. */
uint32_t hs_soft_mxcsr_get(const struct hs_soft_cpu *cpu);
void hs_soft_mxcsr_put(struct hs_soft_cpu *cpu, uint32_t value);

/** Put it into the host's register. False: it has an exception that is not masked, and was not. */
bool hs_soft_mxcsr_lend(struct hs_soft_cpu *cpu);
void hs_soft_mxcsr_take_back(struct hs_soft_cpu *cpu);

/** At the end of a run, and before the host computes. */
static inline void hs_soft_mxcsr_return(struct hs_soft_cpu *cpu)
{
	if (cpu->mxcsr_lent) {
		hs_soft_mxcsr_take_back(cpu);
	}
}

/** Whether instructions that compute may run as they are. Else each has to see to its exceptions itself: it computes
 *  between begin and end, for nobody to see yet, and then it meets what it has found. */
static inline bool hs_soft_mxcsr_ready(struct hs_soft_cpu *cpu)
{
	return HS_SOFT_LIKELY(cpu->mxcsr_lent) || hs_soft_mxcsr_lend(cpu);
}

/** Let the host compute under this control word, but with all exceptions masked. Returns what it had, for the end. */
uint32_t hs_soft_mxcsr_begin_masked(uint32_t control);
/** Returns the flags of the exceptions since. */
uint32_t hs_soft_mxcsr_end_masked(uint32_t host);

/** Set the guest's flags. False: one of these exceptions is not masked, and #XM or #UD is raised. */
bool hs_soft_mxcsr_meet(struct hs_soft_cpu *cpu, uint32_t flags);

/** Of HS_SOFT_MXCSR_FLAGS those that are not masked. */
static inline uint32_t hs_soft_mxcsr_unmasked(uint32_t control)
{
	return ~(control >> HS_SOFT_MXCSR_MASKS_AT) & HS_SOFT_MXCSR_FLAGS;
}

#endif
