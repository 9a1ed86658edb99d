/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "random.h"

#include "lib/random.h"

uint64_t oracle_random(struct oracle_random *random)
{
	return random_next(&random->state);
}

uint64_t oracle_below(struct oracle_random *random, uint64_t limit)
{
	return (oracle_random(random) >> 11) % limit;
}

bool oracle_chance(struct oracle_random *random, unsigned int percent)
{
	return oracle_below(random, 100) < percent;
}

static uint64_t edge(struct oracle_random *random)
{
	static const uint8_t widths[] = { 8, 16, 32, 64 };
	unsigned int width = widths[oracle_below(random, 4)];
	uint64_t top = UINT64_C(1) << (width - 1);
	uint64_t near = top + oracle_below(random, 3) - 1;

	switch (oracle_below(random, 4)) {
	case 0:
		return 0;
	case 1:
		return top | (top - 1); /* all ones */
	case 2:
		return near;
	default:
		return 0 - near; /* sign-extended */
	}
}

uint64_t oracle_value(struct oracle_random *random)
{
	switch (oracle_below(random, 10)) {
	case 0:
	case 1:
	case 2:
		return edge(random);
	case 3:
		return 0 - oracle_below(random, 20);
	case 4:
		return oracle_below(random, 20);
	case 5: /* what a count or a bit number may be */
		return oracle_below(random, 70) | (oracle_random(random) << 8);
	case 6:
		return UINT64_C(1) << oracle_below(random, 64);
	case 7: /* halves that have nothing to do with each other */
		return (oracle_random(random) << 32) | (edge(random) & UINT32_MAX);
	default:
		return oracle_random(random);
	}
}
