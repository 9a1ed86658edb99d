/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * MMX registers. Register n is the significand of the x87 register n, by physical number; an instruction on them leaves
 * the x87 state with TOP 0 and every register valid, and the exponent of the one that it writes all ones (SDM vol. 1
 * 9.5.1). All of it works on the parked state.
 */
#ifndef HS_SOFT_MMX_H
#define HS_SOFT_MMX_H

#include "vmm/soft/cpu.h"

/** Whether MMX instructions may be executed now: else #UD, #NM or #MF is raised. The state is parked. */
bool hs_soft_mmx_usable(struct hs_soft_cpu *cpu);

/** What an MMX instruction does to the x87 state; before it reads or writes a register, when nothing can fault any
 *  more. */
void hs_soft_mmx_enter(struct hs_soft_cpu *cpu);

static inline uint8_t *hs_soft_mm(struct hs_soft_cpu *cpu, unsigned int reg)
{
	return cpu->xsave + HS_XSAVE_ST0 + (size_t)reg * 16;
}

/** The value of one, without entering. */
uint64_t hs_soft_mmx_read(const struct hs_soft_cpu *cpu, unsigned int reg);
void hs_soft_mmx_write(struct hs_soft_cpu *cpu, unsigned int reg, uint64_t value);

#endif
