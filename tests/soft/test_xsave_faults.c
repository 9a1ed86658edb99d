/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What xsave and its family refuse (SDM vol. 1 chapter 13), after which nothing has happened; XCR0, and what CPUID says
 * of it.
 */
#include "machine.h"

#include "base/bytes.h"
#include "vmm/soft/isa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define AREA_BYTES 832u
#define DATA_BYTES 0x2000u
#define COMPACTED (UINT64_C(1) << 63)
#define COMPONENTS 7u /* x87, SSE, AVX */

#define CR0_TS 8u
#define CR4_OSXSAVE (1u << 18)
#define VECTOR_UD 6
#define VECTOR_NM 7
#define VECTOR_GP 13
#define VECTOR_PF 14
#define PRESENT 1u
#define WRITABLE 2u

/* Of an area across two pages, the legacy region in the first and the rest in the second. */
#define ACROSS (MACHINE_DATA + 0x1000 - 512)

static const struct machine_config configs[] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 0 },
};

#define CONFIG_COUNT (sizeof(configs) / sizeof(configs[0]))

/* A machine whose vector state is in use, at an area that says so too. */
static void arm(struct machine *machine, uint64_t area)
{
	uint8_t *memory = machine_at(machine, area);

	for (size_t i = 0; i < AREA_BYTES; i++) {
		memory[i] = (uint8_t)(i * 7 + 1);
		machine->cpu.xsave[i] = i >= HS_XSAVE_XMM0 ? (uint8_t)(i * 5 + 3) : machine->cpu.xsave[i];
	}
	hs_put_le32(memory + HS_XSAVE_MXCSR, 0x1f80);
	memset(memory + HS_XSAVE_XSTATE_BV, 0, 64);
	memset(machine->cpu.xsave + HS_XSAVE_XSTATE_BV, 0, 64);
	memory[HS_XSAVE_XSTATE_BV] = machine->cpu.xsave[HS_XSAVE_XSTATE_BV] = COMPONENTS;
	machine->cpu.gpr[HS_RSI] = area;
	machine->cpu.gpr[HS_RAX] = COMPONENTS;
	machine->cpu.cr4 |= CR4_OSXSAVE;
	machine->cpu.xcr0 = COMPONENTS;
}

static void assert_nothing_happened(const struct machine *machine, const struct machine_stop *stop)
{
	assert_int_equal(stop->error_code, stop->vector == VECTOR_PF ? stop->error_code : 0);
	assert_int_equal(stop->cpu.rip, machine->cpu.rip);
	assert_int_equal(stop->cpu.xcr0, machine->cpu.xcr0);
	assert_memory_equal(stop->cpu.gpr, machine->cpu.gpr, sizeof(stop->cpu.gpr));
	assert_memory_equal(stop->cpu.xsave, machine->cpu.xsave, HS_XSAVE_SIZE);
}

/* Start it: this exception comes, and nothing else has happened. */
static void expect(struct machine *machine, const char *text, unsigned int vector, struct machine_stop *ret)
{
	uint8_t before[DATA_BYTES];

	memcpy(before, machine_at(machine, MACHINE_DATA), DATA_BYTES);
	machine_start(machine, ret);
	if (ret->kind != MACHINE_FAULT || ret->vector != vector) {
		fail_msg("%s: stopped by %d, vector %u, not %u", text, (int)ret->kind, ret->vector, vector);
	}
	assert_nothing_happened(machine, ret);
	assert_memory_equal(machine_at(machine, MACHINE_DATA), before, DATA_BYTES);
}

struct row {
	const char *text;
	struct code code;
	uint32_t cr0_set, cr4_clear;
	unsigned int vector;
};

#define ROW(text, ...)                                                                                                 \
	{                                                                                                              \
		text, CODE32(text), __VA_ARGS__                                                                        \
	}

