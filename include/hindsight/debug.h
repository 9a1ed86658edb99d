/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program's own sandbox under gdb or lldb: the program calls functions and restores as it always does, and a debugger
 * looks on, from the guest's first instruction to its end. Breakpoints, watchpoints and conditions survive each restore
 * that the program makes; docs/gdb-remote.md says what a debugger can do, examples of sessions are in
 * docs/debugging.md.
 */
#ifndef HINDSIGHT_DEBUG_H
#define HINDSIGHT_DEBUG_H

#include <hindsight/crash.h>
#include <hindsight/error.h>
#include <hindsight/sandbox.h>
#include <hindsight/snapshot.h>

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * What a program does with its sandbox: start, call, snapshot, restore. Called on a thread of its own when a debugger
 * first lets the guest run. The sandbox's functions wait while the debugger has the guest stopped; they fail with
 * HS_ERR_INTERRUPTED when the guest is over, or when the debugger has put it back (`run`, `monitor restore`): return
 * then. After it was put back the function is called again, with the guest where it is now: FRESH where it began, READY
 * where calls are welcome. A guest that was put into the middle of a start or a call finishes that before; what it
 * answers is lost.
 *
 * @param sandbox  borrowed; not to be destroyed
 * @return         the status with which the guest ends, as the debugger sees it
 */
typedef int hs_debug_drive_fn(void *ctx, struct hs_sandbox *sandbox);

/** Zero everywhere means the default, but for drive, address and stop_fd. */
struct hs_debug_config {
	/** vm.debugger need not be set. With `cores`, a crash that the debugger lets happen leaves a core there, and
	 *  core_written is told on the caller's thread; `monitor core` puts its own there. Nothing serves
	 *  hs_sandbox_request_core(). NULL for all defaults; borrowed for the call. */
	const struct hs_sandbox_config *sandbox;
	struct hs_snapshot
		*snapshot;   /**< stand on this one, as hs_sandbox_create_from(); NULL for the image. Borrowed */
	const char *address; /**< as for hs_gdb_listen() */
	bool allow_remote;   /**< likewise; `monitor core` takes names only then, and no paths */
	int stop_fd;         /**< come back when this is readable; -1 for none. Not read from */
	hs_debug_drive_fn *drive;
	/** Told where debuggers may connect, as hs_gdb_listener_address() says it, on the caller's thread before
	 *  anything runs. NULL for nobody. */
	void (*waiting)(void *ctx, const char *address);
	void *ctx; /**< of drive and waiting */
};

/** How it came to its end. */
enum hs_debug_end {
	HS_DEBUG_EXITED,  /**< drive has returned exit_status, or the guest has ended with it where no call was on */
	HS_DEBUG_CRASHED, /**< crash; the debugger let it happen */
	HS_DEBUG_KILLED,  /**< by the debugger */
	HS_DEBUG_STOPPED, /**< stop_fd */
	HS_DEBUG_CLOSED,  /**< the debugger on "stdio" is gone */
};

struct hs_debug_result {
	enum hs_debug_end end;
	int exit_status;
	struct hs_crash crash;
};

/**
 * Serve a guest to debuggers, one after the other, until it has ended. All memory of the guest is private and writable
 * (host-cow), whatever it is without a debugger. drive is not running any more on return, and the sandbox is gone.
 *
 * Fails as hs_sandbox_create(), hs_sandbox_create_from() and hs_gdb_listen(), before anything has run; HS_ERR_BACKEND
 * and the like: the CPU could not be run; HS_ERR_IO: poll failed.
 *
 * @param image_path  NULL with config->snapshot
 */
HS_MUST_CHECK enum hs_status hs_debug(const char *image_path, const struct hs_debug_config *config,
				      struct hs_debug_result *ret, struct hs_error *err);

#ifdef __cplusplus
}
#endif
#endif
