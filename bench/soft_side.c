/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "soft_side.h"

#include "loops/loops.h"

#include <stdio.h>
#include <time.h>

#define FIRST_ROUNDS 16u
#define MOST_ROUNDS (1u << 28)

bool side_failed(const char *what, const struct hs_error *err)
{
	fprintf(stderr, "soft_cpu: %s: %s\n", what, err->message);
	return false;
}

static double processor_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

bool side_open(const struct side *side, uint32_t rounds, struct hs_vm **ret)
{
	char letter[] = { side->letter, 0 };
	char number[16];
	const char *const args[] = { "loops", letter, number };
	struct hs_vm_config config = { .backend = side->backend, .args = args, .args_count = 3, .seed = 1 };
	struct hs_error err;

	(void)snprintf(number, sizeof(number), "%u", rounds);
	return !hs_vm_create(side->guest, &config, ret, &err) || side_failed("create", &err);
}

/* A software CPU's time stamps count instructions. */
static double time_stamp(const struct side *side, struct hs_vm *vm)
{
	struct hs_cpu_state cpu;

	return side->backend == HS_BACKEND_SOFT && !hs_vm_cpu_get(vm, &cpu, NULL) ? (double)cpu.msr.tsc : 0;
}

/* A KVM that does not execute an instruction at CPL 0 does not offer it, whatever its CPUID says. */
static enum side_outcome judge(const struct side *side, const struct hs_event *event)
{
	if (event->kind == HS_EVENT_EXITED) {
		return event->exit_status == LOOP_NOT_OFFERED ? SIDE_NOT_OFFERED : SIDE_DONE;
	}
	if (event->kind != HS_EVENT_CRASHED) {
		return SIDE_FAILED;
	}
	printf("%s: %s\n", side->name, event->crash.text);
	return side->backend == HS_BACKEND_KVM ? SIDE_NOT_OFFERED : SIDE_FAILED;
}

static enum side_outcome run_vm(const struct side *side, uint32_t rounds, double *ret_ns, double *ret_instructions)
{
	const struct hs_resume go = { .kind = HS_RESUME_CONTINUE };
	enum side_outcome outcome = SIDE_FAILED;
	struct hs_event event;
	struct hs_error err;
	struct hs_vm *vm;
	double start;

	if (!side_open(side, rounds, &vm)) {
		return SIDE_FAILED;
	}
	*ret_instructions = -time_stamp(side, vm);
	start = processor_time();
	if (hs_vm_run(vm, &go, &event, &err)) {
		(void)side_failed("run", &err);
	} else {
		*ret_ns = processor_time() - start;
		*ret_instructions += time_stamp(side, vm);
		outcome = judge(side, &event);
	}
	hs_vm_destroy(vm);
	return outcome;
}

static enum side_outcome run_pc(const struct side *side, uint32_t rounds, double *ret_ns)
{
	bool done;

	if (!hs_bench_pc_run(side->pc, side->letter, rounds, &done, ret_ns)) {
		return SIDE_FAILED;
	}
	return done ? SIDE_DONE : SIDE_NOT_OFFERED;
}

static enum side_outcome run_here(const struct side *side, uint32_t rounds, double *ret_ns)
{
	loop_fn *run = loop_find(side->letter, loop_offered());
	double start = processor_time();

	if (!run) {
		return SIDE_NOT_OFFERED;
	}
	run(rounds);
	*ret_ns = processor_time() - start;
	return SIDE_DONE;
}

enum side_outcome side_try(const struct side *side, uint32_t rounds, double *ret_ns, double *ret_instructions)
{
	*ret_instructions = 0;
	if (side->guest) {
		return run_vm(side, rounds, ret_ns, ret_instructions);
	}
	return side->pc ? run_pc(side, rounds, ret_ns) : run_here(side, rounds, ret_ns);
}

enum side_outcome side_calibrate(struct side *side, double least_ns)
{
	enum side_outcome outcome = SIDE_DONE;
	double instructions, ns = 0;

	for (side->rounds = FIRST_ROUNDS; outcome == SIDE_DONE && side->rounds < MOST_ROUNDS; side->rounds *= 2) {
		outcome = side_try(side, side->rounds, &ns, &instructions);
		if (ns >= least_ns) {
			break;
		}
	}
	return outcome;
}

bool side_run(void *ctx, double *ret_ns)
{
	const struct side *side = ctx;
	double instructions;

	if (side_try(side, side->rounds, ret_ns, &instructions) != SIDE_DONE) {
		return false;
	}
	*ret_ns /= side->rounds;
	return true;
}
