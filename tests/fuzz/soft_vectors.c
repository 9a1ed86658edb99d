/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "soft_vectors.h"

#include "base/bytes.h"

#include <Zydis/Zydis.h>

#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define CR0_MP_EM_TS 0xeu
#define TRIES 6
/* Where operands mostly are: nothing that the machine itself lives on. */
#define DATA 0x18000u
#define CR4_OSXSAVE (1u << 18)

static bool one_in(struct scene_source *source, uint64_t n)
{
	return scene_choice(source, n) == 0;
}

static uint8_t byte_of(struct scene_source *source)
{
	return (uint8_t)scene_number(source);
}

/* ModRM and what belongs to it. Often a register; else an address by a register or by itself, which is in RAM. */
static size_t put_operand(struct scene_source *source, uint8_t *at, bool is_long)
{
	uint8_t reg = (uint8_t)(byte_of(source) & 0x38);
	uint32_t place = one_in(source, 8) ? (uint32_t)scene_choice(source, SCENE_RAM)
					   : DATA + (uint32_t)scene_choice(source, SCENE_RAM - DATA);
	uint8_t rm;

	switch (scene_choice(source, 4)) {
	case 0:
		at[0] = byte_of(source);
		return 1;
	case 1:
		at[0] = (uint8_t)(0xc0 | reg | (byte_of(source) & 7));
		return 1;
	case 2:
		rm = byte_of(source) & 7;
		at[0] = (uint8_t)(0x40 | reg | rm);
		/* A byte of SIB where 4 asks for one: of a gather, the index is a vector. */
		at[1] = byte_of(source) & (one_in(source, 2) ? 0xff : 0x3f);
		at[2] = byte_of(source) & (one_in(source, 4) ? 0xff : 0x60);
		return rm == 4 ? 3 : 2;
	default:
		at[0] = (uint8_t)(reg | (is_long ? 4 : 5));
		at[1] = 0x25; /* with SIB, no base and no index */
		hs_put_le32(at + (is_long ? 2 : 1), one_in(source, 4) ? place | 0xfff : place & ~31u);
		return is_long ? 6 : 5;
	}
}

static size_t put_x87(struct scene_source *source, uint8_t *at, bool is_long)
{
	at[0] = (uint8_t)(0xd8 + scene_choice(source, 8));
	return 1 + put_operand(source, at + 1, is_long);
}

/* 0F, 0F38 and 0F3A with one of the prefixes that select. */
static size_t put_legacy(struct scene_source *source, uint8_t *at, bool is_long)
{
	static const uint8_t prefixes[] = { 0, 0x66, 0xf2, 0xf3 };
	/* Where the vectors are in the map of two bytes. */
	static const uint8_t starts[] = { 0x10, 0x28, 0x50, 0x50, 0x60, 0x70, 0xc0, 0xd0, 0xe0, 0xf0 };
	uint8_t prefix = prefixes[scene_choice(source, COUNT_OF(prefixes))];
	size_t map = scene_choice(source, 4);
	size_t used = 0;

	if (prefix) {
		at[used++] = prefix;
	}
	if (is_long && one_in(source, 2)) {
		at[used++] = (uint8_t)(0x40 | (byte_of(source) & 15));
	}
	at[used++] = 0x0f;
	if (map < 2) {
		at[used++] = (uint8_t)(starts[scene_choice(source, COUNT_OF(starts))] + (byte_of(source) & 15));
	} else {
		at[used++] = map == 2 ? 0x38 : 0x3a;
		at[used++] = byte_of(source) & (one_in(source, 4) ? 0xff : 0x6f);
	}
	used += put_operand(source, at + used, is_long);
	at[used++] = byte_of(source);
	return used;
}

static size_t put_vex(struct scene_source *source, uint8_t *at, bool is_long)
{
	/* R, X and B are stored inverted, and are the ModRM of les and lds elsewhere, so that 11 must stand there. */
	uint8_t high = (uint8_t)(is_long ? byte_of(source) & 0xe0 : 0xe0);
	uint8_t map = one_in(source, 16) ? byte_of(source) & 0x1f : (uint8_t)(1 + scene_choice(source, 3));
	/* vvvv is inverted too, and all ones where an instruction does not use it. */
	uint8_t last = one_in(source, 2) ? byte_of(source) : (uint8_t)(0x78 | (byte_of(source) & 0x87));
	size_t used = 0;

	if (one_in(source, 3)) {
		at[used++] = 0xc5;
		at[used++] = (uint8_t)((high & 0x80) | 0x40 | (last & 0x7f)) | (is_long ? 0 : 0xc0);
	} else {
		at[used++] = 0xc4;
		at[used++] = high | map;
		at[used++] = last;
	}
	at[used++] = byte_of(source);
	used += put_operand(source, at + used, is_long);
	at[used++] = byte_of(source);
	return used;
}

