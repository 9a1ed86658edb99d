/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Comparing two CPU states, and saying where they differ. */
#ifndef HS_TESTS_SOFT_STATE_DIFFERENCE_H
#define HS_TESTS_SOFT_STATE_DIFFERENCE_H

#include <hindsight/cpu.h>

#include <stdbool.h>
#include <stddef.h>

/** What is not compared. */
struct state_rules {
	uint64_t rflags; /* these bits */
	bool no_fpu, no_msrs, no_debug;
};

/**
 * The first difference as text ("rax is 0x1, not 0x2"), or NULL: a is, and b should be. Always left out are tsc, and
 * what a segment register that is unusable in both has besides its selector.
 */
const char *state_difference(const struct hs_cpu_state *a, const struct hs_cpu_state *b,
			     const struct state_rules *rules, char *buffer, size_t bytes);

#endif
