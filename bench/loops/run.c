/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which loop, and the IDT for the one that faults. */
#include "loops.h"

#include <stddef.h>

#define VECTOR_PF 14

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

void loop_run(char letter, uint32_t rounds)
{
	static const struct {
		char letter;
		void (*run)(unsigned long rounds);
	} loops[] = {
		{ LOOP_ALU, loop_alu },
		{ LOOP_MEMORY, loop_memory },
		{ LOOP_FAULT, loop_fault },
		{ LOOP_PORT, loop_port },
	};

	load_idt();
	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
		if (loops[i].letter == letter) {
			loops[i].run(rounds);
		}
	}
}
