/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The byte machine: clients that attach, detach, vanish and kill, with the guest standing or running. */
#include "wire.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct hs_stop fault = { .kind = HS_STOP_SIGNAL, .signal = SIGSEGV, .code = 1, .fault_address = 0x123 };
static const struct hs_stop exited = { .kind = HS_STOP_EXITED, .exit_status = 3 };

static int setup(void **state)
{
	struct wire *wire = malloc(sizeof(*wire));

	wire_init(wire, HS_ARCH_AMD64);
	*state = wire;
	return 0;
}

static int teardown(void **state)
{
	wire_deinit(*state);
	free(*state);
	return 0;
}

/* Another stub for the same fake, with the target running already. */
static void restart_running(struct wire *wire)
{
	hs_gdb_destroy(wire->gdb);
	wire->fake.running = true;
	assert_int_equal(hs_gdb_create(&wire->fake.target, true, &wire->gdb, NULL), HS_OK);
	hs_gdb_connect(wire->gdb);
}

static void test_client_of_a_running_target_waits_for_the_stop(void **state)
{
	struct wire *wire = *state;

	restart_running(wire);
	assert_int_equal(wire->fake.interrupts, 0);
	/* The connection alone does not disturb the guest; the first packet does, and holds everything behind it. */
	assert_int_equal(hs_gdb_feed(wire->gdb, "+$?#3f$g#67", 11), 6);
	assert_int_equal(wire->fake.interrupts, 1);
	assert_false(hs_gdb_wants_input(wire->gdb));
	assert_string_equal(wire_receive(wire), "+");
	assert_null(wire_receive(wire));
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T02", 3);
	assert_null(wire_receive(wire));
	assert_true(hs_gdb_wants_input(wire->gdb));
	assert_int_equal(hs_gdb_feed(wire->gdb, "$g#67", 5), 5);
	assert_string_equal(wire_receive(wire), "+");
	assert_non_null(wire_receive(wire));
}

static void test_client_that_says_nothing_does_not_stop_the_guest(void **state)
{
	struct wire *wire = *state;

	restart_running(wire);
	wire_send_bytes(wire, "GET / HTTP/1.0\r\n\r\n\x03", 19);
	hs_gdb_disconnect(wire->gdb);
	assert_int_equal(wire->fake.interrupts, 0);
	assert_true(hs_gdb_target_running(wire->gdb));
	wire->fake.running = false;
}

static void test_detach_clears_breakpoints_and_resumes(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "Z0,1000,1", "OK");
	wire_expect(wire, "D", "OK");
	assert_int_equal(wire->fake.break_count, 0);
	assert_int_equal(wire->fake.resumes, 1);
	assert_int_equal(wire->fake.last_resume.signal, 0);
	assert_int_equal(hs_gdb_phase(wire->gdb), HS_GDB_LEAVING);
	hs_gdb_disconnect(wire->gdb);
	assert_int_equal(hs_gdb_phase(wire->gdb), HS_GDB_ABSENT);
	assert_true(hs_gdb_target_running(wire->gdb));
	assert_int_equal(wire->fake.interrupts, 0);
	wire->fake.running = false;
}

static void test_detach_at_a_fault_delivers_it(void **state)
{
	struct wire *wire = *state;

	fake_script(&wire->fake, fault);
	wire_send(wire, "c");
	wire_event(wire);
	assert_string_equal(wire_receive(wire), "+");
	assert_memory_equal(wire_receive(wire), "T0b", 3);
	wire_expect(wire, "D", "OK");
	assert_int_equal(wire->fake.last_resume.signal, SIGSEGV);
	wire->fake.running = false;
}

static void test_fault_without_a_client_is_delivered_and_guest_goes_on(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "D", "OK");
	hs_gdb_disconnect(wire->gdb);
	fake_stop(&wire->fake, fault);
	wire_event(wire);
	assert_int_equal(wire->fake.resumes, 2);
	assert_int_equal(wire->fake.last_resume.signal, SIGSEGV);
	fake_stop(&wire->fake, exited);
	wire_event(wire);
	assert_int_equal(hs_gdb_phase(wire->gdb), HS_GDB_EXITED);
}

static void test_disconnect_clears_breakpoints_and_guest_stays(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "Z1,1000,1", "OK");
	wire_send_bytes(wire, "$m1000", 6);
	hs_gdb_disconnect(wire->gdb);
	assert_int_equal(wire->fake.break_count, 0);
	assert_int_equal(wire->fake.resumes, 0);
	hs_gdb_connect(wire->gdb);
	/* Nothing of the half packet is left. */
	wire_expect(wire, "m1000,2", "0001");
}

static void test_disconnect_while_running_stops_then_clears(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "Z0,1000,1", "OK");
	wire_send(wire, "c");
	hs_gdb_disconnect(wire->gdb);
	assert_int_equal(wire->fake.interrupts, 1);
	assert_int_equal(wire->fake.break_count, 1);
	hs_gdb_connect(wire->gdb);
	/* The next client is faster than the stop. */
	wire_send(wire, "?");
	assert_false(hs_gdb_wants_input(wire->gdb));
	wire_event(wire);
	assert_int_equal(wire->fake.break_count, 0);
	assert_string_equal(wire_receive(wire), "+");
	assert_memory_equal(wire_receive(wire), "T02", 3);
	assert_null(wire_receive(wire));
	assert_int_equal(wire->fake.resumes, 1);
}

