/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vmm/soft/flags.h against the flags' definitions (SDM vol. 1 3.4.3.1): sums and differences in arithmetic that is wide
 * enough not to overflow, all of one byte and the edges of the other sizes.
 */
#include "vmm/soft/flags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Bits of RFLAGS that no instruction of these may touch. */
#define OTHERS (HS_FLAG_DF | HS_FLAG_IF | HS_FLAG_AC | 2u)

static int make_cpu(void **state)
{
	struct hs_soft_cpu *cpu = aligned_alloc(_Alignof(struct hs_soft_cpu), sizeof(*cpu));

	*state = cpu;
	if (!cpu) {
		return -1;
	}
	memset(cpu, 0, sizeof(*cpu));
	return 0;
}

static int drop_cpu(void **state)
{
	free(*state);
	return 0;
}

static uint64_t top_bit(unsigned int bytes)
{
	return UINT64_C(1) << (bytes * 8 - 1);
}

static uint64_t cut(uint64_t value, unsigned int bytes)
{
	return bytes == 8 ? value : value & ((UINT64_C(1) << (bytes * 8)) - 1);
}

static bool even_ones(uint64_t value)
{
	unsigned int ones = 0;

	for (unsigned int i = 0; i < 8; i++) {
		ones += value >> i & 1;
	}
	return ones % 2 == 0;
}

static __int128 as_signed(uint64_t value, unsigned int bytes)
{
	return (__int128)value - (value & top_bit(bytes) ? (__int128)top_bit(bytes) * 2 : 0);
}

/* SF, ZF and PF by definition. */
static uint64_t result_flags(uint64_t result, unsigned int bytes)
{
	result = cut(result, bytes);
	return (result & top_bit(bytes) ? HS_FLAG_SF : 0) | (result == 0 ? HS_FLAG_ZF : 0) |
	       (even_ones(result) ? HS_FLAG_PF : 0);
}

/* All six by definition: of a + b + carry, or a - b - carry. */
static uint64_t sum_flags(uint64_t a, uint64_t b, unsigned int carry, unsigned int bytes, bool subtract)
{
	__int128 limit = (__int128)top_bit(bytes);
	__int128 exact = subtract ? (__int128)a - b - carry : (__int128)a + b + carry;
	__int128 exact_signed = subtract ? as_signed(a, bytes) - as_signed(b, bytes) - carry
					 : as_signed(a, bytes) + as_signed(b, bytes) + carry;
	int nibble = subtract ? (int)(a & 15) - (int)(b & 15) - (int)carry : (int)(a & 15) + (int)(b & 15) + (int)carry;
	uint64_t flags = result_flags((uint64_t)exact, bytes);

	flags |= exact < 0 || exact >= limit * 2 ? HS_FLAG_CF : 0;
	flags |= exact_signed < -limit || exact_signed >= limit ? HS_FLAG_OF : 0;
	return flags | (nibble < 0 || nibble > 15 ? HS_FLAG_AF : 0);
}

static void check_sum(struct hs_soft_cpu *cpu, uint64_t a, uint64_t b, unsigned int carry, unsigned int bytes)
{
	hs_soft_set_rflags(cpu, OTHERS);
	hs_soft_flags_add(cpu, a, b, a + b + carry, bytes);
	assert_int_equal(hs_soft_rflags(cpu), OTHERS | sum_flags(a, b, carry, bytes, false));
	hs_soft_set_rflags(cpu, OTHERS | HS_FLAG_STATUS);
	hs_soft_flags_sub(cpu, a, b, a - b - carry, bytes);
	assert_int_equal(hs_soft_rflags(cpu), OTHERS | sum_flags(a, b, carry, bytes, true));
}

static void test_sum_of_all_bytes_sets_flags_by_definition(void **state)
{
	for (uint64_t a = 0; a < 256; a++) {
		for (uint64_t b = 0; b < 256; b++) {
			check_sum(*state, a, b, 0, 1);
			check_sum(*state, a, b, 1, 1);
		}
	}
}

