/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "excuse_vectors.h"

#include "address.h"
#include "base/bytes.h"

#include <hindsight/cpu.h>

#include <string.h>

#define FSW_ES 0x80u
#define LARGE_OPERAND 64u

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

static bool loads_image(ZydisMnemonic mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_FXRSTOR || mnemonic == ZYDIS_MNEMONIC_FXRSTOR64;
}

static bool stores_image(ZydisMnemonic mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_FXSAVE || mnemonic == ZYDIS_MNEMONIC_FXSAVE64;
}

/* fxsave and fxrstor take the pointers with them; AMD's processors only those of a pending exception. */
bool oracle_excuse_image_pointers(const struct oracle_pair *pair, struct oracle_result *ours)
{
	ZydisMnemonic mnemonic = pair->code->decoded.insn.mnemonic;
	const uint8_t *host = pair->host->out.xsave;
	uint64_t at;

	if ((hs_get_le16(host + HS_XSAVE_FSW) & FSW_ES) || !oracle_operand_address(pair->code, pair->test, &at) ||
	    !oracle_executed(pair, pair->host)) {
		return false;
	}
	if (loads_image(mnemonic)) {
		memcpy(ours->out.xsave + HS_XSAVE_FOP, host + HS_XSAVE_FOP, HS_XSAVE_FDP + 8 - HS_XSAVE_FOP);
		return true;
	}
	if (stores_image(mnemonic)) {
		take_memory(pair, at + HS_XSAVE_FOP, HS_XSAVE_FDP + 8 - HS_XSAVE_FOP, ours);
		return true;
	}
	return false;
}

/* MXCSR_MASK: bit 17 is MM (APM vol. 1, 4.2.2). */
bool oracle_excuse_mxcsr_mask(const struct oracle_pair *pair, struct oracle_result *ours)
{
	uint64_t at;

	if (!stores_image(pair->code->decoded.insn.mnemonic) || !oracle_executed(pair, pair->host) ||
	    !oracle_operand_address(pair->code, pair->test, &at)) {
		return false;
	}
	take_memory(pair, at + HS_XSAVE_MXCSR_MASK, 4, ours);
	return true;
}

/* With AC set it is #GP or #AC (SDM vol. 2A, "FXSAVE"; vol. 3A 6.15, interrupt 17). AMD's processors look at it before
 * they do at a limit or whether an address is canonical, which for SS is another vector. */
bool oracle_excuse_alignment_check(const struct oracle_pair *pair, struct oracle_result *ours)
{
	uint64_t at;

	if (!pair->test->vectors || oracle_executed(pair, pair->host) ||
	    !oracle_operand_address(pair->code, pair->test, &at) || at % 16 == 0) {
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

/* Of an operand of many accesses that are on missing pages, the host does not begin with the first; and where it goes
 * on behind the last offset, the host goes on with offset 0. */
bool oracle_excuse_far_end_first(const struct oracle_pair *pair, struct oracle_result *ours)
{
	unsigned int width = pair->code->decoded.insn.address_width, bytes = 0;
	uint64_t at, mask = width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;
	bool wraps;

	for (unsigned int i = 0; i < pair->code->decoded.insn.operand_count; i++) {
		const ZydisDecodedOperand *operand = &pair->code->decoded.operands[i];

		bytes = operand->type == ZYDIS_OPERAND_TYPE_MEMORY ? operand->size / 8u : bytes;
	}
	if (bytes < LARGE_OPERAND || pair->host->vector != 14 || !oracle_operand_address(pair->code, pair->test, &at) ||
	    ((pair->host->cr2 - at) & mask) >= bytes) {
		return false;
	}
	wraps = at + bytes - 1 > mask;
	if (pair->ours->vector != 14 && !(wraps && pair->ours->vector == 13)) {
		return false;
	}
	ours->vector = pair->host->vector;
	ours->cr2 = pair->host->cr2;
	ours->error = pair->host->error;
	return true;
}