static void test_stop_after_a_disconnect_is_not_told_to_a_client_that_has_not_spoken(void **state)
{
	struct wire *wire = *state;

	wire_send(wire, "c");
	hs_gdb_disconnect(wire->gdb);
	hs_gdb_connect(wire->gdb);
	wire_event(wire);
	wire_expect_silence(wire);
	assert_memory_equal(wire_ask(wire, "?"), "T02", 3);
}

static void test_client_settings_do_not_reach_the_next_client(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "QStartNoAckMode", "OK");
	wire_expect(wire, "QEnableErrorStrings", "OK");
	hs_gdb_disconnect(wire->gdb);
	hs_gdb_connect(wire->gdb);
	wire_send(wire, "p1000");
	assert_string_equal(wire_receive(wire), "+");
	assert_string_equal(wire_receive(wire), "E02");
}

static void test_detach_in_extended_mode_may_attach_again(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "!", "OK");
	wire_expect(wire, "D;1", "OK");
	assert_int_equal(hs_gdb_phase(wire->gdb), HS_GDB_PRESENT);
	wire_expect_error(wire, "g");
	wire_expect_error(wire, "vAttach;5");
	wire_send(wire, "vAttach;1");
	wire_expect_silence(wire);
	assert_int_equal(wire->fake.interrupts, 1);
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T02", 3);
	assert_non_null(wire_ask(wire, "g"));
}

static void test_attach_while_running_is_refused_and_the_resume_has_its_one_reply(void **state)
{
	struct wire *wire = *state;

	wire_send(wire, "c");
	wire_expect_silence(wire);
	wire_expect_error(wire, "vAttach;1");
	wire_expect_error(wire, "c");
	assert_int_equal(wire->fake.interrupts, 0);
	wire_send_bytes(wire, "\x03", 1);
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T02", 3);
	wire_expect_silence(wire);
}

static void test_attach_behind_an_attach_is_refused_until_the_stop(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "!", "OK");
	wire_expect(wire, "D;1", "OK");
	wire_send(wire, "vAttach;1");
	wire_expect_silence(wire);
	wire_expect_error(wire, "vAttach;1");
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T02", 3);
	wire_expect_silence(wire);
}

static void test_attach_behind_a_kill_does_not_keep_the_guest_alive(void **state)
{
	struct wire *wire = *state;

	wire_send(wire, "c");
	wire_expect_silence(wire);
	wire_expect(wire, "vKill;1", "OK");
	wire_expect_error(wire, "vAttach;1");
	wire_event(wire);
	assert_int_equal(wire->fake.kills, 1);
}

static void test_kill_ends_the_guest(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "vKill;1", "OK");
	assert_int_equal(wire->fake.kills, 1);
	assert_int_equal(hs_gdb_phase(wire->gdb), HS_GDB_KILLED);
	hs_gdb_disconnect(wire->gdb);
	assert_int_equal(wire->fake.clears, 0);
}

static void test_k_has_no_reply(void **state)
{
	struct wire *wire = *state;

	assert_null(wire_ask(wire, "k"));
	assert_int_equal(wire->fake.kills, 1);
}

static void test_kill_of_a_running_guest_waits_for_its_stop(void **state)
{
	struct wire *wire = *state;

	wire_send(wire, "c");
	wire_expect_silence(wire);
	/* gdb's own number for the one process, 42000. */
	wire_expect(wire, "vKill;a410", "OK");
	assert_int_equal(wire->fake.kills, 0);
	assert_int_equal(hs_gdb_phase(wire->gdb), HS_GDB_PRESENT);
	hs_gdb_disconnect(wire->gdb);
	wire_event(wire);
	assert_int_equal(wire->fake.kills, 1);
	assert_int_equal(hs_gdb_phase(wire->gdb), HS_GDB_KILLED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_client_of_a_running_target_waits_for_the_stop),
		TEST(test_client_that_says_nothing_does_not_stop_the_guest),
		TEST(test_detach_clears_breakpoints_and_resumes),
		TEST(test_detach_at_a_fault_delivers_it),
		TEST(test_fault_without_a_client_is_delivered_and_guest_goes_on),
		TEST(test_disconnect_clears_breakpoints_and_guest_stays),
		TEST(test_disconnect_while_running_stops_then_clears),
		TEST(test_stop_after_a_disconnect_is_not_told_to_a_client_that_has_not_spoken),
		TEST(test_client_settings_do_not_reach_the_next_client),
		TEST(test_detach_in_extended_mode_may_attach_again),
		TEST(test_attach_while_running_is_refused_and_the_resume_has_its_one_reply),
		TEST(test_attach_behind_an_attach_is_refused_until_the_stop),
		TEST(test_attach_behind_a_kill_does_not_keep_the_guest_alive),
		TEST(test_kill_ends_the_guest),
		TEST(test_k_has_no_reply),
		TEST(test_kill_of_a_running_guest_waits_for_its_stop),
	};

	return cmocka_run_group_tests_name("attach", tests, NULL, NULL);
}
