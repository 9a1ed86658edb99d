/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xsave and its family, xgetbv and xsetbv (SDM vol. 1 chapter 13). Components that lie in the area are x87, SSE and
 * AVX, and the last one is the only one behind the header: so the compacted format has all of them where the standard
 * format has them.
 *
 * XINUSE is XSTATE_BV of cpu->xsave: set by whoever changes a component, cleared when it is initialised as a whole.
 */
#include "vmm/soft/fpu.h"
#include "vmm/soft/isa.h"
#include "vmm/soft/mxcsr.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

#include "base/bytes.h"

#define ALIGNMENT 64u
#define LEGACY_BYTES HS_XSAVE_YMMH0 /* and the header */
#define AREA_BYTES (LEGACY_BYTES + HS_SOFT_REGISTERS_BYTES)
#define RESERVED_IN_HEADER (HS_XSAVE_XCOMP_BV + 8)
#define COMPACTED (UINT64_C(1) << 63)
#define MXCSR_INITIAL 0x1f80u

/* What a component has that XSTATE_BV leaves out (SDM vol. 1 13.6). */
static const uint8_t initial[AREA_BYTES] = { [HS_XSAVE_FCW] = 0x7f, [HS_XSAVE_FCW + 1] = 0x03 };

static bool is_zero(const uint8_t *bytes, size_t length)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
}

static bool is_initial_x87(const uint8_t *area)
{
	return memcmp(area, initial, HS_XSAVE_MXCSR) == 0 &&
	       memcmp(area + HS_XSAVE_ST0, initial + HS_XSAVE_ST0, HS_XSAVE_XMM0 - HS_XSAVE_ST0) == 0;
}

void hs_soft_settle_components(struct hs_soft_cpu *cpu, unsigned int components)
{
	uint8_t *used = cpu->xsave + HS_XSAVE_XSTATE_BV;

	if (!(*used & HS_SOFT_X87) && !is_initial_x87(cpu->xsave)) {
		*used |= HS_SOFT_X87;
	}
	if (!(*used & HS_SOFT_SSE) && !is_zero(hs_soft_xmm(cpu, 0), HS_SOFT_REGISTERS_BYTES)) {
		*used |= HS_SOFT_SSE;
	}
	if ((components & ~*used) & HS_SOFT_AVX) {
		memset(hs_soft_ymm_high(cpu, 0), 0, HS_SOFT_REGISTERS_BYTES);
	}
}

static bool switched_on(struct hs_soft_cpu *cpu)
{
	return (cpu->cr4 & HS_CR4_OSXSAVE) || hs_soft_fpu_refuse(cpu, false);
}

static bool usable(struct hs_soft_cpu *cpu)
{
	return switched_on(cpu) && (!(cpu->cr0 & HS_CR0_TS) || hs_soft_fpu_refuse(cpu, true));
}

/* RFBM, the components that are asked for and enabled. */
static uint64_t requested(const struct hs_soft_cpu *cpu)
{
	uint64_t asked = cpu->r[HS_RDX] << 32 | (uint32_t)cpu->r[HS_RAX];

	return asked & cpu->xcr0 & (HS_SOFT_X87 | HS_SOFT_SSE | HS_SOFT_AVX);
}

static uint64_t in_use(const struct hs_soft_cpu *cpu)
{
	return hs_get_le64(cpu->xsave + HS_XSAVE_XSTATE_BV);
}

/* Registers 8 to 15 are there in 64-bit mode only (SDM vol. 1 13.5.2, 13.5.3). */
static unsigned int registers_bytes(const struct hs_soft_cpu *cpu)
{
	return cpu->mode == HS_SOFT_MODE_64 ? 256 : 128;
}

/* The linear address of the area. */
static bool find_area(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int length, int prot,
		      uint64_t *ret)
{
	uint64_t gva;

	if (!hs_soft_linear(cpu, op->segment, hs_soft_ea(cpu, op), length, prot, &gva)) {
		return false;
	}
	if (gva % ALIGNMENT != 0) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
		return false;
	}
	*ret = gva;
	return true;
}

/* ---- Saving ---- */

/* One of xsave's kinds, when all of the area can be written. */
struct save {
	uint64_t gva;
	uint64_t components; /* whose registers are stored */
	bool mxcsr;
	bool wide; /* REX.W: offsets of the x87 FPU have 64 bits */
};

static void store(struct hs_soft_cpu *cpu, const struct save *save, unsigned int offset, unsigned int length,
		  const void *bytes)
{
	(void)hs_soft_linear_store(cpu, cpu->space, save->gva + offset, length, bytes);
}

