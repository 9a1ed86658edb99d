/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arch/mode.h"

/* SDM vol. 3A 2.5 (CR0.PE), 2.2.1 (EFER.LMA) and 3.4.5 (CS.L). */
#define CR0_PE 1u
#define EFER_LMA (1u << 10)

enum hs_arch hs_mode_arch(const struct hs_cpu_state *cpu, enum hs_arch otherwise)
{
	if (!(cpu->cr0 & CR0_PE)) {
		return otherwise;
	}
	return (cpu->msr.efer & EFER_LMA) && cpu->seg[HS_CS].l ? HS_ARCH_AMD64 : HS_ARCH_I686;
}
