/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small questions to guest-physical memory. */
#ifndef HS_BASE_PHYS_H
#define HS_BASE_PHYS_H

#include <hindsight/mem.h>

#include <stdbool.h>

/** Whether there is memory at gpa. */
static inline bool hs_phys_has(const struct hs_phys *phys, hs_gpa gpa)
{
	uint64_t length;
	hs_gpa start;

	return phys->ops->next_region(phys->ctx, gpa, &start, &length) && start.v <= gpa.v;
}

#endif
