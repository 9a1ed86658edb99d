/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Selectors for the instructions that load or ask about one, and other data segments than flat ones for all. */
#include "scene.h"

#include <string.h>

static uint16_t any_selector(struct oracle_random *random)
{
	/* Code, data, null ones; ring 0's; the TSS and the LDT; entries that are empty; beyond the GDT's end. */
	static const uint16_t gdt[] = { 0x2b, 0x23, 0x33, 0x28, 0x29, 0x21, 0x32, 0,    3,    0x10, 0x13,
					0x18, 0x1b, 0x08, 0x0b, 0x40, 0x43, 0x53, 0x63, 0x80, 0x83, 0xff };

	switch (oracle_below(random, 8)) {
	case 0:
		return (uint16_t)oracle_random(random) | 0x80;
	case 1:
	case 2:
	case 3:
		return (uint16_t)(oracle_below(random, ORACLE_DESCRIPTORS + 1) << 3 | 4 | oracle_below(random, 4));
	case 4:
		return oracle_chance(random, 50) ? ORACLE_DS : ORACLE_CS32;
	default:
		return gdt[oracle_below(random, sizeof(gdt) / sizeof(gdt[0]))];
	}
}

/* One that the process on the host can load before a case begins. */
static uint16_t loadable(struct oracle_random *random)
{
	static const uint16_t selectors[] = { ORACLE_DS, 0, 0x07, 0x0f, 0x17, 0x1f, 0x27, 0x47 };

	return selectors[oracle_below(random, sizeof(selectors) / sizeof(selectors[0]))];
}

void oracle_choose_segments(struct oracle_random *random, struct oracle_case *test)
{
	test->in.seg[SEG_DS] = test->in.seg[SEG_ES] = ORACLE_DS;
	test->in.seg[SEG_GS] = ORACLE_GS;
	if (test->bits == 32 && oracle_chance(random, 12)) {
		test->in.seg[SEG_DS] = oracle_chance(random, 70) ? loadable(random) : ORACLE_DS;
		test->in.seg[SEG_ES] = loadable(random);
		test->in.seg[SEG_FS] = loadable(random);
		test->in.seg[SEG_GS] = loadable(random);
	}
}

static bool is_segment(const ZydisDecodedOperand *operand)
{
	return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       ZydisRegisterGetClass(operand->reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

bool oracle_loads_stack_segment(const struct oracle_code *code)
{
	const ZydisDecodedOperand *first = &code->decoded.operands[0];
	ZydisMnemonic mnemonic = code->decoded.insn.mnemonic;

	return (mnemonic == ZYDIS_MNEMONIC_MOV || mnemonic == ZYDIS_MNEMONIC_POP) && is_segment(first) &&
	       first->reg.value == ZYDIS_REGISTER_SS;
}

/* How an instruction is given its selector. */
enum source {
	NO_SOURCE,
	SECOND,   /* the second operand, a register or memory */
	FIRST,    /* the first one */
	POINTER,  /* the last two bytes of a pointer in memory */
	CONSTANT, /* the last two bytes of the instruction */
	STACK,    /* the lowest slot */
	RETURN,   /* a frame: slots for the instruction pointer, CS, and iret's flags, stack pointer and SS */
};

static enum source source_of(const struct oracle_code *code)
{
	const ZydisDecodedInstruction *insn = &code->decoded.insn;

	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		return is_segment(&code->decoded.operands[0]) ? SECOND : NO_SOURCE;
	case ZYDIS_MNEMONIC_POP:
		return is_segment(&code->decoded.operands[0]) ? STACK : NO_SOURCE;
	case ZYDIS_MNEMONIC_LAR:
	case ZYDIS_MNEMONIC_LSL:
		return SECOND;
	case ZYDIS_MNEMONIC_VERR:
	case ZYDIS_MNEMONIC_VERW:
		return FIRST;
	case ZYDIS_MNEMONIC_LDS:
	case ZYDIS_MNEMONIC_LES:
	case ZYDIS_MNEMONIC_LFS:
	case ZYDIS_MNEMONIC_LGS:
	case ZYDIS_MNEMONIC_LSS:
		return POINTER;
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
		return RETURN;
	default:
		break;
	}
	if (insn->meta.branch_type != ZYDIS_BRANCH_TYPE_FAR) {
		return NO_SOURCE;
	}
	if (insn->mnemonic == ZYDIS_MNEMONIC_RET) {
		return RETURN;
	}
	return insn->raw.modrm.offset ? POINTER : CONSTANT;
}

/* The patch of the operand that is written in the instruction: the last one that was made, since the stack's came
 * before. */
static struct oracle_patch *last_patch(struct oracle_case *test)
{
	return test->patch_count ? &test->patches[test->patch_count - 1] : NULL;
}

static void put_operand(const ZydisDecodedOperand *operand, uint16_t selector, struct oracle_case *test)
{
	struct oracle_patch *patch = last_patch(test);

	if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
		ZydisRegister full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operand->reg.value);
		uint64_t *gpr = &test->in.gpr[full - ZYDIS_REGISTER_RAX];

		*gpr = (*gpr & ~UINT64_C(0xffff)) | selector;
	} else if (patch) {
		memcpy(patch->bytes, &selector, 2);
	}
}