static void test_xsave_is_refused_by_control_registers_and_alignment(void **state)
{
	const struct row rows[] = {
		ROW("xsave [esi]", 0, CR4_OSXSAVE, VECTOR_UD),
		ROW("xsave [esi]", CR0_TS, CR4_OSXSAVE, VECTOR_UD),
		ROW("xsaveopt [esi]", 0, CR4_OSXSAVE, VECTOR_UD),
		ROW("xsavec [esi]", 0, CR4_OSXSAVE, VECTOR_UD),
		ROW("xrstor [esi]", 0, CR4_OSXSAVE, VECTOR_UD),
		ROW("xgetbv", 0, CR4_OSXSAVE, VECTOR_UD),
		ROW("xsetbv", 0, CR4_OSXSAVE, VECTOR_UD),
		ROW("xsave [esi]", CR0_TS, 0, VECTOR_NM),
		ROW("xsaveopt [esi + 1]", CR0_TS, 0, VECTOR_NM),
		ROW("xsavec [esi]", CR0_TS, 0, VECTOR_NM),
		ROW("xrstor [esi]", CR0_TS, 0, VECTOR_NM),
		ROW("xsave [esi + 32]", 0, 0, VECTOR_GP),
		ROW("xsaveopt [esi + 16]", 0, 0, VECTOR_GP),
		ROW("xsavec [esi + 8]", 0, 0, VECTOR_GP),
		ROW("xrstor [esi + 1]", 0, 0, VECTOR_GP),
		ROW("xsaves [esi]", 0, 0, VECTOR_UD),
		ROW("xrstors [esi]", 0, 0, VECTOR_UD),
	};

	(void)state;
	for (size_t i = 0; i < CONFIG_COUNT * sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i / CONFIG_COUNT];
		struct machine machine;
		struct machine_stop stop;

		machine_init(&machine, &configs[i % CONFIG_COUNT]);
		machine_set_code(&machine, row->code);
		arm(&machine, MACHINE_DATA);
		machine.cpu.cr0 |= row->cr0_set;
		machine.cpu.cr4 &= ~(uint64_t)row->cr4_clear;
		expect(&machine, row->text, row->vector, &stop);
		machine_deinit(&machine);
	}
}

/* The header's words from XSTATE_BV on, MXCSR and XCR0; vector 0: it is loaded. */
static void test_xrstor_refuses_areas_that_no_cpu_has_saved(void **state)
{
	const struct {
		const char *what;
		uint64_t used, format, word2, word7, mxcsr, xcr0;
		unsigned int vector;
	} rows[] = {
		{ "all of it", 7, 0, 0, 0, 0x1f80, 7, 0 },
		{ "a component that XCR0 leaves out", 4, 0, 0, 0, 0x1f80, 3, VECTOR_GP },
		{ "a component that there is not", 8, 0, 0, 0, 0x1f80, 7, VECTOR_GP },
		{ "bit 63 of XSTATE_BV", COMPACTED, 0, 0, 0, 0x1f80, 7, VECTOR_GP },
		{ "a format without its bit 63", 7, 7, 0, 0, 0x1f80, 7, VECTOR_GP },
		{ "the first reserved word", 7, 0, 1, 0, 0x1f80, 7, VECTOR_GP },
		{ "the last reserved word", 7, 0, 0, 1, 0x1f80, 7, 0 },
		{ "MXCSR", 7, 0, 0, 0, 0x10000, 7, VECTOR_GP },
		{ "MXCSR, not in use", 0, 0, 0, 0, 0x10000, 7, VECTOR_GP },
		{ "compacted", 7, COMPACTED | 7, 0, 0, 0x1f80, 7, 0 },
		{ "compacted: the format XCR0 leaves out", 3, COMPACTED | 7, 0, 0, 0x1f80, 3, VECTOR_GP },
		{ "compacted: not in the format", 7, COMPACTED | 3, 0, 0, 0x1f80, 7, VECTOR_GP },
		{ "compacted: the first reserved word", 7, COMPACTED | 7, 1, 0, 0x1f80, 7, VECTOR_GP },
		{ "compacted: the last reserved word", 7, COMPACTED | 7, 0, 1, 0x1f80, 7, VECTOR_GP },
		{ "compacted: MXCSR", 7, COMPACTED | 7, 0, 0, 0x10000, 7, VECTOR_GP },
		{ "compacted: MXCSR, not in use", 5, COMPACTED | 7, 0, 0, 0x10000, 7, 0 },
	};

	(void)state;
	for (size_t i = 0; i < CONFIG_COUNT * sizeof(rows) / sizeof(rows[0]); i++) {
		const size_t which = i / CONFIG_COUNT;
		struct machine machine;
		struct machine_stop stop;
		uint8_t *area;

		machine_init(&machine, &configs[i % CONFIG_COUNT]);
		machine_set_code(&machine, CODE32("xrstor [esi]"));
		arm(&machine, MACHINE_DATA);
		area = machine_at(&machine, MACHINE_DATA);
		hs_put_le64(area + HS_XSAVE_XSTATE_BV, rows[which].used);
		hs_put_le64(area + HS_XSAVE_XCOMP_BV, rows[which].format);
		hs_put_le64(area + HS_XSAVE_XSTATE_BV + 16, rows[which].word2);
		hs_put_le64(area + HS_XSAVE_XSTATE_BV + 56, rows[which].word7);
		hs_put_le32(area + HS_XSAVE_MXCSR, (uint32_t)rows[which].mxcsr);
		machine.cpu.xcr0 = rows[which].xcr0;
		if (rows[which].vector) {
			expect(&machine, rows[which].what, rows[which].vector, &stop);
		} else {
			machine_start(&machine, &stop);
			assert_int_equal(stop.kind, MACHINE_HLT);
			/* In 32-bit code registers 8 to 15 stay in use. */
			assert_int_equal(stop.cpu.xsave[HS_XSAVE_XSTATE_BV],
					 machine.config.mode == MACHINE_64 ? rows[which].used : rows[which].used | 6);
		}
		machine_deinit(&machine);
	}
}

