# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests of a few instructions, written in a test as assembly for both architectures at once.

The text goes through the C preprocessor and then to gas in Intel syntax. Around it stands a prelude: registers of the
guest's word size (AX, SP, ...; W, its bytes; WORD, the directive), ports and offsets of abi.h by their own names, the
macros below, and an entry point that keeps the boot information and jumps to `test`.
"""

import hashlib
import pathlib

from lib.process import run

INCLUDE = pathlib.Path(__file__).resolve().parent.parent.parent / "include"
FLAG = {"amd64": "-m64", "i686": "-m32"}

# What stands before the text of a test. BOOT_* are offsets in struct hs_abi_boot.
PRELUDE = r"""
#include <hindsight/abi.h>
#define BOOT_SCRATCH_START 128
#define BOOT_SCRATCH_LENGTH 136
#define BOOT_SCRATCH_GPA 144
#define BOOT_TABLES_GPA 152
#ifdef __x86_64__
#define W 8
#define WORD .quad
#define WORD_PTR qword ptr
#define VIRT 0x200000000000
#define IRET iretq
#define PUSHF pushfq
#define POPF popfq
#define AX rax
#define BX rbx
#define CX rcx
#define DX rdx
#define SI rsi
#define DI rdi
#define SP rsp
#define BP rbp
#else
#define W 4
#define WORD .long
#define WORD_PTR dword ptr
#define VIRT 0x40000000
#define IRET iretd
#define PUSHF pushfd
#define POPF popfd
#define AX eax
#define BX ebx
#define CX ecx
#define DX edx
#define SI esi
#define DI edi
#define SP esp
#define BP ebp
#endif

/* End with a status. */
.macro EXIT status
	mov eax, \status
	out HS_PORT_EXIT, eax
.endm

/* Print length bytes at a label. */
.macro PRINT label, length
	lea SI, [\label]
	mov ecx, \length
	out HS_PORT_PRINT, eax
.endm

/* Map the page at VIRT to a physical address, for ring 3 as well. */
.macro MAP gpa
	mov AX, \gpa
	call map_virt
.endm

.intel_syntax noprefix
.section .text, "ax", @progbits
.globl _start
_start:
#ifdef __x86_64__
	mov [boot], rdi
#else
	mov eax, [esp + 4]
	mov [boot], eax
#endif
	jmp test

/* DX: the gpa of free pages of the scratch region, of which four are taken. CX: what to add to a gpa of it for its
 * gva. */
take_pages:
	mov BX, [boot]
	mov CX, [BX + BOOT_SCRATCH_START]
	mov SI, CX
	add SI, [BX + BOOT_SCRATCH_LENGTH]
	mov DX, [SI - HS_SCRATCH_NEXT_FREE_OFFSET]
	add dword ptr [SI - HS_SCRATCH_NEXT_FREE_OFFSET], 0x4000
	sub CX, [BX + BOOT_SCRATCH_GPA]
	ret

map_virt:
	call take_pages
	mov DI, [BX + BOOT_TABLES_GPA]
	add DI, CX
	add CX, DX
	or AX, 7
#ifdef __x86_64__
	mov [rcx + 0x2000], rax
	lea rax, [rdx + 0x2007]
	mov [rcx + 0x1000], rax
	lea rax, [rdx + 0x1007]
	mov [rcx], rax
	lea rax, [rdx + 7]
	mov [rdi + (VIRT >> 39) * 8], rax
#else
	mov [ecx], eax
	lea eax, [edx + 7]
	mov [edi + (VIRT >> 22) * 4], eax
#endif
	ret

.section .bss, "aw", @nobits
.globl boot
boot: .skip 8
.section .data, "aw", @progbits
.section .text
.globl test
"""

# An IDT of the guest's own. OWN_IDT copies the provided one; GATE sets one of its entries, whose handler is on the
# current stack, or on the one that it had with GATE_ON_ITS_STACK.
OWN_IDT = r"""
.macro OWN_IDT
	sidt [idtr]
	mov SI, [idtr + 2]
	lea DI, [idt]
	mov ecx, 256 * 2 * W / 4
	rep movsd
	lea AX, [idt]
	mov [idtr + 2], AX
	lidt [idtr]
.endm
.macro GATE_ON_ITS_STACK vector, handler
	lea AX, [\handler]
	mov word ptr [idt + \vector * 2 * W], ax
	shr eax, 16
	mov word ptr [idt + \vector * 2 * W + 6], ax
.endm
.macro GATE vector, handler
	GATE_ON_ITS_STACK \vector, \handler
#ifdef __x86_64__
	mov byte ptr [idt + \vector * 2 * W + 4], 0
#endif
.endm
.section .bss
.balign 16
idtr: .skip 16
idt: .skip 4096
.section .text
"""

# On top of that a handler of debug exceptions, on_db, that notes the low digit of each place that it was called from, A
# to P, in lower case where the trap flag is set in its frame. END_WITH_TRAPS prints what it has noted, 64 places at
# most, and ends with their number.
NOTED_TRAPS = OWN_IDT + r"""
on_db:	push AX
	push BX
	mov ebx, [traps]
	mov AX, [SP + 2 * W]
	and eax, 15
	add eax, 'A'
	test dword ptr [SP + 4 * W], 0x100
	jz 1f
	add eax, 32
1:	mov [places + BX], al
	add dword ptr [traps], 1
	pop BX
	pop AX
	IRET
.macro END_WITH_TRAPS
	PRINT places, [traps]
	EXIT [traps]
.endm
.section .bss
traps: .skip 4
places: .skip 64
.section .text
"""


def assemble(directory, arch, text, name="hostile"):
    """Build a guest and return its path. A text is built once for a directory and architecture."""
    source = PRELUDE + text + "\n"
    path = pathlib.Path(directory) / f"{name}-{arch}-{hashlib.sha256(source.encode()).hexdigest()[:12]}.elf"
    if not path.exists():
        input_path = path.with_suffix(".S")
        input_path.write_text(source)
        run(["gcc", FLAG[arch], "-nostdlib", "-static", "-no-pie", "-I", INCLUDE, "-o", path, input_path,
             "-Wl,--build-id=none,-z,noexecstack,-z,separate-code"]).check()
    return path
