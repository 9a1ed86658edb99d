/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The address spaces that breakpoints belong to: roots of page tables, in the order of their numbers from 1 on. What is
 * in none of them counts as space 1 (struct hs_target_ops.spaces).
 */
#ifndef HS_VMM_DEBUG_SPACE_H
#define HS_VMM_DEBUG_SPACE_H

#include <hindsight/cpu.h>
#include <hindsight/error.h>
#include <hindsight/paging.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Caller's storage; zero is none: all is space 1. */
struct hs_debug_spaces {
	struct hs_root *roots; /* heap, owned by this until deinit */
	uint32_t count;
};

/** Replace them by a copy of these. HS_ERR_NOMEM: they are as before. */
HS_MUST_CHECK enum hs_status hs_debug_spaces_set(struct hs_debug_spaces *spaces, const struct hs_root *roots,
						 uint32_t count, struct hs_error *err);
void hs_debug_spaces_deinit(struct hs_debug_spaces *spaces);

/** The number of the space that a root is of. */
uint32_t hs_debug_spaces_number(const struct hs_debug_spaces *spaces, const struct hs_root *root);
/** Whether a breakpoint of the space with this number, 0 for every one, is one of the space that the CPU is in. */
bool hs_debug_spaces_has_cpu(const struct hs_debug_spaces *spaces, uint32_t number, const struct hs_cpu_state *cpu);
/**
 * The roots by which addresses of a space are translated: the CPU's where it is in that space, and the one that has the
 * number. 0 stands for the CPU's.
 *
 * @param ret  two at most; returned is how many: 0 when there is no such space
 */
size_t hs_debug_spaces_roots(const struct hs_debug_spaces *spaces, uint32_t number, const struct hs_cpu_state *cpu,
			     struct hs_root ret[2]);

#endif
