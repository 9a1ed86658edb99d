/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* debug/gdbstub: a client in extended mode begins again, wherever the guest is by then, and one in no such mode not. */
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
	struct wire *wire = calloc(1, sizeof(*wire));

	wire_init(wire, HS_ARCH_AMD64);
	*state = wire;
	return 0;
}

static int teardown(void **state)
{
	struct wire *wire = *state;

	assert_int_equal(wire->fake.misuses, 0);
	wire_deinit(wire);
	free(wire);
	return 0;
}

static void to_the_end(struct wire *wire)
{
	fake_script(&wire->fake, (struct hs_stop){ .kind = HS_STOP_EXITED, .exit_status = 3 });
	wire_send(wire, "c");
	wire_event(wire);
	assert_string_equal(wire_receive(wire), "+");
	assert_string_equal(wire_receive(wire), "W03");
}

static void test_run_behind_the_end_puts_the_guest_back(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "!", "OK");
	wire_expect(wire, "Z0,1010,1", "OK");
	to_the_end(wire);
	assert_int_equal(hs_gdb_phase(wire->gdb), HS_GDB_PRESENT);
	wire_expect(wire, "qfThreadInfo", "l");
	wire_expect_error(wire, "g");
	assert_memory_equal(wire_ask(wire, "vRun;2f61"), "T05", 3);
	assert_int_equal(wire->fake.restarts, 1);
	/* A new process has no breakpoint of the old one. */
	assert_int_equal(wire->fake.break_count, 0);
	assert_non_null(wire_ask(wire, "g"));
	to_the_end(wire);
	hs_gdb_disconnect(wire->gdb);
	assert_int_equal(hs_gdb_phase(wire->gdb), HS_GDB_EXITED);
}

static void test_run_behind_a_kill_puts_the_guest_back(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "!", "OK");
	wire_expect(wire, "vKill;1", "OK");
	assert_int_equal(hs_gdb_phase(wire->gdb), HS_GDB_PRESENT);
	wire_expect_error(wire, "m1000,4");
	assert_memory_equal(wire_ask(wire, "vRun;"), "T05", 3);
	assert_int_equal(wire->fake.restarts, 1);
	assert_non_null(wire_ask(wire, "g"));
	wire_expect(wire, "vKill;1", "OK");
	hs_gdb_disconnect(wire->gdb);
	assert_int_equal(hs_gdb_phase(wire->gdb), HS_GDB_KILLED);
}

static void test_run_of_a_guest_that_runs_without_us_stops_it_first(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "!", "OK");
	wire_expect(wire, "D;1", "OK");
	wire_send(wire, "vRun;");
	wire_expect_silence(wire);
	assert_int_equal(wire->fake.restarts, 0);
	assert_int_equal(wire->fake.interrupts, 1);
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T05", 3);
	wire_expect_silence(wire);
	assert_int_equal(wire->fake.restarts, 1);
	assert_non_null(wire_ask(wire, "g"));
}

static void test_run_of_a_guest_that_we_have_resumed_loses_no_stop(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "!", "OK");
	wire_send(wire, "c");
	wire_expect_silence(wire);
	wire_expect_error(wire, "vRun;");
	assert_null(wire_ask(wire, "R00"));
	assert_int_equal(wire->fake.interrupts, 0);
	wire_expect(wire, "vKill;1", "OK");
	wire_send(wire, "vRun;");
	wire_expect_silence(wire);
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T05", 3);
	assert_int_equal(wire->fake.restarts, 1);
	assert_int_equal(wire->fake.kills, 0);
}

static void test_restart_has_no_reply_and_the_question_behind_it_one(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "!", "OK");
	to_the_end(wire);
	assert_null(wire_ask(wire, "R00"));
	assert_int_equal(wire->fake.restarts, 1);
	assert_memory_equal(wire_ask(wire, "?"), "T05", 3);
	wire_expect_silence(wire);
}

static void test_run_outside_extended_mode_is_refused(void **state)
{
	struct wire *wire = *state;

	wire_expect_error(wire, "vRun;");
	assert_null(wire_ask(wire, "R00"));
	assert_int_equal(wire->fake.restarts, 0);
	to_the_end(wire);
	assert_int_equal(hs_gdb_phase(wire->gdb), HS_GDB_EXITED);
}

static void test_run_with_arguments_is_refused(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "!", "OK");
	wire_expect_error(wire, "vRun;;31");
	wire_expect_error(wire, "vRun;2f61;31;32");
	assert_int_equal(wire->fake.restarts, 0);
}

static void test_run_that_fails_leaves_the_guest_ended(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "!", "OK");
	to_the_end(wire);
	wire->fake.restart_fails = HS_ERR_NOMEM;
	wire_expect(wire, "vRun;", "E0c");
	wire_expect_error(wire, "g");
	wire_expect(wire, "?", "W03");
	wire->fake.restart_fails = HS_OK;
	assert_memory_equal(wire_ask(wire, "vRun;"), "T05", 3);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_run_behind_the_end_puts_the_guest_back),
		TEST(test_run_behind_a_kill_puts_the_guest_back),
		TEST(test_run_of_a_guest_that_runs_without_us_stops_it_first),
		TEST(test_run_of_a_guest_that_we_have_resumed_loses_no_stop),
		TEST(test_restart_has_no_reply_and_the_question_behind_it_one),
		TEST(test_run_outside_extended_mode_is_refused),
		TEST(test_run_with_arguments_is_refused),
		TEST(test_run_that_fails_leaves_the_guest_ended),
	};

	return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
