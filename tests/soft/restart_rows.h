/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Instructions that touch memory, each with the accesses that it makes, in the order in which their faults come. Where
 * the SDM leaves the order open, it is that of the instruction's pseudo-code in vol. 2.
 */
#ifndef HS_TESTS_SOFT_RESTART_ROWS_H
#define HS_TESTS_SOFT_RESTART_ROWS_H

#include "code.h"

#include <stdbool.h>

/**
 * Places in memory: each is the border of two pages plus an offset that the test varies. An instruction finds SRC in
 * rsi, rbx and rbp, DST in rdi, STK in rsp, 69 in rcx and -33 in rdx.
 */
enum place { SRC, DST, STK, PLACES };

/** One access, at offset + words * word from the place, or from what rsi and rdi hold for SRC and DST. */
struct access {
	enum place place;
	int offset, words;
	unsigned int size; /* bytes; 0 is a word, and with none of the fields set it ends the list */
	bool is_write;
	bool is_used;
};

/** What is in memory before, in place of the pattern. */
enum poke_value {
	POKE_NOTHING,
	POKE_TARGET, /* address of a hlt */
	POKE_CODE,   /* selectors for the present level */
	POKE_DATA,
	POKE_USER_CODE, /* for ring 3 */
	POKE_USER_DATA,
	POKE_FLAGS,     /* CF, PF, ZF */
	POKE_STACK,     /* an address on a stack that is always there */
	POKE_GATE,      /* selector of the call gate to ring 1 */
	POKE_FXSAVE,    /* 512 bytes that fxrstor takes */
	POKE_GDT_LIMIT, /* of the GDT in use; the base follows */
	POKE_GDT_BASE,
};

struct poke {
	enum place place;
	int offset, words;
	unsigned int size; /* 0 is a word */
	enum poke_value value;
};

enum {
	ROW_ACCESSES = 10,
	ROW_POKES = 6,
	CPL_0 = 1,
	CPL_1 = 2,
	CPL_3 = 8,
};

struct row {
	const char *name;
	struct code code[2];  /* 64-bit, 32-bit; one may be missing */
	unsigned int cpls;    /* CPL_* where it is run; 0 is all */
	unsigned int align;   /* of all places; 0 is 1 */
	unsigned int count;   /* of a repeated string instruction; then the accesses are those of the first round ... */
	unsigned int element; /* ... and the others follow at this distance */
	int src, dst;         /* rsi and rdi are so far from their places; offsets of accesses are from there */
	bool backwards;       /* with DF set */
	bool sets_flags;      /* each round does */
	bool any_order;       /* which of its accesses faults first is open */
	bool same;            /* DST holds what SRC does */
	bool to_ring_1;       /* STK is the stack of ring 1 in the TSS, and these pushes are the CPU's own */
	struct access accesses[ROW_ACCESSES];
	struct poke pokes[ROW_POKES];
};

/** Fill rows, at most `room`; how many there are. */
size_t restart_rows(struct row *rows, size_t room);
/** Of restart_stack_rows.c: what pushes, pops, calls and returns. */
size_t restart_stack_rows(struct row *rows, size_t room);

#define BOTH(text) .name = (text), .code = { CODE64(text), CODE32(text) }
#define EACH(text64, text32) .name = (text32), .code = { CODE64(text64), CODE32(text32) }
#define NAMED(text, code64, code32) .name = (text), .code = { code64, code32 }
#define ONLY_64(text) .name = (text), .code[0] = CODE64(text)
#define ONLY_32(text) .name = (text), .code[1] = CODE32(text)
#define READ(where, at, bytes)                                                                                         \
	{                                                                                                              \
		.place = (where), .offset = (at), .size = (bytes), .is_used = true                                     \
	}
#define WRITE(where, at, bytes)                                                                                        \
	{                                                                                                              \
		.place = (where), .offset = (at), .size = (bytes), .is_write = true, .is_used = true                   \
	}
/* The n-th word that is pushed, and the n-th that is popped, from 1 on. */
#define PUSH(n)                                                                                                        \
	{                                                                                                              \
		.place = STK, .words = -(n), .is_write = true, .is_used = true                                         \
	}
#define POP(n)                                                                                                         \
	{                                                                                                              \
		.place = STK, .words = (n)-1, .is_used = true                                                          \
	}

#endif
