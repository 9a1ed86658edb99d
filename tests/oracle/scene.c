/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registers and memory for an instruction, so that its operands are where they can be seen and its faults happen. */
#include "address.h"
#include "vectors.h"

#include <string.h>

#define TRIES 64
#define FXSAVE_BYTES 512u

struct scene {
	struct oracle_random *random;
	const struct oracle_form *form;
	struct oracle_code *code;
	struct oracle_case *test;
	struct oracle_lanes lanes;
	bool aligned; /* operands are aligned by their size, or stand anywhere */
};

static uint64_t mask_of(unsigned int bits)
{
	return bits >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1;
}

/* The number of a general register, or -1; ah and its like are numbers 0 to 3 as well. */
static int number_of(ZydisRegister reg)
{
	ZydisRegister full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	if (full < ZYDIS_REGISTER_RAX || full > ZYDIS_REGISTER_R15) {
		return -1;
	}
	return full - ZYDIS_REGISTER_RAX;
}

static void set_gpr(struct scene *scene, ZydisRegister reg, uint64_t value)
{
	int number = number_of(reg);
	uint64_t mask = mask_of(ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg));

	if (number >= 0) {
		uint64_t *gpr = &scene->test->in.gpr[number];

		*gpr = (*gpr & ~mask) | (value & mask);
	}
}

static uint64_t get_gpr(const struct scene *scene, ZydisRegister reg)
{
	int number = number_of(reg);

	return number < 0
		       ? 0
		       : scene->test->in.gpr[number] & mask_of(ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg));
}

static void add_patch(struct scene *scene, uint64_t at, const void *bytes, size_t length)
{
	struct oracle_case *test = scene->test;

	if (test->patch_count < ORACLE_PATCHES && length <= ORACLE_PATCH_BYTES) {
		struct oracle_patch *patch = &test->patches[test->patch_count++];

		patch->at = at;
		patch->length = (uint32_t)length;
		memcpy(patch->bytes, bytes, length);
	}
}

/* What a vector instruction finds: elements of its type, or an image with valid control words. */
static void fill_elements(struct scene *scene, const ZydisDecodedOperand *operand, uint64_t at)
{
	uint8_t bytes[ORACLE_PATCH_BYTES];

	if (operand->size / 8 == FXSAVE_BYTES) {
		oracle_choose_image(scene->random, bytes);
		add_patch(scene, at, bytes, ORACLE_IMAGE_BYTES);
	} else if (operand->size && operand->size / 8 <= sizeof(bytes)) {
		oracle_lanes_fill(&scene->lanes, operand->element_type, operand->element_size, bytes,
				  operand->size / 8);
		add_patch(scene, at, bytes, operand->size / 8);
	}
}

/* Values of the operand's size. */
static void fill_memory(struct scene *scene, uint64_t at, unsigned int bits)
{
	unsigned int bytes = bits / 8;
	uint64_t values[ORACLE_PATCH_BYTES / 8];

	for (unsigned int i = 0; i < ORACLE_PATCH_BYTES / 8; i++) {
		values[i] = oracle_value(scene->random);
	}
	if (bytes && bytes <= sizeof(values)) {
		add_patch(scene, at, values, bytes);
	}
}

static void fill_operand(struct scene *scene, const ZydisDecodedOperand *operand, uint64_t at)
{
	if (scene->form->vectors) {
		fill_elements(scene, operand, at);
	} else {
		fill_memory(scene, at, operand->size);
	}
}

/* The byte that a bit offset in a register moves the operand by (SDM vol. 2, "BT"). */
static uint64_t bit_displacement(const struct scene *scene, const ZydisDecodedOperand *memory)
{
	const ZydisDecodedOperand *bit = &scene->code->decoded.operands[1];
	uint64_t sign, offset;

	if (scene->code->decoded.insn.meta.category != ZYDIS_CATEGORY_BITBYTE ||
	    bit->type != ZYDIS_OPERAND_TYPE_REGISTER) {
		return 0;
	}
	sign = UINT64_C(1) << (bit->size - 1);
	offset = (get_gpr(scene, bit->reg.value) ^ sign) - sign;
	return (uint64_t)((int64_t)offset >> (memory->size == 16   ? 4
					      : memory->size == 32 ? 5
								   : 6)) *
	       (memory->size / 8u);
}

