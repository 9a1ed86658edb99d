/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the instruction of a case is stopped behind. */
#include "scene.h"

#define OPCODE_INT3 0xcc

/* What shows TF or changes it, or goes on behind the next instruction, is only the same when both step by it. */
static bool needs_tf(const struct oracle_code *code)
{
	switch (code->decoded.insn.mnemonic) {
	case ZYDIS_MNEMONIC_PUSHF:
	case ZYDIS_MNEMONIC_PUSHFD:
	case ZYDIS_MNEMONIC_PUSHFQ:
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFD:
	case ZYDIS_MNEMONIC_POPFQ:
	case ZYDIS_MNEMONIC_INT:
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_INTO:
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
		return true;
	default:
		return oracle_loads_stack_segment(code);
	}
}

enum oracle_step oracle_choose_step(struct oracle_random *random, const struct oracle_code *code,
				    struct oracle_case *test)
{
	struct oracle_patch *patch = &test->patches[test->patch_count];

	if (needs_tf(code)) {
		return ORACLE_STEP_TF;
	}
	if (code->decoded.insn.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE || test->patch_count == ORACLE_PATCHES ||
	    oracle_chance(random, 60)) {
		return oracle_chance(random, 50) ? ORACLE_STEP_TF : ORACLE_STEP_DEBUG;
	}
	test->in.rflags &= ~(uint64_t)FLAG_TF;
	patch->at = code->rip + code->length;
	patch->length = 1;
	patch->bytes[0] = OPCODE_INT3;
	test->patch_count++;
	return ORACLE_STEP_RUN;
}
