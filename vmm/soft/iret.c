/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * iret, and what it shares with the far return: back to the same or an outer level (SDM vol. 2A, IRET; 2B, RET).
 *
 * There is no virtual-8086 mode here: a return to it is #GP(0).
 */
#include "vmm/soft/operand.h"
#include "vmm/soft/segment.h"
#include "vmm/soft/select.h"

/* SS:RSP from the stack, or the present one without what was popped. */
static bool find_stack(struct hs_soft_cpu *cpu, const struct hs_soft_return *from, struct hs_soft_arrival *to)
{
	bool null_allowed = cpu->long_mode && to->cs.segment.l && to->cpl != 3;
	uint64_t sp;
	uint64_t ss;

	if (to->cpl == cpu->cpl && !from->pops_stack) {
		hs_soft_present_stack(cpu, cpu->mode == HS_SOFT_MODE_64, &to->stack);
		sp = hs_soft_below_sp(cpu, -(uint64_t)from->behind);
		to->stack.sp = (to->stack.sp & ~cpu->stack_mask) | sp;
		return true;
	}
	if (!hs_soft_peek(cpu, from->behind, from->bytes, &sp) ||
	    !hs_soft_peek(cpu, from->behind + from->bytes, from->bytes, &ss)) {
		return false;
	}
	to->stack = (struct hs_soft_stack){ .sp = sp + from->release, .switched = true };
	return hs_soft_find_stack(cpu, (uint16_t)ss, to->cpl, HS_VECTOR_GP, null_allowed, &to->stack.ss);
}

bool hs_soft_prepare_return(struct hs_soft_cpu *cpu, const struct hs_soft_return *from, struct hs_soft_arrival *ret)
{
	const struct hs_segment *cs = &ret->cs.segment;
	uint8_t rpl = from->cs & HS_SELECTOR_RPL;
	bool may;

	if (!hs_soft_read_code(cpu, from->cs, HS_VECTOR_GP, &ret->cs)) {
		return false;
	}
	may = rpl >= cpu->cpl && (hs_soft_is_conforming(cs) ? cs->dpl <= rpl : cs->dpl == rpl);
	ret->ip = from->ip;
	ret->cpl = rpl;
	return hs_soft_accept_code(cpu, may, rpl, HS_VECTOR_GP, &ret->cs) && find_stack(cpu, from, ret) &&
	       hs_soft_check_arrival(cpu, ret);
}

/* RFLAGS when this image is popped at the present level. */
static uint64_t returned_flags(const struct hs_soft_cpu *cpu, uint64_t image, unsigned int bytes)
{
	uint64_t mask = HS_FLAG_STATUS | HS_FLAG_TF | HS_FLAG_DF | HS_FLAG_NT;

	if (bytes > 2) {
		mask |= HS_FLAG_RF | HS_FLAG_AC | HS_FLAG_ID;
	}
	if (cpu->cpl <= (cpu->rflags & HS_FLAG_IOPL) >> 12) {
		mask |= HS_FLAG_IF;
	}
	if (cpu->cpl == 0) {
		mask |= HS_FLAG_IOPL | (bytes > 2 ? HS_FLAG_VIF | HS_FLAG_VIP : 0);
	}
	return (hs_soft_rflags(cpu) & ~mask) | (image & mask);
}

static enum hs_soft_flow return_to_task(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	const struct hs_soft_task_switch request = {
		.cause = HS_SOFT_TASK_RETURN,
		.rip = hs_soft_next_rip(cpu, op),
		.rflags = hs_soft_rflags(cpu) & ~(uint64_t)HS_FLAG_NT,
	};

	return hs_soft_switch_task(cpu, &request) ? HS_SOFT_BRANCH : HS_SOFT_FAULT;
}

static enum hs_soft_flow execute_iret(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = op->bytes;
	struct hs_soft_return from = {
		.bytes = op->bytes,
		.pops_stack = cpu->mode == HS_SOFT_MODE_64,
		.behind = 3 * bytes,
	};
	struct hs_soft_arrival to;
	uint64_t cs;
	uint64_t image;

	if (cpu->rflags & HS_FLAG_NT) {
		return cpu->long_mode ? hs_soft_raise(cpu, HS_VECTOR_GP, 0) : return_to_task(cpu, op);
	}
	if (!hs_soft_peek(cpu, 0, bytes, &from.ip) || !hs_soft_peek(cpu, bytes, bytes, &cs) ||
	    !hs_soft_peek(cpu, UINT64_C(2) * bytes, bytes, &image)) {
		return HS_SOFT_FAULT;
	}
	if (!cpu->long_mode && cpu->cpl == 0 && bytes == 4 && (image & HS_FLAG_VM)) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	from.cs = (uint16_t)cs;
	if (!hs_soft_prepare_return(cpu, &from, &to)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_set_rflags(cpu, returned_flags(cpu, image, bytes));
	hs_soft_arrive(cpu, &to);
	return HS_SOFT_BRANCH;
}

bool hs_soft_select_iret(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
		op->execute = execute_iret;
		op->prefixes |= HS_SOFT_ENDS;
		return true;
	default:
		return false;
	}
}
