/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Moves and bitwise operations on SSE registers, fxsave and fxrstor, the control words: each does to the machine's
 * registers and memory what it does to the host's, where it runs as well. Faults come from a table.
 *
 * The same text is 64-bit code of the host, and 64-bit and 32-bit code of the machine; so addresses are 32-bit ones.
 */
#include "machine.h"

#include "base/bytes.h"

#include <sys/mman.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEMORY_BYTES 0x800u
#define TO 0x400u /* where edi points in it; esi points to its start */
#define MXCSR_MASK_OFFSET 28u

/* Registers and memory before and after. */
struct state {
	uint8_t xmm[16][16];
	uint64_t rax, rcx;
	uint8_t memory[MEMORY_BYTES];
};

struct scene {
	struct state state; /* of the host: it runs the text in place */
	uint8_t *low;       /* its memory, at an address of 32 bits */
	const char *text;
	struct code code64, code32;
};

#define LOAD "movups 0x00(%%rbx), %%xmm0\n movups 0x10(%%rbx), %%xmm1\n movups 0x20(%%rbx), %%xmm2\n"
