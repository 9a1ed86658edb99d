/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of undefined flags and results, from the "Flags Affected" of each instruction (SDM vol. 2, and vol. 1
 * appendix A).
 */
#include "undefined.h"

#include <stdio.h>
#include <string.h>

enum when {
	ALWAYS,
	SHIFTED,     /* a masked count that is not 0 */
	BY_MORE,     /* a masked count that is neither 0 nor 1 */
	BEYOND,      /* a masked count that is not less than the operand's width */
	BEYOND_MORE, /* a masked count greater than the operand's width */
	OF_ZERO,     /* the source is 0 */
};

static const struct rule {
	ZydisMnemonic mnemonic;
	uint32_t flags;
	bool result;
	enum when when;
} rules[] = {
	{ ZYDIS_MNEMONIC_AND, FLAG_AF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_OR, FLAG_AF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_XOR, FLAG_AF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_TEST, FLAG_AF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_SHL, FLAG_AF, false, SHIFTED },
	{ ZYDIS_MNEMONIC_SHL, FLAG_OF, false, BY_MORE },
	{ ZYDIS_MNEMONIC_SHL, FLAG_CF, false, BEYOND },
	{ ZYDIS_MNEMONIC_SHR, FLAG_AF, false, SHIFTED },
	{ ZYDIS_MNEMONIC_SHR, FLAG_OF, false, BY_MORE },
	{ ZYDIS_MNEMONIC_SHR, FLAG_CF, false, BEYOND },
	{ ZYDIS_MNEMONIC_SAR, FLAG_AF, false, SHIFTED },
	{ ZYDIS_MNEMONIC_SAR, FLAG_OF, false, BY_MORE },
	{ ZYDIS_MNEMONIC_ROL, FLAG_OF, false, BY_MORE },
	{ ZYDIS_MNEMONIC_ROR, FLAG_OF, false, BY_MORE },
	{ ZYDIS_MNEMONIC_RCL, FLAG_OF, false, BY_MORE },
	{ ZYDIS_MNEMONIC_RCR, FLAG_OF, false, BY_MORE },
	{ ZYDIS_MNEMONIC_SHLD, FLAG_AF, false, SHIFTED },
	{ ZYDIS_MNEMONIC_SHLD, FLAG_OF, false, BY_MORE },
	{ ZYDIS_MNEMONIC_SHLD, FLAG_STATUS, true, BEYOND_MORE },
	{ ZYDIS_MNEMONIC_SHRD, FLAG_AF, false, SHIFTED },
	{ ZYDIS_MNEMONIC_SHRD, FLAG_OF, false, BY_MORE },
	{ ZYDIS_MNEMONIC_SHRD, FLAG_STATUS, true, BEYOND_MORE },
	{ ZYDIS_MNEMONIC_MUL, FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_IMUL, FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_DIV, FLAG_STATUS, false, ALWAYS },
	{ ZYDIS_MNEMONIC_IDIV, FLAG_STATUS, false, ALWAYS },
	{ ZYDIS_MNEMONIC_BSF, FLAG_STATUS & ~FLAG_ZF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_BSF, 0, true, OF_ZERO },
	{ ZYDIS_MNEMONIC_BSR, FLAG_STATUS & ~FLAG_ZF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_BSR, 0, true, OF_ZERO },
	{ ZYDIS_MNEMONIC_TZCNT, FLAG_OF | FLAG_SF | FLAG_PF | FLAG_AF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_LZCNT, FLAG_OF | FLAG_SF | FLAG_PF | FLAG_AF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_BT, FLAG_OF | FLAG_SF | FLAG_PF | FLAG_AF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_BTS, FLAG_OF | FLAG_SF | FLAG_PF | FLAG_AF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_BTR, FLAG_OF | FLAG_SF | FLAG_PF | FLAG_AF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_BTC, FLAG_OF | FLAG_SF | FLAG_PF | FLAG_AF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_ANDN, FLAG_AF | FLAG_PF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_BEXTR, FLAG_AF | FLAG_SF | FLAG_PF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_BLSI, FLAG_AF | FLAG_PF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_BLSMSK, FLAG_AF | FLAG_PF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_BLSR, FLAG_AF | FLAG_PF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_BZHI, FLAG_AF | FLAG_PF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_AAA, FLAG_OF | FLAG_SF | FLAG_ZF | FLAG_PF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_AAS, FLAG_OF | FLAG_SF | FLAG_ZF | FLAG_PF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_AAM, FLAG_OF | FLAG_AF | FLAG_CF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_AAD, FLAG_OF | FLAG_AF | FLAG_CF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_DAA, FLAG_OF, false, ALWAYS },
	{ ZYDIS_MNEMONIC_DAS, FLAG_OF, false, ALWAYS },
};