/* The area's second page is missing, or read-only for what writes: nothing is stored in the first, and the restart
 *  completes it. */
static void check_across(const struct machine_config *config, const char *text, struct code code, uint64_t clear)
{
	struct machine machine;
	struct machine_stop stop;

	machine_init(&machine, config);
	machine_set_code(&machine, code);
	arm(&machine, ACROSS);
	machine_change_entry(&machine, ACROSS + 512, clear, 0);
	expect(&machine, text, VECTOR_PF, &stop);
	assert_int_equal(stop.cpu.cr2, ACROSS + 512);
	assert_int_equal(stop.error_code & PRESENT, clear == WRITABLE);
	machine_change_entry(&machine, ACROSS + 512, 0, clear);
	machine_start(&machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_memory_equal(machine_at(&machine, ACROSS + HS_XSAVE_XMM0), stop.cpu.xsave + HS_XSAVE_XMM0, 128);
	assert_memory_equal(machine_at(&machine, ACROSS + HS_XSAVE_YMMH0), stop.cpu.xsave + HS_XSAVE_YMMH0, 128);
	machine_deinit(&machine);
}

static void test_xsave_across_pages_is_done_wholly_or_not_at_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		check_across(&configs[i], "xsave", CODE32("xsave [esi]"), PRESENT);
		check_across(&configs[i], "xsaveopt", CODE32("xsaveopt [esi]"), PRESENT);
		check_across(&configs[i], "xsavec", CODE32("xsavec [esi]"), PRESENT);
		check_across(&configs[i], "xrstor", CODE32("xrstor [esi]"), PRESENT);
		if (configs[i].cpl == 3) {
			check_across(&configs[i], "xsave", CODE32("xsave [esi]"), WRITABLE);
			check_across(&configs[i], "xsavec", CODE32("xsavec [esi]"), WRITABLE);
		}
	}
}

/* ---- XCR0 ---- */

static void test_xsetbv_takes_what_is_offered_and_nothing_else(void **state)
{
	const uint64_t offered = hs_soft_backend_ops.xcr0_offered(NULL);
	const struct {
		uint64_t value, number;
		bool allowed;
	} rows[] = {
		{ 1, 0, true },
		{ 3, 0, true },
		{ offered, 0, true },
		{ 7, 0, offered == 7 },
		{ 0, 0, false },
		{ 2, 0, false },
		{ 5, 0, false },
		{ 6, 0, false },
		{ 8 | 3, 0, false },
		{ UINT64_C(1) << 32 | 3, 0, false },
		{ COMPACTED | 3, 0, false },
		{ 3, 1, false },
	};
	const struct code code = CODE32("xsetbv\n xgetbv");

	(void)state;
	for (size_t i = 0; i < CONFIG_COUNT * sizeof(rows) / sizeof(rows[0]); i++) {
		const struct machine_config *config = &configs[i % CONFIG_COUNT];
		const size_t which = i / CONFIG_COUNT;
		struct machine machine;
		struct machine_stop stop;

		machine_init(&machine, config);
		machine_set_code(&machine, code);
		arm(&machine, MACHINE_DATA);
		machine.cpu.xcr0 = 1;
		machine.cpu.gpr[HS_RAX] = (uint32_t)rows[which].value;
		machine.cpu.gpr[HS_RDX] = rows[which].value >> 32;
		machine.cpu.gpr[HS_RCX] = rows[which].number;
		if (config->cpl != 0 || !rows[which].allowed) {
			expect(&machine, "xsetbv", VECTOR_GP, &stop);
		} else {
			machine_start(&machine, &stop);
			assert_int_equal(stop.kind, MACHINE_HLT);
			assert_int_equal(stop.cpu.xcr0, rows[which].value);
			assert_int_equal(stop.cpu.gpr[HS_RAX], rows[which].value);
		}
		machine_deinit(&machine);
	}
}

