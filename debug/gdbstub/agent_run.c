/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The evaluator. It relies on hs_agent_verify() for where instructions are and how deep the stack is, and on nothing
 * else: memory may be missing, divisors zero, and a loop endless.
 *
 * Values are 64 bits, two's complement. What C leaves undefined is defined here: shifts by 64 and more move all bits
 * out, and the smallest number divided by -1 is itself.
 */
#include "gdbstub/agent.h"

#include "base/bytes.h"
#include "base/error.h"

#include <stddef.h>

struct run {
	const struct hs_agent_scene *scene;
	struct hs_span program;
	size_t at; /* the instruction that is executed */
	size_t next;
	uint64_t stack[HS_AGENT_STACK_MAX];
	size_t depth;
};

/* The value below the top by so many. */
static uint64_t *below(struct run *run, uint64_t count)
{
	return &run->stack[run->depth - 1 - count];
}

static void push(struct run *run, uint64_t value)
{
	run->stack[run->depth++] = value;
}

static uint64_t pop(struct run *run)
{
	return run->stack[--run->depth];
}

enum hs_status hs_agent_read(const struct hs_agent_scene *scene, uint64_t gva, void *bytes, size_t length,
			     size_t *ret_length, struct hs_error *err)
{
	uint64_t address = scene->cpu.arch == HS_ARCH_I686 ? (uint32_t)gva : gva;
	size_t got = 0;

	if (scene->hit.mem_read(scene->hit.ctx, hs_gva_of(address), bytes, length, &got, NULL)) {
		got = 0;
	}
	if (got == 0 && length > 0) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, address, "nothing is readable at 0x%llx",
				    (unsigned long long)address);
	}
	*ret_length = got;
	return HS_OK;
}

static enum hs_status load(struct run *run, unsigned int bytes, struct hs_error *err)
{
	uint64_t address = *below(run, 0);
	uint8_t value[8];
	size_t got;

	for (size_t done = 0; done < bytes; done += got) {
		enum hs_status st = hs_agent_read(run->scene, address + done, value + done, bytes - done, &got, err);

		if (st) {
			return st;
		}
	}
	*below(run, 0) = hs_get_le(value, bytes);
	return HS_OK;
}

/* Whether a register's bytes are among those that a hit always has. */
static bool is_cheap(const struct hs_reg *reg)
{
	return reg->offset < offsetof(struct hs_cpu_state, dr) ||
	       reg->offset == offsetof(struct hs_cpu_state, msr.efer);
}

static enum hs_status push_register(struct run *run, uint64_t number, struct hs_error *err)
{
	const struct hs_break_hit *hit = &run->scene->hit;
	uint8_t value[HS_REG_BYTES_MAX];
	const struct hs_reg *reg = run->scene->cpu.regs[number];
	const struct hs_cpu_state *cpu = hit->cpu(hit->ctx, !is_cheap(reg));

	if (!cpu) {
		return hs_error_set(err, HS_ERR_BACKEND, 0, number, "%s cannot be read", reg->name);
	}
	hs_reg_get(reg, cpu, value);
	push(run, hs_get_le(value, reg->bytes));
	return HS_OK;
}

static uint64_t zero_extend(uint64_t value, uint64_t bits)
{
	return bits >= 64 ? value : value & ((1ull << bits) - 1);
}

static uint64_t sign_extend(uint64_t value, uint64_t bits)
{
	uint64_t sign = 1ull << (bits - 1);

	return (zero_extend(value, bits) ^ sign) - sign;
}

static uint64_t shift_right_signed(uint64_t value, uint64_t count)
{
	uint64_t filler = value >> 63 ? ~0ull : 0;

	if (count == 0) {
		return value;
	}
	return count >= 64 ? filler : value >> count | filler << (64 - count);
}

/* a by b, which is not zero. */
static uint64_t divide(uint8_t opcode, uint64_t a, uint64_t b)
{
	switch (opcode) {
	case HS_AGENT_DIV_SIGNED:
		return b == ~0ull ? 0 - a : (uint64_t)((int64_t)a / (int64_t)b);
	case HS_AGENT_DIV_UNSIGNED:
		return a / b;
	case HS_AGENT_REM_SIGNED:
		return b == ~0ull ? 0 : (uint64_t)((int64_t)a % (int64_t)b);
	default:
		return a % b;
	}
}

static uint64_t combine(uint8_t opcode, uint64_t a, uint64_t b)
{
	switch (opcode) {
	case HS_AGENT_ADD:
		return a + b;
	case HS_AGENT_SUB:
		return a - b;
	case HS_AGENT_MUL:
		return a * b;
	case HS_AGENT_LSH:
		return b >= 64 ? 0 : a << b;
	case HS_AGENT_RSH_SIGNED:
		return shift_right_signed(a, b);
	case HS_AGENT_RSH_UNSIGNED:
		return b >= 64 ? 0 : a >> b;
	case HS_AGENT_BIT_AND:
		return a & b;
	case HS_AGENT_BIT_OR:
		return a | b;
	case HS_AGENT_BIT_XOR:
		return a ^ b;
	case HS_AGENT_EQUAL:
		return a == b;
	case HS_AGENT_LESS_SIGNED:
		return (int64_t)a < (int64_t)b;
	default:
		return a < b; /* HS_AGENT_LESS_UNSIGNED */
	}
}

