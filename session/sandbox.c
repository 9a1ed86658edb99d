/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of a sandbox: made, started, put back, and the states between. Calls themselves are in sandbox_call.c.
 */
#include "session/sandbox.h"

#include "base/error.h"
#include "session/snapshot.h"
#include "vmm/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void bark(void *ctx)
{
	struct hs_sandbox *sandbox = ctx;

	hs_vm_interrupt(sandbox->vm);
}

static enum hs_status run_alone(void *ctx, struct hs_event *ret, struct hs_error *err)
{
	static const struct hs_resume on = { .kind = HS_RESUME_CONTINUE };
	struct hs_sandbox *sandbox = ctx;

	return hs_vm_run(sandbox->vm, &on, ret, err);
}

static enum hs_status keep_roots(struct hs_sandbox *sandbox, const struct hs_roots_spec *spec, struct hs_error *err)
{
	char *symbol = NULL;

	if (spec->symbol) {
		symbol = strdup(spec->symbol);
		if (!symbol) {
			return hs_error_os(err, ENOMEM, "cannot keep the finder of roots");
		}
	}
	free(sandbox->roots_symbol);
	sandbox->roots = *spec;
	sandbox->roots_symbol = symbol;
	sandbox->roots.symbol = symbol;
	return HS_OK;
}

static enum hs_status fill(struct hs_sandbox *sandbox, const struct hs_sandbox_config *config, struct hs_error *err)
{
	enum hs_status st;

	sandbox->run = run_alone;
	sandbox->run_ctx = sandbox;
	sandbox->limit_ns = config->limit_ns;
	sandbox->log = config->log;
	sandbox->log_ctx = config->log_ctx;
	sandbox->share = !config->vm.debugger;
	st = keep_roots(sandbox, &config->roots, err);
	if (!st && config->limit_ns > 0) {
		st = hs_watchdog_init(&sandbox->watchdog, bark, sandbox, err);
	}
	return st;
}

/* Of an image or, where there is a snapshot, on that. */
static enum hs_status create(const char *image_path, struct hs_snapshot *snapshot,
			     const struct hs_sandbox_config *config, struct hs_sandbox **ret, struct hs_error *err)
{
	static const struct hs_sandbox_config defaults;
	struct hs_sandbox *sandbox = calloc(1, sizeof(*sandbox));
	enum hs_status st;

	if (!sandbox) {
		return hs_error_os(err, ENOMEM, "cannot make the sandbox");
	}
	config = config ? config : &defaults;
	st = fill(sandbox, config, err);
	if (!st) {
		st = snapshot ? hs_vm_create_from(snapshot, &config->vm, &sandbox->vm, err)
			      : hs_vm_create(image_path, &config->vm, &sandbox->vm, err);
	}
	st = st ? st : hs_sandbox_keep_cores(sandbox, config, err);
	if (!st) {
		hs_sandbox_prepare(sandbox);
		st = snapshot ? hs_sandbox_restore(sandbox, snapshot, err) : HS_OK;
	}
	if (st) {
		hs_sandbox_destroy(sandbox);
		return st;
	}
	*ret = sandbox;
	return HS_OK;
}

enum hs_status hs_sandbox_create(const char *image_path, const struct hs_sandbox_config *config,
				 struct hs_sandbox **ret, struct hs_error *err)
{
	return create(image_path, NULL, config, ret, err);
}

enum hs_status hs_sandbox_create_from(struct hs_snapshot *snapshot, const struct hs_sandbox_config *config,
				      struct hs_sandbox **ret, struct hs_error *err)
{
	return create(NULL, snapshot, config, ret, err);
}

void hs_sandbox_destroy(struct hs_sandbox *sandbox)
{
	if (!sandbox) {
		return;
	}
	hs_watchdog_deinit(&sandbox->watchdog);
	hs_vm_destroy(sandbox->vm);
	hs_snapshot_unref(sandbox->stands_on);
	hs_snapshot_unref(sandbox->taken);
	free(sandbox->functions);
	free(sandbox->described);
	free(sandbox->roots_symbol);
	hs_sandbox_drop_cores(sandbox);
	free(sandbox->record);
	free(sandbox);
}

/* The snapshot that was taken last is the same as one taken now as long as nothing has happened since. */
static bool is_still_taken(struct hs_sandbox *sandbox)
{
	uint64_t written;

	return sandbox->taken && sandbox->taken == sandbox->stands_on && hs_vm_is_untouched(sandbox->vm) &&
	       hs_vm_pages_written(sandbox->vm, &written, NULL) == HS_OK && written == 0;
}

enum hs_status hs_sandbox_snapshot(struct hs_sandbox *sandbox, struct hs_snapshot **ret, struct hs_error *err)
{
	struct hs_snapshot_spec spec = { .roots = &sandbox->roots,
					 .ready = true,
					 .generation = sandbox->generation + 1,
					 .functions = sandbox->described,
					 .function_count = sandbox->function_count };
	struct hs_snapshot *snapshot = NULL;
	enum hs_status st;

