/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The byte machine: what the comings and goings of client and target lead to. */
#include "wire.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct hs_stop at_breakpoint = { .kind = HS_STOP_SWBREAK };
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

static void test_packet_is_acknowledged_and_answered_once(void **state)
{
	struct wire *wire = *state;

	wire_send(wire, "qAttached");
	assert_string_equal(wire_receive(wire), "+");
	assert_string_equal(wire_receive(wire), "1");
	assert_null(wire_receive(wire));
}

static void test_corrupt_packet_is_asked_for_again_and_not_executed(void **state)
{
	struct wire *wire = *state;

	wire_send_bytes(wire, "$M1000,1:ff#00", 14);
	assert_string_equal(wire_receive(wire), "-");
	assert_null(wire_receive(wire));
	assert_int_equal(wire->fake.segments[0].bytes[0], 0);
}

static void test_corrupt_packet_without_acks_gets_an_error(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "QStartNoAckMode", "OK");
	wire_send_bytes(wire, "$M1000,1:ff#00", 14);
	assert_string_equal(wire_receive(wire), "E16");
	assert_null(wire_receive(wire));
	assert_int_equal(wire->fake.segments[0].bytes[0], 0);
}

static void test_no_ack_mode_takes_effect_behind_its_own_ack(void **state)
{
	struct wire *wire = *state;

	wire_send(wire, "QStartNoAckMode");
	assert_string_equal(wire_receive(wire), "+");
	assert_string_equal(wire_receive(wire), "OK");
	wire_send_bytes(wire, "+", 1);
	wire_send(wire, "qC");
	assert_string_equal(wire_receive(wire), "QC1");
	assert_null(wire_receive(wire));
}

static void test_nak_repeats_the_last_packet(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "qC", "QC1");
	wire_send_bytes(wire, "-", 1);
	assert_string_equal(wire_receive(wire), "QC1");
	assert_null(wire_receive(wire));
}

static void test_two_packets_in_one_feed_get_two_replies(void **state)
{
	struct wire *wire = *state;

	wire_send_bytes(wire, "$qC#b4$qAttached#8f", 19);
	assert_string_equal(wire_receive(wire), "+");
	assert_string_equal(wire_receive(wire), "QC1");
	assert_string_equal(wire_receive(wire), "+");
	assert_string_equal(wire_receive(wire), "1");
	assert_null(wire_receive(wire));
}

static void test_packet_byte_by_byte_is_the_same(void **state)
{
	struct wire *wire = *state;
	const char *text = "$qC#b4";

	for (const char *c = text; *c; c++) {
		assert_null(wire_receive(wire));
		wire_send_bytes(wire, c, 1);
	}
	assert_string_equal(wire_receive(wire), "+");
	assert_string_equal(wire_receive(wire), "QC1");
}

static void test_resume_is_answered_by_the_stop_alone(void **state)
{
	struct wire *wire = *state;

	wire_send(wire, "vCont;c");
	wire_expect_silence(wire);
	assert_true(hs_gdb_target_running(wire->gdb));
	fake_stop(&wire->fake, at_breakpoint);
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T05thread:1;", 12);
	assert_null(wire_receive(wire));
	assert_false(hs_gdb_target_running(wire->gdb));
}

static void test_stop_is_reported_once(void **state)
{
	struct wire *wire = *state;

	fake_script(&wire->fake, at_breakpoint);
	wire_send(wire, "c");
	wire_event(wire);
	assert_memory_equal(wire_ask(wire, "qC"), "T05", 3);
	assert_string_equal(wire_receive(wire), "+");
	assert_string_equal(wire_receive(wire), "QC1");
	wire_event(wire);
	wire_event(wire);
	assert_null(wire_receive(wire));
}

static void test_interrupt_stops_a_running_target(void **state)
{
	struct wire *wire = *state;

	wire_send(wire, "vCont;c");
	wire_expect_silence(wire);
	wire_send_bytes(wire, "\x03", 1);
	assert_int_equal(wire->fake.interrupts, 1);
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T02", 3);
	assert_null(wire_receive(wire));
}

static void test_interrupt_right_after_a_stop_came_too_late_and_leaves_no_trace(void **state)
{
	struct wire *wire = *state;

	wire_send(wire, "c");
	wire_expect_silence(wire);
	fake_stop(&wire->fake, at_breakpoint);
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T05", 3);
	wire_send_bytes(wire, "\x03\x03", 2);
	assert_int_equal(wire->fake.interrupts, 0);
	assert_null(wire_receive(wire));
	wire_send(wire, "c");
	wire_expect_silence(wire);
	assert_int_equal(wire->fake.interrupts, 0);
	assert_true(hs_gdb_target_running(wire->gdb));
}

static void test_interrupt_before_the_resume_that_it_means_stops_that_once(void **state)
{
	struct wire *wire = *state;

	/* What gdb 13 sends when Ctrl-C comes right after "continue" was typed. */
	wire_expect(wire, "qC", "QC1");
	wire_send_bytes(wire, "\x03", 1);
	assert_int_equal(wire->fake.interrupts, 0);
	assert_null(wire_receive(wire));
	wire_expect(wire, "vCont?", "vCont;c;C;s;S;t;r");
	wire_send(wire, "vCont;c");
	wire_expect_silence(wire);
	assert_int_equal(wire->fake.interrupts, 1);
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T02", 3);
	/* And the target goes on after it. */
	wire_send(wire, "c");
	wire_expect_silence(wire);
	assert_int_equal(wire->fake.interrupts, 1);
	assert_true(hs_gdb_target_running(wire->gdb));
}

