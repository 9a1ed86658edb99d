/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measuring ways of doing one thing in the same run. They take turns, and turns at being first (A B, B A, ...): a
 * machine that slows down slows both, and neither always has the other's litter. What counts is the ratio of
 * neighbouring runs, of which the median is quoted.
 */
#ifndef HS_BENCH_HARNESS_H
#define HS_BENCH_HARNESS_H

#include <stdbool.h>

#define HS_BENCH_OTHERS_MAX 4

/** Do it once; *ret_ns is what it took by its own clock. False ends the benchmark. */
typedef bool hs_bench_run_fn(void *ctx, double *ret_ns);

/** One way of doing it. */
struct hs_bench_side {
	const char *name;
	hs_bench_run_fn *run;
	void *ctx;
};

struct hs_bench {
	const char *title;
	const char *unit;    /* of the printed figures: "ns", "us", "ms", or one with a slash: "MiB/s", "M/s" */
	double work;         /* what one run does (MiB, million instructions); for units with a slash only */
	unsigned int rounds; /* an odd number has a median that was measured */
	struct hs_bench_side ours, peer;
	/* More peers, each with its ratio. */
	const struct hs_bench_side *others;
	unsigned int other_count; /* HS_BENCH_OTHERS_MAX at most */
};

/** Run and print: a row each with minimum, median and maximum, and the ratio ours/peer. False when a side failed. */
bool hs_bench_run(const struct hs_bench *bench);

/** A number of rounds from the command line, or the default when text is NULL. 0 when it is none. */
unsigned int hs_bench_rounds(const char *text, unsigned int otherwise);

/** The monotonic clock in nanoseconds. */
double hs_bench_now(void);

#endif
