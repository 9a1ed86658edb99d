/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The x87 control and status words: fninit, fnclex, fnstcw, fldcw, fnstsw, fwait, and what once was for the 8087. */
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"
#include "vmm/soft/x87.h"

#include "base/bytes.h"

/* For those that do not wait. */
static bool enter(struct hs_soft_cpu *cpu)
{
	if (!hs_soft_x87_usable(cpu)) {
		return false;
	}
	hs_soft_x87_enter(cpu);
	return true;
}

static enum hs_soft_flow execute_fwait(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	if ((cpu->cr0 & HS_CR0_MP) && (cpu->cr0 & HS_CR0_TS)) {
		return hs_soft_raise(cpu, HS_VECTOR_NM, 0);
	}
	hs_soft_x87_enter(cpu);
	return hs_soft_x87_waited(cpu) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

/* The registers keep what is in them; they only are empty. */
static enum hs_soft_flow execute_fninit(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	if (!enter(cpu)) {
		return HS_SOFT_FAULT;
	}
	__asm__ volatile("fninit");
	hs_soft_x87_initialised(cpu);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_fnclex(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	if (!enter(cpu)) {
		return HS_SOFT_FAULT;
	}
	__asm__ volatile("fnclex");
	cpu->x87.pending = false;
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_fnstcw(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return enter(cpu) && hs_soft_put(cpu, op, 0, hs_soft_x87_control()) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

static enum hs_soft_flow execute_fnstsw(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return enter(cpu) && hs_soft_put(cpu, op, 0, hs_soft_x87_status()) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

static enum hs_soft_flow execute_fldcw(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint16_t control;
	uint64_t value;

	if (!enter(cpu) || !hs_soft_x87_waited(cpu) || !hs_soft_get(cpu, op, 0, &value)) {
		return HS_SOFT_FAULT;
	}
	control = (uint16_t)value;
	if (HS_SOFT_UNLIKELY(cpu->x87.pending)) {
		hs_soft_x87_park(cpu); /* without CR0.NE: the host would report it */
		hs_soft_x87_put_words(cpu, control, hs_get_le16(cpu->xsave + HS_XSAVE_FSW));
		return HS_SOFT_NEXT;
	}
	__asm__ volatile("fldcw %0" : : "m"(control));
	hs_soft_x87_loaded(cpu);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_nothing(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	return hs_soft_x87_usable(cpu) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

/* ---- Selection ---- */

bool hs_soft_select_x87_control(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	static const struct {
		ZydisMnemonic mnemonic;
		enum hs_soft_flow (*execute)(struct hs_soft_cpu *cpu, const struct hs_soft_op *op);
	} handlers[] = {
		{ ZYDIS_MNEMONIC_FWAIT, execute_fwait },           { ZYDIS_MNEMONIC_FNINIT, execute_fninit },
		{ ZYDIS_MNEMONIC_FNCLEX, execute_fnclex },         { ZYDIS_MNEMONIC_FNSTCW, execute_fnstcw },
		{ ZYDIS_MNEMONIC_FNSTSW, execute_fnstsw },         { ZYDIS_MNEMONIC_FLDCW, execute_fldcw },
		{ ZYDIS_MNEMONIC_FENI8087_NOP, execute_nothing },  { ZYDIS_MNEMONIC_FDISI8087_NOP, execute_nothing },
		{ ZYDIS_MNEMONIC_FSETPM287_NOP, execute_nothing },
	};

	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (decoded->insn.mnemonic == handlers[i].mnemonic) {
			op->execute = handlers[i].execute;
			return true;
		}
	}
	return false;
}
