/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Agent bytecode (gdb manual, "Agent Expressions"): the conditions and commands of breakpoints, as gdb compiles them,
 * checked when they come and evaluated when the breakpoint is hit.
 *
 * In: bytes of the wire, a target that stands still, its registers. Out: one number, or text. What has passed the
 * verifier cannot leave its bytes or its stack; the evaluator is total for it: it ends, by a value or by a reason. It
 * knows nothing of packets and breakpoints; agent_points.c keeps those.
 */
#ifndef HS_GDBSTUB_AGENT_H
#define HS_GDBSTUB_AGENT_H

#include "gdbstub/request.h"

#include "arch/regs.h"
#include "base/buf.h"

#include <hindsight/cpu.h>
#include <hindsight/error.h>
#include <hindsight/target.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest program, in bytes. gdb's are a few dozen; a format string is part of one. */
#define HS_AGENT_BYTES_MAX 4096u
/* Most values on the stack: as many as gdbserver allows (its ax.cc). */
#define HS_AGENT_STACK_MAX 100u
/* Most instructions of one evaluation. gdb makes no loops, but a program can. */
#define HS_AGENT_STEPS_MAX 100000u
/* Longest text that one %s reads from the guest, and widest field. */
#define HS_AGENT_TEXT_MAX 4096u

enum hs_agent_use {
	HS_AGENT_CONDITION, /* leaves a value */
	HS_AGENT_COMMAND,   /* is run for its text */
};

/* The numbers of the opcodes (gdb manual, "Bytecode Descriptions"). */
enum hs_agent_opcode {
	HS_AGENT_ADD = 0x02,
	HS_AGENT_SUB = 0x03,
	HS_AGENT_MUL = 0x04,
	HS_AGENT_DIV_SIGNED = 0x05,
	HS_AGENT_DIV_UNSIGNED = 0x06,
	HS_AGENT_REM_SIGNED = 0x07,
	HS_AGENT_REM_UNSIGNED = 0x08,
	HS_AGENT_LSH = 0x09,
	HS_AGENT_RSH_SIGNED = 0x0a,
	HS_AGENT_RSH_UNSIGNED = 0x0b,
	HS_AGENT_LOG_NOT = 0x0e,
	HS_AGENT_BIT_AND = 0x0f,
	HS_AGENT_BIT_OR = 0x10,
	HS_AGENT_BIT_XOR = 0x11,
	HS_AGENT_BIT_NOT = 0x12,
	HS_AGENT_EQUAL = 0x13,
	HS_AGENT_LESS_SIGNED = 0x14,
	HS_AGENT_LESS_UNSIGNED = 0x15,
	HS_AGENT_EXT = 0x16,
	HS_AGENT_REF8 = 0x17,
	HS_AGENT_REF16 = 0x18,
	HS_AGENT_REF32 = 0x19,
	HS_AGENT_REF64 = 0x1a,
	HS_AGENT_IF_GOTO = 0x20,
	HS_AGENT_GOTO = 0x21,
	HS_AGENT_CONST8 = 0x22,
	HS_AGENT_CONST16 = 0x23,
	HS_AGENT_CONST32 = 0x24,
	HS_AGENT_CONST64 = 0x25,
	HS_AGENT_REG = 0x26,
	HS_AGENT_END = 0x27,
	HS_AGENT_DUP = 0x28,
	HS_AGENT_POP = 0x29,
	HS_AGENT_ZERO_EXT = 0x2a,
	HS_AGENT_SWAP = 0x2b,
	HS_AGENT_PICK = 0x32,
	HS_AGENT_ROT = 0x33,
	HS_AGENT_PRINTF = 0x34,
};

/* One instruction. */
struct hs_agent_insn {
	uint8_t opcode;
	uint64_t operand; /* what follows the opcode, big-endian there; for printf how many values the format takes */
	unsigned int length;
	/* How many values it takes, and leaves, on the stack. */
	unsigned int pops;
	unsigned int pushes;
	struct hs_span format; /* of printf, without its NUL */
};

/*
 * The instruction at a byte of a program.
 *
 * HS_ERR_FORMAT: cut short, or no opcode; HS_ERR_UNSUPPORTED: an opcode for tracepoints, trace state variables or
 * floating point, which gdb does not use in conditions and commands. (agent_verify.c)
 */
HS_MUST_CHECK enum hs_status hs_agent_decode(struct hs_span program, size_t at, struct hs_agent_insn *ret,
					     struct hs_error *err);

/* The CPU that programs are for. */
struct hs_agent_cpu {
	enum hs_arch arch;
	const struct hs_reg *const *regs; /* by number */
	size_t reg_count;
};

/*
 * Check a program: its length, every opcode, that jumps go to instructions, that the stack is as deep at an instruction
 * whichever way leads there, neither too deep nor empty where a value is taken, that no way leads behind the last byte,
 * that registers exist and fit 64 bits, and that formats fit their values.
 *
 * HS_ERR_FORMAT, HS_ERR_RANGE, HS_ERR_UNSUPPORTED. (agent_verify.c)
 */
HS_MUST_CHECK enum hs_status hs_agent_verify(struct hs_span program, enum hs_agent_use use,
					     const struct hs_agent_cpu *cpu, struct hs_error *err);

/* Where a program is evaluated. */
struct hs_agent_scene {
	struct hs_break_hit hit;
	struct hs_agent_cpu cpu;
	struct hs_buf *text; /* printf appends here; may be NULL for conditions */
};

/*
 * Evaluate a program that hs_agent_verify() has accepted, for this CPU.
 *
 * *ret is the value on top of the stack at its end, 0 where there is none. HS_ERR_UNREADABLE: memory that is not there;
 * HS_ERR_RANGE: a division by zero; HS_ERR_BUDGET: too many steps; HS_ERR_NOMEM: the text does not fit. Text of printfs
 * before the failure stays. (agent_run.c)
 */
HS_MUST_CHECK enum hs_status hs_agent_run(const struct hs_agent_scene *scene, struct hs_span program, uint64_t *ret,
					  struct hs_error *err);

/* Check a format string, as it stands in C source with its escapes, for that many values. (agent_format.c) */
HS_MUST_CHECK enum hs_status hs_agent_format_verify(struct hs_span format, uint64_t values, struct hs_error *err);
/* Append the text of a format that was checked for these values. Strings are read from the target. (agent_format.c) */
HS_MUST_CHECK enum hs_status hs_agent_format(const struct hs_agent_scene *scene, struct hs_span format,
					     const uint64_t *values, struct hs_error *err);

/* Bytes at an address, as far as there are some: *ret_length of them. HS_ERR_UNREADABLE when the first one is not
 * there. Addresses of 32-bit guests wrap. (agent_run.c) */
HS_MUST_CHECK enum hs_status hs_agent_read(const struct hs_agent_scene *scene, uint64_t gva, void *bytes, size_t length,
					   size_t *ret_length, struct hs_error *err);

#endif
