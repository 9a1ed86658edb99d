/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the memory operand of an instruction is, worked out from its bytes and the state before it. */
#include "address.h"

#include <string.h>

static uint64_t value_of(const struct oracle_case *test, ZydisRegister reg)
{
	ZydisRegister full = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	return full < ZYDIS_REGISTER_RAX || full > ZYDIS_REGISTER_R15 ? 0 : test->in.gpr[full - ZYDIS_REGISTER_RAX];
}

static uint64_t displacement_of(const struct oracle_code *code)
{
	unsigned int bits = code->decoded.insn.raw.disp.size;
	size_t offset = code->decoded.insn.raw.disp.offset + (code->length - code->decoded.insn.length);
	uint64_t value = 0, sign = bits ? UINT64_C(1) << (bits - 1) : 0;

	memcpy(&value, code->bytes + offset, bits / 8);
	return (value ^ sign) - sign;
}

static const ZydisDecodedOperand *memory_of(const struct oracle_code *code)
{
	for (unsigned int i = 0; i < code->decoded.insn.operand_count_visible; i++) {
		if (code->decoded.operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
			return &code->decoded.operands[i];
		}
	}
	return NULL;
}

bool oracle_operand_offset(const struct oracle_code *code, const struct oracle_case *test, uint64_t *ret)
{
	const ZydisDecodedOperand *memory = memory_of(code);
	unsigned int width = code->decoded.insn.address_width;
	uint64_t offset;

	if (memory == NULL || memory->mem.type == ZYDIS_MEMOP_TYPE_VSIB) {
		return false;
	}
	offset = displacement_of(code) + value_of(test, memory->mem.index) * memory->mem.scale;
	if (memory->mem.base == ZYDIS_REGISTER_RIP || memory->mem.base == ZYDIS_REGISTER_EIP) {
		offset += code->rip + code->length;
	} else if (!oracle_is_sib_without_base(&code->decoded.insn)) {
		offset += value_of(test, memory->mem.base);
	}
	*ret = width == 64 ? offset : offset & ((UINT64_C(1) << width) - 1);
	return true;
}

bool oracle_operand_address(const struct oracle_code *code, const struct oracle_case *test, uint64_t *ret)
{
	const ZydisDecodedOperand *memory = memory_of(code);

	if (!oracle_operand_offset(code, test, ret)) {
		return false;
	}
	*ret += oracle_segment_base(test, memory->mem.segment);
	if (test->bits == 32) {
		*ret &= UINT32_MAX;
	}
	return true;
}

bool oracle_is_sib_without_base(const ZydisDecodedInstruction *insn)
{
	return insn->address_width != 16 && insn->raw.sib.offset && insn->raw.sib.base == 5 && insn->raw.modrm.mod == 0;
}

uint64_t oracle_segment_base(const struct oracle_case *test, ZydisRegister segment)
{
	uint16_t selector;

	if (segment < ZYDIS_REGISTER_ES || segment > ZYDIS_REGISTER_GS ||
	    (test->bits == 64 && segment != ZYDIS_REGISTER_GS)) {
		return 0;
	}
	selector = test->in.seg[segment - ZYDIS_REGISTER_ES];
	return selector & 4 ? oracle_descriptors[selector >> 3].base : 0;
}
