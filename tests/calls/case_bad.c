/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls that go wrong: refused ones, after which the guest is ready still, and guests that break the format or die. */
#include "caller.h"

#include <stdio.h>
#include <string.h>

static bool case_refused(struct caller *caller)
{
	const struct hs_value ints[] = { value_int(1), value_int(2), value_int(3) };
	const struct hs_value mixed[] = { value_int(1), value_string("2") };
	char longest[HS_CALL_NAME_MAX + 1] = "";

	memset(longest, 'n', sizeof(longest) - 1);
	EXPECT(caller, caller_refused(caller, "none", ints, 2, HS_CALL_NO_FUNCTION, "no function"));
	EXPECT(caller, caller_refused(caller, longest, NULL, 0, HS_CALL_NO_FUNCTION, "no function"));
	EXPECT(caller, caller_refused(caller, "ad", ints, 2, HS_CALL_NO_FUNCTION, "no function"));
	EXPECT(caller, caller_refused(caller, "addd", ints, 2, HS_CALL_NO_FUNCTION, "no function"));
	EXPECT(caller, caller_refused(caller, "add", ints, 1, HS_CALL_SIGNATURE, "i(ii)"));
	EXPECT(caller, caller_refused(caller, "add", ints, 3, HS_CALL_SIGNATURE, "i(ii)"));
	EXPECT(caller, caller_refused(caller, "add", ints, 0, HS_CALL_SIGNATURE, "i(ii)"));
	EXPECT(caller, caller_refused(caller, "add", mixed, 2, HS_CALL_SIGNATURE, "i(ii)"));
	return caller_is_ready(caller);
}

static bool case_failed(struct caller *caller)
{
	const struct hs_value why = value_string("because of 100%s");

	EXPECT(caller, caller_refused(caller, "fail", &why, 1, HS_CALL_FAILED, "because of 100%s"));
	EXPECT(caller, caller_is_ready(caller));
	EXPECT(caller, caller_refused(caller, "wrong_type", NULL, 0, HS_CALL_SIGNATURE, "another type"));
	EXPECT(caller, caller_refused(caller, "nul_in_string", NULL, 0, HS_CALL_SIGNATURE, "NUL"));
	return caller_is_ready(caller);
}

static bool case_host_failed(struct caller *caller)
{
	const struct hs_value sorry[] = { value_string("sorry"), value_int(1) };
	const struct hs_value none[] = { value_string("none"), value_int(1) };
	const struct hs_value huge[] = { value_string("huge"), value_bytes("", 0) };
	const struct hs_value type[] = { value_string("twice"), value_bytes("", 0) };

	EXPECT(caller, caller_refused(caller, "call_back", sorry, 2, HS_CALL_FAILED, "failed with 1: out of order"));
	EXPECT(caller, caller_refused(caller, "call_back", none, 2, HS_CALL_FAILED, "failed with 2: the host has no"));
	EXPECT(caller, caller_refused(caller, "through_host", huge, 2, HS_CALL_FAILED, "result is too large"));
	EXPECT(caller, caller_refused(caller, "through_host", type, 2, HS_CALL_FAILED, "of type int, not bytes"));
	return caller_is_ready(caller);
}

static bool case_abort(struct caller *caller)
{
	const struct hs_value why = value_string("enough");

	EXPECT(caller, !caller_call(caller, "abort_in_call", &why, 1));
	EXPECT(caller, caller->event.kind == HS_EVENT_CRASHED && caller->event.crash.reason == HS_CRASH_ABORT);
	EXPECT(caller, strcmp(caller->event.crash.abort_message, "enough") == 0);
	return true;
}

static bool case_fault(struct caller *caller)
{
	const struct hs_value nowhere = { .type = HS_TYPE_ULONG, .ul = 0x10 };

	EXPECT(caller, !caller_call(caller, "fault_in_call", &nowhere, 1));
	EXPECT(caller, caller->event.kind == HS_EVENT_CRASHED && caller->event.crash.vector == 14);
	EXPECT(caller, caller->event.crash.fault_address == 0x10);
	return true;
}

