/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers that are random, the same for the same seed, and often the ones that matter. */
#ifndef ORACLE_RANDOM_H
#define ORACLE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct oracle_random {
	uint64_t state;
};

uint64_t oracle_random(struct oracle_random *random);
/** Below limit, which is not 0. */
uint64_t oracle_below(struct oracle_random *random, uint64_t limit);
/** True in `percent` of 100 cases. */
bool oracle_chance(struct oracle_random *random, unsigned int percent);
/** A value of any width: edges of all widths, small numbers, few bits, and just anything. */
uint64_t oracle_value(struct oracle_random *random);

#endif