static void test_sum_of_edges_sets_flags_by_definition(void **state)
{
	static const uint64_t edges[] = {
		0,
		1,
		7,
		8,
		15,
		16,
		0x7f,
		0x80,
		0xff,
		0x7fff,
		0x8000,
		0xffff,
		0x12345678,
		0x7fffffff,
		0x80000000,
		0xffffffff,
		UINT64_C(0x0123456789abcdef),
		UINT64_C(0x7fffffffffffffff),
		UINT64_C(0x8000000000000000),
		UINT64_C(0xfffffffffffffff8),
		UINT64_MAX,
	};
	const size_t count = sizeof(edges) / sizeof(edges[0]);

	for (unsigned int bytes = 2; bytes <= 8; bytes *= 2) {
		for (size_t i = 0; i < count * count; i++) {
			uint64_t a = cut(edges[i / count], bytes);
			uint64_t b = cut(edges[i % count], bytes);

			check_sum(*state, a, b, 0, bytes);
			check_sum(*state, a, b, 1, bytes);
		}
	}
}

static void test_logic_clears_carry_overflow_and_adjust(void **state)
{
	struct hs_soft_cpu *cpu = *state;

	for (uint64_t result = 0; result < 256; result++) {
		hs_soft_set_rflags(cpu, OTHERS | HS_FLAG_STATUS);
		hs_soft_flags_logic(cpu, result, 1);
		assert_int_equal(hs_soft_rflags(cpu), OTHERS | result_flags(result, 1));
		/* The same byte on top of a wider operand, and what lies above the operand does not count. */
		hs_soft_flags_logic(cpu, result << 24 | UINT64_C(0xff) << 32, 4);
		assert_int_equal(hs_soft_rflags(cpu), OTHERS | result_flags(result << 24, 4));
	}
}

static void test_result_takes_carry_and_overflow_as_given(void **state)
{
	struct hs_soft_cpu *cpu = *state;

	for (unsigned int i = 0; i < 4; i++) {
		uint64_t given = (i & 1 ? HS_FLAG_CF : 0) | (i & 2 ? HS_FLAG_OF : 0);

		hs_soft_set_rflags(cpu, OTHERS | HS_FLAG_STATUS);
		hs_soft_flags_result(cpu, 0x8001, 2, i & 1, i & 2);
		assert_int_equal(hs_soft_rflags(cpu), OTHERS | given | HS_FLAG_SF);
		hs_soft_flags_add_af(cpu);
		assert_int_equal(hs_soft_rflags(cpu), OTHERS | given | HS_FLAG_SF | HS_FLAG_AF);
	}
}

/* Every combination of the six, or as many of them as a result can give, kept in both ways. */
static void for_all_flags(struct hs_soft_cpu *cpu, void (*check)(struct hs_soft_cpu *cpu, uint64_t flags))
{
	for (unsigned int i = 0; i < 64; i++) {
		uint64_t flags = (i & 1 ? HS_FLAG_CF : 0) | (i & 2 ? HS_FLAG_PF : 0) | (i & 4 ? HS_FLAG_AF : 0) |
				 (i & 8 ? HS_FLAG_ZF : 0) | (i & 16 ? HS_FLAG_SF : 0) | (i & 32 ? HS_FLAG_OF : 0);

		hs_soft_set_rflags(cpu, OTHERS | flags);
		check(cpu, flags);
	}
	for (unsigned int i = 0; i < 5 * 8; i++) {
		static const uint8_t results[] = { 0x00, 0x01, 0x03, 0x80, 0x81 };
		uint64_t flags = (i & 1 ? HS_FLAG_CF : 0) | (i & 2 ? HS_FLAG_OF : 0) | (i & 4 ? HS_FLAG_AF : 0);

		hs_soft_set_rflags(cpu, OTHERS | HS_FLAG_STATUS);
		hs_soft_flags_result(cpu, results[i / 8], 1, i & 1, i & 2);
		if (i & 4) {
			hs_soft_flags_add_af(cpu);
		}
		check(cpu, flags | result_flags(results[i / 8], 1));
	}
}

