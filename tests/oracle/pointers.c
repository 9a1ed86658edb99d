/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pointers.h"

#include "address.h"
#include "base/bytes.h"

#include <hindsight/cpu.h>

#include <string.h>

#define FSW_ES 0x80u
#define FOP_TO_FDP (HS_XSAVE_FDP + 8 - HS_XSAVE_FOP)

/* The control instructions: they leave the pointers, or set them in their own way. */
static bool is_control(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_FLDCW:
	case ZYDIS_MNEMONIC_FNSTCW:
	case ZYDIS_MNEMONIC_FNSTSW:
	case ZYDIS_MNEMONIC_FNCLEX:
	case ZYDIS_MNEMONIC_FNINIT:
	case ZYDIS_MNEMONIC_FNSTENV:
	case ZYDIS_MNEMONIC_FLDENV:
	case ZYDIS_MNEMONIC_FNSAVE:
	case ZYDIS_MNEMONIC_FRSTOR:
	case ZYDIS_MNEMONIC_FWAIT:
	case ZYDIS_MNEMONIC_FENI8087_NOP:
	case ZYDIS_MNEMONIC_FDISI8087_NOP:
	case ZYDIS_MNEMONIC_FSETPM287_NOP:
		return true;
	default:
		return false;
	}
}

static bool is_x87(const ZydisDecodedInstruction *insn)
{
	return insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && insn->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
	       insn->opcode >= 0xd8 && insn->opcode <= 0xdf;
}

static bool loads_all(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_FLDENV:
	case ZYDIS_MNEMONIC_FRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR64:
		return true;
	default:
		return false;
	}
}

static bool is_pending(const uint8_t *xsave)
{
	return hs_get_le16(xsave + HS_XSAVE_FSW) & FSW_ES;
}

/* What they are behind an instruction that raised nothing, or none that is pointed to. */
static void expect(const struct oracle_code *code, const struct oracle_case *test, bool executed, uint8_t *xsave)
{
	const ZydisDecodedInstruction *insn = &code->decoded.insn;
	uint64_t offset;

	memcpy(xsave + HS_XSAVE_FOP, test->in.xsave + HS_XSAVE_FOP, FOP_TO_FDP);
	if (!executed) {
		return;
	}
	if (insn->mnemonic == ZYDIS_MNEMONIC_FNINIT || insn->mnemonic == ZYDIS_MNEMONIC_FNSAVE) {
		memset(xsave + HS_XSAVE_FOP, 0, FOP_TO_FDP);
	} else if (is_x87(insn) && !is_control(insn->mnemonic)) {
		/* The opcode changes only with an exception that is not masked (SDM vol. 1 8.1.9). */
		hs_put_le64(xsave + HS_XSAVE_FIP, test->in.rip);
		if (oracle_operand_offset(code, test, &offset)) {
			hs_put_le64(xsave + HS_XSAVE_FDP, offset);
		}
	}
}

void oracle_pointers_settle(const struct oracle_code *code, const struct oracle_case *test, struct oracle_result *host)
{
	const ZydisDecodedInstruction *insn = &code->decoded.insn;
	uint8_t expected[ORACLE_XSAVE_BYTES], *xsave = host->out.xsave;
	bool raised = is_x87(insn) && !is_control(insn->mnemonic) && is_pending(xsave);
	bool kept = is_pending(test->in.xsave) || loads_all(insn->mnemonic);
	uint64_t offset;

	if (!test->vectors || (kept && is_pending(xsave))) {
		return;
	}
	expect(code, test, host->out.rip != test->in.rip, expected);
	if (!raised) {
		memcpy(xsave + HS_XSAVE_FOP, expected + HS_XSAVE_FOP, FOP_TO_FDP);
	} else if (!oracle_operand_offset(code, test, &offset)) {
		memcpy(xsave + HS_XSAVE_FDP, expected + HS_XSAVE_FDP, 8);
	}
}
