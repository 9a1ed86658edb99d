/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which registers are refused before a CPU is asked; tests/calls/case_registers.c has the table, on each CPU. */
#include "vmm/registers.h"

#include "arch/regs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct hs_backend_ops judges_itself;

/* In long mode. */
static struct hs_cpu_state long_mode(void)
{
	struct hs_cpu_state cpu;

	hs_cpu_state_init(&cpu);
	cpu.cr0 = 0x80050033;
	cpu.cr4 = 0x620;
	cpu.msr.efer = 0xd01;
	cpu.msr.pat = 0x0007040600070406;
	cpu.seg[HS_CS].l = 1;
	return cpu;
}

static void test_registers_of_other_values_are_taken(void **state)
{
	const struct hs_cpu_state before = long_mode();
	struct hs_cpu_state after = before;

	(void)state;
	after.cr0 ^= 0x10000;                     /* WP */
	after.cr3 = UINT64_C(0xffffffffff018);    /* the highest, with PWT and PCD */
	after.cr4 |= 0x20000 | UINT64_C(1) << 32; /* PCIDE, FRED: what the CPU lacks it says itself */
	after.cr8 = 15;
	after.msr.efer &= ~UINT64_C(0x801);
	after.msr.lstar = UINT64_C(0xffff800000000000);
	after.seg[HS_GS].base = UINT64_C(0x7fffffffffff);
	after.msr.pat = UINT64_C(0x0001040506070000);
	after.xsave[HS_XSAVE_MXCSR + 1] = 0xff;
	assert_int_equal(hs_registers_check(&judges_itself, &before, &after, NULL), HS_OK);
	/* Legacy mode, all at once. */
	after = before;
	after.cr0 &= ~UINT64_C(0x80000000);
	after.msr.efer &= ~UINT64_C(0x400);
	after.seg[HS_CS].l = 0;
	assert_int_equal(hs_registers_check(&judges_itself, &before, &after, NULL), HS_OK);
}

/* A guest may have them by itself, on some CPU or other, and a debugger writes them back. */
static void test_registers_as_they_were_are_taken_whatever_they_are(void **state)
{
	struct hs_cpu_state before = long_mode();
	struct hs_cpu_state after;

	(void)state;
	before.cr0 = UINT64_C(0x180000040);
	before.cr3 = UINT64_MAX;
	before.cr4 = UINT64_MAX;
	before.msr.efer = UINT64_C(1) << 14;
	before.msr.cstar = UINT64_C(1) << 50;
	before.msr.pat = 2;
	before.xsave[HS_XSAVE_MXCSR + 2] = 2;
	after = before;
	after.gpr[HS_RAX] = 1;
	after.cr2 = UINT64_MAX;
	assert_int_equal(hs_registers_check(&judges_itself, &before, &after, NULL), HS_OK);
	after.cr3 = 0;
	after.xsave[HS_XSAVE_MXCSR] = 1;
	assert_int_equal(hs_registers_check(&judges_itself, &before, &after, NULL), HS_OK);
	after.xsave[HS_XSAVE_MXCSR + 3] = 1;
	assert_int_equal(hs_registers_check(&judges_itself, &before, &after, NULL), HS_ERR_INVALID);
}

static void test_registers_with_five_levels_have_longer_addresses(void **state)
{
	struct hs_cpu_state before = long_mode();
	struct hs_cpu_state after;

	(void)state;
	before.cr4 |= 1 << 12;
	after = before;
	after.msr.kernel_gs_base = UINT64_C(0xff00000000000000);
	assert_int_equal(hs_registers_check(&judges_itself, &before, &after, NULL), HS_OK);
	after.msr.kernel_gs_base = UINT64_C(0xfe00000000000000);
	assert_int_equal(hs_registers_check(&judges_itself, &before, &after, NULL), HS_ERR_INVALID);
}

static void test_registers_of_what_the_cpu_lacks_are_refused(void **state)
{
	static const struct hs_backend_ops ops = { .cr4_offered = 0x7ff, .physical_bits = 40 };
	const struct hs_cpu_state before = long_mode();
	struct hs_cpu_state after = before;
	struct hs_error err = { .status = HS_OK };

	(void)state;
	after.cr4 |= 0x100;
	after.cr3 = UINT64_C(0xfffffff000);
	assert_int_equal(hs_registers_check(&ops, &before, &after, NULL), HS_OK);
	after.cr3 = UINT64_C(1) << 40;
	assert_int_equal(hs_registers_check(&ops, &before, &after, &err), HS_ERR_INVALID);
	assert_string_equal(err.message,
			    "CR3 cannot be 0x10000000000: physical addresses of the CPU are not that long");
	after = before;
	after.cr4 |= 0x800;
	assert_int_equal(hs_registers_check(&ops, &before, &after, &err), HS_ERR_INVALID);
	assert_string_equal(err.message, "CR4 cannot be 0xe20: the CPU lacks what a bit of it switches on");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registers_of_other_values_are_taken),
		cmocka_unit_test(test_registers_as_they_were_are_taken_whatever_they_are),
		cmocka_unit_test(test_registers_with_five_levels_have_longer_addresses),
		cmocka_unit_test(test_registers_of_what_the_cpu_lacks_are_refused),
	};

	return cmocka_run_group_tests_name("registers", tests, NULL, NULL);
}
