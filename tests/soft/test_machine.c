/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The test machine itself: code ends at its hlt, a fault shows the state of the interrupted code, and running on
 * returns to it.
 */
#include "machine.h"
#include "state_difference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct machine_config configs[] = {
	{ .ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 1 },
	{ .ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_5LEVEL, .cpl = 0 },
	{ .ops = &TEST_OPS, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &TEST_OPS, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_NONE, .cpl = 0 },
	{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_32BIT, .cpl = 0 },
	{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_32BIT, .cpl = 3 },
	{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 1 },
	{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
};

#define CONFIG_COUNT (sizeof(configs) / sizeof(configs[0]))

static void assert_same(const struct hs_cpu_state *a, const struct hs_cpu_state *b)
{
	const struct state_rules rules = { .rflags = 0 };
	char text[300];
	const char *difference = state_difference(a, b, &rules, text, sizeof(text));

	if (difference) {
		fail_msg("%s", difference);
	}
}

/* A fault at the first instruction, the page mapped by the host, then the rest. */
static void check_fault(const struct machine_config *config)
{
	struct machine machine;
	struct machine_stop stop;
	struct hs_cpu_state expected;

	machine_init(&machine, config);
	machine_set_code(&machine, CODE32("mov [ebx], al\n add al, 1"));
	machine.cpu.gpr[HS_RBX] = MACHINE_DATA + 0x123;
	machine.cpu.gpr[HS_RAX] = 0x7F;
	if (config->format != HS_PAGING_NONE) {
		machine_change_entry(&machine, MACHINE_DATA, 1, 0);
		machine_start(&machine, &stop);
		assert_int_equal(stop.kind, MACHINE_FAULT);
		assert_int_equal(stop.vector, 14);
		assert_int_equal(stop.error_code, config->cpl == 3 ? 6 : 2);
		expected = machine.cpu;
		expected.cr2 = MACHINE_DATA + 0x123;
		assert_same(&stop.cpu, &expected);
		machine_change_entry(&machine, MACHINE_DATA, 0, 1);
		machine_run(&machine, &stop);
	} else {
		machine_start(&machine, &stop);
	}
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(stop.cpu.gpr[HS_RAX], 0x80);
	assert_int_equal(*machine_at(&machine, MACHINE_DATA + 0x123), 0x7F);
	assert_int_equal(stop.cpu.rip & ~0xFull, MACHINE_CODE);
	assert_int_equal(stop.cpu.gpr[HS_RSP], MACHINE_STACK);
	assert_int_equal(stop.cpu.seg[HS_CS].selector & 3, config->cpl);
	machine_deinit(&machine);
}

static void test_machine_fault_is_seen_and_returned_from(void **state)
{
	size_t checked = 0;

	(void)state;
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		if (!machine_missing(&configs[i])) {
			check_fault(&configs[i]);
			checked++;
		}
	}
	if (checked == 0) {
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machine_fault_is_seen_and_returned_from),
	};

	return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
