/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From bytes to an operation: Zydis decodes, the operands are resolved to what handlers want, and the file that knows
 * the instruction sets its handler. Pure: it sees no CPU and no memory.
 */
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

#include <string.h>

static enum hs_soft_flow execute_undefined(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	return hs_soft_raise(cpu, HS_VECTOR_UD, 0);
}

static enum hs_soft_flow execute_too_long(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
}

static bool (*const selectors[])(const struct hs_soft_decoded *decoded, struct hs_soft_op *op) = {
	hs_soft_select_atomic,
	hs_soft_select_bit,
	hs_soft_select_decimal,
	hs_soft_select_descriptor_table,
	hs_soft_select_far,
	hs_soft_select_iret,
	hs_soft_select_flag,
	hs_soft_select_fpu_state,
	hs_soft_select_xsave,
	hs_soft_select_vector_special,
	hs_soft_select_integer,
	hs_soft_select_control,
	hs_soft_select_mmx, /* before hs_soft_select_vector: some have a vector operand, too */
	hs_soft_select_mmx_convert,
	hs_soft_select_move,
	hs_soft_select_multiply,
	hs_soft_select_port,
	hs_soft_select_segment,
	hs_soft_select_shift,
	hs_soft_select_sse,
	hs_soft_select_stack,
	hs_soft_select_string,
	hs_soft_select_syscall,
	hs_soft_select_system,
	hs_soft_select_vector,
	hs_soft_select_control_register,
	hs_soft_select_cpuid,
	hs_soft_select_msr,
	hs_soft_select_x87_control,
	hs_soft_select_x87_environment,
	hs_soft_select_x87, /* behind those: it takes all of D8 to DF */
};

static void init_decoder(enum hs_soft_mode mode, ZydisDecoder *ret)
{
	static const struct {
		ZydisMachineMode machine;
		ZydisStackWidth stack;
	} modes[HS_SOFT_MODES] = {
		[HS_SOFT_MODE_16] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
		[HS_SOFT_MODE_32] = { ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
		[HS_SOFT_MODE_64] = { ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
	};

	(void)ZydisDecoderInit(ret, modes[mode].machine, modes[mode].stack);
	/* What CPUs without bounds registers take for nops. */
	(void)ZydisDecoderEnableMode(ret, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
}

static void set_gpr(ZydisRegister reg, struct hs_soft_operand *ret)
{
	ret->kind = HS_SOFT_GPR;
	if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
		ret->kind = HS_SOFT_GPR_HIGH;
		ret->reg = (uint8_t)(reg - ZYDIS_REGISTER_AH);
	} else if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B) {
		ret->reg = (uint8_t)(reg - ZYDIS_REGISTER_SPL + HS_RSP);
	} else {
		ret->reg = (uint8_t)ZydisRegisterGetId(reg);
	}
}

static void set_register(ZydisRegister reg, struct hs_soft_operand *ret)
{
	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_GPR8:
	case ZYDIS_REGCLASS_GPR16:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64:
		set_gpr(reg, ret);
		return;
	case ZYDIS_REGCLASS_SEGMENT:
		ret->kind = HS_SOFT_SREG;
		break;
	case ZYDIS_REGCLASS_CONTROL:
		ret->kind = HS_SOFT_CR;
		break;
	case ZYDIS_REGCLASS_DEBUG:
		ret->kind = HS_SOFT_DR;
		break;
	case ZYDIS_REGCLASS_XMM:
		ret->kind = HS_SOFT_XMM;
		break;
	case ZYDIS_REGCLASS_YMM:
		ret->kind = HS_SOFT_YMM;
		break;
	case ZYDIS_REGCLASS_MMX:
		ret->kind = HS_SOFT_MMX;
		break;
	default:
		ret->kind = HS_SOFT_OTHER;
		return;
	}
	ret->reg = (uint8_t)ZydisRegisterGetId(reg);
}

static uint8_t address_register(ZydisRegister reg)
{
	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_GPR16:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64:
		return (uint8_t)ZydisRegisterGetId(reg);
	case ZYDIS_REGCLASS_IP:
		return HS_SOFT_RIP;
	default:
		return HS_SOFT_ZERO;
	}
}

/*
 * Whether there is a displacement in place of a base (SDM vol. 2A table 2-3, SIB with base 101B and mod 00B). Zydis
 * 4.0 takes it for r13d when REX.B is set and the address has 32 bits.
 */
static bool has_no_base(const ZydisDecodedInstruction *insn)
{
	return (insn->attributes & ZYDIS_ATTRIB_HAS_SIB) && insn->raw.modrm.mod == 0 && insn->raw.sib.base == 5;
}

static void set_memory(const ZydisDecodedInstruction *insn, const ZydisDecodedOperandMem *mem, struct hs_soft_op *op)
{
	op->base = address_register(mem->base);
	op->index = address_register(mem->index);
	op->shift = mem->scale > 1 ? (uint8_t)__builtin_ctz(mem->scale) : 0;
	op->displacement = mem->disp.value;
	if (op->base == HS_SOFT_RIP) {
		op->displacement += op->length;
	} else if (has_no_base(insn)) {
		op->base = HS_SOFT_ZERO;
		op->displacement = insn->raw.disp.value;
	}
	op->segment = (uint8_t)ZydisRegisterGetId(mem->segment);
	/* What Zydis calls "notrack" is the override by DS; only in 64-bit mode it means nothing else. */
	if ((insn->attributes & ZYDIS_ATTRIB_HAS_NOTRACK) && insn->machine_mode != ZYDIS_MACHINE_MODE_LONG_64) {
		op->segment = HS_DS;
	}
}