static void store_components(struct hs_soft_cpu *cpu, const struct save *save)
{
	uint8_t image[HS_XSAVE_XMM0];

	if (save->components & HS_SOFT_X87) {
		hs_soft_get_x87_image(cpu, save->wide, image);
		store(cpu, save, 0, HS_XSAVE_MXCSR, image);
		store(cpu, save, HS_XSAVE_ST0, HS_XSAVE_XMM0 - HS_XSAVE_ST0, image + HS_XSAVE_ST0);
	}
	if (save->mxcsr) {
		hs_put_le32(image, hs_soft_mxcsr_get(cpu));
		hs_put_le32(image + 4, HS_SOFT_MXCSR_MASK);
		store(cpu, save, HS_XSAVE_MXCSR, 8, image);
	}
	if (save->components & HS_SOFT_SSE) {
		store(cpu, save, HS_XSAVE_XMM0, registers_bytes(cpu), hs_soft_xmm(cpu, 0));
	}
	if (save->components & HS_SOFT_AVX) {
		store(cpu, save, HS_XSAVE_YMMH0, registers_bytes(cpu), hs_soft_ymm_high(cpu, 0));
	}
}

static bool can_save(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, struct save *ret)
{
	unsigned int length = requested(cpu) & HS_SOFT_AVX ? AREA_BYTES : LEGACY_BYTES;

	if (!usable(cpu) || !find_area(cpu, op, length, HS_PROT_WRITE, &ret->gva) ||
	    !hs_soft_linear_check(cpu, cpu->space, ret->gva, length, HS_PROT_WRITE)) {
		return false;
	}
	ret->wide = op->bytes == 8;
	return true;
}

/* In the header only the bits that were asked for change. */
static enum hs_soft_flow save_standard(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, uint64_t components)
{
	uint64_t wanted = requested(cpu);
	struct save save = { .components = components & wanted, .mxcsr = wanted & HS_SOFT_AVX_STATE };
	uint8_t header[8];

