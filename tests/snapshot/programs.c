/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * programs BACKEND IMAGE CALL...: a guest, with the argument "start", is made ready and a snapshot taken; the calls are
 * made and printed with what they have come to. They come to the same again after a restore, time after time; after the
 * calls have been made twice and a snapshot of that was stood on in between; in a sandbox that is made for the
 * snapshot, with pages shared and as for a debugger; and in one that is made for the file that it was saved to.
 *
 * Exit status 0, 1 with a line that says what differs, 77 when the backend cannot run the guest here.
 */
#include "cli/call_text.h"

#include <hindsight/hindsight.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CALLS_MAX 16
#define OUTPUT_MAX 65536
#define RESTORES 3
#define LIMIT_NS UINT64_C(60000000000)
#define FILE_NAME "programs.snap"

struct calls {
	struct hs_call_text list[CALLS_MAX];
	size_t count;
};

static struct hs_error error;

static int fail(const char *what)
{
	fprintf(stderr, "programs: %s%s%s\n", what, error.message[0] ? ": " : "", error.message);
	return 1;
}

static bool is_missing(enum hs_status st)
{
	return st == HS_ERR_UNSUPPORTED || st == HS_ERR_NOT_FOUND || st == HS_ERR_PERMISSION;
}

/* Append what all calls come to. One that fails ends it: what it says is the line. */
static int make_calls(struct hs_sandbox *sandbox, const struct calls *calls, struct hs_buf *out)
{
	for (size_t i = 0; i < calls->count; i++) {
		const struct hs_call_text *call = &calls->list[i];
		struct hs_value result;

		if (hs_sandbox_call(sandbox, call->name, call->arguments, call->count, &result, &error)) {
			return fail(call->name);
		}
		hs_call_text_print(call, out);
		hs_buf_append_string(out, " = ");
		hs_call_text_print_value(&result, out);
		hs_buf_append_byte(out, '\n');
	}
	hs_buf_append_byte(out, '\0');
	return 0;
}

static int same_calls(struct hs_sandbox *sandbox, const struct calls *calls, const struct hs_buf *expected,
		      const char *where)
{
	struct hs_buf out;
	int status;

	hs_buf_init(&out, OUTPUT_MAX);
	status = make_calls(sandbox, calls, &out);
	if (!status && strcmp((const char *)out.data, (const char *)expected->data) != 0) {
		fprintf(stderr, "programs: %s:\n%sinstead of:\n%s", where, (const char *)out.data,
			(const char *)expected->data);
		status = 1;
	}
	hs_buf_deinit(&out);
	return status;
}

static int go_back(struct hs_sandbox *sandbox, struct hs_snapshot *snapshot, const struct calls *calls,
		   const struct hs_buf *expected, const char *where)
{
	if (hs_sandbox_restore(sandbox, snapshot, &error)) {
		return fail("restore");
	}
	return same_calls(sandbox, calls, expected, where);
}

/* On a snapshot that is taken behind the calls, and back. */
static int go_on(struct hs_sandbox *sandbox, struct hs_snapshot *first, const struct calls *calls,
		 const struct hs_buf *expected)
{
	struct hs_snapshot *second = NULL;
	struct hs_buf later;
	int status = hs_sandbox_snapshot(sandbox, &second, &error) ? fail("second snapshot") : 0;

	hs_buf_init(&later, OUTPUT_MAX);
	status = status ? status : make_calls(sandbox, calls, &later);
	for (int i = 0; i < RESTORES && !status; i++) {
		status = go_back(sandbox, second, calls, &later, "after a restore of the second snapshot");
	}
	status = status ? status : go_back(sandbox, first, calls, expected, "behind another snapshot");
	hs_buf_deinit(&later);
	hs_snapshot_unref(second);
	return status;
}

