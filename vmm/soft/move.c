/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Data movement that changes no flags: mov, movzx, movsx, lea, xchg, cmovcc, setcc, bswap, movbe, xlat, nop. */
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

static enum hs_soft_flow execute_mov(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	if (!hs_soft_get(cpu, op, 1, &value) || !hs_soft_put(cpu, op, 0, value)) {
		return HS_SOFT_FAULT;
	}
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_nop(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)cpu;
	(void)op;
	return HS_SOFT_NEXT;
}

static bool is_plain(const struct hs_soft_operand *operand)
{
	return operand->kind == HS_SOFT_GPR || operand->kind == HS_SOFT_GPR_HIGH || operand->kind == HS_SOFT_MEMORY ||
	       operand->kind == HS_SOFT_IMMEDIATE;
}

bool hs_soft_select_move(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		if (!is_plain(&op->operand[0]) || !is_plain(&op->operand[1])) {
			return false; /* segment, control and debug registers */
		}
		op->execute = execute_mov;
		return true;
	case ZYDIS_MNEMONIC_NOP:
		op->execute = execute_nop;
		return true;
	default:
		return false;
	}
}
