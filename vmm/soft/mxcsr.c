/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/soft/mxcsr.h"

#include "arch/exception.h"

#include <xmmintrin.h>

uint32_t hs_soft_mxcsr_get(const struct hs_soft_cpu *cpu)
{
	return cpu->mxcsr_lent ? _mm_getcsr() : hs_get_le32(cpu->xsave + HS_XSAVE_MXCSR);
}

static void write(struct hs_soft_cpu *cpu, uint32_t value)
{
	hs_put_le32(cpu->xsave + HS_XSAVE_MXCSR, value);
	cpu->xsave_changed |= HS_SOFT_SSE;
}

/* Put a value into the host's register, which must not hold the guest's MXCSR. Returns what was there. */
static uint32_t swap(uint32_t value)
{
	uint32_t before = _mm_getcsr();

	_mm_setcsr(value);
	return before;
}

void hs_soft_mxcsr_take_back(struct hs_soft_cpu *cpu)
{
	write(cpu, swap(cpu->host_mxcsr));
	cpu->mxcsr_lent = false;
}

void hs_soft_mxcsr_put(struct hs_soft_cpu *cpu, uint32_t value)
{
	hs_soft_mxcsr_return(cpu);
	write(cpu, value);
}

bool hs_soft_mxcsr_lend(struct hs_soft_cpu *cpu)
{
	uint32_t value = hs_get_le32(cpu->xsave + HS_XSAVE_MXCSR);

	/* A bit that does not exist may have come with a file or from a debugger: the host would fault. */
	if ((value & HS_SOFT_MXCSR_MASKS) != HS_SOFT_MXCSR_MASKS || (value & ~HS_SOFT_MXCSR_MASK)) {
		return false;
	}
	cpu->host_mxcsr = swap(value);
	cpu->mxcsr_lent = true;
	return true;
}

uint32_t hs_soft_mxcsr_begin_masked(uint32_t control)
{
	return swap((control & HS_SOFT_MXCSR_MASK & ~HS_SOFT_MXCSR_FLAGS) | HS_SOFT_MXCSR_MASKS);
}

uint32_t hs_soft_mxcsr_end_masked(uint32_t host)
{
	return swap(host) & HS_SOFT_MXCSR_FLAGS;
}

/* Invalid, denormal and divide by zero are found before anything is computed, so that they come alone (SDM vol. 1
 * 11.5.2, 4.9.1). */
bool hs_soft_mxcsr_meet(struct hs_soft_cpu *cpu, uint32_t flags)
{
	const uint32_t before = HS_SOFT_MXCSR_INVALID | HS_SOFT_MXCSR_DENORMAL | HS_SOFT_MXCSR_ZERO_DIVIDE;
	uint32_t control = hs_soft_mxcsr_get(cpu);
	uint32_t unmasked = hs_soft_mxcsr_unmasked(control);

	if (flags & unmasked & before) {
		flags &= before;
	}
	hs_soft_mxcsr_put(cpu, control | flags);
	if (flags & unmasked) {
		hs_soft_raise(cpu, cpu->cr4 & HS_CR4_OSXMMEXCPT ? HS_VECTOR_XM : HS_VECTOR_UD, 0);
		return false;
	}
	return true;
}
