/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The byte machine: address spaces as processes, over a target that has three of them. */
#include "wire.h"

#include "base/error.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SPACES 3

/* What the fake target lacks. One test runs at a time. */
static struct {
	uint32_t current;
	uint32_t used;
	unsigned int cleared[SPACES + 1];
} spaces;

static enum hs_status list_spaces(void *ctx, struct hs_target_space *items, uint32_t max, uint32_t *ret_count,
				  struct hs_error *err)
{
	(void)ctx;
	(void)err;
	for (uint32_t i = 0; i < SPACES && i < max; i++) {
		items[i] = (struct hs_target_space){
			.number = i + 1,
			.root = hs_gpa_of(0x1000 * (i + 1)),
			.format = "amd64-4",
			.current = i + 1 == spaces.current,
		};
	}
	*ret_count = SPACES;
	return HS_OK;
}

static void use_space(void *ctx, uint32_t number)
{
	(void)ctx;
	spaces.used = number;
}

static void clear_space(void *ctx, uint32_t number)
{
	(void)ctx;
	spaces.cleared[number]++;
}

static int setup(void **state)
{
	static struct hs_target_ops ops;
	struct wire *wire = malloc(sizeof(*wire));
	struct hs_target target;

	memset(&spaces, 0, sizeof(spaces));
	spaces.current = 1;
	wire_init(wire, HS_ARCH_AMD64);
	hs_gdb_destroy(wire->gdb);
	ops = *wire->fake.target.ops;
	ops.spaces = list_spaces;
	ops.space_use = use_space;
	ops.break_clear_space = clear_space;
	target = (struct hs_target){ .ops = &ops, .ctx = wire->fake.target.ctx };
	assert_int_equal(hs_gdb_create(&target, false, &wire->gdb, NULL), HS_OK);
	hs_gdb_connect(wire->gdb);
	*state = wire;
	return 0;
}

static int teardown(void **state)
{
	wire_deinit(*state);
	free(*state);
	return 0;
}

static void expect_begin(struct wire *wire, const char *payload, const char *beginning)
{
	const char *reply = wire_ask(wire, payload);

	assert_non_null(reply);
	if (strncmp(reply, beginning, strlen(beginning)) != 0) {
		fail_msg("%s: %s", payload, reply);
	}
}

/* As gdb does. */
static void announce(struct wire *wire)
{
	assert_non_null(strstr(wire_ask(wire, "qSupported:multiprocess+;swbreak+"), ";multiprocess+"));
}

static void stop_in(struct wire *wire, uint32_t space)
{
	spaces.current = space;
	fake_script(&wire->fake, (struct hs_stop){ .kind = HS_STOP_STEPPED });
}

static void test_space_client_that_names_no_processes_has_one(void **state)
{
	struct wire *wire = *state;

	assert_null(strstr(wire_ask(wire, "qSupported:swbreak+"), "multiprocess"));
	spaces.current = 2;
	expect_begin(wire, "?", "T05thread:1;");
	wire_expect(wire, "qfThreadInfo", "m1");
	wire_expect(wire, "qC", "QC1");
	wire_expect(wire, "T1", "OK");
	wire_expect_error(wire, "T2");
	wire_expect_error(wire, "vAttach;2");
	assert_int_equal(spaces.used, 0);
}

static void test_space_lldb_is_not_told_of_processes(void **state)
{
	struct wire *wire = *state;

	assert_null(strstr(wire_ask(wire, "qSupported:xmlRegisters=i386;multiprocess+"), "multiprocess"));
	expect_begin(wire, "?", "T05thread:1;");
}

static void test_space_client_comes_to_the_process_that_has_the_cpu(void **state)
{
	struct wire *wire = *state;

	spaces.current = 2;
	announce(wire);
	expect_begin(wire, "?", "T05thread:p2.1;");
	wire_expect(wire, "qfThreadInfo", "mp2.1");
	wire_expect(wire, "qC", "QCp2.1");
	wire_expect(wire, "Tp2.1", "OK");
	wire_expect(wire, "Hgp0.0", "OK");
	wire_expect_error(wire, "Tp1.1");
	wire_expect_error(wire, "Tp2.2");
	wire_expect_error(wire, "Hgp1.1");
	/* And as long as it has no other, that is the CPU, wherever it goes. */
	stop_in(wire, 3);
	wire_send(wire, "vCont;s:p2.1");
	wire_event(wire);
	assert_non_null(wire_receive(wire)); /* the acknowledgement */
	assert_memory_equal(wire_receive(wire), "T05thread:p2.1;", 15);
	expect_begin(wire, "m1000,1", "");
	assert_int_equal(spaces.used, 0);
	wire_expect(wire, "Z0,1000,1", "OK");
	assert_int_equal(wire->fake.breaks[0].space, 0);
}

