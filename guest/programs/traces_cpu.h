/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The part of traces.c that is assembly: entering with every register as the host has left it, ending with patterns in
 * all of them, and what has no C.
 */
#ifndef TRACES_CPU_H
#define TRACES_CPU_H

#include "traces.h"

#include <hindsight/guest.h>

/* The encoding order of SDM vol. 2A table 3-1, without r8 to r15 on i686. */
#define TRACES_GPRS (sizeof(uintptr_t) * 2)

/* As they were when the guest went on after waiting; ax is the host's word. */
extern uintptr_t traces_gpr[TRACES_GPRS], traces_flags, traces_cr2;
/* Where a trap goes on, 0 for the host, and which one came, plus one. */
extern uintptr_t traces_resume, traces_seen;
/* All of these and the stack are in these pages, alone. */
extern uint8_t traces_work[], traces_work_end[];

/* Load patterns into all registers, mailbox into (r/e)bx, note them as below, and call traces_main(). */
__attribute__((noreturn)) void traces_begin(volatile uint32_t *mailbox);
/* Put the registers back to what was noted, say TRACES_READY, wait for a request, note the registers again, and call
 * traces_main(). All this writes to traces_work alone. */
__attribute__((noreturn)) void traces_wait(void);
__attribute__((noreturn)) void traces_main(void);

/* Load other patterns into all registers and end. */
__attribute__((noreturn)) void traces_end_out(void);
__attribute__((noreturn)) void traces_end_trap(void);
__attribute__((noreturn)) void traces_end_string(void);
__attribute__((noreturn)) void traces_end_in(void);
__attribute__((noreturn)) void traces_end_unmapped(void);
__attribute__((noreturn)) void traces_end_fault(void);
__attribute__((noreturn)) void traces_end_shutdown(void);
__attribute__((noreturn)) void traces_end_loop(void);
/* Where traces_end_unmapped() writes to, and what traces_end_out() loads into ss: a data breakpoint may be there. */
extern uintptr_t traces_nowhere;
extern uint16_t traces_ss;

/* A breakpoint may be at each. */
void traces_one(void);
void traces_other(void);

/* clang-format off */
#ifdef __x86_64__
#define TRACES_NAMES "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", \
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"
__asm__(
	"	.macro save_one index, register\n"
	"	movq %\\register, traces_gpr + 8 * \\index\n"
	"	.endm\n"
	"	.macro load_one index, register\n"
	"	movq traces_gpr + 8 * \\index, %\\register\n"
	"	.endm\n"
	"	.macro each_register what\n"
	"	\\what 1, rcx\n	\\what 2, rdx\n	\\what 3, rbx\n"
	"	\\what 4, rsp\n	\\what 5, rbp\n	\\what 6, rsi\n	\\what 7, rdi\n"
	"	\\what 8, r8\n	\\what 9, r9\n	\\what 10, r10\n	\\what 11, r11\n"
	"	\\what 12, r12\n	\\what 13, r13\n	\\what 14, r14\n	\\what 15, r15\n"
	"	.endm\n"
	"	.macro fill_registers base\n"
	"	number = 1\n"
	"	.irp register, rcx, rdx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15\n"
	"	movabsq $\\base * 0x0101010101010101 + number, %\\register\n"
	"	number = number + 1\n"
	"	.endr\n"
	"	.endm\n"
	"	.macro first_argument\n"
	"	movq %rdi, %rbx\n"
	"	.endm\n");
#define AX "rax"
#define BX "rbx"
#define SP "rsp"
#define SI "rsi"
#define DI "rdi"
#else
#define TRACES_NAMES "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"
__asm__(
	"	.macro save_one index, register\n"
	"	movl %\\register, traces_gpr + 4 * \\index\n"
	"	.endm\n"
	"	.macro load_one index, register\n"
	"	movl traces_gpr + 4 * \\index, %\\register\n"
	"	.endm\n"
	"	.macro each_register what\n"
	"	\\what 1, ecx\n	\\what 2, edx\n	\\what 3, ebx\n	\\what 4, esp\n	\\what 5, ebp\n"
	"	\\what 6, esi\n	\\what 7, edi\n"
	"	.endm\n"
	"	.macro fill_registers base\n"
	"	number = 1\n"
	"	.irp register, ecx, edx, ebp, esi, edi\n"
	"	movl $\\base * 0x01010101 + number, %\\register\n"
	"	number = number + 1\n"
	"	.endr\n"
	"	.endm\n"
	"	.macro first_argument\n"
	"	movl 4(%esp), %ebx\n"
	"	.endm\n");
