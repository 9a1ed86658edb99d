/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Decimal arithmetic: daa, das, aaa, aas, aam, aad. Not in 64-bit mode, where the decoder refuses them. Flags that are
 * undefined are those of the addition or subtraction that is made, as AMD's CPUs have them.
 */
#include "vmm/soft/handler.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

/* All flags of value + by or value - by but for CF and AF, which are as given. */
HS_SOFT_INLINE void set_flags(struct hs_soft_cpu *cpu, bool subtract, uint64_t value, uint64_t by, unsigned int bytes,
			      uint64_t carries)
{
	if (subtract) {
		hs_soft_flags_sub(cpu, value, by, value - by, bytes);
	} else {
		hs_soft_flags_add(cpu, value, by, value + by, bytes);
	}
	hs_soft_change_flags(cpu, HS_FLAG_CF | HS_FLAG_AF, carries);
}

/* daa, das: make the packed sum or difference in al decimal again. */
HS_SOFT_INLINE enum hs_soft_flow adjust_packed(struct hs_soft_cpu *cpu, bool subtract)
{
	unsigned int al = cpu->r[HS_RAX] & 0xff;
	bool low = (al & 0xf) > 9 || hs_soft_af(cpu);
	bool high = al > 0x99 || hs_soft_cf(cpu);
	unsigned int by = (low ? 6 : 0) + (high ? 0x60 : 0);
	/* das keeps the borrow of its first step even where daa's carry of it goes with the second one. */
	bool borrow = subtract && low && al < 6;

	hs_soft_set_reg(cpu, HS_RAX, 1, subtract ? al - by : al + by);
	set_flags(cpu, subtract, al, by, 1, (high || borrow ? HS_FLAG_CF : 0) | (low ? HS_FLAG_AF : 0));
	return HS_SOFT_NEXT;
}

/* aaa, aas: one unpacked digit in al, the next one in ah. */
HS_SOFT_INLINE enum hs_soft_flow adjust_unpacked(struct hs_soft_cpu *cpu, bool subtract)
{
	bool adjust = (cpu->r[HS_RAX] & 0xf) > 9 || hs_soft_af(cpu);
	uint64_t ax = cpu->r[HS_RAX] & 0xffff;
	uint64_t by = adjust ? 0x106 : 0;

	hs_soft_set_reg(cpu, HS_RAX, 2, (subtract ? ax - by : ax + by) & 0xff0f);
	set_flags(cpu, subtract, ax, by, 2, adjust ? HS_FLAG_CF | HS_FLAG_AF : 0);
	return HS_SOFT_NEXT;
}

/* The base of aam and aad is an immediate: 10, or anything else. */
static enum hs_soft_flow execute_aam(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int base = op->immediate & 0xff;
	unsigned int al = cpu->r[HS_RAX] & 0xff;

	if (base == 0) {
		return hs_soft_raise(cpu, HS_VECTOR_DE, 0);
	}
	hs_soft_set_reg(cpu, HS_RAX, 2, al / base << 8 | al % base);
	hs_soft_flags_logic(cpu, al % base, 1);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_aad(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t al = cpu->r[HS_RAX] & 0xff;
	uint64_t tens = (cpu->r[HS_RAX] >> 8 & 0xff) * op->immediate;

	hs_soft_set_reg(cpu, HS_RAX, 2, (al + tens) & 0xff);
	hs_soft_flags_add(cpu, al, tens, al + tens, 1);
	return HS_SOFT_NEXT;
}

#define ADJUST(name, call)                                                                                             \
	static enum hs_soft_flow execute_##name(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)                  \
	{                                                                                                              \
		(void)op;                                                                                              \
		return call;                                                                                           \
	}

ADJUST(daa, adjust_packed(cpu, false))
ADJUST(das, adjust_packed(cpu, true))
ADJUST(aaa, adjust_unpacked(cpu, false))
ADJUST(aas, adjust_unpacked(cpu, true))

bool hs_soft_select_decimal(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_DAA:
		op->execute = execute_daa;
		return true;
	case ZYDIS_MNEMONIC_DAS:
		op->execute = execute_das;
		return true;
	case ZYDIS_MNEMONIC_AAA:
		op->execute = execute_aaa;
		return true;
	case ZYDIS_MNEMONIC_AAS:
		op->execute = execute_aas;
		return true;
	case ZYDIS_MNEMONIC_AAM:
		op->execute = execute_aam;
		return true;
	case ZYDIS_MNEMONIC_AAD:
		op->execute = execute_aad;
		return true;
	default:
		return false;
	}
}
