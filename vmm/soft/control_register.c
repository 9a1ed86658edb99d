/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Control and debug registers: mov to and from them, clts, lmsw, smsw. A guest may turn paging on and off and choose
 * its format itself; what it may not do is go back to real-address mode, which this CPU does not have.
 */
#include "vmm/soft/operand.h"
#include "vmm/soft/segment.h"
#include "vmm/soft/select.h"

#include "base/bytes.h"

#include <hindsight/mem.h>

/* SDM vol. 3A 2.5. The other low bits of CR0 are ignored when written. */
#define CR0_WRITABLE                                                                                                   \
	(HS_CR0_PE | HS_CR0_MP | HS_CR0_EM | HS_CR0_TS | HS_CR0_NE | HS_CR0_WP | HS_CR0_AM | HS_CR0_NW | HS_CR0_CD |   \
	 HS_CR0_PG)
#define CR0_OF_MSW (HS_CR0_PE | HS_CR0_MP | HS_CR0_EM | HS_CR0_TS)
/* Changing one of these loads the PDPTEs (SDM vol. 3A 4.4.1). */
#define CR4_LOADS_PDPTES (HS_CR4_PAE | HS_CR4_PGE | HS_CR4_PSE | HS_CR4_SMEP)
#define CR8_DEFINED 0xfu

#define PDPTES_BYTES 32u
#define PDPTE_PRESENT 1u
/* Bits 2:1 and 8:5, and above the physical address (SDM vol. 3A table 4-8). */
#define PDPTE_RESERVED (UINT64_C(0x1e6) | ~((UINT64_C(1) << HS_SOFT_PHYSICAL_BITS) - 1))

/* SDM vol. 3B 17.2.3, 17.2.4, figure 17-1: what software can change, and what reads as one. */
#define DR6_WRITABLE 0xe00fu
#define DR6_ONES 0xffff0ff0u
#define DR7_WRITABLE 0xffff23ffu
#define DR7_ONES 0x400u

static bool is_refused(struct hs_soft_cpu *cpu, bool refused)
{
	if (refused) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	return refused;
}

/* Whether the PDPTEs at cr3 can be loaded (SDM vol. 3A 4.4.1). They are read again when they are used. */
static bool can_load_pdptes(struct hs_soft_cpu *cpu, uint64_t cr3)
{
	struct hs_phys phys = hs_ram_phys(&cpu->ram);
	uint64_t base = cr3 & 0xffffffe0;
	uint8_t pdptes[PDPTES_BYTES];

	if (phys.ops->read(phys.ctx, hs_gpa_of(base), pdptes, sizeof(pdptes), NULL)) {
		hs_soft_leave(cpu, HS_EXIT_UNMAPPED);
		cpu->exit.gpa = base;
		cpu->exit.size = 8;
		cpu->exit.insn_rip = cpu->r[HS_SOFT_RIP];
		cpu->exit.insn_rip_known = true;
		return false;
	}
	for (unsigned int i = 0; i < PDPTES_BYTES; i += 8) {
		uint64_t pdpte = hs_get_le64(pdptes + i);

		if (is_refused(cpu, (pdpte & PDPTE_PRESENT) && (pdpte & PDPTE_RESERVED))) {
			return false;
		}
	}
	return true;
}

/* The checks of turning paging on and off (SDM vol. 3A 4.1.2, 9.8.5; vol. 2B, MOV to control registers). */
static bool can_change_paging(struct hs_soft_cpu *cpu, bool on)
{
	const struct hs_segment *tr = &cpu->seg[HS_TR];

	if (!on) {
		return !is_refused(cpu, cpu->mode == HS_SOFT_MODE_64);
	}
	if (cpu->msr.efer & HS_EFER_LME) {
		bool tss16 = !tr->unusable && tr->present && !(tr->type & HS_SOFT_TYPE_32);

		return !is_refused(cpu, !(cpu->cr4 & HS_CR4_PAE) || cpu->seg[HS_CS].l || tss16);
	}
	return !(cpu->cr4 & HS_CR4_PAE) || can_load_pdptes(cpu, cpu->cr3);
}

