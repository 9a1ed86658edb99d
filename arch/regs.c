/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arch/regs.h"

#include "arch/regs_table.h"
#include "base/bytes.h"

#include <stdbool.h>
#include <string.h>

/* Component bits of XSTATE_BV and XCR0 (SDM vol. 1 13.1). */
#define XSTATE_X87 1u
#define XSTATE_SSE 2u
/* The components of AVX-512 are switched on together (SDM vol. 1 13.3). */
#define XSTATE_AVX512 (7u << HS_XSTATE_OPMASK)

/* Tags of the full tag word (SDM vol. 1 8.1.7). */
enum x87_tag { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };

static const struct hs_reg_table *table_of(enum hs_arch arch)
{
	return arch == HS_ARCH_I686 ? &hs_regs_i686 : &hs_regs_amd64;
}

const struct hs_reg *hs_regs(enum hs_arch arch, size_t *ret_count)
{
	const struct hs_reg_table *table = table_of(arch);

	*ret_count = table->count;
	return table->rows;
}

bool hs_reg_exists(const struct hs_reg *reg, uint64_t xcr0)
{
	if (reg->feature == HS_REG_AVX512) {
		return (xcr0 & XSTATE_AVX512) == XSTATE_AVX512;
	}
	return reg->component <= HS_XSTATE_SSE || (xcr0 >> reg->component & 1);
}

size_t hs_regs_of(enum hs_arch arch, uint64_t xcr0, const struct hs_reg **ret)
{
	const struct hs_reg_table *table = table_of(arch);
	size_t count = 0;

	for (size_t i = 0; i < table->count && count < HS_REGS_MAX; i++) {
		if (hs_reg_exists(&table->rows[i], xcr0)) {
			ret[count++] = &table->rows[i];
		}
	}
	return count;
}

const struct hs_reg *hs_reg_by_name(enum hs_arch arch, const char *name)
{
	const struct hs_reg_table *table = table_of(arch);

	for (size_t i = 0; i < table->count; i++) {
		if (strcmp(table->rows[i].name, name) == 0) {
			return &table->rows[i];
		}
	}
	return NULL;
}

const struct hs_reg *hs_reg_by_dwarf(enum hs_arch arch, int dwarf)
{
	const struct hs_reg_table *table = table_of(arch);

	if (dwarf < 0) {
		return NULL;
	}
	for (size_t i = 0; i < table->count; i++) {
		if (table->rows[i].dwarf == dwarf) {
			return &table->rows[i];
		}
	}
	return NULL;
}

/* The tag that the contents of an x87 register ask for: 64 bits of significand, 15 of exponent, sign. */
static enum x87_tag tag_of_contents(const uint8_t *st)
{
	uint64_t significand = hs_get_le64(st);
	uint16_t exponent = hs_get_le16(st + 8) & 0x7fff;
	bool integer_bit = significand >> 63;

	if (exponent == 0 && significand == 0) {
		return TAG_ZERO;
	}
	/* NaN, infinity, denormal and every encoding without the integer bit are special. */
	return exponent == 0 || exponent == 0x7fff || !integer_bit ? TAG_SPECIAL : TAG_VALID;
}

/*
 * FXSAVE keeps one bit a register (1 = not empty), by physical number; the full tag word has two, also by physical
 * number. The contents lie in stack order: physical register n is ST((n - TOP) mod 8) (SDM vol. 1 10.5.1.1).
 */
static uint16_t ftag_get(const uint8_t *xsave)
{
	uint8_t abridged = xsave[HS_XSAVE_FTW];
	unsigned int top = hs_get_le16(xsave + HS_XSAVE_FSW) >> 11 & 7;
	unsigned int word = 0;

	for (unsigned int n = 0; n < 8; n++) {
		const uint8_t *st = xsave + HS_XSAVE_ST0 + 16 * ((n - top) & 7);
		enum x87_tag tag = abridged >> n & 1 ? tag_of_contents(st) : TAG_EMPTY;

		word |= (unsigned int)tag << (2 * n);
	}
	return (uint16_t)word;
}

/* Only "empty or not" is stored; which kind of value a register holds always follows from its contents. */
static void ftag_set(uint8_t *xsave, uint16_t word)
{
	unsigned int abridged = 0;

	for (unsigned int n = 0; n < 8; n++) {
		if ((word >> (2 * n) & 3) != TAG_EMPTY) {
			abridged |= 1u << n;
		}
	}
	xsave[HS_XSAVE_FTW] = (uint8_t)abridged;
}

static bool in_xsave(const struct hs_reg *reg)
{
	return reg->component >= 0;
}

