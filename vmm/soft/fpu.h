/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The x87, SSE and AVX state: it lies in cpu->xsave in the standard format, always valid (all zeroes where XSTATE_BV
 * says that a component is not in use) and marked as in use when changed. Of the rest of cpu->xsave nothing is known
 * here, so that no instruction changes it.
 */
#ifndef HS_SOFT_FPU_H
#define HS_SOFT_FPU_H

#include "vmm/soft/cpu.h"

#include "arch/exception.h"

#include <string.h>

/** What XCR0 must have set for AVX. */
#define HS_SOFT_AVX_STATE 6u

/** Bytes of the SSE component, all XMM registers, and of AVX, the upper halves of all YMM registers. */
#define HS_SOFT_REGISTERS_BYTES 256u

/** Bits of MXCSR that exist, without AMD's for misaligned operands; the others raise #GP (SDM vol. 1 10.2.3). */
#define HS_SOFT_MXCSR_MASK 0xffffu

static inline uint8_t *hs_soft_xmm(struct hs_soft_cpu *cpu, unsigned int reg)
{
	return cpu->xsave + HS_XSAVE_XMM0 + (size_t)reg * 16;
}

/** The upper half of a YMM register, whose lower half is the XMM register. */
static inline uint8_t *hs_soft_ymm_high(struct hs_soft_cpu *cpu, unsigned int reg)
{
	return cpu->xsave + HS_XSAVE_YMMH0 + (size_t)reg * 16;
}

static inline void hs_soft_mark_component(struct hs_soft_cpu *cpu, enum hs_soft_component component)
{
	cpu->xsave[HS_XSAVE_XSTATE_BV] |= (uint8_t)component;
	cpu->xsave_changed |= (uint8_t)component;
}

/** The x87 FPU's part of an image of fxsave or xsave, the first HS_XSAVE_XMM0 bytes but for MXCSR: with offsets of 64
 *  bits, or of 32 beside selectors. fpu_state.c has them. */
void hs_soft_get_x87_image(struct hs_soft_cpu *cpu, bool wide, uint8_t *ret);
void hs_soft_put_x87_image(struct hs_soft_cpu *cpu, bool wide, const uint8_t *image);

/**
 * After cpu->xsave was set from outside: what x87 and SSE have counts there whatever XSTATE_BV says (arch/regs.h), what
 * AVX has that is not in use means nothing. Of these components, AVX's alone is looked at only when it is among them.
 * (xsave.c)
 */
void hs_soft_settle_components(struct hs_soft_cpu *cpu, unsigned int components);

/** Whether SSE instructions may be executed now: else #UD or #NM is raised (SDM vol. 3A 13.1.4, table 13-1). */
static inline bool hs_soft_sse_usable(struct hs_soft_cpu *cpu)
{
	if ((cpu->cr0 & HS_CR0_EM) || !(cpu->cr4 & HS_CR4_OSFXSR)) {
		hs_soft_raise(cpu, HS_VECTOR_UD, 0);
		return false;
	}
	if (cpu->cr0 & HS_CR0_TS) {
		hs_soft_raise(cpu, HS_VECTOR_NM, 0);
		return false;
	}
	return true;
}

/** Whether VEX-encoded vector instructions may be executed now: else #UD or #NM is raised (SDM vol. 1 14.3). */
static inline bool hs_soft_avx_usable(struct hs_soft_cpu *cpu)
{
	if (!(cpu->cr4 & HS_CR4_OSXSAVE) || (cpu->xcr0 & HS_SOFT_AVX_STATE) != HS_SOFT_AVX_STATE) {
		hs_soft_raise(cpu, HS_VECTOR_UD, 0);
		return false;
	}
	if (cpu->cr0 & HS_CR0_TS) {
		hs_soft_raise(cpu, HS_VECTOR_NM, 0);
		return false;
	}
	return true;
}

#endif
