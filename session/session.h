/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One guest under observation: a VM, the thread that runs it, and the descriptor that tells when it has stopped.
 *
 * In: an image and a configuration; then resumes and interrupts. Out: exactly one result for each start. What the
 * guest is to do, beside running to its end, is a driver's business: it calls functions and puts the guest back, on the
 * runner thread. While the guest runs, the VM belongs to the runner thread; while it is stopped, to the one thread that
 * calls these functions, which may then read and change it through hs_session_vm(). hs_session_interrupt() alone may
 * come from any thread.
 *
 * It does not know any debugger, write any core or print; see target_live.h and crash.h.
 */
#ifndef HS_SESSION_SESSION_H
#define HS_SESSION_SESSION_H

#include <hindsight/error.h>
#include <hindsight/sandbox.h>
#include <hindsight/snapshot.h>
#include <hindsight/vm.h>

#include <stdbool.h>
#include <stdint.h>

struct hs_session;
struct hs_checkpoint;

/**
 * What is done with a guest, in order: called by the runner thread at the first start. It uses the sandbox's functions
 * (hs_session_sandbox()) or hs_session_run_to_end(). Whatever stops the guest in them (a breakpoint, a crash, an
 * interrupt) is a result for the session's caller, and they return when the guest has been started again and has done
 * what they are for; HS_ERR_INTERRUPTED when the session is destroyed instead, or the guest was put back. Then the
 * driver returns, whatever the status, and is called again where the guest goes on: hs_session_entry() says where.
 *
 * @return  the status with which the session's guest has ended, which is its last result
 */
typedef int hs_session_drive_fn(void *ctx, struct hs_session *session);

/** Where a driver is in what it does, in numbers of its own; all zero before it has said so. */
struct hs_place {
	unsigned int step;
	uint64_t cycle;
	size_t call;
	struct hs_snapshot *snapshot; /**< that it puts the guest back to; NULL for none */
};

/** Where a driver goes on when it is called. */
enum hs_entry {
	HS_ENTRY_BEGIN,    /**< nothing was done with the guest yet */
	HS_ENTRY_SNAPSHOT, /**< the guest is where the snapshot was taken that the driver had put it to before */
	HS_ENTRY_INSIDE,   /**< the guest is in the middle of what it was let run for at that place */
};

/** What a session is made of. */
struct hs_session_config {
	const struct hs_vm_config *vm; /**< borrowed for the call, NULL for all defaults; the console is called by the
					*   runner thread; calls are served if there is a driver */
	uint64_t limit_ns;             /**< how long the guest may run, its stops not counted; 0 for ever */
	bool writable;                 /**< all memory is private and writable, as with vm->debugger */
	hs_session_drive_fn *drive;    /**< NULL: hs_session_run_to_end() */
	bool cycles;                   /**< the driver puts the guest to a snapshot again and again, or may do so */
	hs_log_fn *log;                /**< what the guest logs, called by the runner thread; NULL discards it */
	void *ctx;                     /**< of drive and log */
	const struct hs_roots_spec *roots; /**< of snapshots; NULL for what the guest has registered */
	uint64_t checkpoint_bytes;         /**< most that checkpoints may take together; 0 for 1 GiB */
};

/** How a run ended. */
struct hs_session_result {
	enum hs_status status; /**< of hs_vm_run(); event is valid for HS_OK, error for all others */
	struct hs_event event; /**< HS_CRASH_HANG when the time limit passed */
	struct hs_error error;
};

/**
 * Make a VM and the thread that will run it. Nothing runs yet. Fails as hs_sandbox_create(); nothing is left behind
 * then.
 */
HS_MUST_CHECK enum hs_status hs_session_create(const char *image_path, const struct hs_session_config *config,
					       struct hs_session **ret, struct hs_error *err);
/**
 * The same for a VM that stands on a snapshot: what may be shared with other VMs is, unless config->vm->debugger or
 * config->writable. Fails as hs_sandbox_create_from().
 *
 * @param snapshot  gets one more owner
 */
HS_MUST_CHECK enum hs_status hs_session_create_from(struct hs_snapshot *snapshot,
						    const struct hs_session_config *config, struct hs_session **ret,
						    struct hs_error *err);
/** Stop the guest if it runs, and free everything. NULL is fine. */
void hs_session_destroy(struct hs_session *session);

/** The VM; it may be used only while the session is stopped. Owned by the session. */
struct hs_vm *hs_session_vm(struct hs_session *session);
/** The sandbox that the VM is of. For the driver, and while the session is stopped for those of its functions that run
 *  nothing. Owned by the session. */
struct hs_sandbox *hs_session_sandbox(struct hs_session *session);
/** True from a start until its result has been taken. */
bool hs_session_running(struct hs_session *session);
/** The limit it was made with, in nanoseconds; 0 for none. */
uint64_t hs_session_limit_ns(const struct hs_session *session);

/** For the driver: the time limit counts from now, unless it has passed already. */
void hs_session_limit_again(struct hs_session *session);
/** For the driver, before it lets the guest run: what for. It is HS_ENTRY_INSIDE's place from now on. The snapshot gets
 *  one more owner. */
