/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addition, subtraction and logic: add, or, adc, sbb, and, sub, xor, cmp, test, inc, dec, neg, not, and adcx, adox.
 *
 * The two-operand instructions come in handlers of their own for operands of 1, 4 and 8 bytes, by what the operands
 * are; whatever is left (16 bits, ah to bh) goes through one handler an instruction that looks at the operands.
 */
#include "vmm/soft/handler.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

/* In the order of the opcodes' bits 5:3 (SDM vol. 2D table A-2). */
enum operation { ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, OPERATIONS };

/* The result of an operation, with all its flags set. */
HS_SOFT_INLINE uint64_t compute(struct hs_soft_cpu *cpu, enum operation operation, uint64_t a, uint64_t b,
				unsigned int bytes)
{
	uint64_t carry = operation == ADC || operation == SBB ? hs_soft_cf(cpu) : 0;
	uint64_t result;

	switch (operation) {
	case ADD:
	case ADC:
		result = a + b + carry;
		hs_soft_flags_add(cpu, a, b, result, bytes);
		return result;
	case SUB:
	case SBB:
	case CMP:
		result = a - b - carry;
		hs_soft_flags_sub(cpu, a, b, result, bytes);
		return result;
	case OR:
		result = a | b;
		break;
	case XOR:
		result = a ^ b;
		break;
	default:
		result = a & b;
	}
	hs_soft_flags_logic(cpu, result, bytes);
	return result;
}

HS_SOFT_INLINE bool writes(enum operation operation)
{
	return operation != CMP && operation != TEST;
}

/* Operands of any kind and size. */
HS_SOFT_INLINE enum hs_soft_flow any_operands(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
					      enum operation operation)
{
	unsigned int bytes = op->operand[0].bytes;
	uint64_t a, b;

	if (!hs_soft_get(cpu, op, 1, &b) ||
	    !(writes(operation) ? hs_soft_get_rw(cpu, op, 0, &a) : hs_soft_get(cpu, op, 0, &a))) {
		return HS_SOFT_FAULT;
	}
	a = compute(cpu, operation, a, b, bytes);
	if (writes(operation)) {
		hs_soft_put(cpu, op, 0, a);
	}
	return HS_SOFT_NEXT;
}

/* The destination is a register. `any` does the same with any operands. */
HS_SOFT_INLINE enum hs_soft_flow to_register(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
					     enum operation operation, enum hs_soft_form form, unsigned int bytes,
					     hs_soft_handler *any)
{
	unsigned int reg = op->operand[0].reg;
	uint64_t result, b;

	if (form == HS_SOFT_REG_REG) {
		b = hs_soft_reg(cpu, op->operand[1].reg, bytes);
	} else if (form == HS_SOFT_REG_IMM) {
		b = hs_soft_zero_extend(op->immediate, bytes);
	} else if (!hs_soft_load_quickly(cpu, op->segment, hs_soft_ea(cpu, op), bytes, &b)) {
		return any(cpu, op);
	}
	result = compute(cpu, operation, hs_soft_reg(cpu, reg, bytes), b, bytes);
	if (writes(operation)) {
		hs_soft_set_reg(cpu, reg, bytes, result);
	}
	return HS_SOFT_NEXT;
}

/* The destination is in memory. */
HS_SOFT_INLINE enum hs_soft_flow to_memory(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
					   enum operation operation, enum hs_soft_form form, unsigned int bytes,
					   hs_soft_handler *any)
{
	uint64_t offset = hs_soft_ea(cpu, op);
	uint64_t b = form == HS_SOFT_MEM_REG ? hs_soft_reg(cpu, op->operand[1].reg, bytes)
					     : hs_soft_zero_extend(op->immediate, bytes);
	uint64_t a;
	void *place;

	if (!writes(operation)) {
		if (!hs_soft_load_quickly(cpu, op->segment, offset, bytes, &a)) {
			return any(cpu, op);
		}
		compute(cpu, operation, a, b, bytes);
		return HS_SOFT_NEXT;
	}
	place = hs_soft_find_quickly(cpu, op->segment, offset, bytes);
	if (!place) {
		return any(cpu, op);
	}
	a = compute(cpu, operation, hs_soft_get_bytes(place, bytes), b, bytes);
	memcpy(place, &a, bytes);
	return HS_SOFT_NEXT;
}

