/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * amd64 trap entry: 32 stubs, the IDT that leads to them, and the way to a handler of the program or to the host.
 *
 * The host gets a trap as abi.h says: out to HS_PORT_EXCEPTION with rsp at {vector, error code, rip, cs, rflags, rsp,
 * ss} and every other register as the interrupted code had it.
 */
#include "../rt/cpu.h"
#include <hindsight/abi.h>

/* Vectors whose frame the CPU tops with an error code (SDM vol. 3A table 6-1): 8, 10..14, 17, 21, 29, 30. */
#define HAS_ERROR_CODE(n) ((1 << 8 | 0x1F << 10 | 1 << 17 | 1 << 21 | 3 << 29) >> (n) & 1)

/* Unwinding: at a stub's end the CFA is rsp + 16 + the 40 bytes of the CPU's frame. The interrupted registers are found
 * through the frame, so that gdb's backtrace from a handler goes on into the interrupted function. */
	.macro cfi_trap pushed
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa %rsp, \pushed
	.cfi_offset %rip, -40
	.cfi_offset %rsp, -16
	.endm

/* A section that the linker script keeps: the IDT refers to the stubs by parts of their address, which is no reference
 * to the linker. hs_trap_stubs is aligned to its own size, so that stub n's low 16 bits are those of the base plus 16
 * n, no carry. */
	.section .text.entry, "ax", @progbits
	.balign HS_GATE_COUNT * HS_STUB_BYTES
	.globl hs_trap_stubs
	.type hs_trap_stubs, @function
hs_trap_stubs:
	vector = 0
	.rept HS_GATE_COUNT
	.balign HS_STUB_BYTES
	.if HAS_ERROR_CODE(vector)
	cfi_trap 48
	.else
	cfi_trap 40
	pushq $0
	.cfi_adjust_cfa_offset 8
	.endif
	pushq $vector
	.cfi_adjust_cfa_offset 8
	.if vector == HS_VECTOR_PAGE_FAULT
	jmp page_fault_entry
	.else
	jmp trap_entry
	.endif
	.cfi_endproc
	vector = vector + 1
	.endr
	.size hs_trap_stubs, . - hs_trap_stubs

/* A page fault may be about copy-on-write (rt/cow.c); if not, it is a trap like any other, and CR2 is as it was. */
	.type page_fault_entry, @function
page_fault_entry:
	cfi_trap 56
	/* What a function may change (System V psABI 3.2.1). The CPU has aligned the stack; with these it still is. */
	.irp register, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11
	pushq %\register
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %\register, 0
	.endr
	movq %cr2, %rdi
	movq 80(%rsp), %rsi /* the error code, above the nine registers and the vector */
	cld
	call hs_cow_fault
	testb %al, %al
	.irp register, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax
	popq %\register
	.cfi_adjust_cfa_offset -8
	.cfi_restore %\register
	.endr
	jz trap_entry
	leaq 16(%rsp), %rsp /* vector and error code */
	.cfi_adjust_cfa_offset -16
	iretq
	.cfi_endproc
	.size page_fault_entry, . - page_fault_entry

	.type trap_entry, @function
trap_entry:
	cfi_trap 56
	/* Is there a handler? Two registers to look; most traps go to the host. */
	pushq %rax
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rax, 0
	pushq %rdx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rdx, 0
	leaq hs_trap_handlers(%rip), %rdx
	movq 16(%rsp), %rax
	cmpq $0, (%rdx, %rax, 8)
	popq %rdx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rdx
	jne 1f
	popq %rax
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rax
	jmp report
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rax, 0
1:	/* struct hs_trap_frame, from its end; rax is there already. */
	.irp register, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	pushq %\register
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %\register, 0
	.endr
	movq %rsp, %rdi
	movq %rsp, %rbx /* kept by the call, for the alignment */
	andq $-16, %rsp
	.cfi_def_cfa_register %rbx
	cld
	call hs_trap_dispatch
	movq %rbx, %rsp
	.cfi_def_cfa_register %rsp
	testb %al, %al
	.irp register, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
	popq %\register
	.cfi_adjust_cfa_offset -8
	.cfi_restore %\register
	.endr
	jz report
	leaq 16(%rsp), %rsp /* vector and error code */
	.cfi_adjust_cfa_offset -16
	iretq
	.cfi_endproc
	.size trap_entry, . - trap_entry

/* The trap goes to the host, which takes the interrupted state from here. Should it let the guest run on: again. */
	.globl hs_trap_report
	.type hs_trap_report, @function
hs_trap_report:
	cfi_trap 56
report:
	outl %eax, $HS_PORT_EXCEPTION
	jmp report
	.cfi_endproc
	.size hs_trap_report, . - hs_trap_report

/* Interrupt gates (SDM vol. 3A 6.14.1). The linker script splits the address of the stubs. */
	.section .rodata
	.balign 16
	.type hs_idt, @object
hs_idt:
	vector = 0
	.rept HS_GATE_COUNT
	.short hs_trap_stubs_0_15 + vector * HS_STUB_BYTES
	.short HS_SELECTOR_CODE
	.if vector == HS_VECTOR_DOUBLE_FAULT
	.byte 1
	.elseif vector >= 12 && vector <= 14 /* #SS, #GP, #PF: what a stack pointer gone wrong raises */
	.byte 2
	.else
	.byte 0
	.endif
	/* Ring 3 may raise #BP and #OF by instruction. */
	.if vector == 3 || vector == 4
	.byte 0xEE
	.else
	.byte 0x8E
	.endif
	.short hs_trap_stubs_16_31
	.long hs_trap_stubs_32_63
	.long 0
	vector = vector + 1
	.endr
	.size hs_idt, . - hs_idt
	.short 0, 0, 0
	.globl hs_idt_pointer
hs_idt_pointer:
	.short HS_GATE_COUNT * 16 - 1
	.quad hs_idt

	.section .note.GNU-stack, "", @progbits
