/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* debug/gdbstub: a target that can only execute one instruction at a time is run, stopped and broken by the stub. */
#include "wire.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START 0x1000u
#define LENGTH 0x1000u
/* Instructions, a byte each. Any other is undefined. */
#define NOP 0x90
#define TO_START 0xeb
#define EXIT 0xf4

/* A machine that has no more than what step() needs. */
struct nops {
	struct wire wire; /* its fake is not used */
	struct hs_cpu_state cpu;
	uint8_t memory[LENGTH];
	unsigned int executed, restarts;
};

static void nops_info(void *ctx, struct hs_target_info *ret)
{
	(void)ctx;
	*ret = (struct hs_target_info){ .arch = HS_ARCH_AMD64, .image_fd = -1, .event_fd = -1 };
}

static enum hs_status nops_cpu_read(void *ctx, struct hs_cpu_state *ret, struct hs_error *err)
{
	(void)err;
	*ret = ((struct nops *)ctx)->cpu;
	return HS_OK;
}

static enum hs_status nops_cpu_write(void *ctx, const struct hs_cpu_state *state, struct hs_error *err)
{
	(void)err;
	((struct nops *)ctx)->cpu = *state;
	return HS_OK;
}

static enum hs_status nops_mem_read(void *ctx, hs_gva gva, void *buffer, size_t length, size_t *ret,
				    struct hs_error *err)
{
	(void)err;
	if (gva.v - START >= LENGTH) {
		return HS_ERR_UNREADABLE;
	}
	*ret = length < START + LENGTH - gva.v ? length : START + LENGTH - gva.v;
	memcpy(buffer, ((struct nops *)ctx)->memory + (gva.v - START), *ret);
	return HS_OK;
}

static enum hs_status nops_mem_write(void *ctx, hs_gva gva, const void *buffer, size_t length, struct hs_error *err)
{
	(void)err;
	memcpy(((struct nops *)ctx)->memory + (gva.v - START), buffer, length);
	return HS_OK;
}

static bool nops_step(void *ctx, hs_gva *ret_next, struct hs_stop *ret)
{
	struct nops *nops = ctx;
	uint8_t code = nops->cpu.rip - START < LENGTH ? nops->memory[nops->cpu.rip - START] : 0;

	if (code == EXIT) {
		*ret = (struct hs_stop){ .kind = HS_STOP_EXITED, .exit_status = 7 };
		return false;
	}
	if (code != NOP && code != TO_START) {
		*ret = (struct hs_stop){ .kind = HS_STOP_SIGNAL, .signal = SIGILL };
		return false;
	}
	nops->cpu.rip = code == NOP ? nops->cpu.rip + 1 : START;
	nops->executed++;
	*ret_next = hs_gva_of(nops->cpu.rip);
	return true;
}

static enum hs_status nops_restart(void *ctx, struct hs_error *err)
{
	struct nops *nops = ctx;

	(void)err;
	nops->cpu.rip = START;
	nops->restarts++;
	return HS_OK;
}

static const struct hs_target_ops nops_ops = {
	.info = nops_info,
	.cpu_read = nops_cpu_read,
	.cpu_write = nops_cpu_write,
	.mem_read = nops_mem_read,
	.mem_write = nops_mem_write,
	.step = nops_step,
	.restart = nops_restart,
};

/* 4095 of nothing and back, with a client that is told which kind of breakpoint it was. */
static int setup(void **state)
{
	struct nops *nops = calloc(1, sizeof(*nops));

	assert_non_null(nops);
	nops->cpu.rip = START;
	memset(nops->memory, NOP, sizeof(nops->memory));
	nops->memory[LENGTH - 1] = TO_START;
	assert_int_equal(hs_gdb_create(&(struct hs_target){ &nops_ops, nops }, false, &nops->wire.gdb, NULL), HS_OK);
	hs_gdb_connect(nops->wire.gdb);
	assert_non_null(wire_ask(&nops->wire, "qSupported:swbreak+;hwbreak+"));
	*state = nops;
	return 0;
}

static int teardown(void **state)
{
	struct nops *nops = *state;

	hs_gdb_destroy(nops->wire.gdb);
	free(nops);
	return 0;
}