static void put_pointer(struct oracle_random *random, uint16_t selector, struct oracle_case *test)
{
	struct oracle_patch *patch = last_patch(test);
	uint64_t offset = ORACLE_CODE + oracle_below(random, 4096);

	if (patch && patch->length >= 4) {
		memcpy(patch->bytes, &offset, patch->length - 2 < 8 ? patch->length - 2 : 8);
		memcpy(patch->bytes + patch->length - 2, &selector, 2);
	}
}

static void put_frame(struct oracle_random *random, size_t slot, uint16_t selector, struct oracle_case *test)
{
	struct oracle_patch *patch = last_patch(test);
	uint64_t stack = oracle_target(random, test->bits, 8, true);
	uint64_t offset = ORACLE_CODE + oracle_below(random, 4096);

	if (patch == NULL || patch->length < 2 * slot) {
		return;
	}
	if (oracle_chance(random, 85)) {
		memcpy(patch->bytes, &offset, slot);
	}
	memcpy(patch->bytes + slot, &selector, 2);
	if (patch->length >= 5 * slot) {
		selector = oracle_chance(random, 50) ? ORACLE_DS : any_selector(random);
		memcpy(patch->bytes + 3 * slot, &stack, slot);
		memcpy(patch->bytes + 4 * slot, &selector, 2);
	}
}

static bool is_for_stack(const struct oracle_code *code)
{
	return oracle_loads_stack_segment(code) || code->decoded.insn.mnemonic == ZYDIS_MNEMONIC_LSS;
}

void oracle_choose_selector(struct oracle_random *random, struct oracle_code *code, struct oracle_case *test)
{
	uint16_t selector = any_selector(random);

	/*
	 * The push of a far call from 32-bit into 64-bit code can fault above 4 GiB on the host. Linux takes that for a
	 * processor's erratum and tries again for ever (arch/x86/mm/fault.c, is_errata100()).
	 */
	if (test->bits == 32 && code->decoded.insn.mnemonic == ZYDIS_MNEMONIC_CALL &&
	    (selector & ~3) == (ORACLE_CS64 & ~3)) {
		selector = ORACLE_CS32;
	}
	if (is_for_stack(code) && oracle_chance(random, 50)) {
		selector = loadable(random);
	}
	switch (source_of(code)) {
	case SECOND:
		put_operand(&code->decoded.operands[1], selector, test);
		break;
	case FIRST:
		put_operand(&code->decoded.operands[0], selector, test);
		break;
	case POINTER:
		put_pointer(random, selector, test);
		break;
	case CONSTANT:
		memcpy(code->bytes + code->length - 2, &selector, 2);
		break;
	case STACK:
		if (last_patch(test)) {
			memcpy(last_patch(test)->bytes, &selector, 2);
		}
		break;
	case RETURN:
		if (oracle_chance(random, 50)) {
			selector = test->bits == 64 && oracle_chance(random, 70) ? ORACLE_CS64 : ORACLE_CS32;
		}
		put_frame(random, code->decoded.insn.operand_width / 8u, selector, test);
		break;
	case NO_SOURCE:
		break;
	}
}
