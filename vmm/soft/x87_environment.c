/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The x87 state in memory as the 80287 and the 80387 had it: fnstenv, fldenv, fnsave, frstor. With a 32-bit operand
 * size 28 bytes, with a 16-bit one 14, then the registers (SDM vol. 1 8.1.10). The selectors of the pointers are zero:
 * a CPU that deprecates FCS and FDS has no others.
 */
#include "vmm/soft/fpu.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"
#include "vmm/soft/x87.h"

#include "base/bytes.h"

#define ENVIRONMENT_MAX 28u
#define REGISTERS_BYTES (HS_X87_REGISTERS * HS_X87_REGISTER_BYTES)
#define STATE_MAX (ENVIRONMENT_MAX + REGISTERS_BYTES)

/* Where things are in an environment: control, status and tag word come first, each `unit` apart. */
struct layout {
	uint8_t unit; /* of the words: 2 or 4 */
	uint8_t fip, fdp;
	uint8_t bytes;
};

static const struct layout narrow = { .unit = 2, .fip = 6, .fdp = 10, .bytes = 14 };
static const struct layout wide = { .unit = 4, .fip = 12, .fdp = 20, .bytes = ENVIRONMENT_MAX };
/* With a 32-bit operand size only. */
#define WIDE_FOP 18u
#define WIDE_FDS 24u

static const struct layout *layout_of(const struct hs_soft_op *op)
{
	return op->bytes == 2 ? &narrow : &wide;
}

static void put_pointer(uint8_t *to, const struct layout *layout, const uint8_t *from)
{
	memcpy(to, from, layout->unit);
}

/* host: what FNSTENV writes here with a 32-bit operand size; only the pointers are not the guest's. */
static void put_environment(const struct hs_soft_cpu *cpu, const struct layout *layout, const uint8_t *host,
			    uint8_t *ret)
{
	memset(ret, 0, layout->bytes);
	for (unsigned int i = 0; i < 3; i++) {
		memcpy(ret + (size_t)i * layout->unit, host + (size_t)i * 4, layout->unit);
	}
	put_pointer(ret + layout->fip, layout, cpu->xsave + HS_XSAVE_FIP);
	put_pointer(ret + layout->fdp, layout, cpu->xsave + HS_XSAVE_FDP);
	if (layout == &wide) {
		memcpy(ret + WIDE_FOP, cpu->xsave + HS_XSAVE_FOP, 2);
		memcpy(ret + WIDE_FDS + 2, host + WIDE_FDS + 2, 2);
	}
}

/* What both stores do first; *ret_at is where the operand is. */
static bool can_store(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes, uint64_t *ret_at)
{
	*ret_at = hs_soft_ea(cpu, op);
	if (!hs_soft_x87_usable(cpu) || !hs_soft_check_store(cpu, op->segment, *ret_at, bytes)) {
		return false;
	}
	hs_soft_x87_enter(cpu);
	return true;
}

static enum hs_soft_flow execute_fnstenv(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	const struct layout *layout = layout_of(op);
	uint8_t host[ENVIRONMENT_MAX], image[ENVIRONMENT_MAX];
	uint64_t at;

	if (!can_store(cpu, op, layout->bytes, &at)) {
		return HS_SOFT_FAULT;
	}
	__asm__ volatile("fnstenv %0" : "=m"(host)); /* and masks all exceptions */
	cpu->x87.unmasked = cpu->x87.pending = false;
	put_environment(cpu, layout, host, image);
	(void)hs_soft_store_bytes(cpu, op->segment, at, layout->bytes, image);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_fnsave(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	const struct layout *layout = layout_of(op);
	unsigned int bytes = layout->bytes + REGISTERS_BYTES;
	uint8_t host[STATE_MAX], image[STATE_MAX];
	uint64_t at;

	if (!can_store(cpu, op, bytes, &at)) {
		return HS_SOFT_FAULT;
	}
	__asm__ volatile("fnsave %0" : "=m"(host)); /* and does what FNINIT does */
	put_environment(cpu, layout, host, image);
	memcpy(image + layout->bytes, host + ENVIRONMENT_MAX, REGISTERS_BYTES);
	hs_soft_x87_initialised(cpu);
	(void)hs_soft_store_bytes(cpu, op->segment, at, bytes, image);
	return HS_SOFT_NEXT;
}

static bool load(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes, uint8_t *ret)
{
	if (!hs_soft_x87_usable(cpu)) {
		return false;
	}
	hs_soft_x87_enter(cpu);
	return hs_soft_x87_waited(cpu) && hs_soft_load_bytes(cpu, op->segment, hs_soft_ea(cpu, op), bytes, ret);
}

/* What the host is to load by FLDENV or FRSTOR with a 32-bit operand size; the guest's pointers are set here. */
static void take_environment(struct hs_soft_cpu *cpu, const struct layout *layout, const uint8_t *image, uint8_t *ret)
{
	uint8_t *to = cpu->xsave;

	memset(ret, 0, ENVIRONMENT_MAX);
	for (unsigned int i = 0; i < 3; i++) {
		memcpy(ret + (size_t)i * 4, image + (size_t)i * layout->unit, 2);
	}
	hs_put_le16(to + HS_XSAVE_FOP, layout == &wide ? hs_get_le16(image + WIDE_FOP) & HS_FOP_MASK : 0);
	hs_put_le64(to + HS_XSAVE_FIP, hs_get_le(image + layout->fip, layout->unit));
	hs_put_le64(to + HS_XSAVE_FDP, hs_get_le(image + layout->fdp, layout->unit));
	/* Without CR0.NE it may still pend, and the host would report it. */
	__asm__ volatile("fnclex");
}

static enum hs_soft_flow execute_fldenv(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	const struct layout *layout = layout_of(op);
	uint8_t image[ENVIRONMENT_MAX], host[ENVIRONMENT_MAX];

	if (!load(cpu, op, layout->bytes, image)) {
		return HS_SOFT_FAULT;
	}
	take_environment(cpu, layout, image, host);
	__asm__ volatile("fldenv %0" : : "m"(host));
	hs_soft_x87_loaded(cpu);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_frstor(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	const struct layout *layout = layout_of(op);
	uint8_t image[STATE_MAX], host[STATE_MAX];

	if (!load(cpu, op, layout->bytes + REGISTERS_BYTES, image)) {
		return HS_SOFT_FAULT;
	}
	take_environment(cpu, layout, image, host);
	memcpy(host + ENVIRONMENT_MAX, image + layout->bytes, REGISTERS_BYTES);
	__asm__ volatile("frstor %0" : : "m"(host));
	hs_soft_x87_loaded(cpu);
	return HS_SOFT_NEXT;
}

/* ---- Selection ---- */

bool hs_soft_select_x87_environment(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_FNSTENV:
		op->execute = execute_fnstenv;
		return true;
	case ZYDIS_MNEMONIC_FLDENV:
		op->execute = execute_fldenv;
		return true;
	case ZYDIS_MNEMONIC_FNSAVE:
		op->execute = execute_fnsave;
		return true;
	case ZYDIS_MNEMONIC_FRSTOR:
		op->execute = execute_frstor;
		return true;
	default:
		return false;
	}
}
