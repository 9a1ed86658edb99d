/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Monitor commands that tell what has happened so far: in numbers, and as a backtrace. */
#include "session/monitor.h"

#include "session/checkpoint.h"
#include "session/dump.h"
#include "session/report.h"
#include "vmm/memory.h"
#include "vmm/stats.h"

#include <inttypes.h>

#define LABEL "%-12s"

static void put_counts(const char *label, const char *const *names, const uint64_t *counts, size_t length,
		       struct hs_buf *out)
{
	bool any = false;

	hs_buf_printf(out, LABEL, label);
	for (size_t i = 0; i < length; i++) {
		if (counts[i] > 0) {
			hs_buf_printf(out, "%s%" PRIu64 " %s", any ? ", " : "", counts[i], names[i]);
			any = true;
		}
	}
	hs_buf_append_string(out, any ? "\n" : "none\n");
}

static void put_stops(const struct hs_live *live, struct hs_buf *out)
{
	static const char *const names[] = {
		[HS_STOP_SIGNAL] = "fault",
		[HS_STOP_STEPPED] = "step",
		[HS_STOP_SWBREAK] = "software breakpoint",
		[HS_STOP_HWBREAK] = "hardware breakpoint",
		[HS_STOP_WATCH] = "watchpoint",
		[HS_STOP_INTERRUPTED] = "interrupt",
		[HS_STOP_EXITED] = "exit",
		[HS_STOP_KILLED] = "crash",
	};

	put_counts("stops", names, live->stats.stops, sizeof(names) / sizeof(names[0]), out);
}

static void put_exits(const struct hs_vm_stats *stats, struct hs_buf *out)
{
	const char *names[HS_EXIT_INTERRUPTED + 1];

	for (unsigned int i = 0; i <= HS_EXIT_INTERRUPTED; i++) {
		names[i] = hs_exit_kind_name((enum hs_exit_kind)i);
	}
	put_counts("exits", names, stats->exits, HS_EXIT_INTERRUPTED + 1, out);
}

static void put_breakpoints(const struct hs_debug_counts *counts, struct hs_buf *out)
{
	hs_buf_printf(out, LABEL "%zu, and %zu watchpoints", "breakpoints", counts->breakpoints, counts->watchpoints);
	if (counts->slots > 0) {
		hs_buf_printf(out, "; %u of %u debug registers", counts->slots_used, counts->slots);
	}
	hs_buf_append_byte(out, '\n');
}

static void put_pages(struct hs_live *live, struct hs_buf *out)
{
	uint64_t written;

	if (!hs_vm_is_restored(live->vm)) {
		hs_buf_printf(out, LABEL "not counted before a restore\n", "written");
	} else if (hs_vm_pages_written(live->vm, &written, NULL) == HS_OK) {
		hs_buf_printf(out, LABEL "%" PRIu64 " pages since the snapshot\n", "written", written);
	}
}

static void put_checkpoints(const struct hs_live *live, struct hs_buf *out)
{
	uint64_t bytes;
	uint64_t limit;

	hs_session_checkpoint_bytes(live->config.session, &bytes, &limit);
	hs_buf_printf(out, LABEL "%zu, %" PRIu64 " KiB of at most %" PRIu64 " KiB\n", "checkpoints",
		      live->kept_count + (hs_session_first(live->config.session) != NULL), bytes >> 10, limit >> 10);
}

enum hs_status hs_monitor_stats(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_live *live = ctx;
	struct hs_vm_stats stats;

	(void)argument;
	(void)err;
	hs_vm_stats(live->vm, &stats);
	hs_buf_printf(out, LABEL "%" PRIu64 "\n", "runs", live->stats.resumes);
	put_stops(live, out);
	put_exits(&stats, out);
	put_breakpoints(&stats.debug, out);
	put_pages(live, out);
	hs_buf_printf(out, LABEL "%" PRIu64 " by the guest's driver, %" PRIu64 " by debuggers\n", "restores",
		      hs_session_restores(live->config.session), live->stats.restores);
	put_checkpoints(live, out);
	return HS_OK;
}

enum hs_status hs_monitor_backtrace(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_live *live = ctx;
	struct hs_report report;
	struct hs_dump_spec spec;
	struct hs_buf log;
	enum hs_status st;

	(void)argument;
	hs_dump_describe(hs_session_sandbox(live->config.session), &spec, &log);
	st = hs_report_of_vm(live->vm, &spec, &report, err);
	hs_buf_deinit(&log);
	if (st) {
		return st;
	}
	hs_report_frames_text(&report, &hs_report_no_colours, out);
	hs_report_deinit(&report);
	return HS_OK;
}
