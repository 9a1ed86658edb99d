/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What sandbox.c (life and states) and sandbox_call.c (calls) share. */
#ifndef HS_SESSION_SANDBOX_H
#define HS_SESSION_SANDBOX_H

#include "base/buf.h"
#include "session/trail.h"
#include "session/watchdog.h"

#include <hindsight/sandbox.h>

#include <stdatomic.h>

struct hs_host_function {
	hs_host_fn *function;
	void *ctx;
};

/* hs_vm_run() to an event that is a sandbox's; a session puts its own in the place, and shows a debugger the others. */
typedef enum hs_status hs_sandbox_run_fn(void *ctx, struct hs_event *ret, struct hs_error *err);

/* A session shows it as it does a crash of the VM's. */
typedef void hs_sandbox_crashed_fn(void *ctx, const struct hs_crash *crash);

struct hs_sandbox {
	struct hs_vm *vm;
	hs_sandbox_run_fn *run;
	void *run_ctx;
	enum hs_sandbox_state state;
	bool share;                    /* parts of snapshots that can be are shared with other VMs */
	struct hs_snapshot *stands_on; /* an owner; NULL before the first restore */
	struct hs_snapshot *taken;     /* the one that was taken last, an owner */
	uint64_t restores;             /* how often it was put to a snapshot */
	uint64_t generation;

	struct hs_roots_spec roots;
	char *roots_symbol; /* owned */
	bool roots_chosen;  /* since it was made: before what a snapshot was taken with */

	struct hs_host_function *functions;
	struct hs_snapshot_function *described; /* what each is called and takes */
	uint32_t function_count;                /* of both */
	bool running; /* a start or a call: functions of the host that it comes to cannot change the sandbox */
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
	hs_sandbox_crashed_fn *crashed; /* of one that is not hs_vm_run()'s; NULL for nobody. Gets run_ctx */

	struct hs_buf command_line;
	char *cores; /* owned; NULL for none */
	struct hs_core_options core_options;
	hs_core_written_fn *core_written;
	void *core_ctx;
	atomic_bool core_asked;
	struct hs_trail trail;
};

/** Keep what a config says of cores; the VM is there. */
HS_MUST_CHECK enum hs_status hs_sandbox_keep_cores(struct hs_sandbox *sandbox, const struct hs_sandbox_config *config,
						   struct hs_error *err);
void hs_sandbox_drop_cores(struct hs_sandbox *sandbox);
/** The core that was asked for, if one was. */
void hs_sandbox_serve_core(struct hs_sandbox *sandbox);
/** A start or call has failed: note the crash that it was, if it was one, and write its core if that is wanted. */
void hs_sandbox_note_crash(struct hs_sandbox *sandbox, enum hs_status st, const struct hs_error *err);

/** Tell the VM that its calls are served. */
void hs_sandbox_prepare(struct hs_sandbox *sandbox);
/** hs_sandbox_restore(), also in the middle of a call: for who decides how that goes on (session/session.h). */
enum hs_status hs_sandbox_put_back(struct hs_sandbox *sandbox, struct hs_snapshot *snapshot, struct hs_error *err);
/** hs_sandbox_start() and hs_sandbox_call() of a guest that is in the middle of it. */
HS_MUST_CHECK enum hs_status hs_sandbox_finish_start(struct hs_sandbox *sandbox, struct hs_error *err);
HS_MUST_CHECK enum hs_status hs_sandbox_finish_call(struct hs_sandbox *sandbox, const char *name, struct hs_value *ret,
						    struct hs_error *err);
/** HS_ERR_STATE: what cannot be done, and why. */
enum hs_status hs_sandbox_wrong_state(const struct hs_sandbox *sandbox, const char *what, struct hs_error *err);

#endif
