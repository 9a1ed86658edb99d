/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run.h"

#include "session/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct hs_error error;

int fail(const char *what)
{
	fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, what, error.message[0] ? ": " : "",
		error.message);
	return 1;
}

void run_keep(void *ctx, const void *bytes, size_t length)
{
	struct run *run = ctx;

	if (length > OUTPUT_MAX - 1 - run->length) {
		length = OUTPUT_MAX - 1 - run->length;
	}
	memcpy(run->output + run->length, bytes, length);
	run->length += length;
	run->output[run->length] = '\0';
}

int run_create(const char *backend, const char *image, struct hs_vm_config *config, struct hs_vm **ret)
{
	enum hs_status st;

	config->backend = strcmp(backend, "kvm") == 0 ? HS_BACKEND_KVM : HS_BACKEND_SOFT;
	st = hs_vm_create(image, config, ret, &error);
	if (st == HS_ERR_UNSUPPORTED || st == HS_ERR_NOT_FOUND || st == HS_ERR_PERMISSION) {
		fprintf(stderr, "%s\n", error.message);
		return SKIPPED;
	}
	return st ? fail("create") : 0;
}

int run_go_on(struct run *run, enum hs_event_kind expected)
{
	const struct hs_resume on = { .kind = HS_RESUME_CONTINUE };
	struct hs_event event;

	run->length = 0;
	run->output[0] = '\0';
	if (hs_vm_run(run->vm, &on, &event, &error)) {
		return fail("run");
	}
	if (event.kind != expected || (event.kind == HS_EVENT_EXITED && event.exit_status != 0)) {
		fprintf(stderr, "%s: event %d, %s; %s\n", program_invocation_short_name, event.kind,
			event.kind == HS_EVENT_CRASHED ? event.crash.text : "", run->output);
		return 1;
	}
	return 0;
}

int run_to_ready(struct hs_vm *vm)
{
	const struct hs_resume on = { .kind = HS_RESUME_CONTINUE };
	struct hs_event event;

	if (hs_vm_run(vm, &on, &event, &error)) {
		return fail("run");
	}
	return event.kind == HS_EVENT_READY ? 0 : fail("the guest has ended");
}

int run_snapshot(struct hs_vm *vm, uint64_t generation, struct hs_snapshot **ret)
{
	const struct hs_snapshot_spec spec = { .generation = generation };

	return hs_snapshot_of_vm(vm, &spec, ret, &error) ? fail("snapshot") : 0;
}

int run_restore(struct hs_vm *vm, const struct hs_snapshot *snapshot, bool share)
{
	return hs_vm_stand_on(vm, snapshot, share, &error) ? fail("restore") : 0;
}
