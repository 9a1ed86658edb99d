/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The amd64 entry point, the SDK's descriptor tables and the ELF note that makes a guest native.
 *
 * The tables are complete when the image is linked (the linker script splits the addresses in them), so entering costs
 * a dozen instructions and no loop.
 */
#include "../rt/cpu.h"
#include <hindsight/abi.h>

/* Entry state (abi.h): long mode, flat segments, interrupts off; rdi = boot information, rsi = seed, rdx = page size,
 * rcx = log level; rsp 16-aligned minus 8, as a function is entered (System V psABI 3.2.2), over a null word. */
	.text
	.globl _start
	.type _start, @function
_start:
	.cfi_startproc
	.cfi_undefined %rip /* the outermost frame: a backtrace ends here */
	xorl %ebp, %ebp
	lgdt gdt_pointer(%rip)
	movl $HS_SELECTOR_TSS, %eax
	ltr %ax
	/* Now the page faults have their stack. From here on a snapshot may make pages copy-on-write. */
	lidt hs_idt_pointer(%rip)
	movl $HS_SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	/* rsp is 8 below a multiple of 16 and each push takes 8: the far return consumes two. */
	pushq $HS_SELECTOR_CODE
	leaq 1f(%rip), %rax
	pushq %rax
	lretq
1:	subq $8, %rsp /* and the call pushes 8 more: rsp is 16-aligned minus 8 again */
	call hs_guest_start
	hlt /* not reached; a return address that is not within the next function */
	.cfi_endproc
	.size _start, . - _start

	.data
/* From here to hs_trap_depth all is in one page (it is less than the alignment): that of the TSS, which a snapshot
 * keeps plainly writable. */
	.balign 256
/* Segment descriptors (SDM vol. 3A 3.4.5), accessed bits set so that the CPU has nothing to write. Not constant: ltr
 * sets the busy bit of the TSS descriptor. */
gdt:
	.quad 0
	.quad 0x00AF9B000000FFFF /* 0x08: code, 64-bit, ring 0 */
	.quad 0x00CF93000000FFFF /* 0x10: data, flat, ring 0 */
	.short HS_TSS_BYTES - 1  /* 0x18: the available 64-bit TSS (SDM vol. 3A 7.2.3) */
	.short hs_tss_0_15
	.byte hs_tss_16_23
	.byte 0x89, 0
	.byte hs_tss_24_31
	.long hs_tss_32_63
	.long 0
gdt_end:

/* The TSS: no privilege change here, so only the interrupt stacks count. IST1: double fault; IST2: the faults that a
 * stack can cause. */
	.balign 8
	.globl hs_tss
	.type hs_tss, @object
hs_tss:
	.long 0
	.quad 0, 0, 0, 0
	.quad double_fault_stack_top
	.quad fault_stack_top
	.quad 0, 0, 0, 0, 0, 0
	.short 0, HS_TSS_BYTES /* the I/O bitmap begins behind the limit: there is none */
	.size hs_tss, . - hs_tss

	.balign 8
	.globl hs_trap_cr2
	.type hs_trap_cr2, @object
hs_trap_cr2:
	.quad 0
	.size hs_trap_cr2, . - hs_trap_cr2
	.globl hs_trap_depth
	.type hs_trap_depth, @object
hs_trap_depth:
	.long 0
	.size hs_trap_depth, . - hs_trap_depth

	.section .rodata
	.balign 8
	.short 0, 0, 0 /* the base of the pointer is aligned */
gdt_pointer:
	.short gdt_end - gdt - 1
	.quad gdt

	.bss
	.balign HS_STACK_SLOT /* a slot is a page: see hs_trap_dispatch() */
	.skip HS_STACK_SLOT
double_fault_stack_top:
	.skip HS_FAULT_STACK_BYTES
fault_stack_top:

	.section .note.hindsight, "a", @note
	.balign 4
	.long 2f - 1f
	.long 4f - 3f
	.long HS_NOTE_TYPE
1:	.asciz HS_NOTE_NAME
2:	.balign 4
3:	.long HS_NOTE_VERSION
	.long HS_FEATURE_COW + hs_feature_calls /* the latter from the linker script */
4:	.balign 4

#ifdef HS_GDB_SCRIPT
/* A file that gdb loads, if it trusts it: 1 is one in Python (gdb manual, dotdebug_gdb_scripts section). */
	.section .debug_gdb_scripts, "MS", @progbits, 1
	.byte 1
	.asciz HS_GDB_SCRIPT
#endif

	.section .note.GNU-stack, "", @progbits