	if (sandbox->state != HS_SANDBOX_READY) {
		return hs_sandbox_wrong_state(sandbox, "take a snapshot", err);
	}
	if (is_still_taken(sandbox)) {
		*ret = hs_snapshot_ref(sandbox->taken);
		return HS_OK;
	}
	st = hs_snapshot_of_vm(sandbox->vm, &spec, &snapshot, err);
	if (st) {
		return st;
	}
	sandbox->generation = spec.generation;
	hs_snapshot_unref(sandbox->taken);
	sandbox->taken = hs_snapshot_ref(snapshot);
	*ret = snapshot;
	return HS_OK;
}

/* Without a variable by which roots are found. */
static void forget_variable(struct hs_sandbox *sandbox)
{
	struct hs_vm_guest guest = hs_vm_guest(sandbox->vm);

	guest.variable.count = 0;
	hs_vm_set_guest(sandbox->vm, &guest);
}

/* Where it stands: where calls are taken, or at a crash, or wherever somebody else has stopped it. */
static void take_over(struct hs_sandbox *sandbox, struct hs_snapshot *snapshot)
{
	const struct hs_snapshot_info *info = hs_snapshot_info(snapshot);

	hs_snapshot_ref(snapshot);
	hs_snapshot_unref(sandbox->stands_on);
	sandbox->stands_on = snapshot;
	sandbox->restores++;
	hs_trail_note(&sandbox->trail, HS_TRAIL_RESTORE, 0, "", 0);
	sandbox->generation = info->guest.generation;
	sandbox->state = hs_snapshot_takes_calls(snapshot) ? HS_SANDBOX_READY : HS_SANDBOX_POISONED;
	sandbox->crash = info->crash;
	sandbox->has_crash = info->crashed;
	if (sandbox->roots_chosen && sandbox->roots.kind != HS_ROOTS_SYMBOL) {
		forget_variable(sandbox);
	}
}

enum hs_status hs_sandbox_put_back(struct hs_sandbox *sandbox, struct hs_snapshot *snapshot, struct hs_error *err)
{
	enum hs_status st = hs_vm_stand_on(sandbox->vm, snapshot, sandbox->share, err);

	if (st) {
		if (!hs_vm_is_restored(sandbox->vm) && st != HS_ERR_UNSUPPORTED) {
			sandbox->state = HS_SANDBOX_UNUSABLE;
		}
		return st;
	}
	take_over(sandbox, snapshot);
	return HS_OK;
}

enum hs_status hs_sandbox_restore(struct hs_sandbox *sandbox, struct hs_snapshot *snapshot, struct hs_error *err)
{
	return sandbox->running ? hs_sandbox_wrong_state(sandbox, "restore a snapshot", err)
				: hs_sandbox_put_back(sandbox, snapshot, err);
}

enum hs_status hs_sandbox_set_roots(struct hs_sandbox *sandbox, const struct hs_roots_spec *spec, struct hs_error *err)
{
	enum hs_status st;

	if (sandbox->running) {
		return hs_sandbox_wrong_state(sandbox, "change the finder of roots", err);
	}
	st = keep_roots(sandbox, spec, err);
	if (st) {
		return st;
	}
	sandbox->roots_chosen = true;
	if (spec->kind != HS_ROOTS_SYMBOL) {
		forget_variable(sandbox);
	}
	hs_snapshot_unref(sandbox->taken);
	sandbox->taken = NULL;
	return HS_OK;
}

static const char *why_not(const struct hs_sandbox *sandbox)
{
	static const char *const why[] = {
		[HS_SANDBOX_FRESH] = "the guest has not been started",
		[HS_SANDBOX_READY] = "the guest has been started",
		[HS_SANDBOX_POISONED] = "the guest's last call ended badly (restore a snapshot)",
		[HS_SANDBOX_UNUSABLE] = "a restore failed half-way",
		[HS_SANDBOX_EXITED] = "the guest has ended (restore a snapshot)",
	};

	if (sandbox->in_host_function) {
		return "a host function runs that the guest has called";
	}
	if (sandbox->running) {
		return "the guest runs";
	}
	if (sandbox->state == HS_SANDBOX_POISONED && hs_vm_is_untouched(sandbox->vm)) {
		return sandbox->has_crash ? "the guest stands where it has crashed, and not where it takes calls"
					  : "the guest does not stand where it takes calls";
	}
	return why[sandbox->state];
}

enum hs_status hs_sandbox_wrong_state(const struct hs_sandbox *sandbox, const char *what, struct hs_error *err)
{
	bool at_crash = hs_vm_is_untouched(sandbox->vm) && sandbox->has_crash;

	return hs_error_set(err, HS_ERR_STATE, 0, at_crash ? sandbox->crash.rip : 0, "cannot %s: %s%s%s", what,
			    why_not(sandbox), at_crash ? ": " : "", at_crash ? sandbox->crash.text : "");
}

enum hs_sandbox_state hs_sandbox_state(const struct hs_sandbox *sandbox)
{
	return sandbox->state;
}

const struct hs_crash *hs_sandbox_crash(const struct hs_sandbox *sandbox)
{
	return sandbox->has_crash ? &sandbox->crash : NULL;
}

struct hs_vm *hs_sandbox_vm(struct hs_sandbox *sandbox)
{
	return sandbox->vm;
}
