/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may not touch the x87, SSE and AVX state now; x87 and SSE as a whole, and MXCSR: fxsave, fxrstor, ldmxcsr,
 * stmxcsr, also by VEX.
 */
#include "vmm/soft/fpu.h"
#include "vmm/soft/isa.h"
#include "vmm/soft/mxcsr.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"
#include "vmm/soft/x87.h"

#include "arch/exception.h"
#include "base/bytes.h"

#define FXSAVE_BYTES 512u

/* ---- Gates ---- */

bool hs_soft_fpu_refuse(struct hs_soft_cpu *cpu, bool enabled)
{
	hs_soft_raise(cpu, enabled ? HS_VECTOR_NM : HS_VECTOR_UD, 0);
	return false;
}

bool hs_soft_sse_refuse(struct hs_soft_cpu *cpu)
{
	return hs_soft_fpu_refuse(cpu, !(cpu->cr0 & HS_CR0_EM) && (cpu->cr4 & HS_CR4_OSFXSR));
}

bool hs_soft_avx_refuse(struct hs_soft_cpu *cpu)
{
	return hs_soft_fpu_refuse(cpu, hs_soft_avx_enabled(cpu));
}

/* ---- fxsave, fxrstor ---- */

/* Whether the state may be moved to or from the operand: *ret is its linear address, and all of it can be reached. */
static bool fx_usable(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, int prot, uint64_t *ret)
{
	return hs_soft_fx_usable(cpu) &&
	       hs_soft_linear_aligned(cpu, op->segment, hs_soft_ea(cpu, op), FXSAVE_BYTES, 16, prot, ret) &&
	       hs_soft_linear_check(cpu, cpu->space, *ret, FXSAVE_BYTES, prot);
}

/* XMM8 to 15 are there in 64-bit mode only. Bytes behind the registers are never written. */
static unsigned int registers_end(const struct hs_soft_cpu *cpu)
{
	return HS_XSAVE_XMM0 + (cpu->mode == HS_SOFT_MODE_64 ? 16 : 8) * 16;
}

void hs_soft_get_x87_image(struct hs_soft_cpu *cpu, bool wide, uint8_t *ret)
{
	hs_soft_x87_park(cpu);
	memcpy(ret, cpu->xsave, HS_XSAVE_XMM0);
	if (!wide) {
		/* Selectors beside the 32-bit offsets: a CPU that deprecates FCS and FDS has zeroes. */
		hs_put_le32(ret + HS_XSAVE_FIP + 4, 0);
		hs_put_le32(ret + HS_XSAVE_FDP + 4, 0);
	}
}

