/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "debugged.h"

#include <stdio.h>
#include <string.h>

#define CYCLES 3
#define POINTS 3

static bool insert(struct scene *scene, struct hs_breakpoint points[POINTS])
{
	unsigned long long one, other, watched;

	if (!scene_ask(scene, TRACES_PLACES) ||
	    sscanf(scene->output, "%llx %llx %llx", &one, &other, &watched) != POINTS) {
		return scene_fail("no places");
	}
	points[0] = (struct hs_breakpoint){ .kind = HS_BREAK_SOFTWARE, .gva = { one }, .length = 1 };
	points[1] = (struct hs_breakpoint){ .kind = HS_BREAK_HARDWARE, .gva = { other }, .length = 1 };
	points[2] = (struct hs_breakpoint){ .kind = HS_WATCH_WRITE, .gva = { watched }, .length = 4 };
	for (unsigned int i = 0; i < POINTS; i++) {
		if (hs_vm_break_insert(scene->vm, &points[i], &scene_error)) {
			return scene_fail("breakpoint %u", i);
		}
	}
	return true;
}

/* Code is the same wherever it is read: live, and in a snapshot taken now. */
static bool shows_own_code(struct scene *scene, const struct hs_breakpoint *point, uint8_t byte)
{
	const struct hs_snapshot_spec spec = { .generation = 2 };
	struct hs_snapshot *snapshot = NULL;
	const struct hs_snapshot_info *info;
	struct hs_phys phys;
	uint8_t live = 0;
	uint8_t kept = 0;
	size_t length;
	bool good;

	if (hs_snapshot_of_vm(scene->vm, &spec, &snapshot, &scene_error)) {
		return scene_fail("snapshot at a breakpoint");
	}
	info = hs_snapshot_info(snapshot);
	phys = hs_snapshot_phys(snapshot);
	good = hs_vm_mem_read(scene->vm, point->gva, &live, 1, &length, &scene_error) == HS_OK &&
	       hs_vmem_read(&phys, &info->roots[info->current], point->gva, &kept, 1, &length, &scene_error) == HS_OK;
	hs_snapshot_unref(snapshot);
	return (good && live == byte && kept == byte) ||
	       scene_fail("a breakpoint shows: 0x%02x live, 0x%02x in a snapshot, not 0x%02x", live, kept, byte);
}

static bool goes_through(struct scene *scene, const struct hs_breakpoint points[POINTS], const uint8_t bytes[2])
{
	struct hs_event event;

	if (!scene_request(scene, TRACES_TOUCH)) {
		return false;
	}
	for (unsigned int i = 0; i < POINTS; i++) {
		enum hs_event_kind wanted = i < 2 ? HS_EVENT_BREAKPOINT : HS_EVENT_WATCHPOINT;

		if (!scene_run(scene, &event)) {
			return false;
		}
		if (event.kind != wanted || event.breakpoint.gva.v != points[i].gva.v) {
			return scene_fail("breakpoint %u was not hit: event %d", i, event.kind);
		}
		if (i < 2 && !shows_own_code(scene, &points[i], bytes[i])) {
			return false;
		}
	}
	return scene_run(scene, &event) &&
	       (event.kind == HS_EVENT_EXITED || scene_fail("a breakpoint was hit twice: event %d", event.kind));
}

/* One exactly where the run begins, which is the first thing that happens, however it is had: planted, in a register of
 * the CPU, or, because of a watchpoint that no register of KVM's can watch, by steps. */
static bool begins_at_one(struct scene *scene, const struct hs_snapshot *snapshot, struct hs_breakpoint watch,
			  enum hs_break_kind kind)
{
	struct hs_breakpoint begin = { .kind = kind, .length = 1 };
	struct hs_cpu_state cpu;
	struct hs_event event;

	watch.kind = HS_WATCH_READ;
	if (!scene_restore(scene, snapshot, false) || hs_vm_cpu_get(scene->vm, &cpu, &scene_error)) {
		return scene_fail("registers");
	}
	begin.gva.v = cpu.rip;
	if (hs_vm_break_insert(scene->vm, &begin, &scene_error) ||
	    hs_vm_break_insert(scene->vm, &watch, &scene_error)) {
		return scene_fail("breakpoint where the run begins");
	}
	for (unsigned int i = 0; i < CYCLES; i++) {
		if (!scene_restore(scene, snapshot, false) || !scene_request(scene, TRACES_PLACES) ||
		    !scene_run(scene, &event)) {
			return false;
		}
		if (event.kind != HS_EVENT_BREAKPOINT || event.breakpoint.gva.v != begin.gva.v) {
			return scene_fail("kind %d where the run begins was not hit: event %d", kind, event.kind);
		}
		if (!scene_run(scene, &event) || event.kind != HS_EVENT_EXITED) {
			return scene_fail("kind %d where the run begins was hit twice: event %d", kind, event.kind);
		}
	}
	hs_vm_break_clear(scene->vm);
	return true;
}

bool check_debugged(struct scene *scene, const struct hs_snapshot *snapshot)
{
	struct hs_breakpoint points[POINTS];
	uint8_t bytes[2];
	size_t length;

	if (!scene_restore(scene, snapshot, false) || !insert(scene, points)) {
		return false;
	}
	for (unsigned int i = 0; i < 2; i++) {
		if (hs_vm_mem_read(scene->vm, points[i].gva, &bytes[i], 1, &length, &scene_error)) {
			return scene_fail("code");
		}
	}
	for (unsigned int i = 0; i < CYCLES; i++) {
		uint64_t before;
		uint64_t after;

		if (!scene_restore(scene, snapshot, false) || !scene_digest(scene, &before) ||
		    !goes_through(scene, points, bytes) || !scene_restore(scene, snapshot, false) ||
		    !scene_digest(scene, &after)) {
			return scene_fail("cycle %u with breakpoints", i);
		}
		if (before != after) {
			return scene_fail("breakpoints leave something behind");
		}
		/* In the middle: at the first of them. */
		if (!scene_request(scene, TRACES_TOUCH) || !scene_run(scene, &(struct hs_event){ 0 })) {
			return false;
		}
	}
	hs_vm_break_clear(scene->vm);
	return begins_at_one(scene, snapshot, points[2], HS_BREAK_SOFTWARE) &&
	       begins_at_one(scene, snapshot, points[2], HS_BREAK_HARDWARE) && scene_restore(scene, snapshot, false) &&
	       scene_ask(scene, TRACES_TOUCH);
}
