/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which address space a CPU is on: its control registers to a root. */
#include <hindsight/cpu.h>
#include <hindsight/paging.h>

#include "paging/format.h"

/* SDM vol. 3A 2.5 (control registers) and 2.2.1 (IA32_EFER). */
#define CR0_WP (UINT64_C(1) << 16)
#define CR0_PG (UINT64_C(1) << 31)
#define CR4_PSE (UINT64_C(1) << 4)
#define CR4_PAE (UINT64_C(1) << 5)
#define CR4_LA57 (UINT64_C(1) << 12)
#define EFER_LME (UINT64_C(1) << 8)
#define EFER_NXE (UINT64_C(1) << 11)

/* SDM vol. 3A 4.1.1, "Four Paging Modes". */
static enum hs_paging_format format_of_cpu(const struct hs_cpu_state *cpu)
{
	if (!(cpu->cr0 & CR0_PG)) {
		return HS_PAGING_NONE;
	}
	if (!(cpu->cr4 & CR4_PAE)) {
		return HS_PAGING_32BIT;
	}
	if (!(cpu->msr.efer & EFER_LME)) {
		return HS_PAGING_PAE;
	}
	return cpu->cr4 & CR4_LA57 ? HS_PAGING_5LEVEL : HS_PAGING_4LEVEL;
}

void hs_root_of_cpu(const struct hs_cpu_state *cpu, struct hs_root *ret)
{
	enum hs_paging_format format = format_of_cpu(cpu);

	*ret = (struct hs_root){
		.format = format,
		.base = hs_gpa_of(cpu->cr3 & hs_format_of(format)->root_address),
		.pse = cpu->cr4 & CR4_PSE,
		.nxe = cpu->msr.efer & EFER_NXE,
		.wp = cpu->cr0 & CR0_WP,
	};
}
