/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Instructions that load and store segment registers and their bases: mov and pop with one, lds and its kind, swapgs,
 * rdfsbase and its kind. push is a matter of stack.c.
 */
#include "vmm/soft/operand.h"
#include "vmm/soft/segment.h"
#include "vmm/soft/select.h"

static enum hs_soft_flow execute_mov_from_sreg(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return hs_soft_put(cpu, op, 0, cpu->seg[op->operand[1].reg].selector) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

/* Nothing comes between a load of SS and the next instruction, which loads RSP (SDM vol. 3A 6.8.3). */
static void cast_shadow(struct hs_soft_cpu *cpu, unsigned int seg)
{
	if (seg == HS_SS) {
		cpu->shadow = true;
		hs_soft_refresh(cpu);
	}
}

static enum hs_soft_flow execute_mov_to_sreg(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int seg = op->operand[0].reg;
	uint64_t selector;

	if (!hs_soft_get(cpu, op, 1, &selector) || !hs_soft_load_segment(cpu, seg, (uint16_t)selector)) {
		return HS_SOFT_FAULT;
	}
	cast_shadow(cpu, seg);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_pop_sreg(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int seg = op->operand[0].reg;
	/* pop ss changes the width of the stack pointer, but moves it with the old one. */
	uint64_t mask = cpu->stack_mask;
	uint64_t sp = hs_soft_below_sp(cpu, -(uint64_t)op->bytes);
	uint64_t selector;

	if (!hs_soft_peek(cpu, 0, op->bytes, &selector) || !hs_soft_load_segment(cpu, seg, (uint16_t)selector)) {
		return HS_SOFT_FAULT;
	}
	cpu->r[HS_RSP] = (cpu->r[HS_RSP] & ~mask) | sp;
	cast_shadow(cpu, seg);
	return HS_SOFT_NEXT;
}

bool hs_soft_load_pointer(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int width,
			  uint64_t *ret_offset, uint16_t *ret_selector)
{
	uint64_t at = hs_soft_ea(cpu, op);
	uint64_t offset, selector;

	if (!hs_soft_load(cpu, op->segment, at, width, &offset) ||
	    !hs_soft_load(cpu, op->segment, at + width, 2, &selector)) {
		return false;
	}
	*ret_offset = offset;
	*ret_selector = (uint16_t)selector;
	return true;
}

/* lds, les, lfs, lgs, lss: op->aux is the register. */
static enum hs_soft_flow execute_load_pointer(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int width = op->operand[0].bytes;
	uint64_t offset;
	uint16_t selector;

	if (!hs_soft_load_pointer(cpu, op, width, &offset, &selector) ||
	    !hs_soft_load_segment(cpu, op->aux, selector)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_set_reg(cpu, op->operand[0].reg, width, offset);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_swapgs(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t base = cpu->seg[HS_GS].base;

	(void)op;
	if (cpu->cpl != 0) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	cpu->seg[HS_GS].base = cpu->msr.kernel_gs_base;
	cpu->msr.kernel_gs_base = base;
	hs_soft_refresh(cpu);
	return HS_SOFT_NEXT;
}

/* rdfsbase, rdgsbase: op->aux is the segment register. */
static enum hs_soft_flow execute_read_base(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	if (!(cpu->cr4 & HS_CR4_FSGSBASE)) {
		return hs_soft_raise(cpu, HS_VECTOR_UD, 0);
	}
	hs_soft_set_reg(cpu, op->operand[0].reg, op->operand[0].bytes, cpu->seg[op->aux].base);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_write_base(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t base = hs_soft_reg(cpu, op->operand[0].reg, op->operand[0].bytes);

	if (!(cpu->cr4 & HS_CR4_FSGSBASE)) {
		return hs_soft_raise(cpu, HS_VECTOR_UD, 0);
	}
	if (!hs_soft_canonical(cpu, base)) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	cpu->seg[op->aux].base = base;
	hs_soft_refresh(cpu);
	return HS_SOFT_NEXT;
}

static bool select_mov(struct hs_soft_op *op)
{
	if (op->operand[0].kind == HS_SOFT_SREG) {
		op->execute = execute_mov_to_sreg;
		return true;
	}
	if (op->operand[1].kind == HS_SOFT_SREG) {
		op->execute = execute_mov_from_sreg;
		return true;
	}
	return false;
}

static const struct {
	ZydisMnemonic mnemonic;
	uint8_t seg;
	enum hs_soft_flow (*execute)(struct hs_soft_cpu *cpu, const struct hs_soft_op *op);
} rows[] = {
	{ ZYDIS_MNEMONIC_LDS, HS_DS, execute_load_pointer },    { ZYDIS_MNEMONIC_LES, HS_ES, execute_load_pointer },
	{ ZYDIS_MNEMONIC_LFS, HS_FS, execute_load_pointer },    { ZYDIS_MNEMONIC_LGS, HS_GS, execute_load_pointer },
	{ ZYDIS_MNEMONIC_LSS, HS_SS, execute_load_pointer },    { ZYDIS_MNEMONIC_RDFSBASE, HS_FS, execute_read_base },
	{ ZYDIS_MNEMONIC_RDGSBASE, HS_GS, execute_read_base },  { ZYDIS_MNEMONIC_SWAPGS, HS_GS, execute_swapgs },
	{ ZYDIS_MNEMONIC_WRFSBASE, HS_FS, execute_write_base }, { ZYDIS_MNEMONIC_WRGSBASE, HS_GS, execute_write_base },
};

bool hs_soft_select_segment(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	if (decoded->insn.mnemonic == ZYDIS_MNEMONIC_MOV) {
		return select_mov(op);
	}
	if (decoded->insn.mnemonic == ZYDIS_MNEMONIC_POP && op->operand[0].kind == HS_SOFT_SREG) {
		op->execute = execute_pop_sreg;
		return true;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].mnemonic == decoded->insn.mnemonic) {
			op->execute = rows[i].execute;
			op->aux = rows[i].seg;
			return true;
		}
	}
	return false;
}