static enum hs_soft_flow write_cr0(struct hs_soft_cpu *cpu, uint64_t value)
{
	uint64_t cr0 = (value & CR0_WRITABLE) | HS_CR0_ET;
	uint64_t changed = cr0 ^ cpu->cr0;

	if (is_refused(cpu, value >> 32 || ((cr0 & HS_CR0_PG) && !(cr0 & HS_CR0_PE)) ||
				    ((cr0 & HS_CR0_NW) && !(cr0 & HS_CR0_CD)))) {
		return HS_SOFT_FAULT;
	}
	if ((changed & HS_CR0_PG) && !can_change_paging(cpu, cr0 & HS_CR0_PG)) {
		return HS_SOFT_FAULT;
	}
	if ((changed & HS_CR0_PE) && !(cr0 & HS_CR0_PE)) {
		hs_soft_leave(cpu, HS_EXIT_EMULATION); /* real-address mode */
		return HS_SOFT_FAULT;
	}
	cpu->cr0 = cr0;
	if (changed & HS_CR0_PG) {
		bool is_long = (cr0 & HS_CR0_PG) && (cpu->msr.efer & HS_EFER_LME);

		cpu->msr.efer = (cpu->msr.efer & ~(uint64_t)HS_EFER_LMA) | (is_long ? HS_EFER_LMA : 0);
	}
	if (changed & (HS_CR0_PG | HS_CR0_WP | HS_CR0_PE)) {
		hs_soft_flush(cpu);
	}
	hs_soft_refresh(cpu);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow write_cr3(struct hs_soft_cpu *cpu, uint64_t value)
{
	bool is_pae = cpu->paging && !cpu->long_mode && (cpu->cr4 & HS_CR4_PAE);

	if (is_refused(cpu, value >> HS_SOFT_PHYSICAL_BITS) || (is_pae && !can_load_pdptes(cpu, value))) {
		return HS_SOFT_FAULT;
	}
	cpu->cr3 = value;
	hs_soft_flush(cpu);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow write_cr4(struct hs_soft_cpu *cpu, uint64_t value)
{
	uint64_t changed = value ^ cpu->cr4;
	bool is_pae = cpu->paging && !cpu->long_mode && (value & HS_CR4_PAE);

	if (is_refused(cpu, (value & ~(uint64_t)HS_SOFT_CR4_DEFINED) ||
				    (cpu->long_mode && ((changed & HS_CR4_LA57) || !(value & HS_CR4_PAE))))) {
		return HS_SOFT_FAULT;
	}
	if (is_pae && (changed & CR4_LOADS_PDPTES) && !can_load_pdptes(cpu, cpu->cr3)) {
		return HS_SOFT_FAULT;
	}
	cpu->cr4 = value;
	hs_soft_flush(cpu);
	hs_soft_refresh(cpu);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_to_cr(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	if (cpu->cpl != 0) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	(void)hs_soft_get(cpu, op, 1, &value);
	switch (op->operand[0].reg) {
	case 0:
		return write_cr0(cpu, value);
	case 2:
		cpu->cr2 = value;
		return HS_SOFT_NEXT;
	case 3:
		return write_cr3(cpu, value);
	case 4:
		return write_cr4(cpu, value);
	case 8:
		if (is_refused(cpu, value & ~(uint64_t)CR8_DEFINED)) {
			return HS_SOFT_FAULT;
		}
		cpu->cr8 = value;
		return HS_SOFT_NEXT;
	default:
		return hs_soft_raise(cpu, HS_VECTOR_UD, 0);
	}
}

static enum hs_soft_flow execute_from_cr(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	const uint64_t *const registers[9] = {
		[0] = &cpu->cr0, [2] = &cpu->cr2, [3] = &cpu->cr3, [4] = &cpu->cr4, [8] = &cpu->cr8
	};
	unsigned int reg = op->operand[1].reg;

	if (reg > 8 || !registers[reg]) {
		return hs_soft_raise(cpu, HS_VECTOR_UD, 0);
	}
	if (cpu->cpl != 0) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	(void)hs_soft_put(cpu, op, 0, *registers[reg]);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_clts(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	if (cpu->cpl != 0) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	cpu->cr0 &= ~(uint64_t)HS_CR0_TS;
	hs_soft_refresh(cpu);
	return HS_SOFT_NEXT;
}

/* It can set PE and not clear it (SDM vol. 2A, LMSW). */
static enum hs_soft_flow execute_lmsw(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	if (cpu->cpl != 0) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	if (!hs_soft_get(cpu, op, 0, &value)) {
		return HS_SOFT_FAULT;
	}
	value |= cpu->cr0 & HS_CR0_PE;
	return write_cr0(cpu, (cpu->cr0 & ~(uint64_t)CR0_OF_MSW) | (value & CR0_OF_MSW));
}

static enum hs_soft_flow execute_smsw(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	if (cpu->cpl != 0 && (cpu->cr4 & HS_CR4_UMIP)) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	return hs_soft_put(cpu, op, 0, cpu->cr0) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

/* DR4 and DR5 are DR6 and DR7 unless CR4.DE is set (SDM vol. 3B 17.2.2). False: cpu->fault. */
static bool find_debug_register(struct hs_soft_cpu *cpu, unsigned int reg, unsigned int *ret)
{
	if (reg > 7 || ((reg == 4 || reg == 5) && (cpu->cr4 & HS_CR4_DE))) {
		hs_soft_raise(cpu, HS_VECTOR_UD, 0);
		return false;
	}
	if (cpu->cpl != 0) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
		return false;
	}
	if (cpu->dr[7] & HS_DR7_GD) {
		cpu->rflags |= HS_FLAG_RF; /* a fault like others (SDM vol. 3B 17.3.1.1) */
		hs_soft_raise_db(cpu, HS_DR6_BD);
		return false;
	}
	*ret = reg == 4 || reg == 5 ? reg + 2 : reg;
	return true;
}

static enum hs_soft_flow execute_to_dr(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int reg;
	uint64_t value;

	if (!find_debug_register(cpu, op->operand[0].reg, &reg)) {
		return HS_SOFT_FAULT;
	}
	(void)hs_soft_get(cpu, op, 1, &value);
	if (is_refused(cpu, reg >= 6 && value >> 32)) {
		return HS_SOFT_FAULT;
	}
	if (reg == 6) {
		value = (value & DR6_WRITABLE) | DR6_ONES;
	} else if (reg == 7) {
		value = (value & DR7_WRITABLE) | DR7_ONES;
	}
	cpu->dr[reg] = value;
	hs_soft_debug_registers_changed(cpu);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_from_dr(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int reg;

	if (!find_debug_register(cpu, op->operand[1].reg, &reg)) {
		return HS_SOFT_FAULT;
	}
	(void)hs_soft_put(cpu, op, 0, cpu->dr[reg]);
	return HS_SOFT_NEXT;
}

static bool select_mov(struct hs_soft_op *op)
{
	if (op->operand[0].kind == HS_SOFT_CR) {
		op->execute = execute_to_cr;
	} else if (op->operand[1].kind == HS_SOFT_CR) {
		op->execute = execute_from_cr;
	} else if (op->operand[0].kind == HS_SOFT_DR) {
		op->execute = execute_to_dr;
	} else if (op->operand[1].kind == HS_SOFT_DR) {
		op->execute = execute_from_dr;
	} else {
		return false;
	}
	return true;
}

bool hs_soft_select_control_register(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		return select_mov(op);
	case ZYDIS_MNEMONIC_CLTS:
		op->execute = execute_clts;
		return true;
	case ZYDIS_MNEMONIC_LMSW:
		op->execute = execute_lmsw;
		return true;
	case ZYDIS_MNEMONIC_SMSW:
		op->execute = execute_smsw;
		return true;
	default:
		return false;
	}
}
