/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "soft_trip.h"

#include "gdb_client.h"
#include "harness.h"
#include "session/snapshot.h"
#include "vmm/vm_private.h"

#include <stdio.h>
#include <string.h>

/* More rounds than anybody steps through. */
#define ENDLESS (1u << 28)
#define STEPS 2000u
#define STEPS_BY_STUB 200u
#define RUNS 100u
#define PASSES 64u

static bool make_steps(struct hs_vm *vm, unsigned int count)
{
	const struct hs_resume one = { .kind = HS_RESUME_STEP };
	struct hs_event event;
	struct hs_error err;

	for (unsigned int i = 0; i < count; i++) {
		if (hs_vm_run(vm, &one, &event, &err)) {
			return side_failed("step", &err);
		}
	}
	return true;
}

bool trip_step(void *ctx, double *ret_ns)
{
	struct hs_vm *vm;
	double start;
	bool done;

	if (!side_open(ctx, ENDLESS, &vm)) {
		return false;
	}
	start = hs_bench_now();
	done = make_steps(vm, STEPS);
	*ret_ns = (hs_bench_now() - start) / STEPS;
	hs_vm_destroy(vm);
	return done;
}

bool trip_step_by_stub(void *ctx, double *ret_ns)
{
	double start = hs_bench_now();

	for (unsigned int i = 0; i < STEPS_BY_STUB; i++) {
		if (!hs_bench_client_ask(ctx, "vCont;s")) {
			return false;
		}
	}
	*ret_ns = (hs_bench_now() - start) / STEPS_BY_STUB;
	return true;
}

bool trip_run_by_stub(void *ctx, double *ret_ns)
{
	bool done = trip_step_by_stub(ctx, ret_ns);

	*ret_ns *= TRIP_INSTRUCTIONS;
	return done;
}

/* As debug.c of the VM arms its CPU. */
static bool run_exactly(struct hs_vm *vm)
{
	const struct hs_debug_request request = { .step = true, .instructions = TRIP_INSTRUCTIONS };
	struct hs_error err;
	struct hs_exit exit;

	if (vm->ops->set_debug(vm->backend, &request, &err) || vm->ops->run(vm->backend, &exit, &err)) {
		return side_failed("run", &err);
	}
	return exit.kind == HS_EXIT_STEPPED;
}

static bool run_counted(struct hs_vm *vm, bool counts, double *ret_ns)
{
	unsigned int runs = counts ? RUNS : 1;
	double start = hs_bench_now();

	for (unsigned int i = 0; i < runs; i++) {
		if (!(counts ? run_exactly(vm) : make_steps(vm, TRIP_INSTRUCTIONS))) {
			return false;
		}
	}
	*ret_ns = (hs_bench_now() - start) / runs;
	return true;
}

bool trip_run_counted(void *ctx, double *ret_ns)
{
	struct hs_backend_abilities abilities;
	struct hs_error err;
	struct hs_vm *vm;
	bool done;

	if (!side_open(ctx, ENDLESS, &vm)) {
		return false;
	}
	done = (!vm->ops->abilities(vm->backend, &abilities, &err) || side_failed("abilities", &err)) &&
	       run_counted(vm, abilities.counts, ret_ns);
	hs_vm_destroy(vm);
	return done;
}

bool trip_open(void *ctx, double *ret_ns)
{
	const struct hs_resume go = { .kind = HS_RESUME_CONTINUE };
	struct hs_event event;
	struct hs_error err = { .message = "the guest has not ended" };
	struct hs_vm *vm;
	double start = hs_bench_now();
	bool ended;

	if (!side_open(ctx, 0, &vm)) {
		return false;
	}
	ended = !hs_vm_run(vm, &go, &event, &err) && event.kind == HS_EVENT_EXITED;
	hs_vm_destroy(vm);
	*ret_ns = hs_bench_now() - start;
	return ended || side_failed("run", &err);
}

bool trip_open_pc(void *ctx, double *ret_ns)
{
	const struct trip_pc *trip = ctx;
	struct hs_bench_pc pc;
	double start = hs_bench_now();
	bool started = hs_bench_pc_start(&pc, trip->qemu, trip->kernel);

	if (started) {
		hs_bench_pc_end(&pc);
	}
	*ret_ns = hs_bench_now() - start;
	return started;
}

/* ---- The way back ---- */

/* Up to where the guest waits for a call. */
static bool run_to_ready(struct hs_vm *vm)
{
	const struct hs_resume go = { .kind = HS_RESUME_CONTINUE };
	struct hs_event event;
	struct hs_error err = { .message = "the guest has not come to its call" };

	return (!hs_vm_run(vm, &go, &event, &err) && event.kind == HS_EVENT_READY) || side_failed("run", &err);
}

static bool stand(const struct trip_back *back)
{
	struct hs_error err;

	return !hs_vm_stand_on(back->vm, back->snapshot, true, &err) || side_failed("restore", &err);
}

bool trip_back_open(struct trip_back *back, const char *guest, enum hs_backend_choice backend)
{
	const struct hs_vm_config config = { .backend = backend, .seed = 1, .calls = true };
	const struct hs_snapshot_spec spec = { .generation = 1 };
	struct hs_cpu_state cpu;
	struct hs_error err;

	*back = (struct trip_back){ NULL, NULL };
	if (hs_vm_create(guest, &config, &back->vm, &err)) {
		return side_failed("create", &err);
	}
	if (!run_to_ready(back->vm) || hs_vm_cpu_get(back->vm, &cpu, &err)) {
		return false;
	}
	cpu.gpr[HS_RCX] = TRIP_PAGES;
	if (hs_vm_cpu_set(back->vm, &cpu, &err) || hs_snapshot_of_vm(back->vm, &spec, &back->snapshot, &err)) {
		return side_failed("take", &err);
	}
	return true;
}

void trip_back_close(struct trip_back *back)
{
	hs_vm_destroy(back->vm);
	hs_snapshot_unref(back->snapshot);
}

bool trip_back(void *ctx, double *ret_ns)
{
	*ret_ns = 0;
	if (!stand(ctx)) {
		return false;
	}
	for (unsigned int pass = 0; pass < PASSES; pass++) {
		double start;

		if (!run_to_ready(((struct trip_back *)ctx)->vm)) {
			return false;
		}
		start = hs_bench_now();
		if (!stand(ctx)) {
			return false;
		}
		*ret_ns += (hs_bench_now() - start) / PASSES;
	}
	return true;
}

bool trip_copy(void *ctx, double *ret_ns)
{
	static uint8_t from[TRIP_PAGES * HS_PAGE_SIZE], to[TRIP_PAGES * HS_PAGE_SIZE];
	double start = hs_bench_now();

	(void)ctx;
	for (unsigned int pass = 0; pass < PASSES; pass++) {
		memcpy(to, from, sizeof(to));
		__asm__ volatile("" : : "r"(to) : "memory");
	}
	*ret_ns = (hs_bench_now() - start) / PASSES;
	return true;
}
