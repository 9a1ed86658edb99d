/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The note of a core that says what went before: what the guest logged and called, and its registers at the last
 * snapshot. docs/cores.md has its layout.
 */
#ifndef HS_SESSION_HISTORY_NOTE_H
#define HS_SESSION_HISTORY_NOTE_H

#include "base/buf.h"

#include <hindsight/coredump.h>
#include <hindsight/cpu.h>

/** What is in it. */
struct hs_history {
	bool has_before;
	struct hs_cpu_state before; /**< general registers, rip and rflags; the others are 0 */
	char *log;                  /**< owned; lines, maybe none */
};

/** Append the descriptor. log may be NULL, and before. */
void hs_history_note_put(struct hs_buf *buf, const struct hs_cpu_state *before, const char *log);

/**
 * Find and read the note of a core. A core without one, or with a broken one, has no history.
 *
 * HS_ERR_NOMEM is the only failure.
 *
 * @param ret  log is owned by the caller (free())
 */
HS_MUST_CHECK enum hs_status hs_history_note_get(const struct hs_core *core, struct hs_history *ret,
						 struct hs_error *err);

#endif
