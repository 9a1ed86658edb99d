/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The random numbers of tests: the same ones from the same seed, so that what fails can be tried again. */
#ifndef HS_TESTS_LIB_RANDOM_H
#define HS_TESTS_LIB_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/** The next number. splitmix64, Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (2014). */
static inline uint64_t random_next(uint64_t *seed)
{
	uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/** One of 0 to limit - 1; limit is not 0. */
static inline uint64_t random_below(uint64_t *seed, uint64_t limit)
{
	return random_next(seed) % limit;
}

static inline void random_fill(uint64_t *seed, void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		((uint8_t *)bytes)[i] = (uint8_t)random_next(seed);
	}
}

#endif
