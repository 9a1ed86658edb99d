/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the CPU does around x87 and MMX instructions: when they may be executed, pending exceptions, the pointers to the
 * last one, faults of their operands, and that the host's own x87 is left as programs expect it.
 */
#include "machine.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CR0_MP 2u
#define CR0_EM 4u
#define CR0_TS 8u
#define CR0_NE 0x20u
#define UD 6
#define NM 7
#define PF 14
#define MF 16
#define NOTHING (-1)
#define NOT_MAPPED 0x10u
#define LEGACY_BYTES 512u
#define FCW_INITIAL 0x37Fu
#define FCW_NONE_MASKED 0x340u
#define FCW_TRUNCATES_DOUBLES 0xE7Fu
#define FSW_INVALID_PENDING 0x8081u
#define FSW_INVALID 1u
#define FSW_ZERO_DIVIDE 4u
#define FSW_ES 0x80u

static const struct machine_config configs[] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
};

#define CONFIG_COUNT (sizeof(configs) / sizeof(configs[0]))

static uint16_t word(const uint8_t *bytes)
{
	return hs_get_le16(bytes);
}

/* An instruction and the vector that comes, or NOTHING. esi points to data, ebx to where nothing is. */
struct row {
	const char *text;
	struct code code;
	int vector;
};

#define ROW(text, vector)                                                                                              \
	{                                                                                                              \
		text, CODE32(text), vector                                                                             \
	}

/* A fault changes nothing. The words are those of the state before. */
static void check_row(const struct machine_config *config, const struct row *row, uint32_t cr0_clear, uint32_t cr0_set,
		      uint16_t control, uint16_t status)
{
	struct machine machine;
	struct machine_stop stop;
	uint8_t *memory;

	machine_init(&machine, config);
	machine_set_code(&machine, row->code);
	machine.cpu.cr0 = (machine.cpu.cr0 & ~(uint64_t)cr0_clear) | cr0_set;
	machine.cpu.gpr[HS_RSI] = MACHINE_DATA;
	machine.cpu.gpr[HS_RBX] = NOT_MAPPED;
	hs_put_le16(machine.cpu.xsave + HS_XSAVE_FCW, control);
	hs_put_le16(machine.cpu.xsave + HS_XSAVE_FSW, status);
	machine.cpu.xsave[HS_XSAVE_FTW] = 0xFF;
	memory = machine_copy_memory(&machine);
	machine_start(&machine, &stop);
	if (row->vector == NOTHING ? stop.kind != MACHINE_HLT
				   : stop.kind != MACHINE_FAULT || stop.vector != (unsigned int)row->vector) {
		fail_msg("%s: stopped by %d, vector %u", row->text, (int)stop.kind, stop.vector);
	}
	if (row->vector != NOTHING) {
		assert_int_equal(stop.cpu.rip, machine.cpu.rip);
		assert_memory_equal(stop.cpu.xsave, machine.cpu.xsave, LEGACY_BYTES);
		assert_int_equal(machine_compare_memory(&machine, memory, machine.ram, 0, 0), MACHINE_BYTES);
	}
	free(memory);
	machine_deinit(&machine);
}

static void check_rows(const struct row *rows, size_t count, uint32_t cr0_clear, uint32_t cr0_set, uint16_t control,
		       uint16_t status)
{
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		for (size_t j = 0; j < count; j++) {
			check_row(&configs[i], &rows[j], cr0_clear, cr0_set, control, status);
		}
	}
}

#define CHECK_ROWS(rows, ...) check_rows(rows, sizeof(rows) / sizeof((rows)[0]), __VA_ARGS__)

static void test_x87_that_is_switched_off_is_not_available(void **state)
{
	const struct row emulated[] = {
		ROW("fld1", NM),
		ROW("fstp tbyte ptr [ebx]", NM),
		ROW("fnstsw ax", NM),
		ROW("fnstenv [ebx]", NM),
		ROW("frstor [ebx]", NM),
		ROW(".byte 0xDB, 0xE0", NM),
		ROW("fwait", NOTHING),
		ROW("paddb mm0, mm1", UD),
		ROW("emms", UD),
		ROW("movq mm0, [ebx]", UD),
		ROW("fcomi st, st(1)", NM),
		ROW("fnclex", NM),
	};
	const struct row switched[] = {
		ROW("fld1", NM),           ROW("fldcw [ebx]", NM),     ROW("fwait", NM),
		ROW("paddb mm0, mm1", NM), ROW("movd [ebx], mm1", NM), ROW("fnsave [ebx]", NM),
		ROW("emms", NM),           ROW("fninit", NM),
	};
	const struct row switched_alone[] = { ROW("fwait", NOTHING), ROW("fnop", NM) };

	(void)state;
	/* With an exception pending, which comes behind. */
	CHECK_ROWS(emulated, CR0_MP | CR0_NE, CR0_EM, FCW_NONE_MASKED, FSW_INVALID_PENDING);
	CHECK_ROWS(switched, 0, CR0_MP | CR0_TS, FCW_NONE_MASKED, FSW_INVALID_PENDING);
	CHECK_ROWS(switched_alone, CR0_MP | CR0_NE, CR0_TS, FCW_NONE_MASKED, FSW_INVALID_PENDING);
}

