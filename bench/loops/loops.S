/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loops, instruction by instruction, so that all CPUs execute the same and their number is known. */
#include "loops.h"

#ifdef __x86_64__
#define R(name) %r##name
#define WORD 8
#define IRET iretq
#define ADD addq
/* The argument is in rdi; rcx counts. */
#define ENTER push R(bx); push R(bp); mov R(di), R(cx)
#define LEAVE pop R(bp); pop R(bx); ret
#else
#define R(name) %e##name
#define WORD 4
#define IRET iretl
#define ADD addl
#define ENTER push R(bx); push R(bp); push R(si); push R(di); mov 20(R(sp)), R(cx)
#define LEAVE pop R(di); pop R(si); pop R(bp); pop R(bx); ret
#endif

	.text
	.globl loop_alu
loop_alu:
	ENTER
	xor R(ax), R(ax)
	mov $1, R(dx)
	xor R(si), R(si)
	xor R(di), R(di)
	.balign 16
1:	add R(cx), R(ax)
	xor R(ax), R(dx)
	lea 5(R(ax), R(dx), 2), R(si)
	sub R(dx), R(di)
	and $0x7FFF, R(si)
	or R(si), R(dx)
	shl $3, R(ax)
	mov R(ax), R(bx)
	shr $7, R(bx)
	adc R(bx), R(di)
	imul R(dx), R(bx)
	xor R(bx), R(ax)
	cmp R(si), R(ax)
	cmovb R(si), R(ax)
	dec R(cx)
	jnz 1b
	LEAVE

	.globl loop_memory
loop_memory:
	ENTER
	lea table, R(bp)
	xor R(dx), R(dx)
	.balign 16
1:	mov (R(bp)), R(ax)
	add WORD(R(bp)), R(ax)
	mov R(ax), 2 * WORD(R(bp))
	call leaf
	movzbl 3(R(bp), R(dx)), %esi
	add R(si), 4 * WORD(R(bp))
	mov %ax, 5 * WORD(R(bp))
	cmp 2 * WORD(R(bp)), R(ax)
	mov R(cx), (R(bp))
	dec R(cx)
	jnz 1b
	LEAVE
leaf:
	push R(ax)
	mov 3 * WORD(R(bp)), R(ax)
	add $1, R(ax)
	pop R(ax)
	ret

	.globl loop_fault
loop_fault:
	ENTER
	mov $LOOP_FAULT_ADDRESS, R(si)
	.balign 16
1:	mov (R(si)), R(ax)
2:	dec R(cx)
	jnz 1b
	LEAVE

	.globl loop_fault_handler
	.balign 16
loop_fault_handler: /* error code, ip, cs, flags (amd64: rsp, ss) */
	ADD $(2b - 1b), WORD(R(sp))
	add $WORD, R(sp)
	IRET

	.globl loop_port
loop_port:
	ENTER
	mov $LOOP_PORT_NUMBER, %edx
	.balign 16
1:	out %eax, %dx
	dec R(cx)
	jnz 1b
	LEAVE

	.data
	.balign 64
table:	.fill 64, 1, 1

	.section .note.GNU-stack, "", @progbits
