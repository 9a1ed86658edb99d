/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/insn_plain.h"

/* Those whose only other exceptions are of an operand that is no general register and no memory (SDM vol. 2). */
static bool is_plain_mnemonic(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_ADC:
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_AND:
	case ZYDIS_MNEMONIC_CALL:
	case ZYDIS_MNEMONIC_CDQ:
	case ZYDIS_MNEMONIC_CDQE:
	case ZYDIS_MNEMONIC_CLI:
	case ZYDIS_MNEMONIC_CMP:
	case ZYDIS_MNEMONIC_CQO:
	case ZYDIS_MNEMONIC_CWDE:
	case ZYDIS_MNEMONIC_DEC:
	case ZYDIS_MNEMONIC_ENDBR32:
	case ZYDIS_MNEMONIC_ENDBR64:
	case ZYDIS_MNEMONIC_IMUL:
	case ZYDIS_MNEMONIC_INC:
	case ZYDIS_MNEMONIC_JMP:
	case ZYDIS_MNEMONIC_LEA:
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
	case ZYDIS_MNEMONIC_MOVZX:
	case ZYDIS_MNEMONIC_MUL:
	case ZYDIS_MNEMONIC_NEG:
	case ZYDIS_MNEMONIC_NOP:
	case ZYDIS_MNEMONIC_NOT:
	case ZYDIS_MNEMONIC_OR:
	case ZYDIS_MNEMONIC_PAUSE:
	case ZYDIS_MNEMONIC_POP:
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_RET:
	case ZYDIS_MNEMONIC_ROL:
	case ZYDIS_MNEMONIC_ROR:
	case ZYDIS_MNEMONIC_SAR:
	case ZYDIS_MNEMONIC_SBB:
	case ZYDIS_MNEMONIC_SHL:
	case ZYDIS_MNEMONIC_SHR:
	case ZYDIS_MNEMONIC_STI:
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_TEST:
	case ZYDIS_MNEMONIC_XCHG:
	case ZYDIS_MNEMONIC_XOR:
		return true;
	default:
		return false;
	}
}

static bool is_plain_category(ZydisInstructionCategory category)
{
	return category == ZYDIS_CATEGORY_COND_BR || category == ZYDIS_CATEGORY_CMOV ||
	       category == ZYDIS_CATEGORY_SETCC;
}

/* Segments that may be anything outside of 64-bit mode are FS and GS, and code is not written to. */
static bool is_plain_segment(ZydisRegister reg, bool is_64bit)
{
	return is_64bit || reg == ZYDIS_REGISTER_DS || reg == ZYDIS_REGISTER_SS || reg == ZYDIS_REGISTER_ES;
}

static bool is_plain_register(ZydisRegister reg)
{
	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_GPR8:
	case ZYDIS_REGCLASS_GPR16:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64:
	case ZYDIS_REGCLASS_FLAGS:
	case ZYDIS_REGCLASS_IP:
		return true;
	default:
		return false;
	}
}

static bool is_plain_operand(const ZydisDecodedOperand *operand, bool is_64bit)
{
	switch (operand->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return is_plain_register(operand->reg.value);
	case ZYDIS_OPERAND_TYPE_MEMORY:
		return operand->mem.type == ZYDIS_MEMOP_TYPE_AGEN || is_plain_segment(operand->mem.segment, is_64bit);
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		return true;
	default:
		return false;
	}
}

bool hs_insn_is_plain(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands, bool is_64bit)
{
	bool branches = insn->meta.branch_type != ZYDIS_BRANCH_TYPE_NONE;

	if (!is_plain_mnemonic(insn->mnemonic) && !is_plain_category(insn->meta.category)) {
		return false;
	}
	/* Processors differ in what a near branch of 16 bits is in 64-bit mode. */
	if (insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ||
	    (branches && (insn->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE))) {
		return false;
	}
	for (ZyanU8 i = 0; i < insn->operand_count; i++) {
		if (!is_plain_operand(&operands[i], is_64bit)) {
			return false;
		}
	}
	/* The address of what pop writes to is one behind the pop; who pops into memory is not worth a rule. */
	return insn->mnemonic != ZYDIS_MNEMONIC_POP || operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER;
}
