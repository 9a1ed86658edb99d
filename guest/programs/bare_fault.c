/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image without the SDK and without an IDT of its own: its fault must be reported with its exact state all the same. The
 * general registers have values to be recognized by.
 */
__attribute__((noreturn)) void _start(void);

#define VALUE(register, value) "mov $" value ", %%e" register "\n\t"

void _start(void)
{
	__asm__ volatile(VALUE("bx", "0x11111111") VALUE("cx", "0x22222222") VALUE("dx", "0x33333333")
			 VALUE("si", "0x44444444") VALUE("di", "0x55555555")
			 "bare_fault_instruction: movl $7, (%0)"
			 :
			 : "a"(0xDEAD0000UL)
			 : "ebx", "ecx", "edx", "esi", "edi", "memory");
	for (;;) {
		__asm__ volatile("hlt");
	}
}
