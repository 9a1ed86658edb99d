/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The data area of a core: guest memory to the file, with zero pages left out as holes.
 *
 * In: a plan and the memory it was made of. Out: bytes in a file that is otherwise empty. Bytes go from the mapped
 * memory to the file without a copy where the memory can be pointed at.
 */
#ifndef HS_COREDUMP_DATA_H
#define HS_COREDUMP_DATA_H

#include "coredump/physfile.h"
#include "coredump/plan.h"

/** What was written. */
struct hs_core_data_result {
	uint64_t stored_bytes;     /* the rest are holes */
	uint64_t unreadable_bytes; /* the memory had promised them; holes, too */
};

/** Where the data goes and comes from. */
struct hs_core_data_job {
	int fd;           /* a file that has no data from data_offset on */
	const char *name; /* of the file, for messages */
	const struct hs_phys *phys;
	const struct hs_physfile *share; /* the file that phys is: what need not be looked at is shared or copied within
					  * the kernel; or NULL */
	uint64_t data_offset;
	uint64_t limit_bytes;                  /* that may be written */
	const struct hs_core_options *options; /* whose progress is told */
};

/**
 * Write the extents of a plan, and into the whole ones their checksums. HS_ERR_BUDGET: it would take more than
 * job->limit_bytes.
 */
HS_MUST_CHECK enum hs_status hs_core_data_write(const struct hs_core_data_job *job, struct hs_core_plan *plan,
						struct hs_core_data_result *ret, struct hs_error *err);

/** The checksum of pages behind those that sum is of, as hs_core_verify() says. A last page that is cut short has
 *  zeros behind it. */
uint32_t hs_core_sum_pages(uint32_t sum, uint64_t gpa, const uint8_t *bytes, uint64_t length);

#endif
