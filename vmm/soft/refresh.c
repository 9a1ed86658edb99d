/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What follows from control registers, segments, flags and the privilege level: worked out once, used by everything. */
#include "vmm/soft/cpu.h"

#include "vmm/descriptor.h"

#include <hindsight/types.h>

/* Bits of a jump's key that no canonical address has: 62:58 repeat bit 63. */
#define KEY_SHIFT 58

static enum hs_soft_mode mode_of(const struct hs_soft_cpu *cpu)
{
	if (cpu->long_mode && cpu->seg[HS_CS].l) {
		return HS_SOFT_MODE_64;
	}
	return cpu->seg[HS_CS].db ? HS_SOFT_MODE_32 : HS_SOFT_MODE_16;
}

/* Accesses that need no look at the segment: it spans everything, from 0. */
static uint8_t flat_accesses(const struct hs_segment *segment)
{
	bool code = segment->type & HS_DESCRIPTOR_CODE;

	if (segment->unusable || !segment->present || segment->limit != 0xffffffff ||
	    (!code && (segment->type & HS_DESCRIPTOR_EXPAND_DOWN))) {
		return 0;
	}
	if (code) {
		return segment->type & HS_DESCRIPTOR_WRITABLE ? HS_PROT_READ : 0;
	}
	return segment->type & HS_DESCRIPTOR_WRITABLE ? HS_PROT_READ | HS_PROT_WRITE : HS_PROT_READ;
}

static void refresh_segments(struct hs_soft_cpu *cpu)
{
	bool checks_alignment = cpu->cpl == 3 && (cpu->cr0 & HS_CR0_AM) && (cpu->rflags & HS_FLAG_AC);

	for (unsigned int i = 0; i < 6; i++) {
		const struct hs_segment *segment = &cpu->seg[i];

		if (cpu->mode == HS_SOFT_MODE_64) {
			cpu->seg_base[i] = i == HS_FS || i == HS_GS ? segment->base : 0;
			cpu->seg_flat[i] = HS_PROT_READ | HS_PROT_WRITE;
		} else {
			cpu->seg_base[i] = segment->base;
			cpu->seg_flat[i] = flat_accesses(segment);
		}
		if (checks_alignment) {
			cpu->seg_flat[i] = 0;
		}
	}
}

void hs_soft_refresh(struct hs_soft_cpu *cpu)
{
	bool limited;

	cpu->refreshes++;
	cpu->paging = cpu->cr0 & HS_CR0_PG;
	cpu->long_mode = cpu->paging && (cpu->msr.efer & HS_EFER_LME);
	cpu->mode = mode_of(cpu);
	cpu->linear_mask = cpu->mode == HS_SOFT_MODE_64 ? UINT64_MAX : 0xffffffff;
	cpu->stack_mask = cpu->mode == HS_SOFT_MODE_64 ? UINT64_MAX : cpu->seg[HS_SS].db ? 0xffffffff : 0xffff;
	if (cpu->cpl == 3) {
		cpu->space = HS_SOFT_USER;
	} else {
		cpu->space = (cpu->cr4 & HS_CR4_SMAP) && (cpu->rflags & HS_FLAG_AC) ? HS_SOFT_SUPERVISOR_AC
										    : HS_SOFT_SUPERVISOR;
	}
	refresh_segments(cpu);
	cpu->jump_key = (uint64_t)(cpu->mode << 1 | (cpu->cpl == 3)) << KEY_SHIFT;
	/* A segment that ends somewhere is looked at for each instruction. */
	limited = cpu->mode != HS_SOFT_MODE_64 && cpu->seg[HS_CS].limit != 0xffffffff;
	cpu->careful = limited || hs_soft_wants_care(cpu);
	hs_soft_attend(cpu, HS_SOFT_LOOK_UP);
}
