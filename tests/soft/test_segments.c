/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loading segment registers: every kind of descriptor into data and stack segments, with the exact exception (SDM vol.
 * 3A 5.5 to 5.7; vol. 2, MOV). What faults leaves everything as it was, the accessed bit included.
 */
#include "protection_scene.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SPARE MACHINE_SPARE
#define OUTSIDE 0x1000
#define TI 4

#define OK                                                                                                             \
	{                                                                                                              \
		-1, 0                                                                                                  \
	}
#define GP(error)                                                                                                      \
	{                                                                                                              \
		13, (error)                                                                                            \
	}
#define NP(error)                                                                                                      \
	{                                                                                                              \
		11, (error)                                                                                            \
	}
#define SS(error)                                                                                                      \
	{                                                                                                              \
		12, (error)                                                                                            \
	}

struct row {
	const char *what;
	uint8_t modes, cpl;
	uint8_t access; /* of the descriptor at SPARE */
	uint16_t selector;
	struct expected expected;
};

static const struct row data_rows[] = {
	{ "data", EVERYWHERE, 0, ACCESS(0, DATA_RW), SPARE, OK },
	{ "data to read", EVERYWHERE, 0, ACCESS(0, DATA_RO), SPARE, OK },
	{ "data that expands down", EVERYWHERE, 0, ACCESS(0, DATA_DOWN), SPARE, OK },
	{ "data of an outer level", EVERYWHERE, 0, ACCESS(3, DATA_RW), SPARE, OK },
	{ "data of an outer level with its RPL", EVERYWHERE, 0, ACCESS(3, DATA_RW), SPARE | 3, OK },
	{ "data, RPL too high", EVERYWHERE, 0, ACCESS(0, DATA_RW), SPARE | 3, GP(SPARE) },
	{ "data, RPL just too high", EVERYWHERE, 0, ACCESS(1, DATA_RW), SPARE | 2, GP(SPARE) },
	{ "data of ring 3", EVERYWHERE, 3, ACCESS(3, DATA_RW), SPARE | 3, OK },
	{ "data of ring 3, RPL 0", EVERYWHERE, 3, ACCESS(3, DATA_RO), SPARE, OK },
	{ "data of an inner level", EVERYWHERE, 3, ACCESS(0, DATA_RW), SPARE, GP(SPARE) },
	{ "data of the next inner level", EVERYWHERE, 3, ACCESS(2, DATA_RW), SPARE, GP(SPARE) },
	{ "code that can be read", EVERYWHERE, 0, ACCESS(0, CODE_RX), SPARE, OK },
	{ "code of an inner level", EVERYWHERE, 3, ACCESS(0, CODE_RX), SPARE, GP(SPARE) },
	{ "code that cannot be read", EVERYWHERE, 0, ACCESS(0, CODE_X), SPARE, GP(SPARE) },
	{ "conforming code of an inner level", EVERYWHERE, 3, ACCESS(0, CONFORMING_RX), SPARE | 3, OK },
	{ "conforming code that cannot be read", EVERYWHERE, 3, ACCESS(3, CONFORMING_X), SPARE | 3, GP(SPARE) },
	{ "data that is not there", EVERYWHERE, 0, ABSENT(ACCESS(0, DATA_RW)), SPARE, NP(SPARE) },
	{ "data of an inner level that is not there", EVERYWHERE, 3, ABSENT(ACCESS(0, DATA_RW)), SPARE, GP(SPARE) },
	{ "an LDT", EVERYWHERE, 0, SYSTEM(0, 2), SPARE, GP(SPARE) },
	{ "a TSS", EVERYWHERE, 0, SYSTEM(3, 9), SPARE, GP(SPARE) },
	{ "a call gate", EVERYWHERE, 0, SYSTEM(3, 12), SPARE, GP(SPARE) },
	{ "null", EVERYWHERE, 0, 0, 0, OK },
	{ "null with RPL 3", EVERYWHERE, 3, 0, 3, OK },
	{ "outside the table", EVERYWHERE, 0, 0, OUTSIDE | 3, GP(OUTSIDE) },
	{ "of no LDT", EVERYWHERE, 0, 0, SPARE | TI | 1, GP(SPARE | TI) },
};

static const struct row stack_rows[] = {
	{ "data", EVERYWHERE, 0, ACCESS(0, DATA_RW), SPARE, OK },
	{ "data of ring 3", EVERYWHERE, 3, ACCESS(3, DATA_RW), SPARE | 3, OK },
	{ "data to read", EVERYWHERE, 0, ACCESS(0, DATA_RO), SPARE, GP(SPARE) },
	{ "code", EVERYWHERE, 0, ACCESS(0, CODE_RX), SPARE, GP(SPARE) },
	{ "a system segment", EVERYWHERE, 0, SYSTEM(0, 2), SPARE, GP(SPARE) },
	{ "RPL of an outer level", EVERYWHERE, 0, ACCESS(0, DATA_RW), SPARE | 3, GP(SPARE) },
	{ "RPL of an inner level", EVERYWHERE, 3, ACCESS(3, DATA_RW), SPARE, GP(SPARE) },
	{ "data of an outer level", EVERYWHERE, 0, ACCESS(3, DATA_RW), SPARE, GP(SPARE) },
	{ "data of an inner level", EVERYWHERE, 3, ACCESS(0, DATA_RW), SPARE | 3, GP(SPARE) },
	{ "data that is not there", EVERYWHERE, 0, ABSENT(ACCESS(0, DATA_RW)), SPARE, SS(SPARE) },
	{ "data to read that is not there", EVERYWHERE, 0, ABSENT(ACCESS(0, DATA_RO)), SPARE, GP(SPARE) },
	{ "null for 64-bit code", IN_64, 0, 0, 0, OK },
	{ "null with another RPL", IN_64, 0, 0, 3, GP(0) },
	{ "null in ring 3", EVERYWHERE, 3, 0, 3, GP(0) },
	{ "null", IN_LEGACY, 0, 0, 0, GP(0) },
	{ "outside the table", EVERYWHERE, 0, 0, OUTSIDE, GP(OUTSIDE) },
	{ "of no LDT", EVERYWHERE, 3, 0, SPARE | TI | 3, GP(SPARE | TI) },
};

