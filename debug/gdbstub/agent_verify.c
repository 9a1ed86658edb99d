/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which opcodes there are, how an instruction is taken apart, and what a program must keep to. */
#include "gdbstub/agent.h"

#include "base/error.h"

struct opcode {
	bool known;
	uint8_t operand_bytes;
	uint8_t pops;
	uint8_t pushes;
};

/* A register number, a constant, a jump's target: big-endian (gdb manual, "Bytecode Descriptions"). */
static const struct opcode opcodes[] = {
	[HS_AGENT_ADD] = { true, 0, 2, 1 },
	[HS_AGENT_SUB] = { true, 0, 2, 1 },
	[HS_AGENT_MUL] = { true, 0, 2, 1 },
	[HS_AGENT_DIV_SIGNED] = { true, 0, 2, 1 },
	[HS_AGENT_DIV_UNSIGNED] = { true, 0, 2, 1 },
	[HS_AGENT_REM_SIGNED] = { true, 0, 2, 1 },
	[HS_AGENT_REM_UNSIGNED] = { true, 0, 2, 1 },
	[HS_AGENT_LSH] = { true, 0, 2, 1 },
	[HS_AGENT_RSH_SIGNED] = { true, 0, 2, 1 },
	[HS_AGENT_RSH_UNSIGNED] = { true, 0, 2, 1 },
	[HS_AGENT_LOG_NOT] = { true, 0, 1, 1 },
	[HS_AGENT_BIT_AND] = { true, 0, 2, 1 },
	[HS_AGENT_BIT_OR] = { true, 0, 2, 1 },
	[HS_AGENT_BIT_XOR] = { true, 0, 2, 1 },
	[HS_AGENT_BIT_NOT] = { true, 0, 1, 1 },
	[HS_AGENT_EQUAL] = { true, 0, 2, 1 },
	[HS_AGENT_LESS_SIGNED] = { true, 0, 2, 1 },
	[HS_AGENT_LESS_UNSIGNED] = { true, 0, 2, 1 },
	[HS_AGENT_EXT] = { true, 1, 1, 1 },
	[HS_AGENT_REF8] = { true, 0, 1, 1 },
	[HS_AGENT_REF16] = { true, 0, 1, 1 },
	[HS_AGENT_REF32] = { true, 0, 1, 1 },
	[HS_AGENT_REF64] = { true, 0, 1, 1 },
	[HS_AGENT_IF_GOTO] = { true, 2, 1, 0 },
	[HS_AGENT_GOTO] = { true, 2, 0, 0 },
	[HS_AGENT_CONST8] = { true, 1, 0, 1 },
	[HS_AGENT_CONST16] = { true, 2, 0, 1 },
	[HS_AGENT_CONST32] = { true, 4, 0, 1 },
	[HS_AGENT_CONST64] = { true, 8, 0, 1 },
	[HS_AGENT_REG] = { true, 2, 0, 1 },
	[HS_AGENT_END] = { true, 0, 0, 0 },
	[HS_AGENT_DUP] = { true, 0, 1, 2 },
	[HS_AGENT_POP] = { true, 0, 1, 0 },
	[HS_AGENT_ZERO_EXT] = { true, 1, 1, 1 },
	[HS_AGENT_SWAP] = { true, 0, 2, 2 },
	[HS_AGENT_PICK] = { true, 1, 0, 1 }, /* and needs as many below as its operand says */
	[HS_AGENT_ROT] = { true, 0, 3, 3 },
	[HS_AGENT_PRINTF] = { true, 1, 2, 0 }, /* and the format's values; the format's length and bytes follow */
};

/* The rest of the manual's list: float, trace, trace_quick, ref_float to d_to_l, getv, setv, tracev, tracenz, and
 * trace16. */
static bool is_unsupported(uint8_t opcode)
{
	return opcode == 0x01 || opcode == 0x0c || opcode == 0x0d || (opcode >= 0x1b && opcode <= 0x1f) ||
	       (opcode >= 0x2c && opcode <= 0x30);
}

