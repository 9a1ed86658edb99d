/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * syscall, sysret, sysenter and sysexit, in the modes that have them and those that do not; and the instructions about
 * descriptor tables and bases: lgdt, sgdt, lldt, ltr, lar, lsl, verr, verw, arpl, swapgs, wrfsbase.
 */
#include "protection_scene.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SPARE MACHINE_SPARE
#define TARGET (MACHINE_CODE + 0x80)
#define CR4_UMIP (1u << 11)
#define CR4_FSGSBASE (1u << 16)
#define EFER_SCE 1u
#define FLAG_ZF 0x40u
#define FIVES UINT64_C(0x5555555555555555)
#define NOT_CANONICAL (UINT64_C(1) << 47)
#define NONE                                                                                                           \
	{                                                                                                              \
		-1, 0                                                                                                  \
	}

/* ---- Fast system calls ---- */

/* STAR and SYSENTER_CS are what the machine's GDT is laid out for. */
static void set_system_calls(struct machine *machine)
{
	struct hs_msrs *msr = &machine->cpu.msr;

	msr->star = (uint64_t)MACHINE_CS3_32 << 48 | (uint64_t)MACHINE_CS0 << 32;
	msr->lstar = TARGET;
	msr->fmask = 0x201;
	msr->sysenter_cs = MACHINE_CS0;
	msr->sysenter_esp = MACHINE_EXCEPTION_STACK;
	msr->sysenter_eip = TARGET;
}

static void init(struct machine *machine, enum machine_mode mode, unsigned int cpl, struct code code)
{
	const struct machine_config config = scene_config(mode, cpl);

	machine_init(machine, &config);
	machine_set_code(machine, code);
	machine_put(machine, TARGET, "\xF4", 1);
	set_system_calls(machine);
	machine->cpu.msr.efer |= mode == MACHINE_32 ? 0 : EFER_SCE;
}

static void check_segments(const struct machine_stop *stop, uint16_t cs, uint16_t ss, bool wide)
{
	const struct hs_segment *code = &stop->cpu.seg[HS_CS];
	const struct hs_segment *data = &stop->cpu.seg[HS_SS];

	assert_int_equal(code->selector, cs);
	assert_int_equal(data->selector, ss);
	assert_int_equal(code->dpl, cs & 3);
	assert_int_equal(data->dpl, cs & 3);
	assert_int_equal(code->l, wide);
	assert_int_equal(code->db, !wide);
	assert_int_equal(code->limit, 0xFFFFFFFF);
	assert_int_equal(data->limit, 0xFFFFFFFF);
	assert_int_equal(code->type, 11);
	assert_int_equal(data->type, 3);
}

static void test_syscall_and_back(void **state)
{
	struct machine_stop stop;
	struct machine machine;

	(void)state;
	init(&machine, MACHINE_64, 3, CODE64("syscall"));
	machine_put(&machine, TARGET, "\xF4\x48\x0F\x07", 4); /* hlt; sysretq */
	machine.cpu.rflags = 0x247;
	machine_start(&machine, &stop);
	assert_int_equal(stop.cpu.rip, TARGET);
	assert_int_equal(stop.cpu.gpr[HS_RCX], MACHINE_CODE + 2);
	assert_int_equal(stop.cpu.gpr[HS_R11], 0x247);
	assert_int_equal(stop.cpu.rflags, 0x46);
	assert_int_equal(stop.cpu.gpr[HS_RSP], MACHINE_STACK);
	check_segments(&stop, MACHINE_CS0, MACHINE_DS0, true);
	machine_run(&machine, &stop);
	assert_int_equal(stop.cpu.rip, MACHINE_CODE + 2);
	assert_int_equal(stop.cpu.rflags, 0x247);
	check_segments(&stop, MACHINE_CS3_64 | 3, MACHINE_DS3 | 3, true);
	machine_deinit(&machine);
}

