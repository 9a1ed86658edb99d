/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "x87_scene.h"

#include "base/bytes.h"
#include "lib/random.h"

#include <stdarg.h>
#include <stdbool.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define STATUS_FLAGS 0x8D5u
#define EXCEPTIONS 0x3Fu
#define CODE_BYTES 4096u

_Static_assert(sizeof(struct x87_image) == 108, "as FNSAVE writes it");

/* A register: sign and exponent, significand. */
static void random_register(uint64_t *seed, uint8_t *ret)
{
	static const uint64_t significands[] = {
		0,
		1,
		UINT64_C(1) << 63,
		UINT64_C(3) << 62,
		UINT64_MAX,
		UINT64_C(0xC90FDAA22168C235),
		UINT64_C(1) << 62,
		(UINT64_C(1) << 63) + 1,
	};
	static const uint16_t exponents[] = { 0,      1,      0x7FFF, 0x7FFE, 0x3FFF, 0x3FFE,
					      0x4000, 0x400E, 0x401E, 0x403D, 0x403E };
	uint64_t which = random_next(seed);
	uint64_t significand = random_next(seed) | UINT64_C(1) << 63;
	uint16_t exponent = (uint16_t)(0x3FFF - 32 + random_next(seed) % 80);

	if (which & 1) {
		significand = significands[(which >> 8) % (sizeof(significands) / sizeof(significands[0]))];
	}
	if (which & 2) {
		exponent = exponents[(which >> 16) % (sizeof(exponents) / sizeof(exponents[0]))];
	}
	if ((which & 0xFC) == 0) {
		exponent = (uint16_t)(which >> 24) & 0x7FFF;
	}
	exponent = (uint16_t)(exponent | (which >> 40 & 1) << 15);
	memcpy(ret, &significand, 8);
	memcpy(ret + 8, &exponent, 2);
}

static void random_operand(uint64_t *seed, uint8_t *ret)
{
	static const uint64_t doubles[] = {
		0,
		UINT64_C(0x3FF0000000000000),
		UINT64_C(0x7FF0000000000000),
		UINT64_C(0x7FF0000000000001),
		UINT64_C(0xFFF8000000000000),
		1,
		UINT64_C(0x8000000000000000),
		UINT64_C(0x7FEFFFFFFFFFFFFF),
		UINT64_C(0x3F8000007F800000),
		UINT64_C(0x800000017F800001),
		UINT64_C(0x123456789012),
	};
	uint64_t which = random_next(seed);

	random_fill(seed, ret, X87_OPERAND_BYTES);
	if (which % 4 == 0) {
		random_register(seed, ret);
	} else if (which % 4 == 1) {
		memcpy(ret, &doubles[(which >> 8) % (sizeof(doubles) / sizeof(doubles[0]))], 8);
	} else if (which % 4 == 2) {
		for (size_t i = 0; i < 9; i++) { /* BCD */
			uint64_t digits = random_below(seed, 100);

			ret[i] = (uint8_t)(digits / 10 << 4 | digits % 10);
		}
		ret[9] &= 0x80;
	}
}

void x87_random_world(uint64_t *seed, int masked, struct x87_world *ret)
{
	uint32_t control = (uint32_t)random_next(seed) & 0xF7F;

	memset(ret, 0, sizeof(*ret));
	ret->x87.control = masked ? control | EXCEPTIONS : control;
	ret->x87.control |= 0x40;
	ret->x87.status = (uint32_t)random_next(seed) & 0x7F7F & (ret->x87.control | ~EXCEPTIONS);
	for (unsigned int i = 0; i < 8; i++) {
		random_register(seed, ret->x87.st[i]);
		ret->x87.tags |= (random_next(seed) % 4 == 0 ? 3u : 0u) << (2 * i);
	}
	ret->rax = random_next(seed);
	ret->rcx = random_next(seed);
	ret->rflags = random_next(seed) & STATUS_FLAGS;
	random_operand(seed, ret->operand);
}

static uint8_t *code_page(void)
{
	static uint8_t *page;

	if (!page) {
		page = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(page, MAP_FAILED);
	}
	return page;
}

void x87_run_here(const uint8_t *instruction, size_t length, struct x87_world *world)
{
	const uint64_t flags_always = 0x202;
	uint64_t flags = world->rflags | flags_always;
	uint8_t *code = code_page();

	assert_int_equal(mprotect(code, CODE_BYTES, PROT_READ | PROT_WRITE), 0);
	memcpy(code, instruction, length);
	code[length] = 0xC3;
	assert_int_equal(mprotect(code, CODE_BYTES, PROT_READ | PROT_EXEC), 0);
	__asm__ volatile("frstor %[x87]\n"
			 "leaq -256(%%rsp), %%rsp\n" /* beyond what leaf functions keep below the stack pointer */
			 "pushq %[flags]\n"
			 "popfq\n"
			 "call *%[code]\n"
			 "pushfq\n"
			 "popq %[flags]\n"
			 "leaq 256(%%rsp), %%rsp\n"
			 "fnsave %[x87]\n"
			 : [x87] "+m"(world->x87), [flags] "+r"(flags), "+a"(world->rax), "+c"(world->rcx)
			 : [code] "r"(code), "D"(world->operand)
			 : "memory", "cc");
	world->rflags = flags & STATUS_FLAGS;
}

static uint8_t abridged(uint32_t tags)
{
	uint8_t ret = 0;

	for (unsigned int i = 0; i < 8; i++) {
		ret = (uint8_t)(ret | ((tags >> (2 * i) & 3) != 3) << i);
	}
	return ret;
}

void x87_give(struct machine *machine, const struct x87_world *world)
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
		     (stop->cpu.rflags & STATUS_FLAGS) == world->rflags &&
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
	struct x87_world world = { .rflags = stop->cpu.rflags & STATUS_FLAGS };

	world.x87.control = hs_get_le16(xsave + HS_XSAVE_FCW);
	world.x87.status = hs_get_le16(xsave + HS_XSAVE_FSW);
	world.x87.tags = xsave[HS_XSAVE_FTW];
	for (size_t i = 0; i < 8; i++) {
		memcpy(world.x87.st[i], xsave + HS_XSAVE_ST0 + i * 16, 10);
	}
	describe(&world, "here (abridged tags)");
}

void x87_compare(struct machine *machine, const struct machine_stop *stop, const struct x87_world *before,
		 const struct x87_world *after, const uint8_t *code, size_t length)
{
	char bytes[64] = "";

	if (stop->kind == MACHINE_HLT && is_as(machine, stop, after)) {
		return;
	}
	describe(before, "before");
	describe(after, "the host");
	describe_stop(stop);
	for (size_t i = 0; i < length; i++) {
		(void)snprintf(bytes + i * 3, sizeof(bytes) - i * 3, "%02x ", code[i]);
	}
	fail_msg("%s: stopped by %d, vector %u", bytes, (int)stop->kind, stop->vector);
}
