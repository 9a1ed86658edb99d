/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Near transfers of control: jmp, call, ret, jcc, loop, jcxz; and what raises an exception by design: int n, int3,
 * int1, into, bound, ud0, ud1, ud2. Far transfers are far.c's.
 *
 * The operand size says how much of rip a branch keeps. In 64-bit mode it is always 8 bytes: an operand-size prefix is
 * ignored there, as the SDM has it (vol. 2A, JMP; AMD's CPUs do otherwise).
 */
#include "vmm/soft/handler.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

/* Whether a target is all right at first sight. The operand size is 8 in 64-bit mode and only there. */
static inline bool is_near(const struct hs_soft_cpu *cpu, uint64_t target, unsigned int bytes)
{
	/* rip is canonical, and so is what has the same bits 63:47. */
	bool near = bytes == 8 ? (target ^ cpu->r[HS_SOFT_RIP]) >> 47 == 0 : target <= cpu->seg[HS_CS].limit;

	return HS_SOFT_LIKELY(near);
}

static inline bool can_go(struct hs_soft_cpu *cpu, uint64_t target, unsigned int bytes)
{
	return is_near(cpu, target, bytes) || hs_soft_can_go(cpu, target);
}

static inline enum hs_soft_flow go(struct hs_soft_cpu *cpu, uint64_t target, unsigned int bytes)
{
	if (!can_go(cpu, target, bytes)) {
		return HS_SOFT_FAULT;
	}
	cpu->r[HS_SOFT_RIP] = target;
	return HS_SOFT_BRANCH;
}

static inline uint64_t relative_target(const struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	return hs_soft_zero_extend(cpu->r[HS_SOFT_RIP] + op->length + op->immediate, bytes);
}

/* Handlers by operand size: 2, 4 and 8 bytes are at bytes / 4. */
#define BY_SIZE(name)                                                                                                  \
	static enum hs_soft_flow (*const name##_handlers[3])(struct hs_soft_cpu *, const struct hs_soft_op *) = {      \
		execute_##name##_2, execute_##name##_4, execute_##name##_8                                             \
	}

/* ---- jmp ---- */

#define JMP_RELATIVE(bytes)                                                                                            \
	static enum hs_soft_flow execute_jmp_relative_##bytes(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)    \
	{                                                                                                              \
		return go(cpu, relative_target(cpu, op, bytes), bytes);                                                \
	}

JMP_RELATIVE(2)
JMP_RELATIVE(4)
JMP_RELATIVE(8)

BY_SIZE(jmp_relative);

static enum hs_soft_flow execute_jmp(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t target;

	return hs_soft_get(cpu, op, 0, &target) ? go(cpu, target, op->bytes) : HS_SOFT_FAULT;
}

/* ---- call ---- */

/* In 64-bit mode the stack comes before the target, else behind it (SDM vol. 2A, CALL). */
static bool can_call(struct hs_soft_cpu *cpu, uint64_t target, unsigned int bytes)
{
	if (bytes == 8 && !hs_soft_check_store(cpu, HS_SS, hs_soft_below_sp(cpu, bytes), bytes)) {
		return false;
	}
	return hs_soft_can_go(cpu, target);
}

static inline enum hs_soft_flow call(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes,
				     uint64_t target)
{
	if (!(is_near(cpu, target, bytes) || can_call(cpu, target, bytes)) ||
	    !hs_soft_push(cpu, bytes, hs_soft_next_rip(cpu, op))) {
		return HS_SOFT_FAULT;
	}
	cpu->r[HS_SOFT_RIP] = target;
	return HS_SOFT_BRANCH;
}

HS_SOFT_LAST_RESORT call_relative(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return call(cpu, op, op->bytes, relative_target(cpu, op, op->bytes));
}

HS_SOFT_INLINE enum hs_soft_flow call_relative_quickly(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
						       unsigned int bytes)
{
	uint64_t target = relative_target(cpu, op, bytes);

	if (!is_near(cpu, target, bytes) || !hs_soft_push_quickly(cpu, bytes, hs_soft_next_rip(cpu, op))) {
		return call_relative(cpu, op);
	}
	cpu->r[HS_SOFT_RIP] = target;
	return HS_SOFT_BRANCH;
}

#define CALL_RELATIVE(bytes) HS_SOFT_HANDLER(call_relative_##bytes, call_relative_quickly(cpu, op, bytes))

CALL_RELATIVE(2)
CALL_RELATIVE(4)
CALL_RELATIVE(8)

BY_SIZE(call_relative);

static enum hs_soft_flow execute_call(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t target;

	return hs_soft_get(cpu, op, 0, &target) ? call(cpu, op, op->bytes, target) : HS_SOFT_FAULT;
}

/* ---- ret ---- */

HS_SOFT_INLINE enum hs_soft_flow go_back(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes,
					 uint64_t target)
{
	/* The immediate is 0 where there is none. */
	hs_soft_set_sp(cpu, cpu->r[HS_RSP] + bytes + op->immediate);
	cpu->r[HS_SOFT_RIP] = target;
	return HS_SOFT_BRANCH;
}

HS_SOFT_LAST_RESORT ret(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t target;

	if (!hs_soft_peek(cpu, 0, op->bytes, &target) || !can_go(cpu, target, op->bytes)) {
		return HS_SOFT_FAULT;
	}
	return go_back(cpu, op, op->bytes, target);
}

HS_SOFT_INLINE enum hs_soft_flow ret_quickly(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	uint64_t target;

	if (!hs_soft_load_quickly(cpu, HS_SS, hs_soft_below_sp(cpu, 0), bytes, &target) ||
	    !is_near(cpu, target, bytes)) {
		return ret(cpu, op);
	}
	return go_back(cpu, op, bytes, target);
}

#define RET(bytes) HS_SOFT_HANDLER(ret_##bytes, ret_quickly(cpu, op, bytes))

RET(2)
RET(4)
RET(8)

BY_SIZE(ret);

/* ---- jcc: the first number is the condition's ---- */

#define JCC_OF_SIZE(cc, bytes)                                                                                         \
	static enum hs_soft_flow execute_jcc_##cc##_##bytes(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)      \
	{                                                                                                              \
		if (!hs_soft_condition(cpu, cc)) {                                                                     \
			return HS_SOFT_NEXT;                                                                           \
		}                                                                                                      \
		return go(cpu, relative_target(cpu, op, bytes), bytes);                                                \
	}

#define JCC(cc) JCC_OF_SIZE(cc, 2) JCC_OF_SIZE(cc, 4) JCC_OF_SIZE(cc, 8)

JCC(0)
JCC(1)
JCC(2)
JCC(3)
JCC(4)
JCC(5)
JCC(6)
JCC(7)
JCC(8)
JCC(9)
JCC(10)
JCC(11)
JCC(12)
JCC(13)
JCC(14)
JCC(15)

#define JCC_ROW(cc)                                                                                                    \
	{                                                                                                              \
		execute_jcc_##cc##_2, execute_jcc_##cc##_4, execute_jcc_##cc##_8                                       \
	}

static enum hs_soft_flow (*const jcc_handlers[16][3])(struct hs_soft_cpu *, const struct hs_soft_op *) = {
	JCC_ROW(0), JCC_ROW(1), JCC_ROW(2),  JCC_ROW(3),  JCC_ROW(4),  JCC_ROW(5),  JCC_ROW(6),  JCC_ROW(7),
	JCC_ROW(8), JCC_ROW(9), JCC_ROW(10), JCC_ROW(11), JCC_ROW(12), JCC_ROW(13), JCC_ROW(14), JCC_ROW(15)
};

/* ---- loop, jcxz: the count is as wide as the address size ---- */

static enum hs_soft_flow execute_jcxz(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	if (hs_soft_reg(cpu, HS_RCX, op->address_bits / 8) != 0) {
		return HS_SOFT_NEXT;
	}
	return go(cpu, relative_target(cpu, op, op->bytes), op->bytes);
}

static inline enum hs_soft_flow loop(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool condition)
{
	unsigned int bytes = op->address_bits / 8;
	uint64_t count = hs_soft_zero_extend(cpu->r[HS_RCX] - 1, bytes);
	uint64_t target = relative_target(cpu, op, op->bytes);
	bool taken = count != 0 && condition;

	if (taken && !can_go(cpu, target, op->bytes)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_set_reg(cpu, HS_RCX, bytes, count);
	if (!taken) {
		return HS_SOFT_NEXT;
	}
	cpu->r[HS_SOFT_RIP] = target;
	return HS_SOFT_BRANCH;
}

static enum hs_soft_flow execute_loop(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return loop(cpu, op, true);
}

static enum hs_soft_flow execute_loope(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return loop(cpu, op, hs_soft_zf(cpu));
}

static enum hs_soft_flow execute_loopne(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return loop(cpu, op, !hs_soft_zf(cpu));
}

/* ---- Exceptions by design ---- */

static enum hs_soft_flow execute_ud(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	return hs_soft_raise(cpu, HS_VECTOR_UD, 0);
}

static enum hs_soft_flow execute_int(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return hs_soft_software_interrupt(cpu, op, (uint8_t)op->aux);
}

static enum hs_soft_flow execute_into(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return hs_soft_of(cpu) ? hs_soft_software_interrupt(cpu, op, HS_VECTOR_OF) : HS_SOFT_NEXT;
}

/* The memory operand is two signed bounds, the lower one first; both belong to the range. */
static enum hs_soft_flow execute_bound(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	int64_t index = (int64_t)hs_soft_sign_extend(cpu->r[op->operand[0].reg], op->bytes);
	uint64_t offset = hs_soft_ea(cpu, op);
	uint64_t upper_offset = hs_soft_zero_extend(offset + op->bytes, op->address_bits / 8);
	uint64_t lower, upper;

	if (!hs_soft_load(cpu, op->segment, offset, op->bytes, &lower) ||
	    !hs_soft_load(cpu, op->segment, upper_offset, op->bytes, &upper)) {
		return HS_SOFT_FAULT;
	}
	if (index < (int64_t)hs_soft_sign_extend(lower, op->bytes) ||
	    index > (int64_t)hs_soft_sign_extend(upper, op->bytes)) {
		return hs_soft_raise(cpu, HS_VECTOR_BR, 0);
	}
	return HS_SOFT_NEXT;
}

/* ---- Selection ---- */

static bool select_exception(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	op->execute = execute_int;
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_INT:
		op->aux = (uint32_t)op->immediate;
		return true;
	case ZYDIS_MNEMONIC_INT3:
		op->aux = HS_VECTOR_BP;
		return true;
	case ZYDIS_MNEMONIC_INT1:
		op->aux = HS_VECTOR_DB;
		return true;
	case ZYDIS_MNEMONIC_INTO:
		op->execute = execute_into;
		return true;
	case ZYDIS_MNEMONIC_BOUND:
		op->execute = execute_bound;
		return true;
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
		op->execute = execute_ud;
		op->prefixes |= HS_SOFT_ENDS;
		return true;
	default:
		op->execute = NULL;
		return false;
	}
}

/* By opcode: 0xe0 to 0xe3, 0x70 to 0x7f, 0x0f 0x80 to 0x8f. */
static bool select_conditional(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	static enum hs_soft_flow (*const counting[4])(struct hs_soft_cpu *,
						      const struct hs_soft_op *) = { execute_loopne, execute_loope,
										     execute_loop, execute_jcxz };
	uint8_t opcode = decoded->insn.opcode;

	if (decoded->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
		return false; /* jkzd and jknzd */
	}
	op->execute = opcode >> 4 == 0xe ? counting[opcode & 3] : jcc_handlers[opcode & 15][op->bytes / 4];
	return true;
}

bool hs_soft_select_control(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	bool relative = op->operand[0].kind == HS_SOFT_RELATIVE;

	if (decoded->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
		return false;
	}
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_JMP:
		op->execute = relative ? jmp_relative_handlers[op->bytes / 4] : execute_jmp;
		return true;
	case ZYDIS_MNEMONIC_CALL:
		op->execute = relative ? call_relative_handlers[op->bytes / 4] : execute_call;
		return true;
	case ZYDIS_MNEMONIC_RET:
		op->execute = ret_handlers[op->bytes / 4];
		return true;
	default:
		break;
	}
	if (decoded->insn.meta.category == ZYDIS_CATEGORY_COND_BR) {
		return select_conditional(decoded, op);
	}
	return select_exception(decoded, op);
}
