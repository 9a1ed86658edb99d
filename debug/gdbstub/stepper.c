/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a target that only executes one instruction at a time lacks: breakpoints, steps, ranges, interrupts and stops.
 * It runs in slices, one for each question whether it has stopped, so that its client is heard in between. Nothing is
 * planted: after each instruction the address of the next is compared with the breakpoints that the stub knows.
 */
#include "gdbstub/stub.h"

#include "base/error.h"

/* Instructions in a slice: at 100 ns each, a millisecond in which the client is not heard. */
#define SLICE 10000

static enum hs_status break_insert(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	const struct hs_target *target = &((struct hs_gdb *)ctx)->target;
	uint8_t byte;
	size_t length;

	if (breakpoint->kind != HS_BREAK_SOFTWARE && breakpoint->kind != HS_BREAK_HARDWARE) {
		return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, breakpoint->gva.v, "there are no watchpoints");
	}
	return target->ops->mem_read(target->ctx, breakpoint->gva, &byte, 1, &length, err);
}

/* The points of the stub are all that is kept: handle_break.c removes it from them. */
static enum hs_status break_remove(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	(void)ctx;
	(void)breakpoint;
	(void)err;
	return HS_OK;
}

static void break_clear(void *ctx)
{
	(void)ctx;
}

static bool has_ended(const struct hs_stop *stop)
{
	return stop->kind == HS_STOP_EXITED || stop->kind == HS_STOP_KILLED;
}

static enum hs_status resume(void *ctx, const struct hs_resume *how, struct hs_error *err)
{
	struct hs_stepper *stepper = &((struct hs_gdb *)ctx)->stepper;

	if (has_ended(&stepper->stop)) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest has ended");
	}
	stepper->how = *how;
	stepper->interrupted = false;
	return HS_OK;
}

static void interrupt(void *ctx)
{
	((struct hs_gdb *)ctx)->stepper.interrupted = true;
}

/* Execute one instruction. False: stepper.stop says why it goes no further. Breakpoints are looked at behind it: one
 * that it begins at would never be left. */
static bool go_on(struct hs_gdb *gdb)
{
	struct hs_stepper *stepper = &gdb->stepper;
	const struct hs_resume *how = &stepper->how;
	hs_gva next = { 0 };

	stepper->stop = (struct hs_stop){ .kind = HS_STOP_STEPPED };
	if (!gdb->target.ops->step(gdb->target.ctx, &next, &stepper->stop)) {
		return false;
	}
	if (hs_agent_points_has(&gdb->points, HS_BREAK_SOFTWARE, next)) {
		stepper->stop.kind = HS_STOP_SWBREAK;
	} else if (hs_agent_points_has(&gdb->points, HS_BREAK_HARDWARE, next)) {
		stepper->stop.kind = HS_STOP_HWBREAK;
	} else {
		return how->kind == HS_RESUME_CONTINUE ||
		       (how->kind == HS_RESUME_RANGE && next.v - how->range_start.v < how->range_length);
	}
	return false;
}

static bool stop_take(void *ctx, struct hs_stop *ret)
{
	struct hs_gdb *gdb = ctx;
	struct hs_stepper *stepper = &gdb->stepper;
	bool stopped = true;

	if (stepper->how.signal) {
		/* A fault that the guest has no handler for, or step() would have gone there. */
		stepper->stop = (struct hs_stop){ .kind = HS_STOP_KILLED, .signal = stepper->how.signal };
	} else if (stepper->interrupted) {
		stepper->stop = (struct hs_stop){ .kind = HS_STOP_INTERRUPTED };
	} else {
		stopped = false;
		for (int i = 0; i < SLICE && !stopped; i++) {
			stopped = !go_on(gdb);
		}
	}
	*ret = stepper->stop;
	return stopped;
}

static void stop_current(void *ctx, struct hs_stop *ret)
{
	*ret = ((struct hs_gdb *)ctx)->stepper.stop;
}

void hs_stepper_reset(struct hs_gdb *gdb)
{
	gdb->stepper = (struct hs_stepper){ .stop = { .kind = HS_STOP_STEPPED } };
}

struct hs_target hs_stepper_control(struct hs_gdb *gdb)
{
	static const struct hs_target_ops ops = {
		.break_insert = break_insert,
		.break_remove = break_remove,
		.break_clear = break_clear,
		.resume = resume,
		.interrupt = interrupt,
		.stop_take = stop_take,
		.stop_current = stop_current,
	};

	return (struct hs_target){ .ops = &ops, .ctx = gdb };
}
