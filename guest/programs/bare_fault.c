/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image without the SDK and without an IDT of its own: its fault must be reported with its exact state all the same.
 * The general registers have values to be recognized by.
 */
__attribute__((noreturn)) void _start(void);

void _start(void)
{
	__asm__ volatile("bare_fault_instruction: movl $7, (%0)"
			 :
			 : "a"(0xDEAD0000UL), "b"(0x11111111), "c"(0x22222222), "d"(0x33333333), "S"(0x44444444),
			   "D"(0x55555555)
			 : "memory");
	for (;;) {
		__asm__ volatile("hlt");
	}
}
