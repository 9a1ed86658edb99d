/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shifts and rotates: shl, shr, sar, rol, ror, rcl, rcr, shld, shrd; and shlx, shrx, sarx, rorx, which set no flags.
 *
 * The count is taken modulo 32, or 64 for operands of 8 bytes; a count of zero leaves the flags alone, while the
 * destination is still written (SDM vol. 2B, SAL/SAR/SHL/SHR and RCL/RCR/ROL/ROR). OF is defined for a count of one
 * only; for others it is what the same formula on the result gives. AF is undefined for shifts. In all of this, what is
 * undefined is as AMD's CPUs do it.
 */
#include "vmm/soft/handler.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

enum operation { SHL, SHR, SAR, ROL, ROR, RCL, RCR };

HS_SOFT_INLINE unsigned int count_mask(unsigned int bytes)
{
	return bytes == 8 ? 63 : 31;
}

HS_SOFT_INLINE bool bit_of(uint64_t value, unsigned int bit)
{
	return value >> bit & 1;
}

/* OF of what goes to the right: whether the top two bits of the result differ. */
HS_SOFT_INLINE bool top_differs(uint64_t result, unsigned int bits)
{
	return bit_of(result ^ result << 1, bits - 1);
}

/* value is extended with zeroes, count from 1 to the mask, which may be more than an operand of 1 or 2 bytes has. */
HS_SOFT_INLINE uint64_t shift(struct hs_soft_cpu *cpu, enum operation operation, uint64_t value, unsigned int count,
			      unsigned int bytes)
{
	unsigned int bits = bytes * 8;
	uint64_t result;
	bool cf, of;

	if (operation == SHL) {
		uint64_t before = value << (count - 1); /* all but the last step */

		result = before << 1;
		cf = bit_of(before, bits - 1);
		of = cf ^ bit_of(result, bits - 1);
	} else if (operation == SHR) {
		uint64_t before = value >> (count - 1);

		result = before >> 1;
		cf = before & 1;
		of = top_differs(result, bits);
	} else {
		int64_t before = (int64_t)hs_soft_sign_extend(value, bytes) >> (count - 1);

		result = (uint64_t)(before >> 1);
		cf = before & 1;
		of = false;
	}
	hs_soft_flags_result(cpu, result, bytes, cf, of);
	hs_soft_flags_add_af(cpu);
	return result;
}

HS_SOFT_INLINE uint64_t rotate_left(uint64_t value, unsigned int count, unsigned int bits)
{
	return count == 0 ? value : value << count | value >> (bits - count);
}

/* CF and OF alone change. */
HS_SOFT_INLINE uint64_t rotate(struct hs_soft_cpu *cpu, enum operation operation, uint64_t value, unsigned int count,
			       unsigned int bytes)
{
	unsigned int bits = bytes * 8;
	uint64_t result;

	count %= bits;
	if (operation == ROL) {
		result = rotate_left(value, count, bits);
		hs_soft_set_cf_of(cpu, result & 1, bit_of(result, 0) ^ bit_of(result, bits - 1));
	} else {
		result = rotate_left(value, (bits - count) % bits, bits);
		hs_soft_set_cf_of(cpu, bit_of(result, bits - 1), top_differs(result, bits));
	}
	return result;
}

/* Through the carry: one bit at a time, since 65 bits fit nowhere and compilers hardly emit it. */
static uint64_t rotate_through_carry(struct hs_soft_cpu *cpu, enum operation operation, uint64_t value,
				     unsigned int count, unsigned int bytes)
{
	unsigned int top = bytes * 8 - 1;
	bool cf = hs_soft_cf(cpu);

	for (unsigned int i = 0; i < count; i++) {
		bool in = cf;

		if (operation == RCL) {
			cf = bit_of(value, top);
			value = hs_soft_zero_extend(value << 1 | in, bytes);
		} else {
			cf = value & 1;
			value = value >> 1 | (uint64_t)in << top;
		}
	}
	hs_soft_set_cf_of(cpu, cf, operation == RCL ? cf ^ bit_of(value, top) : top_differs(value, top + 1));
	return value;
}

