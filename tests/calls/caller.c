/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "caller.h"

#include "vmm/signature.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool caller_fail(const struct caller *caller, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n  last event %d, crash '%s', error '%s', answer of kind %u, code %u\n", caller->event.kind,
		caller->event.kind == HS_EVENT_CRASHED ? caller->event.crash.text : "", caller->error.message,
		caller->answer.kind, caller->answer.code);
	return false;
}

struct hs_value value_int(int32_t i)
{
	return (struct hs_value){ .type = HS_TYPE_INT, .i = i };
}

struct hs_value value_string(const char *text)
{
	return (struct hs_value){ .type = HS_TYPE_STRING, .bytes = { text, strlen(text) } };
}

struct hs_value value_bytes(const void *data, size_t length)
{
	return (struct hs_value){ .type = HS_TYPE_BYTES, .bytes = { data, length } };
}

enum hs_status caller_start(struct caller *caller, const char *backend, const char *image, const char *word)
{
	const char *words[] = { image, word };
	struct hs_vm_config config = {
		.backend = strcmp(backend, "kvm") == 0 ? HS_BACKEND_KVM : HS_BACKEND_SOFT,
		.args = words,
		.args_count = word ? 2 : 1,
		.seed = 1,
		.calls = true,
	};
	enum hs_status st = hs_vm_create(image, &config, &caller->vm, &caller->error);

	if (!st && (!caller_run(caller) || caller->event.kind != HS_EVENT_READY)) {
		caller_fail(caller, "the guest does not get ready");
		return HS_ERR_GUEST;
	}
	return st;
}

void caller_end(struct caller *caller)
{
	hs_vm_destroy(caller->vm);
	free(caller->bytes);
}

static struct hs_record error_of(uint32_t code, const char *message)
{
	return (struct hs_record){
		.kind = HS_RECORD_ERROR, .code = code, .count = 1, .values = { value_string(message) }
	};
}

static void answer_host_call(struct caller *caller, const struct hs_record *call, struct hs_record *ret)
{
	static const uint8_t huge[1 << 20];

	*ret = (struct hs_record){ .kind = HS_RECORD_RESULT, .count = 1 };
	if (strcmp(call->name, "early") == 0) {
		strcpy(caller->early, call->name);
		ret->values[0].type = HS_TYPE_VOID;
	} else if (strcmp(call->name, "twice") == 0) {
		if (hs_signature_takes("i(i)", call->name, call->values, call->count, &caller->error)) {
			*ret = error_of(HS_CALL_SIGNATURE, caller->error.message);
			return;
		}
		ret->values[0] = value_int(2 * call->values[0].i);
	} else if (strcmp(call->name, "back") == 0) {
		ret->values[0] = call->values[0];
	} else if (strcmp(call->name, "huge") == 0) {
		ret->values[0] = value_bytes(huge, sizeof(huge));
	} else if (strcmp(call->name, "sorry") == 0) {
		*ret = error_of(HS_CALL_FAILED, "out of order");
	} else {
		*ret = error_of(HS_CALL_NO_FUNCTION, "the host has no such function");
	}
}

static bool serve_host_call(struct caller *caller)
{
	struct hs_record call, answer;
	enum hs_status st;

	caller->host_calls++;
	if (hs_vm_record_take(caller->vm, &caller->bytes, &caller->capacity, &call, &caller->error) ||
	    call.kind != HS_RECORD_CALL) {
		return false;
	}
	answer_host_call(caller, &call, &answer);
	st = hs_vm_record_put(caller->vm, &answer, &caller->error);
	if (st == HS_ERR_RANGE) {
		answer = error_of(HS_CALL_TOO_LARGE, "the host's result is too large");
		st = hs_vm_record_put(caller->vm, &answer, &caller->error);
	}
	return st == HS_OK;
}

static bool serve_log(struct caller *caller)
{
	struct hs_record log;

	if (hs_vm_record_take(caller->vm, &caller->bytes, &caller->capacity, &log, &caller->error) ||
	    log.kind != HS_RECORD_LOG) {
		return false;
	}
	caller->logged++;
	caller->log_level = log.code;
	snprintf(caller->log_text, sizeof(caller->log_text), "%s", (const char *)log.values[0].bytes.data);
	return true;
}

bool caller_run(struct caller *caller)
{
	const struct hs_resume on = { .kind = HS_RESUME_CONTINUE };

	for (;;) {
		if (hs_vm_run(caller->vm, &on, &caller->event, &caller->error)) {
			return false;
		}
		if (caller->event.kind == HS_EVENT_HOST_CALL) {
			if (!serve_host_call(caller)) {
				return false;
			}
		} else if (caller->event.kind == HS_EVENT_LOG) {
			if (!serve_log(caller)) {
				return false;
			}
		} else if (caller->event.kind != HS_EVENT_INTERRUPTED) {
			return true;
		}
	}
}

bool caller_call(struct caller *caller, const char *name, const struct hs_value *arguments, size_t count)
{
	struct hs_record call = { .kind = HS_RECORD_CALL, .count = count };

	caller->error.message[0] = '\0';
	caller->answer = (struct hs_record){ .kind = 0 };
	snprintf(call.name, sizeof(call.name), "%s", name);
	for (size_t i = 0; i < count; i++) {
		call.values[i] = arguments[i];
	}
	return hs_vm_record_put(caller->vm, &call, &caller->error) == HS_OK && caller_run(caller) &&
	       caller->event.kind == HS_EVENT_READY &&
	       hs_vm_record_take(caller->vm, &caller->bytes, &caller->capacity, &caller->answer, &caller->error) ==
		       HS_OK;
}

bool caller_gives(struct caller *caller, const char *name, const struct hs_value *arguments, size_t count,
		  enum hs_type type)
{
	if (!caller_call(caller, name, arguments, count) || caller->answer.kind != HS_RECORD_RESULT ||
	    caller->answer.values[0].type != type) {
		return caller_fail(caller, "%s() gives no %s: %s", name, hs_type_name(type),
				   caller->answer.kind == HS_RECORD_ERROR
					   ? (const char *)caller->answer.values[0].bytes.data
					   : "");
	}
	return true;
}

bool caller_refused(struct caller *caller, const char *name, const struct hs_value *arguments, size_t count,
		    uint32_t code, const char *text)
{
	if (!caller_call(caller, name, arguments, count) || caller->answer.kind != HS_RECORD_ERROR ||
	    caller->answer.code != code || !strstr(caller->answer.values[0].bytes.data, text)) {
		return caller_fail(caller, "%s() is not refused with %u, '%s'", name, code, text);
	}
	return true;
}

bool caller_is_ready(struct caller *caller)
{
	const struct hs_value arguments[] = { value_int(40), value_int(2) };

	return caller_gives(caller, "add", arguments, 2, HS_TYPE_INT) && caller->answer.values[0].i == 42;
}