static bool case_overflow(struct caller *caller)
{
	const struct hs_value deep = { .type = HS_TYPE_UINT, .u = 200 };
	const struct hs_value deeper = { .type = HS_TYPE_UINT, .u = 100000 };

	EXPECT(caller, caller_gives(caller, "deep_stack", &deep, 1, HS_TYPE_UINT));
	EXPECT(caller, caller->answer.values[0].u == 200);
	EXPECT(caller, !caller_call(caller, "deep_stack", &deeper, 1));
	EXPECT(caller, caller->event.kind == HS_EVENT_CRASHED && strstr(caller->event.crash.text, "stack overflow"));
	return true;
}

static bool case_exit(struct caller *caller)
{
	const struct hs_value status = value_int(7);

	EXPECT(caller, !caller_call(caller, "exit_in_call", &status, 1));
	EXPECT(caller, caller->event.kind == HS_EVENT_EXITED && caller->event.exit_status == 7);
	return true;
}

/* What hostile_calls leaves in its output buffer, by number: whether the host can make sense of it. */
static bool makes_sense(int way)
{
	return way == 0 || way == 10 || way == 18;
}

static bool answer_is_seen_through(struct caller *caller, int way)
{
	const struct hs_value value = value_int(way);
	const bool answered = caller_call(caller, "spoil", &value, 1);

	EXPECT(caller, caller->event.kind == HS_EVENT_READY);
	EXPECT(caller, answered == makes_sense(way));
	EXPECT(caller, answered || caller->error.status == HS_ERR_FORMAT);
	return true;
}

/* The same as a call of the host and as something to log. */
static bool request_is_seen_through(struct caller *caller, int way, enum hs_event_kind kind)
{
	const struct hs_resume on = { .kind = HS_RESUME_CONTINUE };
	struct hs_record record = { .kind = HS_RECORD_CALL, .name = "spoil", .count = 1, .values = { value_int(way) } };
	enum hs_status st;

	EXPECT(caller, hs_vm_record_put(caller->vm, &record, &caller->error) == HS_OK);
	EXPECT(caller, hs_vm_run(caller->vm, &on, &caller->event, &caller->error) == HS_OK);
	EXPECT(caller, caller->event.kind == kind);
	st = hs_vm_record_take(caller->vm, &caller->bytes, &caller->capacity, &record, &caller->error);
	EXPECT(caller, st == (makes_sense(way % 100) ? HS_OK : HS_ERR_FORMAT));
	EXPECT(caller, caller_run(caller) && caller->event.kind == HS_EVENT_READY);
	EXPECT(caller,
	       hs_vm_record_take(caller->vm, &caller->bytes, &caller->capacity, &record, &caller->error) == HS_OK);
	return true;
}

static bool case_hostile(struct caller *caller)
{
	for (int way = 0; way < 20; way++) {
		if (!answer_is_seen_through(caller, way) ||
		    !request_is_seen_through(caller, 100 + way, HS_EVENT_HOST_CALL) ||
		    !request_is_seen_through(caller, 200 + way, HS_EVENT_LOG)) {
			return caller_fail(caller, "way %d of being hostile", way);
		}
	}
	return true;
}

const struct call_case bad_cases[] = {
	{ "refused", "functions", NULL, case_refused },
	{ "failed", "functions", NULL, case_failed },
	{ "host_failed", "functions", NULL, case_host_failed },
	{ "abort", "functions", NULL, case_abort },
	{ "fault", "functions", NULL, case_fault },
	{ "overflow", "functions", NULL, case_overflow },
	{ "exit", "functions", NULL, case_exit },
	{ "hostile", "hostile_calls", NULL, case_hostile },
	{ NULL, NULL, NULL, NULL },
};
