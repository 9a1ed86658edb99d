/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The data area of a core: guest memory to the file, with zero pages left out as holes.
 *
 * In: a plan and the memory it was made of. Out: bytes in a file that is otherwise empty. Bytes go from the mapped
 * memory to the file without a copy where the memory can be pointed at.
 */
#ifndef HS_COREDUMP_DATA_H
#define HS_COREDUMP_DATA_H

#include "coredump/plan.h"

/** What was written. */
struct hs_core_data_result {
	uint64_t stored_bytes;     /* the rest are holes */
	uint64_t unreadable_bytes; /* the memory had promised them; holes, too */
};

/**
 * Write the extents of a plan, and into the whole ones their checksums.
 *
 * @param fd      a file that has no data from data_offset on
 * @param name    of the file, for messages
 */
HS_MUST_CHECK enum hs_status hs_core_data_write(int fd, const char *name, const struct hs_phys *phys,
						struct hs_core_plan *plan, uint64_t data_offset,
						struct hs_core_data_result *ret, struct hs_error *err);

/** The checksum of pages behind those that sum is of, as hs_core_verify() says. A last page that is cut short has
 *  zeros behind it. */
uint32_t hs_core_sum_pages(uint32_t sum, uint64_t gpa, const uint8_t *bytes, uint64_t length);

/** True when all length bytes are zero. */
bool hs_core_is_zero(const uint8_t *bytes, size_t length);

#endif
