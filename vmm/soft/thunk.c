/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Zydis's encoder makes the instruction with its operands renamed, and its decoder has to find in it what was meant. An
 * operand that is not explicitly known here is a refusal: so masked stores and gathers, whose memory is not all
 * touched, are.
 */
#include "vmm/soft/thunk.h"

#include "vmm/soft/fpu.h"

#include <string.h>

/* Operand i is in xmm<i + 1>: xmm0 is implied at times. */
#define RENAMED_XMM (ZYDIS_REGISTER_XMM0 + 1)
#define RENAMED_YMM (ZYDIS_REGISTER_YMM0 + 1)
#define IMPLIED_VECTOR 3u

/* Enough for four operands loaded and one stored. */
#define CODE_MAX 160u

struct builder {
	const struct hs_soft_decoded *decoded;
	struct hs_soft_thunk *thunk;
	unsigned int vector_bytes[HS_SOFT_OPERANDS]; /* 16 or 32 where operand i is a vector register, else 0 */
	bool loads[HS_SOFT_OPERANDS];
	uint32_t stores; /* a bit for each operand */
	bool vex;
	uint8_t code[CODE_MAX];
	size_t length;
};

/* ---- What the operands are ---- */

static bool is_read(const ZydisDecodedOperand *operand)
{
	return operand->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
}

static bool is_written(const ZydisDecodedOperand *operand)
{
	return operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
}

static bool knows_vector(struct builder *builder, const ZydisDecodedOperand *operand, unsigned int i,
			 unsigned int bytes)
{
	builder->vector_bytes[i] = bytes;
	/* What is not written of a register is left alone, but for VEX: then it becomes zero. */
	builder->loads[i] = is_read(operand) || !builder->vex;
	if (is_written(operand)) {
		builder->stores |= 1u << i;
		builder->thunk->traits |= HS_SOFT_THUNK_WRITES_VECTOR;
	}
	return true;
}

static bool knows_register(struct builder *builder, const ZydisDecodedOperand *operand, unsigned int i)
{
	struct hs_soft_thunk *thunk = builder->thunk;

	switch (ZydisRegisterGetClass(operand->reg.value)) {
	case ZYDIS_REGCLASS_XMM:
		return knows_vector(builder, operand, i, 16);
	case ZYDIS_REGCLASS_YMM:
		return builder->vex && knows_vector(builder, operand, i, 32);
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64:
		if (thunk->traits & (HS_SOFT_THUNK_READS_VALUE | HS_SOFT_THUNK_WRITES_VALUE)) {
			return false;
		}
		thunk->traits |= is_read(operand) ? HS_SOFT_THUNK_READS_VALUE : 0;
		thunk->traits |= is_written(operand) ? HS_SOFT_THUNK_WRITES_VALUE : 0;
		thunk->value = i;
		return true;
	default:
		return false;
	}
}

static bool knows_memory(struct builder *builder, const ZydisDecodedOperand *operand, unsigned int i)
{
	struct hs_soft_thunk *thunk = builder->thunk;
	unsigned int bytes = operand->size / 8;

	if (operand->mem.type != ZYDIS_MEMOP_TYPE_MEM || bytes == 0 || bytes > 32 || (bytes & (bytes - 1)) ||
	    is_read(operand) == is_written(operand)) {
		return false;
	}
	thunk->traits |= is_read(operand) ? HS_SOFT_THUNK_READS_MEMORY : HS_SOFT_THUNK_WRITES_MEMORY;
	thunk->memory = i;
	return true;
}

static bool knows_visible(struct builder *builder, const ZydisDecodedOperand *operand, unsigned int i)
{
	if (operand->actions & (ZYDIS_OPERAND_ACTION_CONDREAD | ZYDIS_OPERAND_ACTION_CONDWRITE)) {
		return false;
	}
	switch (operand->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return knows_register(builder, operand, i);
	case ZYDIS_OPERAND_TYPE_MEMORY:
		return knows_memory(builder, operand, i);
	default:
		return operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
	}
}

