/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between a VM and snapshots, which do not know each other: take one of it, and put it back to one. */
#ifndef HS_SESSION_SNAPSHOT_H
#define HS_SESSION_SNAPSHOT_H

#include "snapshot/snapshot.h"

#include <hindsight/sandbox.h>
#include <hindsight/snapshot.h>
#include <hindsight/vm.h>

#include <stdbool.h>

/** What only who runs the guest knows of it. All pointers are borrowed for the call. */
struct hs_snapshot_spec {
	const struct hs_roots_spec *roots; /* what names them; NULL for what the guest has registered */
	bool ready;                        /* the guest takes calls where it stands */
	uint64_t generation;               /* of the snapshot to take */
	const struct hs_snapshot_function *functions;
	uint32_t function_count;
};

/** What is remembered of the guest of a VM. */
void hs_snapshot_describe(const struct hs_vm *vm, const struct hs_snapshot_spec *spec, struct hs_snapshot_guest *ret);

/** Whether the guest stands where it takes calls, and not at a crash or wherever else somebody has stopped it. */
bool hs_snapshot_takes_calls(const struct hs_snapshot *snapshot);

/** Take a snapshot of a VM that does not run; it is not changed. Fails as hs_snapshot_take() and
 *  hs_roots_find(). */
HS_MUST_CHECK enum hs_status hs_snapshot_of_vm(struct hs_vm *vm, const struct hs_snapshot_spec *spec,
					       struct hs_snapshot **ret, struct hs_error *err);

/**
 * Put a VM to where a snapshot was taken, of this guest or of another. The snapshot must outlive its stay there.
 *
 * @param share  let VMs share what they may; without, a debugger can write anywhere
 *
 * HS_ERR_UNSUPPORTED: a snapshot of another architecture. Others as hs_vm_restore().
 */
HS_MUST_CHECK enum hs_status hs_vm_stand_on(struct hs_vm *vm, const struct hs_snapshot *snapshot, bool share,
					    struct hs_error *err);

/**
 * Make a VM for a snapshot. It has nothing of it yet but the facts, and is to be put there by hs_vm_stand_on(). Fails
 * as hs_vm_create_for().
 */
HS_MUST_CHECK enum hs_status hs_vm_create_from(const struct hs_snapshot *snapshot, const struct hs_vm_config *config,
					       struct hs_vm **ret, struct hs_error *err);

#endif
