/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "excuse.h"
#include "excuse_exceptions.h"
#include "excuse_vectors.h"

#include <string.h>

static bool is_repeated(const struct oracle_code *code)
{
	return code->decoded.insn.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
}

static bool both_stepped(const struct oracle_pair *pair)
{
	return oracle_executed(pair, pair->host) && oracle_executed(pair, pair->ours);
}

static bool both_fault(const struct oracle_pair *pair)
{
	return !oracle_executed(pair, pair->host) && !oracle_executed(pair, pair->ours) &&
	       pair->host->out.rip == pair->test->in.rip && pair->ours->out.rip == pair->test->in.rip;
}

static bool is_gather(const struct oracle_code *code)
{
	return code->decoded.insn.meta.category == ZYDIS_CATEGORY_AVX2GATHER;
}

/* The single-step trap between two iterations, or two elements: Intel's processors push RF set (SDM vol. 3B 17.3.1.1,
 * vol. 2C, "VPGATHERDD"), AMD's clear. */
static bool repeat_flag(const struct oracle_pair *pair, struct oracle_result *ours)
{
	if (!both_stepped(pair) || !(is_repeated(pair->code) || is_gather(pair->code)) ||
	    pair->host->out.rip != pair->test->in.rip) {
		return false;
	}
	ours->out.rflags = (ours->out.rflags & ~(uint64_t)FLAG_RF) | (pair->host->out.rflags & FLAG_RF);
	return true;
}

/* "DEST := TEMP" when not equal clears the upper half of a 32-bit register (SDM vol. 2A, "CMPXCHG"); AMD's do not. */
static bool unequal_upper_half(const struct oracle_pair *pair, struct oracle_result *ours)
{
	const ZydisDecodedOperand *first = &pair->code->decoded.operands[0];
	int number;

	if (!both_stepped(pair) || pair->code->decoded.insn.mnemonic != ZYDIS_MNEMONIC_CMPXCHG || first->size != 32 ||
	    first->type != ZYDIS_OPERAND_TYPE_REGISTER || (pair->host->out.rflags & FLAG_ZF)) {
		return false;
	}
	number = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, first->reg.value) - ZYDIS_REGISTER_RAX;
	ours->out.gpr[number] = (ours->out.gpr[number] & UINT32_MAX) |
				(pair->host->out.gpr[number] & ~(uint64_t)UINT32_MAX);
	return true;
}

/* The selector's 32-bit slot is written as 16 bits or as 32 (SDM vol. 2B, "PUSH"); ours writes 32. */
static bool selector_slot(const struct oracle_pair *pair, struct oracle_result *ours)
{
	const ZydisDecodedOperand *first = &pair->code->decoded.operands[0];

	if (pair->code->decoded.insn.mnemonic != ZYDIS_MNEMONIC_PUSH || first->type != ZYDIS_OPERAND_TYPE_REGISTER ||
	    ZydisRegisterGetClass(first->reg.value) != ZYDIS_REGCLASS_SEGMENT || !oracle_executed(pair, pair->host)) {
		return false;
	}
	if (!oracle_executed(pair, pair->ours)) {
		*ours = *pair->host; /* the slot's upper half cannot be written */
		return true;
	}
	ours->delta_count = pair->host->delta_count;
	memcpy(ours->deltas, pair->host->deltas, sizeof(ours->deltas));
	return true;
}

static unsigned int accesses(const struct oracle_pair *pair)
{
	const struct oracle_insn *decoded = &pair->code->decoded;
	unsigned int count = 0;

	for (unsigned int i = 0; i < decoded->insn.operand_count; i++) {
		count += decoded->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY;
	}
	return count;
}

static bool is_many(const struct oracle_pair *pair)
{
	switch (pair->code->decoded.insn.mnemonic) {
	case ZYDIS_MNEMONIC_ENTER:
	case ZYDIS_MNEMONIC_PUSHA:
	case ZYDIS_MNEMONIC_PUSHAD:
	case ZYDIS_MNEMONIC_POPA:
	case ZYDIS_MNEMONIC_POPAD:
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
		return true;
	default:
		return pair->code->decoded.insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
	}
}

/* An instruction that could fault in two ways: which one comes is not defined but for one access (SDM vol. 3A 6.9). The
 * target of a call that is not canonical, a bad selector, and an operand that must be aligned count as well. */
