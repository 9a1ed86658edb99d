/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is done to a guest from outside: steps, runs of so many instructions, its start and end, a way back. The
 * functions are for struct hs_bench, ctx as each says. */
#ifndef HS_BENCH_SOFT_TRIP_H
#define HS_BENCH_SOFT_TRIP_H

#include "soft_side.h"

struct hs_snapshot;

#define TRIP_INSTRUCTIONS 1000u /* of a run of so many */
#define TRIP_PAGES 5u           /* that are gone back over */

/** One step of a VM (ctx: struct side). */
bool trip_step(void *ctx, double *ret_ns);
/** One step by the remote protocol (ctx: struct hs_bench_client). */
bool trip_step_by_stub(void *ctx, double *ret_ns);
/** TRIP_INSTRUCTIONS: in one run where the CPU counts, else in as many steps (ctx: struct side). */
bool trip_run_counted(void *ctx, double *ret_ns);
bool trip_run_by_stub(void *ctx, double *ret_ns);

/** From the image to the guest's end, and all of it freed (ctx: struct side). */
bool trip_open(void *ctx, double *ret_ns);

struct trip_pc {
	const char *qemu, *kernel;
};

/** The process of an emulated PC, up to its kernel (ctx: struct trip_pc). */
bool trip_open_pc(void *ctx, double *ret_ns);

/** A VM that is put back to a snapshot after it has written to TRIP_PAGES pages. */
struct trip_back {
	struct hs_vm *vm;
	struct hs_snapshot *snapshot;
};

/** Make one of loops/pages.c. False, with a message, when it does not work. */
bool trip_back_open(struct trip_back *back, const char *guest, enum hs_backend_choice backend);
void trip_back_close(struct trip_back *back);
/** Only going back (ctx: struct trip_back). */
bool trip_back(void *ctx, double *ret_ns);
/** memcpy of as many pages (ctx: NULL). */
bool trip_copy(void *ctx, double *ret_ns);

#endif
