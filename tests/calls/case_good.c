/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls that go well: what goes in comes out, whoever calls whom, and again after a restore. */
#include "caller.h"

#include "session/snapshot.h"
#include "vmm/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB 1024u

/* Bytes around the bytes of a call's one argument, and of a result's. */
#define AROUND(name) (sizeof(struct hs_abi_record) + ((sizeof(name) - 1 + 7) & ~7u) + sizeof(struct hs_abi_value))

static bool same(const struct hs_value *a, const struct hs_value *b)
{
	if (a->type != b->type) {
		return false;
	}
	switch (a->type) {
	case HS_TYPE_STRING:
	case HS_TYPE_BYTES:
		return a->bytes.length == b->bytes.length &&
		       (a->bytes.length == 0 || memcmp(a->bytes.data, b->bytes.data, a->bytes.length) == 0);
	case HS_TYPE_BOOL:
		return a->b == b->b;
	case HS_TYPE_INT:
	case HS_TYPE_UINT:
	case HS_TYPE_FLOAT:
		return a->u == b->u;
	default:
		return a->ul == b->ul;
	}
}

static bool case_types(struct caller *caller)
{
	static char text[8 * KIB + 1];
	const struct {
		const char *name;
		struct hs_value value;
	} echoes[] = {
		{ "echo_int", { .type = HS_TYPE_INT, .i = INT32_MIN } },
		{ "echo_int", { .type = HS_TYPE_INT, .i = INT32_MAX } },
		{ "echo_uint", { .type = HS_TYPE_UINT, .u = UINT32_MAX } },
		{ "echo_long", { .type = HS_TYPE_LONG, .l = INT64_MIN } },
		{ "echo_ulong", { .type = HS_TYPE_ULONG, .ul = UINT64_MAX - 1 } },
		{ "echo_float", { .type = HS_TYPE_FLOAT, .f = 1.5F } },
		{ "echo_float", { .type = HS_TYPE_FLOAT, .u = 0xFF800001 } }, /* a signalling NaN: not made quiet */
		{ "echo_double", { .type = HS_TYPE_DOUBLE, .d = -0.0 } },
		{ "echo_double", { .type = HS_TYPE_DOUBLE, .ul = 0x7FF0000000000001 } },
		{ "echo_bool", { .type = HS_TYPE_BOOL, .b = true } },
		{ "echo_bool", { .type = HS_TYPE_BOOL, .b = false } },
		{ "echo_string", value_string("") },
		{ "echo_string", value_string("seven b") },
		{ "echo_string", value_string("eight by") },
		{ "echo_string", value_string(text) },
		{ "echo_bytes", value_bytes(NULL, 0) },
		{ "echo_bytes", value_bytes("a\0\0\xff", 4) },
	};

	memset(text, 't', sizeof(text) - 1);
	for (size_t i = 0; i < sizeof(echoes) / sizeof(echoes[0]); i++) {
		struct hs_value value = echoes[i].value;

		if (value.type == HS_TYPE_STRING) {
			value.bytes.length = strlen(value.bytes.data);
		}
		if (!caller_gives(caller, echoes[i].name, &value, 1, value.type)) {
			return false;
		}
		if (!same(&caller->answer.values[0], &value)) {
			return caller_fail(caller, "echo %zu gives something else", i);
		}
	}
	return true;
}

/* An answer is taken once: a guest that leaves none later is not taken to have said the same again. */
static bool no_record_is_left(struct caller *caller)
{
	struct hs_record record;

	EXPECT(caller, hs_vm_record_take(caller->vm, &caller->bytes, &caller->capacity, &record, &caller->error) ==
			       HS_ERR_FORMAT);
	EXPECT(caller, strstr(caller->error.message, "no record"));
	return true;
}

static bool case_arguments(struct caller *caller)
{
	struct hs_value values[HS_CALL_ARGUMENTS_MAX];
	const struct hs_value bytes = value_bytes("\x01\xff\x02", 3);

	for (int i = 0; i < HS_CALL_ARGUMENTS_MAX; i++) {
		values[i] = value_int(1 << i);
	}
	EXPECT(caller, caller_gives(caller, "nothing", NULL, 0, HS_TYPE_VOID));
	EXPECT(caller, caller_gives(caller, "sum", values, HS_CALL_ARGUMENTS_MAX, HS_TYPE_LONG));
	EXPECT(caller, caller->answer.values[0].l == 0xFFFF);
	EXPECT(caller, caller_gives(caller, "sum_bytes", &bytes, 1, HS_TYPE_ULONG));
	EXPECT(caller, caller->answer.values[0].ul == 258);
	return no_record_is_left(caller);
}

