/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the parts of `traces` share: VMs that run guest/programs/traces.c, and asking that guest for something. Whatever
 * goes wrong is printed in one line and makes the function return false; a backend that cannot run the guest here ends
 * the program with 77.
 */
#ifndef HS_TESTS_SNAPSHOT_SCENE_H
#define HS_TESTS_SNAPSHOT_SCENE_H

#include "session/snapshot.h"

#include "guest/programs/traces.h"

#include <hindsight/hindsight.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUT_MAX 4096

struct scene {
	struct hs_vm *vm;
	char output[OUTPUT_MAX]; /* of the last run, NUL-terminated */
	size_t output_length;
	bool interrupts; /* when the guest says TRACES_READY */
};

extern struct hs_error scene_error;

/** Print what failed, and scene_error if it says something; false. */
bool scene_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** A VM for the image, with what else the guest of `traces` wants if `waits`. */
bool scene_create(struct scene *scene, const char *backend, const char *image, bool waits);
/** A VM that has nothing yet but what the snapshot knows of its guest. */
bool scene_create_from(struct scene *scene, const char *backend, const struct hs_snapshot *snapshot);
void scene_destroy(struct scene *scene);
/** Run until an event. */
bool scene_run(struct scene *scene, struct hs_event *ret);
/** Run from the entry point to where the guest waits. */
bool scene_start(struct scene *scene);
/** Let the guest that waits find a request. */
bool scene_request(struct scene *scene, uint32_t request);
/** The same, run, and expect it to exit with 0. */
bool scene_ask(struct scene *scene, uint32_t request);
/** Put it to a snapshot, and see that no page counts as written. */
bool scene_restore(struct scene *scene, const struct hs_snapshot *snapshot, bool share);
/** A digest of all registers as the CPU has them, and of all memory. */
bool scene_digest(struct scene *scene, uint64_t *ret);

#endif
