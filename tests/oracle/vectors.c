/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vectors.h"

#include "base/bytes.h"

#include <hindsight/cpu.h>

#include <string.h>

#define MXCSR_FLAGS 0x3fu
#define MXCSR_DAZ 0x40u
#define MXCSR_MASKS 0x1f80u
#define MXCSR_ROUNDING 0x6000u
#define MXCSR_FTZ 0x8000u

#define FCW_ALWAYS 0x40u
#define FCW_INFINITY 0x1000u
#define FSW_EXCEPTIONS 0x3fu
#define FSW_STACK_FAULT 0x40u
#define FSW_ES 0x80u
#define FSW_CONDITIONS 0x4700u
#define FSW_TOP 0x3800u
#define FSW_B 0x8000u
/* The last opcode and pointers: what a CPU can have had. */
#define FOP_BITS 0x7ffu
#define POINTER_BITS UINT64_C(0x7fffffff)

/* Mostly all masked, and so no faults; of the others each combination. */
static unsigned int choose_masks(struct oracle_random *random)
{
	return oracle_chance(random, 75) ? 0x3f : (unsigned int)oracle_random(random) & 0x3f;
}

static void choose_mxcsr(struct oracle_random *random, uint8_t *xsave)
{
	uint32_t mxcsr = choose_masks(random) << 7 | ((uint32_t)oracle_random(random) & MXCSR_ROUNDING);

	_Static_assert(MXCSR_MASKS == 0x3f << 7, "where the masks are");
	if (oracle_chance(random, 50)) {
		mxcsr |= (uint32_t)oracle_random(random) & MXCSR_FLAGS;
	}
	mxcsr |= (oracle_chance(random, 20) ? MXCSR_DAZ : 0) | (oracle_chance(random, 20) ? MXCSR_FTZ : 0);
	hs_put_le32(xsave + HS_XSAVE_MXCSR, mxcsr);
}

/* An exception that is not masked may stand in the status word already: then it is pending. */
static unsigned int choose_exceptions(struct oracle_random *random, unsigned int masks)
{
	unsigned int exceptions = oracle_chance(random, 50) ? 0 : (unsigned int)oracle_random(random) & FSW_EXCEPTIONS;

	return oracle_chance(random, 15) ? exceptions : exceptions & masks;
}

static void choose_x87_control(struct oracle_random *random, uint8_t *xsave)
{
	static const uint8_t precisions[] = { 0, 0, 2, 2, 3, 3, 3, 3, 3, 1 }; /* single, double, extended, reserved */
	unsigned int masks = choose_masks(random), exceptions = choose_exceptions(random, masks);
	unsigned int precision = precisions[oracle_below(random, sizeof(precisions))];
	unsigned int control = masks | FCW_ALWAYS | precision << 8 | ((unsigned int)oracle_random(random) & 3) << 10;
	unsigned int status = exceptions | ((unsigned int)oracle_random(random) & (FSW_CONDITIONS | FSW_TOP));

	control |= oracle_chance(random, 20) ? FCW_INFINITY : 0;
	status |= exceptions & 1 && oracle_chance(random, 50) ? FSW_STACK_FAULT : 0;
	status |= exceptions & ~masks ? FSW_ES | FSW_B : 0;
	hs_put_le16(xsave + HS_XSAVE_FCW, (uint16_t)control);
	hs_put_le16(xsave + HS_XSAVE_FSW, (uint16_t)status);
	/* A bit for each register that is not empty. */
	xsave[HS_XSAVE_FTW] =
		(uint8_t)(oracle_random(random) | (oracle_chance(random, 75) ? oracle_random(random) : 0) |
			  (oracle_chance(random, 60) ? oracle_random(random) : 0));
	hs_put_le16(xsave + HS_XSAVE_FOP, (uint16_t)(oracle_random(random) & FOP_BITS));
	hs_put_le64(xsave + HS_XSAVE_FIP, oracle_random(random) & POINTER_BITS);
	hs_put_le64(xsave + HS_XSAVE_FDP, oracle_random(random) & POINTER_BITS);
}

/* The place of a register that instructions of MMX use, or of all those of x87: they are numbered from a top. */
static void fill_x87(struct oracle_lanes *lanes, uint8_t *xsave)
{
	for (unsigned int i = 0; i < 8; i++) {
		oracle_lanes_fill(lanes, ZYDIS_ELEMENT_TYPE_FLOAT80, 80, xsave + HS_XSAVE_ST0 + i * 16, 10);
	}
}

static void fill_vector(struct oracle_lanes *lanes, const ZydisDecodedOperand *operand, uint8_t *xsave)
{
	ZydisRegisterClass class = ZydisRegisterGetClass(operand->reg.value);
	size_t number = (size_t)ZydisRegisterGetId(operand->reg.value);

	if (class == ZYDIS_REGCLASS_MMX) {
		oracle_lanes_fill(lanes, operand->element_type, operand->element_size,
				  xsave + HS_XSAVE_ST0 + number * 16, 8);
	} else if (class == ZYDIS_REGCLASS_XMM || class == ZYDIS_REGCLASS_YMM) {
		oracle_lanes_fill(lanes, operand->element_type, operand->element_size,
				  xsave + HS_XSAVE_XMM0 + number * 16, 16);
		oracle_lanes_fill(lanes, operand->element_type, operand->element_size,
				  xsave + HS_XSAVE_YMMH0 + number * 16, 16);
	}
}

