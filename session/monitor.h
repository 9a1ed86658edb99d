/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The monitor commands of a live guest, in files by what they are about. ctx is its struct hs_live; the guest stands
 * still.
 */
#ifndef HS_SESSION_MONITOR_H
#define HS_SESSION_MONITOR_H

#include "session/live.h"
#include "session/monitor_words.h"

/* monitor_info.c */
hs_monitor_fn hs_monitor_info;
hs_monitor_fn hs_monitor_regs;

/* monitor_phys.c; the first of any memory, for whoever has no live guest */
enum hs_status hs_monitor_phys_text(const struct hs_phys *phys, const char *argument, struct hs_buf *out,
				    struct hs_error *err);
hs_monitor_fn hs_monitor_phys;

/* monitor_state.c */
hs_monitor_fn hs_monitor_core;
hs_monitor_fn hs_monitor_restore;
hs_monitor_fn hs_monitor_snapshot;
hs_monitor_fn hs_monitor_snapshots;
hs_monitor_fn hs_monitor_forget;

/* monitor_stats.c */
hs_monitor_fn hs_monitor_stats;
hs_monitor_fn hs_monitor_backtrace;

/* monitor_space.c */
hs_monitor_fn hs_monitor_roots;
hs_monitor_fn hs_monitor_root;
hs_monitor_fn hs_monitor_walk;
hs_monitor_fn hs_monitor_maps;

/* monitor_cycle.c */
hs_monitor_fn hs_monitor_cycle;

#endif
