/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "excuse_vectors.h"

#include "address.h"
#include "base/bytes.h"

#include <hindsight/cpu.h>

#include <string.h>

#define FSW_ES 0x80u
#define MXCSR_OVERFLOW 0x8u
#define MXCSR_UNDERFLOW 0x10u
#define MXCSR_PRECISION 0x20u
#define FSW_INVALID 0x1u

/* ---- Memory ---- */

static uint64_t word_before(const struct oracle_pair *pair, uint64_t place)
{
	return hs_get_le64(pair->before + place);
}

/* What an aligned word of memory is after the instruction. */
static uint64_t word_of(const struct oracle_pair *pair, const struct oracle_result *result, uint64_t place)
{
	for (uint32_t i = 0; i < result->delta_count; i++) {
		if (result->deltas[i].place == place) {
			return result->deltas[i].value;
		}
	}
	return word_before(pair, place);
}

static void drop_word(struct oracle_result *result, uint32_t index)
{
	result->delta_count--;
	memmove(&result->deltas[index], &result->deltas[index + 1],
		(result->delta_count - index) * sizeof(result->deltas[0]));
}

static void set_word(const struct oracle_pair *pair, struct oracle_result *result, uint64_t place, uint64_t value)
{
	uint32_t index = 0;

	while (index < result->delta_count && result->deltas[index].place < place) {
		index++;
	}
	if (index < result->delta_count && result->deltas[index].place == place) {
		drop_word(result, index);
	}
	if (value == word_before(pair, place) || result->delta_count == ORACLE_DELTAS) {
		return;
	}
	memmove(&result->deltas[index + 1], &result->deltas[index],
		(result->delta_count - index) * sizeof(result->deltas[0]));
	result->deltas[index] = (struct oracle_delta){ place, value };
	result->delta_count++;
}

/* Of these bytes of memory take what the host has made of them. */
static void take_memory(const struct oracle_pair *pair, uint64_t at, unsigned int bytes, struct oracle_result *ours)
{
	for (unsigned int i = 0; i < bytes; i++) {
		uint64_t mask, word;
		size_t place;

		if (!oracle_place(at + i, &place)) {
			continue;
		}
		mask = UINT64_C(0xff) << place % 8 * 8;
		place &= ~(size_t)7;
		word = word_of(pair, ours, place) & ~mask;
		set_word(pair, ours, place, word | (word_of(pair, pair->host, place) & mask));
	}
}

/* ---- The excuses ---- */

enum image { NO_IMAGE, FXSAVE_IMAGE, ENVIRONMENT_32, ENVIRONMENT_16 };

static bool is_fxsave(ZydisMnemonic mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_FXSAVE || mnemonic == ZYDIS_MNEMONIC_FXSAVE64;
}

static enum image image_of(const struct oracle_code *code)
{
	switch (code->decoded.insn.mnemonic) {
	case ZYDIS_MNEMONIC_FXSAVE:
	case ZYDIS_MNEMONIC_FXSAVE64:
	case ZYDIS_MNEMONIC_FXRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR64:
		return FXSAVE_IMAGE;
	case ZYDIS_MNEMONIC_FNSTENV:
	case ZYDIS_MNEMONIC_FLDENV:
	case ZYDIS_MNEMONIC_FNSAVE:
	case ZYDIS_MNEMONIC_FRSTOR:
		return code->decoded.insn.operand_width == 16 ? ENVIRONMENT_16 : ENVIRONMENT_32;
	default:
		return NO_IMAGE;
	}
}

/* What moves the pointers between memory and registers. AMD's processors only do with those of a pending exception. */
bool oracle_excuse_image_pointers(const struct oracle_pair *pair, struct oracle_result *ours)
{
	static const struct {
		uint8_t from, to;
	} pointers[] = {
		[FXSAVE_IMAGE] = { HS_XSAVE_FOP, HS_XSAVE_FDP + 8 },
		[ENVIRONMENT_32] = { 12, 28 },
		[ENVIRONMENT_16] = { 6, 14 },
	};
	enum image image = image_of(pair->code);
	const uint8_t *host = pair->host->out.xsave;
	uint64_t at;

	if (image == NO_IMAGE || !oracle_executed(pair, pair->host) ||
	    !oracle_operand_address(pair->code, pair->test, &at)) {
		return false;
	}
	if (!(hs_get_le16(host + HS_XSAVE_FSW) & FSW_ES)) {
		memcpy(ours->out.xsave + HS_XSAVE_FOP, host + HS_XSAVE_FOP, HS_XSAVE_FDP + 8 - HS_XSAVE_FOP);
	}
	if (!(hs_get_le16(pair->test->in.xsave + HS_XSAVE_FSW) & FSW_ES)) {
		take_memory(pair, at + pointers[image].from, pointers[image].to - pointers[image].from, ours);
	}
	return true;
}

/* MXCSR_MASK: bit 17 is MM (APM vol. 1, 4.2.2). */
bool oracle_excuse_mxcsr_mask(const struct oracle_pair *pair, struct oracle_result *ours)
{
	uint64_t at;

	if (!is_fxsave(pair->code->decoded.insn.mnemonic) || !oracle_executed(pair, pair->host) ||
	    !oracle_operand_address(pair->code, pair->test, &at)) {
		return false;
	}
	take_memory(pair, at + HS_XSAVE_MXCSR_MASK, 4, ours);
	return true;
}

