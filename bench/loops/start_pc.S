/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * As a kernel for a PC without anything: entered in flat 32-bit protected mode without paging (the PVH boot protocol
 * of Xen, docs/misc/pvh.pandoc), it goes on with paging, in 64-bit mode if it was built for that. The first GiB is
 * mapped as it is.
 */
	.section .note.Xen, "a", @note
	.balign 4
	.long 2f - 1f
	.long 4f - 3f
	.long 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
1:	.asciz "Xen"
2:	.balign 4
3:
#ifdef __x86_64__
	.quad _start
#else
	.long _start
#endif
4:	.balign 4

	.text
	.code32
	.globl _start
_start:
	movl $stack_top, %esp
	movl $directory, %edi
	movl $0x83, %eax /* present, writable, large (SDM vol. 3A 4.3, 4.5) */
#ifdef __x86_64__
	movl $512, %ecx
1:	movl %eax, (%edi)
	addl $0x200000, %eax
	addl $8, %edi
	decl %ecx
	jnz 1b
	movl $directory + 3, pointers
	movl $pointers + 3, top
	movl $0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT */
	movl %eax, %cr4
	movl $top, %eax
	movl %eax, %cr3
	movl $0xC0000080, %ecx /* IA32_EFER */
	movl $0x900, %eax      /* LME, NXE */
	xorl %edx, %edx
	wrmsr
#else
	movl $256, %ecx
1:	movl %eax, (%edi)
	addl $0x400000, %eax
	addl $4, %edi
	decl %ecx
	jnz 1b
	movl $0x610, %eax /* PSE, OSFXSR, OSXMMEXCPT */
	movl %eax, %cr4
	movl $directory, %eax
	movl %eax, %cr3
#endif
	movl $0x80010033, %eax /* PG WP NE ET MP PE */
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $8, $2f
#ifdef __x86_64__
	.code64
#endif
2:	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	call serve
	hlt

	.data
	.balign 8
gdt:	.quad 0
#ifdef __x86_64__
	.quad 0x00AF9B000000FFFF
#else
	.quad 0x00CF9B000000FFFF
#endif
	.quad 0x00CF93000000FFFF
gdt_pointer:
	.short 23
	.long gdt, 0

	.bss
	.balign 4096
directory: .skip 4096
pointers: .skip 4096
top:	.skip 4096
	.skip 16384
stack_top:

	.section .note.GNU-stack, "", @progbits
