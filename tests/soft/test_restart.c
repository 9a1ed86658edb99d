/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Faults in mid-instruction. For each instruction, at each alignment to the borders of its pages, with each obstacle on
 * each page it touches, on pairs of them and on all: every fault comes where it must, with state and memory as
 * before the instruction (a repeated one: as before that round), with the right error code and CR2. Its page is then
 * let through, the handler returns, and in the end all is as in a run without faults.
 *
 *   test_restart [NAME]     only the instructions whose name begins so
 */
#include "restart_trial.h"
#include "state_difference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS_MAX 200
#define VECTOR_DF 8
#define VECTOR_PF 14
#define CR0_TS 8u
/* What a double fault's task, and the interrupt gate's frame on the same stack, take below esp. */
#define FRAME_BYTES 16u
#define PROBLEMS_SHOWN 20

static const struct machine_config configs[] = {
	{ .ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &TEST_OPS, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_32BIT, .cpl = 0 },
	{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_32BIT, .cpl = 1 },
	{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_32BIT, .cpl = 3 },
	{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 0 },
	{ .ops = &TEST_OPS, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
};

/* What a test works with. */
struct scene {
	const char *only; /* NULL: all */
	struct machine machine;
	struct row rows[ROWS_MAX];
	size_t row_count;
	uint8_t *fresh;      /* memory of the machine as it was made */
	uint8_t *expected;   /* memory in a moment */
	uint8_t *memory_end; /* in a run without faults */
	struct hs_cpu_state end;
	size_t trials, faults, problems;
	char problem[400];
};

static const struct state_rules rules = { .rflags = 0 };

static bool differs(struct scene *scene, const char *when, const struct hs_cpu_state *is,
		    const struct hs_cpu_state *should)
{
	char text[300];
	const char *difference = state_difference(is, should, &rules, text, sizeof(text));

	if (difference) {
		snprintf(scene->problem, sizeof(scene->problem), "%s: %s", when, difference);
	}
	return difference != NULL;
}

static bool memory_differs(struct scene *scene, const char *when, const uint8_t *should, uint64_t except,
			   uint64_t except_length)
{
	const uint8_t *is = scene->machine.ram;
	uint64_t at = machine_compare_memory(&scene->machine, is, should, except, except_length);

	if (at < MACHINE_BYTES) {
		snprintf(scene->problem, sizeof(scene->problem), "%s: the byte at 0x%llx is 0x%02x, not 0x%02x", when,
			 (unsigned long long)at, is[at], should[at]);
	}
	return at < MACHINE_BYTES;
}

static bool is_same_stack(const struct trial *trial)
{
	return trial->machine->config.mode == MACHINE_32 && trial->machine->config.cpl == 0;
}

static bool wrong(struct scene *scene, const char *what, uint64_t is, uint64_t should)
{
	snprintf(scene->problem, sizeof(scene->problem), "%s is 0x%llx, not 0x%llx", what, (unsigned long long)is,
		 (unsigned long long)should);
	return false;
}

static bool check_cause(struct scene *scene, const struct trial *trial, const struct machine_stop *stop,
			const struct trial_fault *fault)
{
	uint64_t frame = trial->machine->cpu.gpr[HS_RSP] - FRAME_BYTES;
	bool is_double = is_same_stack(trial) && trial_blocks_ring_0(trial, frame, FRAME_BYTES);

	if (stop->kind != MACHINE_FAULT) {
		snprintf(scene->problem, sizeof(scene->problem), "no fault at 0x%llx: exit %d, rip 0x%llx",
			 (unsigned long long)fault->address, (int)stop->exit.kind, (unsigned long long)stop->cpu.rip);
		return false;
	}
	if (stop->vector != (is_double ? VECTOR_DF : VECTOR_PF)) {
		return wrong(scene, "the vector", stop->vector, is_double ? VECTOR_DF : VECTOR_PF);
	}
	if (is_double) {
		return stop->error_code == 0 || wrong(scene, "the error code", stop->error_code, 0);
	}
	if (stop->error_code != fault->error_code) {
		return wrong(scene, "the error code", stop->error_code, fault->error_code);
	}
	if (stop->cpu.cr2 != fault->address) {
		return wrong(scene, "CR2", stop->cpu.cr2, fault->address);
	}
	return stop->rf || wrong(scene, "RF", 0, 1);
}

static bool check_fault(struct scene *scene, struct trial *trial, const struct machine_stop *stop,
			const struct trial_fault *fault)
{
	struct hs_cpu_state cpu = trial->machine->cpu;
	uint64_t frame = cpu.gpr[HS_RSP] - FRAME_BYTES;

	if (!check_cause(scene, trial, stop, fault)) {
		return false;
	}
	memcpy(scene->expected, trial->before, MACHINE_BYTES);
	trial_do_rounds(trial, fault->rounds, &cpu, scene->expected);
	/* The entries that are still obstructed are no difference. */
	memcpy(scene->expected + MACHINE_TABLES, trial->machine->ram + MACHINE_TABLES, MACHINE_BYTES - MACHINE_TABLES);
	cpu.cr2 = stop->cpu.cr2;
	/* Of the last round, as AMD's CPUs give them, or as before the first one (SDM vol. 2A, CMPS; 2B, REP). */
	if (trial->row->sets_flags && stop->cpu.rflags == trial->machine->cpu.rflags) {
		cpu.rflags = trial->machine->cpu.rflags;
	}
	if (is_same_stack(trial)) {
		cpu.cr0 |= stop->cpu.cr0 & CR0_TS; /* of a double fault's task before */
	}
	return !differs(scene, "at the fault", &stop->cpu, &cpu) &&
	       !memory_differs(scene, "at the fault", scene->expected, frame, is_same_stack(trial) ? FRAME_BYTES : 0);
}

static bool check_end(struct scene *scene, const struct trial *trial, const struct machine_stop *stop)
{
	struct hs_cpu_state end = scene->end;
	struct hs_cpu_state cpu = stop->cpu;
	uint64_t frame = trial->machine->cpu.gpr[HS_RSP] - FRAME_BYTES;

	if (stop->kind != MACHINE_HLT) {
		snprintf(scene->problem, sizeof(scene->problem), "at the end: exit %d, vector %u, rip 0x%llx",
			 (int)stop->exit.kind, stop->vector, (unsigned long long)stop->cpu.rip);
		return false;
	}
	end.cr2 = cpu.cr2;
	/* An obstacle that was none is still there. */
	memcpy(scene->expected, scene->memory_end, MACHINE_TABLES);
	memcpy(scene->expected + MACHINE_TABLES, trial->machine->ram + MACHINE_TABLES, MACHINE_BYTES - MACHINE_TABLES);
	if (is_same_stack(trial)) {
		cpu.cr0 &= ~(uint64_t)CR0_TS; /* a double fault's task sets it */
	}
	return !differs(scene, "at the end", &cpu, &end) &&
	       !memory_differs(scene, "at the end", scene->expected, frame, is_same_stack(trial) ? FRAME_BYTES : 0);
}

/* One set of pages, from the first fault to the end. */
static bool run_trial(struct scene *scene, struct trial *trial)
{
	struct trial_fault fault;
	struct machine_stop stop;

	scene->trials++;
	machine_start(&scene->machine, &stop);
	while (trial_next_fault_at(trial, stop.cpu.cr2, &fault)) {
		scene->faults++;
		if (!check_fault(scene, trial, &stop, &fault)) {
			return false;
		}
		trial->rounds = fault.rounds;
		trial_let_through(trial, fault.page);
		machine_run(&scene->machine, &stop);
	}
	return check_end(scene, trial, &stop);
}

/* One page; in two of the variants two pages as well, and all pages. */
static bool is_tried(const struct trial *trial, unsigned int pages)
{
	int most = trial->variant < 2 ? 2 : 1;

	return (pages & ~trial->used) == 0 && pages != 0 &&
	       (__builtin_popcount(pages) <= most || (most == 2 && pages == trial->used));
}

static bool obstacle_exists(const struct machine *machine, enum obstacle obstacle)
{
	return (obstacle != SUPERVISOR || machine->config.cpl == 3) && (obstacle != NO_EXECUTE || machine->root.nxe);
}

static void complain(struct scene *scene, const struct trial *trial)
{
	static const char *const obstacles[] = { "not present", "read-only", "supervisor", "no execute" };

	if (scene->problems++ < PROBLEMS_SHOWN) {
		print_error("%s, variant %u, pages 0x%x %s: %s\n", trial->row->name, trial->variant, trial->pages,
			    obstacles[trial->obstacle], scene->problem);
	}
}

/* The same without obstacles: what it must come to. */
static bool run_unfaulted(struct scene *scene, struct trial *trial)
{
	struct machine_stop stop;

	trial_obstruct(trial, 0, NOT_PRESENT);
	machine_start(&scene->machine, &stop);
	memcpy(scene->memory_end, scene->machine.ram, MACHINE_BYTES);
	scene->end = stop.cpu;
	snprintf(scene->problem, sizeof(scene->problem), "without obstacles: exit %d, vector %u, rip 0x%llx",
		 (int)stop.exit.kind, stop.vector, (unsigned long long)stop.cpu.rip);
	return stop.kind == MACHINE_HLT;
}

static void run_obstacles(struct scene *scene, struct trial *trial)
{
	for (int obstacle = 0; obstacle < OBSTACLES; obstacle++) {
		for (unsigned int pages = 1; pages < 1u << TRIAL_PAGES; pages++) {
			if (!is_tried(trial, pages) || !obstacle_exists(&scene->machine, obstacle)) {
				continue;
			}
			trial_obstruct(trial, pages, obstacle);
			if (!run_trial(scene, trial)) {
				complain(scene, trial);
				return;
			}
		}
	}
}

static bool is_run(const struct scene *scene, const struct row *row)
{
	const struct machine_config *config = &scene->machine.config;

	return row->code[config->mode == MACHINE_64 ? 0 : 1].length > 0 &&
	       (row->cpls == 0 || (row->cpls & 1u << config->cpl)) &&
	       (!scene->only || strncmp(row->name, scene->only, strlen(scene->only)) == 0);
}

static void run_row(struct scene *scene, const struct row *row)
{
	for (unsigned int variant = 0; variant < TRIAL_VARIANTS; variant++) {
		struct trial trial;

		trial_init(&trial, &scene->machine, row, variant, scene->fresh);
		if (run_unfaulted(scene, &trial)) {
			run_obstacles(scene, &trial);
		} else {
			complain(scene, &trial);
		}
		trial_deinit(&trial);
	}
}

/* Memory as the trials need it: those pages of the stack that a test of ring 0 needs are there anyway. */
static void make_scene(struct scene *scene, const struct machine_config *config)
{
	machine_init(&scene->machine, config);
	scene->fresh = machine_copy_memory(&scene->machine);
	scene->expected = machine_copy_memory(&scene->machine);
	scene->memory_end = machine_copy_memory(&scene->machine);
	scene->row_count = restart_rows(scene->rows, ROWS_MAX);
}

static void free_scene(struct scene *scene)
{
	machine_deinit(&scene->machine);
	free(scene->fresh);
	free(scene->expected);
	free(scene->memory_end);
	free(scene);
}

struct argument {
	const struct machine_config *config;
	const char *only;
};

static void test_restart_fault_anywhere_changes_nothing(void **state)
{
	const struct argument *argument = *state;
	struct scene *scene;
	size_t problems;

	if (machine_missing(argument->config)) {
		skip();
	}
	scene = aligned_alloc(64, (sizeof(*scene) + 63) & ~(size_t)63);
	assert_non_null(scene);
	memset(scene, 0, sizeof(*scene));
	scene->only = argument->only;
	make_scene(scene, argument->config);
	for (size_t i = 0; i < scene->row_count; i++) {
		if (is_run(scene, &scene->rows[i])) {
			run_row(scene, &scene->rows[i]);
		}
	}
	print_message("# %zu trials, %zu faults\n", scene->trials, scene->faults);
	problems = scene->problems;
	free_scene(scene);
	assert_int_equal(problems, 0);
}

int main(int argc, char **argv)
{
	enum { COUNT = sizeof(configs) / sizeof(configs[0]) };
	static const char *const names[COUNT] = {
		"64-bit, CPL 0", "64-bit, CPL 3", "compatibility mode, CPL 3", "32-bit, CPL 0",
		"32-bit, CPL 1", "32-bit, CPL 3", "32-bit with PAE, CPL 0",    "32-bit with PAE, CPL 3",
	};
	struct argument arguments[COUNT];
	struct CMUnitTest tests[COUNT];

	for (size_t i = 0; i < COUNT; i++) {
		arguments[i] = (struct argument){ .config = &configs[i], .only = argc > 1 ? argv[1] : NULL };
		tests[i] = (struct CMUnitTest){
			.name = names[i],
			.test_func = test_restart_fault_anywhere_changes_nothing,
			.initial_state = &arguments[i],
		};
	}
	return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