static void check_each_flag(struct hs_soft_cpu *cpu, uint64_t flags)
{
	assert_int_equal(hs_soft_rflags(cpu), OTHERS | flags);
	assert_int_equal(hs_soft_cf(cpu), (flags & HS_FLAG_CF) != 0);
	assert_int_equal(hs_soft_pf(cpu), (flags & HS_FLAG_PF) != 0);
	assert_int_equal(hs_soft_af(cpu), (flags & HS_FLAG_AF) != 0);
	assert_int_equal(hs_soft_zf(cpu), (flags & HS_FLAG_ZF) != 0);
	assert_int_equal(hs_soft_sf(cpu), (flags & HS_FLAG_SF) != 0);
	assert_int_equal(hs_soft_of(cpu), (flags & HS_FLAG_OF) != 0);
}

static void test_each_flag_is_read_as_all_of_them(void **state)
{
	for_all_flags(*state, check_each_flag);
}

/* SDM vol. 1 appendix B, table B-1. */
static void check_conditions(struct hs_soft_cpu *cpu, uint64_t flags)
{
	bool cf = flags & HS_FLAG_CF, zf = flags & HS_FLAG_ZF, sf = flags & HS_FLAG_SF, of = flags & HS_FLAG_OF;
	bool pf = flags & HS_FLAG_PF;
	const bool holds[16] = { of, !of, cf, !cf, zf,       !zf,      cf || zf,       !(cf || zf),
				 sf, !sf, pf, !pf, sf != of, sf == of, zf || sf != of, !zf && sf == of };

	for (unsigned int cc = 0; cc < 16; cc++) {
		assert_int_equal(hs_soft_condition(cpu, cc), holds[cc]);
	}
}

static void test_conditions_are_those_of_the_table(void **state)
{
	for_all_flags(*state, check_conditions);
}

static void check_changes(struct hs_soft_cpu *cpu, uint64_t flags)
{
	const struct hs_soft_cpu before = *cpu;
	const uint64_t cf_of = HS_FLAG_CF | HS_FLAG_OF;

	for (unsigned int i = 0; i < 4; i++) {
		uint64_t cf = i & 1 ? HS_FLAG_CF : 0;
		uint64_t of = i & 2 ? HS_FLAG_OF : 0;

		hs_soft_set_cf(cpu, i & 1);
		assert_int_equal(hs_soft_rflags(cpu), OTHERS | (flags & ~(uint64_t)HS_FLAG_CF) | cf);
		*cpu = before;
		hs_soft_set_cf_of(cpu, i & 1, i & 2);
		assert_int_equal(hs_soft_rflags(cpu), OTHERS | (flags & ~cf_of) | cf | of);
		*cpu = before;
	}
	hs_soft_change_flags(cpu, HS_FLAG_ZF | HS_FLAG_DF, HS_FLAG_ZF | HS_FLAG_SF);
	assert_int_equal(hs_soft_rflags(cpu), (OTHERS & ~(uint64_t)HS_FLAG_DF) | flags | HS_FLAG_ZF);
	hs_soft_set_status(cpu, HS_FLAG_PF);
	assert_int_equal(hs_soft_rflags(cpu), (OTHERS & ~(uint64_t)HS_FLAG_DF) | HS_FLAG_PF);
}

static void test_changes_leave_the_other_flags_alone(void **state)
{
	for_all_flags(*state, check_changes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum_of_all_bytes_sets_flags_by_definition),
		cmocka_unit_test(test_sum_of_edges_sets_flags_by_definition),
		cmocka_unit_test(test_logic_clears_carry_overflow_and_adjust),
		cmocka_unit_test(test_result_takes_carry_and_overflow_as_given),
		cmocka_unit_test(test_each_flag_is_read_as_all_of_them),
		cmocka_unit_test(test_conditions_are_those_of_the_table),
		cmocka_unit_test(test_changes_leave_the_other_flags_alone),
	};

	return cmocka_run_group_tests(tests, make_cpu, drop_cpu);
}
