/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hs_core_write() for what is in a file already: its segments may be known, and its data need not pass through here. */
#ifndef HS_COREDUMP_WRITE_H
#define HS_COREDUMP_WRITE_H

#include "coredump/physfile.h"
#include "coredump/plan.h"

#include <hindsight/coredump.h>

/** Where a core comes from, if not from memory; all NULL then. */
struct hs_core_source {
	const struct hs_core_plan_given *given; /* the segments of input->root */
	const struct hs_physfile *share; /* the file that input->phys is: it has no pages of zeros but in holes */
};

HS_MUST_CHECK enum hs_status hs_core_write_from(const struct hs_core_input *input, const struct hs_core_source *source,
						const char *path, struct hs_core_result *ret, struct hs_error *err);

#endif
