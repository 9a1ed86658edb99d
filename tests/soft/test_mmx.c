/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every instruction on MMX registers that has nothing to do with floating point does to the machine's x87 state, its
 * registers and memory what it does to the host's, from random states of the stack. Conversions have examples.
 */
#include "machine.h"
#include "x87_scene.h"

#include "base/bytes.h"
#include "lib/random.h"
#include "vmm/soft/isa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define STATES 30u
#define TOP 0x3800u

static const struct machine_config configs[] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
};

#define CONFIG_COUNT (sizeof(configs) / sizeof(configs[0]))

/* Opcodes behind 0F, or behind 0F 38 and 0F 3A: ranges, as each is one. */
struct range {
	uint8_t map; /* 0: none; 0x38, 0x3A */
	uint8_t first, last;
	uint8_t immediate; /* bytes of it */
};

static void compare(struct machine *machine, const uint8_t *code, size_t length, uint64_t *seed)
{
	struct x87_world before, after;
	struct machine_stop stop;

	machine_set_code(machine, (struct code){ code, length });
	for (unsigned int i = 0; i < STATES; i++) {
		x87_random_world(seed, i % 2 == 0, &before);
		after = before;
		x87_run_here(code, length, &after);
		x87_give(machine, &before);
		machine_start(machine, &stop);
		x87_compare(machine, &stop, &before, &after, code, length);
	}
}

/* One opcode with these operands. */
static void compare_form(struct machine *machine, const struct range *range, uint8_t opcode, uint8_t modrm,
			 uint64_t *seed)
{
	uint8_t code[8] = { 0x0F };
	size_t length = 1;

	if (range->map) {
		code[length++] = range->map;
	}
	code[length++] = opcode;
	code[length++] = modrm;
	if (range->immediate) {
		code[length++] = (uint8_t)random_next(seed);
	}
	compare(machine, code, length, seed);
}

static void compare_range(struct machine *machine, const struct range *range, const uint8_t *modrms, size_t count)
{
	uint64_t seed = range->first;

	for (unsigned int opcode = range->first; opcode <= range->last; opcode++) {
		for (size_t i = 0; i < count; i++) {
			compare_form(machine, range, (uint8_t)opcode, modrms[i], &seed);
		}
	}
}

/* mm2 and mm5, mm7 twice, mm1 and memory at rdi. */
static const uint8_t any[] = { 0xD5, 0xFF, 0x0F };

static void check_computations(struct machine *machine)
{
	static const struct range ranges[] = {
		{ 0, 0x60, 0x6B, 0 }, { 0, 0x70, 0x70, 1 }, { 0, 0x74, 0x76, 0 }, { 0, 0xD1, 0xD3, 0 },
		{ 0, 0xD5, 0xD5, 0 }, { 0, 0xD8, 0xE5, 0 }, { 0, 0xE8, 0xEF, 0 }, { 0, 0xF1, 0xF3, 0 },
		{ 0, 0xF5, 0xF6, 0 }, { 0, 0xF8, 0xFA, 0 }, { 0, 0xFC, 0xFE, 0 },
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		compare_range(machine, &ranges[i], any, sizeof(any));
	}
}

static void check_later_sets(struct machine *machine)
{
	static const struct range sse2[] = { { 0, 0xD4, 0xD4, 0 }, { 0, 0xF4, 0xF4, 0 }, { 0, 0xFB, 0xFB, 0 } };
	static const struct range ssse3[] = { { 0x38, 0x00, 0x0B, 0 },
					      { 0x38, 0x1C, 0x1E, 0 },
					      { 0x3A, 0x0F, 0x0F, 1 } };

	for (size_t i = 0; hs_soft_isa_offered(ZYDIS_ISA_SET_SSE2MMX) && i < sizeof(sse2) / sizeof(sse2[0]); i++) {
		compare_range(machine, &sse2[i], any, sizeof(any));
	}
	for (size_t i = 0; hs_soft_isa_offered(ZYDIS_ISA_SET_SSSE3MMX) && i < sizeof(ssse3) / sizeof(ssse3[0]); i++) {
		compare_range(machine, &ssse3[i], any, sizeof(any));
	}
}

/* psrlw and so on: the middle field of modrm is part of the opcode. */
static void check_immediate_shifts(struct machine *machine)
{
	static const struct range words = { 0, 0x71, 0x72, 1 }, quadwords = { 0, 0x73, 0x73, 1 };
	static const uint8_t of_words[] = { 0xD3, 0xE4, 0xF6 }, of_quadwords[] = { 0xD1, 0xF5 };

	compare_range(machine, &words, of_words, sizeof(of_words));
	compare_range(machine, &quadwords, of_quadwords, sizeof(of_quadwords));
}

