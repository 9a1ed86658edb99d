/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loops that CPUs are compared by, and their instructions. One object of each architecture is linked twice: as a
 * bare guest, and as a kernel for a bare PC. The first letter names a loop on the way there.
 */
#ifndef HS_BENCH_LOOPS_H
#define HS_BENCH_LOOPS_H

#define LOOP_ALU 'a'    /* registers only: add, xor, lea, and, or, shifts, a multiplication, a branch */
#define LOOP_MEMORY 'm' /* loads, stores, push, pop, a call and its return */
#define LOOP_FAULT 'f'  /* a page fault that the handler ends by stepping over the load */
#define LOOP_PORT 'p'   /* an out to a port that does nothing */

/* Instructions in a round. A fault counts for one, as what has to be done for it does not depend on the handler. */
#define LOOP_ALU_INSNS 16
#define LOOP_MEMORY_INSNS 16
#define LOOP_FAULT_INSNS 6
#define LOOP_PORT_INSNS 3

/* No page is there, in either place. */
#ifdef __x86_64__
#define LOOP_FAULT_ADDRESS 0x7FFF00000000
#else
#define LOOP_FAULT_ADDRESS 0xF0000000
#endif

/* HS_PORT_TRACE of <hindsight/abi.h>, which is ignored; nothing is there on the PC. */
#define LOOP_PORT_NUMBER 104

#ifndef __ASSEMBLER__
#include <stdint.h>

void loop_alu(unsigned long rounds);
void loop_memory(unsigned long rounds);
void loop_fault(unsigned long rounds);
void loop_port(unsigned long rounds);
/** The gate of #PF points here. */
void loop_fault_handler(void);

/** Run one of them; an unknown letter does nothing. Loads an IDT that has #PF alone. */
void loop_run(char letter, uint32_t rounds);
#endif

#endif
