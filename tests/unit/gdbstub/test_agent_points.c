/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Conditions and commands of breakpoints, from the Z packet to the hit that is reported or passed over. */
#include "wire.h"

#include "base/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Conditions: 0, 1, rax == 3, and the byte at address 8, where nothing is. */
#define FALSE_ "X3,220027"
#define TRUE_ "X3,220127"
#define RAX_IS_3 "X7,26000022031327"
#define UNREADABLE "X4,22081727"
/* A command: printf("n %ld\n", rax). */
#define PRINT_RAX "X14,26000022002200340100086e20256c645c6e0027"

static const struct hs_stop at_swbreak = { .kind = HS_STOP_SWBREAK };
static const struct hs_stop at_hwbreak = { .kind = HS_STOP_HWBREAK };

static int setup(void **state)
{
	struct wire *wire = malloc(sizeof(*wire));

	wire_init(wire, HS_ARCH_AMD64);
	wire_expect(wire, "QStartNoAckMode", "OK");
	wire->fake.cpu.rip = 0x1000;
	*state = wire;
	return 0;
}

static int teardown(void **state)
{
	wire_deinit(*state);
	free(*state);
	return 0;
}

/* The target, which runs, hits what is at rip. */
static void hit(struct wire *wire, struct hs_stop stop)
{
	fake_stop(&wire->fake, stop);
	wire_event(wire);
}

static void is_reported(struct wire *wire, const char *start)
{
	const char *got = wire_receive(wire);

	assert_non_null(got);
	if (strncmp(got, start, strlen(start)) != 0) {
		fail_msg("%s, not %s", got, start);
	}
	assert_null(wire_receive(wire));
	assert_false(hs_gdb_target_running(wire->gdb));
}

static void is_passed_over(struct wire *wire)
{
	assert_null(wire_receive(wire));
	assert_true(hs_gdb_target_running(wire->gdb));
	assert_true(wire->fake.running);
}

/* The next packet is text for the user, and has this in it. */
static void says(struct wire *wire, const char *text)
{
	const char *got = wire_receive(wire);
	char said[512] = "";

	assert_non_null(got);
	assert_int_equal(got[0], 'O');
	assert_true(wire->reply_length / 2 < sizeof(said));
	assert_true(hs_hex_decode(got + 1, wire->reply_length / 2, (uint8_t *)said));
	if (!strstr(said, text)) {
		fail_msg("'%s', not '%s'", said, text);
	}
}

static void test_condition_decides_whether_a_hit_is_reported(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "Z0,1000,1;" RAX_IS_3, "OK");
	wire_send(wire, "vCont;c");
	for (uint64_t rax = 0; rax < 3; rax++) {
		wire->fake.cpu.gpr[HS_RAX] = rax;
		hit(wire, at_swbreak);
		is_passed_over(wire);
	}
	wire->fake.cpu.gpr[HS_RAX] = 3;
	hit(wire, at_swbreak);
	is_reported(wire, "T05");
	assert_int_equal(wire->fake.resumes, 4);
}

static void test_conditions_of_one_address_are_alternatives(void **state)
{
	struct wire *wire = *state;

	/* As gdb writes them: nothing between two; and as the manual's grammar may be read. */
	wire_expect(wire, "Z0,1000,1;" FALSE_ RAX_IS_3, "OK");
	wire_expect(wire, "Z1,1001,1;" FALSE_ ";" RAX_IS_3, "OK");
	wire_send(wire, "c");
	hit(wire, at_swbreak);
	is_passed_over(wire);
	wire->fake.cpu.rip = 0x1001;
	hit(wire, at_hwbreak);
	is_passed_over(wire);
	wire->fake.cpu.gpr[HS_RAX] = 3;
	hit(wire, at_hwbreak);
	is_reported(wire, "T05");
}

static void test_condition_list_sent_again_replaces_the_old_one(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "Z0,1000,1;" FALSE_, "OK");
	wire_expect(wire, "Z0,1000,1;" TRUE_, "OK");
	wire_send(wire, "c");
	hit(wire, at_swbreak);
	is_reported(wire, "T05");
	wire_expect(wire, "Z0,1000,1;" FALSE_, "OK");
	wire_send(wire, "c");
	hit(wire, at_swbreak);
	is_passed_over(wire);
	wire_send_bytes(wire, "\x03", 1);
	wire_event(wire);
	is_reported(wire, "T02");
	/* None at all: every hit counts. */
	wire_expect(wire, "Z0,1000,1", "OK");
	wire_send(wire, "c");
	hit(wire, at_swbreak);
	is_reported(wire, "T05");
	assert_int_equal(wire->fake.break_count, 1);
}

