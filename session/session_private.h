/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What session.c (runs and the hand-over of the VM) and session_make.c (its life) share. */
#ifndef HS_SESSION_SESSION_PRIVATE_H
#define HS_SESSION_SESSION_PRIVATE_H

#include "session/session.h"

#include "base/buf.h"
#include "session/checkpoint.h"
#include "session/sandbox.h"
#include "vmm/checkpoint.h"

#include <pthread.h>

enum phase {
	PHASE_STOPPED, /* the VM is the caller's */
	PHASE_RUNNING, /* the VM is the runner's, from the start until the result is there */
	PHASE_DONE,    /* the result waits to be taken; the VM is the caller's */
};

struct hs_session {
	struct hs_sandbox *sandbox;
	struct hs_vm *vm; /* the sandbox's */
	hs_session_drive_fn *drive;
	void *drive_ctx;
	bool cycles; /* of its driver */
	uint64_t limit_ns;
	struct hs_buf command_line;
	pthread_t runner;
	bool has_runner;
	int result_fd;    /* eventfd: a result is there */
	int limit_fd;     /* timerfd: the time limit has passed */
	int interrupt_fd; /* eventfd: the current run is to end */
	int event_fd;     /* epoll over result_fd and limit_fd */

	pthread_mutex_t lock;
	pthread_cond_t wake; /* the runner waits here for a start */
	enum phase phase;
	bool start;               /* the runner has not picked up the start yet */
	bool quit;                /* destroy: the runner is to return */
	bool interrupt_asked;     /* somebody wants the current run to end */
	bool interrupt_by_caller; /* and it was not only the time limit */
	bool limit_passed;        /* the time limit wants it */
	bool served;              /* the run has met something that was the driver's, and goes on behind it */
	bool again;               /* the caller has put the guest back, and the driver has not been called yet */
	bool begun;               /* the driver has been called */
	bool judged;              /* the guest stands at a crash that the sandbox has found */
	bool over;                /* the driver has returned */
	uint64_t stop_at;         /* this many restores of the sandbox's end a run; 0 for none */
	uint64_t left_ns;         /* of the time limit; 0 when there is none any more */
	struct hs_resume resume;
	hs_session_filter_fn *filter; /* of breakpoints that are hit; NULL for none */
	void *filter_ctx;
	struct hs_session_result result;

	enum hs_entry entry;   /* when the driver is called next */
	struct hs_place place; /* an owner of its snapshot */
	struct hs_checkpoint_pool pool;
	struct hs_checkpoint *first; /* where the session began; NULL if nobody has kept that */
};

/* The thread's work: the driver, as far as the caller lets the guest run. */
void *hs_session_main(void *ctx);
/* How the sandbox runs its VM, on the session's thread: hs_sandbox_run_fn. */
HS_MUST_CHECK enum hs_status hs_session_run_vm(void *ctx, struct hs_event *ret, struct hs_error *err);
/* A crash that the sandbox has found is the caller's, as one of the VM's is: hs_sandbox_crashed_fn. */
void hs_session_crashed(void *ctx, const struct hs_crash *crash);
/* Make the current run end. The lock is held. */
void hs_session_ask_interrupt(struct hs_session *session);

#endif
