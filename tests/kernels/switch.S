/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that turns on the page tables that it brings along (TABLES, a file; they stand at ROOT), says "ready" and
 * halts. CR4 and EFER choose the format. QEMU starts it by its multiboot header, in 32-bit mode without paging; it is
 * one page, which the tables map where it is. With EFER.LME it goes on in compatibility mode, because CS stays.
 */
	.intel_syntax noprefix
	.set MAGIC, 0x1badb002 /* Multiboot specification 0.6.96, 3.1.1 */
	.set COM1, 0x3f8

	.section .text
	.balign 4
	.long MAGIC, 0, -MAGIC

	.globl _start
_start:
	mov eax, CR4
	mov cr4, eax
	mov eax, ROOT
	mov cr3, eax
	mov ecx, 0xc0000080 /* IA32_EFER */
	mov eax, EFER
	xor edx, edx
	wrmsr
	mov eax, cr0
	or eax, 0x80010001 /* PG, WP, PE */
	mov cr0, eax
	mov esi, offset text
	mov edx, COM1
	mov ecx, offset end - text
	cld
	rep outsb
	cli
stop:
	hlt
	jmp stop

text:
	.ascii "hindsight-guest: ready\n"
end:

	.section .tables, "aw"
	.incbin TABLES
