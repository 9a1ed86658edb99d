/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Breakpoints and watchpoints: Z and z. The target keeps them, shares out the hardware and says when it has run out.
 * The stub notes what it knows more about than the target: conditions and commands (agent_points.h).
 */
#include "gdbstub/stub.h"

#include "base/arith.h"

/* An address the guest cannot have is refused here, so that a target never sees one. */
static bool in_range(const struct hs_gdb *gdb, const struct hs_breakpoint *breakpoint)
{
	uint64_t last;

	if (breakpoint->length == 0 || !hs_add_u64(breakpoint->gva.v, breakpoint->length - 1, &last)) {
		return false;
	}
	return gdb->info.arch != HS_ARCH_I686 || last <= UINT32_MAX;
}

static bool is_noted(const struct hs_breakpoint *breakpoint)
{
	return breakpoint->kind == HS_BREAK_SOFTWARE || breakpoint->kind == HS_BREAK_HARDWARE;
}

/* A list of conditions and commands replaces the one that a breakpoint had (gdb manual, Packets, "Z0"). */
enum hs_reply hs_handle_break_insert(struct hs_gdb *gdb, const struct hs_request *request)
{
	struct hs_breakpoint breakpoint = request->breakpoint;
	struct hs_agent_cpu cpu = hs_gdb_agent_cpu(gdb);
	enum hs_status st;

	breakpoint.space = hs_gdb_break_space(gdb);
	if (!in_range(gdb, &breakpoint)) {
		return hs_reply_error(gdb, HS_ERR_RANGE, "no such address range");
	}
	st = hs_agent_programs_verify(request->programs, &cpu, &gdb->err);
	if (!st) {
		st = gdb->control.ops->break_insert(gdb->control.ctx, &breakpoint, &gdb->err);
	}
	if (!st && is_noted(&breakpoint)) {
		st = hs_agent_points_set(&gdb->points, &breakpoint, request->programs, &gdb->err);
		if (st) {
			/* The client takes it for not inserted. */
			(void)!gdb->control.ops->break_remove(gdb->control.ctx, &breakpoint, NULL);
			hs_agent_points_remove(&gdb->points, &breakpoint);
		}
	}
	return hs_reply_status(gdb, st);
}

/* Removing what is not there succeeds: the packets are to be idempotent (gdb manual, Packets, z). */
enum hs_reply hs_handle_break_remove(struct hs_gdb *gdb, const struct hs_request *request)
{
	struct hs_breakpoint breakpoint = request->breakpoint;
	enum hs_status st;

	breakpoint.space = hs_gdb_break_space(gdb);
	st = gdb->control.ops->break_remove(gdb->control.ctx, &breakpoint, &gdb->err);
	if ((!st || st == HS_ERR_NOT_FOUND) && is_noted(&breakpoint)) {
		hs_agent_points_remove(&gdb->points, &breakpoint);
	}
	return hs_reply_status(gdb, st == HS_ERR_NOT_FOUND ? HS_OK : st);
}
