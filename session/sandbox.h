/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What sandbox.c (life and states) and sandbox_call.c (calls) share. */
#ifndef HS_SESSION_SANDBOX_H
#define HS_SESSION_SANDBOX_H

#include "session/watchdog.h"

#include <hindsight/sandbox.h>

#include <stdatomic.h>

struct hs_host_function {
	char *name, *signature; /* owned */
	hs_host_fn *function;
	void *ctx;
};

/* hs_vm_run() to an event that is a sandbox's; a session puts its own in the place, and shows a debugger the others. */
typedef enum hs_status hs_sandbox_run_fn(void *ctx, struct hs_event *ret, struct hs_error *err);

struct hs_sandbox {
	struct hs_vm *vm;
	hs_sandbox_run_fn *run;
	void *run_ctx;
	enum hs_sandbox_state state;
	bool share;                    /* parts of snapshots that can be are shared with other VMs */
	struct hs_snapshot *stands_on; /* an owner; NULL before the first restore */
	struct hs_snapshot *taken;     /* the one that was taken last, an owner */
	uint64_t generation;

	struct hs_roots_spec roots;
	char *roots_symbol; /* owned */

	struct hs_host_function *functions;
	size_t function_count;
	bool in_host_function;

	uint64_t limit_ns;
	struct hs_watchdog watchdog;
	atomic_bool interrupt_asked;

	hs_log_fn *log;
	void *log_ctx;

	uint8_t *record; /* the copy of what the guest wrote last, owned */
	size_t record_bytes;
	struct hs_crash crash;
	bool has_crash;
};

/** Tell the VM that its calls are served. */
void hs_sandbox_prepare(struct hs_sandbox *sandbox);
/** HS_ERR_STATE: what cannot be done, and why. */
enum hs_status hs_sandbox_wrong_state(const struct hs_sandbox *sandbox, const char *what, struct hs_error *err);

#endif
