/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The part of writes.c that is assembly: trials, each some instructions that write to the four pages at (r/e)di and end
 * in a ud2, and the way there and back. All general registers but (r/e)di and the stack pointer are zero when one
 * begins, and the flags are 2. The code is good at any address. What is not said to need vectors is integer code, or
 * the few moves of state and of SSE registers that every CPU has which runs guests.
 */
#ifndef WRITES_CODE_H
#define WRITES_CODE_H

#include <stdint.h>

/* Go to code with base in (r/e)di, in ring 0 or 3 (there on a stack below base + 12288); comes back when the handler of
 * its ud2 goes on at writes_resume. */
void writes_go(uintptr_t base, uintptr_t code, int user);
extern const uint8_t writes_resume[];
uintptr_t writes_stack; /* of who goes */

/* In a row, so that all of it can be copied. */
extern const uint8_t writes_code[], writes_code_end[];
extern const uint8_t writes_store[], writes_forward[], writes_backward[], writes_fill[], writes_push[], writes_atomic[],
	writes_registers[], writes_segments[], writes_save[], writes_moves[], writes_x87[], writes_sse[], writes_avx[];

/* Where in the fourth page the state is that vector trials begin with, and where they leave theirs. */
#define WRITES_STATE 0
#define WRITES_RESULT 1024

/* clang-format off */
#ifdef __x86_64__
#define AX "%rax"
#define BP "%rbp"
#define CX "%rcx"
#define DI "%rdi"
#define SI "%rsi"
#define SP "%rsp"
#define FILL_MORE                                                                                                      \
	"	.irp number, 8, 9, 10, 11, 12, 13, 14, 15\n"                                                          \
	"	movabsq $0x0101010101010101 * \\number, %r\\number\n"                                                 \
	"	.endr\n"
__asm__(
	"	.pushsection .text.writes_go, \"ax\", @progbits\n"
	"writes_go:\n"
	"	.irp register, rbp, rbx, r12, r13, r14, r15\n"
	"	pushq %\\register\n"
	"	.endr\n"
	"	movq %rsp, writes_stack\n"
	"	movq %rsp, %rcx\n"
	"	movl $0x10, %r8d\n"
	"	movl $0x08, %r9d\n"
	"	testl %edx, %edx\n"
	"	jz 1f\n"
	"	leaq 12288(%rdi), %rcx\n"
	"	movl $0x3B, %r8d\n"
	"	movl $0x33, %r9d\n"
	"1:	pushq %r8\n"
	"	pushq %rcx\n"
	"	pushq $2\n"
	"	pushq %r9\n"
	"	pushq %rsi\n"
	"	.irp register, eax, ecx, edx, ebx, ebp, esi, r8d, r9d, r10d, r11d, r12d, r13d, r14d, r15d\n"
	"	movl $0, %\\register\n"
	"	.endr\n"
	"	iretq\n"
	"writes_resume:\n"
	"	movq writes_stack, %rsp\n"
	"	.irp register, r15, r14, r13, r12, rbx, rbp\n"
	"	popq %\\register\n"
	"	.endr\n"
	"	ret\n"
	"	.popsection\n");
#else
#define AX "%eax"
#define BP "%ebp"
#define CX "%ecx"
#define DI "%edi"
#define SI "%esi"
#define SP "%esp"
#define FILL_MORE
__asm__(
	"	.pushsection .text.writes_go, \"ax\", @progbits\n"
	"writes_go:\n"
	"	.irp register, ebp, ebx, esi, edi\n"
	"	pushl %\\register\n"
	"	.endr\n"
	"	movl 20(%esp), %edi\n"
	"	movl 24(%esp), %esi\n"
	"	movl 28(%esp), %edx\n"
	"	movl %esp, writes_stack\n"
	"	movl $0x08, %eax\n"
	"	testl %edx, %edx\n"
	"	jz 1f\n"
	"	leal 12288(%edi), %ecx\n"
	"	movl $0x33, %eax\n"
	"	pushl $0x3B\n"
	"	pushl %ecx\n"
	"1:	pushl $2\n"
	"	pushl %eax\n"
	"	pushl %esi\n"
	"	.irp register, eax, ecx, edx, ebx, ebp, esi\n"
	"	movl $0, %\\register\n"
	"	.endr\n"
	"	iretl\n"
	"writes_resume:\n"
	"	movl writes_stack, %esp\n"
	"	.irp register, edi, esi, ebx, ebp\n"
	"	popl %\\register\n"
	"	.endr\n"
	"	ret\n"
	"	.popsection\n");
#endif

