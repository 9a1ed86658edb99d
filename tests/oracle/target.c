/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where operands are put: inside pages, across their edges, where nothing is, where no address can be. */
#include "scene.h"

static uint64_t inside(struct oracle_random *random, uint64_t area, uint64_t length, unsigned int bytes)
{
	return area + oracle_below(random, length > bytes ? length - bytes : 1);
}

/* Across an edge, or just before or behind it. */
static uint64_t across(struct oracle_random *random, uint64_t edge, unsigned int bytes)
{
	return edge - oracle_below(random, bytes + 1u);
}

static uint64_t target16(struct oracle_random *random, unsigned int bytes)
{
	switch (oracle_below(random, 10)) {
	case 0:
		return across(random, ORACLE_LOW, bytes);
	case 1:
		return across(random, ORACLE_LOW + ORACLE_PAGE, bytes);
	case 2:
		return across(random, 0x10000, bytes) & 0xffff;
	case 3:
		return oracle_random(random) & 0xffff;
	default:
		return inside(random, ORACLE_LOW, ORACLE_PAGE, bytes);
	}
}

static uint64_t target_at_edge(struct oracle_random *random, unsigned int bytes)
{
	static const uint64_t edges[] = {
		ORACLE_DATA + ORACLE_PAGE,      /* both writable */
		ORACLE_DATA + ORACLE_PAGE,      /* twice, as the one that works */
		ORACLE_DATA + 2 * ORACLE_PAGE,  /* then read-only */
		ORACLE_DATA + 3 * ORACLE_PAGE,  /* read-only, then nothing */
		ORACLE_DATA,                    /* nothing, then writable */
		ORACLE_STACK,                   /* the same */
		ORACLE_STACK + ORACLE_PAGE,     /* both writable */
		ORACLE_STACK + 2 * ORACLE_PAGE, /* then nothing */
		ORACLE_CODE + 2 * ORACLE_PAGE,  /* code, then writable */
		ORACLE_CODE + 3 * ORACLE_PAGE,  /* writable, then nothing */
	};

	return across(random, edges[oracle_below(random, sizeof(edges) / sizeof(edges[0]))], bytes);
}

static uint64_t target_outside(struct oracle_random *random, unsigned int address_width, unsigned int bytes)
{
	static const uint64_t lower_end = UINT64_C(1) << 47, upper = UINT64_C(0xffff800000000000);

	if (address_width == 32) {
		return oracle_chance(random, 50) ? across(random, UINT64_C(1) << 32, bytes) & UINT32_MAX
						 : oracle_below(random, 8192);
	}
	switch (oracle_below(random, 5)) {
	case 0:
		return across(random, lower_end, bytes);
	case 1:
		return across(random, upper, bytes);
	case 2:
		return lower_end + oracle_random(random) % (upper - lower_end);
	case 3:
		return upper + oracle_random(random) % (UINT64_C(1) << 46);
	default:
		return oracle_chance(random, 50) ? oracle_below(random, 4096) : 0 - oracle_below(random, 20);
	}
}

uint64_t oracle_target(struct oracle_random *random, unsigned int address_width, unsigned int bytes, bool aligned)
{
	uint64_t align = aligned && bytes ? ~(uint64_t)((bytes & (bytes - 1)) ? 3 : bytes - 1) : ~UINT64_C(0);
	uint64_t kind = oracle_below(random, 100);

	if (address_width == 16) {
		return target16(random, bytes) & align;
	}
	if (kind < 45) {
		return inside(random, ORACLE_DATA, 2 * ORACLE_PAGE, bytes) & align;
	}
	if (kind < 52) {
		return inside(random, ORACLE_STACK, 2 * ORACLE_PAGE, bytes) & align;
	}
	if (kind < 60 && address_width == 64) {
		return inside(random, ORACLE_FAR, ORACLE_PAGE, bytes) & align;
	}
	if (kind < 86) {
		return target_at_edge(random, bytes) & align;
	}
	if (kind < 90) {
		return inside(random, ORACLE_DATA + 2 * ORACLE_PAGE, ORACLE_PAGE, bytes) & align;
	}
	if (kind < 92) {
		return inside(random, ORACLE_DATA - ORACLE_PAGE, ORACLE_PAGE, bytes) & align;
	}
	if (kind < 95) {
		return inside(random, ORACLE_CODE, 3 * ORACLE_PAGE, bytes) & align;
	}
	return target_outside(random, address_width, bytes) & align;
}
