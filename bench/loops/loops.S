/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loops, instruction by instruction, so that all CPUs execute the same and their number is known. */
#include "assembly.h"
#include "loops.h"

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
	lea AT(table), R(bp)
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

/* A walk over records, as compilers write it: half of all instructions go to memory or branch somewhere. */
	.globl loop_mixed
loop_mixed:
	ENTER
	lea AT(table), R(bp)
	xor R(dx), R(dx)
	.balign 16
1:	mov R(cx), R(ax)
	and $7, %eax
	lea (R(bp), R(ax), WORD), R(bx)
	mov (R(bx)), R(si)
	test $4, %cl
	jz 2f
	add R(si), R(dx)
	jmp 3f
2:	sub R(si), R(dx)
	xor $0x55, R(dx)
3:	movzbl 1(R(bx)), %eax
	imul $31, %eax, %eax
	push R(ax)
	mov R(dx), R(di)
	call digest
	pop R(si)
	add R(si), R(ax)
	mov R(ax), (R(bx))
	cmp R(dx), R(ax)
	setb %dl
	movzbl %dl, %edx
	dec R(cx)
	jnz 1b
	LEAVE
digest:
	mov R(di), R(ax)
	shr $3, R(ax)
	cmp $1000, R(ax)
	ja 4f
	add $17, R(ax)
4:	xor R(di), R(ax)
	ret

	.globl loop_repeat
loop_repeat:
	ENTER
	cld
	.balign 16
1:	mov R(cx), R(dx)
	lea AT(loop_from), R(si)
	lea AT(loop_to), R(di)
	mov $LOOP_COPY_BYTES / WORD, %ecx
	rep MOVS
	mov R(dx), R(cx)
	dec R(cx)
	jnz 1b
	LEAVE

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

	.bss
	.balign 4096
	.globl loop_from, loop_to
loop_from: .skip LOOP_COPY_BYTES
loop_to: .skip LOOP_COPY_BYTES

	.section .note.GNU-stack, "", @progbits
