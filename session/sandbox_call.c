/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls of a sandbox: the guest runs from one READY to the next, and in between calls the host and logs. Whatever comes
 * out of the guest has been checked by vmm/record.h before it is looked at here.
 */
#include "session/sandbox.h"

#include "base/error.h"
#include "session/snapshot_note.h"
#include "vmm/call.h"
#include "vmm/record.h"
#include "vmm/signature.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hs_sandbox_prepare(struct hs_sandbox *sandbox)
{
	hs_vm_serve_calls(sandbox->vm, true);
}

void hs_sandbox_interrupt(struct hs_sandbox *sandbox)
{
	atomic_store(&sandbox->interrupt_asked, true);
	hs_vm_interrupt(sandbox->vm);
}

static const struct hs_snapshot_function *find_function(const struct hs_snapshot_function *functions, uint32_t count,
							const char *name)
{
	for (uint32_t i = 0; i < count; i++) {
		if (strcmp(functions[i].name, name) == 0) {
			return &functions[i];
		}
	}
	return NULL;
}

/* What a snapshot was taken with is not what one taken from now on is. */
static void forget_taken(struct hs_sandbox *sandbox)
{
	hs_snapshot_unref(sandbox->taken);
	sandbox->taken = NULL;
}

enum hs_status hs_sandbox_register(struct hs_sandbox *sandbox, const char *name, const char *signature,
				   hs_host_fn *function, void *ctx, struct hs_error *err)
{
	struct hs_host_function *functions;
	struct hs_snapshot_function *described;
	enum hs_status st = hs_signature_check(signature, err);

	if (st) {
		return st;
	}
	if (sandbox->running) {
		return hs_sandbox_wrong_state(sandbox, "register a function", err);
	}
	if (!hs_call_name_ok(name, strlen(name))) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "'%s' is no name of a function", name);
	}
	if (find_function(sandbox->described, sandbox->function_count, name)) {
		return hs_error_set(err, HS_ERR_BUSY, 0, 0, "there is a host function '%s' already", name);
	}
	if (sandbox->function_count == HS_SNAPSHOT_FUNCTIONS_MAX) {
		return hs_error_set(err, HS_ERR_RANGE, 0, 0, "a sandbox has up to %u host functions",
				    HS_SNAPSHOT_FUNCTIONS_MAX);
	}
	functions = reallocarray(sandbox->functions, sandbox->function_count + 1u, sizeof(*functions));
	sandbox->functions = functions ? functions : sandbox->functions;
	described = reallocarray(sandbox->described, sandbox->function_count + 1u, sizeof(*described));
	sandbox->described = described ? described : sandbox->described;
	if (!functions || !described) {
		return hs_error_os(err, ENOMEM, "cannot register '%s'", name);
	}
	described += sandbox->function_count;
	snprintf(described->name, sizeof(described->name), "%s", name);
	snprintf(described->signature, sizeof(described->signature), "%s", signature);
	functions[sandbox->function_count++] = (struct hs_host_function){ .function = function, .ctx = ctx };
	forget_taken(sandbox);
	return HS_OK;
}

/* What the guest has written for us, copied out of its reach. */
static enum hs_status take_record(struct hs_sandbox *sandbox, struct hs_record *ret, struct hs_error *err)
{
	return hs_vm_record_take(sandbox->vm, &sandbox->record, &sandbox->record_bytes, ret, err);
}

static enum hs_status answer_with_error(struct hs_sandbox *sandbox, uint32_t code, const char *message,
					struct hs_error *err)
{
	struct hs_record answer = {
		.kind = HS_RECORD_ERROR,
		.code = code,
		.count = 1,
		.values[0] = { .type = HS_TYPE_STRING, .bytes = { message, strlen(message) } },
	};

	return hs_vm_record_put(sandbox->vm, &answer, err);
}

/* A function that is not there, or does not take what the guest has for it: say what it was at the snapshot, if that is
 * not what it is now. */
static void add_recorded(const struct hs_sandbox *sandbox, const char *name, const char *signature,
			 struct hs_error *failure)
{
	const struct hs_snapshot_info *info = sandbox->stands_on ? hs_snapshot_info(sandbox->stands_on) : NULL;
	const struct hs_snapshot_function *recorded = info ? find_function(info->functions, info->function_count, name)
							   : NULL;
	size_t length = strlen(failure->message);

	if (recorded && strcmp(recorded->signature, signature) != 0) {
		snprintf(failure->message + length, sizeof(failure->message) - length,
			 " (the snapshot was taken with %s)", recorded->signature);
	}
}

