/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a core says of its guest, whoever wrote it: the scene of a report, and what a debugger is shown. Ours have all
 * of the CPU in a note; of others the control registers are made up from what is known of paging.
 */
#ifndef HS_SESSION_CORE_SCENE_H
#define HS_SESSION_CORE_SCENE_H

#include "base/buf.h"
#include "coredump/physfile.h"
#include "session/history_note.h"
#include "session/report.h"
#include "session/report_parts.h"
#include "session/snapshot_note.h"

/** Caller's storage, aligned to 64 bytes; must not be copied: the scene points into it. */
struct hs_core_scene {
	struct hs_cpu_state cpu;
	struct hs_report_scene scene; /**< borrows from the core; root_count is 0 where the core does not tell */
	/* What the scene points to: */
	struct hs_snapshot_note *note; /* NULL without one */
	struct hs_physfile *memory;
	struct hs_root *roots;
	struct hs_history history;
	uint8_t build_id[HS_BUILD_ID_MAX];
	struct hs_buf incomplete; /* text */
};

/**
 * Find it out. HS_ERR_FORMAT: there are no registers. HS_ERR_NOMEM. Nothing is left behind then.
 *
 * @param core  borrowed until hs_core_scene_deinit()
 */
HS_MUST_CHECK enum hs_status hs_core_scene_init(const struct hs_core *core, struct hs_core_scene *ret,
						struct hs_error *err);
void hs_core_scene_deinit(struct hs_core_scene *scene);

#endif