static bool is_x87(const struct oracle_code *code)
{
	return code->decoded.insn.meta.category == ZYDIS_CATEGORY_X87_ALU ||
	       code->decoded.insn.meta.category == ZYDIS_CATEGORY_FCMOV;
}

/* pcmpestrm, pcmpestri, pcmpistrm, pcmpistri. */
static bool compares_text(const struct oracle_code *code)
{
	return code->decoded.insn.opcode_map == ZYDIS_OPCODE_MAP_0F3A && code->decoded.insn.opcode >= 0x60 &&
	       code->decoded.insn.opcode <= 0x63;
}

/* Texts of few different characters, of any length up to a little more than fits. */
static void choose_text(struct oracle_lanes *lanes, struct oracle_case *test)
{
	struct oracle_random *random = lanes->random;

	lanes->pooled = true;
	lanes->text = oracle_chance(random, 50) ? 8 : 16;
	if (oracle_chance(random, 80)) {
		test->in.gpr[0] = oracle_below(random, 41) - 20;
		test->in.gpr[2] = oracle_below(random, 41) - 20;
	}
}

void oracle_choose_vectors(struct oracle_lanes *lanes, const struct oracle_code *code, struct oracle_case *test)
{
	struct oracle_random *random = lanes->random;
	uint8_t *xsave = test->in.xsave, area[ORACLE_XSAVE_BYTES];

	test->vectors = true;
	if (compares_text(code)) {
		choose_text(lanes, test);
	}
	/* Registers that are no operands hold anything: that it stays is what matters. */
	for (unsigned int i = HS_XSAVE_ST0; i < ORACLE_XSAVE_BYTES; i += 8) {
		hs_put_le64(xsave + i, oracle_random(random));
	}
	choose_mxcsr(random, xsave);
	choose_x87_control(random, xsave);
	if (is_x87(code)) {
		fill_x87(lanes, xsave);
	}
	for (unsigned int i = 0; i < code->decoded.insn.operand_count; i++) {
		if (code->decoded.operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
			fill_vector(lanes, &code->decoded.operands[i], xsave);
		}
	}
	/* What is between the fields is no part of a case. */
	memcpy(area, xsave, sizeof(area));
	area[HS_XSAVE_XSTATE_BV] = 7;
	oracle_xsave_take(xsave, area);
}

void oracle_choose_image(struct oracle_random *random, uint8_t image[ORACLE_IMAGE_BYTES])
{
	uint8_t area[ORACLE_XSAVE_BYTES] = { 0 };

	choose_mxcsr(random, area);
	choose_x87_control(random, area);
	if (oracle_chance(random, 5)) {
		area[HS_XSAVE_MXCSR + 2] = 1; /* a reserved bit */
	}
	memcpy(image, area, ORACLE_IMAGE_BYTES);
}

/* ---- Gathers ---- */

bool oracle_is_gather(const ZydisDecodedOperand *operand)
{
	return operand->type == ZYDIS_OPERAND_TYPE_MEMORY && operand->mem.type == ZYDIS_MEMOP_TYPE_VSIB;
}

static uint8_t *vector_part(struct oracle_case *test, ZydisRegister reg, size_t at)
{
	size_t number = (size_t)ZydisRegisterGetId(reg);

	return test->in.xsave + (at < 16 ? HS_XSAVE_XMM0 + at : HS_XSAVE_YMMH0 + at - 16) + number * 16;
}

/* vgatherdps, vgatherdpd, vpgatherdd, vpgatherdq have indexes of 32 bits, the others of 64 (opcodes 92, 90). */
static size_t index_bytes(const struct oracle_code *code)
{
	return code->decoded.insn.opcode & 1 ? 8 : 4;
}

void oracle_choose_gather(struct oracle_random *random, struct oracle_code *code, const ZydisDecodedOperand *operand,
			  struct oracle_case *test, uint64_t *ret_base)
{
	unsigned int width = code->decoded.insn.address_width;
	uint64_t scale = operand->mem.scale ? operand->mem.scale : 1;
	uint64_t middle = ORACLE_DATA + oracle_below(random, 2 * ORACLE_PAGE), displacement;
	unsigned int percent = oracle_chance(random, 60) ? 0 : 20;
	size_t bytes = index_bytes(code);

	displacement = code->decoded.insn.raw.disp.size ? oracle_below(random, 0x80) : 0;
	oracle_set_displacement(code, displacement);
	*ret_base = operand->mem.base == ZYDIS_REGISTER_NONE ? 0 : middle - displacement;
	for (size_t at = 0; at < 32; at += bytes) {
		uint64_t to = middle + oracle_below(random, 256) - 128;

		if (oracle_chance(random, percent)) {
			to = oracle_target(random, width, operand->size / 8u, false);
		}
		to = (to - *ret_base - displacement) / scale;
		memcpy(vector_part(test, operand->mem.index, at), &to, bytes);
	}
}
