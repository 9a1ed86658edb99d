/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * x87 instructions that compute, compare, load and store, on the live state. What only controls it is x87_control.c.
 *
 * op->immediate is the native code, op->aux the opcode as the last-opcode register has it: the low three bits of the
 * first byte, then the second.
 */
#include "vmm/soft/isa.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"
#include "vmm/soft/x87.h"
#include "vmm/soft/x87_code.h"

#include "base/bytes.h"
#include "vmm/soft/handler.h"

/* Stores that would raise one of these do nothing when it is not masked (SDM vol. 1 8.5). */
#define PREVENT_STORES (HS_FSW_INVALID | HS_FSW_OVERFLOW | HS_FSW_UNDERFLOW)

#define OPERAND_BYTES_MAX 10u

HS_SOFT_INLINE bool ready(struct hs_soft_cpu *cpu)
{
	if (!hs_soft_x87_usable(cpu)) {
		return false;
	}
	hs_soft_x87_enter(cpu);
	return hs_soft_x87_waited(cpu);
}

/*
 * Without CR0.NE the guest may go on while an exception pends. Natively it would be reported to this process: its flags
 * are put aside. They are not lost: what can fault is behind the instruction then.
 */
static unsigned int put_aside(struct hs_soft_cpu *cpu)
{
	unsigned int flags = hs_soft_x87_status() & (HS_FSW_EXCEPTIONS | HS_FSW_STACK_FAULT);

	__asm__ volatile("fnclex");
	cpu->x87.pending = false;
	return flags;
}

static void bring_back(struct hs_soft_cpu *cpu, unsigned int flags)
{
	hs_soft_x87_park(cpu);
	hs_soft_x87_put_words(cpu, hs_get_le16(cpu->xsave + HS_XSAVE_FCW),
			      hs_get_le16(cpu->xsave + HS_XSAVE_FSW) | flags);
}

/* Behind an instruction with exceptions that are not masked: note whether one is pending now. Returns those that this
 * instruction has raised. */
static unsigned int see(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int aside)
{
	unsigned int status = hs_soft_x87_status();
	unsigned int raised = 0;

	if (status & HS_FSW_ES) {
		raised = status & ~hs_soft_x87_control() & HS_FSW_EXCEPTIONS;
		cpu->x87.pending = true;
		/* Only then does it change (SDM vol. 1 8.1.9). */
		hs_put_le16(cpu->xsave + HS_XSAVE_FOP, (uint16_t)op->aux);
	}
	if (aside) {
		bring_back(cpu, aside);
	}
	return raised;
}

/* What is inlined around the native code: the same before and behind each. */
#define AROUND(cpu, op, call)                                                                                          \
	__extension__({                                                                                                \
		unsigned int aside_ = HS_SOFT_UNLIKELY((cpu)->x87.pending) ? put_aside(cpu) : 0;                       \
		call;                                                                                                  \
		hs_put_le64((cpu)->xsave + HS_XSAVE_FIP, (cpu)->r[HS_SOFT_RIP] & (cpu)->linear_mask);                  \
		HS_SOFT_UNLIKELY((cpu)->x87.unmasked) ? see(cpu, op, aside_) : 0;                                      \
	})

/* ---- Register operands, or none ---- */

HS_SOFT_INLINE hs_soft_x87_register_fn *register_code(const struct hs_soft_op *op)
{
	return (hs_soft_x87_register_fn *)(uintptr_t)op->immediate;
}