HS_SOFT_INLINE uint64_t compute(struct hs_soft_cpu *cpu, enum operation operation, uint64_t value, unsigned int count,
				unsigned int bytes)
{
	switch (operation) {
	case SHL:
	case SHR:
	case SAR:
		return shift(cpu, operation, value, count, bytes);
	case ROL:
	case ROR:
		return rotate(cpu, operation, value, count, bytes);
	default:
		return rotate_through_carry(cpu, operation, value, count, bytes);
	}
}

HS_SOFT_INLINE enum hs_soft_flow any_operands(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
					      enum operation operation)
{
	unsigned int bytes = op->operand[0].bytes;
	unsigned int count;
	uint64_t value;

	if (!hs_soft_get_rw(cpu, op, 0, &value)) {
		return HS_SOFT_FAULT;
	}
	count = (unsigned int)(op->operand[1].kind == HS_SOFT_GPR ? cpu->r[HS_RCX] : op->immediate) & count_mask(bytes);
	if (count != 0) {
		value = compute(cpu, operation, value, count, bytes);
	}
	hs_soft_put(cpu, op, 0, value);
	return HS_SOFT_NEXT;
}

HS_SOFT_INLINE enum hs_soft_flow register_by(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
					     enum operation operation, uint64_t count, unsigned int bytes)
{
	unsigned int reg = op->operand[0].reg;
	uint64_t value = hs_soft_reg(cpu, reg, bytes);

	count &= count_mask(bytes);
	if (HS_SOFT_LIKELY(count != 0)) {
		value = compute(cpu, operation, value, (unsigned int)count, bytes);
	}
	hs_soft_set_reg(cpu, reg, bytes, value);
	return HS_SOFT_NEXT;
}

