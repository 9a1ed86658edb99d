/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hits that nobody wants to know of are found out where they happen: by the thread that runs the CPU. */
#include "session/live.h"
#include "vmm/peek.h"

static const struct hs_cpu_state *cpu_at_hit(void *ctx, bool all)
{
	return hs_vm_peek(ctx, all, NULL);
}

static enum hs_status read_at_hit(void *ctx, hs_gva gva, void *buffer, size_t length, size_t *ret_length,
				  struct hs_error *err)
{
	return hs_vm_mem_read(ctx, gva, buffer, length, ret_length, err);
}

/* hs_session_filter_fn: on the runner thread. */
static bool filter_hit(void *ctx, struct hs_vm *vm)
{
	struct hs_live *live = ctx;
	struct hs_break_hit hit = { .cpu = cpu_at_hit, .mem_read = read_at_hit, .ctx = vm };

	return live->filter(live->filter_ctx, &hit);
}

void hs_live_break_filter(void *ctx, hs_break_filter_fn *filter, void *filter_ctx)
{
	struct hs_live *live = ctx;

	/* In this order: the one before may be in use until the session has let go of it. */
	hs_session_set_filter(live->config.session, NULL, NULL);
	live->filter = filter;
	live->filter_ctx = filter_ctx;
	hs_session_set_filter(live->config.session, filter ? filter_hit : NULL, live);
}