/* Run the function that the guest has called. An error of it is the guest's to handle, not one of the call. */
static enum hs_status call_host(struct hs_sandbox *sandbox, struct hs_error *err)
{
	struct hs_record call;
	struct hs_record answer = { .kind = HS_RECORD_RESULT, .count = 1, .values[0] = { .type = HS_TYPE_VOID } };
	struct hs_error failure = { 0 };
	const struct hs_snapshot_function *described;
	const struct hs_host_function *function;
	uint32_t code;
	enum hs_status st = take_record(sandbox, &call, err);

	if (st) {
		return st;
	}
	if (call.kind != HS_RECORD_CALL) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "the guest called the host with a record of kind %u",
				    (unsigned int)call.kind);
	}
	hs_trail_note(&sandbox->trail, HS_TRAIL_HOST_CALL, 0, call.name, strlen(call.name));
	described = find_function(sandbox->described, sandbox->function_count, call.name);
	if (!described) {
		hs_error_set(&failure, HS_ERR_NOT_FOUND, 0, 0, "the host has no function '%s'", call.name);
		add_recorded(sandbox, call.name, "", &failure);
		return answer_with_error(sandbox, HS_CALL_NO_FUNCTION, failure.message, err);
	}
	if (hs_signature_takes(described->signature, call.name, call.values, call.count, &failure)) {
		add_recorded(sandbox, call.name, described->signature, &failure);
		return answer_with_error(sandbox, HS_CALL_SIGNATURE, failure.message, err);
	}
	function = &sandbox->functions[described - sandbox->described];
	sandbox->in_host_function = true;
	st = function->function(function->ctx, call.values, call.count, &answer.values[0], &failure);
	sandbox->in_host_function = false;
	if (st) {
		return answer_with_error(sandbox, HS_CALL_FAILED, failure.message, err);
	}
	if (hs_signature_gives(described->signature, call.name, &answer.values[0], &failure)) {
		return answer_with_error(sandbox, HS_CALL_SIGNATURE, failure.message, err);
	}
	st = hs_vm_record_put(sandbox->vm, &answer, &failure);
	if (st) {
		code = st == HS_ERR_RANGE     ? HS_CALL_TOO_LARGE
		       : st == HS_ERR_INVALID ? HS_CALL_SIGNATURE
					      : HS_CALL_FAILED;
		return answer_with_error(sandbox, code, failure.message, err);
	}
	return HS_OK;
}

static enum hs_status write_log(struct hs_sandbox *sandbox, struct hs_error *err)
{
	struct hs_record record;
	enum hs_status st = take_record(sandbox, &record, err);

	if (st) {
		return st;
	}
	if (record.kind != HS_RECORD_LOG) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "the guest logged with a record of kind %u",
				    (unsigned int)record.kind);
	}
	hs_trail_note(&sandbox->trail, HS_TRAIL_LOG, record.code, record.values[0].bytes.data,
		      record.values[0].bytes.length);
	if (sandbox->log) {
		sandbox->log(sandbox->log_ctx, record.code, record.values[0].bytes.data, record.values[0].bytes.length);
	}
	return HS_OK;
}

/* Whether an interrupt was meant for this run. One that was not, a signal or an old time limit, means nothing. */
static enum hs_status judge_interrupt(struct hs_sandbox *sandbox, struct hs_error *err)
{
	hs_sandbox_serve_core(sandbox);
	if (atomic_exchange(&sandbox->interrupt_asked, false)) {
		return hs_error_set(err, HS_ERR_INTERRUPTED, 0, 0, "the guest was interrupted");
	}
	if (sandbox->limit_ns > 0 && hs_watchdog_has_barked(&sandbox->watchdog)) {
		return hs_error_set(err, HS_ERR_TIMEOUT, 0, 0, "the guest has run for more than its limit of %g s",
				    (double)sandbox->limit_ns / 1e9);
	}
	return HS_OK;
}

static enum hs_status judge_event(struct hs_sandbox *sandbox, const struct hs_event *event, bool *ret_ready,
				  struct hs_error *err)
{
	switch (event->kind) {
	case HS_EVENT_READY:
		*ret_ready = true;
		return HS_OK;
	case HS_EVENT_HOST_CALL:
		return call_host(sandbox, err);
	case HS_EVENT_LOG:
		return write_log(sandbox, err);
	case HS_EVENT_INTERRUPTED:
		return judge_interrupt(sandbox, err);
	case HS_EVENT_EXITED:
		sandbox->state = HS_SANDBOX_EXITED;
		return hs_error_set(err, HS_ERR_GUEST, 0, 0, "the guest has ended with status %d", event->exit_status);
	case HS_EVENT_CRASHED:
		sandbox->crash = event->crash;
		sandbox->has_crash = true;
		return hs_error_set(err, HS_ERR_GUEST, 0, event->crash.fault_address, "%s", event->crash.text);
	default:
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest stopped for a debugger that is not there");
	}
}