static void test_vctrlc_is_answered_and_stops(void **state)
{
	struct wire *wire = *state;

	wire_send(wire, "c");
	wire_expect_silence(wire);
	wire_expect(wire, "vCtrlC", "OK");
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T02", 3);
}

static void test_requests_to_a_running_target_are_refused(void **state)
{
	static const char *const texts[] = { "g", "p0", "m1000,4", "M1000,1:00", "Z0,1000,1", "z0,1000,1", "c", "vCont;s", "?",
					     "qRcmd,68656c70", "G00", "P0=0000000000000000" };
	struct wire *wire = *state;

	wire_send(wire, "c");
	wire_expect_silence(wire);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		wire_expect_error(wire, texts[i]);
	}
	fake_stop(&wire->fake, at_breakpoint);
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T05", 3);
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

static void test_guest_end_is_reported(void **state)
{
	struct wire *wire = *state;

	fake_script(&wire->fake, exited);
	wire_send(wire, "c");
	assert_string_equal(wire_receive(wire), "+");
	wire_event(wire);
	assert_string_equal(wire_receive(wire), "W03");
	assert_int_equal(hs_gdb_phase(wire->gdb), HS_GDB_EXITED);
	wire_expect(wire, "?", "W03");
	wire_expect_error(wire, "g");
	wire_expect_error(wire, "c");
	hs_gdb_disconnect(wire->gdb);
	assert_int_equal(wire->fake.clears, 0);
}

static void test_guest_crash_is_reported_with_gdbs_number(void **state)
{
	struct wire *wire = *state;

	fake_script(&wire->fake, (struct hs_stop){ .kind = HS_STOP_KILLED, .signal = SIGBUS });
	wire_send(wire, "c");
	assert_string_equal(wire_receive(wire), "+");
	wire_event(wire);
	assert_string_equal(wire_receive(wire), "X0a");
}

static void test_output_that_nobody_fetches_stops_the_input(void **state)
{
	struct wire *wire = *state;
	size_t length = 0;
	unsigned int packets = 0;

	wire_expect(wire, "QStartNoAckMode", "OK");
	while (hs_gdb_wants_input(wire->gdb)) {
		wire_send(wire, "m1000,2000");
		assert_true(++packets < 1000);
	}
	assert_int_equal(hs_gdb_feed(wire->gdb, "$g#67", 5), 0);
	(void)hs_gdb_output(wire->gdb, &length);
	assert_in_range(length, 1u << 20, 2u << 20);
	for (unsigned int i = 0; i < packets; i++) {
		assert_non_null(wire_receive(wire));
		assert_int_equal(wire->reply_length, 0x4000);
	}
	assert_null(wire_receive(wire));
	wire_expect(wire, "qC", "QC1");
}

static void test_many_naks_do_not_grow_the_output_without_bound(void **state)
{
	struct wire *wire = *state;
	static char naks[4096];
	size_t length;

	memset(naks, '-', sizeof(naks));
	wire_send(wire, "m1000,2000");
	for (int i = 0; i < 100; i++) {
		(void)hs_gdb_feed(wire->gdb, naks, sizeof(naks));
	}
	(void)hs_gdb_output(wire->gdb, &length);
	assert_in_range(length, 1u << 20, 2u << 20);
}

static void test_overlong_packet_gets_an_error(void **state)
{
	struct wire *wire = *state;
	char *payload = malloc(HS_GDB_PACKET_SIZE + 2);

	memset(payload, 'a', HS_GDB_PACKET_SIZE + 1);
	payload[HS_GDB_PACKET_SIZE + 1] = '\0';
	wire_expect_error(wire, payload);
	payload[HS_GDB_PACKET_SIZE] = '\0';
	wire_expect(wire, payload, "");
	free(payload);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_packet_is_acknowledged_and_answered_once),
		TEST(test_corrupt_packet_is_asked_for_again_and_not_executed),
		TEST(test_corrupt_packet_without_acks_gets_an_error),
		TEST(test_no_ack_mode_takes_effect_behind_its_own_ack),
		TEST(test_nak_repeats_the_last_packet),
		TEST(test_two_packets_in_one_feed_get_two_replies),
		TEST(test_packet_byte_by_byte_is_the_same),
		TEST(test_resume_is_answered_by_the_stop_alone),
		TEST(test_stop_is_reported_once),
		TEST(test_interrupt_stops_a_running_target),
		TEST(test_interrupt_right_after_a_stop_came_too_late_and_leaves_no_trace),
		TEST(test_interrupt_before_the_resume_that_it_means_stops_that_once),
		TEST(test_vctrlc_is_answered_and_stops),
		TEST(test_requests_to_a_running_target_are_refused),
		TEST(test_client_of_a_running_target_waits_for_the_stop),
		TEST(test_client_that_says_nothing_does_not_stop_the_guest),
		TEST(test_detach_clears_breakpoints_and_resumes),
		TEST(test_detach_at_a_fault_delivers_it),
		TEST(test_fault_without_a_client_is_delivered_and_guest_goes_on),
		TEST(test_disconnect_clears_breakpoints_and_guest_stays),
		TEST(test_disconnect_while_running_stops_then_clears),
		TEST(test_client_settings_do_not_reach_the_next_client),
		TEST(test_detach_in_extended_mode_may_attach_again),
		TEST(test_kill_ends_the_guest),
		TEST(test_k_has_no_reply),
		TEST(test_kill_of_a_running_guest_waits_for_its_stop),
		TEST(test_guest_end_is_reported),
		TEST(test_guest_crash_is_reported_with_gdbs_number),
		TEST(test_output_that_nobody_fetches_stops_the_input),
		TEST(test_many_naks_do_not_grow_the_output_without_bound),
		TEST(test_overlong_packet_gets_an_error),
	};

	return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