static void test_sysret_to_compatibility_mode(void **state)
{
	struct machine_stop stop;
	struct machine machine;

	(void)state;
	init(&machine, MACHINE_64, 0, CODE64(".byte 0x0F, 0x07"));
	machine_change_entry(&machine, MACHINE_CODE, 0, 4); /* a user page */
	machine.cpu.gpr[HS_RCX] = UINT64_C(0xFFFFFFFF00000000) | TARGET;
	machine.cpu.gpr[HS_R11] = 0xFFFFFFFFFFDFFEFF; /* without TF and ID */
	machine_start(&machine, &stop);
	assert_int_equal(stop.cpu.rip, TARGET);
	assert_int_equal(stop.cpu.rflags, 0x1C7ED7);
	check_segments(&stop, MACHINE_CS3_32 | 3, MACHINE_DS3 | 3, false);
	machine_deinit(&machine);
}

static void test_sysenter_and_back(void **state)
{
	(void)state;
	for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
		bool wide = mode != MACHINE_32;
		struct machine_stop stop;
		struct machine machine;

		init(&machine, (enum machine_mode)mode, 3, CODE32("sysenter"));
		machine_put(&machine, TARGET, "\xF4\x0F\x35", 3); /* hlt; sysexit */
		machine.cpu.rflags = 0x247;
		machine_start(&machine, &stop);
		assert_int_equal(stop.cpu.rip, TARGET);
		assert_int_equal(stop.cpu.gpr[HS_RSP], MACHINE_EXCEPTION_STACK);
		assert_int_equal(stop.cpu.rflags, 0x47);
		check_segments(&stop, MACHINE_CS0, MACHINE_DS0, wide);
		machine.cpu = stop.cpu;
		machine.cpu.rip = TARGET + 1;
		machine.cpu.gpr[HS_RCX] = UINT64_C(0x100000000) | MACHINE_STACK;
		machine.cpu.gpr[HS_RDX] = UINT64_C(0x100000000) | (MACHINE_CODE + 2);
		machine_start(&machine, &stop);
		assert_int_equal(stop.cpu.rip, MACHINE_CODE + 2);
		assert_int_equal(stop.cpu.gpr[HS_RSP], MACHINE_STACK);
		check_segments(&stop, MACHINE_CS3_32 | 3, MACHINE_DS3 | 3, false);
		machine_deinit(&machine);
	}
}

/* What spoils it. */
enum spoiled { NOTHING, NO_SCE, NO_SYSENTER_CS, BAD_RCX, BAD_RDX };

struct row {
	const char *what;
	enum machine_mode mode;
	uint8_t cpl;
	struct code code;
	enum spoiled spoiled;
	struct expected expected;
};

static void run_row(const struct row *row)
{
	struct machine_stop stop;
	struct machine machine;

	init(&machine, row->mode, row->cpl, row->code);
	machine.cpu.gpr[HS_RCX] = row->spoiled == BAD_RCX ? NOT_CANONICAL : TARGET;
	machine.cpu.gpr[HS_RDX] = row->spoiled == BAD_RDX ? NOT_CANONICAL : TARGET;
	if (row->spoiled == NO_SCE) {
		machine.cpu.msr.efer &= ~(uint64_t)EFER_SCE;
	} else if (row->spoiled == NO_SYSENTER_CS) {
		machine.cpu.msr.sysenter_cs = 3;
	}
	scene_expect(&machine, row->what, &row->expected, &stop);
	machine_deinit(&machine);
}

