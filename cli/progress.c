/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/progress.h"

#include "base/clock.h"
#include "cli/term.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIRST_NS (HS_NS_PER_SECOND / 2)
#define AGAIN_NS (HS_NS_PER_SECOND / 10)
#define BAR_WIDTH 30u

void hs_progress_init(const char *what, struct hs_progress *ret)
{
	*ret = (struct hs_progress){ .what = what, .terminal = isatty(STDERR_FILENO) == 1 };
	if (ret->terminal) {
		ret->next_ns = hs_now_ns() + FIRST_NS;
	}
}

void hs_progress_tell(void *ctx, uint64_t done, uint64_t total)
{
	static const char full[] = "##############################", empty[] = "..............................";
	struct hs_progress *progress = ctx;
	char of[32];

	if (!progress->terminal || total == 0 || hs_now_ns() < progress->next_ns) {
		return;
	}
	progress->next_ns = hs_now_ns() + AGAIN_NS;
	progress->shown = true;
	double part = done < total ? (double)done / (double)total : 1.0;
	int bar = (int)(part * BAR_WIDTH);

	if (progress->counts) {
		snprintf(of, sizeof(of), "%llu", (unsigned long long)total);
	} else {
		hs_term_size(total, of, sizeof(of));
	}
	fprintf(stderr, "\r%s: [%.*s%.*s] %3d %% of %s", progress->what, bar, full, (int)BAR_WIDTH - bar, empty,
		(int)(part * 100), of);
	fflush(stderr);
}

void hs_progress_end(struct hs_progress *progress)
{
	if (progress->shown) {
		/* EL: erase the line (ECMA-48 8.3.41). */
		fputs("\r\033[K", stderr);
		fflush(stderr);
		progress->shown = false;
	}
}
