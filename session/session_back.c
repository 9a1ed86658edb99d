/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Putting a session's guest back, and where its driver goes on then. */
#include "session/session_private.h"

#include "base/error.h"

enum hs_status hs_session_restore(struct hs_session *session, struct hs_error *err)
{
	enum hs_status st;

	pthread_mutex_lock(&session->lock);
	if (session->phase != PHASE_STOPPED || session->over) {
		st = hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest %s", session->over ? "has ended" : "is running");
	} else if (!session->sandbox->stands_on) {
		st = hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "the guest stands on no snapshot");
	} else {
		st = hs_sandbox_put_back(session->sandbox, session->sandbox->stands_on, err);
	}
	if (!st) {
		session->judged = false;
		session->entry = session->begun ? HS_ENTRY_SNAPSHOT : HS_ENTRY_BEGIN;
		session->again = true;
	}
	pthread_mutex_unlock(&session->lock);
	return st;
}

enum hs_status hs_session_restart(struct hs_session *session, struct hs_error *err)
{
	if (!session->first) {
		return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "where the guest began has not been kept");
	}
	return hs_checkpoint_restore(session, session->first, err);
}

const struct hs_checkpoint *hs_session_first(const struct hs_session *session)
{
	return session->first;
}

uint64_t hs_session_restores(const struct hs_session *session)
{
	return session->sandbox->restores;
}

void hs_session_checkpoint_bytes(const struct hs_session *session, uint64_t *ret_bytes, uint64_t *ret_limit)
{
	*ret_bytes = session->pool.bytes;
	*ret_limit = session->pool.limit;
}

void hs_session_set_place(struct hs_session *session, const struct hs_place *place)
{
	struct hs_snapshot *before;

	pthread_mutex_lock(&session->lock);
	before = session->place.snapshot;
	session->place = *place;
	if (place->snapshot) {
		hs_snapshot_ref(place->snapshot);
	}
	pthread_mutex_unlock(&session->lock);
	hs_snapshot_unref(before);
}

enum hs_entry hs_session_entry(struct hs_session *session, struct hs_place *ret)
{
	enum hs_entry entry;

	pthread_mutex_lock(&session->lock);
	entry = session->entry;
	*ret = session->place;
	pthread_mutex_unlock(&session->lock);
	return entry;
}

enum hs_status hs_session_finish_start(struct hs_session *session, struct hs_error *err)
{
	return hs_sandbox_finish_start(session->sandbox, err);
}

enum hs_status hs_session_finish_call(struct hs_session *session, const char *name, struct hs_value *ret,
				      struct hs_error *err)
{
	return hs_sandbox_finish_call(session->sandbox, name, ret, err);
}