__asm__(
	"	.pushsection .text.writes_code, \"ax\", @progbits\n"
	"writes_code:\n"
	/* Across two pages. */
	"writes_store:	movl $0x01020304, 4094(" DI ")\n"
	"	ud2\n"
	/* Onto its own source, whose pages are copied while it is read. */
	"writes_forward: lea 100(" DI "), " SI "\n"
	"	add $4000, " DI "\n"
	"	mov $5000, %ecx\n"
	"	rep movsb\n"
	"	ud2\n"
	"writes_backward: lea 8191(" DI "), " SI "\n"
	"	add $12001, " DI "\n"
	"	mov $2500, %ecx\n"
	"	std\n"
	"	rep movsw\n"
	"	ud2\n"
	"writes_fill:	add $2001, " DI "\n"
	"	mov $2000, %ecx\n"
	"	mov $0xA1B2C3D4, %eax\n"
	"	rep stosl\n"
	"	ud2\n"
	/* A stack whose pages are copied when they are pushed to, a word of it across two. */
	"writes_push:	mov " SP ", " BP "\n"
	"	lea 8194(" DI "), " SP "\n"
	"	push $0x1234\n"
	"	pushf\n"
	"	call 1f\n"
	"1:	pop " CX "\n"
	"	lea 4096(" DI "), " SP "\n"
	"	push 8(" DI ")\n"
	"	mov " BP ", " SP "\n"
	"	mov $0, " BP "\n" /* it is another one each time */
	"	ud2\n"
	/* Done once, not twice. */
	"writes_atomic:	mov $5, %eax\n"
	"	lock xaddl %eax, 64(" DI ")\n"
	"	stc\n"
	"	adcl $7, 4092(" DI ")\n"
	"	mov $9, %ecx\n"
	"	xchgl %ecx, 4096+8(" DI ")\n"
	"	lock btsl $3, 8192+4(" DI ")\n"
	"	incl 8192+64(" DI ")\n"
	"	ud2\n"
	/* All registers live, and the flags. */
	"writes_registers: mov $0x11111111, %eax\n"
	"	mov $0x22222222, %ecx\n"
	"	mov $0x33333333, %edx\n"
	"	mov $0x44444444, %ebx\n"
	"	mov $0x55555555, %ebp\n"
	"	mov $0x66666666, %esi\n"
	FILL_MORE
	"	cmp $0x80000000, %eax\n"
	"	std\n"
	"	movb $1, (" DI ")\n"
	"	ud2\n");
#ifdef __x86_64__
__asm__("writes_segments: ud2\n");
#else
/* The handler runs with the segments that it finds: here ds is of no use. */
__asm__("writes_segments: mov %es, %ecx\n"
	"	mov %eax, %ds\n"
	"	movl $7, %es:(%edi)\n"
	"	mov %ds, %edx\n"
	"	mov %ecx, %ds\n"
	"	ud2\n");
#endif
__asm__(
	/* State as a whole, to two pages: the store is 512 bytes at a multiple of 16. */
	"writes_save:	fxrstor 12288(" DI ")\n"
	"	fxsave 4096-256(" DI ")\n"
	"	ud2\n"
	/* All of it is live at two faults. */
	"writes_moves:	fxrstor 12288(" DI ")\n"
	"	movups %xmm1, 4090(" DI ")\n"
	"	movdqu %xmm7, 8190(" DI ")\n"
	"	fxsave 12288+1024(" DI ")\n"
	"	ud2\n"
	/* Computing goes on with what is on the register stack. */
	"writes_x87:	fninit\n"
	"	fldpi\n"
	"	fldl2e\n"
	"	fmul %st(1), %st\n"
	"	fstl 4092(" DI ")\n"
	"	fsqrt\n"
	"	fdivrp\n"
	"	fld %st(0)\n"
	"	fstpt 8187(" DI ")\n"
	"	fldln2\n"
	"	fyl2x\n"
	"	fnstcw (" DI ")\n"
	"	fstl 12288+2048(" DI ")\n"
	"	fxsave 12288+1024(" DI ")\n"
	"	ud2\n"
	/* Rounding up, and what is rounded is not exact. */
	"writes_sse:	fxrstor 12288(" DI ")\n"
	"	movl $0x5F80, (" DI ")\n"
	"	ldmxcsr (" DI ")\n"
	"	mov $2, %eax\n"
	"	cvtsi2sd %eax, %xmm0\n"
	"	sqrtsd %xmm0, %xmm1\n"
	"	unpcklpd %xmm1, %xmm0\n"
	"	movapd %xmm0, %xmm2\n"
	"	divpd %xmm1, %xmm2\n"
	"	movups %xmm2, 4090(" DI ")\n"
	"	mulpd %xmm0, %xmm2\n"
	"	addsd %xmm1, %xmm2\n"
	"	stmxcsr 8190(" DI ")\n"
	"	fxsave 12288+1024(" DI ")\n"
	"	ud2\n"
	"writes_avx:	vmovups 12288+160(" DI "), %ymm0\n"
	"	vmovups 12288+192(" DI "), %ymm1\n"
	"	vxorps %ymm0, %ymm1, %ymm2\n"
	"	vmovups %ymm2, 4080(" DI ")\n"
	"	vaddps %ymm0, %ymm2, %ymm3\n"
	"	vmovups %ymm3, 8180(" DI ")\n"
	"	vmovups %ymm0, 12288+1024(" DI ")\n"
	"	vmovups %ymm1, 12288+1056(" DI ")\n"
	"	vmovups %ymm2, 12288+1088(" DI ")\n"
	"	vmovups %ymm3, 12288+1120(" DI ")\n"
	"	ud2\n"
	"writes_code_end:\n"
	"	.popsection\n");
/* clang-format on */

#endif
