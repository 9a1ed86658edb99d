/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * traces BACKEND IMAGE OTHER: what guest/programs/traces.c sees after a restore is what it saw at the snapshot, and
 * nothing of what it did since, however that ended: in its own VM, in one that ran the image OTHER before, and in new
 * ones, of the snapshot and of the file that it is saved to; with shared pages and without, when the host interrupted
 * it, and with a debugger's breakpoints set.
 *
 * traces BACKEND IMAGE --cycles N: a small run and a restore, N times: nothing grows.
 *
 * Exit status 0, 1 with a line that says what differs, 77 when the backend cannot run the guest here.
 */
#include "debugged.h"
#include "many.h"
#include "scene.h"

#include "vmm/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME "traces.snap"

/* What a guest looks like right after a restore. */
struct expected {
	char kept[64];         /* as the guest says, before the snapshot and ever after */
	char said[OUTPUT_MAX]; /* all that it says, once it is known */
	uint64_t host;         /* as the host sees it, once it is known */
};

static bool is_as_expected(struct scene *scene, const struct hs_snapshot *snapshot, bool share,
			   struct expected *expected)
{
	uint64_t host;

	if (!scene_digest(scene, &host) || !scene_ask(scene, TRACES_DIGEST)) {
		return false;
	}
	if (strncmp(scene->output, expected->kept, strlen(expected->kept)) != 0) {
		return scene_fail("the guest sees %s and saw %s at the snapshot", scene->output, expected->kept);
	}
	if (expected->said[0] && strcmp(scene->output, expected->said) != 0) {
		return scene_fail("the guest sees %s and saw %s after the first restore", scene->output,
				  expected->said);
	}
	if (expected->said[0] && expected->host != host) {
		return scene_fail("registers or memory are not as after the first restore");
	}
	memcpy(expected->said, scene->output, sizeof(expected->said));
	expected->host = host;
	return scene_restore(scene, snapshot, share);
}

static bool is_end(const struct hs_event *event, enum traces_end end)
{
	static const struct {
		enum hs_event_kind kind;
		enum hs_crash_reason reason;
	} wanted[TRACES_ENDS] = {
		[TRACES_END_OUT] = { HS_EVENT_EXITED, 0 },
		[TRACES_END_TRAP] = { HS_EVENT_EXITED, 0 },
		[TRACES_END_STRING] = { HS_EVENT_EXITED, 0 },
		[TRACES_END_IN] = { HS_EVENT_CRASHED, HS_CRASH_UNKNOWN_PORT },
		[TRACES_END_UNMAPPED] = { HS_EVENT_CRASHED, HS_CRASH_UNMAPPED },
		[TRACES_END_FAULT] = { HS_EVENT_CRASHED, HS_CRASH_EXCEPTION },
		[TRACES_END_SHUTDOWN] = { HS_EVENT_CRASHED, HS_CRASH_TRIPLE_FAULT },
		[TRACES_END_LOOP] = { HS_EVENT_INTERRUPTED, 0 },
	};

	/* Some CPUs, QEMU's among them, know no shadow behind mov ss, and take the trap before the out. */
	if (end <= TRACES_END_TRAP && event->kind == HS_EVENT_CRASHED && event->crash.reason == HS_CRASH_EXCEPTION) {
		return true;
	}
	return event->kind == wanted[end].kind &&
	       (event->kind != HS_EVENT_CRASHED || event->crash.reason == wanted[end].reason);
}

/* The registers that few guests can use here: where the CPU takes them from its host. */
static void leave_vectors(struct hs_vm *vm)
{
	static struct hs_cpu_state cpu;

	if (hs_vm_cpu_get(vm, &cpu, NULL) == HS_OK) {
		cpu.xcr0 = 7;
		cpu.xsave[HS_XSAVE_XSTATE_BV] |= 7;
		memset(cpu.xsave + HS_XSAVE_YMMH0, 0xd5, 256);
		(void)!hs_vm_cpu_set(vm, &cpu, NULL);
	}
}

static bool leave(struct scene *scene, enum traces_end end)
{
	struct hs_event event;

	if (!scene_request(scene, TRACES_LEAVE | (uint32_t)end << TRACES_END_SHIFT) || !scene_run(scene, &event)) {
		return false;
	}
	leave_vectors(scene->vm);
	return is_end(&event, end) || scene_fail("end %d: event %d %s", end, event.kind,
						 event.kind == HS_EVENT_CRASHED ? event.crash.text : scene->output);
}

static bool aborts_cleanly(struct scene *scene)
{
	struct hs_event event;

	if (!scene_request(scene, TRACES_ABORT) || !scene_run(scene, &event)) {
		return false;
	}
	return (event.kind == HS_EVENT_CRASHED && strcmp(event.crash.abort_message, TRACES_MESSAGE) == 0) ||
	       scene_fail("the guest aborts with %s", event.crash.abort_message);
}

/* The interrupt that comes between two runs is that of the next run, once, whatever else happens between. */
static bool interrupted_once(struct scene *scene)
{
	struct hs_event event;

	if (!scene_run(scene, &event)) {
		return false;
	}
	return event.kind == HS_EVENT_INTERRUPTED || scene_fail("an interrupt was lost: event %d", event.kind);
}

