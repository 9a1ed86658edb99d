/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Multiplication and division: mul, imul, div, idiv, mulx; and what widens a dividend: cbw, cwde, cdqe, cwd, cdq, cqo.
 *
 * The double-width operand is rdx:rax, but for bytes ax (SDM vol. 2A table 3-15, DIV).
 */
#include "vmm/soft/handler.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

/* ---- The double-width register ---- */

HS_SOFT_INLINE unsigned __int128 get_double(const struct hs_soft_cpu *cpu, unsigned int bytes)
{
	if (bytes == 1) {
		return cpu->r[HS_RAX] & 0xffff;
	}
	return (unsigned __int128)hs_soft_reg(cpu, HS_RDX, bytes) << bytes * 8 | hs_soft_reg(cpu, HS_RAX, bytes);
}

HS_SOFT_INLINE void set_halves(struct hs_soft_cpu *cpu, unsigned int bytes, uint64_t high, uint64_t low)
{
	if (bytes == 1) {
		hs_soft_set_reg(cpu, HS_RAX, 2, (high & 0xff) << 8 | (low & 0xff));
	} else {
		hs_soft_set_reg(cpu, HS_RAX, bytes, low);
		hs_soft_set_reg(cpu, HS_RDX, bytes, high);
	}
}

/* ---- Multiplication. CF and OF: the product does not fit the single width. ---- */

static enum hs_soft_flow execute_mul(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = op->operand[0].bytes;
	unsigned __int128 product;
	uint64_t value, high;

	if (!hs_soft_get(cpu, op, 0, &value)) {
		return HS_SOFT_FAULT;
	}
	product = (unsigned __int128)hs_soft_reg(cpu, HS_RAX, bytes) * value;
	high = (uint64_t)(product >> bytes * 8);
	set_halves(cpu, bytes, high, (uint64_t)product);
	hs_soft_set_cf_of(cpu, high != 0, high != 0);
	return HS_SOFT_NEXT;
}

HS_SOFT_INLINE __int128 multiply_signed(struct hs_soft_cpu *cpu, uint64_t a, uint64_t b, unsigned int bytes)
{
	__int128 product = (__int128)(int64_t)hs_soft_sign_extend(a, bytes) * (int64_t)hs_soft_sign_extend(b, bytes);
	bool fits = product == (int64_t)hs_soft_sign_extend((uint64_t)product, bytes);

	hs_soft_set_cf_of(cpu, !fits, !fits);
	return product;
}

static enum hs_soft_flow execute_imul_double(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = op->operand[0].bytes;
	__int128 product;
	uint64_t value;

	if (!hs_soft_get(cpu, op, 0, &value)) {
		return HS_SOFT_FAULT;
	}
	product = multiply_signed(cpu, cpu->r[HS_RAX], value, bytes);
	set_halves(cpu, bytes, (uint64_t)(product >> bytes * 8), (uint64_t)product);
	return HS_SOFT_NEXT;
}

