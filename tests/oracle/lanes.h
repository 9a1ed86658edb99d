/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stands in vectors, x87 registers and their operands in memory: elements that are edges of their type, and often
 * the same ones in several operands, so that comparisons find something.
 */
#ifndef ORACLE_LANES_H
#define ORACLE_LANES_H

#include "random.h"

#include <Zydis/Zydis.h>

enum { ORACLE_POOL = 4 };

struct oracle_lanes {
	struct oracle_random *random;
	bool pooled;                            /* elements are drawn from a few, the same for each operand */
	unsigned int text;                      /* if not 0, all are characters of this width, some of them 0 */
	struct oracle_random pool[ORACLE_POOL]; /* what makes one of them */
};

void oracle_lanes_init(struct oracle_lanes *lanes, struct oracle_random *random);
/** Fill `bytes` bytes with elements of `bits` bits each. */
void oracle_lanes_fill(struct oracle_lanes *lanes, ZydisElementType type, unsigned int bits, uint8_t *to, size_t bytes);

#endif
