/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One page-table entry: loaded and stored as the little-endian number it is by specification, tested, and changed. */
#ifndef HS_PAGING_ENTRY_H
#define HS_PAGING_ENTRY_H

#include "base/bytes.h"
#include "paging/format.h"

#include <stdbool.h>
#include <stdint.h>

/** Bits high..low of an entry, as the SDM counts them. */
#define HS_ENTRY_BITS(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))
#define HS_ENTRY_BIT(bit) (UINT64_C(1) << (bit))

/** Largest entry of any format, in bytes. */
#define HS_ENTRY_BYTES_MAX 8

static inline uint64_t hs_entry_load(const uint8_t *bytes, unsigned int entry_bytes)
{
	return entry_bytes == 8 ? hs_get_le64(bytes) : hs_get_le32(bytes);
}

/** How many whole entries there are in so many bytes. No division: this is asked for every table of every walk. */
static inline uint64_t hs_entry_count(uint64_t bytes, unsigned int entry_bytes)
{
	return bytes >> (entry_bytes == 8 ? 3 : 2);
}

static inline void hs_entry_store(uint8_t *bytes, unsigned int entry_bytes, uint64_t entry)
{
	hs_put_le(bytes, entry, entry_bytes);
}

static inline bool hs_entry_is(uint64_t entry, struct hs_entry_test test)
{
	return (entry & test.mask) == test.value;
}

/** The entry changed so that the bit of a right lets through, or does not. Without a bit nothing is changed. */
static inline uint64_t hs_entry_allow(uint64_t entry, const struct hs_entry_rights *rights, uint64_t bit, bool allow)
{
	return (entry & ~bit) | ((allow ? rights->allow : ~rights->allow) & bit);
}

#endif
