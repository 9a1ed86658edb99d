/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The commands that a debugger passes through ("monitor" in gdb, "process plugin packet monitor" in lldb) about a live
 * guest: one table, one function a command.
 */
#include "session/monitor.h"

#include "session/doctor.h"

static enum hs_status run_doctor(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_probe probe;

	(void)ctx;
	(void)argument;
	(void)err;
	hs_probe(&probe);
	hs_doctor_text(&probe, false, out);
	return HS_OK;
}

static const struct hs_monitor_command commands[] = {
	{ "info", NULL, "the guest: image, state, paging, segments", hs_monitor_info },
	{ "regs", NULL, "all registers", hs_monitor_regs },
	{ "core", "[FILE]", "write a core of the guest as it stands", hs_monitor_core },
	{ "snapshot", "NAME", "keep the guest as it stands: a checkpoint", hs_monitor_snapshot },
	{ "restore", "[NAME]", "put the guest back to a checkpoint, or to the snapshot that it stands on",
	  hs_monitor_restore },
	{ "snapshots", NULL, "list the checkpoints", hs_monitor_snapshots },
	{ "forget", "NAME", "drop a checkpoint", hs_monitor_forget },
	{ "cycle", "[N]", "stop where the guest begins again: next, or the Nth time; 0: never", hs_monitor_cycle },
	{ "phys", "ADDR [N]", "N bytes (64) of guest-physical memory", hs_monitor_phys },
	{ "roots", NULL, "the address spaces, and which one is current", hs_monitor_roots },
	{ "root", "N|current", "addresses are from now on those of space N, or of the CPU's", hs_monitor_root },
	{ "walk", "ADDR", "the page-table entries on the way to an address", hs_monitor_walk },
	{ "maps", "[N]", "what the space, or space N, maps, and with which rights", hs_monitor_maps },
	{ "backtrace", NULL, "the calls that have come here, as reports show them", hs_monitor_backtrace },
	{ "stats", NULL, "runs, stops, breakpoints, pages written, restores, checkpoints", hs_monitor_stats },
	{ "doctor", NULL, "what this host can do, and what the debugger makes of it", run_doctor },
};

enum hs_status hs_live_monitor(void *ctx, const char *line, char **ret_text, struct hs_error *err)
{
	const struct hs_live *live = ctx;

	return hs_monitor_answer(commands, sizeof(commands) / sizeof(commands[0]), ctx,
				 live->running ? "the guest is running" : NULL, line, ret_text, err);
}