/* By those that wait, before their operand is looked at. */
static void test_x87_exception_that_pends_is_reported_by_the_next_instruction(void **state)
{
	const struct row rows[] = {
		ROW("fld1", MF),
		ROW("fadd dword ptr [ebx]", MF),
		ROW("fstp qword ptr [ebx]", MF),
		ROW("fnop", MF),
		ROW("fwait", MF),
		ROW("fldcw [ebx]", MF),
		ROW("fldenv [ebx]", MF),
		ROW("frstor [ebx]", MF),
		ROW("fcmove st, st(1)", MF),
		ROW("paddb mm0, [ebx]", MF),
		ROW("movq [ebx], mm0", MF),
		ROW("emms", MF),
		ROW("fnstsw ax", NOTHING),
		ROW("fnstcw [esi]", NOTHING),
		ROW("fnstenv [esi]", NOTHING),
		ROW("fnsave [esi]", NOTHING),
		ROW("fnclex", NOTHING),
		ROW("fninit", NOTHING),
		ROW(".byte 0xDB, 0xE1", NOTHING),
		ROW("fnstsw [ebx]", PF),
		ROW("fxsave [esi]", NOTHING),
	};
	const struct row masked[] = { ROW("fld1", NOTHING), ROW("paddb mm0, mm0", NOTHING), ROW("fwait", NOTHING) };

	(void)state;
	CHECK_ROWS(rows, 0, CR0_NE, FCW_NONE_MASKED, FSW_INVALID_PENDING);
	CHECK_ROWS(masked, 0, CR0_NE, FCW_INITIAL, FSW_INVALID_PENDING);
}

static void test_x87_operand_that_faults_leaves_the_stack_alone(void **state)
{
	const struct row rows[] = {
		ROW("fld tbyte ptr [ebx]", PF),   ROW("fstp tbyte ptr [ebx]", PF),  ROW("fistp word ptr [ebx]", PF),
		ROW("fcomp qword ptr [ebx]", PF), ROW("fbstp tbyte ptr [ebx]", PF), ROW("fldenv [ebx]", PF),
		ROW("fnstenv [ebx]", PF),         ROW("fnsave [ebx]", PF),          ROW("frstor [ebx]", PF),
	};

	(void)state;
	CHECK_ROWS(rows, 0, CR0_NE, FCW_INITIAL, 0);
	CHECK_ROWS(rows, 0, CR0_NE, FCW_NONE_MASKED, 0);
}

static void load(struct machine *machine, struct code code, uint16_t control)
{
	machine_set_code(machine, code);
	hs_put_le16(machine->cpu.xsave + HS_XSAVE_FCW, control);
	machine->cpu.gpr[HS_RSI] = MACHINE_DATA;
}

/* A division by zero, from memory, that is not masked; the next instruction but one reports it. */
static void check_pointers(struct machine *machine)
{
	struct machine_stop stop;
	const uint8_t *xsave = stop.cpu.xsave;

	load(machine, CODE_FOR(machine, "fld1\n fdiv dword ptr [esi + 8]\n nop\n fld1"), FCW_NONE_MASKED);
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_FAULT);
	assert_int_equal(stop.vector, MF);
	assert_int_equal(word(xsave + HS_XSAVE_FSW) & (FSW_ES | FSW_ZERO_DIVIDE | FSW_INVALID),
			 FSW_ES | FSW_ZERO_DIVIDE);
	assert_int_equal(hs_get_le64(xsave + HS_XSAVE_FIP), MACHINE_CODE + 2);
	assert_int_equal(hs_get_le64(xsave + HS_XSAVE_FDP), MACHINE_DATA + 8);
	assert_int_equal(word(xsave + HS_XSAVE_FOP) & 0x738, 0x030); /* D8 /6 */
}

static void test_x87_pointers_name_the_instruction_that_raised_the_exception(void **state)
{
	(void)state;
	machine_each(configs, CONFIG_COUNT, check_pointers);
}

