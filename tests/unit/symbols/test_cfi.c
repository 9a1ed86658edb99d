/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hs_cfi_*: what call-frame instructions say of an address (DWARF 5, 6.4.2), and what is refused. */
#include "symbols/cfi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define START 0x1000u

/** A table of one function of 0x100 bytes, with the CIE of amd64: CFA = r7 + 8, return address (16) at CFA - 8. */
static void make(struct hs_cfi_table *table, const uint8_t *code, size_t length)
{
	static const uint8_t INITIAL[] = { 0x0C, 7, 8, 0x90, 1 };
	const struct hs_cfi_cie cie = { 1, -8, 16, false, 0, sizeof(INITIAL) };
	uint32_t index = 77;

	hs_cfi_init(table);
	assert_true(hs_cfi_add_cie(table, cie, INITIAL, &index));
	assert_true(hs_cfi_add_fde(table, (struct hs_cfi_fde){ START, START + 0x100, 0, length, index, 0 }, code));
	hs_cfi_sort(table);
}

static bool row_at(const uint8_t *code, size_t length, uint64_t address, struct hs_cfi_row *ret)
{
	struct hs_cfi_table table;

	make(&table, code, length);
	const struct hs_cfi_fde *fde = hs_cfi_at(&table, address);
	bool found = fde != NULL && hs_cfi_row_at(&table, fde, address, ret);

	hs_cfi_deinit(&table);
	return found;
}

static void assert_rule(const struct hs_cfi_rule *rule, enum hs_cfi_how how, uint32_t reg, int64_t offset)
{
	assert_int_equal(rule->how, how);
	assert_int_equal(rule->reg, reg);
	assert_int_equal(rule->offset, offset);
}

static void test_rows_begin_where_advances_say(void **state)
{
	/* push rbp at 1: CFA + 16, rbp at -16; mov at 4: CFA by rbp; at 0x54 back again, as remembered. */
	static const uint8_t CODE[] = {
		0x41, 0x0E, 16, 0x86, 2, 0x43, 0x0D, 6, 0x0A, 0x02, 0x50, 0x0C, 7, 8, 0xC6, 0x41, 0x0B,
	};
	static const struct {
		uint64_t at;
		uint32_t reg;
		int64_t offset;
		enum hs_cfi_how rbp;
	} ROWS[] = {
		{ 0, 7, 8, HS_CFI_UNSPECIFIED }, { 1, 7, 16, HS_CFI_OFFSET },    { 3, 7, 16, HS_CFI_OFFSET },
		{ 4, 6, 16, HS_CFI_OFFSET },     { 0x53, 6, 16, HS_CFI_OFFSET }, { 0x54, 7, 8, HS_CFI_UNSPECIFIED },
		{ 0x55, 6, 16, HS_CFI_OFFSET },  { 0xFF, 6, 16, HS_CFI_OFFSET },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		struct hs_cfi_row row;

		assert_true(row_at(CODE, sizeof(CODE), START + ROWS[i].at, &row));
		assert_rule(&row.cfa, HS_CFI_REGISTER, ROWS[i].reg, ROWS[i].offset);
		assert_int_equal(row.registers[6].how, ROWS[i].rbp);
		assert_rule(&row.registers[16], HS_CFI_OFFSET, 0, -8);
		assert_int_equal(row.return_column, 16);
	}
}

