/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Conversions between MMX and SSE registers: cvtpi2ps, cvtpi2pd, cvtps2pi, cvttps2pi, cvtpd2pi, cvttpd2pi. They run
 * natively, as those of mmx.c do, and are governed by MXCSR.
 */
#include "vmm/soft/mmx.h"

#include "vmm/soft/handler.h"
#include "vmm/soft/isa.h"
#include "vmm/soft/mxcsr.h"
#include "vmm/soft/native.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"
#include "vmm/soft/x87.h"

#define XMM_BYTES 16u

/* What native code works on: mm0 and mm1, xmm0 and xmm1 come from here, and mm0 and xmm0 go there. */
struct call {
	uint64_t mm;
	uint8_t xmm[XMM_BYTES];
};

/* The source. */
static bool take_source(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, struct call *ret)
{
	const struct hs_soft_operand *operand = &op->operand[1];
	uint64_t gva;

	switch (operand->kind) {
	case HS_SOFT_MMX:
		ret->mm = hs_soft_mmx_read(cpu, operand->reg);
		return true;
	case HS_SOFT_XMM:
		memcpy(ret->xmm, hs_soft_xmm(cpu, operand->reg), XMM_BYTES);
		return true;
	default:
		break;
	}
	if (operand->bytes == XMM_BYTES) {
		return hs_soft_linear_aligned(cpu, op->segment, hs_soft_ea(cpu, op), XMM_BYTES, XMM_BYTES, HS_PROT_READ,
					      &gva) &&
		       hs_soft_linear_load(cpu, cpu->space, gva, XMM_BYTES, ret->xmm);
	}
	if (!hs_soft_get(cpu, op, 1, &ret->mm)) {
		return false;
	}
	memcpy(ret->xmm, &ret->mm, sizeof(ret->mm));
	return true;
}

static void run(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, struct call *call)
{
	hs_soft_x87_park(cpu);
	(void)((hs_soft_native_fn *)(uintptr_t)op->immediate)(call);
}

/* With exceptions that are not masked. */
static bool run_unmasked(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, struct call *call)
{
	uint32_t host = hs_soft_mxcsr_begin_masked(hs_soft_mxcsr_get(cpu));

	run(cpu, op, call);
	return hs_soft_mxcsr_meet(cpu, hs_soft_mxcsr_end_masked(host));
}

/* op->aux: it has an MMX register. From memory to an SSE register it has nothing to do with x87: CVTPI2PD by the SDM,
 * vol. 2A, CVTPI2PS as an AMD EPYC of family 26 has it. */
static enum hs_soft_flow execute_convert(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	bool to_xmm = op->operand[0].kind == HS_SOFT_XMM;
	uint8_t reg = op->operand[0].reg;
	struct call call = { 0 };

	if (!hs_soft_sse_usable(cpu) || (op->aux && !hs_soft_mmx_usable(cpu)) || !take_source(cpu, op, &call)) {
		return HS_SOFT_FAULT;
	}
	if (to_xmm) {
		memcpy(call.xmm, hs_soft_xmm(cpu, reg), XMM_BYTES); /* half of it may stay */
	}
	/* An exception that comes now does not take that back. */
	if (op->aux) {
		hs_soft_mmx_enter(cpu);
	}
	if (hs_soft_mxcsr_ready(cpu)) {
		run(cpu, op, &call);
	} else if (!run_unmasked(cpu, op, &call)) {
		return HS_SOFT_FAULT;
	}
	if (to_xmm) {
		memcpy(hs_soft_xmm(cpu, reg), call.xmm, XMM_BYTES);
		hs_soft_mark_component(cpu, HS_SOFT_SSE);
	} else {
		hs_soft_mmx_write(cpu, reg, call.mm);
	}
	return HS_SOFT_NEXT;
}

static bool is_conversion(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_CVTPI2PS:
	case ZYDIS_MNEMONIC_CVTPI2PD:
	case ZYDIS_MNEMONIC_CVTPS2PI:
	case ZYDIS_MNEMONIC_CVTTPS2PI:
	case ZYDIS_MNEMONIC_CVTPD2PI:
	case ZYDIS_MNEMONIC_CVTTPD2PI:
		return true;
	default:
		return false;
	}
}

static bool make_native(const ZydisDecodedInstruction *insn, struct hs_soft_op *op)
{
	static const uint8_t before[] = {
		0x0f, 0x6f, 0x07,       /* movq (%rdi), %mm0 */
		0x0f, 0x6f, 0xc8,       /* movq %mm0, %mm1 */
		0x0f, 0x10, 0x47, 0x08, /* movups 8(%rdi), %xmm0 */
		0x0f, 0x28, 0xc8,       /* movaps %xmm0, %xmm1 */
	};
	static const uint8_t behind[] = {
		0x0f, 0x7f, 0x07,       /* movq %mm0, (%rdi) */
		0x0f, 0x11, 0x47, 0x08, /* movups %xmm0, 8(%rdi) */
		0x0f, 0x77,             /* emms */
		0xc3,
	};
	/* 66 is part of the opcode of doubles. A prefix without a meaning stands before the other ones. */
	uint8_t prefix = insn->meta.isa_set == ZYDIS_ISA_SET_SSE2 ? 0x66 : 0x3e;
	const uint8_t instruction[] = { prefix, 0x0f, insn->opcode, 0xc1 };
	uint8_t code[sizeof(before) + sizeof(instruction) + sizeof(behind)];

	memcpy(code, before, sizeof(before));
	memcpy(code + sizeof(before), instruction, sizeof(instruction));
	memcpy(code + sizeof(before) + sizeof(instruction), behind, sizeof(behind));
	op->immediate = (uintptr_t)hs_soft_native_code(code, sizeof(code));
	return op->immediate != 0;
}

bool hs_soft_select_mmx_convert(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	if (!is_conversion(decoded->insn.mnemonic) || !hs_soft_isa_offered(decoded->insn.meta.isa_set)) {
		return false;
	}
	op->aux = op->operand[0].kind == HS_SOFT_MMX || op->operand[1].kind == HS_SOFT_MMX;
	op->execute = make_native(&decoded->insn, op) ? execute_convert : hs_soft_execute_no_room;
	return true;
}
