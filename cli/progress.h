/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A progress bar on the terminal that stderr is, for what takes longer than half a second. */
#ifndef HS_CLI_PROGRESS_H
#define HS_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct hs_progress {
	const char *what; /* a word before the bar; borrowed */
	bool counts;      /* of things, not of bytes; for the caller to set */
	bool terminal, shown;
	uint64_t next_ns; /* when the bar is drawn again, by the monotonic clock */
};

void hs_progress_init(const char *what, struct hs_progress *ret);
/** Draw it when it is time to. ctx is a struct hs_progress: a hs_core_progress_fn. */
void hs_progress_tell(void *ctx, uint64_t done, uint64_t total);
/** Take it off the terminal. */
void hs_progress_end(struct hs_progress *progress);

#endif
