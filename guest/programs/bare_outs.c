/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bare guest that stops by two outs side by side, counts such pairs in (r/e)bx, and ends after a few. */
#include <hindsight/abi.h>

#define PAIRS 4

__attribute__((noreturn)) void _start(void);

void _start(void)
{
	for (unsigned long pairs = 0; pairs < PAIRS; pairs++) {
		__asm__ volatile("outl %1, %w2\n\t"
				 "outl %1, %w2"
				 :
				 : "b"(pairs), "a"(0), "d"(HS_PORT_READY)
				 : "memory");
	}
	__asm__ volatile("outl %0, %1" : : "a"(0), "Nd"((unsigned short)HS_PORT_EXIT) : "memory");
	for (;;) {
		__asm__ volatile("hlt");
	}
}