static size_t put_evex(struct scene_source *source, uint8_t *at, bool is_long)
{
	at[0] = 0x62;
	at[1] = (uint8_t)(0xf0 | (1 + scene_choice(source, 3)));
	at[2] = byte_of(source) | 4;
	at[3] = byte_of(source);
	at[4] = byte_of(source);
	return 5 + put_operand(source, at + 5, is_long);
}

/* What moves the state, or changes how the others are executed: by its bytes, the reg of its ModRM, and how many. */
static size_t put_control(struct scene_source *source, uint8_t *at, bool is_long)
{
	static const struct {
		uint8_t length, bytes[4];
		int8_t reg; /* -1: no operand */
	} some[] = {
		{ 2, { 0x0f, 0xae }, 0 }, /* fxsave, fxrstor, ldmxcsr, stmxcsr, xsave, xrstor, xsaveopt, clflush */
		{ 2, { 0x0f, 0xae }, 1 },
		{ 2, { 0x0f, 0xae }, 2 },
		{ 2, { 0x0f, 0xae }, 2 },
		{ 2, { 0x0f, 0xae }, 3 },
		{ 2, { 0x0f, 0xae }, 4 },
		{ 2, { 0x0f, 0xae }, 5 },
		{ 2, { 0x0f, 0xae }, 6 },
		{ 2, { 0x0f, 0xae }, 7 },
		{ 2, { 0x0f, 0xc7 }, 3 }, /* xrstors, xsavec, xsaves */
		{ 2, { 0x0f, 0xc7 }, 4 },
		{ 2, { 0x0f, 0xc7 }, 5 },
		{ 1, { 0xd9 }, 4 }, /* fldenv, fldcw, fnstenv, fnstcw, frstor, fnsave, fnstsw */
		{ 1, { 0xd9 }, 5 },
		{ 1, { 0xd9 }, 5 },
		{ 1, { 0xd9 }, 6 },
		{ 1, { 0xd9 }, 7 },
		{ 1, { 0xdd }, 4 },
		{ 1, { 0xdd }, 6 },
		{ 1, { 0xdd }, 7 },
		{ 1, { 0x9b }, -1 },       /* fwait */
		{ 2, { 0xdb, 0xe2 }, -1 }, /* fnclex, fninit */
		{ 2, { 0xdb, 0xe3 }, -1 },
		{ 2, { 0x0f, 0x77 }, -1 },       /* emms */
		{ 3, { 0xc5, 0xf8, 0x77 }, -1 }, /* vzeroupper, vzeroall */
		{ 3, { 0xc5, 0xfc, 0x77 }, -1 },
		{ 3, { 0x0f, 0x01, 0xd0 }, -1 }, /* xgetbv, xsetbv */
		{ 3, { 0x0f, 0x01, 0xd1 }, -1 },
		{ 2, { 0x0f, 0x06 }, -1 }, /* clts */
	};
	size_t one = scene_choice(source, COUNT_OF(some));
	size_t used = some[one].length;

	memcpy(at, some[one].bytes, used);
	if (some[one].reg < 0) {
		return used;
	}
	size_t operand = put_operand(source, at + used, is_long);

	at[used] = (uint8_t)((at[used] & 0xc7) | some[one].reg << 3);
	return used + operand;
}

static size_t put_any(struct scene_source *source, uint8_t *at, bool is_long)
{
	switch (scene_choice(source, 10)) {
	case 0:
	case 1:
		return put_x87(source, at, is_long);
	case 2:
	case 3:
	case 4:
		return put_legacy(source, at, is_long);
	case 5:
	case 6:
	case 7:
		return put_vex(source, at, is_long);
	case 8:
		return put_control(source, at, is_long);
	default:
		return one_in(source, 4) ? put_evex(source, at, is_long) : put_x87(source, at, is_long);
	}
}

/* Most bytes behind a VEX prefix are no instruction: a few are tried. */
size_t scene_put_vector(struct scene_source *source, uint8_t *at, bool is_long)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	ZydisDecoder decoder;
	size_t length = 0;

	ZydisDecoderInit(&decoder, is_long ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
			 is_long ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
	for (unsigned int i = 0; i < TRIES; i++) {
		length = put_any(source, at, is_long);
		if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, at, SCENE_VECTOR_BYTES, &insn, operands))) {
			return insn.length;
		}
	}
	return length;
}

