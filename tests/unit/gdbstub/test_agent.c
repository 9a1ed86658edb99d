/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Agent bytecode: what each opcode does, what the verifier refuses, and what ends an evaluation early. */
#include "agent_bench.h"

#include "gdbstub/agent_points.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What a condition amounts to. */
static uint64_t value_of(struct bench *bench, const char *hex)
{
	uint64_t value = 0;

	if (bench_verify(bench, hex, HS_AGENT_CONDITION)) {
		fail_msg("%s: %s", hex, bench->err.message);
	}
	if (bench_run(bench, bench_load(bench, hex), &value)) {
		fail_msg("%s: %s", hex, bench->err.message);
	}
	return value;
}

static void refuses(struct bench *bench, const char *hex, enum hs_status status, const char *why)
{
	enum hs_status st = bench_verify(bench, hex, HS_AGENT_CONDITION);

	if (st != status || !strstr(bench->err.message, why)) {
		fail_msg("%s: status %d, %s", hex, st, st ? bench->err.message : "accepted");
	}
}

static void fails(struct bench *bench, const char *hex, enum hs_status status, const char *why)
{
	uint64_t value = 1234;

	assert_int_equal(bench_verify(bench, hex, HS_AGENT_CONDITION), HS_OK);
	assert_int_equal(bench_run(bench, bench_load(bench, hex), &value), status);
	assert_non_null(strstr(bench->err.message, why));
	assert_int_equal(value, 1234);
}

/* What each opcode leaves (gdb manual, "Bytecode Descriptions"). */
static const struct {
	const char *program;
	uint64_t value;
} opcode_cases[] = {
	/* constants: big-endian, not extended */
	{ "228027", 0x80 },
	{ "23812327", 0x8123 },
	{ "248123456727", 0x81234567 },
	{ "25812345678900000127", 0x8123456789000001 },
	/* add sub mul */
	{ "220522030227", 8 },
	{ "220522030327", 2 },
	{ "220322050327", (uint64_t)-2 },
	{ "220522030427", 15 },
	{ "240001000024000100000427", 0x100000000 },
	/* div_signed: -7 / 2, and the smallest by -1 */
	{ "22f9160822020527", (uint64_t)-3 },
	{ "25800000000000000022ff16080527", 0x8000000000000000 },
	/* div_unsigned */
	{ "25fffffffffffffff922020627", 0x7ffffffffffffffc },
	/* rem_signed */
	{ "22f9160822020727", (uint64_t)-1 },
	{ "25800000000000000022ff16080727", 0 },
	/* rem_unsigned */
	{ "22f922050827", 249 % 5 },
	/* lsh */
	{ "2201223f0927", 0x8000000000000000 },
	{ "220122400927", 0 },
	/* rsh_signed */
	{ "22f0160822020a27", (uint64_t)-4 },
	{ "22f0160822000a27", (uint64_t)-16 },
	{ "22f0160822ff0a27", (uint64_t)-1 },
	{ "227022040a27", 7 },
	/* rsh_unsigned */
	{ "22f01608223c0b27", 15 },
	{ "22f0160822400b27", 0 },
	/* log_not */
	{ "22050e27", 0 },
	{ "22000e27", 1 },
	/* bit_and bit_or bit_xor bit_not */
	{ "220c220a0f27", 8 },
	{ "220c220a1027", 14 },
	{ "220c220a1127", 6 },
	{ "220c1227", ~0xcull },
	/* equal less_signed less_unsigned */
	{ "220522051327", 1 },
	{ "220522061327", 0 },
	{ "22ff160822011427", 1 },
	{ "220122ff16081427", 0 },
	{ "22ff160822011527", 0 },
	{ "220122ff16081527", 1 },
	{ "220122011527", 0 },
	/* ext zero_ext */
	{ "2280160827", (uint64_t)-128 },
	{ "227f160827", 127 },
	{ "2203160127", (uint64_t)-1 },
	{ "258000000000000000164027", 0x8000000000000000 },
	{ "23ffff2a0827", 0xff },
	{ "2580000000000000002a4027", 0x8000000000000000 },
	/* ref8 to ref64: little-endian, not extended */
	{ "2310001727", 0x88 },
	{ "2310001827", 0x8788 },
	{ "2310001927", 0x85868788 },
	{ "2310001a27", 0x8182838485868788 },
	{ "2310011827", 0x8687 },
	/* if_goto: taken and not; goto */
	{ "2201200008220727220927", 9 },
	{ "2200200008220727220927", 7 },
	{ "21000427220327", 3 },
	/* reg: rax is 0, rcx is 2 */
	{ "26000027", 0xfedcba9876543210 },
	{ "26000227", 5 },
	{ "26001027", 0x401000 },
	/* dup pop swap pick rot */
	{ "2203280427", 9 },
	{ "220322042927", 3 },
	{ "2203220a2b0327", 7 },
	{ "220122022203320227", 1 },
	{ "220122022203320027", 3 },
	/* 1 2 3 becomes 3 1 2: 2 on top, 1 below it, 3 lowest */
	{ "2201220222033327", 2 },
	{ "220122022203332927", 1 },
	{ "22012202220333292927", 3 },
};

