/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every opcode from D8 to DF, with every register and with memory, does to the machine's x87 what it does to the
 * host's: from random states, with exceptions masked and not, in 64-bit and 32-bit code. What is undefined is #UD.
 */
#include "machine.h"
#include "x87_scene.h"

#include "base/bytes.h"
#include "vmm/soft/isa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define STATES 40u
#define VECTOR_UD 6u
/* Of an environment of 28 bytes: where the pointers and the opcode are. */
#define POINTERS 12u
#define POINTERS_END 28u

static const struct machine_config configs[] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
};

#define CONFIG_COUNT (sizeof(configs) / sizeof(configs[0]))

/* The pointers here and there are of different programs, and which instruction changes them differs between CPUs. */
static void forget_pointers(const uint8_t *code, uint8_t *operand)
{
	bool stores_environment = (code[0] == 0xD9 || code[0] == 0xDD) && (code[1] & 0xF8) == 0x30;

	if (stores_environment) {
		memset(operand + POINTERS, 0, POINTERS_END - POINTERS);
	}
}

/* FCOMI and its like leave the flags alone when they raise an invalid operation that is not masked (SDM vol. 2A);
 * AMD's processors do not. */
static void follow_intel(const uint8_t *code, const struct x87_world *before, struct x87_world *after)
{
	bool is_fcomi = (code[0] == 0xDB || code[0] == 0xDF) && code[1] >= 0xE8;

	if (is_fcomi && (after->x87.status & ~after->x87.control & 1)) {
		after->rflags = before->rflags;
	}
}

/* One instruction on one state. */
static void compare(struct machine *machine, const uint8_t *code, const struct x87_world *before)
{
	struct x87_world after = *before;
	struct machine_stop stop;

	x87_run_here(code, 2, &after);
	follow_intel(code, before, &after);
	x87_give(machine, before);
	machine_start(machine, &stop);
	forget_pointers(code, after.operand);
	forget_pointers(code, machine_at(machine, MACHINE_DATA));
	x87_compare(machine, &stop, before, &after, code, 2);
}

static bool is_fisttp(uint8_t opcode, uint8_t modrm)
{
	return (opcode == 0xDB || opcode == 0xDD || opcode == 0xDF) && modrm >= 0x08 && modrm <= 0x0F;
}

/* SDM vol. 2D, tables, and the aliases that all CPUs have (the reserved rows of those tables). */
static bool is_undefined(uint8_t opcode, uint8_t modrm)
{
	static const struct {
		uint8_t opcode, first, last;
	} ranges[] = {
		{ 0xD9, 0x08, 0x0F }, { 0xD9, 0xD1, 0xD7 }, { 0xD9, 0xE2, 0xE3 }, { 0xD9, 0xE6, 0xE7 },
		{ 0xD9, 0xEF, 0xEF }, { 0xDA, 0xE0, 0xE8 }, { 0xDA, 0xEA, 0xFF }, { 0xDB, 0x20, 0x27 },
		{ 0xDB, 0x30, 0x37 }, { 0xDB, 0xE5, 0xE7 }, { 0xDB, 0xF8, 0xFF }, { 0xDD, 0x28, 0x2F },
		{ 0xDD, 0xF0, 0xFF }, { 0xDE, 0xD8, 0xD8 }, { 0xDE, 0xDA, 0xDF }, { 0xDF, 0xE1, 0xE7 },
		{ 0xDF, 0xF8, 0xFF },
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if (opcode == ranges[i].opcode && modrm >= ranges[i].first && modrm <= ranges[i].last) {
			return true;
		}
	}
	return is_fisttp(opcode, modrm) && !hs_soft_isa_offered(ZYDIS_ISA_SET_SSE3);
}

static void check_form(struct machine *machine, uint8_t opcode, uint8_t modrm, uint64_t *seed)
{
	const uint8_t code[] = { opcode, modrm };
	struct x87_world world;
	struct machine_stop stop;

	machine_set_code(machine, (struct code){ code, sizeof(code) });
	if (is_undefined(opcode, modrm)) {
		machine_start(machine, &stop);
		assert_int_equal(stop.kind, MACHINE_FAULT);
		assert_int_equal(stop.vector, VECTOR_UD);
		return;
	}
	for (unsigned int i = 0; i < STATES; i++) {
		x87_random_world(seed, i % 2 == 0, &world);
		compare(machine, code, &world);
	}
}

/* modrm: with registers, or memory at rdi. */
static void check_forms(struct machine *machine, uint8_t first, uint8_t last, uint8_t step)
{
	uint64_t seed = 1;

	for (unsigned int opcode = 0xD8; opcode <= 0xDF; opcode++) {
		for (unsigned int modrm = first; modrm <= last; modrm += step) {
			check_form(machine, (uint8_t)opcode, (uint8_t)modrm, &seed);
		}
	}
}

static void check_register_forms(struct machine *machine)
{
	check_forms(machine, 0xC0, 0xFF, 1);
}

static void check_memory_forms(struct machine *machine)
{
	check_forms(machine, 0x07, 0x3F, 8);
}

static void test_x87_on_registers_is_as_on_the_host(void **state)
{
	(void)state;
	machine_each(configs, CONFIG_COUNT, check_register_forms);
}

static void test_x87_on_memory_is_as_on_the_host(void **state)
{
	(void)state;
	machine_each(configs, CONFIG_COUNT, check_memory_forms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_x87_on_registers_is_as_on_the_host),
		cmocka_unit_test(test_x87_on_memory_is_as_on_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
