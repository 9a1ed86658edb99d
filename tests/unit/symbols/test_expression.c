/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hs_expression_evaluate(): what each operation does (DWARF 5, 2.5.1), and that no bytes do harm. */
#include "symbols/expression.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/** Memory: 16 bytes at 0x1000. */
static bool read_memory(void *context, hs_gva gva, void *ret, size_t length)
{
	static const uint8_t BYTES[16] = { 0xF0, 0xDE, 0xBC, 0x9A, 0x78, 0x56, 0x34, 0x12, 1, 2, 3, 4, 5, 6, 7, 8 };

	(void)context;
	if (gva.v < 0x1000 || gva.v > 0x1010 || length > 0x1010 - gva.v) {
		return false;
	}
	memcpy(ret, BYTES + (gva.v - 0x1000), length);
	return true;
}

static bool evaluate(unsigned int address_bytes, const uint8_t *bytes, size_t length, uint64_t *ret)
{
	static const struct hs_unwind_registers REGISTERS = {
		.value = { [3] = 0x1000, [4] = 99, [7] = 0x2000 },
		.known = 1u << 3 | 1u << 7,
	};
	static const struct hs_unwind_memory MEMORY = { .read = read_memory };
	const struct hs_expression_context context = { &REGISTERS, &MEMORY, address_bytes };

	return hs_expression_evaluate(&context, bytes, length, NULL, ret);
}

#define CODE(...)                                                                                                      \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}

static void test_operations_give_what_dwarf_says(void **state)
{
	static const struct {
		uint8_t length;
		uint8_t code[12];
		uint64_t expected, expected32;
	} ROWS[] = {
		{ 1, CODE(0x35), 5, 5 },                                                 /* lit5 */
		{ 2, CODE(0x08, 0xFE), 254, 254 },                                       /* const1u */
		{ 2, CODE(0x09, 0xFE), UINT64_MAX - 1, UINT32_MAX - 1 },                 /* const1s */
		{ 3, CODE(0x0B, 0x00, 0x80), UINT64_MAX - 0x7FFF, UINT32_MAX - 0x7FFF }, /* const2s */
		{ 5, CODE(0x0D, 0, 0, 0, 0x80), UINT64_MAX - 0x7FFFFFFF, 0x80000000 },   /* const4s */
		{ 4, CODE(0x10, 0xE5, 0x8E, 0x26), 624485, 624485 },                     /* constu */
		{ 2, CODE(0x11, 0x7F), UINT64_MAX, UINT32_MAX },                         /* consts -1 */
		{ 2, CODE(0x73, 0x7C), 0xFFC, 0xFFC },                                   /* breg3 - 4 */
		{ 4, CODE(0x92, 0x07, 0x80, 0x01), 0x2080, 0x2080 },                     /* bregx 7 + 128 */
		{ 3, CODE(0x73, 0x00, 0x06), 0x123456789ABCDEF0, 0x9ABCDEF0 },           /* breg3, deref */
		{ 4, CODE(0x73, 0x00, 0x94, 2), 0xDEF0, 0xDEF0 },                        /* deref_size 2 */
		{ 4, CODE(0x31, 0x32, 0x33, 0x17), 2, 2 },                               /* rot: 1 2 3 to 3 1 2 */
		{ 5, CODE(0x31, 0x32, 0x33, 0x17, 0x13), 1, 1 },                         /* and its second */
		{ 6, CODE(0x31, 0x32, 0x33, 0x17, 0x13, 0x13), 3, 3 },                   /* and its third */
		{ 4, CODE(0x31, 0x32, 0x16, 0x1C), 1, 1 },                               /* swap: 2 - 1 */
		{ 4, CODE(0x31, 0x32, 0x14, 0x1C), 1, 1 },                               /* over: 2 - 1 */
		{ 5, CODE(0x35, 0x32, 0x33, 0x15, 2), 5, 5 },                            /* pick 2 */
		{ 3, CODE(0x32, 0x35, 0x1C), UINT64_MAX - 2, UINT32_MAX - 2 },           /* 2 - 5 */
		{ 4, CODE(0x32, 0x35, 0x1C, 0x19), 3, 3 },                               /* abs */
		{ 5, CODE(0x09, 0xF9, 0x32, 0x1B, 0x1F), 3, 3 },                         /* -(-7 / 2) */
		{ 4, CODE(0x09, 0xFF, 0x3A, 0x1D), 5, 5 },                               /* -1 mod 10, unsigned */
		{ 4, CODE(0x09, 0x80, 0x33, 0x26), UINT64_MAX - 15, UINT32_MAX - 15 },   /* -128 shra 3 */
		{ 4, CODE(0x09, 0x80, 0x33, 0x25), 0x1FFFFFFFFFFFFFF0, 0x1FFFFFF0 },     /* shr */
		{ 4, CODE(0x31, 0x08, 70, 0x24), 0, 0 },                                 /* shl by too much */
		{ 4, CODE(0x31, 0x08, 40, 0x24), (uint64_t)1 << 40, 0 },                 /* shl 40 */
		{ 3, CODE(0x3C, 0x3A, 0x1A), 8, 8 },                                     /* and */
		{ 3, CODE(0x3C, 0x3A, 0x21), 14, 14 },                                   /* or */
		{ 3, CODE(0x3C, 0x3A, 0x27), 6, 6 },                                     /* xor */
		{ 3, CODE(0x3C, 0x3A, 0x1E), 120, 120 },                                 /* mul */
		{ 3, CODE(0x3C, 0x23, 0x7F), 139, 139 },                                 /* plus_uconst */
		{ 2, CODE(0x30, 0x20), UINT64_MAX, UINT32_MAX },                         /* not */
		{ 4, CODE(0x09, 0xFF, 0x31, 0x2D), 1, 1 },                               /* -1 < 1 */
		{ 4, CODE(0x09, 0xFF, 0x31, 0x2A), 0, 0 },                               /* -1 >= 1 */
		{ 3, CODE(0x31, 0x31, 0x29), 1, 1 },                                     /* eq */
		{ 7, CODE(0x35, 0x31, 0x28, 1, 0, 0x13, 0x96), 5, 5 },                   /* bra taken */
		{ 8, CODE(0x35, 0x36, 0x30, 0x28, 1, 0, 0x13, 0x96), 5, 5 },             /* bra not taken */
		{ 5, CODE(0x35, 0x2F, 1, 0, 0x13), 5, 5 },                               /* skip to the end */
	};
	(void)state;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		uint64_t value = 0;

		assert_true(evaluate(8, ROWS[i].code, ROWS[i].length, &value));
		assert_int_equal(value, ROWS[i].expected);
		value = 0;
		assert_true(evaluate(4, ROWS[i].code, ROWS[i].length, &value));
		assert_int_equal(value, ROWS[i].expected32);
	}
}