/* Resume and run until it stops by itself: the stop reply begins so, and the CPU is there. */
static void runs_to(struct nops *nops, const char *packet, const char *reply, uint64_t rip)
{
	wire_send(&nops->wire, packet);
	for (int i = 0; i < 1000 && hs_gdb_target_running(nops->wire.gdb); i++) {
		wire_event(&nops->wire);
	}
	assert_string_equal(wire_receive(&nops->wire), "+");
	assert_memory_equal(wire_receive(&nops->wire), reply, strlen(reply));
	assert_int_equal(nops->cpu.rip, rip);
}

static bool says(const struct nops *nops, const char *words)
{
	return strstr(nops->wire.reply, words) != NULL;
}

static void test_stepper_breakpoint_is_hit_each_time_that_it_is_come_to(void **state)
{
	struct nops *nops = *state;

	wire_expect(&nops->wire, "Z0,1010,1", "OK");
	wire_expect(&nops->wire, "Z0,1010,1", "OK");
	runs_to(nops, "c", "T05", 0x1010);
	assert_true(says(nops, "swbreak:;"));
	/* It is where it goes on from, and is not hit before the CPU has been round. */
	runs_to(nops, "c", "T05", 0x1010);
	assert_int_equal(nops->executed, 0x10 + LENGTH);
	wire_expect(&nops->wire, "Z1,1020,1", "OK");
	runs_to(nops, "c", "T05", 0x1020);
	assert_true(says(nops, "hwbreak:;"));
	/* Put in twice, it is gone when taken out once. */
	wire_expect(&nops->wire, "z0,1010,1", "OK");
	runs_to(nops, "c", "T05", 0x1020);
	assert_int_equal(nops->executed, 0x20 + 2 * LENGTH);
}

static void test_stepper_step_onto_a_breakpoint_says_that_it_is_one(void **state)
{
	struct nops *nops = *state;

	wire_expect(&nops->wire, "Z0,1002,1", "OK");
	runs_to(nops, "s", "T05", 0x1001);
	assert_false(says(nops, "swbreak:;"));
	runs_to(nops, "s", "T05", 0x1002);
	assert_true(says(nops, "swbreak:;"));
	runs_to(nops, "s", "T05", 0x1003);
	assert_int_equal(nops->executed, 3);
}

static void test_stepper_range_ends_where_it_is_left_or_at_a_breakpoint(void **state)
{
	struct nops *nops = *state;

	runs_to(nops, "vCont;r1000,1008:1", "T05", 0x1008);
	/* From outside of it one instruction is executed. */
	runs_to(nops, "vCont;r1000,1008:1", "T05", 0x1009);
	wire_expect(&nops->wire, "Z0,1100,1", "OK");
	runs_to(nops, "vCont;r1000,1800:1", "T05", 0x1100);
	assert_true(says(nops, "swbreak:;"));
}

static void test_stepper_breakpoint_is_refused_where_there_is_no_code_and_on_data(void **state)
{
	struct nops *nops = *state;

	wire_expect(&nops->wire, "Z0,2000,1", "E0e");
	wire_expect(&nops->wire, "Z2,1000,4", "E5f");
	runs_to(nops, "s", "T05", 0x1001);
}

static void test_stepper_condition_is_evaluated_at_each_hit(void **state)
{
	struct nops *nops = *state;

	/* X1,<const8 0><end>: never true. */
	wire_expect(&nops->wire, "Z0,1010,1;X3,220027", "OK");
	wire_expect(&nops->wire, "Z0,1020,1", "OK");
	runs_to(nops, "c", "T05", 0x1020);
}

/* It does not come to an end by itself: the client is heard between slices, and detaches. */
static void test_stepper_interrupt_stops_it_between_slices(void **state)
{
	struct nops *nops = *state;
	unsigned int executed;

	wire_send(&nops->wire, "c");
	wire_event(&nops->wire);
	executed = nops->executed;
	wire_event(&nops->wire);
	assert_in_range(executed, 1, nops->executed - 1);
	wire_expect_silence(&nops->wire);
	assert_true(hs_gdb_target_running(nops->wire.gdb));
	wire_send_bytes(&nops->wire, "\x03", 1);
	wire_event(&nops->wire);
	assert_memory_equal(wire_receive(&nops->wire), "T02", 3);
	assert_false(hs_gdb_target_running(nops->wire.gdb));
	executed = nops->executed;
	wire_event(&nops->wire);
	assert_int_equal(nops->executed, executed);
	assert_memory_equal(wire_ask(&nops->wire, "?"), "T02", 3);
}