/* Nobody hears of it then, and it does not get lost. */
static void check_without_ne(struct machine *machine)
{
	struct machine_stop stop;
	const uint8_t *xsave = stop.cpu.xsave;

	load(machine,
	     CODE_FOR(machine, "fld1\n fldz\n fdivp\n fld1\n fldz\n faddp\n fldcw [esi]\n fstp qword ptr [esi]"),
	     FCW_NONE_MASKED);
	machine->cpu.cr0 &= ~(uint64_t)CR0_NE;
	hs_put_le16(machine_at(machine, MACHINE_DATA), FCW_NONE_MASKED);
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(word(xsave + HS_XSAVE_FSW) & (FSW_ES | FSW_ZERO_DIVIDE), FSW_ES | FSW_ZERO_DIVIDE);
	assert_int_equal(hs_get_le64(machine_at(machine, MACHINE_DATA)), UINT64_C(0x3FF0000000000000));
}

static void test_x87_goes_on_with_a_pending_exception_without_ne(void **state)
{
	(void)state;
	machine_each(configs, CONFIG_COUNT, check_without_ne);
}

/* 1e-320 as a float: an underflow that is not masked stores nothing and pops nothing; a masked one stores 0. */
static void check_prevented(struct machine *machine, uint64_t at, uint16_t control, bool stored)
{
	struct machine_stop stop;

	load(machine, CODE_FOR(machine, "fld qword ptr [esi]\n fstp dword ptr [edi]"), control);
	machine->cpu.gpr[HS_RDI] = at;
	hs_put_le64(machine_at(machine, MACHINE_DATA), 2024);
	hs_put_le32(machine_at(machine, at), 0x12345678);
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(hs_get_le32(machine_at(machine, at)), stored ? 0 : 0x12345678);
	assert_int_equal(stop.cpu.xsave[HS_XSAVE_FTW], stored ? 0 : 0x80);
}

static void check_stores(struct machine *machine)
{
	const uint16_t underflow = 0x10;

	/* In a page, and across two. */
	check_prevented(machine, MACHINE_DATA + 16, FCW_INITIAL & ~underflow, false);
	check_prevented(machine, MACHINE_DATA + 0xFFE, FCW_INITIAL & ~underflow, false);
	check_prevented(machine, MACHINE_DATA + 0xFFE, FCW_INITIAL, true);
	check_prevented(machine, MACHINE_DATA + 16, FCW_INITIAL, true);
}

static void test_x87_store_with_an_unmasked_underflow_stores_nothing(void **state)
{
	(void)state;
	machine_each(configs, CONFIG_COUNT, check_stores);
}

/* Control word, status word, tags, then FIP and FDP with their selectors: of 16 bits each (SDM vol. 1 figure 8-11). */
static void check_narrow(struct machine *machine)
{
	const uint8_t *image = machine_at(machine, MACHINE_DATA + 16);
	struct machine_stop stop;

	load(machine,
	     CODE_FOR(machine, "fld dword ptr [esi + 4]\n .byte 0x66\n fnstenv [esi + 16]\n"
			       "fninit\n .byte 0x66\n fldenv [esi + 16]"),
	     FCW_NONE_MASKED);
	memset(machine_at(machine, MACHINE_DATA), 0, 64);
	machine_at(machine, MACHINE_DATA + 30)[0] = 0xAA;
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(word(image), FCW_NONE_MASKED);
	assert_int_equal(word(image + 2), 0x3800);
	assert_int_equal(word(image + 4), 0x7FFF); /* ST(0) is 0 */
	assert_int_equal(word(image + 6), MACHINE_CODE);
	assert_int_equal(word(image + 8), 0);
	assert_int_equal(word(image + 10), (MACHINE_DATA + 4) & 0xFFFF);
	assert_int_equal(word(image + 12), 0);
	assert_int_equal(image[14], 0xAA);
	assert_int_equal(word(stop.cpu.xsave + HS_XSAVE_FCW), FCW_NONE_MASKED);
	assert_int_equal(word(stop.cpu.xsave + HS_XSAVE_FSW), 0x3800);
	assert_int_equal(stop.cpu.xsave[HS_XSAVE_FTW], 0x80);
	assert_int_equal(hs_get_le64(stop.cpu.xsave + HS_XSAVE_FIP), MACHINE_CODE);
	assert_int_equal(hs_get_le64(stop.cpu.xsave + HS_XSAVE_FDP), (MACHINE_DATA + 4) & 0xFFFF);
}

static void test_x87_environment_of_16_bits_has_14_bytes(void **state)
{
	(void)state;
	machine_each(configs, CONFIG_COUNT, check_narrow);
}

