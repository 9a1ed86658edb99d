/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addresses that are none: #GP(0), or #SS(0) through rsp and rbp, before anything else, with 48 and with 57 bits (SDM
 * vol. 1 3.3.7.1). A branch to one faults at the branch (vol. 2A, CALL, JMP, RET: "if the new RIP is not canonical").
 */
#include "machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VECTOR_SS 12
#define VECTOR_GP 13
#define VECTOR_PF 14

#define FIRST_48 UINT64_C(0x0000800000000000) /* behind the lower half */
#define LAST_48 UINT64_C(0xFFFF7FFFFFFFFFFF)  /* before the upper half */
#define FIRST_57 UINT64_C(0x0100000000000000)
#define LAST_57 UINT64_C(0xFEFFFFFFFFFFFFFF)

struct row {
	struct code code;
	unsigned int vector;
};

static size_t make_rows(struct row *rows)
{
	const struct row all[] = {
		{ CODE64("mov eax, [rbx]"), VECTOR_GP },
		{ CODE64("mov [rbx], eax"), VECTOR_GP },
		{ CODE64("add [rbx], eax"), VECTOR_GP },
		{ CODE64("mov eax, [rbp]"), VECTOR_SS },
		{ CODE64("xor ebp, ebp\n mov eax, [rbx + rbp]"), VECTOR_GP },
		{ CODE64("movups xmm0, [rbx]"), VECTOR_GP },
		{ CODE64("mov rsp, rbx\n push rax"), VECTOR_SS },
		{ CODE64("mov rsp, rbx\n pop rax"), VECTOR_SS },
		{ CODE64("mov rsp, rbx\n ret"), VECTOR_SS },
		{ CODE64("mov rsi, rbx\n lodsb"), VECTOR_GP },
		{ CODE64("mov rdi, rbx\n stosb"), VECTOR_GP },
		{ CODE64("jmp rbx"), VECTOR_GP },
		{ CODE64("call rbx"), VECTOR_GP },
		{ CODE64("push rbx\n ret"), VECTOR_GP },
	};

	memcpy(rows, all, sizeof(all));
	return sizeof(all) / sizeof(all[0]);
}

/* The fault of a row with this address in rbx and rbp. */
static void run_row(struct machine *machine, const struct row *row, uint64_t address, struct machine_stop *stop)
{
	machine_set_code(machine, row->code);
	machine->cpu.gpr[HS_RBX] = address;
	machine->cpu.gpr[HS_RBP] = address;
	machine_start(machine, stop);
}

static void check(enum hs_paging_format format, unsigned int cpl, uint64_t address, bool is_canonical)
{
	const struct machine_config config = { .ops = &TEST_OPS, .mode = MACHINE_64, .format = format, .cpl = cpl };
	static struct machine machine;
	static struct machine_stop stop;
	struct row rows[20];
	size_t count = make_rows(rows);

	machine_init(&machine, &config);
	for (size_t i = 0; i < count; i++) {
		unsigned int vector = is_canonical ? VECTOR_PF : rows[i].vector;

		run_row(&machine, &rows[i], address, &stop);
		if (stop.kind != MACHINE_FAULT || stop.vector != vector) {
			fail_msg("row %zu, address 0x%llx, format %d: exit %d, vector %u, not %u", i,
				 (unsigned long long)address, (int)format, (int)stop.exit.kind, stop.vector, vector);
		}
		assert_true(is_canonical || stop.error_code == 0);
	}
	machine_deinit(&machine);
}

static void test_canonical_gap_of_48_bits_faults(void **state)
{
	(void)state;
	for (unsigned int cpl = 0; cpl <= 3; cpl += 3) {
		check(HS_PAGING_4LEVEL, cpl, FIRST_48 + 0x100, false);
		check(HS_PAGING_4LEVEL, cpl, LAST_48 - 0x100, false);
		check(HS_PAGING_4LEVEL, cpl, UINT64_C(0x8000000000000000), false);
		check(HS_PAGING_4LEVEL, cpl, FIRST_48 - 0x1000, true);
		check(HS_PAGING_4LEVEL, cpl, LAST_48 + 0x1001, true);
	}
}

static void test_canonical_gap_of_57_bits_faults(void **state)
{
	(void)state;
	for (unsigned int cpl = 0; cpl <= 3; cpl += 3) {
		check(HS_PAGING_5LEVEL, cpl, FIRST_57 + 0x100, false);
		check(HS_PAGING_5LEVEL, cpl, LAST_57 - 0x100, false);
		check(HS_PAGING_5LEVEL, cpl, FIRST_48 + 0x100, true);
		check(HS_PAGING_5LEVEL, cpl, LAST_48 - 0x100, true);
		check(HS_PAGING_5LEVEL, cpl, FIRST_57 - 0x1000, true);
	}
}

/* The last byte is not canonical: that counts before the first, which is not mapped. */
static void test_canonical_access_into_the_gap_faults(void **state)
{
	const struct row row = { CODE64("mov rax, [rbx]"), VECTOR_GP };
	const struct machine_config config = {
		.ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0
	};
	static struct machine machine;
	static struct machine_stop stop;

	(void)state;
	machine_init(&machine, &config);
	run_row(&machine, &row, FIRST_48 - 7, &stop);
	assert_int_equal(stop.kind, MACHINE_FAULT);
	assert_int_equal(stop.vector, VECTOR_GP);
	run_row(&machine, &row, FIRST_48 - 8, &stop);
	assert_int_equal(stop.kind, MACHINE_FAULT);
	assert_int_equal(stop.vector, VECTOR_PF);
	machine_deinit(&machine);
}

/* A fault of a branch is the branch's: rip and the stack are as before it. */
static void test_canonical_branch_into_the_gap_does_not_happen(void **state)
{
	const struct machine_config config = {
		.ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0
	};
	const struct code codes[] = { CODE64("jmp rbx"), CODE64("call rbx") };
	static struct machine machine;
	static struct machine_stop stop;

	(void)state;
	machine_init(&machine, &config);
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		machine_set_code(&machine, codes[i]);
		machine.cpu.gpr[HS_RBX] = FIRST_48;
		machine_start(&machine, &stop);
		assert_int_equal(stop.vector, VECTOR_GP);
		assert_int_equal(stop.cpu.rip, MACHINE_CODE);
		assert_int_equal(stop.cpu.gpr[HS_RSP], MACHINE_STACK);
	}
	machine_deinit(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_canonical_gap_of_48_bits_faults),
		cmocka_unit_test(test_canonical_gap_of_57_bits_faults),
		cmocka_unit_test(test_canonical_access_into_the_gap_faults),
		cmocka_unit_test(test_canonical_branch_into_the_gap_does_not_happen),
	};

	return cmocka_run_group_tests_name("canonical", tests, NULL, NULL);
}
