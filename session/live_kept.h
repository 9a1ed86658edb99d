/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The checkpoints that a debugger has taken ("monitor snapshot"), by name, and what it knew of the guest there. */
#ifndef HS_SESSION_LIVE_KEPT_H
#define HS_SESSION_LIVE_KEPT_H

#include "session/live.h"

#include <hindsight/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most of them, and the longest name with its NUL. */
#define HS_LIVE_KEPT_MAX 64u
#define HS_LIVE_NAME_MAX 64u
/** Where the session began: it is always there, and nobody's to take. */
#define HS_LIVE_FIRST_NAME "start"

/** What one is, for a list. */
struct hs_live_kept_info {
	const char *name; /* borrowed */
	uint64_t rip, pages;
	struct hs_stop stop;
};

/**
 * Keep the guest as it stands under a name; one of that name before is replaced. *ret_replaced says whether there was.
 *
 * HS_ERR_INVALID: a name that is none, too long, not of letters, digits, '_', '.', '-', or the beginning's.
 * HS_ERR_EXHAUSTED: there are as many as there may be. Others as hs_checkpoint_take().
 */
HS_MUST_CHECK enum hs_status hs_live_keep(struct hs_live *live, const char *name, bool *ret_replaced,
					  struct hs_error *err);
/** Put it back there. HS_ERR_NOT_FOUND; others as hs_checkpoint_restore(). */
HS_MUST_CHECK enum hs_status hs_live_go_back(struct hs_live *live, const char *name, struct hs_error *err);
/** Forget one. HS_ERR_NOT_FOUND. */
HS_MUST_CHECK enum hs_status hs_live_drop(struct hs_live *live, const char *name, struct hs_error *err);
/** The index-th, in the order in which they were taken; false behind the last one. */
bool hs_live_kept_info(const struct hs_live *live, size_t index, struct hs_live_kept_info *ret);
/** Forget all. */
void hs_live_drop_all(struct hs_live *live);

#endif