static void test_what_makes_no_sense_is_refused(void **state)
{
	static const struct {
		uint8_t length;
		uint8_t code[8];
	} ROWS[] = {
		{ 0, CODE(0) },
		{ 3, CODE(0x10, 0xE5, 0x8E) },       /* a number that is cut off */
		{ 1, CODE(0x06) },                   /* deref of nothing */
		{ 2, CODE(0x31, 0x22) },             /* plus with one */
		{ 2, CODE(0x74, 0x00) },             /* breg4, which is not known */
		{ 3, CODE(0x92, 0x40, 0x00) },       /* bregx 64 */
		{ 2, CODE(0x31, 0x06) },             /* memory that is not there */
		{ 4, CODE(0x73, 0x00, 0x94, 9) },    /* deref_size 9 */
		{ 4, CODE(0x73, 0x00, 0x94, 0) },    /* deref_size 0 */
		{ 3, CODE(0x31, 0x30, 0x1B) },       /* 1 / 0 */
		{ 3, CODE(0x31, 0x30, 0x1D) },       /* 1 mod 0 */
		{ 1, CODE(0x9C) },                   /* call_frame_cfa */
		{ 1, CODE(0xFF) },                   /* an operation that there is not */
		{ 4, CODE(0x31, 0x2F, 0xF0, 0xFF) }, /* skip to before the start */
		{ 4, CODE(0x31, 0x2F, 0x01, 0x00) }, /* and behind the end */
		{ 4, CODE(0x31, 0x2F, 0xFD, 0xFF) }, /* for ever */
		{ 4, CODE(0x31, 0x2F, 0xFC, 0xFF) }, /* and until the stack is full */
		{ 3, CODE(0x31, 0x15, 5) },          /* pick what is not there */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		uint64_t value = 77;

		assert_false(evaluate(8, ROWS[i].code, ROWS[i].length, &value));
		assert_int_equal(value, 77);
	}
}

static void test_the_least_number_divided_by_minus_one_wraps(void **state)
{
	static const uint8_t CODE64[] = { 0x31, 0x08, 63, 0x24, 0x09, 0xFF, 0x1B };
	uint64_t value = 0;

	(void)state;
	assert_true(evaluate(8, CODE64, sizeof(CODE64), &value));
	assert_int_equal(value, (uint64_t)1 << 63);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operations_give_what_dwarf_says),
		cmocka_unit_test(test_what_makes_no_sense_is_refused),
		cmocka_unit_test(test_the_least_number_divided_by_minus_one_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
