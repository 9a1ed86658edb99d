/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hs_soft_thunk_make(): which instructions share their code, what is said of them, and what is refused. */
#include "vmm/soft/thunk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum hs_soft_thunk_end make_from(ZydisMachineMode mode, const char *bytes, size_t length,
					struct hs_soft_thunk *ret)
{
	bool wide = mode == ZYDIS_MACHINE_MODE_LONG_64;
	struct hs_soft_decoded decoded = { .mode = wide ? HS_SOFT_MODE_64 : HS_SOFT_MODE_32 };
	ZydisDecoder decoder;

	(void)ZydisDecoderInit(&decoder, mode, wide ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
	assert_true(ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, length, &decoded.insn, decoded.operands)));
	return hs_soft_thunk_make(&decoded, ret);
}

#define MAKE(mode, bytes, ret) make_from(ZYDIS_MACHINE_MODE_##mode, bytes, sizeof(bytes) - 1, ret)

static void test_thunk_registers_addresses_and_modes_share_the_code(void **state)
{
	struct hs_soft_thunk low, high, narrow, memory, other;

	(void)state;
	assert_int_equal(MAKE(LONG_64, "\x66\x0f\xfe\xca", &low), HS_SOFT_THUNK_MADE);      /* paddd xmm1, xmm2 */
	assert_int_equal(MAKE(LONG_64, "\x66\x45\x0f\xfe\xf8", &high), HS_SOFT_THUNK_MADE); /* paddd xmm15, xmm8 */
	assert_int_equal(MAKE(LEGACY_32, "\x66\x0f\xfe\xc0", &narrow), HS_SOFT_THUNK_MADE); /* paddd xmm0, xmm0 */
	assert_ptr_equal(low.run, high.run);
	assert_ptr_equal(low.run, narrow.run);
	assert_int_equal(low.traits, HS_SOFT_THUNK_WRITES_VECTOR);
	/* paddd xmm1, [rax]; paddd xmm9, gs:[r9 + r10 * 4 + 0x12345678] */
	assert_int_equal(MAKE(LONG_64, "\x66\x0f\xfe\x08", &memory), HS_SOFT_THUNK_MADE);
	assert_int_equal(MAKE(LONG_64, "\x65\x66\x47\x0f\xfe\x8c\x91\x78\x56\x34\x12", &other), HS_SOFT_THUNK_MADE);
	assert_ptr_equal(memory.run, other.run);
	assert_ptr_not_equal(memory.run, low.run);
	assert_int_equal(memory.traits, HS_SOFT_THUNK_WRITES_VECTOR | HS_SOFT_THUNK_READS_MEMORY);
	assert_int_equal(memory.memory, 1);
}

/* pcmpestri xmm1, xmm2, 0: rax, rdx, ecx, flags. */
static void test_thunk_hidden_operands_are_told(void **state)
{
	struct hs_soft_thunk thunk, wide;

	(void)state;
	assert_int_equal(MAKE(LONG_64, "\x66\x0f\x3a\x61\xca\x00", &thunk), HS_SOFT_THUNK_MADE);
	assert_int_equal(thunk.traits,
			 HS_SOFT_THUNK_READS_LENGTHS | HS_SOFT_THUNK_WRITES_INDEX | HS_SOFT_THUNK_WRITES_FLAGS);
	assert_int_equal(MAKE(LONG_64, "\x66\x48\x0f\x3a\x61\xca\x00", &wide), HS_SOFT_THUNK_MADE);
	assert_ptr_not_equal(thunk.run, wide.run);
}

/* blendvps xmm1, xmm2, <xmm0>: elements where xmm0 has the sign set. */
static void test_thunk_implied_register_is_the_fourth_argument(void **state)
{
	uint8_t to[16], from[16], mask[16] = { [3] = 0x80, [11] = 0x80 };
	struct hs_soft_thunk thunk;

	(void)state;
	memset(to, 1, sizeof(to));
	memset(from, 2, sizeof(from));
	assert_int_equal(MAKE(LONG_64, "\x66\x0f\x38\x14\xca", &thunk), HS_SOFT_THUNK_MADE);
	(void)thunk.run(to, from, NULL, mask, NULL, NULL);
	for (unsigned int i = 0; i < sizeof(to); i++) {
		assert_int_equal(to[i], i / 4 % 2 == 0 ? 2 : 1);
	}
}

static void test_thunk_what_is_not_wholly_known_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
	} rows[] = {
		{ "\xc4\xe2\x71\x2c\x00", 5 },     /* vmaskmovps xmm0, xmm1, [rax] */
		{ "\xc4\xe2\x71\x8e\x00", 5 },     /* vpmaskmovd [rax], xmm1, xmm0 */
		{ "\xc4\xe2\x71\x90\x04\x10", 6 }, /* vpgatherdd xmm0, [rax + xmm2], xmm1 */
		{ "\x66\x0f\xf7\xc1", 4 },         /* maskmovdqu xmm0, xmm1 */
		{ "\x0f\xae\x10", 3 },             /* ldmxcsr [rax] */
		{ "\xc5\xf8\x77", 3 },             /* vzeroupper */
		{ "\x0f\xfc\xc1", 3 },             /* paddb mm0, mm1 */
		{ "\xd8\xc1", 2 },                 /* fadd st, st(1) */
		{ "\x62\xf1\x75\x08\xfe\xc2", 6 }, /* vpaddd xmm0, xmm1, xmm2 by EVEX */
		{ "\xf0\x48\x0f\xb1\x08", 5 },     /* lock cmpxchg [rax], rcx */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hs_soft_thunk thunk;

		assert_int_equal(make_from(ZYDIS_MACHINE_MODE_LONG_64, rows[i].bytes, rows[i].length, &thunk),
				 HS_SOFT_THUNK_REFUSED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thunk_registers_addresses_and_modes_share_the_code),
		cmocka_unit_test(test_thunk_hidden_operands_are_told),
		cmocka_unit_test(test_thunk_implied_register_is_the_fourth_argument),
		cmocka_unit_test(test_thunk_what_is_not_wholly_known_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