/* Make the address of an operand of the ModRM byte be `at`. */
static void aim(struct scene *scene, const ZydisDecodedOperand *operand, uint64_t at)
{
	const ZydisDecodedOperandMem *memory = &operand->mem;
	unsigned int width = scene->code->decoded.insn.address_width;
	uint64_t scale = memory->scale ? memory->scale : 1;
	uint64_t offset = at - oracle_segment_base(scene->test, memory->segment);
	ZydisRegister base = memory->base;
	uint64_t index;

	offset -= bit_displacement(scene, operand);
	if (oracle_is_sib_without_base(&scene->code->decoded.insn)) {
		base = ZYDIS_REGISTER_NONE;
	}
	if (base == ZYDIS_REGISTER_NONE && memory->index != ZYDIS_REGISTER_NONE) {
		index = (offset - 0x100) / scale;
		set_gpr(scene, memory->index, index);
		oracle_set_displacement(scene->code, offset - index * scale);
	} else if (base == ZYDIS_REGISTER_NONE) {
		oracle_set_displacement(scene->code, offset);
	} else if (base == ZYDIS_REGISTER_RIP || base == ZYDIS_REGISTER_EIP) {
		oracle_set_displacement(scene->code, offset - (scene->code->rip + scene->code->length));
	} else {
		index = memory->index == ZYDIS_REGISTER_NONE ? 0 : get_gpr(scene, memory->index) * scale;
		set_gpr(scene, base, (offset - index - (uint64_t)memory->disp.value) & mask_of(width));
	}
}

static bool is_stack_base(ZydisRegister reg)
{
	return number_of(reg) == 4;
}

/* Operands that are not written: the stack, the string's ends, xlat's table. */
static void aim_hidden(struct scene *scene, const ZydisDecodedOperand *operand)
{
	const ZydisDecodedOperandMem *memory = &operand->mem;
	unsigned int width = is_stack_base(memory->base) ? scene->form->bits : scene->code->decoded.insn.address_width;
	uint64_t at = oracle_target(scene->random, width, operand->size / 8u, scene->aligned);
	uint64_t offset = at - oracle_segment_base(scene->test, memory->segment);

	fill_operand(scene, operand, at);
	if (memory->index != ZYDIS_REGISTER_NONE) {
		offset -= get_gpr(scene, memory->index);
	}
	if (is_stack_base(memory->base) && (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)) {
		offset += operand->size / 8u;
	}
	set_gpr(scene, memory->base, offset);
}

static void aim_all(struct scene *scene)
{
	const struct oracle_insn *decoded = &scene->code->decoded;

	for (unsigned int i = decoded->insn.operand_count; i-- > 0;) {
		const ZydisDecodedOperand *operand = &decoded->operands[i];
		uint64_t at;

		if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY) {
			continue;
		}
		if (oracle_is_gather(operand)) {
			oracle_choose_gather(scene->random, scene->code, operand, scene->test, &at);
			set_gpr(scene, operand->mem.base, at);
			continue;
		}
		if (operand->visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT || decoded->insn.raw.modrm.offset == 0) {
			if (operand->encoding == ZYDIS_OPERAND_ENCODING_NONE) {
				aim_hidden(scene, operand);
				continue;
			}
		}
		at = oracle_target(scene->random, decoded->insn.address_width, operand->size / 8u, scene->aligned);
		fill_operand(scene, operand, at);
		aim(scene, operand, at);
	}
}

/* enter at random nearly always faults: a small frame of few levels, in the middle of a stack. */
static void choose_frame(struct scene *scene)
{
	static const uint8_t levels[] = { 0, 1, 2, 3, 7, 31, 33, 0xff };
	struct oracle_code *code = scene->code;
	uint16_t bytes = (uint16_t)oracle_below(scene->random, 600);

	memcpy(code->bytes + code->length - 3, &bytes, 2);
	code->bytes[code->length - 1] = levels[oracle_below(scene->random, sizeof(levels))];
	set_gpr(scene, ZYDIS_REGISTER_RSP, ORACLE_STACK + ORACLE_PAGE + oracle_below(scene->random, 2048));
	set_gpr(scene, ZYDIS_REGISTER_RBP, ORACLE_STACK + ORACLE_PAGE + oracle_below(scene->random, 2048));
}

/* Those two go through rbp as well. */
static void aim_frame(struct scene *scene)
{
	ZydisMnemonic mnemonic = scene->code->decoded.insn.mnemonic;
	unsigned int bytes = scene->code->decoded.insn.operand_width / 8u;

	if (mnemonic == ZYDIS_MNEMONIC_ENTER && oracle_chance(scene->random, 60)) {
		choose_frame(scene);
	} else if (mnemonic == ZYDIS_MNEMONIC_LEAVE || mnemonic == ZYDIS_MNEMONIC_ENTER) {
		uint64_t at = oracle_target(scene->random, scene->form->bits, bytes, scene->aligned);

		set_gpr(scene, ZYDIS_REGISTER_RBP, at);
		fill_memory(scene, at, bytes * 8);
	}
}

