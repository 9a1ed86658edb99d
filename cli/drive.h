/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest does beside running to its end: it is started until it is ready, a snapshot of it is written, its
 * functions are called in order, once or in cycles of restore and call. As the driver of a session it knows nothing of
 * debuggers, signals and cores; guest.c has those.
 *
 * Results go to one console, a line each; all else of the command's to stderr.
 */
#ifndef HS_CLI_DRIVE_H
#define HS_CLI_DRIVE_H

#include "cli/call_list.h"
#include "cli/console.h"
#include "cli/progress.h"
#include "session/session.h"

#include <stdbool.h>
#include <stdint.h>

/** What to do. All pointers are borrowed. */
struct hs_drive_spec {
	struct hs_call_list calls;    /**< none: the guest runs to its end */
	uint64_t cycles;              /**< 1: no restore; more: each begins where the guest became ready */
	const char *save;             /**< where a snapshot goes when the guest is ready; NULL for none */
	struct hs_snapshot *snapshot; /**< that the guest stands on, ready for calls; NULL: it is to be started */
	bool json;
};

/** What a call has come to in the first cycle. */
struct hs_drive_result {
	struct hs_buf text;
	bool failed; /**< it had no result */
};

/** One guest being driven. Caller's storage. */
struct hs_drive {
	const struct hs_drive_spec *spec;
	struct hs_session *session;    /**< set by hs_drive_run() */
	struct hs_console *output;     /**< the guest's, borrowed */
	struct hs_console *results;    /**< may be the same */
	bool timed;                    /**< nobody stops the guest: what its cycles take is worth saying */
	bool ready;                    /**< the guest was, and what that was waited for is done */
	bool mid_line;                 /**< the guest has written the beginning of a line */
	struct hs_drive_result *first; /**< of each call; owned */
	uint64_t began_ns;             /**< when the first cycle did */
	struct hs_progress progress;   /**< of the cycles */
};

/** True if there is anything to do for it. */
bool hs_drive_wanted(const struct hs_drive_spec *spec);

/** hs_session_drive_fn of a session; ctx is the struct hs_drive. 0 when all calls had a result, and the same in each
 *  cycle, or what the guest has ended with. */
int hs_drive_run(void *ctx, struct hs_session *session);
/** Free what it has kept; zeroed storage is fine. */
void hs_drive_deinit(struct hs_drive *drive);
/** hs_log_fn: a line on stderr. */
void hs_drive_log(void *ctx, uint32_t level, const char *text, size_t length);
/** hs_console_fn: to the console for output. */
void hs_drive_output(void *ctx, const void *bytes, size_t length);
#endif
