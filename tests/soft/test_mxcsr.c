/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* MXCSR and what its exceptions do, masked and not. */
#include "vector_scene.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct mxcsr_row {
	struct vector_text text;
	uint32_t before, after;
};

static void check_mxcsr(const struct machine_config *config, const struct mxcsr_row *row)
{
	struct machine_stop stop;
	struct machine machine;

	vector_begin(&machine, config, &row->text);
	hs_put_le32(machine.cpu.xsave + HS_XSAVE_MXCSR, row->before);
	vector_run_to_hlt(&machine, row->text.name, &stop);
	assert_int_equal(vector_mxcsr(&stop.cpu), row->after);
	assert_int_equal(hs_get_le32(machine_at(&machine, VECTOR_TO)), row->after);
	machine_deinit(&machine);
}

static void test_vector_exceptions_that_are_masked_set_sticky_flags(void **state)
{
	const struct mxcsr_row rows[] = {
		{ VECTOR_TEXT("addsd xmm1, xmm2\n stmxcsr [edi]"), 0x1F80, 0x1F80 },
		{ VECTOR_TEXT("divsd xmm2, xmm1\n addsd xmm1, xmm1\n stmxcsr [edi]"), 0x1F80, 0x1FA0 },
		{ VECTOR_TEXT("divsd xmm1, xmm3\n stmxcsr [edi]"), 0x1FA0, 0x1FA4 },
		{ VECTOR_TEXT("addsd xmm5, xmm1\n stmxcsr [edi]"), 0x1F80, 0x1F81 },
		{ VECTOR_TEXT("addsd xmm6, xmm1\n stmxcsr [edi]"), 0x1F80, 0x1FA2 },
		{ VECTOR_TEXT("addsd xmm6, xmm1\n stmxcsr [edi]"), 0x1FC0, 0x1FC0 }, /* denormals are zeroes */
		/* Changed on the way, and seen by what comes next. */
		{ VECTOR_TEXT("divsd xmm1, xmm3\n mov dword ptr [edi], 0x1F80\n ldmxcsr [edi]\n divsd xmm2, xmm1\n"
			      " addsd xmm5, xmm1\n stmxcsr [edi]"),
		  0x1F80, 0x1F81 },
		{ VECTOR_TEXT("divsd xmm1, xmm3\n fxsave [edi + 64]\n mov eax, [edi + 64 + 24]\n mov [edi], eax"),
		  0x1F80, 0x1F84 },
		{ VECTOR_TEXT("fxsave [edi + 64]\n divsd xmm1, xmm3\n fxrstor [edi + 64]\n stmxcsr [edi]"), 0x1F80,
		  0x1F80 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * VECTOR_CONFIGS; i++) {
		check_mxcsr(&vector_configs[i % VECTOR_CONFIGS], &rows[i / VECTOR_CONFIGS]);
	}
}

/* 1 + 2^-1022 is 1, or the number above it. */
static void test_vector_rounding_is_as_the_guest_asks(void **state)
{
	const struct vector_text text = VECTOR_TEXT("divsd xmm2, xmm2\n addsd xmm2, xmm4");
	static const struct {
		uint32_t mxcsr;
		double sum;
	} rows[] = { { 0x1F80, 1 }, { 0x3F80, 1 }, { 0x5F80, 0x1.0000000000001p0 }, { 0x7F80, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct machine_stop stop;
		struct machine machine;
		double got;

		vector_begin(&machine, &vector_configs[0], &text);
		hs_put_le32(machine.cpu.xsave + HS_XSAVE_MXCSR, rows[i].mxcsr);
		vector_run_to_hlt(&machine, text.name, &stop);
		memcpy(&got, vector_xmm(&stop.cpu, 2), 8);
		assert_true(got == rows[i].sum);
		assert_int_equal(vector_mxcsr(&stop.cpu), rows[i].mxcsr | 0x20);
		machine_deinit(&machine);
	}
}

/* The host computes as before, whatever the guest has in MXCSR. */
static void test_vector_mxcsr_of_the_host_is_left_alone(void **state)
{
	const struct vector_text text = VECTOR_TEXT("divsd xmm2, xmm3\n addsd xmm2, xmm4");
	uint32_t before = 0, after = 0;
	struct machine_stop stop;
	struct machine machine;

	(void)state;
	vector_begin(&machine, &vector_configs[0], &text);
	hs_put_le32(machine.cpu.xsave + HS_XSAVE_MXCSR, 0xFFC0);
	machine_load(&machine);
	__asm__ volatile("stmxcsr %0" : "=m"(before));
	machine_run(&machine, &stop);
	__asm__ volatile("stmxcsr %0" : "=m"(after));
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(vector_mxcsr(&stop.cpu), 0xFFC4);
	assert_int_equal(after, before);
	machine_deinit(&machine);
}

struct xm_row {
	struct vector_text text;
	uint32_t before, after; /* MXCSR */
	bool raises;
};

static void check_xm(const struct machine_config *config, const struct xm_row *row, bool told)
{
	struct machine_stop stop;
	struct machine machine;

	if (!vector_is_there(&row->text)) {
		return;
	}
	vector_begin(&machine, config, &row->text);
	hs_put_le32(machine.cpu.xsave + HS_XSAVE_MXCSR, row->before);
	machine.cpu.cr4 &= told ? UINT64_MAX : ~(uint64_t)CR4_OSXMMEXCPT;
	if (row->raises) {
		vector_run_to_fault(&machine, row->text.name, told ? 19 : 6, &stop);
		assert_int_equal(stop.has_error_code, false);
	} else {
		vector_run_to_hlt(&machine, row->text.name, &stop);
	}
	assert_int_equal(vector_mxcsr(&stop.cpu), row->after);
	machine_deinit(&machine);
}

static void test_vector_exceptions_that_are_not_masked_raise_xm(void **state)
{
	const struct xm_row rows[] = {
		{ VECTOR_TEXT("divsd xmm1, xmm3"), 0x1D80, 0x1D84, true },  /* divide by zero */
		{ VECTOR_TEXT("divpd xmm1, xmm3"), 0x1F00, 0x1F04, false }, /* 3 / 0 is not invalid */
		{ VECTOR_TEXT("divpd xmm3, xmm3"), 0x1F00, 0x1F01, true },
		{ VECTOR_TEXT("addsd xmm5, xmm1"), 0x1F00, 0x1F01, true },
		{ VECTOR_TEXT("divsd xmm2, xmm1"), 0x0F80, 0x0FA0, true },  /* inexact */
		{ VECTOR_TEXT("addsd xmm6, xmm1"), 0x1E80, 0x1E82, true },  /* denormal: before it is inexact */
		{ VECTOR_TEXT("addsd xmm6, xmm1"), 0x1700, 0x1722, false }, /* underflow and invalid are not masked */
		{ VECTOR_TEXT("mulsd xmm4, xmm4"), 0x1780, 0x17B0, true },  /* underflow */
		{ VECTOR_TEXT("divsd xmm4, xmm2"), 0x1780, 0x1790, true },  /* tiny, and exact */
		{ VECTOR_TEXT("divsd xmm4, xmm2"), 0x1F80, 0x1F80, false }, /* masked it has to be inexact as well */
		{ VECTOR_TEXT("divsd xmm4, xmm2"), 0x0F80, 0x0F80, false },
		{ VECTOR_TEXT("addsd xmm1, xmm2"), 0x0000, 0x0000, false },
		{ VECTOR_TEXT("paddd xmm5, xmm6"), 0x0000, 0x0000, false },
		{ VECTOR_TEXT("cvttsd2si eax, xmm5"), 0x1F00, 0x1F01, true },
		{ VECTOR_TEXT("comisd xmm1, xmm5"), 0x1F00, 0x1F01, true },
		{ VECTOR_TEXT("vaddpd ymm1, ymm2, ymm5"), 0x1F00, 0x1F01, true },
		{ VECTOR_TEXT("vfmadd231sd xmm1, xmm2, xmm5"), 0x1F00, 0x1F01, true },
		{ VECTOR_TEXT("vcvtps2ph [edi], xmm6, 0"), 0x1E80, 0x1E82, true },
		{ VECTOR_TEXT("divsd xmm1, xmm3\n mov dword ptr [edi], 0x1D80\n ldmxcsr [edi]"), 0x1F80, 0x1D80,
		  false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * VECTOR_CONFIGS; i++) {
		check_xm(&vector_configs[i % VECTOR_CONFIGS], &rows[i / VECTOR_CONFIGS], true);
		check_xm(&vector_configs[i % VECTOR_CONFIGS], &rows[i / VECTOR_CONFIGS], false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vector_exceptions_that_are_masked_set_sticky_flags),
		cmocka_unit_test(test_vector_rounding_is_as_the_guest_asks),
		cmocka_unit_test(test_vector_mxcsr_of_the_host_is_left_alone),
		cmocka_unit_test(test_vector_exceptions_that_are_not_masked_raise_xm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
