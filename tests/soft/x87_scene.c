/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "x87_scene.h"

#include <stdarg.h>
#include <stdbool.h>
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define STATUS_FLAGS 0x8D5u
#define ALL_MASKED 0x37Fu
#define EXCEPTIONS 0x3Fu
#define CODE_BYTES 4096u

_Static_assert(sizeof(struct x87_image) == 108, "as FNSAVE writes it");

uint64_t x87_random(struct x87_random *random)
{
	random->value = random->value * 6364136223846793005 + 1442695040888963407;
	return random->value >> 33 ^ random->value << 31;
}

/* A register: sign and exponent, significand. */
static void random_register(struct x87_random *random, uint8_t *ret)
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
	uint64_t which = x87_random(random);
	uint64_t significand = x87_random(random) | UINT64_C(1) << 63;
	uint16_t exponent = (uint16_t)(0x3FFF - 32 + x87_random(random) % 80);

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

static void random_operand(struct x87_random *random, uint8_t *ret)
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
	uint64_t which = x87_random(random);

	for (size_t i = 0; i < X87_OPERAND_BYTES; i++) {
		ret[i] = (uint8_t)x87_random(random);
	}
	if (which % 4 == 0) {
		random_register(random, ret);
	} else if (which % 4 == 1) {
		memcpy(ret, &doubles[(which >> 8) % (sizeof(doubles) / sizeof(doubles[0]))], 8);
	} else if (which % 4 == 2) {
		for (size_t i = 0; i < 9; i++) { /* BCD */
			ret[i] = (uint8_t)(x87_random(random) % 10 << 4 | x87_random(random) % 10);
		}
		ret[9] &= 0x80;
	}
}

void x87_random_world(struct x87_random *random, int masked, struct x87_world *ret)
{
	uint32_t control = (uint32_t)x87_random(random) & 0xF7F;

	memset(ret, 0, sizeof(*ret));
	ret->x87.control = masked ? control | EXCEPTIONS : control;
	ret->x87.control |= 0x40;
	ret->x87.status = (uint32_t)x87_random(random) & 0x7F7F & (ret->x87.control | ~EXCEPTIONS);
	for (unsigned int i = 0; i < 8; i++) {
		random_register(random, ret->x87.st[i]);
		ret->x87.tags |= (x87_random(random) % 4 == 0 ? 3u : 0u) << (2 * i);
	}
	ret->rax = x87_random(random);
	ret->rcx = x87_random(random);
	ret->rflags = x87_random(random) & STATUS_FLAGS;
	random_operand(random, ret->operand);
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
