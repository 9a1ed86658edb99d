/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "excuse_exceptions.h"

#include "address.h"
#include "base/bytes.h"

#include <hindsight/cpu.h>

#define VECTOR_UD 6u
#define VECTOR_GP 13u
#define VECTOR_XM 19u

#define MXCSR_FLAGS 0x3fu

static bool both_raise_xm(const struct oracle_pair *pair)
{
	return pair->host->vector == VECTOR_XM && pair->ours->vector == VECTOR_XM;
}

static void take_flags(const struct oracle_pair *pair, uint32_t flags, struct oracle_result *ours)
{
	uint32_t host = hs_get_le32(pair->host->out.xsave + HS_XSAVE_MXCSR);
	uint32_t value = hs_get_le32(ours->out.xsave + HS_XSAVE_MXCSR);

	hs_put_le32(ours->out.xsave + HS_XSAVE_MXCSR, (value & ~flags) | (host & flags));
}

/* Products, then sums: the flags of those behind the one that raised it (SDM vol. 2A, "DPPS"). */
bool oracle_excuse_dot_product(const struct oracle_pair *pair, struct oracle_result *ours)
{
	switch (pair->code->decoded.insn.mnemonic) {
	case ZYDIS_MNEMONIC_DPPS:
	case ZYDIS_MNEMONIC_DPPD:
	case ZYDIS_MNEMONIC_VDPPS:
	case ZYDIS_MNEMONIC_VDPPD:
		break;
	default:
		return false;
	}
	if (!both_raise_xm(pair)) {
		return false;
	}
	take_flags(pair, MXCSR_FLAGS, ours);
	return true;
}

/* Of the fourth class of exceptions, and so aligned (SDM vol. 2A table 2-21, vol. 2B, "SHA1MSG1"); not for AMD's. */
bool oracle_excuse_sha_alignment(const struct oracle_pair *pair, struct oracle_result *ours)
{
	uint64_t at;

	if (pair->code->decoded.insn.meta.isa_set != ZYDIS_ISA_SET_SHA || pair->ours->vector != VECTOR_GP ||
	    pair->host->vector == VECTOR_GP || !oracle_operand_address(pair->code, pair->test, &at) || at % 16 == 0) {
		return false;
	}
	*ours = *pair->host;
	return true;
}

/* "VEX.W in non-64 bit is ignored" (SDM vol. 2C, "PEXTRB/PEXTRD/PEXTRQ"); on AMD's processors it is undefined. */
bool oracle_excuse_wide_element(const struct oracle_pair *pair, struct oracle_result *ours)
{
	const ZydisDecodedInstruction *insn = &pair->code->decoded.insn;

	if ((insn->mnemonic != ZYDIS_MNEMONIC_VPEXTRD && insn->mnemonic != ZYDIS_MNEMONIC_VPINSRD) ||
	    pair->test->bits == 64 || !insn->raw.vex.W || pair->host->vector != VECTOR_UD ||
	    pair->ours->vector == VECTOR_UD) {
		return false;
	}
	*ours = *pair->host;
	return true;
}