static void test_system_calls_that_are_not_there(void **state)
{
	const struct row rows[] = {
		{ "syscall without SCE", MACHINE_64, 3, CODE64("syscall"), NO_SCE, { 6, 0 } },
		{ "syscall in compatibility mode", MACHINE_COMPAT, 3, CODE64("syscall"), NOTHING, { 6, 0 } },
		{ "syscall in 32-bit mode", MACHINE_32, 3, CODE64("syscall"), NOTHING, { 6, 0 } },
		{ "sysret without SCE", MACHINE_64, 0, CODE64("sysretq"), NO_SCE, { 6, 0 } },
		{ "sysret in ring 3", MACHINE_64, 3, CODE64("sysretq"), NOTHING, { 13, 0 } },
		{ "sysret to where nothing is", MACHINE_64, 0, CODE64("sysretq"), BAD_RCX, { 13, 0 } },
		{ "sysenter without a CS", MACHINE_64, 3, CODE64("sysenter"), NO_SYSENTER_CS, { 13, 0 } },
		{ "32-bit sysenter without a CS", MACHINE_32, 3, CODE64("sysenter"), NO_SYSENTER_CS, { 13, 0 } },
		{ "sysexit without a CS", MACHINE_32, 0, CODE32(".byte 0x0f, 0x35"), NO_SYSENTER_CS, { 13, 0 } },
		{ "sysexit in ring 3", MACHINE_32, 3, CODE32(".byte 0x0f, 0x35"), NOTHING, { 13, 0 } },
		{ "64-bit sysexit, bad rcx", MACHINE_64, 0, CODE64(".byte 0x48, 0x0f, 0x35"), BAD_RCX, { 13, 0 } },
		{ "64-bit sysexit, bad rdx", MACHINE_64, 0, CODE64(".byte 0x48, 0x0f, 0x35"), BAD_RDX, { 13, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		run_row(&rows[i]);
	}
}

/* ---- Descriptor tables and bases ---- */

/* A form each that only ring 0 may run, or nobody with these bits of CR4. */
static void test_tables_privileged(void **state)
{
	const struct {
		const char *what;
		uint8_t modes, cpl;
		struct code code;
		uint32_t cr4;
		struct expected expected;
	} rows[] = {
		{ "lgdt", EVERYWHERE, 3, CODE32("lgdt [ebx]"), 0, { 13, 0 } },
		{ "lidt", EVERYWHERE, 3, CODE32("lidt [ebx]"), 0, { 13, 0 } },
		{ "lldt", EVERYWHERE, 3, CODE32("lldt ax"), 0, { 13, 0 } },
		{ "ltr", EVERYWHERE, 3, CODE32("ltr ax"), 0, { 13, 0 } },
		{ "sgdt", EVERYWHERE, 3, CODE32("sgdt [ebx]"), 0, NONE },
		{ "sgdt, UMIP", EVERYWHERE, 3, CODE32("sgdt [ebx]"), CR4_UMIP, { 13, 0 } },
		{ "sidt, UMIP", EVERYWHERE, 3, CODE32("sidt [ebx]"), CR4_UMIP, { 13, 0 } },
		{ "sldt, UMIP", EVERYWHERE, 3, CODE32("sldt eax"), CR4_UMIP, { 13, 0 } },
		{ "str, UMIP", EVERYWHERE, 3, CODE32("str eax"), CR4_UMIP, { 13, 0 } },
		{ "str in ring 0, UMIP", EVERYWHERE, 0, CODE32("str eax"), CR4_UMIP, NONE },
		{ "swapgs", IN_64, 3, CODE64("swapgs"), 0, { 13, 0 } },
		{ "wrfsbase", IN_64, 3, CODE64("wrfsbase rax"), 0, { 6, 0 } },
		{ "wrgsbase", IN_64, 3, CODE64("wrgsbase rcx"), CR4_FSGSBASE, { 13, 0 } },
		{ "rdgsbase", IN_64, 3, CODE64("rdgsbase rcx"), CR4_FSGSBASE, NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
			struct machine_stop stop;
			struct machine machine;

			if (rows[i].modes >> mode & 1) {
				init(&machine, (enum machine_mode)mode, rows[i].cpl, rows[i].code);
				machine.cpu.cr4 |= rows[i].cr4;
				machine.cpu.gpr[HS_RBX] = MACHINE_DATA;
				machine.cpu.gpr[HS_RCX] = NOT_CANONICAL;
				scene_expect(&machine, rows[i].what, &rows[i].expected, &stop);
				machine_deinit(&machine);
			}
		}
	}
}

/* ltr and lldt with every bad descriptor; a good TSS becomes busy. */
static void test_tables_ltr_and_lldt_check_descriptors(void **state)
{
	const struct {
		const char *what;
		uint8_t modes;
		bool ldt;
		uint8_t access;
		uint16_t selector;
		struct expected expected;
	} rows[] = {
		{ "a TSS", EVERYWHERE, false, SYSTEM(0, 9), SPARE, NONE },
		{ "a busy TSS", EVERYWHERE, false, SYSTEM(0, 11), SPARE, { 13, SPARE } },
		{ "a TSS that is not there", EVERYWHERE, false, ABSENT(SYSTEM(0, 9)), SPARE, { 11, SPARE } },
		{ "a 16-bit TSS", IN_LONG, false, SYSTEM(0, 1), SPARE, { 13, SPARE } },
		{ "a 16-bit TSS", IN_32, false, SYSTEM(0, 1), SPARE, NONE },
		{ "an LDT for a TSS", EVERYWHERE, false, SYSTEM(0, 2), SPARE, { 13, SPARE } },
		{ "data for a TSS", EVERYWHERE, false, ACCESS(0, 9), SPARE, { 13, SPARE } },
		{ "null for a TSS", EVERYWHERE, false, 0, 1, { 13, 0 } },
		{ "a TSS of an LDT", EVERYWHERE, false, SYSTEM(0, 9), SPARE | 4, { 13, SPARE | 4 } },
		{ "a TSS out of the table", EVERYWHERE, false, 0, 0x1000, { 13, 0x1000 } },
		{ "an LDT", EVERYWHERE, true, SYSTEM(0, 2), SPARE, NONE },
		{ "null for an LDT", EVERYWHERE, true, 0, 2, NONE },
		{ "an LDT that is not there", EVERYWHERE, true, ABSENT(SYSTEM(0, 2)), SPARE, { 11, SPARE } },
		{ "a TSS for an LDT", EVERYWHERE, true, SYSTEM(0, 9), SPARE, { 13, SPARE } },
		{ "an LDT of an LDT", EVERYWHERE, true, SYSTEM(0, 2), SPARE | 4, { 13, SPARE | 4 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
			struct machine_stop stop;
			struct machine machine;

			if (!(rows[i].modes >> mode & 1)) {
				continue;
			}
			init(&machine, (enum machine_mode)mode, 0, rows[i].ldt ? CODE32("lldt ax") : CODE32("ltr ax"));
			scene_put_small(&machine, SPARE, rows[i].access, 0x12345678, 0x67);
			machine.cpu.gpr[HS_RAX] = rows[i].selector;
			scene_expect(&machine, rows[i].what, &rows[i].expected, &stop);
			if (rows[i].expected.vector < 0 && (rows[i].selector & ~3)) {
				const struct hs_segment *got = &stop.cpu.seg[rows[i].ldt ? HS_LDTR : HS_TR];

				assert_int_equal(got->selector, SPARE);
				assert_int_equal(got->base, 0x12345678);
				assert_int_equal(got->limit, 0x67);
				assert_int_equal(*scene_access(&machine, SPARE),
						 rows[i].access | (rows[i].ldt ? 0 : 2));
			}
			machine_deinit(&machine);
		}
	}
}

/* lar, lsl, verr and verw of the same descriptor: which of them say yes, in long mode and outside. */
static void test_tables_questions_about_descriptors(void **state)
{
	enum { LAR = 1, LSL = 2, VERR = 4, VERW = 8, ALL = 15 };
	const struct {
		uint8_t cpl, access;
		uint16_t selector;
		uint8_t yes_long, yes_32;
	} rows[] = {
		{ 0, ACCESS(0, DATA_RW), SPARE, ALL, ALL },
		{ 0, ABSENT(ACCESS(0, DATA_RW)), SPARE, ALL, ALL },
		{ 0, ACCESS(0, DATA_RO), SPARE, ALL - VERW, ALL - VERW },
		{ 0, ACCESS(0, CODE_X), SPARE, LAR | LSL, LAR | LSL },
		{ 3, ACCESS(0, DATA_RW), SPARE, 0, 0 },
		{ 0, ACCESS(2, DATA_RW), SPARE | 3, 0, 0 },
		{ 3, ACCESS(3, CODE_RX), SPARE | 3, ALL - VERW, ALL - VERW },
		{ 3, ACCESS(0, CONFORMING_RX), SPARE | 3, ALL - VERW, ALL - VERW },
		{ 3, ACCESS(0, CONFORMING_X), SPARE | 3, LAR | LSL, LAR | LSL },
		{ 0, SYSTEM(0, 2), SPARE, LAR | LSL, LAR | LSL },
		{ 0, SYSTEM(0, 9), SPARE, LAR | LSL, LAR | LSL },
		{ 0, SYSTEM(0, 11), SPARE, LAR | LSL, LAR | LSL },
		{ 0, SYSTEM(0, 1), SPARE, 0, LAR | LSL },
		{ 0, SYSTEM(0, 12), SPARE, LAR, LAR },
		{ 0, SYSTEM(0, 5), SPARE, 0, LAR },
		{ 0, SYSTEM(0, 14), SPARE, 0, 0 },
		{ 3, SYSTEM(2, 9), SPARE, 0, 0 },
		{ 0, 0, 0, 0, 0 },
		{ 0, 0, 0x1000, 0, 0 },
	};
	const char *const names[] = { "lar", "lsl", "verr", "verw" };

	(void)state;
	for (size_t i = 0; i < 4 * sizeof(rows) / sizeof(rows[0]); i++) {
		const unsigned int n = (unsigned int)i / 4, question = i % 4;
		const struct code codes[] = { CODE32("lar ecx, eax"), CODE32("lsl ecx, eax"), CODE32("verr ax"),
					      CODE32("verw ax") };
		const uint32_t answers[] = { (uint32_t)(0x00CF << 16 | rows[n].access << 8), 0xFFFFFFFF, 0x77, 0x77 };

		for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
			bool yes = (mode == MACHINE_32 ? rows[n].yes_32 : rows[n].yes_long) >> question & 1;
			struct machine_stop stop;
			struct machine machine;

			init(&machine, (enum machine_mode)mode, rows[n].cpl, codes[question]);
			scene_put_segment(&machine, SPARE, rows[n].access, false);
			machine.cpu.gpr[HS_RAX] = 0xFFFF0000 | rows[n].selector;
			machine.cpu.gpr[HS_RCX] = 0x77;
			machine.cpu.rflags = yes ? 0x893 : 0x8D3;
			machine_start(&machine, &stop);
			if (stop.cpu.rflags != (yes ? 0x8D3 : 0x893) ||
			    stop.cpu.gpr[HS_RCX] != (yes ? answers[question] : 0x77)) {
				fail_msg("%s, access 0x%x, mode %d: ecx 0x%llx, rflags 0x%llx", names[question],
					 rows[n].access, mode, (unsigned long long)stop.cpu.gpr[HS_RCX],
					 (unsigned long long)stop.cpu.rflags);
			}
			machine_deinit(&machine);
		}
	}
}

/* What is loaded and stored, by its traces in rax and in 16 bytes of memory that began as 0x55. */
static void test_tables_values(void **state)
{
	const struct {
		const char *what;
		uint8_t modes;
		struct code code;
		uint64_t rax, low, high;
	} rows[] = {
		{ "sgdt", IN_64, CODE64("sgdt [rbx]"), 0x77, 0x10000FFF, 0x5555555555550000 },
		{ "sgdt", IN_LEGACY, CODE32("sgdt [ebx]"), 0x77, 0x5555000010000FFF, FIVES },
		{ "str to memory", EVERYWHERE, CODE32("str [ebx]"), 0x77, 0x5555555555550030, FIVES },
		{ "str to a register", EVERYWHERE, CODE32("str eax"), 0x30, FIVES, FIVES },
		{ "sldt to 16 bits", EVERYWHERE, CODE32("sldt ax"), 0, FIVES, FIVES },
		{ "mov from ss to memory", EVERYWHERE, CODE32(".byte 0x8c, 0x13"), 0x77, 0x5555555555550010, FIVES },
		{ "arpl raises an RPL", IN_LEGACY, CODE32("mov al, 0x10\n mov cl, 2\n arpl ax, cx"), 0x12, FIVES,
		  FIVES },
		{ "arpl lowers none", IN_LEGACY, CODE32("mov al, 0x13\n mov cl, 2\n arpl ax, cx"), 0x13, FIVES, FIVES },
		{ "wrfsbase and back", IN_64, CODE64("wrfsbase rbx\n rdfsbase rax"), MACHINE_DATA, FIVES, FIVES },
		{ "32 bits of a base", IN_64, CODE64("mov rax, -1\n wrgsbase eax\n rdgsbase rax"), 0xFFFFFFFF, FIVES,
		  FIVES },
		{ "swapgs", IN_64, CODE64("swapgs\n rdgsbase rax"), 0x123456789A, FIVES, FIVES },
		{ "fs has the base that was written", IN_64, CODE64("wrfsbase rbx\n mov eax, fs:[0]"), 0x55555555,
		  FIVES, FIVES },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
			struct machine_stop stop;
			struct machine machine;

			if (!(rows[i].modes >> mode & 1)) {
				continue;
			}
			init(&machine, (enum machine_mode)mode, 0, rows[i].code);
			memset(machine_at(&machine, MACHINE_DATA), 0x55, 16);
			machine.cpu.cr4 |= mode == MACHINE_64 ? CR4_FSGSBASE : 0;
			machine.cpu.gpr[HS_RAX] = 0x77;
			machine.cpu.gpr[HS_RBX] = MACHINE_DATA;
			machine.cpu.msr.kernel_gs_base = 0x123456789A;
			machine_start(&machine, &stop);
			if (stop.kind != MACHINE_HLT || stop.cpu.gpr[HS_RAX] != rows[i].rax ||
			    hs_get_le64(machine_at(&machine, MACHINE_DATA)) != rows[i].low ||
			    hs_get_le64(machine_at(&machine, MACHINE_DATA + 8)) != rows[i].high) {
				fail_msg("%s, mode %d: stop %d, rax 0x%llx, memory 0x%llx 0x%llx", rows[i].what, mode,
					 stop.kind, (unsigned long long)stop.cpu.gpr[HS_RAX],
					 (unsigned long long)hs_get_le64(machine_at(&machine, MACHINE_DATA)),
					 (unsigned long long)hs_get_le64(machine_at(&machine, MACHINE_DATA + 8)));
			}
			machine_deinit(&machine);
		}
	}
}

/* lgdt takes 24 bits of the base with a 16-bit operand size, and sets nothing when the base is not canonical. */
static void test_tables_lgdt_bases(void **state)
{
	const struct expected refused = { 13, 0 };

	(void)state;
	for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
		struct machine_stop stop;
		struct machine machine;

		init(&machine, (enum machine_mode)mode, 0, CODE32(".byte 0x66, 0x0f, 0x01, 0x13")); /* lgdt [ebx] */
		machine.cpu.gpr[HS_RBX] = MACHINE_DATA;
		hs_put_le16(machine_at(&machine, MACHINE_DATA), 0x7FF);
		hs_put_le64(machine_at(&machine, MACHINE_DATA + 2), 0xFF001000);
		machine_start(&machine, &stop);
		assert_int_equal(stop.cpu.gdt.limit, 0x7FF);
		assert_int_equal(stop.cpu.gdt.base, mode == MACHINE_64 ? 0xFF001000 : 0x1000);
		if (mode == MACHINE_64) {
			hs_put_le64(machine_at(&machine, MACHINE_DATA + 2), NOT_CANONICAL);
			scene_expect(&machine, "lgdt of nowhere", &refused, &stop);
		}
		machine_deinit(&machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_syscall_and_back),
		cmocka_unit_test(test_sysret_to_compatibility_mode),
		cmocka_unit_test(test_sysenter_and_back),
		cmocka_unit_test(test_system_calls_that_are_not_there),
		cmocka_unit_test(test_tables_privileged),
		cmocka_unit_test(test_tables_values),
		cmocka_unit_test(test_tables_lgdt_bases),
		cmocka_unit_test(test_tables_ltr_and_lldt_check_descriptors),
		cmocka_unit_test(test_tables_questions_about_descriptors),
	};

	return cmocka_run_group_tests_name("syscall", tests, NULL, NULL);
}