static void test_space_attached_process_has_memory_and_no_registers(void **state)
{
	struct wire *wire = *state;
	const char *registers;

	announce(wire);
	wire_expect(wire, "vAttach;3", "T05library:;thread:p3.1;");
	wire_expect(wire, "Hgp0.0", "OK");
	wire_expect(wire, "qC", "QCp3.1");
	wire_expect(wire, "qfThreadInfo", "mp1.1,p3.1");
	expect_begin(wire, "m1000,1", "");
	assert_int_equal(spaces.used, 3);
	registers = wire_ask(wire, "g");
	assert_int_equal(strspn(registers, "x"), strlen(registers));
	wire_expect(wire, "p0", "xxxxxxxxxxxxxxxx");
	wire_expect_error(wire, "P0=0000000000000000");
	wire_expect_error(wire, "qXfer:siginfo:read::0,80");
	wire_expect(wire, "Z0,1000,1", "OK");
	assert_int_equal(wire->fake.breaks[0].space, 3);
	wire_expect(wire, "Hgp1.1", "OK");
	registers = wire_ask(wire, "g");
	assert_int_equal(strspn(registers, "x"), 0);
	wire_expect(wire, "p0", "0000000000000000");
	assert_int_equal(spaces.used, HS_SPACE_CPU);
	wire_expect(wire, "Z1,1000,1", "OK");
	assert_int_equal(wire->fake.breaks[1].space, 1);
}

static void test_space_stop_is_of_the_process_that_has_the_cpu(void **state)
{
	static const struct {
		uint32_t space;
		const char *stop;
	} cases[] = { { 3, "T05thread:p3.1;" }, { 1, "T05thread:p1.1;" }, { 2, "T05thread:p1.1;" } };
	struct wire *wire = *state;

	announce(wire);
	wire_expect(wire, "vAttach;3", "T05library:;thread:p3.1;");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		stop_in(wire, cases[i].space);
		wire_send(wire, "vCont;c");
		wire_event(wire);
		assert_non_null(wire_receive(wire));
		assert_memory_equal(wire_receive(wire), cases[i].stop, strlen(cases[i].stop));
		/* What names no process is about that one from then on, and it has the CPU. */
		assert_memory_equal(wire_ask(wire, "qC") + 2, cases[i].stop + strlen("T05thread:"), 4);
		wire_expect(wire, "p0", "0000000000000000");
		assert_int_equal(spaces.used, HS_SPACE_CPU);
	}
}

static void test_space_resume_goes_by_the_action_for_the_cpu(void **state)
{
	struct wire *wire = *state;

	announce(wire);
	wire_expect(wire, "vAttach;2", "T05library:;thread:p2.1;");
	stop_in(wire, 1);
	(void)wire_ask(wire, "vCont;c:p2.-1;s:p1.1");
	wire_event(wire);
	assert_int_equal(wire->fake.last_resume.kind, HS_RESUME_STEP);
	assert_non_null(wire_receive(wire));
	/* The one that is let run alone is not on the CPU: what is has to go on for that to come. */
	stop_in(wire, 1);
	(void)wire_ask(wire, "vCont;c:p2.-1");
	wire_event(wire);
	assert_int_equal(wire->fake.last_resume.kind, HS_RESUME_CONTINUE);
	assert_non_null(wire_receive(wire));
	wire_expect_error(wire, "vCont;c:p3.-1");
	assert_int_equal(wire->fake.resumes, 2);
}

