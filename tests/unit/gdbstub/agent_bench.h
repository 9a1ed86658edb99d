/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A place for agent programs in tests: a fake target with a page of memory and registers, and a buffer for text. */
#ifndef AGENT_BENCH_H
#define AGENT_BENCH_H

#include "fake_target.h"

#include "gdbstub/agent.h"

/* The page. Its first bytes are 88 87 .. 81; "lamp" stands at 0x20, and "end" is the last that it holds. */
#define DATA 0x1000u
#define DATA_BYTES 0x1000u

struct bench {
	struct fake_target fake; /* rax 0xfedcba9876543210, rcx 5, rip 0x401000 */
	const struct hs_reg *regs[HS_REGS_MAX];
	struct hs_agent_cpu cpu;
	struct hs_buf text;
	struct hs_error err;
	uint8_t program[HS_AGENT_BYTES_MAX + 1];
	size_t length;
};

/* cmocka's setup and teardown, of a bench in *state. */
int bench_setup(void **state);
int bench_setup_i686(void **state);
int bench_teardown(void **state);

/* A program of hex digits, in bench->program. */
struct hs_span bench_load(struct bench *bench, const char *hex);
/* Verify one of hex digits; bench->err has why not. */
enum hs_status bench_verify(struct bench *bench, const char *hex, enum hs_agent_use use);
/* Where programs are evaluated: at bench->fake's registers. */
struct hs_agent_scene bench_scene(struct bench *bench);
/* Evaluate; bench->err has why not. */
enum hs_status bench_run(struct bench *bench, struct hs_span program, uint64_t *ret);

#define BENCH_CASE(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
#define BENCH_CASE_I686(name) cmocka_unit_test_setup_teardown(name, bench_setup_i686, bench_teardown)

#endif
