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

/** Put a value into the host's register, which must not hold the guest's MXCSR. Returns what was there. */
uint32_t hs_soft_mxcsr_swap(uint32_t value);

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

/** Whether instructions that compute may run as they are. Else each has to see to its exceptions itself. */
static inline bool hs_soft_mxcsr_ready(struct hs_soft_cpu *cpu)
{
	return HS_SOFT_LIKELY(cpu->mxcsr_lent) || hs_soft_mxcsr_lend(cpu);
}

#endif