static void test_run_each_opcode_gives_the_value_of_the_manual(void **state)
{
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(opcode_cases) / sizeof(opcode_cases[0]); i++) {
		uint64_t value = value_of(bench, opcode_cases[i].program);

		if (value != opcode_cases[i].value) {
			fail_msg("%s: 0x%llx", opcode_cases[i].program, (unsigned long long)value);
		}
	}
}

static void test_run_on_i686_wraps_addresses_and_reads_its_registers(void **state)
{
	struct bench *bench = *state;

	/* 0x2000 - 0x1000 as gdb writes it: the sum goes over 32 bits. */
	assert_int_equal(value_of(bench, "23200024fffff000021727"), 0x88);
	assert_int_equal(value_of(bench, "26000027"), 0x76543210);
	assert_int_equal(value_of(bench, "26000127"), 5);
}

static void test_verify_unknown_and_unsupported_opcodes_are_refused(void **state)
{
	/* float, trace, trace_quick, ref_float to d_to_l, getv, setv, tracev, tracenz, trace16 */
	static const uint8_t unsupported[] = { 0x01, 0x0c, 0x0d, 0x1b, 0x1c, 0x1d, 0x1e,
					       0x1f, 0x2c, 0x2d, 0x2e, 0x2f, 0x30 };
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(unsupported); i++) {
		char hex[32];

		snprintf(hex, sizeof(hex), "22012201%02x000027", unsupported[i]);
		refuses(bench, hex, HS_ERR_UNSUPPORTED, "byte 4: opcode");
	}
	refuses(bench, "0027", HS_ERR_FORMAT, "byte 0: no opcode 0x00");
	refuses(bench, "22013127", HS_ERR_FORMAT, "byte 2: no opcode 0x31");
	refuses(bench, "22013527", HS_ERR_FORMAT, "no opcode 0x35");
	refuses(bench, "2201ff27", HS_ERR_FORMAT, "no opcode 0xff");
	/* Behind the end, where nothing leads, too. */
	refuses(bench, "2201270027", HS_ERR_FORMAT, "no opcode 0x00");
}

static void test_verify_programs_that_leave_their_bytes_are_refused(void **state)
{
	struct bench *bench = *state;

	refuses(bench, "", HS_ERR_RANGE, "of 0 bytes");
	refuses(bench, "22", HS_ERR_FORMAT, "cut short");
	refuses(bench, "2511223344556677", HS_ERR_FORMAT, "cut short");
	refuses(bench, "2201", HS_ERR_FORMAT, "goes on behind its end");
	refuses(bench, "22012028", HS_ERR_FORMAT, "cut short");
	refuses(bench, "210003", HS_ERR_FORMAT, "goes on behind its end");
	refuses(bench, "21ffff27", HS_ERR_FORMAT, "goes on behind its end");
	refuses(bench, "2100042227220127", HS_ERR_FORMAT, "into an instruction");
	refuses(bench, "2201200001220127", HS_ERR_FORMAT, "into an instruction");
}

static void test_verify_stack_must_be_the_same_on_every_way_and_bounded(void **state)
{
	struct bench *bench = *state;
	char hex[2 * (2 * HS_AGENT_STACK_MAX + 4) + 1];
	size_t at = 0;

	refuses(bench, "0227", HS_ERR_FORMAT, "byte 0: it takes more");
	refuses(bench, "22010227", HS_ERR_FORMAT, "takes more");
	refuses(bench, "220122023327", HS_ERR_FORMAT, "takes more");
	refuses(bench, "2201320127", HS_ERR_FORMAT, "takes more");
	refuses(bench, "27", HS_ERR_FORMAT, "leaves no value");
	refuses(bench, "22012927", HS_ERR_FORMAT, "leaves no value");
	/* One way pushes, the other does not. */
	refuses(bench, "22012202200009220327", HS_ERR_FORMAT, "depends on the way");
	/* A loop that pushes. */
	refuses(bench, "2201210000", HS_ERR_FORMAT, "depends on the way");

	for (unsigned int i = 0; i < HS_AGENT_STACK_MAX; i++) {
		at += (size_t)snprintf(hex + at, sizeof(hex) - at, "22%02x", i);
	}
	snprintf(hex + at, sizeof(hex) - at, "27");
	assert_int_equal(value_of(bench, hex), HS_AGENT_STACK_MAX - 1);
	snprintf(hex + at, sizeof(hex) - at, "220027");
	refuses(bench, hex, HS_ERR_RANGE, "too deep");
}