static void test_other_breakpoint_at_the_address_is_reported_whatever_the_condition(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "Z0,1000,1;" FALSE_, "OK");
	wire_expect(wire, "Z1,1000,1", "OK");
	wire_send(wire, "c");
	hit(wire, at_swbreak);
	is_reported(wire, "T05");
	wire_expect(wire, "z1,1000,1", "OK");
	wire_send(wire, "c");
	hit(wire, at_swbreak);
	is_passed_over(wire);
}

static void test_range_step_goes_on_as_a_range_step_without_its_signal(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "Z0,1000,1;" FALSE_, "OK");
	wire_send(wire, "vCont;r1000,1010:1");
	hit(wire, at_swbreak);
	is_passed_over(wire);
	assert_int_equal(wire->fake.last_resume.kind, HS_RESUME_RANGE);
	assert_int_equal(wire->fake.last_resume.range_start.v, 0x1000);
	assert_int_equal(wire->fake.last_resume.range_length, 0x10);
	fake_stop(&wire->fake, (struct hs_stop){ .kind = HS_STOP_STEPPED });
	wire_event(wire);
	is_reported(wire, "T05");
	wire_send(wire, "vCont;C0b");
	assert_int_equal(wire->fake.last_resume.signal, 11);
	hit(wire, at_swbreak);
	is_passed_over(wire);
	assert_int_equal(wire->fake.last_resume.signal, 0);
}

static void test_other_stops_are_none_of_a_conditions_business(void **state)
{
	static const struct hs_stop stops[] = {
		{ .kind = HS_STOP_STEPPED },
		{ .kind = HS_STOP_SIGNAL, .signal = 11 },
		{ .kind = HS_STOP_INTERRUPTED },
		{ .kind = HS_STOP_WATCH, .watch_kind = HS_WATCH_WRITE },
	};
	struct wire *wire = *state;

	wire_expect(wire, "Z0,1000,1;" FALSE_, "OK");
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		wire_send(wire, "c");
		hit(wire, stops[i]);
		is_reported(wire, "T");
	}
	wire_send(wire, "c");
	hit(wire, (struct hs_stop){ .kind = HS_STOP_EXITED, .exit_status = 3 });
	is_reported(wire, "W03");
}

static void test_interrupt_while_the_target_stands_at_a_false_condition_is_not_lost(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "Z0,1000,1;" FALSE_, "OK");
	wire_send(wire, "c");
	/* The target has stopped, which the stub does not know yet: the fake, like a session, ignores the interrupt. */
	fake_stop(&wire->fake, at_swbreak);
	wire_send_bytes(wire, "\x03", 1);
	wire_event(wire);
	assert_null(wire_receive(wire));
	wire_event(wire);
	is_reported(wire, "T02");
	/* It does not outlive its stop. */
	wire_send(wire, "c");
	hit(wire, at_swbreak);
	is_passed_over(wire);
	wire_event(wire);
	is_passed_over(wire);
}

static void test_condition_that_cannot_be_evaluated_stops_and_says_why(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "Z0,1000,1;" UNREADABLE, "OK");
	wire_send(wire, "c");
	hit(wire, at_swbreak);
	says(wire, "the condition of the breakpoint at 0x1000 cannot be evaluated: nothing is readable at 0x8\n");
	is_reported(wire, "T05");
}

static void test_commands_print_and_the_hit_is_passed_over(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "Z0,1000,1;" RAX_IS_3 ";cmds:0," PRINT_RAX, "OK");
	wire_send(wire, "c");
	hit(wire, at_swbreak);
	is_passed_over(wire);
	wire->fake.cpu.gpr[HS_RAX] = 3;
	hit(wire, at_swbreak);
	says(wire, "n 3\n");
	is_passed_over(wire);
	/* Without a condition, and two of them. */
	wire_expect_error(wire, "Z0,1000,1;cmds:1," PRINT_RAX);
	wire_send_bytes(wire, "\x03", 1);
	wire_event(wire);
	is_reported(wire, "T02");
	wire_expect(wire, "Z0,1000,1;cmds:1," PRINT_RAX PRINT_RAX, "OK");
	wire_send(wire, "c");
	hit(wire, at_swbreak);
	says(wire, "n 3\nn 3\n");
	is_passed_over(wire);
}

static void test_command_that_cannot_be_run_stops_and_says_why(void **state)
{
	struct wire *wire = *state;

	/* printf("%s", 8) */
	wire_expect(wire, "Z0,1000,1;cmds:0,Xe,2208220022003401000325730027", "OK");
	wire_send(wire, "c");
	hit(wire, at_swbreak);
	says(wire, "the command of the breakpoint at 0x1000 cannot be evaluated: nothing is readable at 0x8\n");
	is_reported(wire, "T05");
}

