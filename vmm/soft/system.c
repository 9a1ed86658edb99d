/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * System instructions that move no data: hlt, cli, sti, clac, stac, caches, invlpg. What this CPU does not offer
 * (monitor, mwait, VMX, SVM, rsm, invpcid) has no handler and is #UD so.
 */
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

static enum hs_soft_flow execute_hlt(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	if (cpu->cpl != 0) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	hs_soft_leave(cpu, HS_EXIT_HLT);
	cpu->exit.insn_rip = cpu->r[HS_SOFT_RIP];
	cpu->exit.insn_rip_known = true;
	cpu->r[HS_SOFT_RIP] = hs_soft_next_rip(cpu, op);
	return HS_SOFT_EXIT;
}

static bool may_change_if(struct hs_soft_cpu *cpu)
{
	bool may = cpu->cpl <= (cpu->rflags & HS_FLAG_IOPL) >> 12;

	if (!may) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	return may;
}

static enum hs_soft_flow execute_cli(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	if (!may_change_if(cpu)) {
		return HS_SOFT_FAULT;
	}
	cpu->rflags &= ~(uint64_t)HS_FLAG_IF;
	return HS_SOFT_NEXT;
}

/* Its shadow holds back interrupts, of which there are none, and no traps (SDM vol. 2B, STI; vol. 3A 6.8.1). */
static enum hs_soft_flow execute_sti(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	if (!may_change_if(cpu)) {
		return HS_SOFT_FAULT;
	}
	cpu->rflags |= HS_FLAG_IF;
	return HS_SOFT_NEXT;
}

/* clac and stac: op->aux is the AC to be. */
static enum hs_soft_flow execute_ac(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	if (cpu->cpl != 0) {
		return hs_soft_raise(cpu, HS_VECTOR_UD, 0);
	}
	cpu->rflags = (cpu->rflags & ~(uint64_t)HS_FLAG_AC) | op->aux;
	hs_soft_refresh(cpu);
	return HS_SOFT_NEXT;
}

/* invd, wbinvd (to Zydis 4.0 also wbnoinvd): there are no caches. */
static enum hs_soft_flow execute_cache(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	return cpu->cpl != 0 ? hs_soft_raise(cpu, HS_VECTOR_GP, 0) : HS_SOFT_NEXT;
}

/* Checked as a load of a byte (SDM vol. 2A, CLFLUSH). */
static enum hs_soft_flow execute_cache_line(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	return hs_soft_load(cpu, op->segment, hs_soft_ea(cpu, op), 1, &value) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

static enum hs_soft_flow execute_invlpg(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	if (cpu->cpl != 0) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	hs_soft_flush_page(cpu, hs_soft_gva(cpu, op->segment, hs_soft_ea(cpu, op)));
	return HS_SOFT_NEXT;
}

bool hs_soft_select_system(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_HLT:
		op->execute = execute_hlt;
		return true;
	case ZYDIS_MNEMONIC_CLI:
		op->execute = execute_cli;
		return true;
	case ZYDIS_MNEMONIC_STI:
		op->execute = execute_sti;
		return true;
	case ZYDIS_MNEMONIC_CLAC:
		op->execute = execute_ac;
		op->aux = 0;
		return true;
	case ZYDIS_MNEMONIC_STAC:
		op->execute = execute_ac;
		op->aux = HS_FLAG_AC;
		return true;
	case ZYDIS_MNEMONIC_INVD:
	case ZYDIS_MNEMONIC_WBINVD:
		op->execute = execute_cache;
		return true;
	case ZYDIS_MNEMONIC_CLFLUSH:
	case ZYDIS_MNEMONIC_CLFLUSHOPT:
	case ZYDIS_MNEMONIC_CLWB:
		op->execute = execute_cache_line;
		return true;
	case ZYDIS_MNEMONIC_INVLPG:
		op->execute = execute_invlpg;
		return true;
	default:
		return false;
	}
}
