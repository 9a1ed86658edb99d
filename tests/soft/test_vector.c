/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Vector instructions that the host's CPU executes: what is around them. Gates, alignment, operands across pages,
 * MXCSR's flags and exceptions, what of a register changes. Their results are the native oracle's affair.
 *
 * Each row is one text as 64-bit and as 32-bit code. rsi points to a copy of xmm1, 32 bytes aligned; rdi behind it, to
 * zeroes.
 */
#include "machine.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CR0_EM 4u
#define CR0_TS 8u
#define CR4_OSFXSR 0x200u
#define CR4_OSXMMEXCPT 0x400u
#define CR4_OSXSAVE 0x40000u
#define MXCSR_INITIAL 0x1F80u

#define FLAG_CF 1u
#define FLAG_PF 4u
#define FLAG_ZF 0x40u
#define FLAG_STATUS 0x8D5u

/* Where rsi and rdi point to. */
#define FROM MACHINE_DATA
#define TO (MACHINE_DATA + 0x400u)

static const struct machine_config configs[] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
};

#define CONFIG_COUNT (sizeof(configs) / sizeof(configs[0]))

struct text {
	const char *name;
	struct code code64, code32;
};

#define TEXT(text)                                                                                                     \
	{                                                                                                              \
		text, CODE64(text), CODE32(text)                                                                       \
	}

static void put_doubles(uint8_t *to, double low, double high)
{
	memcpy(to, &low, 8);
	memcpy(to + 8, &high, 8);
}

static uint8_t *xmm_of(struct hs_cpu_state *cpu, unsigned int number)
{
	return cpu->xsave + HS_XSAVE_XMM0 + (size_t)number * 16;
}

static uint8_t *high_of(struct hs_cpu_state *cpu, unsigned int number)
{
	return cpu->xsave + HS_XSAVE_YMMH0 + (size_t)number * 16;
}

/*
 * xmm1 is 3, 5; xmm2 2, 4; xmm3 0, 0; xmm4 the smallest normal number, twice; xmm5 a signalling NaN and a number; xmm6
 * the smallest denormal one; the upper halves are bytes of their register's number.
 */
static void machine_begin(struct machine *machine, const struct machine_config *config, const struct text *text)
{
	uint64_t nan = 0x7FF4000000000000, denormal = 1;

	machine_init(machine, config);
	machine_set_code(machine, config->mode == MACHINE_64 ? text->code64 : text->code32);
	for (unsigned int i = 0; i < 16; i++) {
		memset(xmm_of(&machine->cpu, i), (int)(0x40 + i), 16);
		memset(high_of(&machine->cpu, i), (int)i, 16);
	}
	put_doubles(xmm_of(&machine->cpu, 1), 3, 5);
	put_doubles(xmm_of(&machine->cpu, 2), 2, 4);
	put_doubles(xmm_of(&machine->cpu, 3), 0, 0);
	put_doubles(xmm_of(&machine->cpu, 4), 0x1p-1022, 0x1p-1022);
	put_doubles(xmm_of(&machine->cpu, 5), 0, 1);
	memcpy(xmm_of(&machine->cpu, 5), &nan, 8);
	put_doubles(xmm_of(&machine->cpu, 6), 0, 0);
	memcpy(xmm_of(&machine->cpu, 6), &denormal, 8);
	machine->cpu.xsave[HS_XSAVE_XSTATE_BV] = 7;
	hs_put_le32(machine->cpu.xsave + HS_XSAVE_MXCSR, MXCSR_INITIAL);
	machine->cpu.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	machine->cpu.xcr0 = 7;
	machine->cpu.gpr[HS_RSI] = FROM;
	machine->cpu.gpr[HS_RDI] = TO;
	memcpy(machine_at(machine, FROM), xmm_of(&machine->cpu, 1), 16);
	memcpy(machine_at(machine, FROM + 16), high_of(&machine->cpu, 1), 16);
}

static uint32_t mxcsr_of(const struct hs_cpu_state *cpu)
{
	return hs_get_le32(cpu->xsave + HS_XSAVE_MXCSR);
}

/* The end of a text that has no fault. */
static void run_to_hlt(struct machine *machine, const char *name, struct machine_stop *ret)
{
	machine_start(machine, ret);
	if (ret->kind != MACHINE_HLT) {
		fail_msg("%s: stopped by %d, vector %u", name, (int)ret->kind, ret->vector);
	}
}