#define RULES (sizeof(rules) / sizeof(rules[0]))

/* The count of a shift, masked: the last operand, CL or a byte; shifts by one have no operand for it. */
static unsigned int count_of(const struct oracle_code *code, const struct oracle_case *test)
{
	const ZydisDecodedInstruction *insn = &code->decoded.insn;
	const ZydisDecodedOperand *last = &code->decoded.operands[insn->operand_count_visible - 1];
	unsigned int mask = code->decoded.operands[0].size == 64 ? 63 : 31;

	if (last->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		return (unsigned int)last->imm.value.u & mask;
	}
	return (unsigned int)test->in.gpr[1] & mask;
}

/* The value of a register or of memory that the case prepared; a source of zero is what matters. */
static bool source_is_zero(const struct oracle_code *code, const struct oracle_case *test)
{
	const ZydisDecodedOperand *source = &code->decoded.operands[1];
	uint64_t value = 0;

	if (source->type == ZYDIS_OPERAND_TYPE_REGISTER) {
		ZydisRegister full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, source->reg.value);

		value = test->in.gpr[full - ZYDIS_REGISTER_RAX];
	} else if (test->patch_count) {
		memcpy(&value, test->patches[0].bytes, 8);
	}
	return (source->size < 64 ? value & ((UINT64_C(1) << source->size) - 1) : value) == 0;
}

static bool applies(const struct rule *rule, const struct oracle_code *code, const struct oracle_case *test)
{
	switch (rule->when) {
	case ALWAYS:
		return true;
	case SHIFTED:
		return count_of(code, test) != 0;
	case BY_MORE:
		return count_of(code, test) > 1;
	case BEYOND:
		return count_of(code, test) >= code->decoded.operands[0].size;
	case BEYOND_MORE:
		return count_of(code, test) > code->decoded.operands[0].size;
	case OF_ZERO:
		return source_is_zero(code, test);
	}
	return false;
}

void oracle_undefined(const struct oracle_code *code, const struct oracle_case *test, struct oracle_undefined *ret)
{
	const ZydisDecodedInstruction *insn = &code->decoded.insn;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < RULES; i++) {
		if (rules[i].mnemonic == insn->mnemonic && applies(&rules[i], code, test)) {
			ret->flags |= rules[i].flags;
			ret->result |= rules[i].result;
		}
	}
	/* "Operand size 16: undefined" (SDM vol. 2, "BSWAP"). */
	if (insn->mnemonic == ZYDIS_MNEMONIC_BSWAP && insn->operand_width == 16) {
		ret->result = true;
	}
}

static void print_flags(uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = { { FLAG_OF, "OF" }, { FLAG_SF, "SF" }, { FLAG_ZF, "ZF" },
		      { FLAG_AF, "AF" }, { FLAG_PF, "PF" }, { FLAG_CF, "CF" } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (flags & names[i].flag) {
			printf(" %s", names[i].name);
		}
	}
}

void oracle_undefined_print(void)
{
	static const char *const whens[] = {
		"",
		" (count not 0)",
		" (count not 0 or 1)",
		" (count not less than the width)",
		" (count greater than the width)",
		" (source 0)",
	};

	for (size_t i = 0; i < RULES; i++) {
		printf("%s:", ZydisMnemonicGetString(rules[i].mnemonic));
		print_flags(rules[i].flags);
		printf("%s%s\n", rules[i].result ? " result" : "", whens[rules[i].when]);
	}
	printf("bswap r16: result\n");
}
