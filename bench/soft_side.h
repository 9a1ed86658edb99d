/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The CPUs that run the loops of bench/loops/: a VM's, that of a PC which qemu-system emulates, and the host's own. */
#ifndef HS_BENCH_SOFT_SIDE_H
#define HS_BENCH_SOFT_SIDE_H

#include "pc.h"

#include <hindsight/vm.h>

/* One loop on one CPU. */
struct side {
	const char *name;
	const char *guest; /* image of a VM on this backend, else NULL */
	enum hs_backend_choice backend;
	struct hs_bench_pc *pc; /* the PC; with it and guest NULL, the host */
	char letter;
	uint32_t rounds; /* in one turn */
};

enum side_outcome { SIDE_DONE, SIDE_NOT_OFFERED, SIDE_FAILED };

/** Print what has failed. Returns false. */
bool side_failed(const char *what, const struct hs_error *err);
/** Make a VM whose guest will run the side's loop that often; 0: it ends at once. */
bool side_open(const struct side *side, uint32_t rounds, struct hs_vm **ret);
/**
 * Run the loop that often. *ret_ns is the processor time it took; *ret_instructions how many instructions a software
 * CPU has executed, 0 on others.
 */
enum side_outcome side_try(const struct side *side, uint32_t rounds, double *ret_ns, double *ret_instructions);
/** Choose side->rounds so that they take long enough. What is not offered is no failure. */
enum side_outcome side_calibrate(struct side *side, double least_ns);
/** For struct hs_bench: run side->rounds rounds; *ret_ns is the time of one (ctx: struct side). */
bool side_run(void *ctx, double *ret_ns);

#endif
