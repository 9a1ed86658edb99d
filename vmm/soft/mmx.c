/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * MMX, with what SSE to SSSE3 have added on its registers; conversions are mmx_convert.c.
 *
 * What computes runs natively, as a piece of code that loads mm0 and mm1, computes, stores mm0 and empties the host's
 * registers again; which registers the guest has named is not in it, so that there are few.
 */
#include "vmm/soft/mmx.h"

#include "vmm/soft/fpu.h"
#include "vmm/soft/handler.h"
#include "vmm/soft/isa.h"
#include "vmm/soft/native.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"
#include "vmm/soft/x87.h"

#include "base/bytes.h"

#define FSW_TOP_SHIFT 11
#define FSW_TOP 0x3800u
#define EXPONENT_BYTES 2u

/* ---- Registers ---- */

bool hs_soft_mmx_usable(struct hs_soft_cpu *cpu)
{
	unsigned int status;

	if (!hs_soft_fx_usable(cpu)) {
		return false;
	}
	hs_soft_x87_park(cpu);
	status = hs_get_le16(cpu->xsave + HS_XSAVE_FSW);
	if ((status & ~hs_get_le16(cpu->xsave + HS_XSAVE_FCW) & HS_FSW_EXCEPTIONS) && (cpu->cr0 & HS_CR0_NE)) {
		hs_soft_raise(cpu, HS_VECTOR_MF, 0);
		return false;
	}
	return true;
}

/* The registers lie in the order of the stack: with TOP 0 that of their numbers. */
static void put_in_order(struct hs_soft_cpu *cpu, unsigned int top)
{
	uint8_t copy[HS_X87_REGISTERS * 16];

	memcpy(copy, hs_soft_mm(cpu, 0), sizeof(copy));
	for (unsigned int i = 0; i < HS_X87_REGISTERS; i++) {
		memcpy(hs_soft_mm(cpu, i), copy + (size_t)((i - top) % HS_X87_REGISTERS) * 16, 16);
	}
}

void hs_soft_mmx_enter(struct hs_soft_cpu *cpu)
{
	unsigned int status = hs_get_le16(cpu->xsave + HS_XSAVE_FSW);

	if (status & FSW_TOP) {
		put_in_order(cpu, (status & FSW_TOP) >> FSW_TOP_SHIFT);
		hs_put_le16(cpu->xsave + HS_XSAVE_FSW, (uint16_t)(status & ~FSW_TOP));
	}
	cpu->xsave[HS_XSAVE_FTW] = 0xff;
	hs_soft_mark_component(cpu, HS_SOFT_X87);
}

uint64_t hs_soft_mmx_read(const struct hs_soft_cpu *cpu, unsigned int reg)
{
	unsigned int top = (hs_get_le16(cpu->xsave + HS_XSAVE_FSW) & FSW_TOP) >> FSW_TOP_SHIFT;

	return hs_get_le64(cpu->xsave + HS_XSAVE_ST0 + (size_t)((reg - top) % HS_X87_REGISTERS) * 16);
}

void hs_soft_mmx_write(struct hs_soft_cpu *cpu, unsigned int reg, uint64_t value)
{
	hs_put_le64(hs_soft_mm(cpu, reg), value);
	memset(hs_soft_mm(cpu, reg) + 8, 0xff, EXPONENT_BYTES);
}

/* ---- Moves ---- */

/* The value of the source, whatever it is; then the state is that of MMX. */
static bool take_source(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int i, uint64_t *ret)
{
	const struct hs_soft_operand *operand = &op->operand[i];

	if (operand->kind == HS_SOFT_MMX) {
		hs_soft_mmx_enter(cpu);
		*ret = hs_get_le64(hs_soft_mm(cpu, operand->reg));
		return true;
	}
	if (operand->kind == HS_SOFT_XMM) {
		*ret = hs_get_le64(hs_soft_xmm(cpu, operand->reg));
	} else if (!hs_soft_get(cpu, op, i, ret)) {
		return false;
	}
	hs_soft_mmx_enter(cpu);
	return true;
}

