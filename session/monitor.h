/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the monitor commands share. A command appends its answer to `out`; what it fails with becomes the
 * answer. It is only run while the guest stands still, and gets an argument only where monitor.c's table says so.
 */
#ifndef HS_SESSION_MONITOR_H
#define HS_SESSION_MONITOR_H

#include "base/buf.h"
#include "session/live.h"

/* Split off the first word of a line: *ret_argument is what follows it, without blanks around. (monitor.c) */
void hs_monitor_split(char *line, const char **ret_word, const char **ret_argument);

/* monitor_info.c */
enum hs_status hs_monitor_info(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err);
enum hs_status hs_monitor_regs(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err);

/* monitor_phys.c; the first of any memory, for whoever has no live guest */
enum hs_status hs_monitor_phys_text(const struct hs_phys *phys, const char *argument, struct hs_buf *out,
				    struct hs_error *err);
enum hs_status hs_monitor_phys(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err);

/* monitor_state.c */
enum hs_status hs_monitor_core(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err);
enum hs_status hs_monitor_restore(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err);
enum hs_status hs_monitor_snapshot(struct hs_live *live, const char *argument, struct hs_buf *out,
				   struct hs_error *err);
enum hs_status hs_monitor_snapshots(struct hs_live *live, const char *argument, struct hs_buf *out,
				    struct hs_error *err);
enum hs_status hs_monitor_forget(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err);

/* monitor_stats.c */
enum hs_status hs_monitor_stats(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err);
enum hs_status hs_monitor_backtrace(struct hs_live *live, const char *argument, struct hs_buf *out,
				    struct hs_error *err);

/* monitor_space.c */
enum hs_status hs_monitor_roots(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err);
enum hs_status hs_monitor_root(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err);
enum hs_status hs_monitor_walk(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err);
enum hs_status hs_monitor_maps(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err);

/* monitor_cycle.c */
enum hs_status hs_monitor_cycle(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err);

#endif