static bool knows_hidden(struct builder *builder, const ZydisDecodedOperand *operand)
{
	struct hs_soft_thunk *thunk = builder->thunk;

	if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER) {
		return false;
	}
	switch (operand->reg.value) {
	case ZYDIS_REGISTER_XMM0:
		return knows_vector(builder, operand, IMPLIED_VECTOR, 16);
	case ZYDIS_REGISTER_EAX:
	case ZYDIS_REGISTER_RAX:
	case ZYDIS_REGISTER_EDX:
	case ZYDIS_REGISTER_RDX:
		thunk->traits |= HS_SOFT_THUNK_READS_LENGTHS;
		return !is_written(operand);
	case ZYDIS_REGISTER_ECX:
		thunk->traits |= HS_SOFT_THUNK_WRITES_INDEX;
		return !is_read(operand);
	case ZYDIS_REGISTER_FLAGS:
	case ZYDIS_REGISTER_EFLAGS:
	case ZYDIS_REGISTER_RFLAGS:
		thunk->traits |= HS_SOFT_THUNK_WRITES_FLAGS;
		return !is_read(operand);
	default:
		return false;
	}
}

/* vmaskmov of any kind: Zydis does not say of all of them that not all of the memory is accessed. */
static bool is_masked(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_VMASKMOVPS:
	case ZYDIS_MNEMONIC_VMASKMOVPD:
	case ZYDIS_MNEMONIC_VPMASKMOVD:
	case ZYDIS_MNEMONIC_VPMASKMOVQ:
		return true;
	default:
		return false;
	}
}

static bool knows_operands(struct builder *builder)
{
	const ZydisDecodedInstruction *insn = &builder->decoded->insn;
	bool known = insn->operand_count_visible > 0 && insn->operand_count_visible <= HS_SOFT_OPERANDS &&
		     !is_masked(insn->mnemonic);

	for (unsigned int i = 0; known && i < insn->operand_count; i++) {
		const ZydisDecodedOperand *operand = &builder->decoded->operands[i];

		known = i < insn->operand_count_visible ? knows_visible(builder, operand, i)
							: knows_hidden(builder, operand);
	}
	return known;
}

/* ---- The instruction with its operands renamed ---- */

static ZydisRegister renamed(ZydisRegister reg, unsigned int i)
{
	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_XMM:
		return (ZydisRegister)(RENAMED_XMM + i);
	case ZYDIS_REGCLASS_YMM:
		return (ZydisRegister)(RENAMED_YMM + i);
	case ZYDIS_REGCLASS_GPR32:
		return ZYDIS_REGISTER_EAX;
	default:
		return ZYDIS_REGISTER_RAX;
	}
}

static void rename_operand(ZydisEncoderOperand *operand, unsigned int i)
{
	if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
		operand->reg.value = renamed(operand->reg.value, i);
	} else if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY) {
		operand->mem.base = ZYDIS_REGISTER_R8;
		operand->mem.index = ZYDIS_REGISTER_NONE;
		operand->mem.scale = 0;
		operand->mem.displacement = 0;
	}
}

static bool encode(const struct hs_soft_decoded *decoded, uint8_t *ret, size_t *length)
{
	const ZydisDecodedInstruction *insn = &decoded->insn;
	ZydisEncoderRequest request;

	if (!ZYAN_SUCCESS(ZydisEncoderDecodedInstructionToEncoderRequest(insn, decoded->operands,
									 insn->operand_count_visible, &request))) {
		return false;
	}
	request.machine_mode = ZYDIS_MACHINE_MODE_LONG_64;
	request.allowed_encodings = insn->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX ? ZYDIS_ENCODABLE_ENCODING_VEX
										     : ZYDIS_ENCODABLE_ENCODING_LEGACY;
	request.prefixes = 0;
	request.address_size_hint = ZYDIS_ADDRESS_SIZE_HINT_NONE;
	for (unsigned int i = 0; i < request.operand_count; i++) {
		rename_operand(&request.operands[i], i);
	}
	return ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&request, ret, length));
}

static bool is_as_meant(const ZydisDecodedOperand *made, const ZydisDecodedOperand *meant, unsigned int i)
{
	if (made->type != meant->type || made->size != meant->size || made->actions != meant->actions) {
		return false;
	}
	switch (made->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return made->reg.value == renamed(meant->reg.value, i);
	case ZYDIS_OPERAND_TYPE_MEMORY:
		return made->mem.type == ZYDIS_MEMOP_TYPE_MEM && made->mem.base == ZYDIS_REGISTER_R8 &&
		       made->mem.index == ZYDIS_REGISTER_NONE && made->mem.disp.value == 0 &&
		       made->mem.segment == ZYDIS_REGISTER_DS;
	default:
		return made->imm.value.u == meant->imm.value.u;
	}
}