void hs_session_set_place(struct hs_session *session, const struct hs_place *place);
/** Whether a breakpoint that was hit is to be gone on from at once, as if it was not there. Called by the runner
 *  thread, with the session locked: it may use the VM as the caller may while the session is stopped, and nothing
 *  else. */
typedef bool hs_session_filter_fn(void *ctx, struct hs_vm *vm);
/** From now on ask the filter at each hit of an execute breakpoint; NULL for none. Also while the guest runs: on return
 *  the one before is not in use any more. */
void hs_session_set_filter(struct hs_session *session, hs_session_filter_fn *filter, void *ctx);

/** For the driver, when it is called: where it goes on. ret->snapshot is borrowed until it sets another place. */
enum hs_entry hs_session_entry(struct hs_session *session, struct hs_place *ret);
/** For the driver: hs_sandbox_start() and hs_sandbox_call() of a guest that is in the middle of it. */
HS_MUST_CHECK enum hs_status hs_session_finish_start(struct hs_session *session, struct hs_error *err);
HS_MUST_CHECK enum hs_status hs_session_finish_call(struct hs_session *session, const char *name, struct hs_value *ret,
						    struct hs_error *err);
/** For the driver: let the guest run until it ends by itself, with nobody to serve calls. The status it ended with. */
int hs_session_run_to_end(struct hs_session *session);

/** The image's path and the arguments after the first, separated by spaces; owned by the session. */
const char *hs_session_command_line(const struct hs_session *session);

/**
 * Let the guest run; returns at once. HS_ERR_STATE while it runs or its last result has not been taken.
 *
 * @param resume  copied
 */
HS_MUST_CHECK enum hs_status hs_session_start(struct hs_session *session, const struct hs_resume *resume,
					      struct hs_error *err);
/** Make the current run end soon with HS_EVENT_INTERRUPTED, unless it ends by itself before. Nothing when stopped: an
 *  interrupt never reaches into a later run. */
void hs_session_interrupt(struct hs_session *session);
/** Readable from an interrupt of a run until that run is over: for a console that would block the runner for ever. */
int hs_session_interrupt_fd(const struct hs_session *session);

/** A descriptor to poll for reading: something is to be done by hs_session_take(). Never read it. */
int hs_session_event_fd(const struct hs_session *session);
/**
 * The result of the start before: true and *ret filled once for each start. False, and *ret untouched, otherwise;
 * which may happen although the descriptor was readable, because it also announces the time limit.
 */
bool hs_session_take(struct hs_session *session, struct hs_session_result *ret);

/**
 * Put the guest back to the snapshot that it stands on. Its driver is called again when the guest is started
 * (HS_ENTRY_SNAPSHOT).
 *
 * HS_ERR_NOT_FOUND: it stands on none. HS_ERR_STATE: it runs, or has ended. Others as hs_sandbox_restore().
 */
HS_MUST_CHECK enum hs_status hs_session_restore(struct hs_session *session, struct hs_error *err);
/**
 * Put the guest back to where the session began, also when it has ended. Fails as hs_checkpoint_restore();
 * HS_ERR_NOT_FOUND: nobody has kept that, because nobody debugs it (config->vm->debugger, config->writable), or it was
 * too large.
 */
HS_MUST_CHECK enum hs_status hs_session_restart(struct hs_session *session, struct hs_error *err);
/** Where it began; NULL if that has not been kept. Owned by the session. */
const struct hs_checkpoint *hs_session_first(const struct hs_session *session);
/** How often its guest was put to a snapshot. */
uint64_t hs_session_restores(const struct hs_session *session);
/** What all its checkpoints take, in bytes, and what they may. */
void hs_session_checkpoint_bytes(const struct hs_session *session, uint64_t *ret_bytes, uint64_t *ret_limit);

/**
 * From now on a run ends with HS_EVENT_INTERRUPTED where the guest begins again behind the count-th restore; once.
 * For the caller, while the session is stopped.
 *
 * @param count  0: nowhere
 * @return HS_OK, or HS_ERR_STATE: nobody restores this guest, so there is no such place
 */
HS_MUST_CHECK enum hs_status hs_session_stop_at_restore(struct hs_session *session, uint64_t count,
							struct hs_error *err);

/** Put event in the place of a run: the session is as after a start that has ended with it. Same errors as a start. */
HS_MUST_CHECK enum hs_status hs_session_post(struct hs_session *session, const struct hs_event *event,
					     struct hs_error *err);

/**
 * Sleep until the run is over or wake_fd is readable.
 *
 * HS_OK: *ret is filled as by hs_session_take(). HS_ERR_BUSY: wake_fd is readable, the guest still runs.
 * HS_ERR_STATE: it does not run. HS_ERR_IO: poll failed.
 *
 * @param wake_fd  -1 for none; not read from
 */
HS_MUST_CHECK enum hs_status hs_session_wait(struct hs_session *session, int wake_fd, struct hs_session_result *ret,
					     struct hs_error *err);

#endif
