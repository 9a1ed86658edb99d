/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loops that CPUs are compared by. One object of each architecture is linked twice: as a bare guest, and as a
 * kernel for a bare PC; and, where the architecture is the host's, into the benchmark itself. A letter names a loop on
 * the way there.
 */
#ifndef HS_BENCH_LOOPS_H
#define HS_BENCH_LOOPS_H

#define LOOP_ALU 'a'           /* registers only: add, xor, lea, and, or, shifts, a multiplication, a branch */
#define LOOP_MEMORY 'm'        /* loads, stores, push, pop, a call and its return */
#define LOOP_MIXED 'x'         /* some of both, with branches that are taken at times */
#define LOOP_SORT 's'          /* 512 numbers by Shell's method */
#define LOOP_CRC 'c'           /* CRC-32 of 4 KiB by a table */
#define LOOP_REPEAT 'r'        /* rep movs of LOOP_COPY_BYTES */
#define LOOP_COPY_SSE2 '2'     /* as many by 16 bytes */
#define LOOP_COPY_AVX '3'      /* by 32 bytes */
#define LOOP_LENGTH_SSE2 'l'   /* strlen of as many */
#define LOOP_MATRIX_SSE2 'v'   /* 16 by 16 floats, by vectors */
#define LOOP_MATRIX_FMA 'w'    /* by AVX2 and FMA */
#define LOOP_MATRIX_SCALAR 'd' /* of doubles, by scalar SSE2 */
#define LOOP_MATRIX_X87 '7'    /* by the x87 */
#define LOOP_FAULT 'f'         /* a page fault that the handler ends by stepping over the load */
#define LOOP_PORT 'p'          /* an out to a port that does nothing */

#define LOOP_COPY_BYTES 4096

/* No page is there, in either place. */
#ifdef __x86_64__
#define LOOP_FAULT_ADDRESS 0x7FFF00000000
#else
#define LOOP_FAULT_ADDRESS 0xF0000000
#endif

/* HS_PORT_TRACE of <hindsight/abi.h>, which is ignored; nothing is there on the PC. */
#define LOOP_PORT_NUMBER 104

/* The exit status of a guest whose CPU lacks what the loop needs. */
#define LOOP_NOT_OFFERED 1

#ifndef __ASSEMBLER__
#include <stdbool.h>
#include <stdint.h>

/** What a loop needs. */
enum loop_needs { LOOP_NEEDS_SSE2 = 1, LOOP_NEEDS_AVX2 = 2, LOOP_NEEDS_X87 = 4, LOOP_NEEDS_CPL_0 = 8 };

typedef void loop_fn(unsigned long rounds);

loop_fn loop_alu, loop_memory, loop_mixed, loop_sort, loop_crc, loop_repeat;
loop_fn loop_copy_sse2, loop_copy_avx, loop_length_sse2;
loop_fn loop_matrix_sse2, loop_matrix_fma, loop_matrix_scalar, loop_matrix_x87;
loop_fn loop_fault, loop_port;
/** The gate of #PF points here. */
void loop_fault_handler(void);

/** The instructions that this CPU says it has; AVX2 is with FMA. */
unsigned int loop_offered(void);
/** The loop of a letter, NULL if there is none that needs no more than there is. */
loop_fn *loop_find(char letter, unsigned int has);

/** Run one of them at CPL 0, with an IDT that has #PF alone, and vectors switched on. False for a loop that this CPU
 *  has no instructions for. */
bool loop_run(char letter, uint32_t rounds);
#endif

#endif