static unsigned int category_of(const struct scene *scene)
{
	return scene->code->decoded.insn.meta.category;
}

/* Strings that overlap, or are the same. */
static void choose_overlap(struct scene *scene)
{
	if (category_of(scene) == ZYDIS_CATEGORY_STRINGOP && oracle_chance(scene->random, 25)) {
		uint64_t source = get_gpr(scene, ZYDIS_REGISTER_RSI);

		set_gpr(scene, ZYDIS_REGISTER_RDI, source + oracle_below(scene->random, 25) - 12);
	}
}

/* Bounds with room between them, for bound; those of the negative and the positive half. */
static void choose_bounds(struct scene *scene)
{
	unsigned int bytes = scene->code->decoded.insn.operand_width / 8u;
	uint64_t lower = UINT64_C(1) << (bytes * 8 - 1), upper = lower - 1;

	if (scene->code->decoded.insn.mnemonic == ZYDIS_MNEMONIC_BOUND && scene->test->patch_count &&
	    oracle_chance(scene->random, 50)) {
		memcpy(scene->test->patches[0].bytes, &lower, bytes);
		memcpy(scene->test->patches[0].bytes + bytes, &upper, bytes);
	}
}

/* Counts of repetitions and of loop: few, none, some, or any number. */
static void choose_counts(struct scene *scene)
{
	ZydisMnemonic mnemonic = scene->code->decoded.insn.mnemonic;
	bool counts = category_of(scene) == ZYDIS_CATEGORY_STRINGOP ||
		      category_of(scene) == ZYDIS_CATEGORY_IOSTRINGOP || category_of(scene) == ZYDIS_CATEGORY_COND_BR ||
		      mnemonic == ZYDIS_MNEMONIC_LOOP;

	if (counts && oracle_chance(scene->random, 75)) {
		set_gpr(scene, scene->code->decoded.insn.address_width == 64 ? ZYDIS_REGISTER_RCX : ZYDIS_REGISTER_ECX,
			oracle_below(scene->random, oracle_chance(scene->random, 40) ? 100 : 4));
	}
	if (category_of(scene) == ZYDIS_CATEGORY_SHIFT || category_of(scene) == ZYDIS_CATEGORY_ROTATE) {
		set_gpr(scene, ZYDIS_REGISTER_CL,
			oracle_below(scene->random, oracle_chance(scene->random, 70) ? 34 : 256));
	}
}

/* Most quotients of random numbers do not fit: make the upper half small, or a sign. */
static void choose_dividend(struct scene *scene)
{
	ZydisMnemonic mnemonic = scene->code->decoded.insn.mnemonic;
	unsigned int bits = scene->code->decoded.insn.operand_width;

	if ((mnemonic != ZYDIS_MNEMONIC_DIV && mnemonic != ZYDIS_MNEMONIC_IDIV) || oracle_chance(scene->random, 25)) {
		return;
	}
	if (bits == 8) {
		set_gpr(scene, ZYDIS_REGISTER_AX, oracle_below(scene->random, 512) - 256);
	} else {
		uint64_t top = get_gpr(scene, ZYDIS_REGISTER_RAX) >> (bits - 1) & 1;

		set_gpr(scene,
			bits == 16   ? ZYDIS_REGISTER_DX
			: bits == 32 ? ZYDIS_REGISTER_EDX
				     : ZYDIS_REGISTER_RDX,
			mnemonic == ZYDIS_MNEMONIC_IDIV ? 0 - top : oracle_below(scene->random, 3));
	}
}

/* In half of the cases let a comparison find what it looks for. */
static void choose_equal(struct scene *scene)
{
	ZydisMnemonic mnemonic = scene->code->decoded.insn.mnemonic;
	struct oracle_case *test = scene->test;
	uint64_t wide[2] = { test->in.gpr[0], test->in.gpr[2] };

	if (test->patch_count == 0 || oracle_chance(scene->random, 50)) {
		return;
	}
	if (mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B) {
		wide[0] = (wide[0] & UINT32_MAX) | wide[1] << 32;
	}
	if (mnemonic == ZYDIS_MNEMONIC_CMPXCHG || mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B ||
	    mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B ||
	    (mnemonic >= ZYDIS_MNEMONIC_SCASB && mnemonic <= ZYDIS_MNEMONIC_SCASW)) {
		uint32_t length = test->patches[0].length;

		memcpy(test->patches[0].bytes, wide, length < sizeof(wide) ? length : sizeof(wide));
	} else if (test->patch_count == 2 && test->patches[0].length == test->patches[1].length) {
		memcpy(test->patches[0].bytes, test->patches[1].bytes, ORACLE_PATCH_BYTES);
	}
}

