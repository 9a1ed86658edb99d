/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that handles its own traps: counts its int3s, answers a page fault by changing the pointer it came from,
 * passes on what is not its own, and faults within a handler.
 */
#include <hindsight/guest.h>

#define UNMAPPED ((volatile int *)0xDEAD0000)

static volatile unsigned int int3_count;
static volatile unsigned int fault_count;
static volatile int answer = 42;

static bool on_int3(struct hs_trap_frame *frame)
{
	(void)frame;
	int3_count++;
	return true;
}

/* The reader below has its pointer in the a register: point it at something that is there. */
static bool on_page_fault(struct hs_trap_frame *frame)
{
	uintptr_t address = hs_read_cr2();
	if (address != (uintptr_t)UNMAPPED && address != (uintptr_t)UNMAPPED + 4096) {
		return false;
	}
	fault_count++;
	if (address != (uintptr_t)UNMAPPED) {
		__asm__ volatile("int3");
		int value;
		__asm__ volatile("mov (%1), %0" : "=r"(value) : "a"(UNMAPPED));
		answer = value + 1;
	}
	frame->ax = (uintptr_t)&answer;
	return true;
}

__attribute__((noinline)) static int read_through(volatile int *where)
{
	int value;
	__asm__ volatile("mov (%1), %0" : "=r"(value), "+a"(where) : : "memory");
	return value;
}

int main(int argc, char **argv)
{
	hs_trap_set_handler(3, on_int3);
	hs_trap_set_handler(14, on_page_fault);
	__asm__ volatile("int3");
	int first = read_through(UNMAPPED);
	int nested = read_through(UNMAPPED + 1024);
	hs_printf("%u int3, %u page faults, read %d and %d\n", int3_count, fault_count, first, nested);
	if (argc > 1 && strcmp(argv[1], "decline") == 0) {
		return read_through(UNMAPPED - 1024);
	}
	if (argc > 1 && strcmp(argv[1], "remove") == 0) {
		hs_trap_set_handler(14, NULL);
		return read_through(UNMAPPED);
	}
	return int3_count == 2 && fault_count == 3 && first == 42 && nested == 43 ? 0 : 1;
}
