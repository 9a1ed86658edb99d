/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checkpoints of a session: the guest bit by bit (vmm/checkpoint.h), and with it what the host knows of its life: which
 * call it is in, what it has done so far, what is left of its time. A debugger takes one wherever the guest stands, and
 * puts the guest back there as often as it likes, also when it has ended.
 */
#ifndef HS_SESSION_CHECKPOINT_H
#define HS_SESSION_CHECKPOINT_H

#include "session/session.h"

#include <hindsight/cpu.h>
#include <hindsight/error.h>

#include <stdint.h>

/** One; it belongs to its session and is to be destroyed before that. */
struct hs_checkpoint;

/**
 * Take one of a guest that is stopped; it is not changed.
 *
 * HS_ERR_STATE: it runs, or has ended. Others as hs_vm_checkpoint_take(), with the session's pool.
 *
 * @param like  another one of this session, which pages that are the same are shared with; NULL for none
 */
HS_MUST_CHECK enum hs_status hs_checkpoint_take(struct hs_session *session, const struct hs_checkpoint *like,
						struct hs_checkpoint **ret, struct hs_error *err);
/** Free it; NULL is fine. */
void hs_checkpoint_destroy(struct hs_checkpoint *checkpoint);

/**
 * Put the guest back there. It stands, and goes on from there when it is started, its driver too: see
 * hs_session_entry(). HS_ERR_STATE: it runs. Others as hs_vm_checkpoint_restore().
 */
HS_MUST_CHECK enum hs_status hs_checkpoint_restore(struct hs_session *session, const struct hs_checkpoint *checkpoint,
						   struct hs_error *err);

/** How many pages it has that differ from what its guest's memory came from. */
uint64_t hs_checkpoint_pages(const struct hs_checkpoint *checkpoint);
/** Its registers; borrowed. */
const struct hs_cpu_state *hs_checkpoint_cpu(const struct hs_checkpoint *checkpoint);

#endif
