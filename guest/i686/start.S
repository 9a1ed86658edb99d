/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The i686 entry point, the SDK's descriptor tables and the ELF note that makes a guest native.
 *
 * The tables are complete when the image is linked (the linker script splits the addresses in them) but for the CR3 of
 * the two tasks.
 */
#include "../rt/cpu.h"
#include <hindsight/abi.h>

/* Entry state (abi.h): protected mode with paging, flat segments, interrupts off; on the stack a null return address,
 * then boot information, seed, page size and log level; esp 16-aligned minus 4, as a function is entered. */
	.text
	.globl _start
	.type _start, @function
_start:
	.cfi_startproc
	.cfi_undefined %eip /* the outermost frame: a backtrace ends here */
	xorl %ebp, %ebp
	movl 4(%esp), %esi
	lgdt gdt_pointer
	movl %cr3, %eax
	movl %eax, hs_tss + 28 /* abi.h: at a double fault the host looks here */
	movl %eax, hs_double_fault_tss + 28
	movl $HS_SELECTOR_TSS, %eax
	ltr %ax
	lidt hs_idt_pointer /* from here on a snapshot may make pages copy-on-write */
	movl $HS_SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	movl %eax, %ss
	ljmp $HS_SELECTOR_CODE, $1f
1:	subl $8, %esp /* with the argument 16-aligned, as calls want it (System V i386 psABI 2.2.2) */
	pushl %esi
	call hs_guest_start
	hlt /* not reached; a return address that is not within the next function */
	.cfi_endproc
	.size _start, . - _start

	.data
/* All that a double fault touches is in one page (from gdt to hs_trap_depth is less than the alignment): that of the
 * TSS, which a snapshot keeps plainly writable, and ltr has touched it before. A page that the hypervisor has yet to
 * map would be one exit in the middle of the task switch, where KVM nested in QEMU loses the double fault and delivers
 * the page fault before it, in the wrong task. */
	.balign 512
/* Segment descriptors (SDM vol. 3A 3.4.5), accessed bits set so that the CPU has nothing to write. Not constant: ltr
 * and task switches set the busy bit of the TSS descriptors. */
gdt:
	.quad 0
	.quad 0x00CF9B000000FFFF /* 0x08: code, flat, ring 0 */
	.quad 0x00CF93000000FFFF /* 0x10: data, flat, ring 0 */
	.macro tss_descriptor name /* the available 32-bit TSS (SDM vol. 3A 7.2.2) */
	.short HS_TSS_BYTES - 1
	.short \name\()_0_15
	.byte \name\()_16_23
	.byte 0x89, 0
	.byte \name\()_24_31
	.endm
	tss_descriptor hs_tss /* 0x18 */
	.quad 0               /* 0x20: amd64's TSS descriptor is twice as long; the selectors are the same */
	tss_descriptor hs_double_fault_tss /* 0x28 */
gdt_end:

/* Two tasks (SDM vol. 3A 7.2.1). All code but one routine runs in the first, whose TSS takes the interrupted state when
 * a double fault switches to the second: a stack overflow leaves no stack to report it from. */
	.balign 8
	.globl hs_tss
	.type hs_tss, @object
hs_tss:
	.skip HS_TSS_BYTES - 4
	.short 0, HS_TSS_BYTES /* the I/O bitmap begins behind the limit: there is none */
	.size hs_tss, . - hs_tss

	.balign 8
	.globl hs_double_fault_tss
	.type hs_double_fault_tss, @object
hs_double_fault_tss:
	.long 0                              /* the back link: the CPU writes it */
	.long 0, 0, 0, 0, 0, 0               /* stacks of rings 0 to 2 */
	.long 0                              /* cr3: _start writes it */
	.long hs_trap_double_fault           /* eip */
	.long 2                              /* eflags: the bit that is always 1 */
	.long 0, 0, 0, 0                     /* eax, ecx, edx, ebx */
	.long double_fault_stack_top         /* esp */
	.long 0, 0, 0                        /* ebp, esi, edi */
	.long HS_SELECTOR_DATA               /* es */
	.long HS_SELECTOR_CODE               /* cs */
	.rept 4                              /* ss, ds, fs, gs */
	.long HS_SELECTOR_DATA
	.endr
	.long 0                              /* ldt */
	.short 0, HS_TSS_BYTES
	.size hs_double_fault_tss, . - hs_double_fault_tss

	.balign 16
	.skip 64 /* the CPU pushes the error code, hs_trap_double_fault the vector */
double_fault_stack_top:

	.globl hs_trap_cr2
	.type hs_trap_cr2, @object
hs_trap_cr2:
	.long 0
	.size hs_trap_cr2, . - hs_trap_cr2
	.globl hs_trap_depth
	.type hs_trap_depth, @object
hs_trap_depth:
	.long 0
	.size hs_trap_depth, . - hs_trap_depth

	.section .rodata
	.balign 4
	.short 0 /* the base of the pointer is aligned */
gdt_pointer:
	.short gdt_end - gdt - 1
	.long gdt

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