/* A fault with nothing changed but MXCSR's flags. */
static void run_to_fault(struct machine *machine, const char *name, unsigned int vector, struct machine_stop *ret)
{
	uint8_t *before = machine_copy_memory(machine);
	uint8_t *after;

	machine_start(machine, ret);
	if (ret->kind != MACHINE_FAULT || ret->vector != vector) {
		fail_msg("%s: stopped by %d, vector %u and not %u", name, (int)ret->kind, ret->vector, vector);
	}
	after = machine_copy_memory(machine);
	assert_int_equal(ret->cpu.rip, machine->cpu.rip);
	assert_memory_equal(ret->cpu.gpr, machine->cpu.gpr, sizeof(ret->cpu.gpr));
	assert_memory_equal(xmm_of(&ret->cpu, 0), xmm_of(&machine->cpu, 0), 256);
	assert_memory_equal(high_of(&ret->cpu, 0), high_of(&machine->cpu, 0), 256);
	assert_int_equal(ret->cpu.rflags & FLAG_STATUS, machine->cpu.rflags & FLAG_STATUS);
	assert_int_equal(machine_compare_memory(machine, before, after, 0, 0), MACHINE_BYTES);
	free(before);
	free(after);
}

/* ---- Results ---- */

static void check_results(const struct machine_config *config)
{
	const struct text text =
		TEXT("addpd xmm1, xmm2\n mulsd xmm2, [esi]\n cvttsd2si eax, xmm2\n pcmpeqb xmm0, xmm0\n"
		     "pmovmskb ecx, xmm0\n movupd [edi], xmm1\n cvtsi2sd xmm0, ecx");
	struct machine_stop stop;
	struct machine machine;
	double got[2];

	machine_begin(&machine, config, &text);
	run_to_hlt(&machine, text.name, &stop);
	memcpy(got, xmm_of(&stop.cpu, 1), 16);
	assert_true(got[0] == 5 && got[1] == 9);
	memcpy(got, xmm_of(&stop.cpu, 2), 16);
	assert_true(got[0] == 6 && got[1] == 4);
	memcpy(got, machine_at(&machine, TO), 16);
	assert_true(got[0] == 5 && got[1] == 9);
	memcpy(got, xmm_of(&stop.cpu, 0), 16);
	assert_true(got[0] == 0xFFFF);
	assert_int_equal(xmm_of(&stop.cpu, 0)[8], 0xFF);
	assert_int_equal(stop.cpu.gpr[HS_RAX], 6);
	assert_int_equal(stop.cpu.gpr[HS_RCX], 0xFFFF);
	assert_memory_equal(high_of(&stop.cpu, 0), high_of(&machine.cpu, 0), 256);
	assert_int_equal(mxcsr_of(&stop.cpu), MXCSR_INITIAL);
	machine_deinit(&machine);
}

static void test_vector_results_go_where_they_belong(void **state)
{
	(void)state;
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		check_results(&configs[i]);
	}
}

struct flags_row {
	struct text text;
	uint32_t flags;
};

static void check_flags(const struct machine_config *config, const struct flags_row *row)
{
	struct machine_stop stop;
	struct machine machine;

	machine_begin(&machine, config, &row->text);
	machine.cpu.rflags |= FLAG_STATUS;
	run_to_hlt(&machine, row->text.name, &stop);
	assert_int_equal(stop.cpu.rflags & FLAG_STATUS, row->flags);
	machine_deinit(&machine);
}

static void test_vector_comparison_sets_status_flags(void **state)
{
	const struct flags_row rows[] = {
		{ TEXT("comisd xmm1, xmm2"), 0 },
		{ TEXT("comisd xmm2, xmm1"), FLAG_CF },
		{ TEXT("ucomisd xmm3, xmm3"), FLAG_ZF },
		{ TEXT("ucomisd xmm3, xmm5"), FLAG_ZF | FLAG_PF | FLAG_CF },
		{ TEXT("comisd xmm2, qword ptr [esi]"), FLAG_CF },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * CONFIG_COUNT; i++) {
		check_flags(&configs[i % CONFIG_COUNT], &rows[i / CONFIG_COUNT]);
	}
}

/* ---- Gates, and alignment ---- */

struct fault_row {
	struct text text;
	uint32_t cr0_set, cr4_clear;
	unsigned int vector; /* 0: none */
};

