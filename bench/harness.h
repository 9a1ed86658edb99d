/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measuring two ways of doing one thing in the same run. They take turns (A B A B ...), so that a machine that slows
 * down slows both; what counts is the ratio of neighbouring runs, of which the median is quoted.
 */
#ifndef HS_BENCH_HARNESS_H
#define HS_BENCH_HARNESS_H

#include <stdbool.h>

/** One way of doing it. */
struct hs_bench_side {
	const char *name;
	bool (*run)(void *ctx, double *ret_ns); /* false ends the benchmark; *ret_ns is what it took by its own clock */
	void *ctx;
};

struct hs_bench {
	const char *title;
	const char *unit; /* of the printed figures: "us", "ms" or "MiB/s" */
	double work;      /* MiB that one run moves; for "MiB/s" only */
	unsigned int rounds;
	struct hs_bench_side ours, peer;
};

/** Run and print: a row each with minimum, median and maximum, and the ratio ours/peer. False when a side failed. */
bool hs_bench_run(const struct hs_bench *bench);

/** The monotonic clock in nanoseconds. */
double hs_bench_now(void);

#endif
