/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * i686 trap entry: 32 stubs, the IDT that leads to them, and the way to a handler of the program or to the host.
 *
 * The host gets a trap as abi.h says: out to HS_PORT_EXCEPTION with esp at {vector, error code, eip, cs, eflags} (and
 * {esp, ss} when the interrupted code was less privileged) and every other register as the interrupted code had it. A
 * double fault comes through a task gate instead; EFLAGS.NT tells the two apart.
 */
#include "../rt/cpu.h"
#include <hindsight/abi.h>

/* Vectors whose frame the CPU tops with an error code (SDM vol. 3A table 6-1): 8, 10..14, 17, 21, 29, 30. */
#define HAS_ERROR_CODE(n) ((1 << 8 | 0x1F << 10 | 1 << 17 | 1 << 21 | 3 << 29) >> (n) & 1)

/* Unwinding: eip, cs and eflags are the 12 bytes below the CFA. That is the interrupted esp, unless the trap came from
 * ring 3: then esp is the next word of the frame. So the rule of esp is an expression (DW_CFA_val_expression, DWARF 5,
 * 6.4.2.3; operations 2.5.1), which starts with the CFA: dup, lit8, minus, deref (cs), lit3, and; bra over skip to the
 * nop; deref; nop, as lldb 14 lets no jump go to the end. */
	.macro cfi_trap pushed
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa %esp, \pushed
	.cfi_offset %eip, -12
	.cfi_escape 0x16, 4, 14, 0x12, 0x38, 0x1C, 0x06, 0x33, 0x1A, 0x28, 3, 0, 0x2F, 1, 0, 0x06, 0x96
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
	cfi_trap 16
	.else
	cfi_trap 12
	pushl $0
	.cfi_adjust_cfa_offset 4
	.endif
	pushl $vector
	.cfi_adjust_cfa_offset 4
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
	cfi_trap 20
	/* What a function may change (System V i386 psABI 2.2.1), and the segments it uses: ring 3's may be any. */
	.irp register, eax, ecx, edx
	pushl %\register
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %\register, 0
	.endr
	movl 16(%esp), %edx /* the error code, above the three registers and the vector */
	pushl %ds
	.cfi_adjust_cfa_offset 4
	pushl %es
	.cfi_adjust_cfa_offset 4
	movl %ss, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %cr2, %eax
	pushl %edx
	.cfi_adjust_cfa_offset 4
	pushl %eax
	.cfi_adjust_cfa_offset 4
	cld
	call hs_cow_fault
	leal 8(%esp), %esp
	.cfi_adjust_cfa_offset -8
	popl %es
	.cfi_adjust_cfa_offset -4
	popl %ds
	.cfi_adjust_cfa_offset -4
	testb %al, %al
	.irp register, edx, ecx, eax
	popl %\register
	.cfi_adjust_cfa_offset -4
	.cfi_restore %\register
	.endr
	jz trap_entry
	leal 8(%esp), %esp /* vector and error code */
	.cfi_adjust_cfa_offset -8
	iretl
	.cfi_endproc
	.size page_fault_entry, . - page_fault_entry

	.type trap_entry, @function
trap_entry:
	cfi_trap 20
	/* Is there a handler? One register to look; most traps go to the host. */
	pushl %eax
	.cfi_adjust_cfa_offset 4
	.cfi_rel_offset %eax, 0
	movl 4(%esp), %eax
	cmpl $0, hs_trap_handlers(, %eax, 4)
	popl %eax
	.cfi_adjust_cfa_offset -4
	.cfi_restore %eax
	je report
	pushal /* struct hs_trap_frame, from its end */
	.cfi_adjust_cfa_offset 32
	.cfi_rel_offset %eax, 28
	.cfi_rel_offset %ecx, 24
	.cfi_rel_offset %edx, 20
	.cfi_rel_offset %ebx, 16
	.cfi_rel_offset %ebp, 8
	.cfi_rel_offset %esi, 4
	.cfi_rel_offset %edi, 0
	movl %esp, %ebx /* kept by the call, for the alignment */
	.cfi_def_cfa_register %ebx
	andl $-16, %esp
	subl $12, %esp
	pushl %ebx
	cld
	call hs_trap_dispatch
	movl %ebx, %esp
	.cfi_def_cfa_register %esp
	testb %al, %al
	popal
	.cfi_adjust_cfa_offset -32
	.irp register, eax, ecx, edx, ebx, ebp, esi, edi
	.cfi_restore %\register
	.endr
	jz report
	leal 8(%esp), %esp /* vector and error code */
	.cfi_adjust_cfa_offset -8
	iretl
	.cfi_endproc
	.size trap_entry, . - trap_entry

/* The trap goes to the host, which takes the interrupted state from here. Should it let the guest run on: again. */
	.globl hs_trap_report
	.type hs_trap_report, @function
hs_trap_report:
	cfi_trap 20
report:
	outl %eax, $HS_PORT_EXCEPTION
	jmp report
	.cfi_endproc
	.size hs_trap_report, . - hs_trap_report

/* The double fault's task. The CPU has pushed the error code; the interrupted state is in the TSS that the back link of
 * this task's TSS names, and EFLAGS.NT is set, which no interrupt gate leaves set. */
	.globl hs_trap_double_fault
	.type hs_trap_double_fault, @function
hs_trap_double_fault:
	.cfi_startproc
	.cfi_undefined %eip
	pushl $HS_VECTOR_DOUBLE_FAULT
1:	outl %eax, $HS_PORT_EXCEPTION
	jmp 1b
	.cfi_endproc
	.size hs_trap_double_fault, . - hs_trap_double_fault

/* Interrupt gates and one task gate (SDM vol. 3A 6.11). The linker script splits the address of the stubs. */
	.section .rodata
	.balign 16
	.type hs_idt, @object
hs_idt:
	vector = 0
	.rept HS_GATE_COUNT
	.if vector == HS_VECTOR_DOUBLE_FAULT
	.short 0, HS_SELECTOR_DF_TSS
	.byte 0, 0x85
	.short 0
	.else
	.short hs_trap_stubs_0_15 + vector * HS_STUB_BYTES
	.short HS_SELECTOR_CODE
	.byte 0
	/* Ring 3 may raise #BP and #OF by instruction. */
	.if vector == 3 || vector == 4
	.byte 0xEE
	.else
	.byte 0x8E
	.endif
	.short hs_trap_stubs_16_31
	.endif
	vector = vector + 1
	.endr
	.size hs_idt, . - hs_idt
	.short 0
	.globl hs_idt_pointer
hs_idt_pointer:
	.short HS_GATE_COUNT * 8 - 1
	.long hs_idt

	.section .note.GNU-stack, "", @progbits