static void test_every_kind_of_rule_is_understood(void **state)
{
	static const uint8_t CODE[] = {
		0x05, 0,    3,                /* offset_extended: rax at CFA - 24 */
		0x11, 1,    0x7F,             /* offset_extended_sf: rdx at CFA + 8 */
		0x2F, 2,    2,                /* GNU_negative_offset_extended: rcx at CFA + 16 */
		0x07, 3,                      /* undefined: rbx */
		0x08, 4,                      /* same_value: rsi */
		0x09, 5,    8,                /* register: rdi in r8 */
		0x14, 8,    1,                /* val_offset: r8 is CFA - 8 */
		0x15, 9,    0x7E,             /* val_offset_sf: r9 is CFA + 16 */
		0x10, 10,   1,    0x96,       /* expression */
		0x16, 11,   2,    0x31, 0x96, /* val_expression */
		0x2E, 16,                     /* GNU_args_size */
		0x05, 40,   1,                /* a vector register: of no interest */
		0x12, 7,    0x7C,             /* def_cfa_sf: rsp + 32 */
		0x13, 0x7B,                   /* def_cfa_offset_sf: rsp + 40 */
	};
	struct hs_cfi_row row;

	(void)state;
	assert_true(row_at(CODE, sizeof(CODE), START, &row));
	assert_rule(&row.registers[0], HS_CFI_OFFSET, 0, -24);
	assert_rule(&row.registers[1], HS_CFI_OFFSET, 0, 8);
	assert_rule(&row.registers[2], HS_CFI_OFFSET, 0, 16);
	assert_rule(&row.registers[3], HS_CFI_UNDEFINED, 0, 0);
	assert_rule(&row.registers[4], HS_CFI_SAME, 0, 0);
	assert_rule(&row.registers[5], HS_CFI_REGISTER, 8, 0);
	assert_rule(&row.registers[8], HS_CFI_VAL_OFFSET, 0, -8);
	assert_rule(&row.registers[9], HS_CFI_VAL_OFFSET, 0, 16);
	assert_rule(&row.registers[10], HS_CFI_EXPRESSION, 0, 0);
	assert_int_equal(row.registers[10].expression_length, 1);
	assert_rule(&row.registers[11], HS_CFI_VAL_EXPRESSION, 0, 0);
	assert_int_equal(row.registers[11].expression_length, 2);
	assert_rule(&row.cfa, HS_CFI_REGISTER, 7, 40);
}

static void test_broken_instructions_are_refused(void **state)
{
	static const struct {
		uint8_t length;
		uint8_t code[12];
	} ROWS[] = {
		{ 1, { 0x0B } },                               /* restore_state without one */
		{ 9, { 10, 10, 10, 10, 10, 10, 10, 10, 10 } }, /* remembered too deep */
		{ 1, { 0x3F } },                               /* no instruction */
		{ 2, { 0x01, 0 } },                            /* set_loc */
		{ 2, { 0x0C, 7 } },                            /* cut off */
		{ 4, { 0x16, 3, 100, 0 } },                    /* a block that is longer than the rest */
		{ 12, { 0x16, 3, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1 } }, /* 2^64 - 1 bytes */
		{ 6, { 0x0F, 2, 0x31, 0x96, 0x0D, 6 } }, /* a register for a CFA that is an expression */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		struct hs_cfi_row row;

		assert_false(row_at(ROWS[i].code, ROWS[i].length, START, &row));
	}
}

static void test_lookup_takes_what_covers_the_address_and_the_first_of_two(void **state)
{
	struct hs_cfi_table table;
	const struct hs_cfi_fde *fde;

	(void)state;
	make(&table, NULL, 0);
	assert_true(hs_cfi_add_fde(&table, (struct hs_cfi_fde){ START, START + 0x80, 0, 0, 0, 0 }, NULL));
	assert_true(hs_cfi_add_fde(&table, (struct hs_cfi_fde){ START + 0x10, START + 0x20, 0, 0, 0, 0 }, NULL));
	assert_true(hs_cfi_add_fde(&table, (struct hs_cfi_fde){ START + 0x200, START + 0x1F0, 0, 0, 0, 0 }, NULL));
	hs_cfi_sort(&table);
	fde = hs_cfi_at(&table, START);
	assert_non_null(fde);
	assert_int_equal(fde->order, 0);
	fde = hs_cfi_at(&table, START + 0x18);
	assert_non_null(fde);
	assert_int_equal(fde->order, 2);
	fde = hs_cfi_at(&table, START + 0x20);
	assert_non_null(fde);
	assert_int_equal(fde->order, 0);
	assert_null(hs_cfi_at(&table, START - 1));
	assert_null(hs_cfi_at(&table, START + 0x100));
	assert_null(hs_cfi_at(&table, START + 0x200));
	hs_cfi_deinit(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_begin_where_advances_say),
		cmocka_unit_test(test_every_kind_of_rule_is_understood),
		cmocka_unit_test(test_broken_instructions_are_refused),
		cmocka_unit_test(test_lookup_takes_what_covers_the_address_and_the_first_of_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
