/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VM bit by bit at any instant at which it stands: all memory, all registers, what its devices remember. Nothing is
 * moved or made dense, as snapshots are, and the guest need not be ready for anything: it may be in the middle of a
 * call, in a fault handler, at a crash.
 *
 * A checkpoint has the pages that differ from what the VM's memory came from: the snapshot that it stands on, or for a
 * guest that was booted here, zeros and the files of its mappings. Breakpoints are the debugger's and not in it.
 */
#ifndef HS_VMM_CHECKPOINT_H
#define HS_VMM_CHECKPOINT_H

#include <hindsight/cpu.h>
#include <hindsight/error.h>
#include <hindsight/vm.h>

#include <stdint.h>

/** What the pages of several checkpoints take together. Caller's storage, which outlives them. */
struct hs_checkpoint_pool {
	uint64_t bytes; /**< taken */
	uint64_t limit; /**< most that may be; 0 for as much as the host gives */
};

/** Pages and registers of one instant. It belongs to the VM that it was taken of. */
struct hs_vm_checkpoint;

/**
 * Take one. The VM is not changed.
 *
 * HS_ERR_STATE: the guest has ended, or its memory is in pieces. HS_ERR_EXHAUSTED: the pool is full; the message says
 * what it would take. HS_ERR_NOMEM, HS_ERR_IO, HS_ERR_BACKEND.
 *
 * @param like  another one of this VM, which pages that are the same are shared with; NULL for none. Either may be
 *              destroyed first
 * @param pool  borrowed until hs_vm_checkpoint_destroy()
 */
HS_MUST_CHECK enum hs_status hs_vm_checkpoint_take(struct hs_vm *vm, const struct hs_vm_checkpoint *like,
						   struct hs_checkpoint_pool *pool, struct hs_vm_checkpoint **ret,
						   struct hs_error *err);
/** Free it; NULL is fine. */
void hs_vm_checkpoint_destroy(struct hs_vm_checkpoint *checkpoint);

/**
 * Put the VM there, from wherever it is by now: another snapshot, its end. All that a snapshot of it came from must
 * still be there (struct hs_memory_image borrows it). Memory, registers and devices are those of the checkpoint bit by
 * bit, but for the TSC, which goes on from there; breakpoints stay. The cost follows the pages that were written since
 * the snapshot below both; for a guest that was booted here, its memory.
 *
 * HS_ERR_NOMEM, HS_ERR_IO, HS_ERR_EXHAUSTED, HS_ERR_BACKEND: the VM is in pieces, as after hs_vm_restore().
 */
HS_MUST_CHECK enum hs_status hs_vm_checkpoint_restore(struct hs_vm *vm, const struct hs_vm_checkpoint *checkpoint,
						      struct hs_error *err);

/** How many pages it has, shared ones counted. */
uint64_t hs_vm_checkpoint_pages(const struct hs_vm_checkpoint *checkpoint);
/** Its registers; borrowed. */
const struct hs_cpu_state *hs_vm_checkpoint_cpu(const struct hs_vm_checkpoint *checkpoint);

#endif
