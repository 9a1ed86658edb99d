/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest whose functions are called: made once, called often, put back to where it was as often as wanted.
 *
 *   create -> register host functions -> start -> { call ... } -> snapshot -> { restore, call ... }
 *
 * A sandbox is on one thread at a time; hs_sandbox_interrupt() alone may come from another. Snapshots are shared
 * freely: any sandbox of any thread can stand on one.
 *
 * States, in tables in docs/sandbox.md. FRESH: made, nothing has run. READY: calls are welcome. POISONED: a call ended
 * badly (a crash, a malformed buffer, an interrupt, the time limit), and the guest's memory is whatever it was then: a
 * restore mends it. UNUSABLE: a restore failed half-way: only another one, or destroy, is left. EXITED: the guest ended
 * by itself; a restore brings it back.
 */
#ifndef HINDSIGHT_SANDBOX_H
#define HINDSIGHT_SANDBOX_H

#include <hindsight/call.h>
#include <hindsight/coredump.h>
#include <hindsight/error.h>
#include <hindsight/snapshot.h>
#include <hindsight/vm.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hs_sandbox;

enum hs_sandbox_state {
	HS_SANDBOX_FRESH,
	HS_SANDBOX_READY,
	HS_SANDBOX_POISONED,
	HS_SANDBOX_UNUSABLE,
	HS_SANDBOX_EXITED,
};

/**
 * A function of the host that the guest calls. Arguments and their bytes are borrowed for the call; so must be what
 * *ret points to until the next call of the same sandbox, which until it returns takes nothing but an interrupt: all
 * else is HS_ERR_STATE. A status other than HS_OK becomes an error in the guest, with
 * the message of err.
 */
typedef enum hs_status hs_host_fn(void *ctx, const struct hs_value *arguments, size_t count, struct hs_value *ret,
				  struct hs_error *err);

/** What the guest logs: level of abi.h, text without a newline. Borrowed for the call, in which the sandbox takes
 *  nothing but an interrupt, as in a host function. */
typedef void hs_log_fn(void *ctx, uint32_t level, const char *text, size_t length);

/** Which page-table roots a guest has, beside the one that its CPU is on. */
enum hs_roots_kind {
	HS_ROOTS_REGISTERED, /**< those that the guest has registered (HS_PORT_ROOTS), if any; the default */
	HS_ROOTS_CURRENT,    /**< none */
	HS_ROOTS_SYMBOL,     /**< a variable of the guest's: symbol, stride, count */
	HS_ROOTS_CALLBACK,   /**< what a function of the host says */
};

/**
 * Find roots: write up to capacity guest-physical addresses to roots and their number to *ret_count. phys and cr3 are
 * the guest's. Called for each snapshot; what it gives is checked: aligned, readable, no doubles.
 */
typedef enum hs_status hs_roots_fn(void *ctx, const struct hs_phys *phys, uint64_t cr3, hs_gpa *roots, size_t capacity,
				   size_t *ret_count, struct hs_error *err);

struct hs_roots_spec {
	enum hs_roots_kind kind;
	const char *symbol; /**< SYMBOL: name of a variable of the image, copied */
	uint64_t stride;    /**< SYMBOL: bytes from one root to the next; each is a pointer of the guest's size */
	uint64_t count;     /**< SYMBOL: how many; zeros among them are none */
	hs_roots_fn *callback;
	void *ctx; /**< CALLBACK: borrowed */
};

/**
 * Told of each core that a sandbox has written by itself: HS_OK and what it is, or why there is none. On the thread
 * that the sandbox is on, from within the start or call; nothing but an interrupt may be done to the sandbox.
 */
typedef void hs_core_written_fn(void *ctx, enum hs_status status, const struct hs_core_result *result,
				const struct hs_error *err);

/** What a sandbox is made of. Zero everywhere means the default. */
struct hs_sandbox_config {
	struct hs_vm_config vm; /**< as for hs_vm_create(); vm.debugger makes all memory private and writable */
	uint64_t limit_ns;      /**< how long a start or a call may run; 0 for ever */
	hs_log_fn *log;         /**< NULL discards what the guest logs */
	void *log_ctx;
	struct hs_roots_spec roots;
	const char *cores;                   /**< directory for cores of crashes, and of hs_sandbox_request_core();
					      *   NULL writes none by itself. Copied */
	struct hs_core_options core_options; /**< for those */
	hs_core_written_fn *core_written;    /**< NULL for none */
	void *core_ctx;                      /**< borrowed */
};

/**
 * Make a sandbox for an image. Nothing has run. Fails as hs_vm_create().
 *
 * @param config  borrowed for the call; NULL for all defaults
 */
HS_MUST_CHECK enum hs_status hs_sandbox_create(const char *image_path, const struct hs_sandbox_config *config,
					       struct hs_sandbox **ret, struct hs_error *err);
/**
 * Make a sandbox that stands on a snapshot, as after a restore. Sizes in config->vm are those of the snapshot. It is
 * READY if the snapshot was taken where the guest takes calls (a sandbox's own are, and those of `hindsight run
 * --snapshot`); else POISONED: of a core of a crash, hs_sandbox_crash() says which, and hs_sandbox_vm() can go on.
 *
 * HS_ERR_UNSUPPORTED: this host or backend lacks what the snapshot needs; the message names it.
 */
HS_MUST_CHECK enum hs_status hs_sandbox_create_from(struct hs_snapshot *snapshot,
						    const struct hs_sandbox_config *config, struct hs_sandbox **ret,
						    struct hs_error *err);
