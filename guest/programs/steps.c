/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Instructions that a single step may trip over, one after the other from steps_begin to steps_end: flags that are
 * stored, interrupts switched on, the stack segment loaded, a repeated string, a return from an interrupt. Ends with 1
 * when a flag of somebody who steps can be seen in what was stored; with the word "halt" by hlt.
 */
#include <hindsight/guest.h>

#define FLAG_TF 0x100u

/* Flags as they were pushed, before the return and behind it. */
static volatile uintptr_t stored, after;
static char from[] = "steps";
static char to[sizeof(from)];
static const char said[] = "said\n";

#ifdef __x86_64__
#define RETURN                                                                                                         \
	"movq %%rsp, %%rax\n"                                                                                          \
	"movl %%ss, %%edx\n"                                                                                           \
	"pushq %%rdx\n"                                                                                                \
	"pushq %%rax\n"                                                                                                \
	"pushfq\n"                                                                                                     \
	"movl %%cs, %%edx\n"                                                                                           \
	"pushq %%rdx\n"                                                                                                \
	"leaq 1f(%%rip), %%rax\n"                                                                                      \
	"pushq %%rax\n"                                                                                                \
	"iretq\n"
#else
#define RETURN                                                                                                         \
	"pushfl\n"                                                                                                     \
	"movl %%cs, %%edx\n"                                                                                           \
	"pushl %%edx\n"                                                                                                \
	"pushl $1f\n"                                                                                                  \
	"iretl\n"
#endif

int main(int argc, char **argv)
{
	void *source = from;
	void *target = to;
	size_t length = sizeof(from);

	__asm__ volatile(".globl steps_begin, steps_end\n"
			 "steps_begin: nop\n"
			 "pushf\n"
			 "pop %[stored]\n"
			 "sti\n"
			 "nop\n"
			 "cli\n"
			 "movl %%ss, %%eax\n"
			 "movl %%eax, %%ss\n"
			 "nop\n"
			 "rep movsb\n" RETURN "1: nop\n"
			 "pushf\n"
			 "pop %[after]\n"
			 "nop\n"
			 "steps_end: nop\n"
			 : [stored] "=m"(stored), [after] "=m"(after), "+S"(source), "+D"(target), "+c"(length)
			 :
			 : "eax", "edx", "memory", "cc");
	hs_print(said);
	if (argc > 1 && strcmp(argv[1], "halt") == 0) {
		__asm__ volatile(".globl steps_halt\n"
				 "steps_halt: hlt");
	}
	return (stored | after) & FLAG_TF || strcmp(from, to) != 0;
}
