/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Vector instructions that the host's CPU executes: what is around them. Gates, alignment, operands across pages, what
 * of a register changes. Their results are the native oracle's affair.
 */
#include "vector_scene.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Results ---- */

static void check_results(const struct machine_config *config)
{
	const struct vector_text text =
		VECTOR_TEXT("addpd xmm1, xmm2\n mulsd xmm2, [esi]\n cvttsd2si eax, xmm2\n pcmpeqb xmm0, xmm0\n"
			    "pmovmskb ecx, xmm0\n movupd [edi], xmm1\n cvtsi2sd xmm0, ecx");
	struct machine_stop stop;
	struct machine machine;
	double got[2];

	vector_begin(&machine, config, &text);
	vector_run_to_hlt(&machine, text.name, &stop);
	memcpy(got, vector_xmm(&stop.cpu, 1), 16);
	assert_true(got[0] == 5 && got[1] == 9);
	memcpy(got, vector_xmm(&stop.cpu, 2), 16);
	assert_true(got[0] == 6 && got[1] == 4);
	memcpy(got, machine_at(&machine, VECTOR_TO), 16);
	assert_true(got[0] == 5 && got[1] == 9);
	memcpy(got, vector_xmm(&stop.cpu, 0), 16);
	assert_true(got[0] == 0xFFFF);
	assert_int_equal(vector_xmm(&stop.cpu, 0)[8], 0xFF);
	assert_int_equal(stop.cpu.gpr[HS_RAX], 6);
	assert_int_equal(stop.cpu.gpr[HS_RCX], 0xFFFF);
	assert_memory_equal(vector_high(&stop.cpu, 0), vector_high(&machine.cpu, 0), 256);
	assert_int_equal(vector_mxcsr(&stop.cpu), MXCSR_INITIAL);
	machine_deinit(&machine);
}

static void test_vector_results_go_where_they_belong(void **state)
{
	(void)state;
	for (size_t i = 0; i < VECTOR_CONFIGS; i++) {
		check_results(&vector_configs[i]);
	}
}

struct flags_row {
	struct vector_text text;
	uint32_t flags;
};

static void check_flags(const struct machine_config *config, const struct flags_row *row)
{
	struct machine_stop stop;
	struct machine machine;

	if (!vector_is_there(&row->text)) {
		return;
	}
	vector_begin(&machine, config, &row->text);
	machine.cpu.rflags |= FLAG_STATUS;
	vector_run_to_hlt(&machine, row->text.name, &stop);
	assert_int_equal(stop.cpu.rflags & FLAG_STATUS, row->flags);
	machine_deinit(&machine);
}

static void test_vector_comparison_sets_status_flags(void **state)
{
	const struct flags_row rows[] = {
		{ VECTOR_TEXT("comisd xmm1, xmm2"), 0 },
		{ VECTOR_TEXT("comisd xmm2, xmm1"), FLAG_CF },
		{ VECTOR_TEXT("ucomisd xmm3, xmm3"), FLAG_ZF },
		{ VECTOR_TEXT("ucomisd xmm3, xmm5"), FLAG_ZF | FLAG_PF | FLAG_CF },
		{ VECTOR_TEXT("comisd xmm2, qword ptr [esi]"), FLAG_CF },
		{ VECTOR_TEXT("vucomisd xmm2, xmm1"), FLAG_CF },
		{ VECTOR_TEXT("ptest xmm3, xmm1"), FLAG_ZF },
		{ VECTOR_TEXT("vptest ymm1, ymm1"), FLAG_CF },
		{ VECTOR_TEXT("vtestpd ymm3, ymm1"), FLAG_ZF | FLAG_CF },
		{ VECTOR_TEXT("pcmpistri xmm1, xmm1, 8"), FLAG_CF | FLAG_ZF | FLAG_SF | FLAG_OF },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * VECTOR_CONFIGS; i++) {
		check_flags(&vector_configs[i % VECTOR_CONFIGS], &rows[i / VECTOR_CONFIGS]);
	}
}

/* ---- Gates, and alignment ---- */