/* To the last byte of both buffers, and one more. */
static bool case_sizes(struct caller *caller)
{
	struct hs_vm_bounds bounds = hs_vm_bounds(caller->vm);
	const size_t most = bounds.input_bytes - AROUND("sum_bytes");
	uint8_t *bytes = calloc(1, most + 1);
	struct hs_value value = value_bytes(bytes, most);
	bool good;

	EXPECT(caller, bytes != NULL);
	memset(bytes, 1, most + 1);
	good = caller_gives(caller, "sum_bytes", &value, 1, HS_TYPE_ULONG) && caller->answer.values[0].ul == most;
	value.bytes.length++;
	good = good && !caller_call(caller, "sum_bytes", &value, 1) && caller->error.status == HS_ERR_RANGE;
	free(bytes);
	EXPECT(caller, good);
	EXPECT(caller, caller_is_ready(caller));
	value = (struct hs_value){ .type = HS_TYPE_UINT, .u = (uint32_t)(bounds.output_bytes - AROUND("")) };
	EXPECT(caller, caller_gives(caller, "big_result", &value, 1, HS_TYPE_BYTES));
	EXPECT(caller, caller->answer.values[0].bytes.length == value.u);
	EXPECT(caller, ((const uint8_t *)caller->answer.values[0].bytes.data)[value.u - 1] == 0x5A);
	value.u++;
	EXPECT(caller, caller_refused(caller, "big_result", &value, 1, HS_CALL_TOO_LARGE, "does not fit"));
	return caller_is_ready(caller);
}

static bool case_host(struct caller *caller)
{
	const struct hs_value twice[] = { value_string("twice"), value_int(21) };
	const struct hs_value back[] = { value_string("back"), value_bytes("a\0b", 3) };
	const struct hs_value deep[] = { value_string("twice"), value_int(50) };
	struct hs_value longer[] = { value_string("back"), value_bytes(NULL, 0) };
	uint8_t pattern[2000];

	EXPECT(caller, caller_gives(caller, "call_back", twice, 2, HS_TYPE_STRING));
	EXPECT(caller, strcmp(caller->answer.values[0].bytes.data, "twice(21) is 42") == 0);
	EXPECT(caller, caller_gives(caller, "through_host", back, 2, HS_TYPE_BYTES));
	EXPECT(caller, same(&caller->answer.values[0], &back[1]));
	/* The answer comes where the call was: both as copied to the stack and to the heap. */
	for (size_t i = 0; i < sizeof(pattern); i++) {
		pattern[i] = (uint8_t)(i * 7 + i / 256);
	}
	for (size_t length = 100; length <= sizeof(pattern); length += 1900) {
		longer[1] = value_bytes(pattern, length);
		EXPECT(caller, caller_gives(caller, "through_host", longer, 2, HS_TYPE_BYTES));
		EXPECT(caller, same(&caller->answer.values[0], &longer[1]));
	}
	caller->host_calls = 0;
	EXPECT(caller, caller_gives(caller, "recurse_host", deep, 2, HS_TYPE_INT));
	EXPECT(caller, caller->answer.values[0].i == 50 * 51 && caller->host_calls == 50);
	return true;
}

static bool case_early(struct caller *caller)
{
	EXPECT(caller, strcmp(caller->early, "early") == 0);
	EXPECT(caller, caller_gives(caller, "counter", NULL, 0, HS_TYPE_ULONG));
	EXPECT(caller, caller->answer.values[0].ul == 101); /* the host's answer was a result */
	return true;
}

static bool case_log(struct caller *caller)
{
	static char text[15 * KIB];
	struct hs_value values[] = { { .type = HS_TYPE_UINT, .u = HS_LOG_ERROR }, value_string("it went") };

	EXPECT(caller, caller_gives(caller, "write_log", values, 2, HS_TYPE_VOID));
	EXPECT(caller, caller->logged == 1 && caller->log_level == HS_LOG_ERROR);
	EXPECT(caller, strcmp(caller->log_text, "it went") == 0);
	values[0].u = HS_LOG_DEBUG; /* more than the guest is asked for */
	EXPECT(caller, caller_gives(caller, "write_log", values, 2, HS_TYPE_VOID));
	EXPECT(caller, caller->logged == 1);
	memset(text, 'x', sizeof(text) - 1);
	values[0].u = HS_LOG_INFO;
	values[1] = value_string(text);
	EXPECT(caller, caller_gives(caller, "write_log", values, 2, HS_TYPE_VOID));
	EXPECT(caller, caller->logged == 2 && strcmp(caller->log_text, text) == 0);
	return true;
}