static bool order_of_faults(const struct oracle_pair *pair, struct oracle_result *ours)
{
	const ZydisDecodedInstruction *insn = &pair->code->decoded.insn;
	bool calls = insn->meta.category == ZYDIS_CATEGORY_CALL || insn->mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B;

	if (!both_fault(pair) || (accesses(pair) < 2 && !is_many(pair) && !calls)) {
		return false;
	}
	ours->vector = pair->host->vector;
	ours->error = pair->host->error;
	ours->cr2 = pair->host->cr2;
	return true;
}

/* Those that access memory many times: the host has done some of it before the fault, ours nothing. Both can be
 * restarted. */
static bool done_in_part(const struct oracle_pair *pair, struct oracle_result *ours)
{
	if (!both_fault(pair) || !is_many(pair)) {
		return false;
	}
	for (unsigned int i = 0; i < 16; i++) {
		if (i != 4) {
			ours->out.gpr[i] = pair->host->out.gpr[i];
		}
	}
	ours->delta_count = pair->host->delta_count;
	memcpy(ours->deltas, pair->host->deltas, sizeof(ours->deltas));
	return true;
}

/* No iteration of ins or outs: AMD's processors look at the port permission all the same. */
static bool no_port_access(const struct oracle_pair *pair, struct oracle_result *ours)
{
	unsigned int width = pair->code->decoded.insn.address_width;
	uint64_t mask = width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;

	if (pair->code->decoded.insn.meta.category != ZYDIS_CATEGORY_IOSTRINGOP || !is_repeated(pair->code) ||
	    (pair->test->in.gpr[1] & mask) != 0 || pair->host->vector != 13 || !oracle_executed(pair, pair->ours)) {
		return false;
	}
	*ours = *pair->host;
	return true;
}

/* The slot at the new stack pointer, which enter only looks whether it could be written. */
static bool probe_alignment(const struct oracle_pair *pair, struct oracle_result *ours)
{
	if (pair->code->decoded.insn.mnemonic != ZYDIS_MNEMONIC_ENTER || pair->host->vector != 17 ||
	    !oracle_executed(pair, pair->ours)) {
		return false;
	}
	*ours = *pair->host;
	return true;
}

static bool is_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

/* An offset into GS that is not canonical while the address is: AMD's processors look at the offset too. */
static bool offset_not_canonical(const struct oracle_pair *pair, struct oracle_result *ours)
{
	if (pair->test->bits != 64 || pair->host->vector != 13 || pair->ours->vector != 14 ||
	    is_canonical(pair->ours->cr2 - ORACLE_GS_BASE)) {
		return false;
	}
	*ours = *pair->host;
	return true;
}

static bool has_repeat_prefix(const struct oracle_code *code)
{
	for (size_t i = 0; i < code->decoded.insn.raw.prefix_count; i++) {
		uint8_t value = code->decoded.insn.raw.prefixes[i].value;

		if (value == 0xf2 || value == 0xf3) {
			return true;
		}
	}
	return false;
}

/* A repeat prefix there is reserved (SDM vol. 2A 2.1.1). AMD's processors take its condition, not the opcode's. */
static bool loop_by_prefix(const struct oracle_pair *pair, struct oracle_result *ours)
{
	ZydisMnemonic mnemonic = pair->code->decoded.insn.mnemonic;

	if ((mnemonic != ZYDIS_MNEMONIC_LOOPE && mnemonic != ZYDIS_MNEMONIC_LOOPNE) || !both_stepped(pair) ||
	    !has_repeat_prefix(pair->code)) {
		return false;
	}
	ours->out.rip = pair->host->out.rip;
	return true;
}

/* "Bits 19:16 are undefined" (SDM vol. 2A, "LAR"): the host has the limit's there. */
static bool access_rights(const struct oracle_pair *pair, struct oracle_result *ours)
{
	const ZydisDecodedOperand *first = &pair->code->decoded.operands[0];
	const uint64_t open = 0xf0000;
	int number;

	if (pair->code->decoded.insn.mnemonic != ZYDIS_MNEMONIC_LAR || !both_stepped(pair)) {
		return false;
	}
	number = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, first->reg.value) - ZYDIS_REGISTER_RAX;
	ours->out.gpr[number] = (ours->out.gpr[number] & ~open) | (pair->host->out.gpr[number] & open);
	return true;
}

