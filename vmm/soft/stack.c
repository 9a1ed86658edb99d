/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stack: push, pop, pusha, popa, pushf, popf, enter, leave. pop of a segment register is segment.c's.
 *
 * The operand size says how much is moved, the stack's own width (SS.B, the mode) how much of rsp counts.
 */
#include "vmm/soft/handler.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

/* What pushf does not show (SDM vol. 2B, PUSHF). */
#define HIDDEN_FLAGS (HS_FLAG_RF | HS_FLAG_VM)

/* ---- push ---- */

HS_SOFT_LAST_RESORT push_reg(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return hs_soft_push(cpu, op->bytes, cpu->r[op->operand[0].reg]) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

HS_SOFT_INLINE enum hs_soft_flow push_reg_quickly(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
						  unsigned int bytes)
{
	bool done = hs_soft_push_quickly(cpu, bytes, cpu->r[op->operand[0].reg]);

	return HS_SOFT_LIKELY(done) ? HS_SOFT_NEXT : push_reg(cpu, op);
}

#define PUSH_REG(bytes) HS_SOFT_HANDLER(push_reg_##bytes, push_reg_quickly(cpu, op, bytes))

PUSH_REG(2)
PUSH_REG(4)
PUSH_REG(8)

static enum hs_soft_flow execute_push_immediate(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return hs_soft_push(cpu, op->bytes, op->immediate) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

static enum hs_soft_flow execute_push_memory(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	if (!hs_soft_get(cpu, op, 0, &value) || !hs_soft_push(cpu, op->bytes, value)) {
		return HS_SOFT_FAULT;
	}
	return HS_SOFT_NEXT;
}

/* Zero-extended: the SDM leaves it to the CPU whether a 32-bit push writes the upper half (vol. 2B, PUSH). */
static enum hs_soft_flow execute_push_sreg(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t selector = cpu->seg[op->operand[0].reg].selector;

	return hs_soft_push(cpu, op->bytes, selector) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

/* ---- pop ---- */

/* rsp moves first: pop rsp leaves what was popped. */
HS_SOFT_INLINE enum hs_soft_flow take_popped(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes,
					     uint64_t value)
{
	hs_soft_set_sp(cpu, cpu->r[HS_RSP] + bytes);
	hs_soft_set_reg(cpu, op->operand[0].reg, bytes, value);
	return HS_SOFT_NEXT;
}

HS_SOFT_LAST_RESORT pop_reg(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	return hs_soft_peek(cpu, 0, op->bytes, &value) ? take_popped(cpu, op, op->bytes, value) : HS_SOFT_FAULT;
}

HS_SOFT_INLINE enum hs_soft_flow pop_reg_quickly(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
						 unsigned int bytes)
{
	uint64_t value;

	if (!hs_soft_load_quickly(cpu, HS_SS, hs_soft_below_sp(cpu, 0), bytes, &value)) {
		return pop_reg(cpu, op);
	}
	return take_popped(cpu, op, bytes, value);
}

#define POP_REG(bytes) HS_SOFT_HANDLER(pop_reg_##bytes, pop_reg_quickly(cpu, op, bytes))

POP_REG(2)
POP_REG(4)
POP_REG(8)

/* An address with rsp as its base is worked out with rsp as it is afterwards (SDM vol. 2B, POP). */
static enum hs_soft_flow execute_pop_memory(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t rsp = cpu->r[HS_RSP];
	uint64_t value;

	if (!hs_soft_peek(cpu, 0, op->bytes, &value)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_set_sp(cpu, rsp + op->bytes);
	if (!hs_soft_put(cpu, op, 0, value)) {
		cpu->r[HS_RSP] = rsp;
		return HS_SOFT_FAULT;
	}
	return HS_SOFT_NEXT;
}

/* ---- pusha, popa: rax first, so rdi is lowest ---- */

static enum hs_soft_flow execute_pusha(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	for (unsigned int i = 1; i <= 8; i++) {
		if (!hs_soft_check_store(cpu, HS_SS, hs_soft_below_sp(cpu, i * op->bytes), op->bytes)) {
			return HS_SOFT_FAULT;
		}
	}
	for (unsigned int i = 1; i <= 8; i++) {
		(void)hs_soft_store(cpu, HS_SS, hs_soft_below_sp(cpu, i * op->bytes), op->bytes,
				    cpu->r[HS_RAX + i - 1]);
	}
	hs_soft_set_sp(cpu, cpu->r[HS_RSP] - 8u * op->bytes);
	return HS_SOFT_NEXT;
}

/* The value of rsp among them is skipped. */
static enum hs_soft_flow execute_popa(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value[8];

	for (unsigned int i = 0; i < 8; i++) {
		if (!hs_soft_peek(cpu, i * op->bytes, op->bytes, &value[i])) {
			return HS_SOFT_FAULT;
		}
	}
	hs_soft_set_sp(cpu, cpu->r[HS_RSP] + 8u * op->bytes);
	for (unsigned int i = 0; i < 8; i++) {
		unsigned int reg = HS_RDI - i;

		if (reg != HS_RSP) {
			hs_soft_set_reg(cpu, reg, op->bytes, value[i]);
		}
	}
	return HS_SOFT_NEXT;
}

/* ---- pushf, popf ---- */

static enum hs_soft_flow execute_pushf(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t shown = hs_soft_rflags(cpu) & ~(uint64_t)HIDDEN_FLAGS;

	return hs_soft_push(cpu, op->bytes, shown) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

/* Which flags popf takes from the stack (SDM vol. 2B, table "Effect of POPF/POPFD on the EFLAGS Register"). */
static uint64_t popf_mask(const struct hs_soft_cpu *cpu, unsigned int bytes)
{
	uint64_t mask = HS_FLAG_STATUS | HS_FLAG_TF | HS_FLAG_DF | HS_FLAG_NT;

	if (bytes > 2) {
		mask |= HS_FLAG_AC | HS_FLAG_ID;
	}
	if (cpu->cpl == 0) {
		mask |= HS_FLAG_IOPL;
	}
	if (cpu->cpl <= (cpu->rflags & HS_FLAG_IOPL) >> 12) {
		mask |= HS_FLAG_IF;
	}
	return mask;
}

static enum hs_soft_flow execute_popf(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t mask = popf_mask(cpu, op->bytes);
	uint64_t old = hs_soft_rflags(cpu);
	uint64_t value, new;

	if (!hs_soft_peek(cpu, 0, op->bytes, &value)) {
		return HS_SOFT_FAULT;
	}
	new = (old & ~(mask | HS_FLAG_RF)) | (value & mask);
	hs_soft_set_sp(cpu, cpu->r[HS_RSP] + op->bytes);
	hs_soft_set_rflags(cpu, new);
	if ((old ^ new) & (HS_FLAG_TF | HS_FLAG_RF | HS_FLAG_AC)) {
		hs_soft_refresh(cpu);
	}
	return HS_SOFT_NEXT;
}

/* ---- enter, leave ---- */

/* What enter does, with `level` already modulo 32. */
struct frame {
	unsigned int bytes, level;
	uint64_t sp; /* afterwards */
};

static uint64_t display_entry(const struct hs_soft_cpu *cpu, const struct frame *frame, unsigned int i)
{
	return (cpu->r[HS_RBP] - (uint64_t)i * frame->bytes) & cpu->stack_mask;
}

static bool can_push(struct hs_soft_cpu *cpu, const struct frame *frame, unsigned int i)
{
	return hs_soft_check_store(cpu, HS_SS, hs_soft_below_sp(cpu, (uint64_t)i * frame->bytes), frame->bytes);
}

/* The accesses in their order; last, the new top of the stack must be writable (SDM vol. 2A, ENTER). */
static bool can_enter(struct hs_soft_cpu *cpu, const struct frame *frame)
{
	uint64_t unused;

	if (!can_push(cpu, frame, 1)) {
		return false;
	}
	for (unsigned int i = 1; i < frame->level; i++) {
		if (!hs_soft_load(cpu, HS_SS, display_entry(cpu, frame, i), frame->bytes, &unused) ||
		    !can_push(cpu, frame, i + 1)) {
			return false;
		}
	}
	return (frame->level == 0 || can_push(cpu, frame, frame->level + 1)) &&
	       hs_soft_check_store(cpu, HS_SS, frame->sp & cpu->stack_mask, frame->bytes);
}

/* The old display may lie where the new one is built, so each entry is read right before it is copied. */
static void enter(struct hs_soft_cpu *cpu, const struct frame *frame)
{
	uint64_t frame_pointer = hs_soft_below_sp(cpu, frame->bytes);
	uint64_t entry = 0;

	(void)hs_soft_push(cpu, frame->bytes, cpu->r[HS_RBP]);
	for (unsigned int i = 1; i < frame->level; i++) {
		(void)hs_soft_load(cpu, HS_SS, display_entry(cpu, frame, i), frame->bytes, &entry);
		(void)hs_soft_push(cpu, frame->bytes, entry);
	}
	if (frame->level > 0) {
		(void)hs_soft_push(cpu, frame->bytes, frame_pointer);
	}
	hs_soft_set_reg(cpu, HS_RBP, frame->bytes, frame_pointer);
	hs_soft_set_sp(cpu, frame->sp);
}

static enum hs_soft_flow execute_enter(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	struct frame frame = { .bytes = op->bytes, .level = op->aux % 32 };

	frame.sp = cpu->r[HS_RSP] - (frame.level + 1u) * frame.bytes - op->immediate;
	if (!can_enter(cpu, &frame)) {
		return HS_SOFT_FAULT;
	}
	enter(cpu, &frame);
	return HS_SOFT_NEXT;
}

static inline enum hs_soft_flow leave(struct hs_soft_cpu *cpu, unsigned int bytes)
{
	uint64_t frame_pointer = cpu->r[HS_RBP];
	uint64_t value;

	if (!hs_soft_load(cpu, HS_SS, frame_pointer & cpu->stack_mask, bytes, &value)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_set_sp(cpu, frame_pointer + bytes);
	hs_soft_set_reg(cpu, HS_RBP, bytes, value);
	return HS_SOFT_NEXT;
}

#define LEAVE(bytes)                                                                                                   \
	static enum hs_soft_flow execute_leave_##bytes(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)           \
	{                                                                                                              \
		(void)op;                                                                                              \
		return leave(cpu, bytes);                                                                              \
	}

LEAVE(2)
LEAVE(4)
LEAVE(8)

/* ---- Selection ---- */

/* Handlers by operand size: 2, 4 and 8 bytes are at bytes / 4. */
#define BY_SIZE(name)                                                                                                  \
	static enum hs_soft_flow (*const name##_handlers[3])(struct hs_soft_cpu *, const struct hs_soft_op *) = {      \
		execute_##name##_2, execute_##name##_4, execute_##name##_8                                             \
	}

BY_SIZE(push_reg);
BY_SIZE(pop_reg);
BY_SIZE(leave);

static bool select_push(struct hs_soft_op *op)
{
	switch (op->operand[0].kind) {
	case HS_SOFT_GPR:
		op->execute = push_reg_handlers[op->bytes / 4];
		return true;
	case HS_SOFT_IMMEDIATE:
		op->execute = execute_push_immediate;
		return true;
	case HS_SOFT_MEMORY:
		op->execute = execute_push_memory;
		return true;
	case HS_SOFT_SREG:
		op->execute = execute_push_sreg;
		return true;
	default:
		return false;
	}
}

static bool select_pop(struct hs_soft_op *op)
{
	switch (op->operand[0].kind) {
	case HS_SOFT_GPR:
		op->execute = pop_reg_handlers[op->bytes / 4];
		return true;
	case HS_SOFT_MEMORY:
		op->execute = execute_pop_memory;
		return true;
	default:
		return false;
	}
}

bool hs_soft_select_stack(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
		return select_push(op);
	case ZYDIS_MNEMONIC_POP:
		return select_pop(op);
	case ZYDIS_MNEMONIC_PUSHA:
	case ZYDIS_MNEMONIC_PUSHAD:
		op->execute = execute_pusha;
		return true;
	case ZYDIS_MNEMONIC_POPA:
	case ZYDIS_MNEMONIC_POPAD:
		op->execute = execute_popa;
		return true;
	case ZYDIS_MNEMONIC_PUSHF:
	case ZYDIS_MNEMONIC_PUSHFD:
	case ZYDIS_MNEMONIC_PUSHFQ:
		op->execute = execute_pushf;
		return true;
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFD:
	case ZYDIS_MNEMONIC_POPFQ:
		op->execute = execute_popf;
		return true;
	case ZYDIS_MNEMONIC_ENTER:
		op->execute = execute_enter;
		return true;
	case ZYDIS_MNEMONIC_LEAVE:
		op->execute = leave_handlers[op->bytes / 4];
		return true;
	default:
		return false;
	}
}