/* In a sandbox of the snapshot's own, and again. */
static int go_elsewhere(struct hs_snapshot *snapshot, const struct hs_sandbox_config *config, const struct calls *calls,
			const struct hs_buf *expected, const char *where)
{
	struct hs_sandbox *sandbox = NULL;
	int status = hs_sandbox_create_from(snapshot, config, &sandbox, &error) ? fail(where) : 0;

	status = status ? status : same_calls(sandbox, calls, expected, where);
	status = status ? status : go_back(sandbox, snapshot, calls, expected, where);
	hs_sandbox_destroy(sandbox);
	return status;
}

static int go_through_file(struct hs_snapshot *snapshot, const struct hs_sandbox_config *config,
			   const struct calls *calls, const struct hs_buf *expected)
{
	struct hs_snapshot *opened = NULL;
	int status = hs_snapshot_save(snapshot, FILE_NAME, true, &error) ? fail("save") : 0;

	if (!status && hs_snapshot_open(FILE_NAME, true, &opened, &error)) {
		status = fail("open");
	}
	unlink(FILE_NAME);
	status = status ? status : go_elsewhere(opened, config, calls, expected, "from a file");
	hs_snapshot_unref(opened);
	return status;
}

static int go_everywhere(struct hs_sandbox *sandbox, struct hs_snapshot *snapshot, struct hs_sandbox_config *config,
			 const struct calls *calls, const struct hs_buf *expected)
{
	int status = 0;

	for (int i = 0; i < RESTORES && !status; i++) {
		status = go_back(sandbox, snapshot, calls, expected, "after a restore");
	}
	status = status ? status : go_on(sandbox, snapshot, calls, expected);
	status = status ? status : go_elsewhere(snapshot, config, calls, expected, "in another sandbox");
	config->vm.debugger = true;
	status = status ? status : go_elsewhere(snapshot, config, calls, expected, "with private memory");
	config->vm.debugger = false;
	return status ? status : go_through_file(snapshot, config, calls, expected);
}

static int run(const char *image, struct hs_sandbox_config *config, const struct calls *calls)
{
	struct hs_sandbox *sandbox = NULL;
	struct hs_snapshot *snapshot = NULL;
	struct hs_buf expected;
	enum hs_status st = hs_sandbox_create(image, config, &sandbox, &error);
	int status = st ? fail("create") : 0;

	if (is_missing(st)) {
		return 77;
	}
	hs_buf_init(&expected, OUTPUT_MAX);
	if (!status && (hs_sandbox_start(sandbox, &error) || hs_sandbox_snapshot(sandbox, &snapshot, &error))) {
		status = fail("start");
	}
	/* Before any restore, on memory of its own. */
	status = status ? status : make_calls(sandbox, calls, &expected);
	if (!status) {
		fputs((const char *)expected.data, stdout);
		status = go_everywhere(sandbox, snapshot, config, calls, &expected);
	}
	hs_buf_deinit(&expected);
	hs_sandbox_destroy(sandbox);
	hs_snapshot_unref(snapshot);
	return status;
}

int main(int argc, char **argv)
{
	static struct calls calls;
	const char *const words[] = { argc > 2 ? argv[2] : "", "start" };
	struct hs_sandbox_config config = {
		.vm = { .args = words, .args_count = 2, .scratch_bytes = 2u << 20, .seed = 1 },
		.limit_ns = LIMIT_NS,
	};
	int status = 0;

	if (argc < 4 || argc - 3 > CALLS_MAX) {
		fprintf(stderr, "usage: programs kvm|soft IMAGE CALL...\n");
		return 2;
	}
	config.vm.backend = strcmp(argv[1], "kvm") == 0 ? HS_BACKEND_KVM : HS_BACKEND_SOFT;
	for (; calls.count < (size_t)argc - 3 && !status; calls.count += status == 0) {
		if (hs_call_text_parse(argv[3 + calls.count], &calls.list[calls.count], &error)) {
			status = fail("usage");
		}
	}
	status = status ? status : run(argv[2], &config, &calls);
	for (size_t i = 0; i < calls.count; i++) {
		hs_call_text_free(&calls.list[i]);
	}
	return status;
}