static void test_stepper_detach_leaves_it_running_without_breakpoints(void **state)
{
	struct nops *nops = *state;

	wire_expect(&nops->wire, "Z0,1010,1", "OK");
	runs_to(nops, "c", "T05", 0x1010);
	wire_expect(&nops->wire, "D", "OK");
	assert_true(hs_gdb_target_running(nops->wire.gdb));
	wire_event(&nops->wire);
	assert_in_range(nops->executed, LENGTH + 0x11, UINT32_MAX);
	assert_true(hs_gdb_target_running(nops->wire.gdb));
	hs_gdb_disconnect(nops->wire.gdb);
	nops->memory[5] = EXIT;
	wire_event(&nops->wire);
	assert_int_equal(hs_gdb_phase(nops->wire.gdb), HS_GDB_EXITED);
}

static void test_stepper_fault_is_tried_again_and_ends_it_when_it_is_passed_on(void **state)
{
	struct nops *nops = *state;

	nops->memory[3] = 0;
	runs_to(nops, "c", "T04", 0x1003);
	runs_to(nops, "c", "T04", 0x1003);
	nops->memory[3] = NOP;
	runs_to(nops, "s", "T05", 0x1004);
	nops->memory[4] = 0;
	runs_to(nops, "s", "T04", 0x1004);
	runs_to(nops, "C04", "X04", 0x1004);
	assert_int_equal(hs_gdb_phase(nops->wire.gdb), HS_GDB_EXITED);
}

static void test_stepper_end_is_the_end_until_it_is_put_back(void **state)
{
	struct nops *nops = *state;

	nops->memory[3] = EXIT;
	wire_expect(&nops->wire, "!", "OK");
	wire_expect(&nops->wire, "Z0,1002,1", "OK");
	runs_to(nops, "c", "T05", 0x1002);
	runs_to(nops, "c", "W07", 0x1003);
	wire_expect_error(&nops->wire, "c");
	assert_memory_equal(wire_ask(&nops->wire, "vRun;"), "T05", 3);
	assert_int_equal(nops->restarts, 1);
	/* A new process, without the breakpoint. */
	runs_to(nops, "c", "W07", 0x1003);
	/* There is no operation for it, and it is over all the same. */
	assert_memory_equal(wire_ask(&nops->wire, "vRun;"), "T05", 3);
	wire_expect(&nops->wire, "vKill;1", "OK");
	hs_gdb_disconnect(nops->wire.gdb);
	assert_int_equal(hs_gdb_phase(nops->wire.gdb), HS_GDB_KILLED);
}

static void test_target_that_fails_without_a_word_is_quoted_by_its_status(void **state)
{
	struct nops *nops = *state;

	wire_expect(&nops->wire, "m2000,4", "E0e");
	assert_non_null(wire_ask(&nops->wire, "qSupported:error-message+"));
	wire_expect(&nops->wire, "m2000,4", "E.unreadable");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_stepper_breakpoint_is_hit_each_time_that_it_is_come_to),
		TEST(test_stepper_step_onto_a_breakpoint_says_that_it_is_one),
		TEST(test_stepper_range_ends_where_it_is_left_or_at_a_breakpoint),
		TEST(test_stepper_breakpoint_is_refused_where_there_is_no_code_and_on_data),
		TEST(test_stepper_condition_is_evaluated_at_each_hit),
		TEST(test_stepper_interrupt_stops_it_between_slices),
		TEST(test_stepper_detach_leaves_it_running_without_breakpoints),
		TEST(test_stepper_fault_is_tried_again_and_ends_it_when_it_is_passed_on),
		TEST(test_stepper_end_is_the_end_until_it_is_put_back),
		TEST(test_target_that_fails_without_a_word_is_quoted_by_its_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
