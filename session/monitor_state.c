/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Monitor commands that keep the guest's state, or put it back. */
#include "session/monitor.h"

#include "base/error.h"
#include "session/dump.h"

#include <stdio.h>
#include <string.h>

/*
 * DIR/NAME in caller's storage; the directory alone without a name. A debugger that may be somebody else's gets no
 * say in the directory.
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
	return HS_OK;
}

enum hs_status hs_monitor_core(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_core_result result;
	struct hs_dump_spec spec;
	struct hs_buf log;
	char path[4096];
	enum hs_status st = core_path(live, argument, path, sizeof(path), err);

	if (st) {
		return st;
	}
	hs_dump_describe(hs_session_sandbox(live->config.session), &spec, &log);
	spec.crash = live->crash_pending || live->end == HS_LIVE_CRASHED ? &live->result.event.crash : NULL;
	spec.path = path;
	spec.options = &live->config.core_options;
	st = hs_dump_write(live->vm, &spec, &result, err);
	hs_buf_deinit(&log);
	if (st) {
		return st;
	}
	hs_buf_printf(out, "core: %s (%llu bytes)\n", result.path, (unsigned long long)result.bytes);
	return HS_OK;
}

enum hs_status hs_monitor_restore(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	enum hs_status st;

	(void)argument;
	if (live->end != HS_LIVE_NOT_ENDED) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest has ended");
	}
	st = hs_session_restore(live->config.session, err);
	if (st) {
		return st;
	}
	hs_live_begin_again(live);
	/* No packet tells a client that a stopped target has changed (gdb manual, Packets). */
	hs_buf_append_string(out,
			     "the guest is where its snapshot was taken; in gdb, 'maintenance flush register-cache' "
			     "shows it before the next stop\n");
	return HS_OK;
}