/* Until the guest is ready again. Whatever else it comes to poisons it. */
static enum hs_status run(struct hs_sandbox *sandbox, struct hs_error *err)
{
	bool ready = false;
	enum hs_status st = HS_OK;

	sandbox->state = HS_SANDBOX_POISONED;
	sandbox->running = true;
	if (sandbox->limit_ns > 0) {
		hs_watchdog_arm(&sandbox->watchdog, sandbox->limit_ns);
	}
	while (!st && !ready) {
		struct hs_event event;

		st = sandbox->run(sandbox->run_ctx, &event, err);
		st = st ? st : judge_event(sandbox, &event, &ready, err);
	}
	if (sandbox->limit_ns > 0) {
		(void)hs_watchdog_disarm(&sandbox->watchdog);
	}
	sandbox->running = false;
	if (!st) {
		sandbox->state = HS_SANDBOX_READY;
	} else if (sandbox->state == HS_SANDBOX_POISONED) {
		hs_sandbox_note_crash(sandbox, st, err);
	}
	return st;
}

enum hs_status hs_sandbox_finish_start(struct hs_sandbox *sandbox, struct hs_error *err)
{
	return run(sandbox, err);
}

enum hs_status hs_sandbox_start(struct hs_sandbox *sandbox, struct hs_error *err)
{
	if (sandbox->state != HS_SANDBOX_FRESH) {
		return hs_sandbox_wrong_state(sandbox, "start the guest", err);
	}
	return run(sandbox, err);
}

/* What the guest's answer is for the caller. */
static enum hs_status judge_answer(const struct hs_record *answer, const char *name, struct hs_value *ret,
				   struct hs_error *err)
{
	static const enum hs_status statuses[] = {
		[HS_CALL_FAILED] = HS_ERR_GUEST,      [HS_CALL_NO_FUNCTION] = HS_ERR_NOT_FOUND,
		[HS_CALL_SIGNATURE] = HS_ERR_INVALID, [HS_CALL_TOO_LARGE] = HS_ERR_RANGE,
		[HS_CALL_FORMAT] = HS_ERR_GUEST,
	};

	if (answer->kind == HS_RECORD_RESULT) {
		if (ret) {
			*ret = answer->values[0];
		}
		return HS_OK;
	}
	return hs_error_set(err, statuses[answer->code], 0, 0, "%s: %.*s", name, (int)answer->values[0].bytes.length,
			    (const char *)answer->values[0].bytes.data);
}

enum hs_status hs_sandbox_finish_call(struct hs_sandbox *sandbox, const char *name, struct hs_value *ret,
				      struct hs_error *err)
{
	struct hs_record record;
	enum hs_status st = run(sandbox, err);

	if (st) {
		return st;
	}
	st = take_record(sandbox, &record, err);
	if (!st && record.kind != HS_RECORD_RESULT && record.kind != HS_RECORD_ERROR) {
		st = hs_error_set(err, HS_ERR_FORMAT, 0, 0, "'%s' answered with a record of kind %u", name,
				  (unsigned int)record.kind);
	}
	if (st) {
		sandbox->state = HS_SANDBOX_POISONED;
		hs_sandbox_note_crash(sandbox, st, err);
		return st;
	}
	return judge_answer(&record, name, ret, err);
}

enum hs_status hs_sandbox_call(struct hs_sandbox *sandbox, const char *name, const struct hs_value *arguments,
			       size_t count, struct hs_value *ret, struct hs_error *err)
{
	struct hs_record record = { .kind = HS_RECORD_CALL, .count = count };
	enum hs_status st;

	if (sandbox->state != HS_SANDBOX_READY) {
		return hs_sandbox_wrong_state(sandbox, "call a function", err);
	}
	if (strlen(name) > HS_CALL_NAME_MAX || count > HS_CALL_ARGUMENTS_MAX) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0,
				    "a call has a name of up to %u bytes and up to %u arguments", HS_CALL_NAME_MAX,
				    HS_CALL_ARGUMENTS_MAX);
	}
	memcpy(record.name, name, strlen(name) + 1);
	if (count > 0) {
		memcpy(record.values, arguments, count * sizeof(*arguments));
	}
	hs_trail_note(&sandbox->trail, HS_TRAIL_CALL, 0, name, strlen(name));
	st = hs_vm_record_put(sandbox->vm, &record, err);
	return st ? st : hs_sandbox_finish_call(sandbox, name, ret, err);
}
