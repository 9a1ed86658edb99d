/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Single bits and fields: bt, bts, btr, btc, bsf, bsr, tzcnt, lzcnt, popcnt, the rest of BMI1 and BMI2 (their shifts
 * and mulx are elsewhere), crc32.
 *
 * Flags that are undefined are as AMD's CPUs leave them.
 */
#include "vmm/soft/handler.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

/* ---- bt, bts, btr, btc: CF is the bit, the other flags stay ---- */

enum change { TEST, SET, RESET, COMPLEMENT };

HS_SOFT_INLINE uint64_t change_bit(enum change change, uint64_t value, uint64_t mask)
{
	switch (change) {
	case SET:
		return value | mask;
	case RESET:
		return value & ~mask;
	case COMPLEMENT:
		return value ^ mask;
	default:
		return value;
	}
}

/* The memory that a bit number in a register reaches: signed, in steps of the operand (SDM vol. 1 3.1.1.9). */
static uint64_t bit_string_offset(const struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = op->operand[0].bytes;
	int64_t bit = (int64_t)hs_soft_sign_extend(cpu->r[op->operand[1].reg], bytes);
	uint64_t steps = (uint64_t)(bit >> (bytes == 8 ? 6 : bytes == 4 ? 5 : 4));

	return hs_soft_zero_extend(hs_soft_ea(cpu, op) + steps * bytes, op->address_bits / 8);
}