/* All that follows from one way to end. It ends with the VM as restored. */
static bool check_end(struct scene *scene, const struct hs_snapshot *snapshot, bool share, enum traces_end end,
		      struct expected *expected)
{
	if (!leave(scene, end) || !scene_restore(scene, snapshot, share) ||
	    !is_as_expected(scene, snapshot, share, expected)) {
		return false;
	}
	/* Before and behind the restore: a call that is cancelled before it has begun leaves nothing to the next. */
	if (!leave(scene, end)) {
		return false;
	}
	hs_vm_interrupt(scene->vm);
	if (!scene_restore(scene, snapshot, share) || !interrupted_once(scene)) {
		return false;
	}
	hs_vm_interrupt(scene->vm);
	if (!interrupted_once(scene) || !scene_ask(scene, TRACES_LOOK) || !scene_restore(scene, snapshot, share)) {
		return false;
	}
	return leave(scene, end) && scene_restore(scene, snapshot, share) && aborts_cleanly(scene) &&
	       scene_restore(scene, snapshot, share);
}

static bool check_ends(struct scene *scene, const struct hs_snapshot *snapshot, bool share, unsigned int ends,
		       struct expected *expected)
{
	if (!scene_restore(scene, snapshot, share) || !is_as_expected(scene, snapshot, share, expected)) {
		return false;
	}
	for (unsigned int end = 0; end < ends; end++) {
		if (!check_end(scene, snapshot, share, end, expected)) {
			return scene_fail("%s, behind end %u", share ? "shared" : "private", end);
		}
	}
	return true;
}

/* In a VM that is made for it and has run nothing. */
static bool check_fresh_vm(const char *backend, const struct hs_snapshot *snapshot, bool share,
			   struct expected *expected)
{
	struct scene scene;
	bool good = scene_create_from(&scene, backend, snapshot) && check_ends(&scene, snapshot, share, 0, expected);

	scene_destroy(&scene);
	return good;
}

/* In such a VM, from the file that it was saved to. */
static bool check_file(const char *backend, const struct hs_snapshot *snapshot, bool share, struct expected *expected)
{
	struct hs_snapshot *opened = NULL;
	bool good;

	if (hs_snapshot_save(snapshot, FILE_NAME, true, &scene_error)) {
		return scene_fail("save");
	}
	good = !hs_snapshot_open(FILE_NAME, true, &opened, &scene_error) || scene_fail("open");
	unlink(FILE_NAME);
	good = good && (check_fresh_vm(backend, opened, share, expected) || scene_fail("from a file"));
	hs_snapshot_unref(opened);
	return good;
}

/* Registers, buffers, half a message: of a guest that is stopped somewhere in the middle. */
static bool check_other_vm(const char *backend, const char *image, const struct hs_snapshot *snapshot, bool share,
			   struct expected *expected)
{
	struct scene scene;
	struct hs_event event;
	bool good = scene_create(&scene, backend, image, false) && scene_run(&scene, &event) &&
		    check_ends(&scene, snapshot, share, 1, expected);

	scene_destroy(&scene);
	return good || scene_fail("in the VM of %s", image);
}

static bool check(struct scene *scene, const char *backend, const char *other, const struct hs_snapshot *snapshot)
{
	static struct expected expected[2];

	/* The guest goes on behind the snapshot. */
	if (!scene_ask(scene, TRACES_DIGEST)) {
		return false;
	}
	snprintf(expected[0].kept, sizeof(expected[0].kept), "%.*s", (int)strcspn(scene->output, "w"), scene->output);
	expected[1] = expected[0];
	for (unsigned int share = 0; share < 2; share++) {
		unsigned int ends = share ? TRACES_END_STRING + 1 : TRACES_ENDS;

		if (!check_ends(scene, snapshot, share, ends, &expected[share]) ||
		    !check_other_vm(backend, other, snapshot, share, &expected[share]) ||
		    !check_fresh_vm(backend, snapshot, share, &expected[share]) ||
		    !check_file(backend, snapshot, share, &expected[share])) {
			return false;
		}
	}
	return strcmp(expected[0].said, expected[1].said) == 0 || scene_fail("shared pages are not as private ones");
}

static bool run(const char *backend, const char *image, const char *other, unsigned long cycles)
{
	const struct hs_snapshot_spec spec = { .generation = 1 };
	struct hs_snapshot *snapshot = NULL;
	struct scene scene;
	bool good = scene_create(&scene, backend, image, true) && scene_start(&scene);

	if (good && hs_snapshot_of_vm(scene.vm, &spec, &snapshot, &scene_error)) {
		good = scene_fail("snapshot");
	}
	if (other) {
		good = good && check(&scene, backend, other, snapshot) && check_debugged(&scene, snapshot);
	} else {
		good = good && check_many(&scene, snapshot, cycles);
	}
	scene_destroy(&scene);
	hs_snapshot_unref(snapshot);
	return good;
}

int main(int argc, char **argv)
{
	bool many = argc == 5 && strcmp(argv[3], "--cycles") == 0;

	if (argc != 4 && !many) {
		fprintf(stderr, "usage: traces kvm|soft IMAGE (OTHER | --cycles N)\n");
		return 2;
	}
	return run(argv[1], argv[2], many ? NULL : argv[3], many ? strtoul(argv[4], NULL, 10) : 0) ? 0 : 1;
}