static enum hs_status bad(struct hs_error *err, enum hs_status status, size_t at, const char *why)
{
	return hs_error_set(err, status, 0, at, "agent bytecode, byte %zu: %s", at, why);
}

static uint64_t get_be(const uint8_t *p, unsigned int size)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < size; i++) {
		value = value << 8 | p[i];
	}
	return value;
}

/* Behind printf's operand: two bytes of length and the format, whose last byte is a NUL that counts. */
static enum hs_status decode_format(struct hs_span program, size_t at, struct hs_agent_insn *insn, struct hs_error *err)
{
	size_t start = at + insn->length + 2;
	size_t length;

	if (start > program.length) {
		return bad(err, HS_ERR_FORMAT, at, "printf is cut short");
	}
	length = get_be(program.data + start - 2, 2);
	if (length == 0 || length > program.length - start || program.data[start + length - 1] != '\0') {
		return bad(err, HS_ERR_FORMAT, at, "printf's format is no string");
	}
	insn->format = (struct hs_span){ .data = program.data + start, .length = length - 1 };
	insn->length += 2 + (unsigned int)length;
	insn->pops += (unsigned int)insn->operand;
	return HS_OK;
}

enum hs_status hs_agent_decode(struct hs_span program, size_t at, struct hs_agent_insn *ret, struct hs_error *err)
{
	const struct opcode *opcode;
	struct hs_agent_insn insn;
	enum hs_status st = HS_OK;

	if (at >= program.length) {
		return bad(err, HS_ERR_FORMAT, at, "it goes on behind its end");
	}
	if (is_unsupported(program.data[at])) {
		return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, at,
				    "agent bytecode, byte %zu: opcode 0x%02x is for tracepoints or floating point", at,
				    program.data[at]);
	}
	opcode = &opcodes[program.data[at] < sizeof(opcodes) / sizeof(opcodes[0]) ? program.data[at] : 0];
	if (!opcode->known) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, at, "agent bytecode, byte %zu: no opcode 0x%02x", at,
				    program.data[at]);
	}
	if (opcode->operand_bytes >= program.length - at) {
		return bad(err, HS_ERR_FORMAT, at, "its operand is cut short");
	}
	insn = (struct hs_agent_insn){
		.opcode = program.data[at],
		.operand = get_be(program.data + at + 1, opcode->operand_bytes),
		.length = 1u + opcode->operand_bytes,
		.pops = opcode->pops,
		.pushes = opcode->pushes,
	};
	if (insn.opcode == HS_AGENT_PRINTF) {
		st = decode_format(program, at, &insn, err);
	}
	if (!st) {
		*ret = insn;
	}
	return st;
}

/* How deep the stack is before an instruction. */
#define NOT_AN_INSTRUCTION (-2)
#define NOT_REACHED (-1)

struct check {
	struct hs_span program;
	enum hs_agent_use use;
	const struct hs_agent_cpu *cpu;
	int16_t depth[HS_AGENT_BYTES_MAX]; /* by byte */
	/* Instructions that are reached and not followed yet: each is put here once. */
	uint16_t due[HS_AGENT_BYTES_MAX];
	size_t due_count;
};

/* What an operand must be, whatever is on the stack. */
static enum hs_status check_operand(const struct check *check, size_t at, const struct hs_agent_insn *insn,
				    struct hs_error *err)
{
	switch (insn->opcode) {
	case HS_AGENT_EXT:
	case HS_AGENT_ZERO_EXT:
		return insn->operand >= 1 && insn->operand <= 64 ? HS_OK
								 : bad(err, HS_ERR_RANGE, at, "not 1 to 64 bits");
	case HS_AGENT_REG:
		if (insn->operand >= check->cpu->reg_count) {
			return bad(err, HS_ERR_RANGE, at, "no such register");
		}
		if (check->cpu->regs[insn->operand]->bytes > 8) {
			return bad(err, HS_ERR_UNSUPPORTED, at, "a register of over 64 bits");
		}
		return HS_OK;
	case HS_AGENT_PRINTF:
		if (check->use != HS_AGENT_COMMAND) {
			return bad(err, HS_ERR_FORMAT, at, "a condition prints nothing");
		}
		return hs_agent_format_verify(insn->format, insn->operand, err);
	default:
		return HS_OK;
	}
}