static void check_fault(const struct machine_config *config, const struct fault_row *row)
{
	struct machine_stop stop;
	struct machine machine;

	machine_begin(&machine, config, &row->text);
	machine.cpu.cr0 |= row->cr0_set;
	machine.cpu.cr4 &= ~(uint64_t)row->cr4_clear;
	if (row->vector == 0) {
		run_to_hlt(&machine, row->text.name, &stop);
	} else {
		run_to_fault(&machine, row->text.name, row->vector, &stop);
		assert_int_equal(stop.error_code, 0);
		assert_int_equal(mxcsr_of(&stop.cpu), MXCSR_INITIAL);
	}
	machine_deinit(&machine);
}

static void check_faults(const struct fault_row *rows, size_t count)
{
	for (size_t i = 0; i < count * CONFIG_COUNT; i++) {
		check_fault(&configs[i % CONFIG_COUNT], &rows[i / CONFIG_COUNT]);
	}
}

static void test_vector_that_the_system_has_not_enabled_faults(void **state)
{
	const struct fault_row rows[] = {
		{ TEXT("addpd xmm1, xmm2"), CR0_EM, 0, 6 },
		{ TEXT("addpd xmm1, xmm2"), CR0_EM | CR0_TS, 0, 6 },
		{ TEXT("addpd xmm1, xmm2"), 0, CR4_OSFXSR, 6 },
		{ TEXT("addpd xmm1, xmm2"), CR0_TS, 0, 7 },
		{ TEXT("paddd xmm1, xmm2"), CR0_TS, 0, 7 },
		{ TEXT("comisd xmm1, xmm2"), CR0_TS, 0, 7 },
		{ TEXT("paddd xmm1, xmmword ptr [esi + 1]"), CR0_TS, 0, 7 },
	};

	(void)state;
	check_faults(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_vector_operand_that_is_not_aligned_raises_gp_where_it_must_be(void **state)
{
	const struct fault_row rows[] = {
		{ TEXT("addpd xmm1, xmmword ptr [esi + 8]"), 0, 0, 13 },
		{ TEXT("paddd xmm1, xmmword ptr [esi + 1]"), 0, 0, 13 },
		{ TEXT("pshufd xmm1, xmmword ptr [esi + 4], 1"), 0, 0, 13 },
		{ TEXT("cvtpd2ps xmm1, xmmword ptr [esi + 8]"), 0, 0, 13 },
		{ TEXT("addpd xmm1, xmmword ptr [esi + 16]"), 0, 0, 0 },
		{ TEXT("addsd xmm1, qword ptr [esi + 3]"), 0, 0, 0 },
		{ TEXT("cvtps2pd xmm1, qword ptr [esi + 3]"), 0, 0, 0 },
		{ TEXT("cvtsi2sd xmm1, dword ptr [esi + 1]"), 0, 0, 0 },
	};

	(void)state;
	check_faults(rows, sizeof(rows) / sizeof(rows[0]));
}

/* ---- Across pages ---- */

#define EDGE (MACHINE_DATA + 0x1000u)

/* The operand begins `before` bytes before the end of a page. When the next one is there it is as elsewhere. */
static void check_edge(const struct machine_config *config, const struct text *text, unsigned int before)
{
	struct machine_stop stop, whole;
	struct machine machine;

	machine_begin(&machine, config, text);
	machine.cpu.gpr[HS_RSI] = machine.cpu.gpr[HS_RDI] = EDGE - before;
	memcpy(machine_at(&machine, EDGE - before), xmm_of(&machine.cpu, 2), 16);
	run_to_hlt(&machine, text->name, &whole);
	machine_deinit(&machine);

	machine_begin(&machine, config, text);
	memcpy(machine_at(&machine, FROM), xmm_of(&machine.cpu, 2), 16);
	machine.cpu.gpr[HS_RDI] = FROM;
	run_to_hlt(&machine, text->name, &stop);
	assert_memory_equal(xmm_of(&whole.cpu, 0), xmm_of(&stop.cpu, 0), 256);
	assert_memory_equal(high_of(&whole.cpu, 0), high_of(&stop.cpu, 0), 256);
	machine_deinit(&machine);

	machine_begin(&machine, config, text);
	machine.cpu.gpr[HS_RSI] = machine.cpu.gpr[HS_RDI] = EDGE - before;
	memcpy(machine_at(&machine, EDGE - before), xmm_of(&machine.cpu, 2), 16);
	machine_change_entry(&machine, EDGE, 1, 0);
	run_to_fault(&machine, text->name, 14, &stop);
	assert_int_equal(stop.cpu.cr2, EDGE);
	assert_int_equal(mxcsr_of(&stop.cpu), MXCSR_INITIAL);
	machine_deinit(&machine);
}

static void test_vector_operand_across_a_missing_page_changes_nothing(void **state)
{
	const struct text texts[] = {
		TEXT("divsd xmm1, qword ptr [esi]"),
		TEXT("cvttsd2si eax, qword ptr [esi]"),
		TEXT("comisd xmm1, qword ptr [esi]"),
		TEXT("cvtdq2pd xmm1, qword ptr [esi]"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) * CONFIG_COUNT; i++) {
		check_edge(&configs[i % CONFIG_COUNT], &texts[i / CONFIG_COUNT], 5);
	}
}

/* ---- MXCSR ---- */

struct mxcsr_row {
	struct text text;
	uint32_t before, after;
};

static void check_mxcsr(const struct machine_config *config, const struct mxcsr_row *row)
{
	struct machine_stop stop;
	struct machine machine;

	machine_begin(&machine, config, &row->text);
	hs_put_le32(machine.cpu.xsave + HS_XSAVE_MXCSR, row->before);
	run_to_hlt(&machine, row->text.name, &stop);
	assert_int_equal(mxcsr_of(&stop.cpu), row->after);
	assert_int_equal(hs_get_le32(machine_at(&machine, TO)), row->after);
	machine_deinit(&machine);
}

static void test_vector_exceptions_that_are_masked_set_sticky_flags(void **state)
{
	const struct mxcsr_row rows[] = {
		{ TEXT("addsd xmm1, xmm2\n stmxcsr [edi]"), 0x1F80, 0x1F80 },
		{ TEXT("divsd xmm2, xmm1\n addsd xmm1, xmm1\n stmxcsr [edi]"), 0x1F80, 0x1FA0 },
		{ TEXT("divsd xmm1, xmm3\n stmxcsr [edi]"), 0x1FA0, 0x1FA4 },
		{ TEXT("addsd xmm5, xmm1\n stmxcsr [edi]"), 0x1F80, 0x1F81 },
		{ TEXT("addsd xmm6, xmm1\n stmxcsr [edi]"), 0x1F80, 0x1FA2 },
		{ TEXT("addsd xmm6, xmm1\n stmxcsr [edi]"), 0x1FC0, 0x1FC0 }, /* denormals are zeroes */
		/* Changed on the way, and seen by what comes next. */
		{ TEXT("divsd xmm1, xmm3\n mov dword ptr [edi], 0x1F80\n ldmxcsr [edi]\n divsd xmm2, xmm1\n"
		       " addsd xmm5, xmm1\n stmxcsr [edi]"),
		  0x1F80, 0x1F81 },
		{ TEXT("divsd xmm1, xmm3\n fxsave [edi + 64]\n mov eax, [edi + 64 + 24]\n mov [edi], eax"), 0x1F80,
		  0x1F84 },
		{ TEXT("fxsave [edi + 64]\n divsd xmm1, xmm3\n fxrstor [edi + 64]\n stmxcsr [edi]"), 0x1F80, 0x1F80 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * CONFIG_COUNT; i++) {
		check_mxcsr(&configs[i % CONFIG_COUNT], &rows[i / CONFIG_COUNT]);
	}
}

/* 1 + 2^-1022 is 1, or the number above it. */
static void test_vector_rounding_is_as_the_guest_asks(void **state)
{
	const struct text text = TEXT("divsd xmm2, xmm2\n addsd xmm2, xmm4");
	static const struct {
		uint32_t mxcsr;
		double sum;
	} rows[] = { { 0x1F80, 1 }, { 0x3F80, 1 }, { 0x5F80, 0x1.0000000000001p0 }, { 0x7F80, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct machine_stop stop;
		struct machine machine;
		double got;

		machine_begin(&machine, &configs[0], &text);
		hs_put_le32(machine.cpu.xsave + HS_XSAVE_MXCSR, rows[i].mxcsr);
		run_to_hlt(&machine, text.name, &stop);
		memcpy(&got, xmm_of(&stop.cpu, 2), 8);
		assert_true(got == rows[i].sum);
		assert_int_equal(mxcsr_of(&stop.cpu), rows[i].mxcsr | 0x20);
		machine_deinit(&machine);
	}
}

/* The host computes as before, whatever the guest has in MXCSR. */
static void test_vector_mxcsr_of_the_host_is_left_alone(void **state)
{
	const struct text text = TEXT("divsd xmm2, xmm3\n addsd xmm2, xmm4");
	uint32_t before = 0, after = 0;
	struct machine_stop stop;
	struct machine machine;

	(void)state;
	machine_begin(&machine, &configs[0], &text);
	hs_put_le32(machine.cpu.xsave + HS_XSAVE_MXCSR, 0xFFC0);
	machine_load(&machine);
	__asm__ volatile("stmxcsr %0" : "=m"(before));
	machine_run(&machine, &stop);
	__asm__ volatile("stmxcsr %0" : "=m"(after));
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(mxcsr_of(&stop.cpu), 0xFFC4);
	assert_int_equal(after, before);
	machine_deinit(&machine);
}

struct xm_row {
	struct text text;
	uint32_t before, after; /* MXCSR */
	bool raises;
};

static void check_xm(const struct machine_config *config, const struct xm_row *row, bool told)
{
	struct machine_stop stop;
	struct machine machine;

	machine_begin(&machine, config, &row->text);
	hs_put_le32(machine.cpu.xsave + HS_XSAVE_MXCSR, row->before);
	machine.cpu.cr4 &= told ? UINT64_MAX : ~(uint64_t)CR4_OSXMMEXCPT;
	if (row->raises) {
		run_to_fault(&machine, row->text.name, told ? 19 : 6, &stop);
		assert_int_equal(stop.has_error_code, false);
	} else {
		run_to_hlt(&machine, row->text.name, &stop);
	}
	assert_int_equal(mxcsr_of(&stop.cpu), row->after);
	machine_deinit(&machine);
}

static void test_vector_exceptions_that_are_not_masked_raise_xm(void **state)
{
	const struct xm_row rows[] = {
		{ TEXT("divsd xmm1, xmm3"), 0x1D80, 0x1D84, true },  /* divide by zero */
		{ TEXT("divpd xmm1, xmm3"), 0x1F00, 0x1F04, false }, /* 3 / 0 is not invalid */
		{ TEXT("divpd xmm3, xmm3"), 0x1F00, 0x1F01, true },
		{ TEXT("addsd xmm5, xmm1"), 0x1F00, 0x1F01, true },
		{ TEXT("divsd xmm2, xmm1"), 0x0F80, 0x0FA0, true },  /* inexact */
		{ TEXT("addsd xmm6, xmm1"), 0x1E80, 0x1E82, true },  /* denormal: before it is inexact */
		{ TEXT("addsd xmm6, xmm1"), 0x1700, 0x1722, false }, /* underflow and invalid are not masked */
		{ TEXT("mulsd xmm4, xmm4"), 0x1780, 0x17B0, true },  /* underflow */
		{ TEXT("divsd xmm4, xmm2"), 0x1780, 0x1790, true },  /* tiny, and exact */
		{ TEXT("divsd xmm4, xmm2"), 0x1F80, 0x1F80, false }, /* masked it has to be inexact as well */
		{ TEXT("divsd xmm4, xmm2"), 0x0F80, 0x0F80, false },
		{ TEXT("addsd xmm1, xmm2"), 0x0000, 0x0000, false },
		{ TEXT("paddd xmm5, xmm6"), 0x0000, 0x0000, false },
		{ TEXT("cvttsd2si eax, xmm5"), 0x1F00, 0x1F01, true },
		{ TEXT("comisd xmm1, xmm5"), 0x1F00, 0x1F01, true },
		{ TEXT("divsd xmm1, xmm3\n mov dword ptr [edi], 0x1D80\n ldmxcsr [edi]"), 0x1F80, 0x1D80, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * CONFIG_COUNT; i++) {
		check_xm(&configs[i % CONFIG_COUNT], &rows[i / CONFIG_COUNT], true);
		check_xm(&configs[i % CONFIG_COUNT], &rows[i / CONFIG_COUNT], false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vector_results_go_where_they_belong),
		cmocka_unit_test(test_vector_comparison_sets_status_flags),
		cmocka_unit_test(test_vector_that_the_system_has_not_enabled_faults),
		cmocka_unit_test(test_vector_operand_that_is_not_aligned_raises_gp_where_it_must_be),
		cmocka_unit_test(test_vector_operand_across_a_missing_page_changes_nothing),
		cmocka_unit_test(test_vector_exceptions_that_are_masked_set_sticky_flags),
		cmocka_unit_test(test_vector_rounding_is_as_the_guest_asks),
		cmocka_unit_test(test_vector_mxcsr_of_the_host_is_left_alone),
		cmocka_unit_test(test_vector_exceptions_that_are_not_masked_raise_xm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