/* Outside 64-bit mode Zydis 4.0 sees rax and rdx in vpcmpestri with VEX.W, which is ignored there: eax and edx. */
static ZydisRegister hidden_register(ZydisRegister reg, ZydisMachineMode mode)
{
	if (mode == ZYDIS_MACHINE_MODE_LONG_64) {
		return reg;
	}
	return reg == ZYDIS_REGISTER_RAX ? ZYDIS_REGISTER_EAX : reg == ZYDIS_REGISTER_RDX ? ZYDIS_REGISTER_EDX : reg;
}

static bool is_same_hidden(const ZydisDecodedOperand *made, const ZydisDecodedOperand *meant, ZydisMachineMode mode)
{
	bool flags = ZydisRegisterGetClass(meant->reg.value) == ZYDIS_REGCLASS_FLAGS;

	return made->type == ZYDIS_OPERAND_TYPE_REGISTER && made->actions == meant->actions &&
	       (flags ? ZydisRegisterGetClass(made->reg.value) == ZYDIS_REGCLASS_FLAGS
		      : made->reg.value == hidden_register(meant->reg.value, mode));
}

/* pextrw to a register is there twice: SSE4.1 has it with the encoding that it has to memory, too. */
static bool is_same_set(const ZydisDecodedInstruction *made, const ZydisDecodedInstruction *meant)
{
	return made->meta.isa_set == meant->meta.isa_set || meant->mnemonic == ZYDIS_MNEMONIC_PEXTRW;
}

/* Whether the bytes are the instruction that was to be encoded. */
static bool is_same(const struct hs_soft_decoded *meant, const uint8_t *bytes, size_t length)
{
	struct hs_soft_decoded made;
	ZydisDecoder decoder;
	bool same;

	(void)ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, length, &made.insn, made.operands))) {
		return false;
	}
	same = made.insn.length == length && made.insn.mnemonic == meant->insn.mnemonic &&
	       made.insn.encoding == meant->insn.encoding && is_same_set(&made.insn, &meant->insn) &&
	       made.insn.operand_count == meant->insn.operand_count &&
	       made.insn.operand_count_visible == meant->insn.operand_count_visible;
	for (unsigned int i = 0; same && i < made.insn.operand_count; i++) {
		same = i < made.insn.operand_count_visible
			       ? is_as_meant(&made.operands[i], &meant->operands[i], i)
			       : is_same_hidden(&made.operands[i], &meant->operands[i], meant->insn.machine_mode);
	}
	return same;
}

/* ---- The function around it ---- */

static void put(struct builder *builder, const void *bytes, size_t length)
{
	memcpy(builder->code + builder->length, bytes, length);
	builder->length += length;
}

#define PUT(builder, ...)                                                                                              \
	do {                                                                                                           \
		const uint8_t bytes_[] = { __VA_ARGS__ };                                                              \
		put(builder, bytes_, sizeof(bytes_));                                                                  \
	} while (0)

/* ModRM of xmm<number> and [the register of argument i], with the bits of mod. */
static uint8_t modrm(uint8_t mod, unsigned int i, unsigned int number)
{
	static const uint8_t arguments[HS_SOFT_OPERANDS] = { 7, 6, 2, 1 }; /* rdi, rsi, rdx, rcx */

	return (uint8_t)(mod | number << 3 | arguments[i]);
}

static unsigned int number_of(unsigned int i)
{
	return i == IMPLIED_VECTOR ? 0 : i + 1;
}

/* The fourth of four visible operands has a register of its own, and the argument of what is implied elsewhere. */
static unsigned int vector_number(const struct builder *builder, unsigned int i)
{
	return builder->decoded->insn.operand_count_visible == HS_SOFT_OPERANDS ? i + 1 : number_of(i);
}

#define HIGH_HALF_BYTES (uint8_t)(HS_SOFT_HIGH_HALF & 0xff), (uint8_t)(HS_SOFT_HIGH_HALF >> 8), 0, 0