	if (!can_save(cpu, op, &save) ||
	    !hs_soft_linear_load(cpu, cpu->space, save.gva + HS_XSAVE_XSTATE_BV, sizeof(header), header)) {
		return HS_SOFT_FAULT;
	}
	hs_put_le64(header, (hs_get_le64(header) & ~wanted) | (in_use(cpu) & wanted));
	store_components(cpu, &save);
	store(cpu, &save, HS_XSAVE_XSTATE_BV, sizeof(header), header);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_xsave(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return save_standard(cpu, op, UINT64_MAX);
}

/* Without the optimisation for what has not been modified: a CPU may always do without it (SDM vol. 1 13.9). */
static enum hs_soft_flow execute_xsaveopt(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return save_standard(cpu, op, in_use(cpu));
}

/* MXCSR belongs to SSE here, which it makes be in use (SDM vol. 1 13.10). */
static enum hs_soft_flow execute_xsavec(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t wanted = requested(cpu);
	uint64_t used = in_use(cpu) | (hs_soft_mxcsr_get(cpu) != MXCSR_INITIAL ? HS_SOFT_SSE : 0);
	struct save save = { .components = used & wanted, .mxcsr = used & wanted & HS_SOFT_SSE };
	uint8_t header[16];

	if (!can_save(cpu, op, &save)) {
		return HS_SOFT_FAULT;
	}
	hs_put_le64(header, save.components);
	hs_put_le64(header + 8, COMPACTED | wanted);
	store_components(cpu, &save);
	store(cpu, &save, HS_XSAVE_XSTATE_BV, sizeof(header), header);
	return HS_SOFT_NEXT;
}

/* ---- Restoring ---- */

/* SDM vol. 1 13.8.1, 13.8.2: of the compacted format, more of the header is reserved. */
static bool is_valid_header(const struct hs_soft_cpu *cpu, const uint8_t *area)
{
	uint64_t saved = hs_get_le64(area + HS_XSAVE_XSTATE_BV);
	uint64_t format = hs_get_le64(area + HS_XSAVE_XCOMP_BV);

	if (format & COMPACTED) {
		format &= ~COMPACTED;
		return !(format & ~cpu->xcr0) && !(saved & ~format) &&
		       is_zero(area + RESERVED_IN_HEADER, LEGACY_BYTES - RESERVED_IN_HEADER);
	}
	return !(saved & ~cpu->xcr0) && is_zero(area + HS_XSAVE_XCOMP_BV, 16);
}

/* Registers that the mode does not have stay, and with them the component is in use. */
static void put_registers(struct hs_soft_cpu *cpu, enum hs_soft_component component, const uint8_t *from, uint8_t *to,
			  bool restored)
{
	memcpy(to, from, registers_bytes(cpu));
	hs_soft_mark_component(cpu, component);
	if (!restored && is_zero(to, HS_SOFT_REGISTERS_BYTES)) {
		cpu->xsave[HS_XSAVE_XSTATE_BV] &= (uint8_t)~component;
	}
}

static void put_components(struct hs_soft_cpu *cpu, uint64_t wanted, uint64_t restored, bool wide, const uint8_t *area)
{
	const uint8_t *from = restored & HS_SOFT_X87 ? area : initial;

	if (wanted & HS_SOFT_X87) {
		hs_soft_put_x87_image(cpu, wide, from);
	}
	if (wanted & ~restored & HS_SOFT_X87) {
		cpu->xsave[HS_XSAVE_XSTATE_BV] &= (uint8_t)~HS_SOFT_X87;
	}
	if (wanted & HS_SOFT_SSE) {
		from = restored & HS_SOFT_SSE ? area : initial;
		put_registers(cpu, HS_SOFT_SSE, from + HS_XSAVE_XMM0, hs_soft_xmm(cpu, 0), restored & HS_SOFT_SSE);
	}
	if (wanted & HS_SOFT_AVX) {
		from = restored & HS_SOFT_AVX ? area : initial;
		put_registers(cpu, HS_SOFT_AVX, from + HS_XSAVE_YMMH0, hs_soft_ymm_high(cpu, 0),
			      restored & HS_SOFT_AVX);
	}
}

/*
 * The standard format has MXCSR whatever XSTATE_BV says; the compacted one counts it to SSE. False: there is none to
 * be loaded.
 */
static bool mxcsr_of(const uint8_t *area, uint64_t wanted, uint64_t restored, uint32_t *ret)
{
	*ret = hs_get_le32(area + HS_XSAVE_MXCSR);
	if (!(hs_get_le64(area + HS_XSAVE_XCOMP_BV) & COMPACTED)) {
		return wanted & HS_SOFT_AVX_STATE;
	}
	if (!(restored & HS_SOFT_SSE)) {
		*ret = MXCSR_INITIAL;
	}
	return wanted & HS_SOFT_SSE;
}

static enum hs_soft_flow execute_xrstor(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t wanted = requested(cpu), restored, gva;
	uint8_t area[AREA_BYTES];
	uint32_t mxcsr;
	bool has_mxcsr;

	if (!usable(cpu) || !find_area(cpu, op, LEGACY_BYTES, HS_PROT_READ, &gva) ||
	    !hs_soft_linear_load(cpu, cpu->space, gva, LEGACY_BYTES, area)) {
		return HS_SOFT_FAULT;
	}
	if (!is_valid_header(cpu, area)) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	restored = wanted & hs_get_le64(area + HS_XSAVE_XSTATE_BV);
	if ((restored & HS_SOFT_AVX) && (!find_area(cpu, op, AREA_BYTES, HS_PROT_READ, &gva) ||
					 !hs_soft_linear_load(cpu, cpu->space, gva + HS_XSAVE_YMMH0,
							      HS_SOFT_REGISTERS_BYTES, area + HS_XSAVE_YMMH0))) {
		return HS_SOFT_FAULT;
	}
	has_mxcsr = mxcsr_of(area, wanted, restored, &mxcsr);
	if (has_mxcsr && (mxcsr & ~HS_SOFT_MXCSR_MASK)) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	put_components(cpu, wanted, restored, op->bytes == 8, area);
	if (has_mxcsr) {
		hs_soft_mxcsr_put(cpu, mxcsr);
	}
	return HS_SOFT_NEXT;
}

/* ---- XCR0 ---- */

static enum hs_soft_flow execute_xgetbv(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	if (!switched_on(cpu)) {
		return HS_SOFT_FAULT;
	}
	if ((uint32_t)cpu->r[HS_RCX] != 0) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	cpu->r[HS_RAX] = (uint32_t)cpu->xcr0;
	cpu->r[HS_RDX] = cpu->xcr0 >> 32;
	return HS_SOFT_NEXT;
}

/* x87 cannot be switched off, and AVX is nothing without SSE (SDM vol. 1 13.3). */
static enum hs_soft_flow execute_xsetbv(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value = cpu->r[HS_RDX] << 32 | (uint32_t)cpu->r[HS_RAX];

	(void)op;
	if (!switched_on(cpu)) {
		return HS_SOFT_FAULT;
	}
	if (cpu->cpl != 0 || (uint32_t)cpu->r[HS_RCX] != 0 || (value & ~hs_soft_xcr0_offered()) ||
	    !(value & HS_SOFT_X87) || (value & HS_SOFT_AVX_STATE) == HS_SOFT_AVX) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	cpu->xcr0 = value;
	return HS_SOFT_NEXT;
}

/* ---- Selection ---- */

bool hs_soft_select_xsave(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	static const struct {
		ZydisMnemonic mnemonic;
		enum hs_soft_flow (*execute)(struct hs_soft_cpu *cpu, const struct hs_soft_op *op);
	} handlers[] = {
		{ ZYDIS_MNEMONIC_XSAVE, execute_xsave },       { ZYDIS_MNEMONIC_XSAVE64, execute_xsave },
		{ ZYDIS_MNEMONIC_XSAVEOPT, execute_xsaveopt }, { ZYDIS_MNEMONIC_XSAVEOPT64, execute_xsaveopt },
		{ ZYDIS_MNEMONIC_XSAVEC, execute_xsavec },     { ZYDIS_MNEMONIC_XSAVEC64, execute_xsavec },
		{ ZYDIS_MNEMONIC_XRSTOR, execute_xrstor },     { ZYDIS_MNEMONIC_XRSTOR64, execute_xrstor },
		{ ZYDIS_MNEMONIC_XGETBV, execute_xgetbv },     { ZYDIS_MNEMONIC_XSETBV, execute_xsetbv },
	};

	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (decoded->insn.mnemonic == handlers[i].mnemonic) {
			op->execute = handlers[i].execute;
			return hs_soft_isa_offered(decoded->insn.meta.isa_set);
		}
	}
	return false;
}
