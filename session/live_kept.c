/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/live_kept.h"

#include "base/error.h"
#include "session/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

struct hs_live_kept {
	char name[HS_LIVE_NAME_MAX];
	struct hs_checkpoint *checkpoint; /* owned */
	struct hs_stop stop;
	struct hs_session_result result;
	bool crash_pending;
	bool changed; /* since that crash, by the debugger */
};

static size_t find(const struct hs_live *live, const char *name)
{
	size_t i = 0;

	while (i < live->kept_count && strcmp(live->kept[i]->name, name) != 0) {
		i++;
	}
	return i;
}

static void destroy(struct hs_live_kept *kept)
{
	hs_checkpoint_destroy(kept->checkpoint);
	free(kept);
}

static enum hs_status check_name(const char *name, struct hs_error *err)
{
	size_t length = strlen(name);

	if (length == 0 || length >= HS_LIVE_NAME_MAX || strspn(name, NAME_CHARACTERS) != length) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "a name has up to %u letters, digits, '_', '.' and '-'",
				    HS_LIVE_NAME_MAX - 1);
	}
	if (strcmp(name, HS_LIVE_FIRST_NAME) == 0) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "'%s' is where the session began", name);
	}
	return HS_OK;
}

static enum hs_status take(struct hs_live *live, const char *name, struct hs_live_kept **ret, struct hs_error *err)
{
	struct hs_live_kept *kept = calloc(1, sizeof(*kept));
	const struct hs_checkpoint *like = live->kept_count > 0 ? live->kept[live->kept_count - 1]->checkpoint
								: hs_session_first(live->config.session);
	enum hs_status st;

	if (!kept) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a checkpoint");
	}
	st = hs_checkpoint_take(live->config.session, like, &kept->checkpoint, err);
	if (st) {
		free(kept);
		return st;
	}
	memcpy(kept->name, name, strlen(name) + 1);
	kept->stop = live->stop;
	kept->result = live->result;
	kept->crash_pending = live->crash_pending;
	kept->changed = live->crash_pending && hs_live_changed_since_crash(live);
	*ret = kept;
	return HS_OK;
}

enum hs_status hs_live_keep(struct hs_live *live, const char *name, bool *ret_replaced, struct hs_error *err)
{
	struct hs_live_kept *kept = NULL;
	enum hs_status st = check_name(name, err);
	size_t at = find(live, name);

	if (!st && at == HS_LIVE_KEPT_MAX) {
		st = hs_error_set(err, HS_ERR_EXHAUSTED, 0, 0,
				  "there are %u checkpoints already ('monitor forget NAME' drops one)",
				  HS_LIVE_KEPT_MAX);
	}
	st = st ? st : take(live, name, &kept, err);
	if (st) {
		return st;
	}
	*ret_replaced = at < live->kept_count;
	if (*ret_replaced) {
		(void)!hs_live_drop(live, name, NULL);
	}
	live->kept[live->kept_count++] = kept;
	return HS_OK;
}

static enum hs_status not_found(const char *name, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "no checkpoint '%s' ('monitor snapshots' lists them)", name);
}

enum hs_status hs_live_go_back(struct hs_live *live, const char *name, struct hs_error *err)
{
	size_t at = find(live, name);
	const struct hs_live_kept *kept;
	enum hs_status st;

	if (at == live->kept_count) {
		return not_found(name, err);
	}
	kept = live->kept[at];
	st = hs_checkpoint_restore(live->config.session, kept->checkpoint, err);
	if (st) {
		return st;
	}
	live->end = HS_LIVE_NOT_ENDED;
	live->final = false;
	live->stop = kept->stop;
	live->result = kept->result;
	live->crash_pending = kept->crash_pending;
	if (live->crash_pending) {
		/* What the CPU makes of the registers that it is given it may put another way. */
		hs_live_note_crash(live);
		live->memory_changed = kept->changed;
	}
	return HS_OK;
}

enum hs_status hs_live_drop(struct hs_live *live, const char *name, struct hs_error *err)
{
	size_t at = find(live, name);

	if (at == live->kept_count) {
		return not_found(name, err);
	}
	destroy(live->kept[at]);
	live->kept_count--;
	for (size_t i = at; i < live->kept_count; i++) {
		live->kept[i] = live->kept[i + 1];
	}
	return HS_OK;
}

bool hs_live_kept_info(const struct hs_live *live, size_t index, struct hs_live_kept_info *ret)
{
	const struct hs_live_kept *kept;

	if (index >= live->kept_count) {
		return false;
	}
	kept = live->kept[index];
	*ret = (struct hs_live_kept_info){
		.name = kept->name,
		.rip = hs_checkpoint_cpu(kept->checkpoint)->rip,
		.pages = hs_checkpoint_pages(kept->checkpoint),
		.stop = kept->stop,
	};
	return true;
}

void hs_live_drop_all(struct hs_live *live)
{
	while (live->kept_count > 0) {
		destroy(live->kept[--live->kept_count]);
	}
}
