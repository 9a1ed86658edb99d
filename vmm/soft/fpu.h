/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The x87, SSE and AVX state: it lies in cpu->xsave in the standard format, always valid (all zeroes where XSTATE_BV
 * says that a component is not in use) and marked as in use when changed. Of the rest of cpu->xsave nothing is known
 * here, so that no instruction changes it.
 */
#ifndef HS_SOFT_FPU_H
#define HS_SOFT_FPU_H

#include "vmm/soft/cpu.h"

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

/* ---- Gates: whether instructions may be executed now (SDM vol. 3A table 13-1, vol. 1 14.3) ---- */

/** Raise what one does that may not: as long as its set is not enabled #UD, else, by CR0.TS, #NM. False. The others
 *  find out whether theirs is. (fpu_state.c) */
bool hs_soft_fpu_refuse(struct hs_soft_cpu *cpu, bool enabled);
bool hs_soft_sse_refuse(struct hs_soft_cpu *cpu);
bool hs_soft_avx_refuse(struct hs_soft_cpu *cpu);

/** MMX, fxsave and fxrstor: else #UD or #NM is raised. */
static inline bool hs_soft_fx_usable(struct hs_soft_cpu *cpu)
{
	return !(cpu->cr0 & (HS_CR0_EM | HS_CR0_TS)) || hs_soft_fpu_refuse(cpu, !(cpu->cr0 & HS_CR0_EM));
}

/** SSE; raises nothing. */
static inline bool hs_soft_sse_ready(const struct hs_soft_cpu *cpu)
{
	return HS_SOFT_LIKELY(!(cpu->cr0 & (HS_CR0_EM | HS_CR0_TS)) && (cpu->cr4 & HS_CR4_OSFXSR));
}

/** SSE: else #UD or #NM is raised. */
static inline bool hs_soft_sse_usable(struct hs_soft_cpu *cpu)
{
	return hs_soft_sse_ready(cpu) || hs_soft_sse_refuse(cpu);
}

static inline bool hs_soft_avx_enabled(const struct hs_soft_cpu *cpu)
{
	return (cpu->cr4 & HS_CR4_OSXSAVE) && (cpu->xcr0 & HS_SOFT_AVX_STATE) == HS_SOFT_AVX_STATE;
}

/** Vector instructions with VEX; raises nothing. */
static inline bool hs_soft_avx_ready(const struct hs_soft_cpu *cpu)
{
	return HS_SOFT_LIKELY(hs_soft_avx_enabled(cpu) && !(cpu->cr0 & HS_CR0_TS));
}

/** Vector instructions with VEX: else #UD or #NM is raised. */
static inline bool hs_soft_avx_usable(struct hs_soft_cpu *cpu)
{
	return hs_soft_avx_ready(cpu) || hs_soft_avx_refuse(cpu);
}

#endif
