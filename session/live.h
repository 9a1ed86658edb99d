/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What target_live.c and monitor.c share. */
#ifndef HS_SESSION_LIVE_H
#define HS_SESSION_LIVE_H

#include "session/target_live.h"

struct hs_live {
	struct hs_live_config config;
	struct hs_vm *vm;
	bool running; /* resumed, and the result has not been taken */
	bool final;   /* the last resume gave in to the crash */
	enum hs_live_end end;
	struct hs_stop stop;             /* where it stands */
	struct hs_session_result result; /* and why */
	bool crash_pending;              /* it stands at a crash: result.event.crash */
	bool memory_changed;             /* since that crash, by the debugger */
	struct hs_cpu_state crash_cpu;   /* registers at that crash */
};

/* The guest was put back to where its session began: stand there. */
void hs_live_begin_again(struct hs_live *live);

/** hs_target_ops.monitor. */
HS_MUST_CHECK enum hs_status hs_live_monitor(void *ctx, const char *line, char **ret_text, struct hs_error *err);

#endif