static void check_moves(struct machine *machine)
{
	static const struct range movd[] = { { 0, 0x6E, 0x6F, 0 }, { 0, 0x7E, 0x7F, 0 } };
	static const struct range movntq = { 0, 0xE7, 0xE7, 0 }, emms = { 0, 0x77, 0x77, 0 };
	static const struct range pextrw = { 0, 0xC5, 0xC5, 1 }, pmovmskb = { 0, 0xD7, 0xD7, 0 };
	static const struct range pinsrw = { 0, 0xC4, 0xC4, 1 };
	/* mm2 from ecx, mm1 from memory. */
	static const uint8_t pinsrw_modrms[] = { 0xD1, 0x0F };
	/* To and from rcx or mm1, or memory; eax from mm6. */
	static const uint8_t movd_modrms[] = { 0xF9, 0x17 }, movntq_modrm[] = { 0x1F }, general[] = { 0xC6 };
	uint64_t seed = 1;

	compare_range(machine, &movd[0], movd_modrms, sizeof(movd_modrms));
	compare_range(machine, &movd[1], movd_modrms, sizeof(movd_modrms));
	compare_range(machine, &movntq, movntq_modrm, sizeof(movntq_modrm));
	compare_range(machine, &pinsrw, pinsrw_modrms, sizeof(pinsrw_modrms));
	compare_range(machine, &pextrw, general, sizeof(general));
	if (hs_soft_isa_offered(ZYDIS_ISA_SET_SSE)) {
		compare_range(machine, &pmovmskb, general, sizeof(general));
	}
	compare(machine, (const uint8_t[]){ 0x0F, (uint8_t)emms.first }, 2, &seed);
}

static void test_mmx_computations_are_as_on_the_host(void **state)
{
	(void)state;
	machine_each(configs, CONFIG_COUNT, check_computations);
	machine_each(configs, CONFIG_COUNT, check_immediate_shifts);
}

static void test_mmx_of_later_sets_is_as_on_the_host(void **state)
{
	(void)state;
	machine_each(configs, CONFIG_COUNT, check_later_sets);
}

static void test_mmx_moves_are_as_on_the_host(void **state)
{
	(void)state;
	machine_each(configs, CONFIG_COUNT, check_moves);
}

/* A fault of its operand leaves the stack of the x87 as it was: no TOP of 0, no tags. */
static void check_fault(struct machine *machine)
{
	const struct code codes[] = {
		CODE_FOR(machine, "paddb mm1, [esi]"),
		CODE_FOR(machine, "movq mm1, [esi]"),
		CODE_FOR(machine, "movq [esi], mm1"),
		CODE_FOR(machine, "pinsrw mm1, word ptr [esi], 1"),
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct machine_stop stop;

		machine_set_code(machine, codes[i]);
		hs_put_le16(machine->cpu.xsave + HS_XSAVE_FSW, TOP);
		machine->cpu.xsave[HS_XSAVE_FTW] = 0x80;
		machine->cpu.gpr[HS_RSI] = 0x10;
		machine_start(machine, &stop);
		assert_int_equal(stop.kind, MACHINE_FAULT);
		assert_int_equal(stop.vector, 14);
		assert_memory_equal(stop.cpu.xsave, machine->cpu.xsave, 512);
	}
}

static void test_mmx_that_faults_leaves_the_stack_alone(void **state)
{
	(void)state;
	machine_each(configs, CONFIG_COUNT, check_fault);
}

/* With no x87 in between, and back: what MMX writes is what ST shows, and what x87 leaves is what MMX reads. */
static void check_aliases(struct machine *machine)
{
	struct machine_stop stop;

	machine_set_code(machine, CODE_FOR(machine, "fninit\n fld1\n movq [edi], mm7\n"
						    "mov dword ptr [edi + 8], 0x80000000\n movd mm0, [edi + 8]\n"
						    "psllq mm0, 32\n fstp tbyte ptr [edi + 16]\n emms"));
	machine->cpu.gpr[HS_RDI] = MACHINE_DATA;
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(hs_get_le64(machine_at(machine, MACHINE_DATA)), UINT64_C(1) << 63);
	assert_int_equal(hs_get_le64(machine_at(machine, MACHINE_DATA + 16)), UINT64_C(1) << 63);
	assert_int_equal(hs_get_le16(machine_at(machine, MACHINE_DATA + 24)), 0xFFFF);
	assert_int_equal(stop.cpu.xsave[HS_XSAVE_FTW], 0);
}