/* Where the instruction stands: mostly in the middle, sometimes at an end of its page, across it, or where none may. */
static uint64_t choose_rip(struct oracle_random *random, const struct oracle_code *code)
{
	size_t length = code->length;

	if (code->decoded.insn.mnemonic == ZYDIS_MNEMONIC_UD0 || code->decoded.insn.mnemonic == ZYDIS_MNEMONIC_UD1) {
		return ORACLE_CODE + 64; /* processors differ in how many bytes they fetch of these */
	}
	if (oracle_loads_stack_segment(code)) {
		return ORACLE_CODE + 128; /* the next one is executed too */
	}
	switch (oracle_below(random, 20)) {
	case 0:
		return ORACLE_CODE + ORACLE_PAGE - oracle_below(random, length + 1);
	case 1:
		return ORACLE_CODE + 2 * ORACLE_PAGE - oracle_below(random, length + 1);
	case 2:
		return ORACLE_CODE + 2 * ORACLE_PAGE - length; /* the next one would fault; this one does not */
	default:
		return ORACLE_CODE + 64 + oracle_below(random, 2 * ORACLE_PAGE - 128);
	}
}

static void choose_registers(struct scene *scene)
{
	static const uint32_t flags = FLAG_STATUS | FLAG_DF;

	for (unsigned int i = 0; i < 16; i++) {
		scene->test->in.gpr[i] = oracle_value(scene->random);
	}
	scene->test->in.rflags = 2 | FLAG_IF | FLAG_TF | (oracle_random(scene->random) & flags);
	if (oracle_chance(scene->random, 3)) {
		scene->test->in.rflags |= FLAG_AC;
	}
}

/* 32-bit code has no more than this of the registers. */
static void narrow(struct oracle_case *test)
{
	for (unsigned int i = 0; i < 16; i++) {
		test->in.gpr[i] = i < 8 ? test->in.gpr[i] & UINT32_MAX : 0;
	}
}

/* Addresses of another width are the same for all vectors: only some cases have them. */
static const struct oracle_encoding *choose_encoding(struct oracle_random *random, const struct oracle_form *form)
{
	const struct oracle_encoding *encoding = &form->encodings[oracle_below(random, form->encoding_count)];

	if (form->vectors && memchr(encoding->prefixes, 0x67, encoding->prefix_count) && oracle_chance(random, 80)) {
		encoding = &form->encodings[oracle_below(random, form->encoding_count)];
	}
	return encoding;
}

bool oracle_scene(struct oracle_random *random, const ZydisDecoder *decoder, const struct oracle_form *form,
		  struct oracle_case *ret, struct oracle_code *ret_code)
{
	struct scene scene = { .random = random, .form = form, .code = ret_code, .test = ret };
	const struct oracle_encoding *encoding = choose_encoding(random, form);
	static const uint8_t nop = 0x90;
	bool made = false;

	for (unsigned int i = 0; i < TRIES && !made; i++) {
		made = oracle_encode(random, decoder, form, encoding, ret_code);
	}
	if (!made) {
		return false;
	}
	memset(ret, 0, sizeof(*ret));
	ret->bits = form->bits;
	ret_code->rip = choose_rip(random, ret_code);
	scene.aligned = oracle_chance(random, form->vectors ? 75 : 50);
	choose_registers(&scene);
	if (form->vectors) {
		oracle_lanes_init(&scene.lanes, random);
		oracle_choose_vectors(&scene.lanes, ret_code, ret);
	}
	oracle_choose_segments(random, ret);
	choose_counts(&scene);
	choose_dividend(&scene);
	aim_all(&scene);
	aim_frame(&scene);
	choose_bounds(&scene);
	choose_overlap(&scene);
	choose_equal(&scene);
	oracle_choose_selector(random, ret_code, ret);
	ret->in.rip = ret_code->rip;
	if (form->bits == 32) {
		narrow(ret);
	}
	add_patch(&scene, ret_code->rip, ret_code->bytes, ret_code->length);
	if (oracle_loads_stack_segment(ret_code)) {
		add_patch(&scene, ret_code->rip + ret_code->length, &nop, 1);
	}
	return true;
}