/* movd, movq, movdq2q to an MMX register. */
static enum hs_soft_flow execute_move_to(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	if (!hs_soft_mmx_usable(cpu) || !take_source(cpu, op, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_mmx_write(cpu, op->operand[0].reg, value);
	return HS_SOFT_NEXT;
}

/* movd, movq, movntq to memory or a general register. */
static enum hs_soft_flow execute_move_from(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	bool to_memory = op->operand[0].kind == HS_SOFT_MEMORY;

	if (!hs_soft_mmx_usable(cpu) ||
	    (to_memory && !hs_soft_check_store(cpu, op->segment, hs_soft_ea(cpu, op), op->operand[0].bytes))) {
		return HS_SOFT_FAULT;
	}
	hs_soft_mmx_enter(cpu);
	(void)hs_soft_put(cpu, op, 0, hs_get_le64(hs_soft_mm(cpu, op->operand[1].reg)));
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_movq2dq(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint8_t *xmm = hs_soft_xmm(cpu, op->operand[0].reg);

	if (!hs_soft_sse_usable(cpu) || !hs_soft_mmx_usable(cpu)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_mmx_enter(cpu);
	memcpy(xmm, hs_soft_mm(cpu, op->operand[1].reg), 8);
	memset(xmm + 8, 0, 8);
	hs_soft_mark_component(cpu, HS_SOFT_SSE);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_movdq2q(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return hs_soft_sse_usable(cpu) ? execute_move_to(cpu, op) : HS_SOFT_FAULT;
}

static enum hs_soft_flow execute_emms(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	if (!hs_soft_mmx_usable(cpu)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_mmx_enter(cpu);
	cpu->xsave[HS_XSAVE_FTW] = 0;
	return HS_SOFT_NEXT;
}

/* ---- What computes ---- */

/* What native code works on. */
struct call {
	uint64_t destination, source;
};

HS_SOFT_INLINE uint64_t run_native(const struct hs_soft_op *op, struct call *call)
{
	return ((hs_soft_native_fn *)(uintptr_t)op->immediate)(call);
}

static enum hs_soft_flow execute_binary(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	struct call call;

	if (!hs_soft_mmx_usable(cpu) || !take_source(cpu, op, 1, &call.source)) {
		return HS_SOFT_FAULT;
	}
	call.destination = hs_get_le64(hs_soft_mm(cpu, op->operand[0].reg));
	(void)run_native(op, &call);
	hs_soft_mmx_write(cpu, op->operand[0].reg, call.destination);
	return HS_SOFT_NEXT;
}

/* A shift by an immediate. */
static enum hs_soft_flow execute_unary(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	struct call call = { 0 };

	if (!hs_soft_mmx_usable(cpu)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_mmx_enter(cpu);
	call.destination = hs_get_le64(hs_soft_mm(cpu, op->operand[0].reg));
	(void)run_native(op, &call);
	hs_soft_mmx_write(cpu, op->operand[0].reg, call.destination);
	return HS_SOFT_NEXT;
}

/* pmovmskb and pextrw: to a general register. */
static enum hs_soft_flow execute_to_general(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	struct call call = { 0 };

	if (!hs_soft_mmx_usable(cpu)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_mmx_enter(cpu);
	call.source = hs_get_le64(hs_soft_mm(cpu, op->operand[1].reg));
	hs_soft_set_reg(cpu, op->operand[0].reg, 4, run_native(op, &call));
	return HS_SOFT_NEXT;
}

/* ---- Native code ---- */

#define CODE_MAX 32u

struct code {
	uint8_t bytes[CODE_MAX];
	size_t length;
};

static void append(struct code *code, const void *bytes, size_t length)
{
	memcpy(code->bytes + code->length, bytes, length);
	code->length += length;
}

/* modrm with register operands; reg: the middle field. */
static uint8_t registers(uint8_t reg, uint8_t rm)
{
	return (uint8_t)(0xc0 | reg << 3 | rm);
}

static uint8_t modrm_of(const ZydisDecodedInstruction *insn, const struct hs_soft_op *op)
{
	if (op->execute == execute_unary) {
		return registers(insn->raw.modrm.reg, 0); /* the field is part of the opcode */
	}
	/* mm0 and mm1; of pinsrw mm0 and eax, of pmovmskb and pextrw eax and mm1. */
	return registers(0, insn->mnemonic == ZYDIS_MNEMONIC_PINSRW ? 0 : 1);
}

/* The instruction, on registers of ours. */
static void append_instruction(struct code *code, const ZydisDecodedInstruction *insn, const struct hs_soft_op *op)
{
	uint8_t bytes[5] = { 0x0f };
	size_t length = 1;

	if (insn->opcode_map != ZYDIS_OPCODE_MAP_0F) {
		bytes[length++] = insn->opcode_map == ZYDIS_OPCODE_MAP_0F38 ? 0x38 : 0x3a;
	}
	bytes[length++] = insn->opcode;
	bytes[length++] = modrm_of(insn, op);
	if (insn->raw.imm[0].size) {
		bytes[length++] = (uint8_t)insn->raw.imm[0].value.u;
	}
	append(code, bytes, length);
}

static void make_native(const ZydisDecodedInstruction *insn, struct hs_soft_op *op)
{
	static const uint8_t before[] = {
		0x0f, 0x6f, 0x07,       /* movq (%rdi), %mm0 */
		0x0f, 0x6f, 0x4f, 0x08, /* movq 8(%rdi), %mm1 */
		0x8b, 0x47, 0x08,       /* mov 8(%rdi), %eax */
	};
	static const uint8_t behind[] = {
		0x0f, 0x7f, 0x07, /* movq %mm0, (%rdi) */
		0x0f, 0x77,       /* emms */
		0xc3,
	};
	struct code code = { 0 };

	append(&code, before, sizeof(before));
	append_instruction(&code, insn, op);
	append(&code, behind, sizeof(behind));
	op->immediate = (uintptr_t)hs_soft_native_code(code.bytes, code.length);
	if (op->immediate == 0) {
		op->execute = hs_soft_execute_no_room;
	}
}

/* ---- Selection ---- */

static bool select_move(ZydisMnemonic mnemonic, struct hs_soft_op *op)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_MOVD:
	case ZYDIS_MNEMONIC_MOVQ:
	case ZYDIS_MNEMONIC_MOVNTQ:
		op->execute = op->operand[0].kind == HS_SOFT_MMX ? execute_move_to : execute_move_from;
		return true;
	case ZYDIS_MNEMONIC_MOVQ2DQ:
		op->execute = execute_movq2dq;
		return true;
	case ZYDIS_MNEMONIC_MOVDQ2Q:
		op->execute = execute_movdq2q;
		return true;
	case ZYDIS_MNEMONIC_EMMS:
		op->execute = execute_emms;
		return true;
	default:
		return false;
	}
}

static bool select_computation(const ZydisDecodedInstruction *insn, struct hs_soft_op *op)
{
	if (insn->mnemonic == ZYDIS_MNEMONIC_MASKMOVQ || insn->meta.category == ZYDIS_CATEGORY_CONVERT) {
		return false;
	}
	if (op->operand[0].kind == HS_SOFT_GPR) {
		op->execute = execute_to_general;
	} else {
		op->execute = op->operand[1].kind == HS_SOFT_IMMEDIATE ? execute_unary : execute_binary;
	}
	make_native(insn, op);
	return true;
}

bool hs_soft_select_mmx(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	const ZydisDecodedInstruction *insn = &decoded->insn;
	bool has_mmx = op->operand[0].kind == HS_SOFT_MMX || op->operand[1].kind == HS_SOFT_MMX;

	if (insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
	    (!has_mmx && insn->mnemonic != ZYDIS_MNEMONIC_EMMS) || !hs_soft_isa_offered(insn->meta.isa_set)) {
		return false;
	}
	return select_move(insn->mnemonic, op) || select_computation(insn, op);
}
