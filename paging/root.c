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
#define CR4_SMEP (UINT64_C(1) << 20)
#define CR4_SMAP (UINT64_C(1) << 21)
#define EFER_LME (UINT64_C(1) << 8)
#define EFER_NXE (UINT64_C(1) << 11)

/* SDM vol. 3A 4.1.1, "Four Paging Modes". */
static enum hs_paging_format format_of(const struct hs_paging_registers *registers)
{
	if (!(registers->cr0 & CR0_PG)) {
		return HS_PAGING_NONE;
	}
	if (!(registers->cr4 & CR4_PAE)) {
		return HS_PAGING_32BIT;
	}
	if (!(registers->efer & EFER_LME)) {
		return HS_PAGING_PAE;
	}
	return registers->cr4 & CR4_LA57 ? HS_PAGING_5LEVEL : HS_PAGING_4LEVEL;
}

void hs_root_of_registers(const struct hs_paging_registers *registers, struct hs_root *ret)
{
	enum hs_paging_format format = format_of(registers);

	*ret = (struct hs_root){
		.format = format,
		.base = hs_gpa_of(registers->cr3 & hs_format_of(format)->root_address),
		.pse = registers->cr4 & CR4_PSE,
		.nxe = registers->efer & EFER_NXE,
		.wp = registers->cr0 & CR0_WP,
		.smep = registers->cr4 & CR4_SMEP,
		.smap = registers->cr4 & CR4_SMAP,
	};
}

void hs_root_of_cpu(const struct hs_cpu_state *cpu, struct hs_root *ret)
{
	const struct hs_paging_registers registers = {
		.cr0 = cpu->cr0,
		.cr3 = cpu->cr3,
		.cr4 = cpu->cr4,
		.efer = cpu->msr.efer,
	};

	hs_root_of_registers(&registers, ret);
}
