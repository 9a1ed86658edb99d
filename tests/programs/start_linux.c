/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program as one of Linux, without a libc: what the guest's output is compared with. */
#include "program.h"

/* The stack at entry: argc, argv, 0, envp... (System V psABI 3.4.1; the same for i386). */
#ifdef __x86_64__
#define SYS_WRITE 1
#define SYS_EXIT 60
__asm__(".globl _start\n"
	"_start: xorl %ebp, %ebp\n\t"
	"movq %rsp, %rdi\n\t"
	"andq $-16, %rsp\n\t"
	"call start\n\t"
	"hlt");

static long system_call(long number, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return ret;
}
#else
#define SYS_WRITE 4
#define SYS_EXIT 1
__asm__(".globl _start\n"
	"_start: xorl %ebp, %ebp\n\t"
	"movl %esp, %eax\n\t"
	"andl $-16, %esp\n\t"
	"subl $12, %esp\n\t"
	"pushl %eax\n\t"
	"call start\n\t"
	"hlt");

static long system_call(long number, long a, long b, long c)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
	return ret;
}
#endif

void start(long *stack);

void put(const char *text, size_t length)
{
	while (length > 0) {
		long written = system_call(SYS_WRITE, 1, (long)text, (long)length);

		if (written <= 0) {
			end(255);
		}
		text += written;
		length -= (size_t)written;
	}
}

void end(int status)
{
	for (;;) {
		system_call(SYS_EXIT, status, 0, 0);
	}
}

void start(long *stack)
{
	end(run((int)stack[0] - 1, (char **)(stack + 2)));
}