static enum hs_soft_flow execute_fxsave(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint8_t image[FXSAVE_BYTES];
	uint64_t gva;

	if (!fx_usable(cpu, op, HS_PROT_WRITE, &gva)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_get_x87_image(cpu, op->bytes == 8, image);
	hs_put_le32(image + HS_XSAVE_MXCSR, hs_soft_mxcsr_get(cpu));
	hs_put_le32(image + HS_XSAVE_MXCSR_MASK, HS_SOFT_MXCSR_MASK);
	memcpy(image + HS_XSAVE_XMM0, hs_soft_xmm(cpu, 0), registers_end(cpu) - HS_XSAVE_XMM0);
	(void)hs_soft_linear_store(cpu, cpu->space, gva, registers_end(cpu), image);
	return HS_SOFT_NEXT;
}

void hs_soft_put_x87_image(struct hs_soft_cpu *cpu, bool wide, const uint8_t *image)
{
	uint8_t *to = cpu->xsave;

	hs_soft_x87_park(cpu);
	hs_soft_x87_put_words(cpu, hs_get_le16(image + HS_XSAVE_FCW), hs_get_le16(image + HS_XSAVE_FSW));
	to[HS_XSAVE_FTW] = image[HS_XSAVE_FTW];
	hs_put_le16(to + HS_XSAVE_FOP, hs_get_le16(image + HS_XSAVE_FOP) & HS_FOP_MASK);
	hs_put_le64(to + HS_XSAVE_FIP, 0);
	hs_put_le64(to + HS_XSAVE_FDP, 0);
	memcpy(to + HS_XSAVE_FIP, image + HS_XSAVE_FIP, wide ? 8 : 4);
	memcpy(to + HS_XSAVE_FDP, image + HS_XSAVE_FDP, wide ? 8 : 4);
	for (unsigned int i = 0; i < HS_X87_REGISTERS; i++) {
		memcpy(to + HS_XSAVE_ST0 + i * 16, image + HS_XSAVE_ST0 + i * 16, HS_X87_REGISTER_BYTES);
	}
}

static enum hs_soft_flow execute_fxrstor(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint8_t image[FXSAVE_BYTES];
	uint64_t gva;

	if (!fx_usable(cpu, op, HS_PROT_READ, &gva) ||
	    !hs_soft_linear_load(cpu, cpu->space, gva, FXSAVE_BYTES, image)) {
		return HS_SOFT_FAULT;
	}
	if (hs_get_le32(image + HS_XSAVE_MXCSR) & ~HS_SOFT_MXCSR_MASK) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	hs_soft_put_x87_image(cpu, op->bytes == 8, image);
	hs_soft_mxcsr_put(cpu, hs_get_le32(image + HS_XSAVE_MXCSR));
	memcpy(hs_soft_xmm(cpu, 0), image + HS_XSAVE_XMM0, registers_end(cpu) - HS_XSAVE_XMM0);
	hs_soft_mark_component(cpu, HS_SOFT_SSE);
	return HS_SOFT_NEXT;
}

/* ---- MXCSR ---- */

/* op->aux: whether it is encoded by VEX. */
static bool mxcsr_usable(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return op->aux ? hs_soft_avx_usable(cpu) : hs_soft_sse_usable(cpu);
}

static enum hs_soft_flow execute_ldmxcsr(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	if (!mxcsr_usable(cpu, op) || !hs_soft_get(cpu, op, 0, &value)) {
		return HS_SOFT_FAULT;
	}
	if (value & ~(uint64_t)HS_SOFT_MXCSR_MASK) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	hs_soft_mxcsr_put(cpu, (uint32_t)value);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_stmxcsr(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value = hs_soft_mxcsr_get(cpu);

	return mxcsr_usable(cpu, op) && hs_soft_put(cpu, op, 0, value) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

/* ---- Selection ---- */

bool hs_soft_select_fpu_state(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	static const struct {
		ZydisMnemonic mnemonic;
		enum hs_soft_flow (*execute)(struct hs_soft_cpu *cpu, const struct hs_soft_op *op);
	} handlers[] = {
		{ ZYDIS_MNEMONIC_FXSAVE, execute_fxsave },    { ZYDIS_MNEMONIC_FXSAVE64, execute_fxsave },
		{ ZYDIS_MNEMONIC_FXRSTOR, execute_fxrstor },  { ZYDIS_MNEMONIC_FXRSTOR64, execute_fxrstor },
		{ ZYDIS_MNEMONIC_LDMXCSR, execute_ldmxcsr },  { ZYDIS_MNEMONIC_STMXCSR, execute_stmxcsr },
		{ ZYDIS_MNEMONIC_VLDMXCSR, execute_ldmxcsr }, { ZYDIS_MNEMONIC_VSTMXCSR, execute_stmxcsr },
	};
	bool is_vex = decoded->insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;

	if (is_vex && !hs_soft_isa_offered(decoded->insn.meta.isa_set)) {
		return false;
	}

	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (decoded->insn.mnemonic == handlers[i].mnemonic) {
			op->execute = handlers[i].execute;
			op->aux = is_vex;
			return true;
		}
	}
	return false;
}
