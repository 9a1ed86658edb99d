/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a loop needs of the machine, which is all ours. */
#include "loops.h"

#define VECTOR_PF 14
#define CR4_OSXSAVE (1u << 18)

/* Gates (SDM vol. 3A 6.11 and 6.14.1). */
struct gate {
	uint16_t offset_0_15, selector;
	uint16_t attributes; /* an interrupt gate, present, DPL 0; no IST */
	uint16_t offset_16_31;
#ifdef __x86_64__
	uint32_t offset_32_63, reserved;
#endif
};

struct __attribute__((packed)) pointer {
	uint16_t limit;
	uintptr_t base;
};

static struct gate idt[VECTOR_PF + 1];

static void load_idt(void)
{
	uintptr_t handler = (uintptr_t)loop_fault_handler;
	struct pointer pointer = { sizeof(idt) - 1, (uintptr_t)idt };
	struct gate *gate = &idt[VECTOR_PF];

	gate->offset_0_15 = (uint16_t)handler;
	gate->offset_16_31 = (uint16_t)(handler >> 16);
#ifdef __x86_64__
	gate->offset_32_63 = (uint32_t)(handler >> 32);
#endif
	gate->attributes = 0x8E00;
	__asm__("movw %%cs, %0" : "=m"(gate->selector));
	__asm__ volatile("lidt %0" : : "m"(pointer), "m"(idt));
}

/* XCR0: x87, SSE and AVX (SDM vol. 3A 2.6). */
static void enable_avx(void)
{
	unsigned long cr4;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_OSXSAVE));
	__asm__ volatile("xsetbv" : : "a"(7), "d"(0), "c"(0));
}

bool loop_run(char letter, uint32_t rounds)
{
	unsigned int has = loop_offered();
	loop_fn *run = loop_find(letter, has | LOOP_NEEDS_CPL_0);

	if (!run) {
		return false;
	}
	load_idt();
	if (has & LOOP_NEEDS_AVX2) {
		enable_avx();
	}
	if (has & LOOP_NEEDS_X87) {
		__asm__ volatile("fninit");
	}
	run(rounds);
	return true;
}