/* Operand 0 is the destination and with two operands a factor as well. */
HS_SOFT_INLINE enum hs_soft_flow multiply_single(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
						 bool by_immediate, unsigned int bytes)
{
	unsigned int reg = op->operand[0].reg;
	uint64_t value;

	if (!hs_soft_get(cpu, op, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	value = (uint64_t)multiply_signed(cpu, by_immediate ? op->immediate : cpu->r[reg], value, bytes);
	hs_soft_set_reg(cpu, reg, bytes, value);
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(imul_2, multiply_single(cpu, op, false, op->operand[0].bytes))
HS_SOFT_HANDLER(imul_2_4, multiply_single(cpu, op, false, 4))
HS_SOFT_HANDLER(imul_2_8, multiply_single(cpu, op, false, 8))
HS_SOFT_HANDLER(imul_3, multiply_single(cpu, op, true, op->operand[0].bytes))
HS_SOFT_HANDLER(imul_3_4, multiply_single(cpu, op, true, 4))
HS_SOFT_HANDLER(imul_3_8, multiply_single(cpu, op, true, 8))

static hs_soft_handler *imul_handler(const struct hs_soft_op *op)
{
	bool by_immediate = op->operand[2].kind == HS_SOFT_IMMEDIATE;

	if (op->operand[1].kind == HS_SOFT_NONE) {
		return execute_imul_double;
	}
	switch (op->operand[0].bytes) {
	case 4:
		return by_immediate ? execute_imul_3_4 : execute_imul_2_4;
	case 8:
		return by_immediate ? execute_imul_3_8 : execute_imul_2_8;
	default:
		return by_immediate ? execute_imul_3 : execute_imul_2;
	}
}

/* No flags; if both destinations are one register, it gets the upper half (SDM vol. 2B, MULX). */
static enum hs_soft_flow execute_mulx(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = op->operand[0].bytes;
	unsigned __int128 product;
	uint64_t value;

	if (!hs_soft_get(cpu, op, 2, &value)) {
		return HS_SOFT_FAULT;
	}
	product = (unsigned __int128)hs_soft_reg(cpu, HS_RDX, bytes) * value;
	hs_soft_set_reg(cpu, op->operand[1].reg, bytes, (uint64_t)product);
	hs_soft_set_reg(cpu, op->operand[0].reg, bytes, (uint64_t)(product >> bytes * 8));
	return HS_SOFT_NEXT;
}

/* ---- Division: #DE when the quotient does not fit. No flag is defined; these are AMD's. ---- */

static void set_division_flags(struct hs_soft_cpu *cpu)
{
	hs_soft_change_flags(cpu, HS_FLAG_SF | HS_FLAG_ZF | HS_FLAG_AF | HS_FLAG_PF, HS_FLAG_AF);
}

HS_SOFT_INLINE enum hs_soft_flow divide_unsigned(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
						 unsigned int bytes)
{
	unsigned __int128 dividend = get_double(cpu, bytes);
	uint64_t divisor;

	if (!hs_soft_get(cpu, op, 0, &divisor)) {
		return HS_SOFT_FAULT;
	}
	if (dividend >> bytes * 8 >= divisor) {
		return hs_soft_raise(cpu, HS_VECTOR_DE, 0);
	}
	if (dividend >> 64 == 0) {
		set_halves(cpu, bytes, (uint64_t)dividend % divisor, (uint64_t)dividend / divisor);
	} else {
		set_halves(cpu, bytes, (uint64_t)(dividend % divisor), (uint64_t)(dividend / divisor));
	}
	set_division_flags(cpu);
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(div, divide_unsigned(cpu, op, op->operand[0].bytes))
HS_SOFT_HANDLER(div_4, divide_unsigned(cpu, op, 4))
HS_SOFT_HANDLER(div_8, divide_unsigned(cpu, op, 8))

HS_SOFT_INLINE uint64_t with_sign(uint64_t magnitude, bool negative)
{
	return negative ? -magnitude : magnitude;
}

/* On magnitudes, since the most negative dividend has no positive twin; the remainder has the dividend's sign. */
static enum hs_soft_flow execute_idiv(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = op->operand[0].bytes;
	unsigned int bits = bytes * 8;
	unsigned __int128 dividend = get_double(cpu, bytes);
	bool negative = dividend >> (2 * bits - 1) & 1;
	uint64_t divisor, quotient, remainder;
	bool differ;

	if (!hs_soft_get(cpu, op, 0, &divisor)) {
		return HS_SOFT_FAULT;
	}
	differ = negative != (divisor >> (bits - 1) & 1);
	if (negative) {
		dividend = -dividend << (128 - 2 * bits) >> (128 - 2 * bits);
	}
	if (divisor >> (bits - 1)) {
		divisor = hs_soft_zero_extend(-divisor, bytes);
	}
	if (dividend >> bits >= divisor) {
		return hs_soft_raise(cpu, HS_VECTOR_DE, 0);
	}
	quotient = dividend >> 64 ? (uint64_t)(dividend / divisor) : (uint64_t)dividend / divisor;
	remainder = (uint64_t)dividend - quotient * divisor;
	if (quotient > (UINT64_C(1) << (bits - 1)) - !differ) {
		return hs_soft_raise(cpu, HS_VECTOR_DE, 0);
	}
	set_halves(cpu, bytes, with_sign(remainder, negative), with_sign(quotient, differ));
	set_division_flags(cpu);
	return HS_SOFT_NEXT;
}

static hs_soft_handler *div_handler(const struct hs_soft_op *op)
{
	switch (op->operand[0].bytes) {
	case 4:
		return execute_div_4;
	case 8:
		return execute_div_8;
	default:
		return execute_div;
	}
}

/* ---- Widening ---- */

/* rax from its lower half. */
HS_SOFT_INLINE enum hs_soft_flow widen_in_place(struct hs_soft_cpu *cpu, unsigned int bytes)
{
	hs_soft_set_reg(cpu, HS_RAX, bytes, hs_soft_sign_extend(cpu->r[HS_RAX], bytes / 2));
	return HS_SOFT_NEXT;
}

/* rdx from the sign of rax. */
HS_SOFT_INLINE enum hs_soft_flow widen_to_rdx(struct hs_soft_cpu *cpu, unsigned int bytes)
{
	hs_soft_set_reg(cpu, HS_RDX, bytes, hs_soft_sign_extend(cpu->r[HS_RAX], bytes) >> 63 ? UINT64_MAX : 0);
	return HS_SOFT_NEXT;
}

#define WIDEN(name, call)                                                                                              \
	static enum hs_soft_flow execute_##name(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)                  \
	{                                                                                                              \
		(void)op;                                                                                              \
		return call;                                                                                           \
	}

WIDEN(cbw, widen_in_place(cpu, 2))
WIDEN(cwde, widen_in_place(cpu, 4))
WIDEN(cdqe, widen_in_place(cpu, 8))
WIDEN(cwd, widen_to_rdx(cpu, 2))
WIDEN(cdq, widen_to_rdx(cpu, 4))
WIDEN(cqo, widen_to_rdx(cpu, 8))

static hs_soft_handler *handler_of(ZydisMnemonic mnemonic, const struct hs_soft_op *op)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_MUL:
		return execute_mul;
	case ZYDIS_MNEMONIC_IMUL:
		return imul_handler(op);
	case ZYDIS_MNEMONIC_MULX:
		return execute_mulx;
	case ZYDIS_MNEMONIC_DIV:
		return div_handler(op);
	case ZYDIS_MNEMONIC_IDIV:
		return execute_idiv;
	case ZYDIS_MNEMONIC_CBW:
		return execute_cbw;
	case ZYDIS_MNEMONIC_CWDE:
		return execute_cwde;
	case ZYDIS_MNEMONIC_CDQE:
		return execute_cdqe;
	case ZYDIS_MNEMONIC_CWD:
		return execute_cwd;
	case ZYDIS_MNEMONIC_CDQ:
		return execute_cdq;
	case ZYDIS_MNEMONIC_CQO:
		return execute_cqo;
	default:
		return NULL;
	}
}

bool hs_soft_select_multiply(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	hs_soft_handler *execute = handler_of(decoded->insn.mnemonic, op);

	if (!execute) {
		return false;
	}
	op->execute = execute;
	return true;
}