HS_SOFT_INLINE enum hs_soft_flow bit_in_memory(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, enum change change)
{
	unsigned int bytes = op->operand[0].bytes;
	bool by_register = op->operand[1].kind == HS_SOFT_GPR;
	uint64_t offset = by_register ? bit_string_offset(cpu, op) : hs_soft_ea(cpu, op);
	uint64_t bit = (by_register ? cpu->r[op->operand[1].reg] : op->immediate) & (bytes * 8 - 1);
	uint64_t value;

	if (change == TEST ? !hs_soft_load(cpu, op->segment, offset, bytes, &value)
			   : !hs_soft_load_rw(cpu, op->segment, offset, bytes, &value)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_set_cf(cpu, value >> bit & 1);
	if (change != TEST) {
		hs_soft_store(cpu, op->segment, offset, bytes, change_bit(change, value, UINT64_C(1) << bit));
	}
	return HS_SOFT_NEXT;
}

HS_SOFT_INLINE enum hs_soft_flow bit_in_register(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
						 enum change change)
{
	unsigned int bytes = op->operand[0].bytes;
	unsigned int reg = op->operand[0].reg;
	bool by_register = op->operand[1].kind == HS_SOFT_GPR;
	uint64_t bit = (by_register ? cpu->r[op->operand[1].reg] : op->immediate) & (bytes * 8 - 1);

	hs_soft_set_cf(cpu, cpu->r[reg] >> bit & 1);
	if (change != TEST) {
		hs_soft_set_reg(cpu, reg, bytes, change_bit(change, cpu->r[reg], UINT64_C(1) << bit));
	}
	return HS_SOFT_NEXT;
}

#define BIT_HANDLERS(name, change)                                                                                     \
	HS_SOFT_HANDLER(name##_mem, bit_in_memory(cpu, op, change))                                                    \
	HS_SOFT_HANDLER(name##_reg, bit_in_register(cpu, op, change))

BIT_HANDLERS(bt, TEST)
BIT_HANDLERS(bts, SET)
BIT_HANDLERS(btr, RESET)
BIT_HANDLERS(btc, COMPLEMENT)

/* ---- Searching and counting ---- */

HS_SOFT_INLINE unsigned int leading_zeroes(uint64_t value, unsigned int bits)
{
	return value ? (unsigned int)__builtin_clzll(value) - (64 - bits) : bits;
}

HS_SOFT_INLINE unsigned int trailing_zeroes(uint64_t value, unsigned int bits)
{
	return value ? (unsigned int)__builtin_ctzll(value) : bits;
}

/* Of zero: the destination stays, all of it (SDM calls it undefined; AMD, and Intel's newer manual, say so). */
HS_SOFT_INLINE enum hs_soft_flow search(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool from_top)
{
	unsigned int bytes = op->operand[0].bytes;
	unsigned int found = 0;
	uint64_t value;

	if (!hs_soft_get(cpu, op, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	if (value != 0) {
		found = from_top ? 63 - leading_zeroes(value, 64) : trailing_zeroes(value, 64);
		hs_soft_set_reg(cpu, op->operand[0].reg, bytes, found);
	}
	hs_soft_set_status(cpu, (value == 0 ? HS_FLAG_ZF : 0) | (__builtin_parity(found) ? 0 : HS_FLAG_PF));
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(bsf, search(cpu, op, false))
HS_SOFT_HANDLER(bsr, search(cpu, op, true))

HS_SOFT_INLINE enum hs_soft_flow count_zeroes(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool leading)
{
	unsigned int bytes = op->operand[0].bytes;
	unsigned int result;
	uint64_t value;

	if (!hs_soft_get(cpu, op, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	result = leading ? leading_zeroes(value, bytes * 8) : trailing_zeroes(value, bytes * 8);
	hs_soft_change_flags(cpu, HS_FLAG_STATUS & ~HS_FLAG_OF,
			     (value == 0 ? HS_FLAG_CF : 0) | (result == 0 ? HS_FLAG_ZF : 0));
	hs_soft_set_reg(cpu, op->operand[0].reg, bytes, result);
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(tzcnt, count_zeroes(cpu, op, false))
HS_SOFT_HANDLER(lzcnt, count_zeroes(cpu, op, true))

static enum hs_soft_flow execute_popcnt(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	if (!hs_soft_get(cpu, op, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_set_reg(cpu, op->operand[0].reg, op->operand[0].bytes, (uint64_t)__builtin_popcountll(value));
	hs_soft_set_status(cpu, value == 0 ? HS_FLAG_ZF : 0);
	return HS_SOFT_NEXT;
}

/* ---- BMI1 and BMI2 ---- */

static enum hs_soft_flow execute_andn(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = op->operand[0].bytes;
	uint64_t value;

	if (!hs_soft_get(cpu, op, 2, &value)) {
		return HS_SOFT_FAULT;
	}
	value &= ~cpu->r[op->operand[1].reg];
	hs_soft_flags_logic(cpu, value, bytes);
	hs_soft_set_reg(cpu, op->operand[0].reg, bytes, value);
	return HS_SOFT_NEXT;
}

/* The lowest bits of value, as many as count says; all for 64 and more. */
HS_SOFT_INLINE uint64_t low_bits(uint64_t value, unsigned int count)
{
	return count < 64 ? value & ((UINT64_C(1) << count) - 1) : value;
}

/* Operand 2: the first bit in its bits 7:0, how many in 15:8. Of the flags only ZF, CF and OF are defined. */
static enum hs_soft_flow execute_bextr(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = op->operand[0].bytes;
	unsigned int start = cpu->r[op->operand[2].reg] & 0xff;
	unsigned int count = cpu->r[op->operand[2].reg] >> 8 & 0xff;
	uint64_t value;

	if (!hs_soft_get(cpu, op, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	value = low_bits(start < 64 ? value >> start : 0, count);
	hs_soft_set_status(cpu, HS_FLAG_AF | (value == 0 ? HS_FLAG_ZF : 0) |
					(__builtin_parity((unsigned int)(value & 0xff)) ? 0 : HS_FLAG_PF));
	hs_soft_set_reg(cpu, op->operand[0].reg, bytes, value);
	return HS_SOFT_NEXT;
}

/* CF: there is no such bit in the operand, the index is too high. */
static enum hs_soft_flow execute_bzhi(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = op->operand[0].bytes;
	unsigned int index = cpu->r[op->operand[2].reg] & 0xff;
	uint64_t value;

	if (!hs_soft_get(cpu, op, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	value = low_bits(value, index);
	hs_soft_flags_result(cpu, value, bytes, index >= bytes * 8, false);
	hs_soft_set_reg(cpu, op->operand[0].reg, bytes, value);
	return HS_SOFT_NEXT;
}

enum lowest { ISOLATE, MASK, CLEAR };

/* blsi, blsmsk, blsr. */
HS_SOFT_INLINE enum hs_soft_flow lowest_set(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, enum lowest what)
{
	unsigned int bytes = op->operand[0].bytes;
	uint64_t value, result;

	if (!hs_soft_get(cpu, op, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	if (what == ISOLATE) {
		result = value & -value;
	} else if (what == MASK) {
		result = value ^ (value - 1);
	} else {
		result = value & (value - 1);
	}
	hs_soft_flags_result(cpu, result, bytes, what == ISOLATE ? value != 0 : value == 0, false);
	hs_soft_set_reg(cpu, op->operand[0].reg, bytes, result);
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(blsi, lowest_set(cpu, op, ISOLATE))
HS_SOFT_HANDLER(blsmsk, lowest_set(cpu, op, MASK))
HS_SOFT_HANDLER(blsr, lowest_set(cpu, op, CLEAR))

/* The low bits of value go to the places of mask's bits. */
static uint64_t deposit(uint64_t value, uint64_t mask)
{
	uint64_t result = 0;

	for (; mask; mask &= mask - 1, value >>= 1) {
		result |= value & 1 ? mask & -mask : 0;
	}
	return result;
}

/* And back. */
static uint64_t extract(uint64_t value, uint64_t mask)
{
	uint64_t result = 0;

	for (unsigned int i = 0; mask; mask &= mask - 1, i++) {
		result |= (uint64_t)((value & mask & -mask) != 0) << i;
	}
	return result;
}

HS_SOFT_INLINE enum hs_soft_flow by_mask(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
					 uint64_t (*function)(uint64_t value, uint64_t mask))
{
	unsigned int bytes = op->operand[0].bytes;
	uint64_t value = hs_soft_reg(cpu, op->operand[1].reg, bytes);
	uint64_t mask;

	if (!hs_soft_get(cpu, op, 2, &mask)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_set_reg(cpu, op->operand[0].reg, bytes, function(value, mask));
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(pdep, by_mask(cpu, op, deposit))
HS_SOFT_HANDLER(pext, by_mask(cpu, op, extract))

/* ---- crc32: the polynomial 0x11EDC6F41, bits reflected (SDM vol. 2A, CRC32) ---- */

static enum hs_soft_flow execute_crc32(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bits = op->operand[1].bytes * 8u;
	uint32_t crc = (uint32_t)cpu->r[op->operand[0].reg];
	uint64_t value;

	if (!hs_soft_get(cpu, op, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	for (unsigned int i = 0; i < bits; i++) {
		uint32_t out = (crc ^ (uint32_t)(value >> i)) & 1;

		crc = crc >> 1 ^ (out ? 0x82F63B78u : 0); /* 0x1EDC6F41, its bits reflected */
	}
	cpu->r[op->operand[0].reg] = crc;
	return HS_SOFT_NEXT;
}

/* ---- Which is which ---- */

struct handlers {
	ZydisMnemonic mnemonic;
	hs_soft_handler *execute;
};

static hs_soft_handler *find(const struct handlers *handlers, size_t count, ZydisMnemonic mnemonic)
{
	for (size_t i = 0; i < count; i++) {
		if (handlers[i].mnemonic == mnemonic) {
			return handlers[i].execute;
		}
	}
	return NULL;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

bool hs_soft_select_bit(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	static const struct handlers in_memory[] = {
		{ ZYDIS_MNEMONIC_BT, execute_bt_mem },
		{ ZYDIS_MNEMONIC_BTS, execute_bts_mem },
		{ ZYDIS_MNEMONIC_BTR, execute_btr_mem },
		{ ZYDIS_MNEMONIC_BTC, execute_btc_mem },
	};
	static const struct handlers others[] = {
		{ ZYDIS_MNEMONIC_BT, execute_bt_reg },     { ZYDIS_MNEMONIC_BTS, execute_bts_reg },
		{ ZYDIS_MNEMONIC_BTR, execute_btr_reg },   { ZYDIS_MNEMONIC_BTC, execute_btc_reg },
		{ ZYDIS_MNEMONIC_BSF, execute_bsf },       { ZYDIS_MNEMONIC_BSR, execute_bsr },
		{ ZYDIS_MNEMONIC_TZCNT, execute_tzcnt },   { ZYDIS_MNEMONIC_LZCNT, execute_lzcnt },
		{ ZYDIS_MNEMONIC_POPCNT, execute_popcnt }, { ZYDIS_MNEMONIC_ANDN, execute_andn },
		{ ZYDIS_MNEMONIC_BEXTR, execute_bextr },   { ZYDIS_MNEMONIC_BZHI, execute_bzhi },
		{ ZYDIS_MNEMONIC_BLSI, execute_blsi },     { ZYDIS_MNEMONIC_BLSMSK, execute_blsmsk },
		{ ZYDIS_MNEMONIC_BLSR, execute_blsr },     { ZYDIS_MNEMONIC_PDEP, execute_pdep },
		{ ZYDIS_MNEMONIC_PEXT, execute_pext },     { ZYDIS_MNEMONIC_CRC32, execute_crc32 },
	};
	hs_soft_handler *execute = NULL;

	if (op->operand[0].kind == HS_SOFT_MEMORY) {
		execute = find(in_memory, COUNT(in_memory), decoded->insn.mnemonic);
	}
	if (!execute) {
		execute = find(others, COUNT(others), decoded->insn.mnemonic);
	}
	if (!execute) {
		return false;
	}
	op->execute = execute;
	return true;
}