static void test_program_that_is_not_one_is_refused_and_nothing_inserted(void **state)
{
	static const char *const texts[] = {
		"Z0,1000,1;X2,2201",        /* goes on behind its end */
		"Z0,1000,1;X1,00",          /* no opcode */
		"Z0,1000,1;" TRUE_ "X1,0c", /* trace */
		"Z0,1000,1;X0,",            /* nothing */
		"Z0,1000,1;X3,2201",        /* shorter than it says */
		"Z0,1000,1;X1,220127",      /* longer */
		"Z0,1000,1;X3,22012g",      /* no hex */
		"Z0,1000,1;Xffffffffffffffff,220127",
		"Z0,1000,1;X3220127",
		"Z0,1000,1;cmds:0",
		"Z0,1000,1;cmds:,X3,220127",
		"Z0,1000,1;foo",
		"Z0,1000,1;",
		"Z2,1000,1;" TRUE_, /* watchpoints have none (gdb manual, Packets, "Z2") */
		"z0,1000,1;" TRUE_,
		"Z0,5000,1;" TRUE_, /* not mapped */
	};
	struct wire *wire = *state;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		wire_expect_error(wire, texts[i]);
		assert_int_equal(wire->fake.break_count, 0);
	}
	/* What was there stays as it was. */
	wire_expect(wire, "Z0,1000,1;" FALSE_, "OK");
	wire_expect_error(wire, "Z0,1000,1;X1,00");
	wire_send(wire, "c");
	hit(wire, at_swbreak);
	is_passed_over(wire);
}

static void test_refusal_names_the_byte_to_a_client_that_takes_text(void **state)
{
	struct wire *wire = *state;

	(void)wire_ask(wire, "qSupported:error-message+");
	wire_expect(wire, "Z0,1000,1;X4,22010027", "E.agent bytecode, byte 2: no opcode 0x00");
}

static void test_removed_breakpoint_forgets_its_condition(void **state)
{
	struct wire *wire = *state;

	wire_expect(wire, "Z0,1000,1;" FALSE_, "OK");
	wire_expect(wire, "z0,1000,1", "OK");
	wire_expect(wire, "Z0,1000,1", "OK");
	wire_send(wire, "c");
	hit(wire, at_swbreak);
	is_reported(wire, "T05");
}

static void test_conditions_are_gone_with_their_client(void **state)
{
	struct wire *wire = *state;

	/* Vanished while it stood, vanished while it ran, and detached. */
	for (int i = 0; i < 3; i++) {
		wire_expect(wire, "Z0,1000,1;" FALSE_ ";cmds:1," PRINT_RAX, "OK");
		if (i == 1) {
			wire_send(wire, "c");
		}
		if (i == 2) {
			wire_expect(wire, "D", "OK");
		}
		hs_gdb_disconnect(wire->gdb);
		wire_event(wire);
		assert_int_equal(wire->fake.break_count, 0);
		hs_gdb_connect(wire->gdb);
		wire_send(wire, "QStartNoAckMode");
		wire_event(wire);
		assert_string_equal(wire_receive(wire), "+");
		assert_string_equal(wire_receive(wire), "OK");
		/* Set by somebody else than the client: nothing is known of it. */
		wire_expect(wire, "Z1,1001,1;" FALSE_, "OK");
		wire_send(wire, "c");
		wire->fake.cpu.rip = 0x1000;
		hit(wire, at_swbreak);
		is_reported(wire, "T05");
		wire_expect(wire, "z1,1001,1", "OK");
	}
}

/* Hits that print until the stub holds the target back. */
static void park(struct wire *wire)
{
	unsigned int hits = 0;

	wire_expect(wire, "Z0,1000,1;cmds:0," PRINT_RAX, "OK");
	wire_send(wire, "c");
	while (wire->fake.running) {
		hit(wire, at_swbreak);
		assert_true(++hits < 1000000);
	}
	/* There is nothing to be asked of it meanwhile. */
	assert_false(hs_gdb_target_running(wire->gdb));
}

static void test_guest_that_prints_faster_than_its_client_reads_waits_for_it(void **state)
{
	struct wire *wire = *state;
	unsigned int resumes;
	size_t length;

	park(wire);
	(void)hs_gdb_output(wire->gdb, &length);
	assert_in_range(length, 1u << 20, (1u << 20) + 64);
	wire_event(wire);
	resumes = wire->fake.resumes;
	hs_gdb_output_consume(wire->gdb, length);
	assert_int_equal(wire->fake.resumes, resumes + 1);
	is_passed_over(wire);
	hit(wire, at_swbreak);
	says(wire, "n 0\n");
	is_passed_over(wire);
}

