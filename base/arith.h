/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Arithmetic that says when it does not fit, and page rounding. */
#ifndef HS_BASE_ARITH_H
#define HS_BASE_ARITH_H

#include <stdbool.h>
#include <stdint.h>

/** *ret = a + b; false (and *ret unspecified) when that overflows. */
static inline bool hs_add_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
	return !__builtin_add_overflow(a, b, ret);
}

/** *ret = a * b; false when that overflows. */
static inline bool hs_mul_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
	return !__builtin_mul_overflow(a, b, ret);
}

/** Round down to a multiple of a power of two. */
static inline uint64_t hs_align_down(uint64_t value, uint64_t alignment)
{
	return value & ~(alignment - 1);
}

/** Round up to a multiple of a power of two; false when that overflows. */
static inline bool hs_align_up(uint64_t value, uint64_t alignment, uint64_t *ret)
{
	if (!hs_add_u64(value, alignment - 1, ret)) {
		return false;
	}
	*ret = hs_align_down(*ret, alignment);
	return true;
}

/** True when [start, start + length) lies in [0, limit); an overflowing range does not. */
static inline bool hs_range_within(uint64_t start, uint64_t length, uint64_t limit)
{
	return length <= limit && start <= limit - length;
}

/** True when two ranges share a byte. Neither may wrap, but either may end at 2^64. */
static inline bool hs_ranges_overlap(uint64_t a, uint64_t a_length, uint64_t b, uint64_t b_length)
{
	if (a_length == 0 || b_length == 0) {
		return false;
	}
	return a <= b + (b_length - 1) && b <= a + (a_length - 1);
}

static inline uint64_t hs_min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t hs_max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
