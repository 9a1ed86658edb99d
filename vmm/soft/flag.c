/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Instructions on single flags: clc, stc, cmc, cld, std, lahf, sahf, salc. */
#include "vmm/soft/handler.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

/* Of ah, as lahf and sahf see it: SF, ZF, AF, PF, CF. Bit 1 is always set. */
#define LOW_FLAGS (HS_FLAG_SF | HS_FLAG_ZF | HS_FLAG_AF | HS_FLAG_PF | HS_FLAG_CF)
#define FLAG_FIXED (1u << 1)

HS_SOFT_INLINE enum hs_soft_flow change(struct hs_soft_cpu *cpu, uint64_t mask, uint64_t value)
{
	hs_soft_change_flags(cpu, mask, value);
	return HS_SOFT_NEXT;
}

#define CHANGE(name, mask, value)                                                                                      \
	static enum hs_soft_flow execute_##name(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)                  \
	{                                                                                                              \
		(void)op;                                                                                              \
		return change(cpu, mask, value);                                                                       \
	}

CHANGE(clc, HS_FLAG_CF, 0)
CHANGE(stc, HS_FLAG_CF, HS_FLAG_CF)
CHANGE(cmc, HS_FLAG_CF, ~hs_soft_rflags(cpu))
CHANGE(cld, HS_FLAG_DF, 0)
CHANGE(std, HS_FLAG_DF, HS_FLAG_DF)
CHANGE(sahf, LOW_FLAGS, cpu->r[HS_RAX] >> 8)

static enum hs_soft_flow execute_lahf(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t ah = (hs_soft_rflags(cpu) & LOW_FLAGS) | FLAG_FIXED;

	(void)op;
	cpu->r[HS_RAX] = (cpu->r[HS_RAX] & ~UINT64_C(0xff00)) | ah << 8;
	return HS_SOFT_NEXT;
}

/* Undocumented, but of every CPU since the 8086: al is all of CF. */
static enum hs_soft_flow execute_salc(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	hs_soft_set_reg(cpu, HS_RAX, 1, hs_soft_cf(cpu) ? 0xff : 0);
	return HS_SOFT_NEXT;
}

bool hs_soft_select_flag(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	static const struct {
		ZydisMnemonic mnemonic;
		hs_soft_handler *execute;
	} handlers[] = {
		{ ZYDIS_MNEMONIC_CLC, execute_clc },   { ZYDIS_MNEMONIC_STC, execute_stc },
		{ ZYDIS_MNEMONIC_CMC, execute_cmc },   { ZYDIS_MNEMONIC_CLD, execute_cld },
		{ ZYDIS_MNEMONIC_STD, execute_std },   { ZYDIS_MNEMONIC_LAHF, execute_lahf },
		{ ZYDIS_MNEMONIC_SAHF, execute_sahf }, { ZYDIS_MNEMONIC_SALC, execute_salc },
	};

	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (decoded->insn.mnemonic == handlers[i].mnemonic) {
			op->execute = handlers[i].execute;
			return true;
		}
	}
	return false;
}
