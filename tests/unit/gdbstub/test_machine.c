/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The byte machine: packets and acknowledgements, running and stopping, and the bounds of its output. */
#include "wire.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct hs_stop at_breakpoint = { .kind = HS_STOP_SWBREAK };
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

static enum hs_status read_core(void *ctx, struct hs_cpu_state *ret, struct hs_error *err)
{
	struct fake_target *fake = ctx;

	(void)err;
	memset(ret, 0xAA, sizeof(*ret));
	memcpy(ret->gpr, fake->cpu.gpr, sizeof(ret->gpr));
	ret->rip = 0x1122;
	return HS_OK;
}

static enum hs_status refuse_read(void *ctx, struct hs_cpu_state *ret, struct hs_error *err)
{
	(void)ctx, (void)ret, (void)err;
	return HS_ERR_STATE;
}

static void test_stop_needs_no_more_than_the_core_of_the_registers(void **state)
{
	struct wire *wire = *state;
	static struct hs_target_ops ops;

	ops = *wire->fake.target.ops;
	ops.cpu_read_core = read_core;
	ops.cpu_read = refuse_read;
	wire->fake.target.ops = &ops;
	hs_gdb_destroy(wire->gdb);
	assert_int_equal(hs_gdb_create(&wire->fake.target, false, &wire->gdb, NULL), HS_OK);
	hs_gdb_connect(wire->gdb);
	fake_script(&wire->fake, at_breakpoint);
	wire_send(wire, "c");
	assert_string_equal(wire_receive(wire), "+");
	wire_event(wire);
	assert_non_null(strstr(wire_receive(wire), "10:2211"));
	assert_int_equal(wire_ask(wire, "g")[0], 'E');
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

static void test_interrupt_right_after_a_step_is_kept_for_the_next_resume(void **state)
{
	struct wire *wire = *state;

	/* gdb steps off a breakpoint before it goes on: the end of that step is not what its user waits for. */
	wire_send(wire, "vCont;s");
	wire_expect_silence(wire);
	fake_stop(&wire->fake, (struct hs_stop){ .kind = HS_STOP_STEPPED });
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T05", 3);
	wire_send_bytes(wire, "\x03", 1);
	assert_int_equal(wire->fake.interrupts, 0);
	wire_send(wire, "vCont;c");
	wire_expect_silence(wire);
	assert_int_equal(wire->fake.interrupts, 1);
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T02", 3);
}

static void test_interrupt_that_meets_the_end_of_a_step_stops_the_next_resume_once(void **state)
{
	struct wire *wire = *state;

	/* The step has ended, which the stub does not know yet: the fake, like a session, ignores the interrupt. */
	wire_send(wire, "vCont;s");
	wire_expect_silence(wire);
	fake_stop(&wire->fake, (struct hs_stop){ .kind = HS_STOP_STEPPED });
	wire_send_bytes(wire, "\x03", 1);
	assert_int_equal(wire->fake.interrupts, 1);
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T05", 3);
	wire_send(wire, "vCont;c");
	wire_expect_silence(wire);
	assert_int_equal(wire->fake.interrupts, 2);
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T02", 3);
	wire_send(wire, "vCont;c");
	wire_expect_silence(wire);
	assert_int_equal(wire->fake.interrupts, 2);
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
	static const char *const texts[] = { "g", "p0",      "m1000,4", "M1000,1:00", "Z0,1000,1",          "z0,1000,1",
					     "c", "vCont;s", "?",       "G00",        "P0=0000000000000000" };
	struct wire *wire = *state;

	wire_send(wire, "c");
	wire_expect_silence(wire);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		wire_expect_error(wire, texts[i]);
	}
	wire_expect(wire, "qRcmd,68656c70",
		    "7468652067756573742069732072756e6e696e670a"); /* "the guest is running\n" */
	fake_stop(&wire->fake, at_breakpoint);
	wire_event(wire);
	assert_memory_equal(wire_receive(wire), "T05", 3);
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
		TEST(test_stop_needs_no_more_than_the_core_of_the_registers),
		TEST(test_stop_is_reported_once),
		TEST(test_interrupt_stops_a_running_target),
		TEST(test_interrupt_right_after_a_stop_came_too_late_and_leaves_no_trace),
		TEST(test_interrupt_before_the_resume_that_it_means_stops_that_once),
		TEST(test_interrupt_right_after_a_step_is_kept_for_the_next_resume),
		TEST(test_interrupt_that_meets_the_end_of_a_step_stops_the_next_resume_once),
		TEST(test_vctrlc_is_answered_and_stops),
		TEST(test_requests_to_a_running_target_are_refused),
		TEST(test_guest_end_is_reported),
		TEST(test_guest_crash_is_reported_with_gdbs_number),
		TEST(test_output_that_nobody_fetches_stops_the_input),
		TEST(test_many_naks_do_not_grow_the_output_without_bound),
		TEST(test_overlong_packet_gets_an_error),
	};

	return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
