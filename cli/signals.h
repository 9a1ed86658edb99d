/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Signals to the command, as descriptors: those that ask it to end (SIGINT, SIGTERM, SIGHUP) and SIGQUIT, which
 * asks for a core. A signal that was ignored when the command started (nohup, a background job of a plain shell)
 * stays ignored.
 */
#ifndef HS_CLI_SIGNALS_H
#define HS_CLI_SIGNALS_H

#include <hindsight/error.h>

/** Caller's storage. */
struct hs_signals {
	int all_fd;  /**< readable for every one of them */
	int stop_fd; /**< readable for those that ask it to end */
};

/** Take the signals over for the whole process, before it has threads. Also ignores SIGPIPE. */
HS_MUST_CHECK enum hs_status hs_signals_init(struct hs_signals *signals, struct hs_error *err);
/** Close the descriptors. The signals stay blocked. */
void hs_signals_deinit(struct hs_signals *signals);

/** The number of one signal that has arrived, 0 when there is none. */
int hs_signals_take(struct hs_signals *signals);
/** The same, of those that ask it to end. */
int hs_signals_take_stop(struct hs_signals *signals);

#endif
