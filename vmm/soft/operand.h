/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Operands of a decoded instruction: registers of every width, memory, immediates; and the stack.
 */
#ifndef HS_SOFT_OPERAND_H
#define HS_SOFT_OPERAND_H

#include "vmm/soft/access.h"
#include "vmm/soft/flags.h"

#include "arch/exception.h"

/** The offset of the memory operand within its segment. */
static inline uint64_t hs_soft_ea(const struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t offset = cpu->r[op->base] + (cpu->r[op->index] << op->shift) + (uint64_t)op->displacement;

	return op->address_bits == 64 ? offset : offset & ((UINT64_C(1) << op->address_bits) - 1);
}

/** The low bytes of a register. */
static inline uint64_t hs_soft_reg(const struct hs_soft_cpu *cpu, unsigned int reg, unsigned int bytes)
{
	return hs_soft_zero_extend(cpu->r[reg], bytes);
}

/** Write them: four bytes clear the upper half, one and two leave the rest alone (SDM vol. 1 3.4.1.1). */
static inline void hs_soft_set_reg(struct hs_soft_cpu *cpu, unsigned int reg, unsigned int bytes, uint64_t value)
{
	switch (bytes) {
	case 1:
		cpu->r[reg] = (cpu->r[reg] & ~UINT64_C(0xff)) | (value & 0xff);
		break;
	case 2:
		cpu->r[reg] = (cpu->r[reg] & ~UINT64_C(0xffff)) | (value & 0xffff);
		break;
	case 4:
		cpu->r[reg] = (uint32_t)value;
		break;
	default:
		cpu->r[reg] = value;
	}
}

/** The value of operand i (register, memory, immediate, segment selector), extended with zeroes. */
static inline bool hs_soft_get(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int i, uint64_t *ret)
{
	const struct hs_soft_operand *operand = &op->operand[i];

	switch (operand->kind) {
	case HS_SOFT_GPR:
		*ret = hs_soft_reg(cpu, operand->reg, operand->bytes);
		return true;
	case HS_SOFT_GPR_HIGH:
		*ret = cpu->r[operand->reg] >> 8 & 0xff;
		return true;
	case HS_SOFT_MEMORY:
		return hs_soft_load(cpu, op->segment, hs_soft_ea(cpu, op), operand->bytes, ret);
	case HS_SOFT_SREG:
		*ret = cpu->seg[operand->reg].selector;
		return true;
	default:
		*ret = hs_soft_zero_extend(op->immediate, operand->bytes);
		return true;
	}
}

/** The same for an operand that is written back: hs_soft_put() cannot fail afterwards. */
static inline bool hs_soft_get_rw(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int i, uint64_t *ret)
{
	if (op->operand[i].kind == HS_SOFT_MEMORY) {
		return hs_soft_load_rw(cpu, op->segment, hs_soft_ea(cpu, op), op->operand[i].bytes, ret);
	}
	return hs_soft_get(cpu, op, i, ret);
}

/** Write operand i: a general register or memory. */
static inline bool hs_soft_put(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int i, uint64_t value)
{
	const struct hs_soft_operand *operand = &op->operand[i];

	switch (operand->kind) {
	case HS_SOFT_GPR:
		hs_soft_set_reg(cpu, operand->reg, operand->bytes, value);
		return true;
	case HS_SOFT_GPR_HIGH:
		cpu->r[operand->reg] = (cpu->r[operand->reg] & ~UINT64_C(0xff00)) | (value & 0xff) << 8;
		return true;
	default:
		return hs_soft_store(cpu, op->segment, hs_soft_ea(cpu, op), operand->bytes, value);
	}
}

/* ---- The stack: rsp as wide as SS.B and the mode say; the rest of rsp is left alone. ---- */

/** The offset in SS that is `down` bytes below the stack pointer. */
static inline uint64_t hs_soft_below_sp(const struct hs_soft_cpu *cpu, uint64_t down)
{
	return (cpu->r[HS_RSP] - down) & cpu->stack_mask;
}

static inline void hs_soft_set_sp(struct hs_soft_cpu *cpu, uint64_t sp)
{
	cpu->r[HS_RSP] = (cpu->r[HS_RSP] & ~cpu->stack_mask) | (sp & cpu->stack_mask);
}

/** Store below the stack pointer and move it there, or do nothing. */
static inline bool hs_soft_push(struct hs_soft_cpu *cpu, unsigned int bytes, uint64_t value)
{
	uint64_t sp = hs_soft_below_sp(cpu, bytes);

	if (!hs_soft_store(cpu, HS_SS, sp, bytes, value)) {
		return false;
	}
	hs_soft_set_sp(cpu, sp);
	return true;
}

/** The same by the TLB alone. */
static inline bool hs_soft_push_quickly(struct hs_soft_cpu *cpu, unsigned int bytes, uint64_t value)
{
	uint64_t sp = hs_soft_below_sp(cpu, bytes);

	if (!hs_soft_store_quickly(cpu, HS_SS, sp, bytes, value)) {
		return false;
	}
	hs_soft_set_sp(cpu, sp);
	return true;
}

/** Load what lies `up` bytes above the stack pointer; the stack pointer stays. */
static inline bool hs_soft_peek(struct hs_soft_cpu *cpu, uint64_t up, unsigned int bytes, uint64_t *ret)
{
	return hs_soft_load(cpu, HS_SS, hs_soft_below_sp(cpu, -up), bytes, ret);
}

/** The address behind the instruction, as wide as rip is in this mode (not yet cut to a 16-bit operand size). */
static inline uint64_t hs_soft_next_rip(const struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t next = cpu->r[HS_SOFT_RIP] + op->length;

	return cpu->mode == HS_SOFT_MODE_64 ? next : (uint32_t)next;
}

/**
 * Go to an offset in CS: canonical, or within the limit, else #GP(0) and nothing has happened (SDM vol. 2A, JMP).
 * HS_SOFT_BRANCH or HS_SOFT_FAULT. Call it last: whoever has changed something already must use hs_soft_can_go() first.
 */
enum hs_soft_flow hs_soft_go(struct hs_soft_cpu *cpu, uint64_t rip);
bool hs_soft_can_go(struct hs_soft_cpu *cpu, uint64_t rip);

#endif