/* The CPU stands behind the out, whatever it takes to get it there. */
static bool case_registers(struct caller *caller)
{
	static struct hs_cpu_state cpu;
	uint8_t code[2];
	size_t length;

	for (int i = 0; i < 2; i++) {
		EXPECT(caller, hs_vm_cpu_get(caller->vm, &cpu, &caller->error) == HS_OK);
		EXPECT(caller, hs_vm_mem_read(caller->vm, hs_gva_of(cpu.rip - 2), code, 2, &length, NULL) == HS_OK);
		EXPECT(caller, length == 2 && code[0] == 0xE7 && code[1] == HS_PORT_READY); /* out $imm8, %eax */
		EXPECT(caller, hs_vm_cpu_set(caller->vm, &cpu, &caller->error) == HS_OK);
		EXPECT(caller, caller_is_ready(caller));
	}
	return true;
}

static bool case_steps(struct caller *caller)
{
	const struct hs_resume step = { .kind = HS_RESUME_STEP };
	struct hs_record call = { .kind = HS_RECORD_CALL, .name = "add", .count = 2 };
	unsigned int steps = 0;

	call.values[0] = value_int(-5);
	call.values[1] = value_int(3);
	EXPECT(caller, hs_vm_record_put(caller->vm, &call, &caller->error) == HS_OK);
	do {
		EXPECT(caller, hs_vm_run(caller->vm, &step, &caller->event, &caller->error) == HS_OK);
	} while (caller->event.kind == HS_EVENT_STEPPED && ++steps < 5000);
	EXPECT(caller, caller->event.kind == HS_EVENT_READY && steps > 50);
	EXPECT(caller, hs_vm_record_take(caller->vm, &caller->bytes, &caller->capacity, &caller->answer,
					 &caller->error) == HS_OK);
	EXPECT(caller, caller->answer.kind == HS_RECORD_RESULT && caller->answer.values[0].i == -2);
	return caller_is_ready(caller);
}

static bool counter_is(struct caller *caller, uint64_t wanted)
{
	return caller_gives(caller, "counter", NULL, 0, HS_TYPE_ULONG) && caller->answer.values[0].ul == wanted;
}

/* Back to a snapshot from wherever a call has gone: done, dead, or in the middle of a call of the host. */
static bool go_back(struct caller *caller, const struct hs_snapshot *snapshot)
{
	const struct hs_resume on = { .kind = HS_RESUME_CONTINUE };
	const struct hs_value why = value_string("enough");
	struct hs_record call = { .kind = HS_RECORD_CALL, .name = "call_back", .count = 2 };

	EXPECT(caller, hs_vm_stand_on(caller->vm, snapshot, false, &caller->error) == HS_OK);
	EXPECT(caller, counter_is(caller, 2) && counter_is(caller, 3));
	EXPECT(caller, hs_vm_stand_on(caller->vm, snapshot, false, &caller->error) == HS_OK);
	EXPECT(caller, counter_is(caller, 2));
	EXPECT(caller, !caller_call(caller, "abort_in_call", &why, 1) && caller->event.kind == HS_EVENT_CRASHED);
	EXPECT(caller, hs_vm_stand_on(caller->vm, snapshot, false, &caller->error) == HS_OK);
	EXPECT(caller, counter_is(caller, 2));
	call.values[0] = value_string("twice");
	call.values[1] = value_int(1);
	EXPECT(caller, hs_vm_record_put(caller->vm, &call, &caller->error) == HS_OK);
	EXPECT(caller, hs_vm_run(caller->vm, &on, &caller->event, &caller->error) == HS_OK);
	EXPECT(caller, caller->event.kind == HS_EVENT_HOST_CALL);
	EXPECT(caller, hs_vm_stand_on(caller->vm, snapshot, false, &caller->error) == HS_OK);
	EXPECT(caller, counter_is(caller, 2));
	return caller_is_ready(caller);
}

static bool case_snapshot(struct caller *caller)
{
	const struct hs_snapshot_spec spec = { .generation = 1 };
	struct hs_snapshot *snapshot = NULL;
	bool good;

	EXPECT(caller, counter_is(caller, 1));
	EXPECT(caller, hs_snapshot_of_vm(caller->vm, &spec, &snapshot, &caller->error) == HS_OK);
	good = counter_is(caller, 2) && go_back(caller, snapshot);
	hs_snapshot_unref(snapshot);
	return good;
}

const struct call_case good_cases[] = {
	{ "types", "functions", NULL, case_types },         { "arguments", "functions", NULL, case_arguments },
	{ "sizes", "functions", NULL, case_sizes },         { "host", "functions", NULL, case_host },
	{ "early", "functions", "call", case_early },       { "log", "functions", NULL, case_log },
	{ "registers", "functions", NULL, case_registers }, { "steps", "functions", NULL, case_steps },
	{ "snapshot", "functions", NULL, case_snapshot },   { NULL, NULL, NULL, NULL },
};