static void test_space_detach_of_one_leaves_the_others(void **state)
{
	struct wire *wire = *state;

	announce(wire);
	wire_expect(wire, "!", "OK");
	wire_expect(wire, "vAttach;2", "T05library:;thread:p2.1;");
	wire_expect(wire, "vAttach;3", "T05library:;thread:p3.1;");
	wire_expect(wire, "D;2", "OK");
	wire_expect(wire, "qfThreadInfo", "mp1.1,p3.1");
	wire_expect_error(wire, "D;2");
	assert_int_equal(spaces.cleared[2], 1);
	assert_int_equal(spaces.cleared[0] + spaces.cleared[1] + spaces.cleared[3], 0);
	/* What it had set before it told them apart was of the one that it came to. */
	wire_expect(wire, "D;1", "OK");
	assert_int_equal(spaces.cleared[0], 1);
	assert_int_equal(spaces.cleared[1], 1);
	assert_int_equal(wire->fake.resumes, 0);
	wire_expect(wire, "qC", "QCp3.1");
	/* The last one is the guest itself. */
	wire_expect(wire, "D;3", "OK");
	assert_int_equal(wire->fake.clears, 1);
	assert_int_equal(wire->fake.resumes, 1);
}

static void test_space_that_there_is_not_is_not_attached_to(void **state)
{
	struct wire *wire = *state;

	announce(wire);
	wire_expect_error(wire, "vAttach;4");
	wire_expect_error(wire, "vAttach;0");
	wire_expect_error(wire, "vAttach;fffffffe");
	wire_expect_error(wire, "vAttach;-1");
	wire_expect(wire, "qfThreadInfo", "mp1.1");
	wire_expect_error(wire, "vKill;2");
	assert_int_equal(wire->fake.kills, 0);
}

static void test_space_next_client_knows_of_none_that_the_last_one_had(void **state)
{
	struct wire *wire = *state;

	announce(wire);
	wire_expect(wire, "vAttach;3", "T05library:;thread:p3.1;");
	hs_gdb_disconnect(wire->gdb);
	hs_gdb_connect(wire->gdb);
	announce(wire);
	wire_expect(wire, "qfThreadInfo", "mp1.1");
	expect_begin(wire, "m1000,1", "");
	assert_int_equal(spaces.used, 0);
}

static void test_space_end_names_the_process(void **state)
{
	struct wire *wire = *state;

	announce(wire);
	fake_script(&wire->fake, (struct hs_stop){ .kind = HS_STOP_EXITED, .exit_status = 3 });
	wire_send(wire, "vCont;c");
	wire_event(wire);
	assert_non_null(wire_receive(wire));
	assert_string_equal(wire_receive(wire), "W03;process:1");
}

static void test_space_table_of_processes(void **state)
{
	struct wire *wire = *state;
	const char *reply;

	assert_non_null(strstr(wire_ask(wire, "qSupported"), ";qXfer:osdata:read+"));
	spaces.current = 2;
	reply = wire_ask(wire, "qXfer:osdata:read:processes:0,10000");
	assert_non_null(strstr(reply, "<column name=\"pid\">3</column>"));
	assert_null(strstr(reply, "<column name=\"pid\">4</column>"));
	reply = strstr(reply, "<column name=\"pid\">2</column>");
	assert_memory_equal(strstr(reply, "<column name=\"root\">"), "<column name=\"root\">0x2000</column>", 35);
	assert_memory_equal(strstr(reply, "<column name=\"cores\">"), "<column name=\"cores\">0</column>", 31);
	assert_non_null(strstr(wire_ask(wire, "qXfer:osdata:read::0,10000"), "<column name=\"Type\">processes<"));
	wire_expect_error(wire, "qXfer:osdata:read:threads:0,10000");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_space_client_that_names_no_processes_has_one),
		TEST(test_space_lldb_is_not_told_of_processes),
		TEST(test_space_client_comes_to_the_process_that_has_the_cpu),
		TEST(test_space_attached_process_has_memory_and_no_registers),
		TEST(test_space_stop_is_of_the_process_that_has_the_cpu),
		TEST(test_space_resume_goes_by_the_action_for_the_cpu),
		TEST(test_space_detach_of_one_leaves_the_others),
		TEST(test_space_that_there_is_not_is_not_attached_to),
		TEST(test_space_next_client_knows_of_none_that_the_last_one_had),
		TEST(test_space_end_names_the_process),
		TEST(test_space_table_of_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
