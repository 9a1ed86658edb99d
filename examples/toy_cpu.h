/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The emulator that toy_target.c shows to debuggers: 64 KiB of memory with a program in it, and a CPU of eight
 * instructions of the i386.
 */
#ifndef TOY_CPU_H
#define TOY_CPU_H

#include <hindsight/cpu.h>

#include <string.h>

#define TOY_MEMORY_BYTES 0x10000u
#define TOY_ENTRY 0x1000u
#define TOY_ZERO_FLAG UINT64_C(0x40)

/* Adds 10, 9, ... 1 into 0x2000, for ever; once 0x2004 is not zero it halts, with the double of that in eax. */
static const uint8_t toy_program[] = {
	0xb9, 0x0a, 0,    0, 0, /* 1000 mov ecx, 10 */
	0xb8, 0,    0,    0, 0, /* 1005 mov eax, 0 */
	0x01, 0xc8,             /* 100a add eax, ecx */
	0xa3, 0,    0x20, 0, 0, /* 100c mov [0x2000], eax */
	0x49,                   /* 1011 dec ecx */
	0x75, 0xf6,             /* 1012 jne 0x100a */
	0xa1, 0x04, 0x20, 0, 0, /* 1014 mov eax, [0x2004] */
	0x01, 0xc0,             /* 1019 add eax, eax */
	0x74, 0xe3,             /* 101b je 0x1000 */
	0xf4,                   /* 101d hlt */
};

enum toy_end { TOY_EXECUTED, TOY_HALTED, TOY_UNDEFINED };

static inline enum toy_end toy_execute(struct hs_cpu_state *cpu, uint8_t *memory)
{
	uint64_t *gpr = cpu->gpr;
	uint8_t code[8] = { 0 };
	uint32_t operand, result;

	/* Behind the memory there is no instruction. */
	if (cpu->rip <= TOY_MEMORY_BYTES - sizeof(code)) {
		memcpy(code, memory + cpu->rip, sizeof(code));
	}
	memcpy(&operand, code + 1, 4);
	if (code[0] >= 0xb8 && code[0] <= 0xbf) { /* mov register, number */
		gpr[code[0] & 7] = operand;
		cpu->rip += 5;
	} else if (code[0] == 0xa1 && operand <= TOY_MEMORY_BYTES - 4) { /* mov eax, [number] */
		memcpy(&gpr[HS_RAX], memory + operand, 4);
		cpu->rip += 5;
	} else if (code[0] == 0xa3 && operand <= TOY_MEMORY_BYTES - 4) { /* mov [number], eax */
		memcpy(memory + operand, &gpr[HS_RAX], 4);
		cpu->rip += 5;
	} else if (code[0] == 0x01 || (code[0] & 0xf8) == 0x48) { /* add register, register; dec register */
		unsigned int to = code[0] == 0x01 ? code[1] & 7 : code[0] & 7;

		result = (uint32_t)(gpr[to] + (code[0] == 0x01 ? gpr[code[1] >> 3 & 7] : UINT32_MAX));
		gpr[to] = result;
		cpu->rflags = (cpu->rflags & ~TOY_ZERO_FLAG) | (result == 0 ? TOY_ZERO_FLAG : 0);
		cpu->rip += code[0] == 0x01 ? 2 : 1;
	} else if ((code[0] & 0xfe) == 0x74) { /* je, jne */
		cpu->rip += 2 + (((cpu->rflags & TOY_ZERO_FLAG) != 0) == (code[0] == 0x74) ? (int8_t)code[1] : 0);
	} else {
		return code[0] == 0xf4 ? TOY_HALTED : TOY_UNDEFINED;
	}
	return TOY_EXECUTED;
}

#endif