static enum hs_status execute_binary(struct run *run, uint8_t opcode, struct hs_error *err)
{
	bool divides = opcode >= HS_AGENT_DIV_SIGNED && opcode <= HS_AGENT_REM_UNSIGNED;
	uint64_t b = pop(run);
	uint64_t a = pop(run);

	if (divides && b == 0) {
		return hs_error_set(err, HS_ERR_RANGE, 0, run->at, "division by zero");
	}
	push(run, divides ? divide(opcode, a, b) : combine(opcode, a, b));
	return HS_OK;
}

/* a b c becomes c a b. */
static void rotate(struct run *run)
{
	uint64_t c = *below(run, 0);

	*below(run, 0) = *below(run, 1);
	*below(run, 1) = *below(run, 2);
	*below(run, 2) = c;
}

/*
 * On top are a channel and a function to print with, which mean nothing here, and below them the values, the first one
 * uppermost (gdb manual, "Bytecode Descriptions", printf).
 */
static enum hs_status print(struct run *run, const struct hs_agent_insn *insn, struct hs_error *err)
{
	uint64_t values[HS_AGENT_STACK_MAX];

	run->depth -= 2;
	for (uint64_t i = 0; i < insn->operand; i++) {
		values[i] = pop(run);
	}
	return hs_agent_format(run->scene, insn->format, values, err);
}

static void execute_stack(struct run *run, const struct hs_agent_insn *insn)
{
	uint64_t top = *below(run, 0);

	switch (insn->opcode) {
	case HS_AGENT_DUP:
		push(run, top);
		break;
	case HS_AGENT_POP:
		run->depth--;
		break;
	case HS_AGENT_SWAP:
		*below(run, 0) = *below(run, 1);
		*below(run, 1) = top;
		break;
	case HS_AGENT_PICK:
		push(run, *below(run, insn->operand));
		break;
	default:
		rotate(run);
		break;
	}
}

static enum hs_status execute(struct run *run, const struct hs_agent_insn *insn, struct hs_error *err)
{
	switch (insn->opcode) {
	case HS_AGENT_CONST8:
	case HS_AGENT_CONST16:
	case HS_AGENT_CONST32:
	case HS_AGENT_CONST64:
		push(run, insn->operand);
		return HS_OK;
	case HS_AGENT_REG:
		return push_register(run, insn->operand, err);
	case HS_AGENT_REF8:
	case HS_AGENT_REF16:
	case HS_AGENT_REF32:
	case HS_AGENT_REF64:
		return load(run, 1u << (insn->opcode - HS_AGENT_REF8), err);
	case HS_AGENT_EXT:
		*below(run, 0) = sign_extend(*below(run, 0), insn->operand);
		return HS_OK;
	case HS_AGENT_ZERO_EXT:
		*below(run, 0) = zero_extend(*below(run, 0), insn->operand);
		return HS_OK;
	case HS_AGENT_LOG_NOT:
		*below(run, 0) = !*below(run, 0);
		return HS_OK;
	case HS_AGENT_BIT_NOT:
		*below(run, 0) = ~*below(run, 0);
		return HS_OK;
	case HS_AGENT_GOTO:
		run->next = insn->operand;
		return HS_OK;
	case HS_AGENT_IF_GOTO:
		run->next = pop(run) ? insn->operand : run->next;
		return HS_OK;
	case HS_AGENT_DUP:
	case HS_AGENT_POP:
	case HS_AGENT_SWAP:
	case HS_AGENT_PICK:
	case HS_AGENT_ROT:
		execute_stack(run, insn);
		return HS_OK;
	case HS_AGENT_PRINTF:
		return print(run, insn, err);
	default:
		return execute_binary(run, insn->opcode, err);
	}
}

enum hs_status hs_agent_run(const struct hs_agent_scene *scene, struct hs_span program, uint64_t *ret,
			    struct hs_error *err)
{
	struct run run = { .scene = scene, .program = program };
	uint64_t steps = 0;

	while (steps < HS_AGENT_STEPS_MAX) {
		struct hs_agent_insn insn;
		enum hs_status st = hs_agent_decode(program, run.at, &insn, err);

		if (st) {
			return st;
		}
		if (insn.opcode == HS_AGENT_END) {
			*ret = run.depth > 0 ? *below(&run, 0) : 0;
			return HS_OK;
		}
		/* A printf is as many as it has values: each may be a string to read. */
		steps += insn.opcode == HS_AGENT_PRINTF ? 1 + insn.operand : 1;
		run.next = run.at + insn.length;
		st = execute(&run, &insn, err);
		if (st) {
			return st;
		}
		run.at = run.next;
	}
	return hs_error_set(err, HS_ERR_BUDGET, 0, run.at, "more than %u steps", HS_AGENT_STEPS_MAX);
}
