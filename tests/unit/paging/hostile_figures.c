/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What hostile tables cost whoever walks them with the default budget: the table in docs/paging.md. */
#include "walks.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

static const char *const names[TANGLE_COUNT] = { "self-map", "cycle", "fan-out", "hollow" };

static double milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void print(const struct shape *shape, enum tangle tangle, const char *walk, const struct walk_count *count,
		  double took)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("%-8s %-8s %-8s %-9s tables %8llu  ranges %8llu  aliases %5llu  %8.2f ms  peak %ld KiB\n",
	       hs_paging_format_name(shape->format), names[tangle], walk,
	       count->status == HS_ERR_BUDGET ? "budget" : "all of it", (unsigned long long)count->visited,
	       (unsigned long long)count->ranges, (unsigned long long)count->aliases, took, usage.ru_maxrss);
}

int main(void)
{
	struct hs_budget budget = hs_budget_default();
	struct ram ram;

	ram_init(&ram, true);
	ram_add(&ram, WALK_ROOT, WALK_PAGES * 4096);
	for (unsigned int i = 0; i < SHAPES * TANGLE_COUNT; i++) {
		const struct shape *shape = &shapes[i / TANGLE_COUNT];
		enum tangle tangle = (enum tangle)(i % TANGLE_COUNT);
		struct hs_root root = { .format = shape->format, .base = { WALK_ROOT } };
		struct walk_count count;
		double start;

		tangle_put(&ram, shape, tangle);
		start = milliseconds();
		count = walk_iter(&ram, &root, budget);
		print(shape, tangle, "iter", &count, milliseconds() - start);
		start = milliseconds();
		count = walk_spaces(&ram, &root, 1, WALK_PLACES, budget);
		print(shape, tangle, "spaces", &count, milliseconds() - start);
		start = milliseconds();
		count = walk_reverse(&ram, &root, 1, 0, 0, budget);
		print(shape, tangle, "reverse", &count, milliseconds() - start);
	}
	ram_deinit(&ram);
	return 0;
}