/* Two floats, one double, or anything: zeros, ones, denormals, the largest, infinities and NaNs of both kinds. */
static uint64_t put_float(struct scene_source *source)
{
	static const uint64_t doubles[] = {
		0,
		UINT64_C(0x3ff0000000000000),
		UINT64_C(0x0000000000000001),
		UINT64_C(0x000fffffffffffff),
		UINT64_C(0x0010000000000000),
		UINT64_C(0x7fefffffffffffff),
		UINT64_C(0x7ff0000000000000),
		UINT64_C(0x7ff8000000000000),
		UINT64_C(0x7ff0000000000001),
		UINT64_C(0x41e0000000000000),
		UINT64_C(0x3ff0000000000001),
	};
	static const uint32_t floats[] = { 0,          0x3f800000, 0x00000001, 0x007fffff, 0x00800000,
					   0x7f7fffff, 0x7f800000, 0x7fc00000, 0x7f800001, 0x4f000000 };
	uint64_t sign = scene_number(source) & UINT64_C(0x8000000080000000);

	switch (scene_choice(source, 4)) {
	case 0:
		return scene_number(source);
	case 1:
		return scene_choice(source, SCENE_RAM);
	case 2:
		return doubles[scene_choice(source, COUNT_OF(doubles))] ^ (sign & (UINT64_C(1) << 63));
	default:
		return (floats[scene_choice(source, COUNT_OF(floats))] |
			(uint64_t)floats[scene_choice(source, COUNT_OF(floats))] << 32) ^
		       sign;
	}
}

/* Sign and exponent of an x87 register: of zero, a denormal, one, the largest, infinity and NaN, or anything. */
static uint16_t put_exponent(struct scene_source *source)
{
	static const uint16_t exponents[] = { 0, 0, 1, 0x3fff, 0x403e, 0x7ffe, 0x7fff, 0x7fff };
	uint16_t sign = (uint16_t)(scene_number(source) & 0x8000);

	return one_in(source, 4) ? (uint16_t)scene_number(source)
				 : (uint16_t)(exponents[scene_choice(source, COUNT_OF(exponents))] | sign);
}

static void set_controls(struct scene_source *source, struct hs_cpu_state *cpu)
{
	uint32_t mxcsr = one_in(source, 2) ? 0x1f80 : (uint32_t)scene_choice(source, 0x10000);
	uint16_t control = one_in(source, 2) ? 0x037f : (uint16_t)scene_number(source);
	uint16_t status = one_in(source, 2) ? 0 : (uint16_t)scene_number(source);

	/* Reserved bits: what a debugger or a file could ask for. */
	hs_put_le32(cpu->xsave + HS_XSAVE_MXCSR, one_in(source, 16) ? (uint32_t)scene_number(source) : mxcsr);
	hs_put_le16(cpu->xsave + HS_XSAVE_FCW, control);
	hs_put_le16(cpu->xsave + HS_XSAVE_FSW, status);
	cpu->xsave[HS_XSAVE_FTW] = one_in(source, 2) ? 0xff : byte_of(source);
	hs_put_le64(cpu->xsave + HS_XSAVE_XSTATE_BV, one_in(source, 8) ? scene_number(source) & 7 : 7);
	cpu->xcr0 = one_in(source, 4) ? (one_in(source, 2) ? 1 : 3) : 7;
	if (!one_in(source, 4)) {
		cpu->cr4 |= CR4_OSXSAVE;
	}
	if (!one_in(source, 8)) {
		cpu->cr0 &= ~(uint64_t)CR0_MP_EM_TS;
	}
}

void scene_set_vectors(struct scene_source *source, struct hs_cpu_state *cpu)
{
	for (size_t i = 0; i < 8; i++) {
		hs_put_le64(cpu->xsave + HS_XSAVE_ST0 + 16 * i,
			    put_float(source) | (scene_number(source) & UINT64_C(1) << 63));
		hs_put_le16(cpu->xsave + HS_XSAVE_ST0 + 16 * i + 8, put_exponent(source));
	}
	for (size_t i = 0; i < 256; i += 8) {
		hs_put_le64(cpu->xsave + HS_XSAVE_XMM0 + i, put_float(source));
		hs_put_le64(cpu->xsave + HS_XSAVE_YMMH0 + i, put_float(source));
	}
	for (int i = 0; i < HS_GPR_COUNT; i++) {
		if (i != HS_RSP && !one_in(source, 4)) {
			cpu->gpr[i] = DATA + scene_choice(source, SCENE_RAM - DATA - 256);
			cpu->gpr[i] &= one_in(source, 4) ? ~UINT64_C(0) : ~UINT64_C(31);
		}
	}
	set_controls(source, cpu);
}