#define AX "eax"
#define BX "ebx"
#define SP "esp"
#define SI "esi"
#define DI "edi"
#endif

/* eax is the mailbox's word and what cr2 goes through: a page fault of ours comes only after that. */
__asm__(".pushsection .text.traces, \"ax\", @progbits\n"
	"traces_begin:\n"
	"	first_argument\n"
	"	fill_registers 0x21\n"
	"	jmp traces_enter\n"
	"traces_wait:\n"
	"	each_register load_one\n"
	"	movl $0x21, %eax\n" /* TRACES_READY */
	"	outl %eax, $103\n"
	"1:	movl (%" BX "), %eax\n"
	"	testl %eax, %eax\n"
	"	jz 1b\n"
	"traces_enter:\n"
	"	mov %cr2, %" AX "\n"
	"	mov %" AX ", traces_cr2\n"
	"	each_register save_one\n"
	"	mov $traces_stack_top, %" SP "\n"
	"	pushf\n"
	"	pop traces_flags\n"
	"	cld\n"
	"	call traces_main\n"

	"	.macro leave_registers\n"
	"	fill_registers 0x5b\n"
	"	mov $0x5b5b5b5b, %" BX "\n"
	"	.endm\n"
	"traces_end_out:\n"
	"	leave_registers\n"
	"	xor %eax, %eax\n"
	"	std\n"
	"	movw traces_ss, %ss\n"
	"	outl %eax, $109\n"
	"	ud2\n"
	"traces_end_trap:\n"
	"	leave_registers\n"
	"	pushf\n"
	"	orl $0x100, (%" SP ")\n"
	"	xor %eax, %eax\n"
	"	popf\n"
	"	movw traces_ss, %ss\n"
	"	outl %eax, $109\n"
	"	ud2\n"
	"traces_end_string:\n"
	"	leave_registers\n"
	"	mov $traces_zeros, %" SI "\n"
	"	mov $109, %edx\n"
	"	mov $3, %ecx\n"
	"	rep outsl\n"
	"	ud2\n"
	"traces_end_in:\n"
	"	leave_registers\n"
	"	mov $0x4242, %edx\n"
	"	inl %dx, %eax\n"
	"	ud2\n"
	"traces_end_unmapped:\n"
	"	leave_registers\n"
	"	mov traces_nowhere, %" DI "\n"
	"	movl $0x5b5b5b5b, (%" DI ")\n"
	"	ud2\n"
	"traces_end_fault:\n"
	"	leave_registers\n"
	"	ud2\n"
	"traces_end_shutdown:\n"
	"	lidt traces_no_idt\n"
	"	leave_registers\n"
	"	ud2\n"
	"traces_end_loop:\n"
	"	leave_registers\n"
	"	movl $0x21, %eax\n" /* TRACES_READY */
	"	outl %eax, $103\n"
	"1:	jmp 1b\n"
	"traces_one:\n"
	"	nop\n"
	"	ret\n"
	"traces_other:\n"
	"	nop\n"
	"	ret\n"
	"	.popsection\n"
	"	.pushsection .bss.traces, \"aw\", @nobits\n"
	"	.balign 4096\n"
	"traces_work:\n"
	"traces_gpr: .skip 128\n"
	"traces_flags: .skip 8\n"
	"traces_cr2: .skip 8\n"
	"traces_resume: .skip 8\n"
	"traces_seen: .skip 8\n"
	"traces_zeros: .skip 16\n"
	"traces_no_idt: .skip 16\n"
	"	.balign 4096\n"
	"	.skip 16384\n"
	"traces_stack_top:\n"
	"traces_work_end:\n"
	"	.popsection\n");
/* clang-format on */
_Static_assert(TRACES_READY == 0x21, "the assembly says so");

#endif
