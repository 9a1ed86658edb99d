/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/soft/mxcsr.h"

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

void hs_soft_mxcsr_take_back(struct hs_soft_cpu *cpu)
{
	write(cpu, hs_soft_mxcsr_swap(cpu->host_mxcsr));
	cpu->mxcsr_lent = false;
}

void hs_soft_mxcsr_put(struct hs_soft_cpu *cpu, uint32_t value)
{
	hs_soft_mxcsr_return(cpu);
	write(cpu, value);
}

uint32_t hs_soft_mxcsr_swap(uint32_t value)
{
	uint32_t before = _mm_getcsr();

	_mm_setcsr(value);
	return before;
}

bool hs_soft_mxcsr_lend(struct hs_soft_cpu *cpu)
{
	uint32_t value = hs_get_le32(cpu->xsave + HS_XSAVE_MXCSR);

	/* A bit that does not exist may have come with a file or from a debugger: the host would fault. */
	if ((value & HS_SOFT_MXCSR_MASKS) != HS_SOFT_MXCSR_MASKS || (value & ~HS_SOFT_MXCSR_MASK)) {
		return false;
	}
	cpu->host_mxcsr = hs_soft_mxcsr_swap(value);
	cpu->mxcsr_lent = true;
	return true;
}
