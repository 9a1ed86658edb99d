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

/* The sides of a benchmark and what their turns took. */
struct turns {
	const struct hs_bench_side *sides[2 + HS_BENCH_OTHERS_MAX];
	double ns[2 + HS_BENCH_OTHERS_MAX];
	unsigned int count;
};

/* One turn of each. The next one begins where this one has ended. */
static bool take_turns(struct turns *turns, bool backwards)
{
	for (unsigned int i = 0; i < turns->count; i++) {
		unsigned int at = backwards ? turns->count - 1 - i : i;

		if (!turns->sides[at]->run(turns->sides[at]->ctx, &turns->ns[at])) {
			return false;
		}
	}
	return true;
}

static void print_sides(const struct hs_bench *bench, const struct turns *turns, double values[][ROUNDS_MAX],
			unsigned int rounds)
{
	static double ratios[2 + HS_BENCH_OTHERS_MAX][ROUNDS_MAX];
	const char *better = strchr(bench->unit, '/') ? "x (more is better)" : "x (less is better)";

	/* Before the rounds are lost to sorting. */
	for (unsigned int side = 1; side < turns->count; side++) {
		for (unsigned int i = 0; i < rounds; i++) {
			ratios[side][i] = values[0][i] / values[side][i];
		}
	}
	print_row(bench->ours.name, bench->unit, values[0], rounds);
	for (unsigned int side = 1; side < turns->count; side++) {
		print_row(turns->sides[side]->name, bench->unit, values[side], rounds);
		print_row("ratio", better, ratios[side], rounds);
	}
}

bool hs_bench_run(const struct hs_bench *bench)
{
	static double values[2 + HS_BENCH_OTHERS_MAX][ROUNDS_MAX];
	struct turns turns = { .sides = { &bench->ours, &bench->peer }, .count = 2 };
	unsigned int rounds = bench->rounds < ROUNDS_MAX ? bench->rounds : ROUNDS_MAX;

	if (rounds == 0) {
		fprintf(stderr, "the number of rounds is none\n");
		return false;
	}
	for (unsigned int i = 0; i < bench->other_count && i < HS_BENCH_OTHERS_MAX; i++) {
		turns.sides[turns.count++] = &bench->others[i];
	}
	printf("%s; %u rounds\n  %-44s %10s %10s %10s\n", bench->title, rounds, "", "min", "median", "max");
	/* The first turn of each warms caches and is not counted. */
	for (unsigned int i = 0; i <= rounds; i++) {
		if (!take_turns(&turns, i % 2)) {
			return false;
		}
		for (unsigned int side = 0; i > 0 && side < turns.count; side++) {
			values[side][i - 1] = in_unit(bench, turns.ns[side]);
		}
	}
	print_sides(bench, &turns, values, rounds);
	return true;
}