static void test_mmx_registers_are_those_of_the_x87(void **state)
{
	(void)state;
	machine_each(configs, CONFIG_COUNT, check_aliases);
}

/* From 1.5 and -2.5 to integers by the rounding mode or towards zero, and back. */
static void check_conversions(struct machine *machine)
{
	struct machine_stop stop;

	machine_set_code(machine,
			 CODE_FOR(machine, "fninit\n movups xmm1, [edi]\n cvtpi2ps xmm2, [edi + 16]\n"
					   "cvtpi2pd xmm3, [edi + 16]\n fnstenv [edi + 64]\n cvtps2pi mm3, xmm1\n"
					   "cvttps2pi mm4, [edi]\n cvtpi2pd xmm4, mm3\n cvttpd2pi mm5, xmm4\n"
					   "cvtpd2pi mm6, [edi + 32]"));
	machine->cpu.gpr[HS_RDI] = MACHINE_DATA;
	hs_put_le64(machine_at(machine, MACHINE_DATA), UINT64_C(0xC02000003FC00000));
	hs_put_le64(machine_at(machine, MACHINE_DATA + 16), UINT64_C(0xFFFFFFFF00000007));
	hs_put_le64(machine_at(machine, MACHINE_DATA + 32), UINT64_C(0x4004000000000000));
	hs_put_le64(machine_at(machine, MACHINE_DATA + 40), UINT64_C(0xBFF8000000000000));
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(hs_get_le16(machine_at(machine, MACHINE_DATA + 72)), 0xFFFF); /* no register is in use yet */
	assert_int_equal(hs_get_le64(stop.cpu.xsave + HS_XSAVE_XMM0 + 32), UINT64_C(0xBF80000040E00000));
	assert_int_equal(hs_get_le64(stop.cpu.xsave + HS_XSAVE_XMM0 + 48), UINT64_C(0x401C000000000000));
	assert_int_equal(hs_get_le64(stop.cpu.xsave + HS_XSAVE_XMM0 + 56), UINT64_C(0xBFF0000000000000));
	assert_int_equal(hs_get_le64(stop.cpu.xsave + HS_XSAVE_ST0 + 48), UINT64_C(0xFFFFFFFE00000002));
	assert_int_equal(hs_get_le64(stop.cpu.xsave + HS_XSAVE_ST0 + 64), UINT64_C(0xFFFFFFFE00000001));
	assert_int_equal(hs_get_le64(stop.cpu.xsave + HS_XSAVE_ST0 + 80), UINT64_C(0xFFFFFFFE00000002));
	assert_int_equal(hs_get_le64(stop.cpu.xsave + HS_XSAVE_ST0 + 96), UINT64_C(0xFFFFFFFE00000002));
	assert_int_equal(stop.cpu.xsave[HS_XSAVE_FTW], 0xFF);
	assert_int_equal(hs_get_le32(stop.cpu.xsave + HS_XSAVE_MXCSR), 0x1FA0); /* inexact */
}

/* Not a number and a number that is rounded: an invalid operation that is not masked comes alone. */
static void check_unmasked(struct machine *machine)
{
	struct machine_stop stop;

	machine_set_code(machine, CODE_FOR(machine, "cvtps2pi mm1, xmm1"));
	hs_put_le64(machine->cpu.xsave + HS_XSAVE_XMM0 + 16, UINT64_C(0x7FC000003FC00000));
	hs_put_le32(machine->cpu.xsave + HS_XSAVE_MXCSR, 0x1F00);
	hs_put_le64(machine->cpu.xsave + HS_XSAVE_ST0 + 16, 77);
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_FAULT);
	assert_int_equal(stop.vector, 19);
	assert_int_equal(hs_get_le64(stop.cpu.xsave + HS_XSAVE_ST0 + 16), 77);
	assert_int_equal(hs_get_le32(stop.cpu.xsave + HS_XSAVE_MXCSR), 0x1F01);
}

static void test_mmx_converts_as_mxcsr_says(void **state)
{
	(void)state;
	if (!hs_soft_isa_offered(ZYDIS_ISA_SET_SSE2)) {
		skip();
	}
	machine_each(configs, CONFIG_COUNT, check_conversions);
	machine_each(configs, CONFIG_COUNT, check_unmasked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mmx_computations_are_as_on_the_host),
		cmocka_unit_test(test_mmx_of_later_sets_is_as_on_the_host),
		cmocka_unit_test(test_mmx_moves_are_as_on_the_host),
		cmocka_unit_test(test_mmx_that_faults_leaves_the_stack_alone),
		cmocka_unit_test(test_mmx_registers_are_those_of_the_x87),
		cmocka_unit_test(test_mmx_converts_as_mxcsr_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
