/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One decoded instruction: a handler and everything it needs with the encoding resolved. Operations are made once per
 * physical code page by decode.c, from what Zydis says, and executed many times.
 */
#ifndef HS_SOFT_OP_H
#define HS_SOFT_OP_H

#include <stdbool.h>
#include <stdint.h>

struct hs_soft_cpu;
struct hs_soft_op;

/** What has become of an instruction. */
enum hs_soft_flow {
	HS_SOFT_NEXT,   /* done: go on behind it; the loop advances rip */
	HS_SOFT_BRANCH, /* done: the handler has set rip (and the mode, the segments, ... with hs_soft_refresh()) */
	HS_SOFT_REPEAT, /* one iteration of a rep string instruction is done, and more follow: rip stays */
	HS_SOFT_FAULT,  /* nothing has happened: cpu->fault or cpu->exit says why (hs_soft_raise(), hs_soft_leave()) */
	HS_SOFT_EXIT,   /* done, rip is set as cpu->exit wants it, and run() returns cpu->exit */
	HS_SOFT_AGAIN,  /* no instruction: the end of what is decoded in a row; look rip up */
};

/** Kinds of operand. */
enum hs_soft_kind {
	HS_SOFT_NONE,
	HS_SOFT_GPR,      /* reg: index into cpu->r; the low `bytes` of it */
	HS_SOFT_GPR_HIGH, /* ah, ch, dh, bh: bits 15:8 of cpu->r[reg] */
	HS_SOFT_MEMORY,   /* at segment:hs_soft_ea() */
	HS_SOFT_IMMEDIATE,
	HS_SOFT_RELATIVE, /* of a branch: immediate is added to the address of the next instruction */
	HS_SOFT_FAR,      /* ptr16:16/32: immediate is the offset, aux the selector */
	HS_SOFT_SREG,     /* reg: enum hs_seg */
	HS_SOFT_CR,
	HS_SOFT_DR,
	HS_SOFT_XMM,
	HS_SOFT_YMM,
	HS_SOFT_MMX,
	HS_SOFT_OTHER, /* x87, masks, ... */
};

struct hs_soft_operand {
	uint8_t kind; /* enum hs_soft_kind */
	uint8_t reg;
	uint8_t bytes; /* of the operand as it is accessed; 0 for what has no size (lea) or more than 255 */
};

/** Indexes into cpu->r behind the 16 of enum hs_gpr: what an address without a base or index, or with rip, uses. */
enum { HS_SOFT_ZERO = 16, HS_SOFT_RIP = 17, HS_SOFT_REGS = 18 };

enum hs_soft_prefix {
	HS_SOFT_REP = 1,
	HS_SOFT_REPNE = 2,
	HS_SOFT_LOCK = 4,
	HS_SOFT_ENDS = 8, /* what follows is not reached by falling through: do not decode on */
};

#define HS_SOFT_OPERANDS 4

struct hs_soft_op {
	enum hs_soft_flow (*execute)(struct hs_soft_cpu *cpu, const struct hs_soft_op *op);
	uint64_t immediate;   /* the first one, extended to 64 bits as the instruction has it (sign or zero) */
	int64_t displacement; /* of the memory operand; the length is added already where it is relative to rip */
	uint32_t aux;         /* the handler's own: a condition, a second immediate, a variant */
	struct hs_soft_operand operand[HS_SOFT_OPERANDS]; /* the visible ones, in Intel order */
	uint8_t length;                                   /* of the instruction, bytes */
	uint8_t bytes;                                    /* the effective operand size: 2, 4, 8; 1 for byte forms */
	uint8_t base, index; /* of the memory operand: into cpu->r, HS_SOFT_ZERO where there is none */
	uint8_t shift;       /* log2 of the scale */
	uint8_t segment; /* enum hs_seg, overrides applied; of memory that is implied (strings): DS or the override */
	uint8_t address_bits; /* 16, 32, 64 */
	uint8_t prefixes;     /* enum hs_soft_prefix */
};

#endif
