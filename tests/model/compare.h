/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Both walkers on one address, and both judges on every access to it; a difference is shown and fails the test. */
#ifndef HS_TESTS_MODEL_COMPARE_H
#define HS_TESTS_MODEL_COMPARE_H

#include "world.h"

/** What paging/ should say, given what the naive walker says. */
struct hs_range compare_expected(const struct naive_result *naive);
/** Fails the test, and shows the world, when these are not the same. */
void compare_ranges(struct world *world, const struct hs_range *got, const struct hs_range *want);
/**
 * Both on the address of the world: first the translation, then who may do what there: reads, writes, fetches and
 * reads with writes, by user mode and by the supervisor with and without RFLAGS.AC. Counted in world->cases; the naive
 * walker's answer.
 */
struct naive_result compare(struct world *world);

#endif
