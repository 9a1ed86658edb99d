/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Monitor commands that keep the guest's state, or put it back. */
#include "session/monitor.h"

#include "base/error.h"
#include "session/checkpoint.h"
#include "session/dump.h"
#include "session/live_kept.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool is_directory(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/*
 * DIR/NAME in caller's storage; the directory alone without a name. A debugger that may be somebody else's gets no
 * say in the directory: a name that is one already ("..") would be taken for it.
 */
static enum hs_status core_path(const struct hs_live *live, const char *name, char *ret, size_t size,
				struct hs_error *err)
{
	const char *dir = live->config.core_dir ? live->config.core_dir : ".";
	int length;

	if (live->config.confined && strchr(name, '/')) {
		return hs_error_set(err, HS_ERR_PERMISSION, 0, 0, "core %s: give a name without '/'", name);
	}
	if (name[0] == '/') {
		dir = "";
	}
	length = snprintf(ret, size, "%s%s%s", dir, name[0] && dir[0] ? "/" : "", name);
	if (length < 0 || (size_t)length >= size) {
		return hs_error_set(err, HS_ERR_RANGE, 0, 0, "the core's name is too long");
	}
	if (live->config.confined && name[0] && is_directory(ret)) {
		return hs_error_set(err, HS_ERR_PERMISSION, 0, 0, "core %s: give the name of a file", name);
	}
	return HS_OK;
}

enum hs_status hs_monitor_core(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_live *live = ctx;
	const bool crashed = live->crash_pending || live->end == HS_LIVE_CRASHED;
	struct hs_core_result result;
	char path[4096];
	enum hs_status st = core_path(live, argument, path, sizeof(path), err);

	st = st ? st
		: hs_dump_sandbox(hs_session_sandbox(live->config.session), crashed ? &live->result.event.crash : NULL,
				  path, &live->config.core_options, &result, err);
	if (st) {
		return st;
	}
	hs_buf_printf(out, "core: %s (%llu bytes)\n", result.path, (unsigned long long)result.bytes);
	return HS_OK;
}

/* No packet tells a client that a stopped target has changed (gdb manual, Packets). */
static void put_restored(const char *where, struct hs_buf *out)
{
	hs_buf_printf(out,
		      "the guest is where %s; in gdb, 'maintenance flush register-cache' "
		      "shows it before the next stop\n",
		      where);
}

static enum hs_status restore_named(struct hs_live *live, const char *name, struct hs_buf *out, struct hs_error *err)
{
	char where[HS_LIVE_NAME_MAX + 32];
	enum hs_status st;

	if (strcmp(name, HS_LIVE_FIRST_NAME) != 0) {
		st = hs_live_go_back(live, name, err);
		snprintf(where, sizeof(where), "checkpoint %.*s was taken", (int)HS_LIVE_NAME_MAX, name);
	} else {
		st = hs_session_restart(live->config.session, err);
		if (!st) {
			hs_live_begin_again(live);
		}
		snprintf(where, sizeof(where), "its session began");
	}
	if (!st) {
		put_restored(where, out);
	}
	return st;
}

enum hs_status hs_monitor_restore(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_live *live = ctx;
	enum hs_status st;

	if (live->end != HS_LIVE_NOT_ENDED) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest has ended");
	}
	if (argument[0]) {
		st = restore_named(live, argument, out, err);
		live->stats.restores += !st;
		return st;
	}
	st = hs_session_restore(live->config.session, err);
	if (st) {
		return st;
	}
	live->stats.restores++;
	hs_live_begin_again(live);
	put_restored("its snapshot was taken", out);
	return HS_OK;
}

enum hs_status hs_monitor_snapshot(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_live *live = ctx;
	struct hs_live_kept_info info = { .pages = 0 };
	bool replaced;
	enum hs_status st;

	if (live->end != HS_LIVE_NOT_ENDED) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest has ended");
	}
	st = hs_live_keep(live, argument, &replaced, err);
	if (st) {
		return st;
	}
	(void)hs_live_kept_info(live, live->kept_count - 1, &info);
	hs_buf_printf(out, "checkpoint %s: %llu pages%s\n", argument, (unsigned long long)info.pages,
		      replaced ? " (the one before is gone)" : "");
	return HS_OK;
}

enum hs_status hs_monitor_forget(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_live *live = ctx;
	enum hs_status st;

	if (strcmp(argument, HS_LIVE_FIRST_NAME) == 0) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "'%s' is where the session began, and stays", argument);
	}
	st = hs_live_drop(live, argument, err);

	if (!st) {
		hs_buf_printf(out, "checkpoint %s is gone\n", argument);
	}
	return st;
}

static const char *stop_text(const struct hs_stop *stop)
{
	static const char *const texts[] = {
		[HS_STOP_SIGNAL] = "at a fault",
		[HS_STOP_STEPPED] = "between two instructions",
		[HS_STOP_SWBREAK] = "at a breakpoint",
		[HS_STOP_HWBREAK] = "at a breakpoint",
		[HS_STOP_WATCH] = "behind an access that is watched",
		[HS_STOP_INTERRUPTED] = "interrupted",
	};

	return stop->kind < sizeof(texts) / sizeof(texts[0]) && texts[stop->kind] ? texts[stop->kind] : "";
}

static void put_kept(const struct hs_live_kept_info *info, const char *text, struct hs_buf *out)
{
	hs_buf_printf(out, "%-10s 0x%llx %8llu pages  %s\n", info->name, (unsigned long long)info->rip,
		      (unsigned long long)info->pages, text);
}

enum hs_status hs_monitor_snapshots(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_live *live = ctx;
	const struct hs_checkpoint *first = hs_session_first(live->config.session);
	struct hs_live_kept_info info;

	(void)argument;
	(void)err;
	if (first) {
		info = (struct hs_live_kept_info){
			HS_LIVE_FIRST_NAME, hs_checkpoint_cpu(first)->rip, hs_checkpoint_pages(first), { 0 }
		};
		put_kept(&info, "where the session began", out);
	}
	for (size_t i = 0; hs_live_kept_info(live, i, &info); i++) {
		put_kept(&info, stop_text(&info.stop), out);
	}
	return HS_OK;
}
