/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trap_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct machine_config configs[] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_NONE, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
};

#define CONFIG_COUNT (sizeof(configs) / sizeof(configs[0]))

void each_config(void (*check)(struct machine *machine))
{
	machine_each(configs, CONFIG_COUNT, check);
}

/* Length as DR7 has it (SDM vol. 3B 17.2.4). */
uint64_t dr7_of(unsigned int i, unsigned int condition, unsigned int length)
{
	uint64_t field = length == 8 ? 2 : length - 1;

	return UINT64_C(1) << (2 * i + i % 2) | (uint64_t)(condition | field << 2) << (16 + 4 * i) | 0x400;
}

void set_register(struct machine *machine, unsigned int i, uint64_t address, unsigned int condition,
		  unsigned int length)
{
	memset(machine->cpu.dr, 0, 4 * sizeof(machine->cpu.dr[0]));
	machine->cpu.dr[i] = address;
	machine->cpu.dr[6] = 0xffff0ff0;
	machine->cpu.dr[7] = dr7_of(i, condition, length);
}

void expect_trap(const struct machine_stop *stop, uint64_t rip, uint64_t dr6)
{
	assert_int_equal(stop->kind, MACHINE_FAULT);
	assert_int_equal(stop->vector, VECTOR_DB);
	assert_int_equal(stop->cpu.rip, rip);
	assert_int_equal(stop->cpu.dr[6], 0xffff0ff0 | dr6);
}

void go_on(struct machine *machine, struct machine_stop *stop, uint64_t set_flags, uint64_t clear_flags)
{
	machine->cpu = stop->cpu;
	machine->cpu.dr[6] = 0xffff0ff0;
	machine->cpu.rflags = (machine->cpu.rflags | (stop->rf ? RF : 0) | set_flags) & ~clear_flags;
	machine_start(machine, stop);
}
