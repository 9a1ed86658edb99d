/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time that only goes on. */
#ifndef HS_BASE_CLOCK_H
#define HS_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define HS_NS_PER_SECOND UINT64_C(1000000000)

/** Nanoseconds of CLOCK_MONOTONIC. */
static inline uint64_t hs_now_ns(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * HS_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

#endif