struct fault_row {
	struct vector_text text;
	uint32_t cr0_set, cr4_clear;
	unsigned int vector; /* 0: none */
};

static void check_fault(const struct machine_config *config, const struct fault_row *row)
{
	struct machine_stop stop;
	struct machine machine;

	if (!vector_is_there(&row->text)) {
		return;
	}
	vector_begin(&machine, config, &row->text);
	machine.cpu.cr0 |= row->cr0_set;
	machine.cpu.cr4 &= ~(uint64_t)row->cr4_clear;
	if (row->vector == 0) {
		vector_run_to_hlt(&machine, row->text.name, &stop);
	} else {
		vector_run_to_fault(&machine, row->text.name, row->vector, &stop);
		assert_int_equal(stop.error_code, 0);
		assert_int_equal(vector_mxcsr(&stop.cpu), MXCSR_INITIAL);
	}
	machine_deinit(&machine);
}

static void check_faults(const struct fault_row *rows, size_t count)
{
	for (size_t i = 0; i < count * VECTOR_CONFIGS; i++) {
		check_fault(&vector_configs[i % VECTOR_CONFIGS], &rows[i / VECTOR_CONFIGS]);
	}
}

static void test_vector_that_the_system_has_not_enabled_faults(void **state)
{
	const struct fault_row rows[] = {
		{ VECTOR_TEXT("addpd xmm1, xmm2"), CR0_EM, 0, 6 },
		{ VECTOR_TEXT("addpd xmm1, xmm2"), CR0_EM | CR0_TS, 0, 6 },
		{ VECTOR_TEXT("addpd xmm1, xmm2"), 0, CR4_OSFXSR, 6 },
		{ VECTOR_TEXT("addpd xmm1, xmm2"), CR0_TS, 0, 7 },
		{ VECTOR_TEXT("paddd xmm1, xmm2"), CR0_TS, 0, 7 },
		{ VECTOR_TEXT("comisd xmm1, xmm2"), CR0_TS, 0, 7 },
		{ VECTOR_TEXT("paddd xmm1, xmmword ptr [esi + 1]"), CR0_TS, 0, 7 },
		{ VECTOR_TEXT("pcmpistri xmm1, xmm2, 0"), CR0_TS, 0, 7 },
		{ VECTOR_TEXT("extractps [edi], xmm1, 0"), CR0_TS, 0, 7 },
		{ VECTOR_TEXT("vaddpd xmm1, xmm2, xmm3"), CR0_TS, 0, 7 },
		{ VECTOR_TEXT("vaddpd xmm1, xmm2, xmm3"), 0, CR4_OSXSAVE, 6 },
		{ VECTOR_TEXT("vaddpd xmm1, xmm2, xmm3"), CR0_TS, CR4_OSXSAVE, 6 },
		{ VECTOR_TEXT("vpaddd ymm1, ymm2, [esi]"), 0, CR4_OSXSAVE, 6 },
		{ VECTOR_TEXT("vmovdqu [edi], ymm1"), 0, CR4_OSXSAVE, 6 },
		{ VECTOR_TEXT("vpmovmskb eax, ymm1"), CR0_TS, 0, 7 },
		{ VECTOR_TEXT("vaddpd xmm1, xmm2, xmm3"), CR0_EM, CR4_OSFXSR, 0 }, /* they are SSE's */
	};

	(void)state;
	check_faults(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_vector_operand_that_is_not_aligned_raises_gp_where_it_must_be(void **state)
{
	const struct fault_row rows[] = {
		{ VECTOR_TEXT("addpd xmm1, xmmword ptr [esi + 8]"), 0, 0, 13 },
		{ VECTOR_TEXT("paddd xmm1, xmmword ptr [esi + 1]"), 0, 0, 13 },
		{ VECTOR_TEXT("pshufd xmm1, xmmword ptr [esi + 4], 1"), 0, 0, 13 },
		{ VECTOR_TEXT("cvtpd2ps xmm1, xmmword ptr [esi + 8]"), 0, 0, 13 },
		{ VECTOR_TEXT("addpd xmm1, xmmword ptr [esi + 16]"), 0, 0, 0 },
		{ VECTOR_TEXT("addsd xmm1, qword ptr [esi + 3]"), 0, 0, 0 },
		{ VECTOR_TEXT("cvtps2pd xmm1, qword ptr [esi + 3]"), 0, 0, 0 },
		{ VECTOR_TEXT("cvtsi2sd xmm1, dword ptr [esi + 1]"), 0, 0, 0 },
		{ VECTOR_TEXT("pcmpistri xmm1, xmmword ptr [esi + 1], 0"), 0, 0, 0 },
		{ VECTOR_TEXT("pmovzxbw xmm1, qword ptr [esi + 1]"), 0, 0, 0 },
		{ VECTOR_TEXT("aesenc xmm1, xmmword ptr [esi + 1]"), 0, 0, 13 },
		{ VECTOR_TEXT("vpaddd xmm1, xmm2, xmmword ptr [esi + 1]"), 0, 0, 0 },
		{ VECTOR_TEXT("vpaddd ymm1, ymm2, ymmword ptr [esi + 1]"), 0, 0, 0 },
		{ VECTOR_TEXT("vmovdqu [edi + 1], ymm1"), 0, 0, 0 },
		{ VECTOR_TEXT("vmovdqa xmm1, [esi + 8]"), 0, 0, 13 },
		{ VECTOR_TEXT("vmovdqa [edi + 16], xmm1"), 0, 0, 0 },
		{ VECTOR_TEXT("vmovdqa ymm1, [esi + 16]"), 0, 0, 13 },
		{ VECTOR_TEXT("vmovaps [edi + 16], ymm1"), 0, 0, 13 },
		{ VECTOR_TEXT("vmovntdq [edi + 16], ymm1"), 0, 0, 13 },
		{ VECTOR_TEXT("vmovntdqa ymm1, [esi + 16]"), 0, 0, 13 },
	};

	(void)state;
	check_faults(rows, sizeof(rows) / sizeof(rows[0]));
}

/* ---- Across pages ---- */

#define EDGE (MACHINE_DATA + 0x1000u)

/* The operand begins `before` bytes before the end of a page. When the next one is there it is as elsewhere. */
static void begin_at(struct machine *machine, const struct machine_config *config, const struct vector_text *text,
		     uint64_t at)
{
	vector_begin(machine, config, text);
	machine->cpu.gpr[HS_RSI] = machine->cpu.gpr[HS_RDI] = at;
	memset(machine_at(machine, at), 0, 32);
	memcpy(machine_at(machine, at), vector_xmm(&machine->cpu, 2), 16);
}

static void check_edge(const struct machine_config *config, const struct vector_text *text, unsigned int before)
{
	struct machine_stop stop, whole;
	struct machine machine;
	uint8_t memory[32];

	if (!vector_is_there(text)) {
		return;
	}
	begin_at(&machine, config, text, EDGE - before);
	vector_run_to_hlt(&machine, text->name, &whole);
	memcpy(memory, machine_at(&machine, EDGE - before), sizeof(memory));
	machine_deinit(&machine);

	begin_at(&machine, config, text, VECTOR_FROM);
	vector_run_to_hlt(&machine, text->name, &stop);
	assert_memory_equal(vector_xmm(&whole.cpu, 0), vector_xmm(&stop.cpu, 0), 256);
	assert_memory_equal(vector_high(&whole.cpu, 0), vector_high(&stop.cpu, 0), 256);
	assert_int_equal(whole.cpu.rflags, stop.cpu.rflags);
	assert_memory_equal(memory, machine_at(&machine, VECTOR_FROM), sizeof(memory));
	machine_deinit(&machine);

	begin_at(&machine, config, text, EDGE - before);
	machine_change_entry(&machine, EDGE, 1, 0);
	vector_run_to_fault(&machine, text->name, 14, &stop);
	assert_int_equal(stop.cpu.cr2, EDGE);
	assert_int_equal(vector_mxcsr(&stop.cpu), MXCSR_INITIAL);
	machine_deinit(&machine);
}

static void test_vector_operand_across_a_missing_page_changes_nothing(void **state)
{
	const struct vector_text texts[] = {
		VECTOR_TEXT("divsd xmm1, qword ptr [esi]"),  VECTOR_TEXT("cvttsd2si eax, qword ptr [esi]"),
		VECTOR_TEXT("comisd xmm1, qword ptr [esi]"), VECTOR_TEXT("cvtdq2pd xmm1, qword ptr [esi]"),
		VECTOR_TEXT("vpaddd xmm1, xmm2, [esi]"),     VECTOR_TEXT("pcmpistri xmm1, [esi], 0x18"),
		VECTOR_TEXT("vptest ymm1, [esi]"),           VECTOR_TEXT("vcvtps2ph [edi], xmm1, 0"),
		VECTOR_TEXT("vmovups [edi], xmm1"),          VECTOR_TEXT("vmovups [edi], ymm1"),
		VECTOR_TEXT("vpaddd ymm1, ymm2, [esi]"),     VECTOR_TEXT("vmovlps [edi], xmm1"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) * VECTOR_CONFIGS; i++) {
		check_edge(&vector_configs[i % VECTOR_CONFIGS], &texts[i / VECTOR_CONFIGS], 5);
	}
}

/* ---- Upper halves ---- */

struct upper_row {
	struct vector_text text;
	unsigned int number; /* of the register that it writes */
	uint8_t upper;       /* every byte of its upper half afterwards */
};

static void check_upper(const struct machine_config *config, const struct upper_row *row)
{
	struct machine_stop stop;
	struct machine machine;

	if (!vector_is_there(&row->text)) {
		return;
	}
	vector_begin(&machine, config, &row->text);
	memset(machine_at(&machine, VECTOR_FROM), 0x77, 32);
	vector_run_to_hlt(&machine, row->text.name, &stop);
	for (unsigned int i = 0; i < 16; i++) {
		uint8_t expected[16];

		memset(expected, i == row->number ? row->upper : (int)i, sizeof(expected));
		assert_memory_equal(vector_high(&stop.cpu, i), expected, sizeof(expected));
	}
	machine_deinit(&machine);
}

static void test_vector_upper_half_is_kept_cleared_or_written(void **state)
{
	const struct upper_row rows[] = {
		{ VECTOR_TEXT("addpd xmm1, xmm2"), 1, 1 },
		{ VECTOR_TEXT("pshufb xmm1, xmm2"), 1, 1 },
		{ VECTOR_TEXT("movdqa xmm1, xmm2"), 1, 1 },
		{ VECTOR_TEXT("vaddpd xmm1, xmm2, xmm3"), 1, 0 },
		{ VECTOR_TEXT("vmovdqa xmm1, xmm2"), 1, 0 },
		{ VECTOR_TEXT("vmovsd xmm1, qword ptr [esi]"), 1, 0 },
		{ VECTOR_TEXT("vcvtsi2sd xmm1, xmm2, ecx"), 1, 0 },
		{ VECTOR_TEXT("vpcmpistrm xmm1, xmm2, 0"), 0, 0 },
		{ VECTOR_TEXT("vextracti128 xmm1, ymm2, 1"), 1, 0 },
		{ VECTOR_TEXT("vmovdqa ymm1, ymm2"), 1, 2 },
		{ VECTOR_TEXT("vpor ymm1, ymm4, ymm2"), 1, 6 },
		{ VECTOR_TEXT("vpaddb ymm1, ymm1, ymm2"), 1, 3 },
		{ VECTOR_TEXT("vmovdqu ymm1, [esi]"), 1, 0x77 },
		{ VECTOR_TEXT("vpermq ymm5, ymm6, 0xee"), 5, 6 },
		{ VECTOR_TEXT("vptest ymm1, ymm2"), 1, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * VECTOR_CONFIGS; i++) {
		check_upper(&vector_configs[i % VECTOR_CONFIGS], &rows[i / VECTOR_CONFIGS]);
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
		cmocka_unit_test(test_vector_upper_half_is_kept_cleared_or_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