static struct hs_cpu_state run(struct machine *machine, struct code code, uint64_t rax, uint64_t rcx)
{
	struct machine_stop stop;

	machine_set_code(machine, code);
	machine->cpu.gpr[HS_RAX] = rax;
	machine->cpu.gpr[HS_RCX] = rcx;
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	return stop.cpu;
}

/* xgetbv has XCR0 at every level, and has no other register. */
static void check_numbers(struct machine *machine)
{
	const uint64_t offered = hs_soft_backend_ops.xcr0_offered(NULL);
	const struct code cpuid = CODE32("cpuid");
	struct machine_stop stop;
	struct hs_cpu_state cpu;

	arm(machine, MACHINE_DATA);
	machine->cpu.xcr0 = 3;
	assert_int_equal(run(machine, CODE32("xgetbv"), 0, 0).gpr[HS_RAX], 3);
	cpu = run(machine, cpuid, 0xd, 0);
	assert_int_equal(cpu.gpr[HS_RAX], offered);
	assert_int_equal(cpu.gpr[HS_RBX], 576);
	assert_int_equal(cpu.gpr[HS_RCX], offered == 7 ? 832 : 576);
	assert_int_equal(run(machine, cpuid, 0xd, 1).gpr[HS_RAX], 3); /* xsaveopt, xsavec */
	cpu = run(machine, cpuid, 0xd, 2);
	assert_int_equal(cpu.gpr[HS_RAX], offered == 7 ? 256 : 0);
	assert_int_equal(cpu.gpr[HS_RBX], offered == 7 ? 576 : 0);
	assert_int_equal(run(machine, cpuid, 0xd, 3).gpr[HS_RAX], 0);
	machine->cpu.xcr0 = COMPONENTS;
	assert_int_equal(run(machine, cpuid, 0xd, 0).gpr[HS_RBX], 832);
	assert_int_equal(run(machine, cpuid, 0xd, 1).gpr[HS_RBX], 832);
	assert_int_equal(run(machine, cpuid, 1, 0).gpr[HS_RCX] >> 26 & 3, 3);
	machine->cpu.cr4 &= ~(uint64_t)CR4_OSXSAVE;
	assert_int_equal(run(machine, cpuid, 1, 0).gpr[HS_RCX] >> 26 & 3, 1);
	machine->cpu.cr4 |= CR4_OSXSAVE;
	machine_set_code(machine, CODE32("xgetbv"));
	machine->cpu.gpr[HS_RCX] = 2;
	expect(machine, "xgetbv", VECTOR_GP, &stop);
}

static void test_xcr0_and_cpuid_agree(void **state)
{
	(void)state;
	machine_each(configs, CONFIG_COUNT, check_numbers);
}

/* AVX-512, AMX and what one vendor alone has are not on the list, whatever the host's CPU has. */
static void test_sets_that_are_not_on_the_list_are_not_offered(void **state)
{
	const ZydisISASet sets[] = {
		ZYDIS_ISA_SET_INVALID,  ZYDIS_ISA_SET_SSE4A,  ZYDIS_ISA_SET_XOP,      ZYDIS_ISA_SET_FMA4,
		ZYDIS_ISA_SET_AMD3DNOW, ZYDIS_ISA_SET_XSAVES, ZYDIS_ISA_SET_AMX_TILE, ZYDIS_ISA_SET_AVX512F_512,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		assert_false(hs_soft_isa_offered(sets[i]));
	}
	assert_true(hs_soft_isa_offered(ZYDIS_ISA_SET_FXSAVE));
	assert_int_equal(hs_soft_isa_bits(1, 0, HS_SOFT_EDX) >> 24 & 1, 1);
	assert_int_equal(hs_soft_isa_components() & ~UINT64_C(4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xsave_is_refused_by_control_registers_and_alignment),
		cmocka_unit_test(test_xrstor_refuses_areas_that_no_cpu_has_saved),
		cmocka_unit_test(test_xsave_across_pages_is_done_wholly_or_not_at_all),
		cmocka_unit_test(test_xsetbv_takes_what_is_offered_and_nothing_else),
		cmocka_unit_test(test_xcr0_and_cpuid_agree),
		cmocka_unit_test(test_sets_that_are_not_on_the_list_are_not_offered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