#define HANDLERS(operation)                                                                                            \
	HS_SOFT_HANDLER(operation, any_operands(cpu, op, operation))                                                   \
	HS_SOFT_HANDLER(operation##_imm_4, register_by(cpu, op, operation, op->immediate, 4))                          \
	HS_SOFT_HANDLER(operation##_imm_8, register_by(cpu, op, operation, op->immediate, 8))                          \
	HS_SOFT_HANDLER(operation##_cl_4, register_by(cpu, op, operation, cpu->r[HS_RCX], 4))                          \
	HS_SOFT_HANDLER(operation##_cl_8, register_by(cpu, op, operation, cpu->r[HS_RCX], 8))

HANDLERS(SHL)
HANDLERS(SHR)
HANDLERS(SAR)
HANDLERS(ROL)
HANDLERS(ROR)
HS_SOFT_HANDLER(RCL, any_operands(cpu, op, RCL))
HS_SOFT_HANDLER(RCR, any_operands(cpu, op, RCR))

/* Of one instruction: on registers of 4 and 8 bytes by an immediate and by cl, and everything else. */
struct handlers {
	ZydisMnemonic mnemonic;
	hs_soft_handler *any, *imm_4, *imm_8, *cl_4, *cl_8;
};

#define ROW(mnemonic, name)                                                                                            \
	{                                                                                                              \
		mnemonic, execute_##name, execute_##name##_imm_4, execute_##name##_imm_8, execute_##name##_cl_4,       \
			execute_##name##_cl_8                                                                          \
	}

/* ---- Double shifts ---- */

/*
 * More than 16 for operands of 2 bytes is undefined: what comes in behind the source then is the source again, without
 * a carry.
 */
HS_SOFT_INLINE uint64_t compute_double(struct hs_soft_cpu *cpu, uint64_t a, uint64_t b, unsigned int count,
				       unsigned int bytes, bool left)
{
	unsigned int bits = bytes * 8;
	bool beyond = count > bits;
	unsigned int steps = beyond ? count - bits : count;
	uint64_t from = beyond ? b : a;
	uint64_t result;
	bool cf, of;

	if (left) {
		result = from << steps | b >> (bits - steps);
		cf = !beyond && bit_of(from, bits - steps);
		of = cf ^ (count < bits && bit_of(result, bits - 1));
	} else {
		result = from >> steps | b << (bits - steps);
		cf = !beyond && bit_of(from, steps - 1);
		of = top_differs(result, bits);
	}
	hs_soft_flags_result(cpu, result, bytes, cf, of);
	hs_soft_flags_add_af(cpu);
	return result;
}

HS_SOFT_INLINE enum hs_soft_flow shift_double(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool left)
{
	unsigned int bytes = op->operand[0].bytes;
	unsigned int count;
	uint64_t a, b;

	if (!hs_soft_get_rw(cpu, op, 0, &a)) {
		return HS_SOFT_FAULT;
	}
	b = hs_soft_reg(cpu, op->operand[1].reg, bytes);
	count = (unsigned int)(op->operand[2].kind == HS_SOFT_GPR ? cpu->r[HS_RCX] : op->immediate) & count_mask(bytes);
	hs_soft_put(cpu, op, 0, count == 0 ? a : compute_double(cpu, a, b, count, bytes, left));
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(shld, shift_double(cpu, op, true))
HS_SOFT_HANDLER(shrd, shift_double(cpu, op, false))

/* ---- Without flags ---- */

HS_SOFT_INLINE enum hs_soft_flow shift_apart(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
					     enum operation operation)
{
	unsigned int bytes = op->operand[0].bytes;
	unsigned int count;
	uint64_t value;

	if (!hs_soft_get(cpu, op, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	count = (unsigned int)(operation == ROR ? op->immediate : cpu->r[op->operand[2].reg]) & count_mask(bytes);
	switch (operation) {
	case SHL:
		value <<= count;
		break;
	case SHR:
		value >>= count;
		break;
	case SAR:
		value = (uint64_t)((int64_t)hs_soft_sign_extend(value, bytes) >> count);
		break;
	default:
		value = rotate_left(value, (bytes * 8 - count) % (bytes * 8), bytes * 8);
	}
	hs_soft_set_reg(cpu, op->operand[0].reg, bytes, value);
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(shlx, shift_apart(cpu, op, SHL))
HS_SOFT_HANDLER(shrx, shift_apart(cpu, op, SHR))
HS_SOFT_HANDLER(sarx, shift_apart(cpu, op, SAR))
HS_SOFT_HANDLER(rorx, shift_apart(cpu, op, ROR))

/* What has one handler for all its forms. */
static hs_soft_handler *other_handler(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_RCL:
		return execute_RCL;
	case ZYDIS_MNEMONIC_RCR:
		return execute_RCR;
	case ZYDIS_MNEMONIC_SHLD:
		return execute_shld;
	case ZYDIS_MNEMONIC_SHRD:
		return execute_shrd;
	case ZYDIS_MNEMONIC_SHLX:
		return execute_shlx;
	case ZYDIS_MNEMONIC_SHRX:
		return execute_shrx;
	case ZYDIS_MNEMONIC_SARX:
		return execute_sarx;
	case ZYDIS_MNEMONIC_RORX:
		return execute_rorx;
	default:
		return NULL;
	}
}

static hs_soft_handler *form_of(const struct handlers *handlers, const struct hs_soft_op *op)
{
	bool by_cl = op->operand[1].kind == HS_SOFT_GPR;

	if (op->operand[0].kind == HS_SOFT_GPR && op->operand[0].bytes == 4) {
		return by_cl ? handlers->cl_4 : handlers->imm_4;
	}
	if (op->operand[0].kind == HS_SOFT_GPR && op->operand[0].bytes == 8) {
		return by_cl ? handlers->cl_8 : handlers->imm_8;
	}
	return handlers->any;
}

bool hs_soft_select_shift(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	static const struct handlers handlers[] = {
		ROW(ZYDIS_MNEMONIC_SHL, SHL), ROW(ZYDIS_MNEMONIC_SHR, SHR), ROW(ZYDIS_MNEMONIC_SAR, SAR),
		ROW(ZYDIS_MNEMONIC_ROL, ROL), ROW(ZYDIS_MNEMONIC_ROR, ROR),
	};
	hs_soft_handler *execute = other_handler(decoded->insn.mnemonic);

	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]) && !execute; i++) {
		if (decoded->insn.mnemonic == handlers[i].mnemonic) {
			execute = form_of(&handlers[i], op);
		}
	}
	if (!execute) {
		return false;
	}
	op->execute = execute;
	return true;
}
