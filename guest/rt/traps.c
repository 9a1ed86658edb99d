/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Trap handlers of the program. The entry code of the architecture (entry.S) looks into hs_trap_handlers itself and
 * comes here only when there is one: a trap that nobody handles goes to the host with as little done as possible.
 */
#include "cpu.h"
#include "rt.h"

/* By vector; read by entry.S. */
hs_trap_fn *hs_trap_handlers[HS_GATE_COUNT];

_Static_assert(HS_GATE_COUNT == HS_TRAP_COUNT, "one handler a gate");
_Static_assert(HS_FAULT_STACK_BYTES == HS_TRAP_DEPTH * HS_STACK_SLOT, "one slot a level");

void hs_trap_set_handler(unsigned int vector, hs_trap_fn *handler)
{
	if (vector >= HS_TRAP_COUNT || vector == HS_VECTOR_DOUBLE_FAULT) {
		hs_abort("hs_trap_set_handler: not a vector that can have a handler");
	}
	hs_trap_handlers[vector] = handler;
}

#ifdef __x86_64__
extern struct hs_tss64 hs_tss;

/* The CPU starts at the top of the interrupt stack whenever it is entered, so while a handler runs the top is moved
 * below what is in use. IST1 is the double fault's, which is never handled; IST2 serves the other gates that need a
 * stack of their own. */
static void stack_move(int slots)
{
	hs_tss.ist[1] += (uint64_t)((int64_t)slots * HS_STACK_SLOT);
}
#else
/* A trap at the same privilege level stays on the interrupted stack: nesting needs nothing. */
static void stack_move(int slots)
{
	(void)slots;
}
#endif

bool hs_trap_dispatch(struct hs_trap_frame *frame)
{
	/* The innermost level has no slot below it for another trap. */
	if (hs_trap_depth == HS_TRAP_DEPTH - 1) {
		return false;
	}
	if (frame->vector == HS_VECTOR_PAGE_FAULT) {
		hs_trap_cr2 = hs_read_cr2();
	}
	hs_trap_depth++;
	stack_move(-1);
	bool resume = hs_trap_handlers[frame->vector](frame);
	/* If a snapshot was taken meanwhile, this slot may be copy-on-write, and a trap on it could not be delivered:
	 * it is copied now, while traps still come on the slot below. */
	*(volatile uintptr_t *)&frame->vector = frame->vector;
	stack_move(1);
	hs_trap_depth--;
	return resume;
}