#define HANDLERS_OF_SIZE(operation, bytes)                                                                             \
	HS_SOFT_HANDLER(operation##_reg_reg_##bytes,                                                                   \
			to_register(cpu, op, operation, HS_SOFT_REG_REG, bytes, execute_##operation))                  \
	HS_SOFT_HANDLER(operation##_reg_imm_##bytes,                                                                   \
			to_register(cpu, op, operation, HS_SOFT_REG_IMM, bytes, execute_##operation))                  \
	HS_SOFT_HANDLER(operation##_reg_mem_##bytes,                                                                   \
			to_register(cpu, op, operation, HS_SOFT_REG_MEM, bytes, execute_##operation))                  \
	HS_SOFT_HANDLER(operation##_mem_reg_##bytes,                                                                   \
			to_memory(cpu, op, operation, HS_SOFT_MEM_REG, bytes, execute_##operation))                    \
	HS_SOFT_HANDLER(operation##_mem_imm_##bytes,                                                                   \
			to_memory(cpu, op, operation, HS_SOFT_MEM_IMM, bytes, execute_##operation))

#define HANDLERS(operation)                                                                                            \
	HS_SOFT_LAST_RESORT execute_##operation(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)                  \
	{                                                                                                              \
		return any_operands(cpu, op, operation);                                                               \
	}                                                                                                              \
	HANDLERS_OF_SIZE(operation, 1)                                                                                 \
	HANDLERS_OF_SIZE(operation, 4)                                                                                 \
	HANDLERS_OF_SIZE(operation, 8)

HANDLERS(ADD)
HANDLERS(OR)
HANDLERS(ADC)
HANDLERS(SBB)
HANDLERS(AND)
HANDLERS(SUB)
HANDLERS(XOR)
HANDLERS(CMP)
HANDLERS(TEST)

/* In the order of enum operation. */
static const struct hs_soft_handlers two_operand_handlers[OPERATIONS] = {
	HS_SOFT_HANDLERS(ADD), HS_SOFT_HANDLERS(OR),  HS_SOFT_HANDLERS(ADC),
	HS_SOFT_HANDLERS(SBB), HS_SOFT_HANDLERS(AND), HS_SOFT_HANDLERS(SUB),
	HS_SOFT_HANDLERS(XOR), HS_SOFT_HANDLERS(CMP), HS_SOFT_HANDLERS(TEST),
};

/* ---- One operand ---- */

/* The result of inc or dec: they leave CF alone (SDM vol. 2A, INC). */
HS_SOFT_INLINE uint64_t count(struct hs_soft_cpu *cpu, uint64_t value, bool up, unsigned int bytes)
{
	bool cf = hs_soft_cf(cpu);
	uint64_t result = compute(cpu, up ? ADD : SUB, value, 1, bytes);

	hs_soft_set_cf(cpu, cf);
	return result;
}

HS_SOFT_INLINE enum hs_soft_flow count_operand(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool up)
{
	uint64_t value;

	if (!hs_soft_get_rw(cpu, op, 0, &value)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_put(cpu, op, 0, count(cpu, value, up, op->operand[0].bytes));
	return HS_SOFT_NEXT;
}

HS_SOFT_INLINE enum hs_soft_flow count_register(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool up,
						unsigned int bytes)
{
	unsigned int reg = op->operand[0].reg;

	hs_soft_set_reg(cpu, reg, bytes, count(cpu, hs_soft_reg(cpu, reg, bytes), up, bytes));
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(inc, count_operand(cpu, op, true))
HS_SOFT_HANDLER(inc_reg_4, count_register(cpu, op, true, 4))
HS_SOFT_HANDLER(inc_reg_8, count_register(cpu, op, true, 8))
HS_SOFT_HANDLER(dec, count_operand(cpu, op, false))
HS_SOFT_HANDLER(dec_reg_4, count_register(cpu, op, false, 4))
HS_SOFT_HANDLER(dec_reg_8, count_register(cpu, op, false, 8))

static hs_soft_handler *count_handler(const struct hs_soft_op *op, bool up)
{
	if (op->operand[0].kind == HS_SOFT_GPR && op->operand[0].bytes == 4) {
		return up ? execute_inc_reg_4 : execute_dec_reg_4;
	}
	if (op->operand[0].kind == HS_SOFT_GPR && op->operand[0].bytes == 8) {
		return up ? execute_inc_reg_8 : execute_dec_reg_8;
	}
	return up ? execute_inc : execute_dec;
}

static enum hs_soft_flow execute_neg(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	if (!hs_soft_get_rw(cpu, op, 0, &value)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_put(cpu, op, 0, compute(cpu, SUB, 0, value, op->operand[0].bytes));
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_not(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	if (!hs_soft_get_rw(cpu, op, 0, &value)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_put(cpu, op, 0, ~value);
	return HS_SOFT_NEXT;
}

/* ---- Two chains of carries: adcx keeps its own in CF, adox in OF, and neither touches another flag ---- */

HS_SOFT_INLINE enum hs_soft_flow add_with_flag(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, uint64_t flag)
{
	uint64_t carry = (hs_soft_rflags(cpu) & flag) != 0;
	unsigned int bytes = op->operand[0].bytes;
	uint64_t a, b, result;

	if (!hs_soft_get(cpu, op, 1, &b)) {
		return HS_SOFT_FAULT;
	}
	a = hs_soft_reg(cpu, op->operand[0].reg, bytes);
	result = hs_soft_zero_extend(a + b + carry, bytes);
	hs_soft_set_reg(cpu, op->operand[0].reg, bytes, result);
	hs_soft_change_flags(cpu, flag, result < a || (carry && result == a) ? flag : 0);
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(adcx, add_with_flag(cpu, op, HS_FLAG_CF))
HS_SOFT_HANDLER(adox, add_with_flag(cpu, op, HS_FLAG_OF))

static hs_soft_handler *one_operand_handler(ZydisMnemonic mnemonic, const struct hs_soft_op *op)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_INC:
		return count_handler(op, true);
	case ZYDIS_MNEMONIC_DEC:
		return count_handler(op, false);
	case ZYDIS_MNEMONIC_NEG:
		return execute_neg;
	case ZYDIS_MNEMONIC_NOT:
		return execute_not;
	case ZYDIS_MNEMONIC_ADCX:
		return execute_adcx;
	case ZYDIS_MNEMONIC_ADOX:
		return execute_adox;
	default:
		return NULL;
	}
}

bool hs_soft_select_integer(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	static const ZydisMnemonic mnemonics[OPERATIONS] = {
		[ADD] = ZYDIS_MNEMONIC_ADD, [OR] = ZYDIS_MNEMONIC_OR,   [ADC] = ZYDIS_MNEMONIC_ADC,
		[SBB] = ZYDIS_MNEMONIC_SBB, [AND] = ZYDIS_MNEMONIC_AND, [SUB] = ZYDIS_MNEMONIC_SUB,
		[XOR] = ZYDIS_MNEMONIC_XOR, [CMP] = ZYDIS_MNEMONIC_CMP, [TEST] = ZYDIS_MNEMONIC_TEST,
	};
	hs_soft_handler *execute = one_operand_handler(decoded->insn.mnemonic, op);

	for (enum operation i = 0; i < OPERATIONS && !execute; i++) {
		if (decoded->insn.mnemonic == mnemonics[i]) {
			execute = hs_soft_handler_for(&two_operand_handlers[i], op);
		}
	}
	if (!execute) {
		return false;
	}
	op->execute = execute;
	return true;
}
