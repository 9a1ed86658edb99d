/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One case: the state before one instruction, and what is left after it. Plain data, because it crosses to the process
 * that executes it on the host's CPU.
 */
#ifndef ORACLE_CASE_H
#define ORACLE_CASE_H

#include "layout.h"
#include "xsave.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	ORACLE_PATCHES = 8,
	ORACLE_PATCH_BYTES = 48,
	ORACLE_DELTAS = 112,
	ORACLE_BATCH = 256,
	/* Vectors: what a single step ends with, and what no CPU has. */
	ORACLE_STEPPED = 1,
	ORACLE_NO_VECTOR = 0xff,
};

/** Flags of RFLAGS by name (SDM vol. 1 3.4.3). */
enum {
	FLAG_CF = 1 << 0,
	FLAG_PF = 1 << 2,
	FLAG_AF = 1 << 4,
	FLAG_ZF = 1 << 6,
	FLAG_SF = 1 << 7,
	FLAG_TF = 1 << 8,
	FLAG_IF = 1 << 9,
	FLAG_DF = 1 << 10,
	FLAG_OF = 1 << 11,
	FLAG_NT = 1 << 14,
	FLAG_RF = 1 << 16,
	FLAG_AC = 1 << 18,
	FLAG_STATUS = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF,
};

/** Segment registers in the order of their encoding, as enum hs_seg has it. */
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_COUNT };

struct oracle_state {
	uint64_t gpr[16];
	uint64_t rip;
	uint64_t rflags;
	uint16_t seg[SEG_COUNT]; /* selectors; of a case's start, CS and SS follow from its bits */
	uint16_t unused[2];
	uint8_t xsave[ORACLE_XSAVE_BYTES]; /* of a case with vectors */
};

/** Bytes that stand in memory before the instruction, on top of the world's own. */
struct oracle_patch {
	uint64_t at;
	uint32_t length;
	uint8_t bytes[ORACLE_PATCH_BYTES];
};

struct oracle_case {
	uint32_t bits; /* 32 or 64 */
	uint32_t patch_count;
	uint32_t vectors; /* x87, SSE and AVX state is part of it; else nobody sets it or looks at it */
	struct oracle_state in;
	struct oracle_patch patches[ORACLE_PATCHES];
};

/** An aligned word of memory that is not as it was before the patches, by its place in the world. */
struct oracle_delta {
	uint64_t place;
	uint64_t value;
};

struct oracle_result {
	struct oracle_state out;
	uint32_t vector; /* ORACLE_STEPPED: the instruction was executed */
	uint32_t error;  /* the error code, 0 where the exception has none */
	uint64_t cr2;    /* of a page fault, else 0 */
	uint32_t delta_count;
	uint32_t delta_lost; /* there were more */
	struct oracle_delta deltas[ORACLE_DELTAS];
};

/** The memory of one CPU in a case: what it looks like to it, and what it looked like before any patch. */
struct oracle_world {
	uint8_t *bytes; /* ORACLE_WORLD of them */
	const uint8_t *before;
};

void oracle_world_fill(uint8_t *bytes, uint64_t seed);
/** Put a case's patches in place; what is not mapped is left out. */
void oracle_world_patch(struct oracle_world *world, const struct oracle_case *test);
/** Note in result what patches and instruction have changed, and undo it. */
void oracle_world_collect(struct oracle_world *world, struct oracle_result *result);

#endif