/* Find out where instructions are. */
static enum hs_status check_instructions(struct check *check, struct hs_error *err)
{
	for (size_t at = 0; at < check->program.length; at++) {
		check->depth[at] = NOT_AN_INSTRUCTION;
	}
	for (size_t at = 0; at < check->program.length;) {
		struct hs_agent_insn insn;
		enum hs_status st = hs_agent_decode(check->program, at, &insn, err);

		if (!st) {
			st = check_operand(check, at, &insn, err);
		}
		if (st) {
			return st;
		}
		check->depth[at] = NOT_REACHED;
		at += insn.length;
	}
	return HS_OK;
}

/* A way from `from` leads to `at` with this depth. */
static enum hs_status reach(struct check *check, size_t from, uint64_t at, int depth, struct hs_error *err)
{
	if (at >= check->program.length) {
		return bad(err, HS_ERR_FORMAT, from, "it goes on behind its end");
	}
	if (check->depth[at] == NOT_AN_INSTRUCTION) {
		return bad(err, HS_ERR_FORMAT, from, "it jumps into an instruction");
	}
	if (check->depth[at] == NOT_REACHED) {
		check->depth[at] = (int16_t)depth;
		check->due[check->due_count++] = (uint16_t)at;
		return HS_OK;
	}
	return check->depth[at] == depth ? HS_OK
					 : bad(err, HS_ERR_FORMAT, from, "the stack's depth depends on the way");
}

static enum hs_status follow(struct check *check, size_t at, struct hs_error *err)
{
	int depth = check->depth[at];
	struct hs_agent_insn insn;
	enum hs_status st = hs_agent_decode(check->program, at, &insn, err);
	int after;

	if (st) {
		return st;
	}
	if (depth < (int)insn.pops || (insn.opcode == HS_AGENT_PICK && (uint64_t)depth <= insn.operand)) {
		return bad(err, HS_ERR_FORMAT, at, "it takes more from the stack than there is");
	}
	if (insn.opcode == HS_AGENT_END) {
		return depth > 0 || check->use == HS_AGENT_COMMAND ? HS_OK
								   : bad(err, HS_ERR_FORMAT, at, "it leaves no value");
	}
	after = depth - (int)insn.pops + (int)insn.pushes;
	if (after > (int)HS_AGENT_STACK_MAX) {
		return bad(err, HS_ERR_RANGE, at, "the stack gets too deep");
	}
	if (insn.opcode == HS_AGENT_GOTO) {
		return reach(check, at, insn.operand, after, err);
	}
	if (insn.opcode == HS_AGENT_IF_GOTO) {
		st = reach(check, at, insn.operand, after, err);
	}
	return st ? st : reach(check, at, at + insn.length, after, err);
}

enum hs_status hs_agent_verify(struct hs_span program, enum hs_agent_use use, const struct hs_agent_cpu *cpu,
			       struct hs_error *err)
{
	struct check check;
	enum hs_status st;

	if (program.length == 0 || program.length > HS_AGENT_BYTES_MAX) {
		return hs_error_set(err, HS_ERR_RANGE, 0, 0, "agent bytecode of %zu bytes: 1 to %u are taken",
				    program.length, HS_AGENT_BYTES_MAX);
	}
	check.program = program;
	check.use = use;
	check.cpu = cpu;
	check.due_count = 0;
	st = check_instructions(&check, err);
	if (!st) {
		st = reach(&check, 0, 0, 0, err);
	}
	while (!st && check.due_count > 0) {
		st = follow(&check, check.due[--check.due_count], err);
	}
	return st;
}