/* And with 32 bits also the opcode; what is behind the words is ones. */
static void check_wide(struct machine *machine)
{
	const uint8_t *image = machine_at(machine, MACHINE_DATA + 16);
	struct machine_stop stop;

	load(machine, CODE_FOR(machine, "fld1\n fdiv dword ptr [esi]\n fnsave [esi + 16]"), FCW_NONE_MASKED);
	memset(machine_at(machine, MACHINE_DATA), 0, 256);
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(hs_get_le32(image), 0xFFFF0000 | FCW_NONE_MASKED);
	assert_int_equal(hs_get_le32(image + 4), 0xFFFFB884);
	assert_int_equal(hs_get_le32(image + 8), 0xFFFF3FFF);
	assert_int_equal(hs_get_le32(image + 12), MACHINE_CODE + 2);
	assert_int_equal(word(image + 16), 0);
	assert_int_equal(word(image + 18) & 0x738, 0x030); /* D8 /6 */
	assert_int_equal(hs_get_le32(image + 20), MACHINE_DATA);
	assert_int_equal(hs_get_le32(image + 24), 0xFFFF0000);
	assert_int_equal(word(image + 28 + 8), 0x3FFF); /* ST(0) is 1 */
	assert_int_equal(hs_get_le64(image + 28 + 80), 0);
	assert_int_equal(word(stop.cpu.xsave + HS_XSAVE_FCW), FCW_INITIAL);
	assert_int_equal(word(stop.cpu.xsave + HS_XSAVE_FSW), 0);
	assert_int_equal(stop.cpu.xsave[HS_XSAVE_FTW], 0);
	assert_int_equal(hs_get_le64(stop.cpu.xsave + HS_XSAVE_FIP), 0);
}

static void test_x87_state_of_32_bits_has_108_bytes(void **state)
{
	(void)state;
	machine_each(configs, CONFIG_COUNT, check_wide);
}

/* The stack is the guest's from one run to the next, and nothing of it is in the host's registers in between. */
static void check_steps(struct machine *machine)
{
	const uint16_t own = FCW_TRUNCATES_DOUBLES, usual = FCW_INITIAL;
	uint8_t host[28];
	struct machine_stop stop;

	load(machine, CODE_FOR(machine, "fld1\n fldpi\n faddp\n fld st\n fmulp\n fistp dword ptr [esi]\n fld1"),
	     FCW_NONE_MASKED | 0x20);
	machine_load(machine);
	__asm__ volatile("fldcw %0" : : "m"(own));
	machine_run_by_steps(machine, &stop);
	__asm__ volatile("fnstenv %0\n fldcw %1" : "=m"(host) : "m"(usual));
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(hs_get_le32(machine_at(machine, MACHINE_DATA)), 17); /* (1 + pi) squared */
	assert_int_equal(stop.cpu.xsave[HS_XSAVE_FTW], 0x80);
	assert_int_equal(word(host), own);
	assert_int_equal(word(host + 4), 0);
	assert_int_equal(word(host + 8), 0xFFFF);
}

static void test_x87_of_the_host_is_as_programs_expect_it_behind_a_run(void **state)
{
	(void)state;
	machine_each(configs, CONFIG_COUNT, check_steps);
}

/* Which says that images have no selectors. */
static void check_cpuid(struct machine *machine)
{
	struct machine_stop stop;

	machine_set_code(machine, CODE_FOR(machine, "cpuid\n mov esi, ebx\n mov eax, 1\n cpuid"));
	machine->cpu.gpr[HS_RAX] = 7;
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_true(stop.cpu.gpr[HS_RSI] & 1u << 13);
	assert_true(stop.cpu.gpr[HS_RDX] & 1u << 0);
}

static void test_x87_is_in_cpuid(void **state)
{
	(void)state;
	machine_each(configs, CONFIG_COUNT, check_cpuid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_x87_that_is_switched_off_is_not_available),
		cmocka_unit_test(test_x87_exception_that_pends_is_reported_by_the_next_instruction),
		cmocka_unit_test(test_x87_operand_that_faults_leaves_the_stack_alone),
		cmocka_unit_test(test_x87_pointers_name_the_instruction_that_raised_the_exception),
		cmocka_unit_test(test_x87_goes_on_with_a_pending_exception_without_ne),
		cmocka_unit_test(test_x87_store_with_an_unmasked_underflow_stores_nothing),
		cmocka_unit_test(test_x87_environment_of_16_bits_has_14_bytes),
		cmocka_unit_test(test_x87_state_of_32_bits_has_108_bytes),
		cmocka_unit_test(test_x87_of_the_host_is_as_programs_expect_it_behind_a_run),
		cmocka_unit_test(test_x87_is_in_cpuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
