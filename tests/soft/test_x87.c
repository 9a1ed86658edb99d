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
#define RFLAGS_STATUS 0x8D5u
/* Of an environment of 28 bytes: where the pointers and the opcode are. */
#define POINTERS 12u
#define POINTERS_END 28u

static const struct machine_config configs[] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
};

#define CONFIG_COUNT (sizeof(configs) / sizeof(configs[0]))

static uint8_t abridged(uint32_t tags)
{
	uint8_t ret = 0;

	for (unsigned int i = 0; i < 8; i++) {
		ret = (uint8_t)(ret | ((tags >> (2 * i) & 3) != 3) << i);
	}
	return ret;
}

static void give(struct machine *machine, const struct x87_world *world)
{
	uint8_t *xsave = machine->cpu.xsave;

	hs_put_le16(xsave + HS_XSAVE_FCW, (uint16_t)world->x87.control);
	hs_put_le16(xsave + HS_XSAVE_FSW, (uint16_t)world->x87.status);
	xsave[HS_XSAVE_FTW] = abridged(world->x87.tags);
	for (size_t i = 0; i < 8; i++) {
		memcpy(xsave + HS_XSAVE_ST0 + i * 16, world->x87.st[i], 10);
	}
	machine->cpu.gpr[HS_RAX] = (uint32_t)world->rax;
	machine->cpu.gpr[HS_RCX] = (uint32_t)world->rcx;
	machine->cpu.gpr[HS_RDI] = MACHINE_DATA;
	machine->cpu.rflags = 2 | world->rflags;
	machine_put(machine, MACHINE_DATA, world->operand, X87_OPERAND_BYTES);
}

static bool is_as(struct machine *machine, const struct machine_stop *stop, const struct x87_world *world)
{
	const uint8_t *xsave = stop->cpu.xsave;
	bool equal = hs_get_le16(xsave + HS_XSAVE_FCW) == (uint16_t)world->x87.control &&
		     hs_get_le16(xsave + HS_XSAVE_FSW) == (uint16_t)world->x87.status &&
		     xsave[HS_XSAVE_FTW] == abridged(world->x87.tags) &&
		     (stop->cpu.rflags & RFLAGS_STATUS) == world->rflags &&
		     (uint32_t)stop->cpu.gpr[HS_RAX] == (uint32_t)world->rax;

	for (size_t i = 0; i < 8 && equal; i++) {
		equal = memcmp(xsave + HS_XSAVE_ST0 + i * 16, world->x87.st[i], 10) == 0;
	}
	return equal && memcmp(machine_at(machine, MACHINE_DATA), world->operand, X87_OPERAND_BYTES) == 0;
}

static void describe(const struct x87_world *world, const char *what)
{
	print_error("%s: control %04x status %04x tags %04x rflags %03x\n", what, world->x87.control & 0xFFFF,
		    world->x87.status & 0xFFFF, world->x87.tags & 0xFFFF, (unsigned int)world->rflags);
	for (size_t i = 0; i < 8; i++) {
		print_error("  st%zu %04x %016llx\n", i, hs_get_le16(world->x87.st[i] + 8),
			    (unsigned long long)hs_get_le64(world->x87.st[i]));
	}
}

static void describe_stop(const struct machine_stop *stop)
{
	const uint8_t *xsave = stop->cpu.xsave;
	struct x87_world world = { .rflags = stop->cpu.rflags & RFLAGS_STATUS };

	world.x87.control = hs_get_le16(xsave + HS_XSAVE_FCW);
	world.x87.status = hs_get_le16(xsave + HS_XSAVE_FSW);
	world.x87.tags = xsave[HS_XSAVE_FTW];
	for (size_t i = 0; i < 8; i++) {
		memcpy(world.x87.st[i], xsave + HS_XSAVE_ST0 + i * 16, 10);
	}
	describe(&world, "here (abridged tags)");
}

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
	give(machine, before);
	machine_start(machine, &stop);
	forget_pointers(code, after.operand);
	forget_pointers(code, machine_at(machine, MACHINE_DATA));
	if (stop.kind != MACHINE_HLT || !is_as(machine, &stop, &after)) {
		describe(before, "before");
		describe(&after, "the host");
		describe_stop(&stop);
		fail_msg("%02x %02x: stopped by %d, vector %u", code[0], code[1], (int)stop.kind, stop.vector);
	}
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

static void check_form(struct machine *machine, uint8_t opcode, uint8_t modrm, struct x87_random *random)
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
		x87_random_world(random, i % 2 == 0, &world);
		compare(machine, code, &world);
	}
}

/* modrm: with registers, or memory at rdi. */
static void check_forms(struct machine *machine, uint8_t first, uint8_t last, uint8_t step)
{
	struct x87_random random = { 1 };

	for (unsigned int opcode = 0xD8; opcode <= 0xDF; opcode++) {
		for (unsigned int modrm = first; modrm <= last; modrm += step) {
			check_form(machine, (uint8_t)opcode, (uint8_t)modrm, &random);
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