static void set_immediate(const ZydisDecodedOperandImm *imm, bool first, struct hs_soft_op *op,
			  struct hs_soft_operand *ret)
{
	ret->kind = imm->is_relative ? HS_SOFT_RELATIVE : HS_SOFT_IMMEDIATE;
	if (imm->is_signed) {
		ret->bytes = op->bytes;
	}
	if (first) {
		op->immediate = imm->value.u;
	} else {
		op->aux = (uint32_t)imm->value.u;
	}
}

static void set_operands(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	bool first_immediate = true;
	unsigned int count = decoded->insn.operand_count_visible;

	for (unsigned int i = 0; i < count && i < HS_SOFT_OPERANDS; i++) {
		const ZydisDecodedOperand *from = &decoded->operands[i];
		struct hs_soft_operand *to = &op->operand[i];

		to->bytes = from->size <= 255 * 8 ? (uint8_t)(from->size / 8) : 0;
		switch (from->type) {
		case ZYDIS_OPERAND_TYPE_REGISTER:
			set_register(from->reg.value, to);
			break;
		case ZYDIS_OPERAND_TYPE_MEMORY:
			to->kind = HS_SOFT_MEMORY;
			set_memory(&decoded->insn, &from->mem, op);
			break;
		case ZYDIS_OPERAND_TYPE_IMMEDIATE:
			set_immediate(&from->imm, first_immediate, op, to);
			first_immediate = false;
			break;
		default:
			to->kind = HS_SOFT_FAR;
			op->immediate = from->ptr.offset;
			op->aux = from->ptr.segment;
		}
	}
}

/* The segment of memory that is implied: DS unless overridden. */
static uint8_t implied_segment(ZydisInstructionAttributes attributes)
{
	static const struct {
		ZydisInstructionAttributes attribute;
		uint8_t segment;
	} overrides[] = {
		{ ZYDIS_ATTRIB_HAS_SEGMENT_CS, HS_CS }, { ZYDIS_ATTRIB_HAS_SEGMENT_SS, HS_SS },
		{ ZYDIS_ATTRIB_HAS_SEGMENT_ES, HS_ES }, { ZYDIS_ATTRIB_HAS_SEGMENT_FS, HS_FS },
		{ ZYDIS_ATTRIB_HAS_SEGMENT_GS, HS_GS },
	};

	for (size_t i = 0; i < sizeof(overrides) / sizeof(overrides[0]); i++) {
		if (attributes & overrides[i].attribute) {
			return overrides[i].segment;
		}
	}
	return HS_DS;
}

static uint8_t prefixes_of(const ZydisDecodedInstruction *insn)
{
	uint8_t prefixes = 0;

	if (insn->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE)) {
		prefixes |= HS_SOFT_REP;
	}
	if (insn->attributes & ZYDIS_ATTRIB_HAS_REPNE) {
		prefixes |= HS_SOFT_REPNE;
	}
	if (insn->attributes & ZYDIS_ATTRIB_HAS_LOCK) {
		prefixes |= HS_SOFT_LOCK;
	}
	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
		prefixes |= HS_SOFT_ENDS;
		break;
	default:
		break;
	}
	return prefixes;
}

static void select_handler(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	for (size_t i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++) {
		if (selectors[i](decoded, op)) {
			return;
		}
	}
	op->execute = execute_undefined;
	op->prefixes |= HS_SOFT_ENDS;
}

bool hs_soft_decode(enum hs_soft_mode mode, const uint8_t *bytes, size_t length, struct hs_soft_op *ret)
{
	struct hs_soft_decoded decoded = { .mode = mode };
	struct hs_soft_op op = { .base = HS_SOFT_ZERO, .index = HS_SOFT_ZERO, .length = 1 };
	ZydisDecoder decoder;
	ZyanStatus status;
	bool too_long;

	init_decoder(mode, &decoder);
	status = ZydisDecoderDecodeFull(&decoder, bytes, length, &decoded.insn, decoded.operands);
	too_long = status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG || status == ZYDIS_STATUS_NO_MORE_DATA;
	if (too_long && length < HS_SOFT_INSN_MAX) {
		return false; /* too long as well: a CPU sees that when it has fetched all 15 */
	}
	if (!ZYAN_SUCCESS(status)) {
		op.execute = too_long ? execute_too_long : execute_undefined;
		op.prefixes = HS_SOFT_ENDS;
		*ret = op;
		return true;
	}
	op.length = decoded.insn.length;
	op.bytes = decoded.insn.operand_width / 8;
	op.address_bits = decoded.insn.address_width;
	op.prefixes = prefixes_of(&decoded.insn);
	op.segment = implied_segment(decoded.insn.attributes);
	set_operands(&decoded, &op);
	select_handler(&decoded, &op);
	*ret = op;
	return true;
}