static bool in_use(const struct hs_reg *reg, const struct hs_cpu_state *state)
{
	return hs_get_le64(state->xsave + HS_XSAVE_XSTATE_BV) >> reg->component & 1;
}

/* What lies in the area of a component that is in its initial configuration means nothing. */
static void clear_component(enum hs_xstate_component component, uint8_t *xsave)
{
	static const struct {
		uint16_t offset, bytes;
	} areas[] = {
		[HS_XSTATE_AVX] = { HS_XSAVE_YMMH0, 16 * 16 },
		[HS_XSTATE_OPMASK] = { HS_XSAVE_OPMASK, 8 * 8 },
		[HS_XSTATE_ZMM_HI256] = { HS_XSAVE_ZMM_HI256, 16 * 32 },
		[HS_XSTATE_HI16_ZMM] = { HS_XSAVE_HI16_ZMM, 16 * 64 },
		[HS_XSTATE_PKRU] = { HS_XSAVE_PKRU, 8 },
	};

	memset(xsave + areas[component].offset, 0, areas[component].bytes);
}

static void mark_in_use(const struct hs_reg *reg, struct hs_cpu_state *state)
{
	uint8_t *xstate_bv = state->xsave + HS_XSAVE_XSTATE_BV;

	if (reg->component > HS_XSTATE_SSE && !in_use(reg, state)) {
		clear_component((enum hs_xstate_component)reg->component, state->xsave);
	}
	hs_put_le64(xstate_bv, hs_get_le64(xstate_bv) | UINT64_C(1) << reg->component);
}

bool hs_reg_enabled(const struct hs_reg *reg, const struct hs_cpu_state *state)
{
	return hs_reg_exists(reg, state->xcr0);
}

void hs_reg_enable(const struct hs_reg *reg, struct hs_cpu_state *state)
{
	const uint64_t avx = XSTATE_X87 | XSTATE_SSE | 1u << HS_XSTATE_AVX;

	if (hs_reg_enabled(reg, state)) {
		return;
	}
	switch (reg->feature) {
	case HS_REG_AVX:
		state->xcr0 |= avx;
		break;
	case HS_REG_AVX512:
		state->xcr0 |= avx | XSTATE_AVX512;
		break;
	default:
		state->xcr0 |= XSTATE_X87 | UINT64_C(1) << reg->component;
		break;
	}
}

void hs_reg_get(const struct hs_reg *reg, const struct hs_cpu_state *state, uint8_t *ret)
{
	const uint8_t *from = (const uint8_t *)state + reg->offset;

	if (reg->component > HS_XSTATE_SSE && (!hs_reg_enabled(reg, state) || !in_use(reg, state))) {
		memset(ret, 0, reg->bytes);
		return;
	}
	switch (reg->codec) {
	case HS_REG_PLAIN:
		memcpy(ret, from, reg->bytes);
		break;
	case HS_REG_SELECTOR:
	case HS_REG_FIELD16:
		hs_put_le32(ret, hs_get_le16(from));
		break;
	case HS_REG_FTAG:
		hs_put_le32(ret, ftag_get(state->xsave));
		break;
	case HS_REG_NO_CALL:
		memset(ret, 0xff, reg->bytes);
		break;
	}
}

void hs_reg_set(const struct hs_reg *reg, struct hs_cpu_state *state, const uint8_t *bytes)
{
	uint8_t *to = (uint8_t *)state + reg->offset;

	if (in_xsave(reg)) {
		mark_in_use(reg, state);
	}
	switch (reg->codec) {
	case HS_REG_PLAIN:
		memcpy(to, bytes, reg->bytes);
		/* Outside the XSAVE area every plain field is 64 bits wide. */
		if (reg->bytes == 4 && !in_xsave(reg)) {
			memset(to + 4, 0, 4);
		}
		break;
	case HS_REG_SELECTOR:
	case HS_REG_FIELD16:
		hs_put_le16(to, hs_get_le16(bytes));
		break;
	case HS_REG_FTAG:
		ftag_set(state->xsave, hs_get_le16(bytes));
		break;
	case HS_REG_NO_CALL:
		break;
	}
}

void hs_cpu_state_init(struct hs_cpu_state *state)
{
	/* memset, not assignment: the padding takes part in comparisons. */
	memset(state, 0, sizeof(*state));
	state->rflags = 2; /* bit 1 is always set (SDM vol. 1 3.4.3) */
	state->xcr0 = XSTATE_X87;
	hs_put_le16(state->xsave + HS_XSAVE_FCW, 0x37f);
	hs_put_le32(state->xsave + HS_XSAVE_MXCSR, 0x1f80);
	state->xsave[HS_XSAVE_XSTATE_BV] = XSTATE_X87 | XSTATE_SSE;
}
