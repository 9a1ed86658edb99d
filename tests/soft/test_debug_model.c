/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Breakpoints and watchpoints at random, in one run after the other and instruction by instruction: both must stop at
 * the same places for the same reasons, and neither may change what the program does.
 */
#include "machine.h"
#include "state_difference.h"

#include "lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT 1500u
#define BREAKS 4u
#define WATCHES 3u
#define STOPS_MAX (4 * COUNT)
#define SEEDS 25u

static const struct machine_config configs[] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_NONE, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
};

/* Arithmetic, memory, strings and a call; 0x50 and 0x5a are push and pop of a whole register. */
#define PROGRAM                                                                                                        \
	"1: imul eax, eax, 0x19660d\n add eax, 0x3c6ef35f\n mov edi, 0x10ff8\n mov esi, 0x11ff0\n"                     \
	" mov ecx, eax\n and ecx, 15\n rep movsb\n mov [edi], eax\n xor [edi + 5], ax\n"                               \
	" call 2f\n .byte 0x50, 0x5a\n cmp al, dl\n setc bl\n ror ebx, 3\n jmp 1b\n"                                   \
	"2: test al, 8\n jz 3f\n bswap eax\n3: ret"

struct stop {
	enum hs_exit_kind kind;
	uint64_t rip, time;
	size_t watch;
};

struct trial {
	struct machine machine;
	struct hs_breakpoint breaks[BREAKS], watches[WATCHES];
	struct stop *stops;
	size_t count;
};

static void draw_lists(struct trial *trial, uint64_t seed, size_t code_bytes)
{
	static const enum hs_break_kind kinds[] = { HS_WATCH_WRITE, HS_WATCH_READ, HS_WATCH_ACCESS };
	static const uint64_t places[] = { 0x10ff8, 0x11ff0, MACHINE_STACK - 16 };

	/* Some of them lie in the middle of an instruction, and are never reached. */
	for (unsigned int i = 0; i < BREAKS; i++) {
		trial->breaks[i] =
			(struct hs_breakpoint){ .gva = hs_gva_of(MACHINE_CODE + random_below(&seed, code_bytes)) };
	}
	for (unsigned int i = 0; i < WATCHES; i++) {
		uint64_t at = places[random_below(&seed, 3)] + random_below(&seed, 24) - 4;

		trial->watches[i] = (struct hs_breakpoint){ kinds[random_below(&seed, 3)], hs_gva_of(at),
							    1 + random_below(&seed, 9), 0 };
	}
}

static bool is_break(const struct trial *trial, uint64_t rip)
{
	for (unsigned int i = 0; i < BREAKS; i++) {
		if (trial->breaks[i].gva.v == rip) {
			return true;
		}
	}
	return false;
}

/* Run COUNT instructions, at most `part` at once, and note every stop. */
static void run_trial(struct trial *trial, struct code code, uint64_t part)
{
	struct machine *machine = &trial->machine;
	uint64_t rip = MACHINE_CODE, executed_rip = 0;
	bool at_break = false;
	uint64_t time = 0;

	trial->count = 0;
	for (unsigned int i = 0; i < 0x3000; i++) {
		*machine_at(machine, MACHINE_DATA + i) = (uint8_t)(i * 7);
	}
	machine_set_code(machine, code);
	machine_load(machine);
	while (time < COUNT) {
		struct hs_debug_request request = {
			.step = true,
			.instructions = at_break              ? 1
					: part < COUNT - time ? part
							      : COUNT - time,
			.breaks = trial->breaks,
			.break_count = at_break ? 0 : BREAKS,
			.watches = trial->watches,
			.watch_count = WATCHES,
		};
		struct hs_cpu_state cpu;
		struct hs_exit exit;

		assert_int_equal(machine->config.ops->set_debug(machine->backend, &request, NULL), HS_OK);
		assert_int_equal(machine->config.ops->run(machine->backend, &exit, NULL), HS_OK);
		machine_read(machine, &cpu);
		time = cpu.msr.tsc - machine->cpu.msr.tsc;
		if (part == 1 && !at_break && rip != executed_rip) {
			/* Nothing but an iteration that follows another passes a breakpoint. */
			assert_int_equal(exit.kind == HS_EXIT_BREAK, is_break(trial, rip));
		}
		at_break = exit.kind == HS_EXIT_BREAK;
		executed_rip = at_break ? executed_rip : rip;
		rip = cpu.rip;
		if (exit.kind != HS_EXIT_STEPPED) {
			assert_true(trial->count < STOPS_MAX);
			trial->stops[trial->count++] = (struct stop){ exit.kind, cpu.rip, time, exit.watch };
		}
	}
}

/* How often it stopped. */
static size_t check_seed(const struct machine_config *config, uint64_t seed)
{
	struct code code = config->mode == MACHINE_64 ? CODE64(PROGRAM) : CODE32(PROGRAM);
	const struct state_rules rules = { .rflags = ~UINT64_C(0) };
	struct stop *expected = calloc(STOPS_MAX, sizeof(*expected));
	struct trial trial = { .stops = calloc(STOPS_MAX, sizeof(*expected)) };
	struct stop *stops = trial.stops;
	struct hs_cpu_state by_steps, by_runs;
	const char *difference;
	char text[300];
	size_t count;

	assert_true(expected && stops);
	machine_init(&trial.machine, config);
	draw_lists(&trial, seed, code.length);
	trial.stops = expected;
	run_trial(&trial, code, 1);
	count = trial.count;
	machine_read(&trial.machine, &by_steps);
	trial.stops = stops;
	run_trial(&trial, code, COUNT);
	machine_read(&trial.machine, &by_runs);
	difference = state_difference(&by_runs, &by_steps, &rules, text, sizeof(text));
	if (difference) {
		fail_msg("seed %llu: %s", (unsigned long long)seed, difference);
	}
	assert_int_equal(trial.count, count);
	for (size_t i = 0; i < count; i++) {
		if (stops[i].kind != expected[i].kind || stops[i].rip != expected[i].rip ||
		    stops[i].time != expected[i].time || stops[i].watch != expected[i].watch) {
			fail_msg("seed %llu, stop %zu: at 0x%llx after %llu, not 0x%llx after %llu",
				 (unsigned long long)seed, i, (unsigned long long)stops[i].rip,
				 (unsigned long long)stops[i].time, (unsigned long long)expected[i].rip,
				 (unsigned long long)expected[i].time);
		}
	}
	machine_deinit(&trial.machine);
	free(expected);
	free(stops);
	return count;
}

static void test_debug_stops_of_runs_are_those_of_steps(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
		size_t stops = 0;

		for (uint64_t seed = 1; seed <= SEEDS; seed++) {
			stops += check_seed(&configs[i], seed);
		}
		assert_true(stops > 100 * SEEDS); /* or it has shown nothing */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_debug_stops_of_runs_are_those_of_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
