/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/checkpoint.h"

#include "base/error.h"
#include "session/session_private.h"
#include "vmm/checkpoint.h"

#include <stdlib.h>

struct hs_checkpoint {
	struct hs_vm_checkpoint *vm;
	/* The sandbox's. */
	struct hs_snapshot *stands_on, *taken; /* an owner of each */
	enum hs_sandbox_state state;
	uint64_t generation;
	struct hs_trail trail;
	struct hs_crash crash;
	bool has_crash;
	/* The session's. */
	struct hs_place place; /* an owner of its snapshot */
	bool begun, judged;
	uint64_t left_ns;
};

static struct hs_snapshot *own(struct hs_snapshot *snapshot)
{
	return snapshot ? hs_snapshot_ref(snapshot) : NULL;
}

/* The lock is held. */
static void remember(const struct hs_session *session, struct hs_checkpoint *checkpoint)
{
	const struct hs_sandbox *sandbox = session->sandbox;

	checkpoint->stands_on = own(sandbox->stands_on);
	checkpoint->taken = own(sandbox->taken);
	checkpoint->state = sandbox->state;
	checkpoint->generation = sandbox->generation;
	checkpoint->trail = sandbox->trail;
	checkpoint->crash = sandbox->crash;
	checkpoint->has_crash = sandbox->has_crash;
	checkpoint->place = session->place;
	checkpoint->place.snapshot = own(session->place.snapshot);
	checkpoint->begun = session->begun;
	checkpoint->judged = session->judged;
	checkpoint->left_ns = session->left_ns;
}

static void replace(struct hs_snapshot **owner, struct hs_snapshot *snapshot)
{
	struct hs_snapshot *before = *owner;

	*owner = own(snapshot);
	hs_snapshot_unref(before);
}

/* The lock is held. */
static void recall(struct hs_session *session, const struct hs_checkpoint *checkpoint)
{
	struct hs_sandbox *sandbox = session->sandbox;

	replace(&sandbox->stands_on, checkpoint->stands_on);
	replace(&sandbox->taken, checkpoint->taken);
	sandbox->state = checkpoint->state;
	sandbox->generation = checkpoint->generation;
	sandbox->trail = checkpoint->trail;
	sandbox->crash = checkpoint->crash;
	sandbox->has_crash = checkpoint->has_crash || checkpoint->judged;
	replace(&session->place.snapshot, checkpoint->place.snapshot);
	session->place.step = checkpoint->place.step;
	session->place.cycle = checkpoint->place.cycle;
	session->place.call = checkpoint->place.call;
	session->left_ns = checkpoint->left_ns;
	session->begun = checkpoint->begun;
	session->judged = checkpoint->judged;
	session->entry = checkpoint->begun ? HS_ENTRY_INSIDE : HS_ENTRY_BEGIN;
	session->over = false;
	session->again = true;
}

enum hs_status hs_checkpoint_take(struct hs_session *session, const struct hs_checkpoint *like,
				  struct hs_checkpoint **ret, struct hs_error *err)
{
	struct hs_checkpoint *checkpoint = calloc(1, sizeof(*checkpoint));
	enum hs_status st;

	if (!checkpoint) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a checkpoint");
	}
	pthread_mutex_lock(&session->lock);
	if (session->phase != PHASE_STOPPED || session->over) {
		st = hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest %s", session->over ? "has ended" : "is running");
	} else {
		st = hs_vm_checkpoint_take(session->vm, like ? like->vm : NULL, &session->pool, &checkpoint->vm, err);
	}
	if (!st) {
		remember(session, checkpoint);
	}
	pthread_mutex_unlock(&session->lock);
	if (st) {
		free(checkpoint);
		return st;
	}
	*ret = checkpoint;
	return HS_OK;
}

void hs_checkpoint_destroy(struct hs_checkpoint *checkpoint)
{
	if (!checkpoint) {
		return;
	}
	hs_vm_checkpoint_destroy(checkpoint->vm);
	hs_snapshot_unref(checkpoint->stands_on);
	hs_snapshot_unref(checkpoint->taken);
	hs_snapshot_unref(checkpoint->place.snapshot);
	free(checkpoint);
}

enum hs_status hs_checkpoint_restore(struct hs_session *session, const struct hs_checkpoint *checkpoint,
				     struct hs_error *err)
{
	enum hs_status st;

	pthread_mutex_lock(&session->lock);
	if (session->phase != PHASE_STOPPED) {
		st = hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest is running");
	} else {
		st = hs_vm_checkpoint_restore(session->vm, checkpoint->vm, err);
	}
	if (!st) {
		recall(session, checkpoint);
	} else if (session->phase == PHASE_STOPPED) {
		session->sandbox->state = HS_SANDBOX_UNUSABLE;
	}
	pthread_mutex_unlock(&session->lock);
	return st;
}

uint64_t hs_checkpoint_pages(const struct hs_checkpoint *checkpoint)
{
	return hs_vm_checkpoint_pages(checkpoint->vm);
}

const struct hs_cpu_state *hs_checkpoint_cpu(const struct hs_checkpoint *checkpoint)
{
	return hs_vm_checkpoint_cpu(checkpoint->vm);
}