/* The register that was loaded, and the descriptor's accessed bit. */
static void check_loaded(struct machine *machine, const struct row *row, const struct hs_segment *segment)
{
	bool null = (row->selector & ~3) == 0;

	/* What KVM shows of a null selector varies with the host. */
	if (null && strcmp(machine->config.ops->name, "kvm") == 0) {
		return;
	}
	assert_int_equal(segment->selector, row->selector);
	assert_int_equal(segment->unusable, null);
	if (!null) {
		assert_int_equal(segment->type, (row->access & 15) | 1);
		assert_int_equal(segment->dpl, row->access >> 5 & 3);
		assert_int_equal(segment->limit, 0xFFFFFFFF);
		assert_int_equal(*scene_access(machine, SPARE), row->access | 1);
	}
}

static void run_row(const struct row *row, enum machine_mode mode, struct code code, unsigned int seg)
{
	const struct machine_config config = scene_config(mode, row->cpl);
	struct machine_stop stop;
	struct machine machine;

	if (!(row->modes >> mode & 1) || machine_missing(&config)) {
		return;
	}
	machine_init(&machine, &config);
	scene_put_segment(&machine, SPARE, row->access, false);
	machine_set_code(&machine, code);
	machine.cpu.gpr[HS_RAX] = row->selector;
	machine.cpu.gpr[HS_RBX] = MACHINE_DATA;
	hs_put_le32(machine_at(&machine, MACHINE_DATA), 0x12345678);
	hs_put_le16(machine_at(&machine, MACHINE_DATA + 4), row->selector);
	scene_expect(&machine, row->what, &row->expected, &stop);
	if (row->expected.vector < 0) {
		check_loaded(&machine, row, &stop.cpu.seg[seg]);
	}
	machine_deinit(&machine);
}

#define RUN(rows, code, seg)                                                                                           \
	for (size_t i_ = 0; i_ < sizeof(rows) / sizeof((rows)[0]); i_++) {                                             \
		for (int mode_ = MACHINE_64; mode_ <= MACHINE_32; mode_++) {                                           \
			run_row(&(rows)[i_], (enum machine_mode)mode_, code, seg);                                     \
		}                                                                                                      \
	}

static void test_segments_mov_checks_data(void **state)
{
	(void)state;
	RUN(data_rows, CODE32("mov fs, eax"), HS_FS);
	RUN(data_rows, CODE32(".byte 0x8e, 0x43, 0x04"), HS_ES); /* mov es, [ebx + 4] */
}

static void test_segments_mov_checks_stacks(void **state)
{
	(void)state;
	RUN(stack_rows, CODE32("mov ss, eax"), HS_SS);
}

static void test_segments_load_pointer_checks_them_too(void **state)
{
	(void)state;
	RUN(data_rows, CODE32("lgs ecx, [ebx]"), HS_GS);
	RUN(stack_rows, CODE32("lss ecx, [ebx]"), HS_SS);
}

/* pop fs and pop ss: the selector is on the stack, and stays there when it is bad. Assemblers differ in the size. */
static void run_pop(const struct row *row, enum machine_mode mode, struct code code, unsigned int seg)
{
	const struct machine_config config = scene_config(mode, row->cpl);
	unsigned int word = mode == MACHINE_64 ? 8 : 4;
	struct machine_stop stop;
	struct machine machine;

	if (!(row->modes >> mode & 1) || machine_missing(&config) || (seg == HS_SS && mode == MACHINE_64)) {
		return;
	}
	machine_init(&machine, &config);
	scene_put_segment(&machine, SPARE, row->access, false);
	machine_set_code(&machine, code);
	hs_put_le16(machine_at(&machine, MACHINE_STACK), row->selector);
	scene_expect(&machine, row->what, &row->expected, &stop);
	if (row->expected.vector < 0) {
		check_loaded(&machine, row, &stop.cpu.seg[seg]);
		assert_int_equal(stop.cpu.gpr[HS_RSP], MACHINE_STACK + word);
	}
	machine_deinit(&machine);
}

static void test_segments_pop_checks_them_too(void **state)
{
	(void)state;
	for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
		for (size_t i = 0; i < sizeof(data_rows) / sizeof(data_rows[0]); i++) {
			run_pop(&data_rows[i], (enum machine_mode)mode, CODE32(".byte 0x0f, 0xa1"), HS_FS);
		}
		for (size_t i = 0; i < sizeof(stack_rows) / sizeof(stack_rows[0]); i++) {
			run_pop(&stack_rows[i], (enum machine_mode)mode, CODE32(".byte 0x17"), HS_SS);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segments_mov_checks_data),
		cmocka_unit_test(test_segments_mov_checks_stacks),
		cmocka_unit_test(test_segments_load_pointer_checks_them_too),
		cmocka_unit_test(test_segments_pop_checks_them_too),
	};

	return cmocka_run_group_tests_name("segments", tests, NULL, NULL);
}