/* What an operand is aligned to that must be: 32 bytes of a ymm register, else 16. */
static unsigned int alignment_of(const struct oracle_pair *pair)
{
	for (unsigned int i = 0; i < pair->code->decoded.insn.operand_count; i++) {
		const ZydisDecodedOperand *operand = &pair->code->decoded.operands[i];

		if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY && operand->size == 256) {
			return 32;
		}
	}
	return 16;
}

/* With AC set it is #GP or #AC (SDM vol. 2A, "FXSAVE"; vol. 3A 6.15, interrupt 17). AMD's processors look at it before
 * they do at a limit or whether an address is canonical, which for SS is another vector. */
bool oracle_excuse_alignment_check(const struct oracle_pair *pair, struct oracle_result *ours)
{
	uint64_t at;

	if (!pair->test->vectors || oracle_executed(pair, pair->host) ||
	    !oracle_operand_address(pair->code, pair->test, &at) || at % alignment_of(pair) == 0) {
		return false;
	}
	if (!(pair->host->vector == 17 && pair->ours->vector == 13) &&
	    !(pair->host->vector == 13 && pair->ours->vector == 12)) {
		return false;
	}
	ours->vector = pair->host->vector;
	ours->error = pair->host->error;
	return true;
}

static bool is_of_memory(uint32_t vector)
{
	return vector == 12 || vector == 13 || vector == 14 || vector == 17;
}

/* An operand of many accesses: which of them the CPU does first, and where it goes on behind the last offset. */
bool oracle_excuse_image_fault(const struct oracle_pair *pair, struct oracle_result *ours)
{
	if (image_of(pair->code) == NO_IMAGE || pair->ours->out.rip != pair->test->in.rip ||
	    oracle_executed(pair, pair->host) || !is_of_memory(pair->host->vector) ||
	    !is_of_memory(pair->ours->vector)) {
		return false;
	}
	ours->vector = pair->host->vector;
	ours->cr2 = pair->host->cr2;
	ours->error = pair->host->error;
	return true;
}

/*
 * "Exceptions may still be signaled (implementation dependent)" with a mask that asks for nothing (SDM vol. 2B,
 * "MASKMOVQ"), and the operand need not be aligned. AMD's processors look at all of it whatever the mask is, have #AC,
 * and have entered the MMX state when they fault.
 */
bool oracle_excuse_masked_bytes(const struct oracle_pair *pair, struct oracle_result *ours)
{
	ZydisMnemonic mnemonic = pair->code->decoded.insn.mnemonic;

	if ((mnemonic != ZYDIS_MNEMONIC_MASKMOVQ && mnemonic != ZYDIS_MNEMONIC_MASKMOVDQU &&
	     mnemonic != ZYDIS_MNEMONIC_VMASKMOVDQU) ||
	    oracle_executed(pair, pair->host) || !is_of_memory(pair->host->vector)) {
		return false;
	}
	if (oracle_executed(pair, pair->ours)) {
		*ours = *pair->host;
		return true;
	}
	if (is_of_memory(pair->ours->vector)) {
		ours->vector = pair->host->vector;
		ours->error = pair->host->error;
		ours->cr2 = pair->host->cr2;
	}
	if (mnemonic == ZYDIS_MNEMONIC_MASKMOVQ) {
		memcpy(ours->out.xsave, pair->host->out.xsave, HS_XSAVE_MXCSR);
		memcpy(ours->out.xsave + HS_XSAVE_ST0, pair->host->out.xsave + HS_XSAVE_ST0,
		       HS_XSAVE_XMM0 - HS_XSAVE_ST0);
	}
	return true;
}

/* An invalid operation that is not masked: "the status flags are not set" (SDM vol. 2A, "FCOMI"), but AMD's processors
 * set them as for a masked one. */
bool oracle_excuse_invalid_comparison(const struct oracle_pair *pair, struct oracle_result *ours)
{
	unsigned int control = hs_get_le16(pair->host->out.xsave + HS_XSAVE_FCW);
	unsigned int status = hs_get_le16(pair->host->out.xsave + HS_XSAVE_FSW);

	switch (pair->code->decoded.insn.mnemonic) {
	case ZYDIS_MNEMONIC_FCOMI:
	case ZYDIS_MNEMONIC_FCOMIP:
	case ZYDIS_MNEMONIC_FUCOMI:
	case ZYDIS_MNEMONIC_FUCOMIP:
		break;
	default:
		return false;
	}
	if (!(status & ~control & FSW_INVALID) || !oracle_executed(pair, pair->host)) {
		return false;
	}
	ours->out.rflags = (ours->out.rflags & ~(uint64_t)FLAG_STATUS) | (pair->host->out.rflags & FLAG_STATUS);
	return true;
}

/*
 * With one of those not masked, P says whether the result was rounded that would be without a limit of the exponent
 * (SDM vol. 1 11.5.2.4, 11.5.2.5). Here the masked result is what there is.
 */
bool oracle_excuse_precision_beside(const struct oracle_pair *pair, struct oracle_result *ours)
{
	uint32_t host = hs_get_le32(pair->host->out.xsave + HS_XSAVE_MXCSR);

	if (!pair->test->vectors || pair->host->vector != 19 || pair->ours->vector != 19 ||
	    !(host & ~(host >> 7) & (MXCSR_OVERFLOW | MXCSR_UNDERFLOW))) {
		return false;
	}
	ours->out.xsave[HS_XSAVE_MXCSR] &= (uint8_t)~MXCSR_PRECISION;
	ours->out.xsave[HS_XSAVE_MXCSR] |= host & MXCSR_PRECISION;
	return true;
}
