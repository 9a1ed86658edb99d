/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What makes one text of the loops do for both architectures. A loop is called with its number of rounds. */
#ifndef HS_BENCH_ASSEMBLY_H
#define HS_BENCH_ASSEMBLY_H

#ifdef __x86_64__
#define R(name) % r##name
#define WORD 8
#define IRET iretq
#define ADD addq
#define MOVS movsq
/* Programs that are loaded anywhere have them too. */
#define AT(symbol) symbol(% rip)
/* The argument is in rdi; rcx counts. */
#define ENTER                                                                                                          \
	push R(bx);                                                                                                    \
	push R(bp);                                                                                                    \
	mov R(di), R(cx)
#define LEAVE                                                                                                          \
	pop R(bp);                                                                                                     \
	pop R(bx);                                                                                                     \
	ret
#else
#define R(name) % e##name
#define WORD 4
#define IRET iretl
#define ADD addl
#define MOVS movsl
#define AT(symbol) symbol
#define ENTER                                                                                                          \
	push R(bx);                                                                                                    \
	push R(bp);                                                                                                    \
	push R(si);                                                                                                    \
	push R(di);                                                                                                    \
	mov 20(R(sp)), R(cx)
#define LEAVE                                                                                                          \
	pop R(di);                                                                                                     \
	pop R(si);                                                                                                     \
	pop R(bp);                                                                                                     \
	pop R(bx);                                                                                                     \
	ret
#endif

#endif