static enum hs_soft_flow execute_registers(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	if (!ready(cpu)) {
		return HS_SOFT_FAULT;
	}
	(void)AROUND(cpu, op, register_code(op)(0));
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_fcmov(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	if (!ready(cpu)) {
		return HS_SOFT_FAULT;
	}
	(void)AROUND(cpu, op, register_code(op)((hs_soft_rflags(cpu) & 0xff) << 8));
	return HS_SOFT_NEXT;
}

/* An invalid operation that is not masked leaves the flags alone (SDM vol. 2A, FCOMI). */
static enum hs_soft_flow execute_fcomi(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	const uint64_t results = HS_FLAG_ZF | HS_FLAG_PF | HS_FLAG_CF;
	uint64_t lahf;

	if (!ready(cpu)) {
		return HS_SOFT_FAULT;
	}
	if (!(AROUND(cpu, op, lahf = register_code(op)(0)) & HS_FSW_INVALID)) {
		uint64_t others = hs_soft_rflags(cpu) & ~(uint64_t)HS_FLAG_STATUS;

		hs_soft_set_rflags(cpu, others | (lahf >> 8 & results));
	}
	return HS_SOFT_NEXT;
}

/* ---- Memory operands ---- */

HS_SOFT_INLINE hs_soft_x87_memory_fn *memory_code(const struct hs_soft_op *op)
{
	return (hs_soft_x87_memory_fn *)(uintptr_t)op->immediate;
}

static void set_data_pointer(struct hs_soft_cpu *cpu, uint64_t offset)
{
	hs_put_le64(cpu->xsave + HS_XSAVE_FDP, offset & cpu->linear_mask);
}

HS_SOFT_INLINE void *direct(const struct hs_soft_cpu *cpu, const struct hs_soft_op *op, uint64_t offset, int prot)
{
	return hs_soft_direct(cpu, op->segment, hs_soft_gva(cpu, op->segment, offset), op->operand[0].bytes, prot);
}

static enum hs_soft_flow execute_load(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = op->operand[0].bytes;
	uint64_t offset = hs_soft_ea(cpu, op);
	uint8_t copy[OPERAND_BYTES_MAX];
	void *operand;

	if (!ready(cpu)) {
		return HS_SOFT_FAULT;
	}
	operand = direct(cpu, op, offset, HS_PROT_READ);
	if (HS_SOFT_UNLIKELY(!operand)) {
		if (!hs_soft_load_bytes(cpu, op->segment, offset, bytes, copy)) {
			return HS_SOFT_FAULT;
		}
		operand = copy;
	}
	(void)AROUND(cpu, op, memory_code(op)(operand));
	set_data_pointer(cpu, offset);
	return HS_SOFT_NEXT;
}

/* Not straight into memory: watched, or with code, or across pages. */
static enum hs_soft_flow store_slowly(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, uint64_t offset)
{
	unsigned int bytes = op->operand[0].bytes;
	uint8_t copy[OPERAND_BYTES_MAX];

	if (!hs_soft_check_store(cpu, op->segment, offset, bytes)) {
		return HS_SOFT_FAULT;
	}
	if (!(AROUND(cpu, op, memory_code(op)(copy)) & PREVENT_STORES)) {
		(void)hs_soft_store_bytes(cpu, op->segment, offset, bytes, copy);
	}
	set_data_pointer(cpu, offset);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_store(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t offset = hs_soft_ea(cpu, op);
	void *operand;

	if (!ready(cpu)) {
		return HS_SOFT_FAULT;
	}
	operand = direct(cpu, op, offset, HS_PROT_WRITE);
	if (HS_SOFT_UNLIKELY(!operand)) {
		return store_slowly(cpu, op, offset);
	}
	(void)AROUND(cpu, op, memory_code(op)(operand));
	set_data_pointer(cpu, offset);
	return HS_SOFT_NEXT;
}

/* ---- Selection ---- */

/* fcomi and its like came with the Pentium Pro, and every CPU with x87 has them by now. */
static bool is_offered(const ZydisDecodedInstruction *insn)
{
	ZydisISASet set = insn->meta.isa_set;

	return hs_soft_isa_offered(set == ZYDIS_ISA_SET_PPRO ? ZYDIS_ISA_SET_X87 : set);
}

static hs_soft_handler *register_handler(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_FCOMI:
	case ZYDIS_MNEMONIC_FCOMIP:
	case ZYDIS_MNEMONIC_FUCOMI:
	case ZYDIS_MNEMONIC_FUCOMIP:
		return execute_fcomi;
	case ZYDIS_MNEMONIC_FCMOVB:
	case ZYDIS_MNEMONIC_FCMOVBE:
	case ZYDIS_MNEMONIC_FCMOVE:
	case ZYDIS_MNEMONIC_FCMOVNB:
	case ZYDIS_MNEMONIC_FCMOVNBE:
	case ZYDIS_MNEMONIC_FCMOVNE:
	case ZYDIS_MNEMONIC_FCMOVNU:
	case ZYDIS_MNEMONIC_FCMOVU:
		return execute_fcmov;
	default:
		return execute_registers;
	}
}

static hs_soft_handler *memory_handler(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_FST:
	case ZYDIS_MNEMONIC_FSTP:
	case ZYDIS_MNEMONIC_FIST:
	case ZYDIS_MNEMONIC_FISTP:
	case ZYDIS_MNEMONIC_FISTTP:
	case ZYDIS_MNEMONIC_FBSTP:
		return execute_store;
	default:
		return execute_load;
	}
}

bool hs_soft_select_x87(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	const ZydisDecodedInstruction *insn = &decoded->insn;
	uint8_t modrm = (uint8_t)(insn->raw.modrm.mod << 6 | insn->raw.modrm.reg << 3 | insn->raw.modrm.rm);
	bool in_memory = insn->raw.modrm.mod != 3;

	if (insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || insn->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT ||
	    insn->opcode < 0xd8 || insn->opcode > 0xdf || !is_offered(insn)) {
		return false;
	}
	op->aux = (insn->opcode & 7u) << 8 | modrm;
	if (in_memory) {
		op->immediate = (uintptr_t)hs_soft_x87_memory_form(insn->opcode, modrm);
		op->execute = memory_handler(insn->mnemonic);
	} else {
		op->immediate = (uintptr_t)hs_soft_x87_register_form(insn->opcode, modrm);
		op->execute = register_handler(insn->mnemonic);
	}
	return true;
}
