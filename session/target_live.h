/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A live session as a debugger sees it: struct hs_target_ops over a struct hs_session.
 *
 * A fault is first a stop: the debugger sees it with the guest at the faulting instruction, and may look or repair.
 * What follows is decided when it resumes:
 * - with the signal delivered (gdb's `continue` and `step`) and nothing changed, the guest ends: its crash is final;
 * - with signal 0, or when registers or memory were changed, the instruction is executed again; if it faults again,
 *   that is a new stop. So nothing ends without the debugger's doing, and nothing repeats without it either.
 * With nobody attached, the stub delivers the signal, so a fault is final at once.
 */
#ifndef HS_SESSION_TARGET_LIVE_H
#define HS_SESSION_TARGET_LIVE_H

#include "session/session.h"

#include <hindsight/coredump.h>
#include <hindsight/error.h>
#include <hindsight/target.h>
#include <hindsight/vm.h>

#include <stdbool.h>

struct hs_live;

struct hs_live_config {
	struct hs_session *session; /**< stopped; borrowed until hs_live_destroy() */
	/**
	 * Called when a crash has become final, before the debugger learns of it: the place to write a core. May be
	 * NULL.
	 */
	void (*crashed)(void *ctx, const struct hs_crash *crash);
	void *ctx;            /**< of crashed */
	const char *core_dir; /**< where `monitor core` puts its files; NULL for the working directory; borrowed */
	struct hs_core_options core_options; /**< and how it writes them */
	const struct hs_event *origin; /**< the crash at which the snapshot was made that the session stands on, which
					*   `monitor restore` goes back to; NULL for none; borrowed */
	bool confined;                 /**< the debugger may be somebody else: `monitor core` takes names, not paths */
};

/** How the guest of a target ended. */
enum hs_live_end {
	HS_LIVE_NOT_ENDED,
	HS_LIVE_EXITED,  /**< event.exit_status */
	HS_LIVE_CRASHED, /**< event.crash */
	HS_LIVE_KILLED,  /**< by the debugger */
	HS_LIVE_FAILED,  /**< the CPU could not be run: error */
};

/** Make a target. Fails with HS_ERR_NOMEM only. */
HS_MUST_CHECK enum hs_status hs_live_create(const struct hs_live_config *config, struct hs_live **ret,
					    struct hs_error *err);
/** Free it; the session stays as it is. NULL is fine. */
void hs_live_destroy(struct hs_live *live);

/** The target, for a stub; borrows from live. */
struct hs_target hs_live_target(struct hs_live *live);

/** Stand at a crash that has already been taken from the session, as if the debugger had seen it happen. */
void hs_live_stand_at(struct hs_live *live, const struct hs_event *crashed);

/** How it ended; *ret is the last result taken from the session. */
enum hs_live_end hs_live_end(const struct hs_live *live, struct hs_session_result *ret);

#endif