static void put_load(struct builder *builder, unsigned int i)
{
	unsigned int number = vector_number(builder, i);

	if (!builder->vex) {
		PUT(builder, 0x0f, 0x10, modrm(0, i, number)); /* movups xmm, [argument] */
		return;
	}
	PUT(builder, 0xc5, 0xf8, 0x10, modrm(0, i, number)); /* vmovups xmm, [argument] */
	if (builder->vector_bytes[i] == 32) {
		/* vinsertf128 ymm, ymm, [argument + high half], 1 */
		PUT(builder, 0xc4, 0xe3, (uint8_t)(0x05 | (~number & 15) << 3), 0x18, modrm(0x80, i, number),
		    HIGH_HALF_BYTES, 1);
	}
}

static void put_store(struct builder *builder, unsigned int i)
{
	unsigned int number = vector_number(builder, i);

	if (!builder->vex) {
		PUT(builder, 0x0f, 0x11, modrm(0, i, number)); /* movups [argument], xmm */
		return;
	}
	PUT(builder, 0xc5, 0xf8, 0x11, modrm(0, i, number)); /* vmovups [argument], xmm */
	/* vextractf128 [argument + high half], ymm, 1 */
	PUT(builder, 0xc4, 0xe3, 0x7d, 0x19, modrm(0x80, i, number), HIGH_HALF_BYTES, 1);
}

static void put_before(struct builder *builder)
{
	for (unsigned int i = 0; i < HS_SOFT_OPERANDS; i++) {
		if (builder->vector_bytes[i] && builder->loads[i]) {
			put_load(builder, i);
		}
	}
	if (builder->thunk->traits & HS_SOFT_THUNK_READS_VALUE) {
		PUT(builder, 0x49, 0x8b, 0x01); /* mov rax, [r9] */
	}
	if (builder->thunk->traits & HS_SOFT_THUNK_READS_LENGTHS) {
		PUT(builder, 0x49, 0x8b, 0x41, offsetof(struct hs_soft_scalars, lengths[0])); /* mov rax, [r9 + ] */
		PUT(builder, 0x49, 0x8b, 0x51, offsetof(struct hs_soft_scalars, lengths[1])); /* mov rdx, [r9 + ] */
	}
}

/* Nothing here changes flags. */
static void put_behind(struct builder *builder)
{
	bool wide = false;

	for (unsigned int i = 0; i < HS_SOFT_OPERANDS; i++) {
		wide = wide || builder->vector_bytes[i] == 32;
		if (builder->stores & 1u << i) {
			put_store(builder, i);
		}
	}
	if (wide) {
		PUT(builder, 0xc5, 0xf8, 0x77); /* vzeroupper */
	}
	if (builder->thunk->traits & HS_SOFT_THUNK_WRITES_VALUE) {
		PUT(builder, 0x49, 0x89, 0x01); /* mov [r9], rax */
	}
	if (builder->thunk->traits & HS_SOFT_THUNK_WRITES_INDEX) {
		PUT(builder, 0x49, 0x89, 0x49, offsetof(struct hs_soft_scalars, index)); /* mov [r9 + ], rcx */
	}
	if (builder->thunk->traits & HS_SOFT_THUNK_WRITES_FLAGS) {
		PUT(builder, 0x9c, 0x58); /* pushfq; pop rax */
	}
	PUT(builder, 0xc3); /* ret */
}

enum hs_soft_thunk_end hs_soft_thunk_make(const struct hs_soft_decoded *decoded, struct hs_soft_thunk *ret)
{
	struct builder builder = {
		.decoded = decoded,
		.thunk = ret,
		.vex = decoded->insn.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX,
	};
	uint8_t bytes[ZYDIS_MAX_INSTRUCTION_LENGTH];
	size_t length = sizeof(bytes);

	*ret = (struct hs_soft_thunk){ .traits = 0 };
	if ((!builder.vex && decoded->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) ||
	    !knows_operands(&builder) || !encode(decoded, bytes, &length) || !is_same(decoded, bytes, length)) {
		return HS_SOFT_THUNK_REFUSED;
	}
	put_before(&builder);
	put(&builder, bytes, length);
	put_behind(&builder);
	ret->run = (hs_soft_thunk_fn *)(uintptr_t)hs_soft_native_code(builder.code, builder.length);
	return ret->run ? HS_SOFT_THUNK_MADE : HS_SOFT_THUNK_NO_ROOM;
}
