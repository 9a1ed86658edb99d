/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loops of vectors and of the x87: what memcpy and a product of matrices are made of. */
#include "assembly.h"
#include "loops.h"

#define SIDE 16               /* of the matrices */
#define ROW (4 * SIDE)        /* of floats, bytes */
#define ROW_DOUBLES (8 * SIDE)

	.text
	.globl loop_copy_sse2
loop_copy_sse2:
	ENTER
	.balign 16
1:	lea AT(loop_from), R(si)
	lea AT(loop_to), R(di)
	mov $LOOP_COPY_BYTES / 64, %edx
2:	movdqu (R(si)), %xmm0
	movdqu 16(R(si)), %xmm1
	movdqu 32(R(si)), %xmm2
	movdqu 48(R(si)), %xmm3
	movdqu %xmm0, (R(di))
	movdqu %xmm1, 16(R(di))
	movdqu %xmm2, 32(R(di))
	movdqu %xmm3, 48(R(di))
	add $64, R(si)
	add $64, R(di)
	dec %edx
	jnz 2b
	dec R(cx)
	jnz 1b
	LEAVE

	.globl loop_copy_avx
loop_copy_avx:
	ENTER
	.balign 16
1:	lea AT(loop_from), R(si)
	lea AT(loop_to), R(di)
	mov $LOOP_COPY_BYTES / 128, %edx
2:	vmovdqu (R(si)), %ymm0
	vmovdqu 32(R(si)), %ymm1
	vmovdqu 64(R(si)), %ymm2
	vmovdqu 96(R(si)), %ymm3
	vmovdqu %ymm0, (R(di))
	vmovdqu %ymm1, 32(R(di))
	vmovdqu %ymm2, 64(R(di))
	vmovdqu %ymm3, 96(R(di))
	sub $-128, R(si)
	sub $-128, R(di)
	dec %edx
	jnz 2b
	dec R(cx)
	jnz 1b
	vzeroupper
	LEAVE

/* A string's end in 4 KiB, as strlen looks for it. */
	.globl loop_length_sse2
loop_length_sse2:
	ENTER
	movb $1, AT(loop_text)
	.balign 16
1:	lea AT(loop_text), R(si)
	pxor %xmm0, %xmm0
2:	movdqa (R(si)), %xmm1
	pcmpeqb %xmm0, %xmm1
	pmovmskb %xmm1, %eax
	add $16, R(si)
	test %eax, %eax
	jz 2b
	dec R(cx)
	jnz 1b
	LEAVE

/* The product of two matrices of floats, a row at a time. */
	.globl loop_matrix_sse2
loop_matrix_sse2:
	ENTER
	.balign 16
1:	lea AT(left), R(si)
	lea AT(product), R(bx)
	mov $SIDE, %ebp
2:	lea AT(right), R(di)
	xorps %xmm0, %xmm0
	xorps %xmm1, %xmm1
	xorps %xmm2, %xmm2
	xorps %xmm3, %xmm3
	mov $SIDE, %edx
3:	movss (R(si)), %xmm4
	shufps $0, %xmm4, %xmm4
	movaps (R(di)), %xmm5
	mulps %xmm4, %xmm5
	addps %xmm5, %xmm0
	movaps 16(R(di)), %xmm5
	mulps %xmm4, %xmm5
	addps %xmm5, %xmm1
	movaps 32(R(di)), %xmm5
	mulps %xmm4, %xmm5
	addps %xmm5, %xmm2
	mulps 48(R(di)), %xmm4
	addps %xmm4, %xmm3
	add $4, R(si)
	add $ROW, R(di)
	dec %edx
	jnz 3b
	movaps %xmm0, (R(bx))
	movaps %xmm1, 16(R(bx))
	movaps %xmm2, 32(R(bx))
	movaps %xmm3, 48(R(bx))
	add $ROW, R(bx)
	dec %ebp
	jnz 2b
	dec R(cx)
	jnz 1b
	LEAVE

	.globl loop_matrix_fma
loop_matrix_fma:
	ENTER
	.balign 16
1:	lea AT(left), R(si)
	lea AT(product), R(bx)
	mov $SIDE, %ebp
2:	lea AT(right), R(di)
	vxorps %xmm0, %xmm0, %xmm0
	vxorps %xmm1, %xmm1, %xmm1
	mov $SIDE, %edx
3:	vbroadcastss (R(si)), %ymm2
	vfmadd231ps (R(di)), %ymm2, %ymm0
	vfmadd231ps 32(R(di)), %ymm2, %ymm1
	add $4, R(si)
	add $ROW, R(di)
	dec %edx
	jnz 3b
	vmovups %ymm0, (R(bx))
	vmovups %ymm1, 32(R(bx))
	add $ROW, R(bx)
	dec %ebp
	jnz 2b
	dec R(cx)
	jnz 1b
	vzeroupper
	LEAVE

/* Of doubles in scalar code, element by element. */
	.globl loop_matrix_scalar
loop_matrix_scalar:
	ENTER
	.balign 16
1:	lea AT(doubles), R(si)
	mov $SIDE, %ebp
2:	lea AT(doubles), R(di)
	mov $SIDE, %ebx
3:	xorpd %xmm0, %xmm0
	xor %edx, %edx
4:	movsd (R(si), R(dx), 8), %xmm1
	mulsd (R(di)), %xmm1
	addsd %xmm1, %xmm0
	add $ROW_DOUBLES, R(di)
	inc %edx
	cmp $SIDE, %edx
	jne 4b
	sub $SIDE * ROW_DOUBLES - 8, R(di)
	movsd %xmm0, AT(product)
	dec %ebx
	jnz 3b
	add $ROW_DOUBLES, R(si)
	dec %ebp
	jnz 2b
	dec R(cx)
	jnz 1b
	LEAVE

	.globl loop_matrix_x87
loop_matrix_x87:
	ENTER
	.balign 16
1:	lea AT(doubles), R(si)
	mov $SIDE, %ebp
2:	lea AT(doubles), R(di)
	mov $SIDE, %ebx
3:	fldz
	xor %edx, %edx
4:	fldl (R(si), R(dx), 8)
	fmull (R(di))
	faddp
	add $ROW_DOUBLES, R(di)
	inc %edx
	cmp $SIDE, %edx
	jne 4b
	sub $SIDE * ROW_DOUBLES - 8, R(di)
	fstpl AT(product)
	dec %ebx
	jnz 3b
	add $ROW_DOUBLES, R(si)
	dec %ebp
	jnz 2b
	dec R(cx)
	jnz 1b
	LEAVE

	.data
	.balign 64
	/* Numbers whose products are not exact, as hardly any are: emulators take another way for those that are. */
left:	.rept SIDE * SIDE
	.float 1.1
	.endr
right:	.rept SIDE * SIDE
	.float 0.3
	.endr
doubles: .rept SIDE * SIDE
	.double 1.1
	.endr
loop_text: .fill LOOP_COPY_BYTES - 1, 1, 1
	.byte 0

	.bss
	.balign 64
product: .skip SIDE * ROW

	.section .note.GNU-stack, "", @progbits
