/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bare guest that stops twice, by two outs side by side, and counts the pairs behind it in (r/e)bx. */
#include <hindsight/abi.h>

__attribute__((noreturn)) void _start(void);

void _start(void)
{
	unsigned long pairs = 0;

	for (;;) {
		__asm__ volatile("outl %1, %w2\n\t"
				 "outl %1, %w2"
				 :
				 : "b"(pairs), "a"(0), "d"(HS_PORT_READY)
				 : "memory");
		pairs++;
	}
}
