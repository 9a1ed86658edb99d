/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The address spaces of a guest as a debugger works with them, and what it may ask of them in words: the monitor
 * commands roots, root, walk and maps of a live guest and of a core alike. Nothing here knows which of the two it is.
 */
#ifndef HS_SESSION_SPACE_VIEW_H
#define HS_SESSION_SPACE_VIEW_H

#include "base/buf.h"
#include "session/roots.h"

#include <hindsight/error.h>
#include <hindsight/mem.h>
#include <hindsight/paging.h>
#include <hindsight/target.h>

/** All pointers are borrowed. Numbers are those of struct hs_target_space. */
struct hs_space_view {
	struct hs_phys phys;
	const struct hs_root *roots;            /* root of number i + 1 */
	uint32_t count;                         /* 0: only the CPU's is known, and is number 1 */
	const struct hs_root_pointer *pointers; /* where the guest keeps each; NULL where it does not */
	struct hs_root cpu;                     /* the one that the CPU is on */
	uint32_t current;                       /* number of its space */
	uint32_t chosen;                        /* by the user; 0 for none */
	uint32_t used;                          /* hs_target_ops.space_use */
};

/** The number of the space that addresses are in: the used, chosen or current one. */
uint32_t hs_space_view_number(const struct hs_space_view *view);
/** The root of a number, NULL if there is none: the CPU's own, named or not, for the space that it is in. */
const struct hs_root *hs_space_view_root(const struct hs_space_view *view, uint32_t number);
/** HS_ERR_NOT_FOUND: there is no space of this number. */
enum hs_status hs_space_view_missing(const struct hs_space_view *view, uint32_t number, struct hs_error *err);
/** hs_target_ops.spaces. */
void hs_space_view_list(const struct hs_space_view *view, struct hs_target_space *items, uint32_t max,
			uint32_t *ret_count);

/** "roots": a line for each space. */
void hs_space_put_roots(const struct hs_space_view *view, struct hs_buf *out);
/** "root N|current". HS_ERR_INVALID: that is no argument of it. HS_ERR_NOT_FOUND. *ret is untouched on failure. */
enum hs_status hs_space_choose(const struct hs_space_view *view, const char *argument, struct hs_buf *out,
			       uint32_t *ret, struct hs_error *err);
/** "walk ADDR": the way to an address, as `hindsight pagetable walk` shows it. */
enum hs_status hs_space_put_walk(const struct hs_space_view *view, const char *argument, struct hs_buf *out,
				 struct hs_error *err);
/** "maps [N]": what a space maps, a line for what lies together and has the same rights. */
enum hs_status hs_space_put_maps(const struct hs_space_view *view, const char *argument, struct hs_buf *out,
				 struct hs_error *err);

#endif
