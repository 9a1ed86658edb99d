/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the programs of this folder have in common: a guest, what it writes, and how they say what is wrong. */
#ifndef HS_TESTS_SNAPSHOT_RUN_H
#define HS_TESTS_SNAPSHOT_RUN_H

#include <hindsight/hindsight.h>

#include <stdbool.h>
#include <stdint.h>

#define OUTPUT_MAX 4096
/** Exit status of a program that cannot run its guest here. */
#define SKIPPED 77

/** A guest and what it has written since it went on last. */
struct run {
	struct hs_vm *vm;
	char output[OUTPUT_MAX]; /* NUL-terminated */
	size_t length;
};

/** Of what failed last. */
extern struct hs_error error;

/** Say what is wrong, with the message of error if it has one, on standard error; 1. */
int fail(const char *what);

/** A console (struct hs_vm_config): ctx is the struct run. What is more than OUTPUT_MAX is left out. */
void run_keep(void *ctx, const void *bytes, size_t length);

/**
 * Make a guest. 0, 1 after fail(), or SKIPPED where this host's KVM is not there or does not run it, which is said.
 *
 * @param backend  "kvm" or "soft"
 * @param config   of everything but the backend
 */
int run_create(const char *backend, const char *image, struct hs_vm_config *config, struct hs_vm **ret);

/** To the next stop, which is expected to be of this kind, and an exit to have status 0. */
int run_go_on(struct run *run, enum hs_event_kind expected);
/** To where the guest is ready. */
int run_to_ready(struct hs_vm *vm);

/** A snapshot of the guest as it stands. 0, or 1 after fail(). @param ret  owned by the caller */
int run_snapshot(struct hs_vm *vm, uint64_t generation, struct hs_snapshot **ret);
/** Put the guest to a snapshot, what may be shared shared or not. */
int run_restore(struct hs_vm *vm, const struct hs_snapshot *snapshot, bool share);

#endif
