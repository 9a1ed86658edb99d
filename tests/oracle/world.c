/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory of a case. Both sides use this code: the process on the host's CPU in its signal handler (so nothing here
 * allocates or locks), the software CPU's side between two runs.
 */
#include "case.h"

#include <string.h>

#define CHUNK 512u

void oracle_world_fill(uint8_t *bytes, uint64_t seed)
{
	for (size_t i = 0; i < ORACLE_WORLD; i += 8) {
		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		memcpy(bytes + i, &seed, 8);
	}
}

/* One byte at a time across pages: a patch may run from one page into another, or into a hole. */
static void apply(uint8_t *bytes, const struct oracle_patch *patch)
{
	for (uint32_t i = 0; i < patch->length; i++) {
		size_t place;

		if (oracle_place(patch->at + i, &place)) {
			bytes[place] = patch->bytes[i];
		}
	}
}

void oracle_world_patch(struct oracle_world *world, const struct oracle_case *test)
{
	for (uint32_t i = 0; i < test->patch_count; i++) {
		apply(world->bytes, &test->patches[i]);
	}
}

static void note(struct oracle_result *result, size_t place, uint64_t value)
{
	if (result->delta_count == ORACLE_DELTAS) {
		result->delta_lost = 1;
		return;
	}
	result->deltas[result->delta_count].place = place;
	result->deltas[result->delta_count].value = value;
	result->delta_count++;
}

static void collect_chunk(struct oracle_world *world, size_t start, struct oracle_result *result)
{
	for (size_t place = start; place < start + CHUNK; place += 8) {
		uint64_t before, now;

		memcpy(&before, world->before + place, 8);
		memcpy(&now, world->bytes + place, 8);
		if (now != before) {
			note(result, place, now);
			memcpy(world->bytes + place, &before, 8);
		}
	}
}

void oracle_world_collect(struct oracle_world *world, struct oracle_result *result)
{
	result->delta_count = 0;
	result->delta_lost = 0;
	for (size_t place = 0; place < ORACLE_WORLD; place += CHUNK) {
		if (memcmp(world->bytes + place, world->before + place, CHUNK) != 0) {
			collect_chunk(world, place, result);
		}
	}
}