static void test_verify_operands_are_bounded(void **state)
{
	struct bench *bench = *state;

	refuses(bench, "2201160027", HS_ERR_RANGE, "1 to 64 bits");
	refuses(bench, "2201164127", HS_ERR_RANGE, "1 to 64 bits");
	refuses(bench, "22012a0027", HS_ERR_RANGE, "1 to 64 bits");
	refuses(bench, "26ffff27", HS_ERR_RANGE, "no such register");
	refuses(bench, "26001827", HS_ERR_UNSUPPORTED, "over 64 bits"); /* st0 */
}

static void test_verify_length_of_a_program_is_bounded(void **state)
{
	struct bench *bench = *state;
	struct hs_span program = { .data = bench->program };

	memset(bench->program, 0x12, sizeof(bench->program)); /* bit_not */
	bench->program[0] = 0x22;
	bench->program[HS_AGENT_BYTES_MAX - 1] = 0x27;
	program.length = HS_AGENT_BYTES_MAX;
	assert_int_equal(hs_agent_verify(program, HS_AGENT_CONDITION, &bench->cpu, NULL), HS_OK);
	program.length = HS_AGENT_BYTES_MAX + 1;
	assert_int_equal(hs_agent_verify(program, HS_AGENT_CONDITION, &bench->cpu, NULL), HS_ERR_RANGE);
}

static void test_run_failures_say_why_and_give_no_value(void **state)
{
	struct bench *bench = *state;

	fails(bench, "220522000527", HS_ERR_RANGE, "division by zero");
	fails(bench, "220522000627", HS_ERR_RANGE, "division by zero");
	fails(bench, "220522000727", HS_ERR_RANGE, "division by zero");
	fails(bench, "220522000827", HS_ERR_RANGE, "division by zero");
	fails(bench, "22081727", HS_ERR_UNREADABLE, "nothing is readable at 0x8");
	/* The last four bytes are there, the next four are not. */
	fails(bench, "231ffc1a27", HS_ERR_UNREADABLE, "nothing is readable at 0x2000");
	fails(bench, "25ffffffffffffffff1a27", HS_ERR_UNREADABLE, "at 0xffffffffffffffff");
	/* Endless: goto itself, and round a loop that leaves the stack as it was. */
	fails(bench, "210000", HS_ERR_BUDGET, "more than 100000 steps");
	fails(bench, "22012829210002", HS_ERR_BUDGET, "more than 100000 steps");
}

static bool wanted_in(struct bench *bench, const struct hs_agent_points *points, uint32_t space)
{
	struct hs_agent_scene scene = bench_scene(bench);

	return hs_agent_points_wanted(points, &scene, space);
}

static void test_points_of_a_space_count_there_alone(void **state)
{
	/* A record each (agent_points.h): 0, and 1. */
	static const uint8_t is_false[] = { 'X', 3, 0, 0x22, 0, 0x27 };
	static const uint8_t is_true[] = { 'X', 3, 0, 0x22, 1, 0x27 };
	struct bench *bench = *state;
	struct hs_agent_points points = { 0 };
	struct hs_breakpoint breakpoint = { .gva = { 0x401000 }, .length = 1, .space = 2 };
	struct hs_span no = { .data = is_false, .length = sizeof(is_false) };
	struct hs_span yes = { .data = is_true, .length = sizeof(is_true) };

	assert_int_equal(hs_agent_points_set(&points, &breakpoint, no, NULL), HS_OK);
	breakpoint.space = 3;
	assert_int_equal(hs_agent_points_set(&points, &breakpoint, yes, NULL), HS_OK);
	assert_false(wanted_in(bench, &points, 2));
	assert_true(wanted_in(bench, &points, 3));
	/* Nothing is known of others: that is the target's to judge. */
	assert_true(wanted_in(bench, &points, 4));
	hs_agent_points_clear_space(&points, 3);
	assert_int_equal(points.count, 1);
	assert_false(wanted_in(bench, &points, 2));
	/* One of every space, which a space without its own takes away. */
	breakpoint.space = 0;
	assert_int_equal(hs_agent_points_set(&points, &breakpoint, no, NULL), HS_OK);
	assert_false(wanted_in(bench, &points, 3));
	breakpoint.space = 3;
	hs_agent_points_remove(&points, &breakpoint);
	assert_true(wanted_in(bench, &points, 3));
	assert_false(wanted_in(bench, &points, 2));
	hs_agent_points_clear(&points);
	assert_int_equal(points.bytes + points.count + points.of_spaces + points.programmed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_CASE(test_run_each_opcode_gives_the_value_of_the_manual),
		BENCH_CASE_I686(test_run_on_i686_wraps_addresses_and_reads_its_registers),
		BENCH_CASE(test_verify_unknown_and_unsupported_opcodes_are_refused),
		BENCH_CASE(test_verify_programs_that_leave_their_bytes_are_refused),
		BENCH_CASE(test_verify_stack_must_be_the_same_on_every_way_and_bounded),
		BENCH_CASE(test_verify_operands_are_bounded),
		BENCH_CASE(test_verify_length_of_a_program_is_bounded),
		BENCH_CASE(test_run_failures_say_why_and_give_no_value),
		BENCH_CASE(test_points_of_a_space_count_there_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