static void test_client_that_vanishes_while_the_guest_waits_leaves_it_standing(void **state)
{
	struct wire *wire = *state;

	park(wire);
	hs_gdb_disconnect(wire->gdb);
	assert_false(hs_gdb_target_running(wire->gdb));
	assert_false(wire->fake.running);
	assert_int_equal(wire->fake.break_count, 0);
	hs_gdb_connect(wire->gdb);
	wire_expect(wire, "qC", "QC1");
}

static const struct hs_cpu_state *cpu_of_fake(void *ctx, bool all)
{
	(void)all;
	return &((struct fake_target *)ctx)->cpu;
}

static enum hs_status read_of_fake(void *ctx, hs_gva gva, void *buffer, size_t length, size_t *ret_length,
				   struct hs_error *err)
{
	const struct hs_target *target = &((struct fake_target *)ctx)->target;

	return target->ops->mem_read(target->ctx, gva, buffer, length, ret_length, err);
}

/* What a target that asks at each hit would be told, in the middle of a run. */
static bool would_pass(struct wire *wire)
{
	struct fake_target *fake = &wire->fake;
	struct hs_break_hit hit = { .cpu = cpu_of_fake, .mem_read = read_of_fake, .ctx = fake };

	return fake->filter(fake->filter_ctx, &hit);
}

static void test_filter_passes_what_is_surely_false_and_nothing_else(void **state)
{
	static const struct {
		const char *insert;
		bool passes;
	} cases[] = {
		{ "Z0,1000,1;" FALSE_, true },
		{ "Z0,1000,1;" FALSE_ FALSE_, true },
		{ "Z0,1000,1;" FALSE_ ";cmds:0," PRINT_RAX, true },
		{ "Z0,1000,1;" FALSE_ TRUE_, false },
		{ "Z0,1000,1;cmds:0," PRINT_RAX, false },
		{ "Z0,1000,1;" FALSE_ UNREADABLE, false },
		{ "Z0,1000,1", false },
	};
	struct wire *wire = *state;

	assert_false(would_pass(wire));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		wire_expect(wire, cases[i].insert, "OK");
		if (would_pass(wire) != cases[i].passes) {
			fail_msg("%s", cases[i].insert);
		}
		/* A second breakpoint at the address has a say too; one elsewhere has not. */
		wire_expect(wire, "Z1,1000,1", "OK");
		assert_false(would_pass(wire));
		wire_expect(wire, "z1,1000,1", "OK");
		wire_expect(wire, "Z1,1001,1", "OK");
		assert_int_equal(would_pass(wire), cases[i].passes);
		wire_expect(wire, "z1,1001,1", "OK");
	}
	/* Nothing was said, and nothing is known of other addresses. */
	assert_null(wire_receive(wire));
	wire_expect(wire, "Z0,1000,1;" FALSE_, "OK");
	wire->fake.cpu.rip = 0x1001;
	assert_false(would_pass(wire));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_condition_decides_whether_a_hit_is_reported),
		TEST(test_conditions_of_one_address_are_alternatives),
		TEST(test_condition_list_sent_again_replaces_the_old_one),
		TEST(test_other_breakpoint_at_the_address_is_reported_whatever_the_condition),
		TEST(test_range_step_goes_on_as_a_range_step_without_its_signal),
		TEST(test_other_stops_are_none_of_a_conditions_business),
		TEST(test_interrupt_while_the_target_stands_at_a_false_condition_is_not_lost),
		TEST(test_condition_that_cannot_be_evaluated_stops_and_says_why),
		TEST(test_commands_print_and_the_hit_is_passed_over),
		TEST(test_command_that_cannot_be_run_stops_and_says_why),
		TEST(test_program_that_is_not_one_is_refused_and_nothing_inserted),
		TEST(test_refusal_names_the_byte_to_a_client_that_takes_text),
		TEST(test_removed_breakpoint_forgets_its_condition),
		TEST(test_conditions_are_gone_with_their_client),
		TEST(test_guest_that_prints_faster_than_its_client_reads_waits_for_it),
		TEST(test_filter_passes_what_is_surely_false_and_nothing_else),
		TEST(test_client_that_vanishes_while_the_guest_waits_leaves_it_standing),
	};

	return cmocka_run_group_tests_name("agent_points", tests, NULL, NULL);
}