/* A far call out of 64-bit mode: AMD's processors push by the 32-bit stack pointer already. */
static bool pushes_of_new_mode(const struct oracle_pair *pair, struct oracle_result *ours)
{
	if (pair->test->bits != 64 || pair->code->decoded.insn.mnemonic != ZYDIS_MNEMONIC_CALL ||
	    (pair->ours->out.seg[SEG_CS] == ORACLE_CS64 && pair->host->out.seg[SEG_CS] == ORACLE_CS64) ||
	    pair->test->in.gpr[4] >> 32 == 0) {
		return false;
	}
	*ours = *pair->host;
	return true;
}

/*
 * rep movs by 16-bit addresses onto itself, a few bytes up: the host (an AMD EPYC of family 26) sometimes stores what
 * stood there before the first iteration, and not what an iteration has stored; by wider addresses it never does.
 */
static bool overlap_by_16_bits(const struct oracle_pair *pair, struct oracle_result *ours)
{
	const ZydisDecodedInstruction *insn = &pair->code->decoded.insn;
	uint16_t distance = (uint16_t)(pair->test->in.gpr[7] - pair->test->in.gpr[6]);

	if (pair->step != ORACLE_STEP_RUN || pair->host->vector != pair->ours->vector || !is_repeated(pair->code) ||
	    insn->address_width != 16 || accesses(pair) != 2 || distance == 0 || distance >= 16) {
		return false;
	}
	ours->delta_count = pair->host->delta_count;
	memcpy(ours->deltas, pair->host->deltas, sizeof(ours->deltas));
	return true;
}

static const struct {
	const char *reason;
	bool (*applies)(const struct oracle_pair *pair, struct oracle_result *ours);
} excuses[] = {
	{ "RF that a single-step trap between two iterations pushes: set on Intel's processors, clear on AMD's",
	  repeat_flag },
	{ "cmpxchg r32 that finds no equal: Intel's processors clear the destination's upper half, AMD's do not",
	  unequal_upper_half },
	{ "push of a segment register: 16 or 32 bits of its 32-bit slot are written", selector_slot },
	{ "two faults in one instruction: their order is not defined", order_of_faults },
	{ "enter, pusha, popa, far call: what was done before a fault stays done on the host", done_in_part },
	{ "rep ins, outs with a count of 0: AMD's processors check the port all the same", no_port_access },
	{ "enter: AMD's processors check the alignment of the slot that they only try", probe_alignment },
	{ "an offset into GS that is not canonical, with an address that is: #GP on AMD's processors",
	  offset_not_canonical },
	{ "loope, loopne with a repeat prefix: reserved; AMD's processors take the prefix's condition",
	  loop_by_prefix },
	{ "lar: bits 19:16 of the result are undefined", access_rights },
	{ "far call out of 64-bit mode, rsp above 4 GiB: AMD's processors push by esp", pushes_of_new_mode },
	{ "rep movs by 16-bit addresses that overlap by less than 16 bytes: the host does not store in order",
	  overlap_by_16_bits },
	{ "#XM in dpps, dppd: flags of the steps behind the one that raised it are set too",
	  oracle_excuse_dot_product },
	{ "sha*: memory must be aligned, but on AMD's processors need not", oracle_excuse_sha_alignment },
	{ "vpextrd, vpinsrd with VEX.W in 32-bit code: ignored on Intel's processors, #UD on AMD's",
	  oracle_excuse_wide_element },
	{ "fxsave, fnsave, fnstenv and their loads with no exception pending: AMD's processors leave the pointers out",
	  oracle_excuse_image_pointers },
	{ "fxsave, fnsave, fnstenv and their loads: which of their accesses faults first", oracle_excuse_image_fault },
	{ "fcomi and its like, with an invalid operation that is not masked: AMD's processors set the flags",
	  oracle_excuse_invalid_comparison },
	{ "fxsave: the bits of MXCSR that there are; AMD's processors have one more, for misaligned operands",
	  oracle_excuse_mxcsr_mask },
	{ "an operand that must be aligned and is not: #AC with AC set, and before its address is looked at",
	  oracle_excuse_alignment_check },
	{ "maskmovq, maskmovdqu: AMD's processors look at memory that is not asked for, and have entered MMX by then",
	  oracle_excuse_masked_bytes },
	{ "#XM for an overflow or underflow: PE by the masked result, and not by that of unlimited exponent",
	  oracle_excuse_precision_beside },
};

_Static_assert(sizeof(excuses) / sizeof(excuses[0]) == ORACLE_EXCUSES, "none is missing");

const char *oracle_excuse_reason(unsigned int index)
{
	return excuses[index].reason;
}

bool oracle_excuse(unsigned int index, const struct oracle_pair *pair, struct oracle_result *ours)
{
	return excuses[index].applies(pair, ours);
}
