/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What of integer instructions the native oracle cannot show, since it needs the host's CPU in the same mode or a host
 * that does as ours: 16-bit code, operands that overlap, division at its limits, what a failing instruction leaves.
 */
#include "vmm/soft/flags.h"

#include "arch/exception.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE UINT64_C(0x3000) /* the only page that is there, in all spaces */
#define FLAGS (HS_FLAG_STATUS | 2u)

struct scene {
	struct hs_soft_cpu cpu;
	uint8_t page[HS_PAGE_SIZE];
};

static int setup(void **state)
{
	struct scene *scene = aligned_alloc(_Alignof(struct scene), sizeof(*scene));

	*state = scene;
	return scene ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* All registers different, all flags set, memory full of FFh. */
static void reset(struct scene *scene, enum hs_soft_mode mode)
{
	struct hs_soft_cpu *cpu = &scene->cpu;

	memset(cpu, 0, sizeof(*cpu));
	memset(scene->page, 0xff, sizeof(scene->page));
	cpu->mode = (uint8_t)mode;
	cpu->linear_mask = mode == HS_SOFT_MODE_64 ? UINT64_MAX : UINT32_MAX;
	memset(cpu->seg_flat, HS_PROT_READ | HS_PROT_WRITE, sizeof(cpu->seg_flat));
	for (size_t i = 0; i < HS_GPR_COUNT; i++) {
		cpu->r[i] = UINT64_C(0x0123456789abcd00) * (i + 1);
	}
	cpu->tlb[0][hs_soft_tlb_place(PAGE)] = (struct hs_soft_tlb_entry){
		.read = hs_soft_tag(PAGE),
		.write = hs_soft_tag(PAGE),
		.addend = (uintptr_t)scene->page - PAGE,
	};
	hs_soft_set_rflags(cpu, FLAGS);
}

static enum hs_soft_flow execute(struct scene *scene, const char *bytes, size_t length)
{
	struct hs_soft_op op;

	assert_true(hs_soft_decode((enum hs_soft_mode)scene->cpu.mode, (const uint8_t *)bytes, length, &op));
	assert_int_equal(op.length, length);
	return op.execute(&scene->cpu, &op);
}

#define EXECUTE(scene, bytes) assert_int_equal(execute(scene, bytes, sizeof(bytes) - 1), HS_SOFT_NEXT)

static uint32_t word_at(const struct scene *scene, size_t offset)
{
	uint32_t word;

	memcpy(&word, scene->page + offset, sizeof(word));
	return word;
}

static void test_address_of_16_bits_wraps(void **state)
{
	struct scene *scene = *state;
	uint64_t *r = scene->cpu.r;

	reset(scene, HS_SOFT_MODE_16);
	r[HS_RBX] = 0x12349000;
	r[HS_RSI] = 0xabcda010;
	scene->page[0x20] = 0x5a;
	EXECUTE(scene, "\x8a\x40\x10"); /* mov al, [bx + si + 10h]: 13020h without wrapping */
	assert_int_equal(r[HS_RAX] & 0xff, 0x5a);
	EXECUTE(scene, "\x8d\x40\x10"); /* lea ax, ... */
	assert_int_equal(r[HS_RAX], UINT64_C(0x0123456789ab3020));
	EXECUTE(scene, "\x66\x8d\x40\x10"); /* lea eax, ... */
	assert_int_equal(r[HS_RAX], 0x3020);
	r[HS_RBX] = 0x3000;
	r[HS_RAX] = 0x21;
	scene->page[0x21] = 0xa5;
	EXECUTE(scene, "\xd7"); /* xlat */
	assert_int_equal(r[HS_RAX], 0xa5);
}

static void test_operand_of_16_bits_leaves_the_rest(void **state)
{
	struct scene *scene = *state;
	uint64_t *r = scene->cpu.r;

	reset(scene, HS_SOFT_MODE_16);
	r[HS_RAX] = 0x1234ffff;
	EXECUTE(scene, "\x40"); /* inc ax */
	assert_int_equal(r[HS_RAX], 0x12340000);
	assert_int_equal(hs_soft_rflags(&scene->cpu), 2 | HS_FLAG_CF | HS_FLAG_PF | HS_FLAG_AF | HS_FLAG_ZF);
	EXECUTE(scene, "\x66\x48"); /* dec eax */
	assert_int_equal(r[HS_RAX], 0x1233ffff);
	EXECUTE(scene, "\x98"); /* cbw */
	assert_int_equal(r[HS_RAX], 0x1233ffff);
	r[HS_RDX] = 0x56780000;
	EXECUTE(scene, "\x99"); /* cwd */
	assert_int_equal(r[HS_RDX], 0x5678ffff);
	r[HS_RDX] = 0x56780012;
	r[HS_RAX] = 0x12343456;
	r[HS_RCX] = 0xffff0100;
	EXECUTE(scene, "\xf7\xf1"); /* div cx: 123456h by 100h */
	assert_int_equal(r[HS_RAX], 0x12341234);
	assert_int_equal(r[HS_RDX], 0x56780056);
}

static void test_bit_number_reaches_memory_on_both_sides(void **state)
{
	struct scene *scene = *state;
	uint64_t *r = scene->cpu.r;

	reset(scene, HS_SOFT_MODE_64);
	r[HS_RBX] = PAGE + 0x100;
	r[HS_RCX] = (uint64_t)-33;
	EXECUTE(scene, "\x0f\xb3\x0b"); /* btr [rbx], ecx: the top bit of what lies 8 bytes below */
	assert_int_equal(word_at(scene, 0xf8), 0x7fffffff);
	EXECUTE(scene, "\x48\x0f\xb3\x0b"); /* btr [rbx], rcx: the same in steps of 8 */
	assert_int_equal(word_at(scene, 0xf8), 0x7fffffff);
	assert_false(hs_soft_cf(&scene->cpu));
	r[HS_RCX] = 0x10000 + 35; /* only 16 bits of it count */
	EXECUTE(scene, "\x66\x0f\xb3\x0b");
	assert_int_equal(word_at(scene, 0x104), 0xfffffff7);
	assert_true(hs_soft_cf(&scene->cpu));
	EXECUTE(scene, "\x0f\xba\x33\x23"); /* btr dword [rbx], 35: an immediate stays in the operand */
	assert_int_equal(word_at(scene, 0x100), 0xfffffff7);
}

static void test_exchange_of_overlapping_operands_is_in_order(void **state)
{
	struct scene *scene = *state;
	uint64_t *r = scene->cpu.r;

	reset(scene, HS_SOFT_MODE_64);
	r[HS_RAX] = UINT64_C(0xffffffff00000021);
	EXECUTE(scene, "\x0f\xc1\xc0"); /* xadd eax, eax */
	assert_int_equal(r[HS_RAX], 0x42);
	r[HS_RAX] = PAGE;
	EXECUTE(scene, "\x48\x0f\xc1\x00"); /* xadd [rax], rax: the old address is written to */
	assert_int_equal(r[HS_RAX], UINT64_MAX);
	assert_int_equal(word_at(scene, 0), PAGE - 1);
	r[HS_RBX] = PAGE + 0x10;
	EXECUTE(scene, "\x48\x87\x1b"); /* xchg [rbx], rbx */
	assert_int_equal(r[HS_RBX], UINT64_MAX);
	assert_int_equal(word_at(scene, 0x10), PAGE + 0x10);
	r[HS_RAX] = PAGE + 0x20;
	EXECUTE(scene, "\x0f\xb1\x08"); /* cmpxchg [rax], ecx: not equal */
	assert_int_equal(r[HS_RAX], UINT32_MAX);
	assert_false(hs_soft_zf(&scene->cpu));
	r[HS_RDX] = 3;
	r[HS_RCX] = UINT64_MAX;
	EXECUTE(scene, "\xc4\xe2\xf3\xf6\xc9"); /* mulx rcx, rcx, rcx: the upper half */
	assert_int_equal(r[HS_RCX], 2);
}

static void test_destination_of_4_bytes_is_extended_even_when_nothing_changes(void **state)
{
	struct scene *scene = *state;
	uint64_t *r = scene->cpu.r;

	reset(scene, HS_SOFT_MODE_64);
	EXECUTE(scene, "\x0f\x45\xc1"); /* cmovnz eax, ecx, which it is not */
	assert_int_equal(r[HS_RAX], 0x89abcd00);
	EXECUTE(scene, "\xc1\xe3\x20"); /* shl ebx, 32 */
	assert_int_equal(r[HS_RBX], UINT32_C(0x89abcd00) * 4);
	r[HS_RCX] = 0;
	EXECUTE(scene, "\xd3\xc2"); /* rol edx, cl */
	assert_int_equal(r[HS_RDX], (uint32_t)(UINT64_C(0x89abcd00) * 3));
	assert_int_equal(hs_soft_rflags(&scene->cpu), FLAGS);
	EXECUTE(scene, "\x0f\xbc\xf1"); /* bsf esi, ecx, which is zero: the one that leaves all of it */
	assert_int_equal(r[HS_RSI], UINT64_C(0x0123456789abcd00) * 7);
}

struct division {
	const char *bytes;
	size_t length;
	uint64_t rdx, rax, rcx;
	bool fits;
	uint64_t quotient, remainder; /* in rax and rdx */
};

#define DIV32 "\xf7\xf1", 2
#define IDIV32 "\xf7\xf9", 2
#define DIV64 "\x48\xf7\xf1", 3
#define IDIV64 "\x48\xf7\xf9", 3

static void test_division_fails_exactly_when_the_quotient_does_not_fit(void **state)
{
	static const uint64_t least = UINT64_C(1) << 63;
	static const struct division divisions[] = {
		{ DIV32, 0, 5, 0, false, 0, 0 },
		{ DIV32, 1, 0, 1, false, 0, 0 },
		{ DIV32, 1, UINT32_MAX, 2, true, UINT32_MAX, 1 },
		{ IDIV32, 0, 0x80000000, 1, false, 0, 0 },
		{ IDIV32, UINT32_MAX, 0x80000000, UINT32_MAX, false, 0, 0 },
		{ IDIV32, UINT32_MAX, 0x80000000, 1, true, 0x80000000, 0 },
		{ IDIV32, UINT32_MAX, (uint32_t)-7, 2, true, (uint32_t)-3, UINT32_MAX },
		{ IDIV32, 0x80000000, 0, UINT32_MAX, false, 0, 0 },
		{ DIV64, 5, 0, 5, false, 0, 0 },
		{ DIV64, UINT64_MAX - 1, UINT64_MAX, UINT64_MAX, true, UINT64_MAX, UINT64_MAX - 1 },
		{ IDIV64, UINT64_MAX, least, UINT64_MAX, false, 0, 0 },
		{ IDIV64, UINT64_MAX, least, 1, true, least, 0 },
		{ IDIV64, 0, least, UINT64_MAX, true, least, 0 },
		{ IDIV64, least, 0, least, false, 0, 0 },
		{ IDIV64, least >> 1, 0, least, true, least, 0 },
	};
	struct scene *scene = *state;
	uint64_t *r = scene->cpu.r;

	for (size_t i = 0; i < sizeof(divisions) / sizeof(divisions[0]); i++) {
		const struct division *division = &divisions[i];

		reset(scene, HS_SOFT_MODE_64);
		r[HS_RDX] = division->rdx;
		r[HS_RAX] = division->rax;
		r[HS_RCX] = division->rcx;
		if (division->fits) {
			assert_int_equal(execute(scene, division->bytes, division->length), HS_SOFT_NEXT);
			assert_int_equal(r[HS_RAX], division->quotient);
			assert_int_equal(r[HS_RDX], division->remainder);
			continue;
		}
		assert_int_equal(execute(scene, division->bytes, division->length), HS_SOFT_FAULT);
		assert_int_equal(scene->cpu.fault.vector, HS_VECTOR_DE);
		assert_int_equal(r[HS_RAX], division->rax);
		assert_int_equal(r[HS_RDX], division->rdx);
		assert_int_equal(hs_soft_rflags(&scene->cpu), FLAGS);
	}
}

static void test_cmpxchg16b_wants_a_multiple_of_16(void **state)
{
	struct scene *scene = *state;
	uint64_t *r = scene->cpu.r;

	reset(scene, HS_SOFT_MODE_64);
	r[HS_RDI] = PAGE + 8;
	assert_int_equal(execute(scene, "\x48\x0f\xc7\x0f", 4), HS_SOFT_FAULT);
	assert_int_equal(scene->cpu.fault.vector, HS_VECTOR_GP);
	assert_int_equal(scene->cpu.fault.error_code, 0);
	assert_int_equal(word_at(scene, 8), UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_of_16_bits_wraps),
		cmocka_unit_test(test_operand_of_16_bits_leaves_the_rest),
		cmocka_unit_test(test_bit_number_reaches_memory_on_both_sides),
		cmocka_unit_test(test_exchange_of_overlapping_operands_is_in_order),
		cmocka_unit_test(test_destination_of_4_bytes_is_extended_even_when_nothing_changes),
		cmocka_unit_test(test_division_fails_exactly_when_the_quotient_does_not_fit),
		cmocka_unit_test(test_cmpxchg16b_wants_a_multiple_of_16),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
