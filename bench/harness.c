/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS_MAX 1000

double hs_bench_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a;
	double right = *(const double *)b;

	return (left > right) - (left < right);
}

static double in_unit(const struct hs_bench *bench, double ns)
{
	if (strcmp(bench->unit, "ns") == 0) {
		return ns;
	}
	if (strcmp(bench->unit, "us") == 0) {
		return ns / 1e3;
	}
	if (strcmp(bench->unit, "ms") == 0) {
		return ns / 1e6;
	}
	return bench->work / (ns / 1e9);
}

static void print_row(const char *name, const char *unit, double *values, unsigned int count)
{
	int digits;

	qsort(values, count, sizeof(values[0]), by_value);
	/* Of what is far apart, the leading digits. */
	digits = values[count / 2] < 0.1 ? 4 : 2;
	printf("  %-44s %10.*f %10.*f %10.*f  %s\n", name, digits, values[0], digits, values[count / 2], digits,
	       values[count - 1], unit);
}

unsigned int hs_bench_rounds(const char *text, unsigned int otherwise)
{
	unsigned long rounds = otherwise;
	char *end;

	if (text) {
		rounds = strtoul(text, &end, 10);
		if (*text < '0' || *text > '9' || *end) {
			return 0;
		}
	}
	return rounds < ROUNDS_MAX ? (unsigned int)rounds : ROUNDS_MAX;
}

/* One turn of each. */
static bool take_turns(const struct hs_bench *bench, bool peer_first, double *ret_ours, double *ret_peer)
{
	if (peer_first) {
		return bench->peer.run(bench->peer.ctx, ret_peer) && bench->ours.run(bench->ours.ctx, ret_ours);
	}
	return bench->ours.run(bench->ours.ctx, ret_ours) && bench->peer.run(bench->peer.ctx, ret_peer);
}

bool hs_bench_run(const struct hs_bench *bench)
{
	double ours[ROUNDS_MAX];
	double peer[ROUNDS_MAX];
	double ratio[ROUNDS_MAX];
	unsigned int rounds = bench->rounds < ROUNDS_MAX ? bench->rounds : ROUNDS_MAX;

	if (rounds == 0) {
		fprintf(stderr, "the number of rounds is none\n");
		return false;
	}
	printf("%s; %u rounds\n  %-44s %10s %10s %10s\n", bench->title, rounds, "", "min", "median", "max");
	/* The first turn of each warms caches and is not counted. */
	for (unsigned int i = 0; i <= rounds; i++) {
		double a;
		double b;

		if (!take_turns(bench, i % 2, &a, &b)) {
			return false;
		}
		if (i > 0) {
			ours[i - 1] = in_unit(bench, a);
			peer[i - 1] = in_unit(bench, b);
			ratio[i - 1] = ours[i - 1] / peer[i - 1];
		}
	}
	print_row(bench->ours.name, bench->unit, ours, rounds);
	print_row(bench->peer.name, bench->unit, peer, rounds);
	print_row("ratio", strchr(bench->unit, '/') ? "x (more is better)" : "x (less is better)", ratio, rounds);
	return true;
}
