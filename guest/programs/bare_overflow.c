/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image without the SDK that pushes until its stack is full: the provided tables must report that too. */
__attribute__((noreturn)) void _start(void);

void _start(void)
{
	__asm__ volatile("bare_overflow_loop:\n\t"
			 "push %0\n\t"
			 "jmp bare_overflow_loop"
			 :
			 : "a"(1UL));
	__builtin_unreachable();
}