/** Free it and all it holds. NULL is fine. */
void hs_sandbox_destroy(struct hs_sandbox *sandbox);

/**
 * Let the guest call a function of the host. HS_ERR_INVALID: a bad name or signature; HS_ERR_BUSY: the name is taken;
 * HS_ERR_RANGE: more than 4096 functions. What is registered is recorded with each snapshot (hs_snapshot_info()), and a
 * snapshot taken before is not given again. Nobody has to register what a snapshot was taken with: a guest that calls
 * what is not there gets an error, which says what it was.
 *
 * @param signature  as <hindsight/call.h> says
 */
HS_MUST_CHECK enum hs_status hs_sandbox_register(struct hs_sandbox *sandbox, const char *name, const char *signature,
						 hs_host_fn *function, void *ctx, struct hs_error *err);

/**
 * Run the guest from its entry point until it is ready for calls. HS_ERR_STATE: it has been started. HS_ERR_GUEST: it
 * ended by itself without being ready (EXITED), or crashed (POISONED; hs_sandbox_crash() has it). HS_ERR_FORMAT,
 * HS_ERR_TIMEOUT, HS_ERR_INTERRUPTED: as for a call.
 */
HS_MUST_CHECK enum hs_status hs_sandbox_start(struct hs_sandbox *sandbox, struct hs_error *err);

/**
 * Call a function of the guest.
 *
 * HS_ERR_STATE: not READY; nothing happened. HS_ERR_INVALID, HS_ERR_NOT_FOUND, HS_ERR_RANGE: no such function, not its
 * arguments, or more than the input buffer takes; the guest is READY still. HS_ERR_GUEST: the function, or a host
 * function that it called, said so (still READY), the guest crashed (POISONED; hs_sandbox_crash() has it), or it ended
 * (EXITED). HS_ERR_FORMAT: the guest broke the format of a buffer. HS_ERR_TIMEOUT, HS_ERR_INTERRUPTED: POISONED.
 *
 * @param ret  its bytes are owned by the sandbox until the next call or restore; NULL if not wanted
 */
HS_MUST_CHECK enum hs_status hs_sandbox_call(struct hs_sandbox *sandbox, const char *name,
					     const struct hs_value *arguments, size_t count, struct hs_value *ret,
					     struct hs_error *err);
/** End the start or call that runs, or the next one, with HS_ERR_INTERRUPTED. Any thread, async-signal-safe. */
void hs_sandbox_interrupt(struct hs_sandbox *sandbox);

/**
 * Take a snapshot of a READY sandbox, which is not changed. When it has been put back to the snapshot that it took
 * last, nothing has run since, and nobody has written to its memory, its registers or what finds its roots, it is the
 * same one with one more owner.
 *
 * Fails as hs_snapshot_take() does. @param ret  owned by the caller until hs_snapshot_unref()
 */
HS_MUST_CHECK enum hs_status hs_sandbox_snapshot(struct hs_sandbox *sandbox, struct hs_snapshot **ret,
						 struct hs_error *err);
/**
 * Put the guest to where the snapshot was taken, whatever state it is in: READY, or POISONED where the guest does not
 * take calls there, as with hs_sandbox_create_from(). The cost of going back to the snapshot that it stands on already
 * follows the pages that were written since.
 *
 * Failure: nothing changed, or the state is UNUSABLE afterwards.
 */
HS_MUST_CHECK enum hs_status hs_sandbox_restore(struct hs_sandbox *sandbox, struct hs_snapshot *snapshot,
						struct hs_error *err);

/**
 * Change what finds the roots, from now on and over restores: a variable that a snapshot was taken with comes with it,
 * and is used where no other finder was chosen. A snapshot taken before is not given again.
 */
HS_MUST_CHECK enum hs_status hs_sandbox_set_roots(struct hs_sandbox *sandbox, const struct hs_roots_spec *spec,
						  struct hs_error *err);

/**
 * Write a core of the guest as it stands: where the crash that poisoned it happened, or READY, or at the call of the
 * host function that this is called from. The core has all memory and all address spaces, and is a snapshot to go on
 * from. Fails as hs_core_write(). HS_ERR_STATE: a restore failed half-way, so that there is no guest.
 *
 * @param path     a directory, which gets a file of the default name, NULL for the working directory; or a new file's
 * @param options  NULL for none
 */
HS_MUST_CHECK enum hs_status hs_sandbox_core_write(struct hs_sandbox *sandbox, const char *path,
						   const struct hs_core_options *options, struct hs_core_result *ret,
						   struct hs_error *err);
/**
 * Have a core written of the guest while it runs: in the start or call that runs, or else in the next one, between two
 * instructions; the guest goes on. It goes into the directory config->cores, the working directory without, and
 * config->core_written is told. Any thread, async-signal-safe.
 */
void hs_sandbox_request_core(struct hs_sandbox *sandbox);

enum hs_sandbox_state hs_sandbox_state(const struct hs_sandbox *sandbox);
/**
 * The crash that poisoned it: one of the VM's, the time limit (HS_CRASH_HANG), or a record that breaks the format
 * (HS_CRASH_CALL); or the one that the snapshot which it was put to is of. NULL if there is none.
 */
const struct hs_crash *hs_sandbox_crash(const struct hs_sandbox *sandbox);
/** The VM, to look at or to debug while nothing runs. Owned by the sandbox. */
struct hs_vm *hs_sandbox_vm(struct hs_sandbox *sandbox);

#ifdef __cplusplus
}
#endif
#endif
