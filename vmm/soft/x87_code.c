/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/soft/x87_code.h"

/* Bytes each one takes. */
#define REGISTER_FORM 8u
#define MEMORY_FORM 4u

extern const uint8_t hs_soft_x87_register_forms[] __attribute__((visibility("hidden")));
extern const uint8_t hs_soft_x87_memory_forms[] __attribute__((visibility("hidden")));

/*
 * Register forms: mov %edi, %eax; sahf; <instruction>; lahf; ret; int3. Memory forms: <instruction> (%rdi); ret; int3.
 * The counters run over opcode and modrm, and over opcode and its middle field.
 */
__asm__(".pushsection .text\n"
	".balign 16\n"
	".hidden hs_soft_x87_register_forms\n"
	".globl hs_soft_x87_register_forms\n"
	"hs_soft_x87_register_forms:\n"
	".set hs_soft_x87_n, 0\n"
	".rept 512\n"
	".byte 0x89, 0xf8, 0x9e, 0xd8 + (hs_soft_x87_n >> 6), 0xc0 + (hs_soft_x87_n & 63), 0x9f, 0xc3, 0xcc\n"
	".set hs_soft_x87_n, hs_soft_x87_n + 1\n"
	".endr\n"
	".hidden hs_soft_x87_memory_forms\n"
	".globl hs_soft_x87_memory_forms\n"
	"hs_soft_x87_memory_forms:\n"
	".set hs_soft_x87_n, 0\n"
	".rept 64\n"
	".byte 0xd8 + (hs_soft_x87_n >> 3), 7 + 8 * (hs_soft_x87_n & 7), 0xc3, 0xcc\n"
	".set hs_soft_x87_n, hs_soft_x87_n + 1\n"
	".endr\n"
	".popsection\n");

hs_soft_x87_register_fn *hs_soft_x87_register_form(uint8_t opcode, uint8_t modrm)
{
	unsigned int n = (opcode & 7u) << 6 | (modrm & 0x3fu);

	return (hs_soft_x87_register_fn *)(uintptr_t)(hs_soft_x87_register_forms + (uintptr_t)n * REGISTER_FORM);
}

hs_soft_x87_memory_fn *hs_soft_x87_memory_form(uint8_t opcode, uint8_t modrm)
{
	unsigned int n = (opcode & 7u) << 3 | (modrm >> 3 & 7u);

	return (hs_soft_x87_memory_fn *)(uintptr_t)(hs_soft_x87_memory_forms + (uintptr_t)n * MEMORY_FORM);
}
