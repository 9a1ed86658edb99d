/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Decimal arithmetic: daa, das, aaa, aas, aam, aad. Not in 64-bit mode, where the decoder refuses them. Flags that are
 * undefined follow the result, or are clear.
 */
#include "vmm/soft/handler.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

/* SF, ZF and PF of al, with CF and AF as given; OF is undefined. */
static void set_flags(struct hs_soft_cpu *cpu, bool cf, bool af)
{
	hs_soft_flags_result(cpu, cpu->r[HS_RAX], 1, cf, false);
	hs_soft_change_flags(cpu, HS_FLAG_AF, af ? HS_FLAG_AF : 0);
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
	set_flags(cpu, high || borrow, low);
	return HS_SOFT_NEXT;
}

/* aaa, aas: one unpacked digit in al, the next one in ah. */
HS_SOFT_INLINE enum hs_soft_flow adjust_unpacked(struct hs_soft_cpu *cpu, bool subtract)
{
	bool adjust = (cpu->r[HS_RAX] & 0xf) > 9 || hs_soft_af(cpu);
	uint64_t ax = cpu->r[HS_RAX];

	if (adjust) {
		ax = subtract ? ax - 0x106 : ax + 0x106;
	}
	hs_soft_set_reg(cpu, HS_RAX, 2, ax & 0xff0f);
	set_flags(cpu, adjust, adjust);
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
	set_flags(cpu, false, false);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_aad(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t al = cpu->r[HS_RAX] & 0xff;
	uint64_t ah = cpu->r[HS_RAX] >> 8 & 0xff;

	hs_soft_set_reg(cpu, HS_RAX, 2, (al + ah * op->immediate) & 0xff);
	set_flags(cpu, false, false);
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
