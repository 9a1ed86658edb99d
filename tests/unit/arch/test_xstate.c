/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* arch/regs: registers of the XSAVE area, which may be switched off or in their initial configuration. */
#include "arch/regs.h"
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* XCR0 with all that there are rows for. */
#define ALL UINT64_C(0x2e7)

static void set32(enum hs_arch arch, const char *name, struct hs_cpu_state *cpu, uint32_t value)
{
	uint8_t bytes[HS_REG_BYTES_MAX] = { 0 };

	hs_put_le32(bytes, value);
	hs_reg_set(hs_reg_by_name(arch, name), cpu, bytes);
}

static void test_regs_vector_write_marks_its_xsave_component(void **state)
{
	struct hs_cpu_state cpu;

	(void)state;
	hs_cpu_state_init(&cpu);
	cpu.xsave[HS_XSAVE_XSTATE_BV] = 4;
	set32(HS_ARCH_AMD64, "xmm3", &cpu, 1);
	assert_int_equal(cpu.xsave[HS_XSAVE_XSTATE_BV], 6);
	set32(HS_ARCH_AMD64, "st2", &cpu, 1);
	assert_int_equal(cpu.xsave[HS_XSAVE_XSTATE_BV], 7);
	cpu.xsave[HS_XSAVE_XSTATE_BV] = 0;
	set32(HS_ARCH_AMD64, "mxcsr", &cpu, 0x1f80);
	assert_int_equal(cpu.xsave[HS_XSAVE_XSTATE_BV], 2);
	set32(HS_ARCH_AMD64, "rax", &cpu, 1);
	assert_int_equal(cpu.xsave[HS_XSAVE_XSTATE_BV], 2);
}

static void get_ymm0h(const struct hs_cpu_state *cpu, uint8_t *ret)
{
	hs_reg_get(hs_reg_by_name(HS_ARCH_AMD64, "ymm0h"), cpu, ret);
}

static void test_regs_of_a_component_that_is_off_or_initial_are_zero(void **state)
{
	static const uint8_t zero[16];
	struct hs_cpu_state cpu;
	uint8_t value[HS_REG_BYTES_MAX];

	(void)state;
	hs_cpu_state_init(&cpu);
	memset(cpu.xsave + HS_XSAVE_YMMH0, 0x77, 256);
	cpu.xsave[HS_XSAVE_XSTATE_BV] = 7;
	get_ymm0h(&cpu, value);
	assert_memory_equal(value, zero, 16);
	assert_false(hs_reg_enabled(hs_reg_by_name(HS_ARCH_AMD64, "ymm0h"), &cpu));
	cpu.xcr0 = 7;
	assert_true(hs_reg_enabled(hs_reg_by_name(HS_ARCH_AMD64, "ymm0h"), &cpu));
	get_ymm0h(&cpu, value);
	assert_int_equal(value[0] | value[15] << 8, 0x7777);
	cpu.xsave[HS_XSAVE_XSTATE_BV] = 3;
	get_ymm0h(&cpu, value);
	assert_memory_equal(value, zero, 16);
}

static void test_regs_write_of_an_initial_component_makes_the_others_zero_and_marks_it(void **state)
{
	struct hs_cpu_state cpu;
	uint8_t value[HS_REG_BYTES_MAX] = { 1, 2, 3 };

	(void)state;
	hs_cpu_state_init(&cpu);
	cpu.xcr0 = ALL;
	memset(cpu.xsave + HS_XSAVE_YMMH0, 0x77, HS_XSAVE_SIZE - HS_XSAVE_YMMH0);
	hs_reg_set(hs_reg_by_name(HS_ARCH_AMD64, "ymm3h"), &cpu, value);
	assert_int_equal(hs_get_le64(cpu.xsave + HS_XSAVE_XSTATE_BV), 7);
	get_ymm0h(&cpu, value);
	assert_int_equal(value[0], 0);
	assert_int_equal(cpu.xsave[HS_XSAVE_YMMH0 + 3 * 16 + 2], 3);
	assert_int_equal(cpu.xsave[HS_XSAVE_YMMH0 + 256], 0x77);
	set32(HS_ARCH_I686, "pkru", &cpu, 0x55555554);
	assert_int_equal(hs_get_le64(cpu.xsave + HS_XSAVE_XSTATE_BV), 0x207);
	assert_int_equal(hs_get_le64(cpu.xsave + HS_XSAVE_PKRU), 0x55555554);
}

static void test_regs_enable_sets_what_xcr0_must_have_together(void **state)
{
	static const struct {
		const char *name;
		uint64_t xcr0;
	} rows[] = {
		{ "rax", 1 }, { "xmm0", 1 }, { "ymm1h", 7 }, { "k1", 0xe7 }, { "zmm31h", 0xe7 }, { "pkru", 0x201 }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hs_cpu_state cpu;

		hs_cpu_state_init(&cpu);
		hs_reg_enable(hs_reg_by_name(HS_ARCH_AMD64, rows[i].name), &cpu);
		assert_int_equal(cpu.xcr0, rows[i].xcr0);
		assert_true(hs_reg_enabled(hs_reg_by_name(HS_ARCH_AMD64, rows[i].name), &cpu));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regs_vector_write_marks_its_xsave_component),
		cmocka_unit_test(test_regs_of_a_component_that_is_off_or_initial_are_zero),
		cmocka_unit_test(test_regs_write_of_an_initial_component_makes_the_others_zero_and_marks_it),
		cmocka_unit_test(test_regs_enable_sets_what_xcr0_must_have_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
