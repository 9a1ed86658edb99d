/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <hindsight/debug.h>: a session whose driver is the program's, a target that shows it, and the stub in between. */
#include <hindsight/debug.h>

#include "base/error.h"
#include "session/dump.h"
#include "session/session.h"
#include "session/target_live.h"

#include <hindsight/gdb.h>

#include <stdio.h>
#include <stdlib.h>

struct debug {
	const struct hs_debug_config *config;
	const struct hs_sandbox_config *sandbox;
	struct hs_session *session;
	struct hs_gdb_listener *listener;
	char *cores; /* its directory, with a slash behind: a name is never that of the core itself */
};

/* A guest that was put into the middle of a start or a call comes out of it first: the program knows nothing of it. */
static int drive(void *ctx, struct hs_session *session)
{
	const struct debug *debug = ctx;
	struct hs_place place;

	if (hs_session_entry(session, &place) == HS_ENTRY_INSIDE) {
		enum hs_status st = hs_session_finish_start(session, NULL);

		if (st == HS_ERR_INTERRUPTED) {
			return 0;
		}
	}
	return debug->config->drive(debug->config->ctx, hs_session_sandbox(session));
}

static void hand_log(void *ctx, uint32_t level, const char *text, size_t length)
{
	const struct debug *debug = ctx;

	if (debug->sandbox->log) {
		debug->sandbox->log(debug->sandbox->log_ctx, level, text, length);
	}
}

static void write_core(void *ctx, const struct hs_crash *crash)
{
	const struct debug *debug = ctx;
	const struct hs_sandbox_config *config = debug->sandbox;
	struct hs_core_result result = { 0 };
	struct hs_error err = { 0 };
	enum hs_status st;

	if (!config->cores) {
		return;
	}
	st = hs_dump_sandbox(hs_session_sandbox(debug->session), crash, debug->cores, &config->core_options, &result,
			     &err);
	if (config->core_written) {
		config->core_written(config->core_ctx, st, &result, &err);
	}
}

static enum hs_status make_session(struct debug *debug, const char *image_path, struct hs_error *err)
{
	struct hs_vm_config vm = debug->sandbox->vm;
	const struct hs_session_config config = {
		.vm = &vm,
		.limit_ns = debug->sandbox->limit_ns,
		.drive = drive,
		.cycles = true,
		.log = hand_log,
		.ctx = debug,
		.roots = &debug->sandbox->roots,
	};

	vm.debugger = true;
	if (debug->config->snapshot) {
		return hs_session_create_from(debug->config->snapshot, &config, &debug->session, err);
	}
	return hs_session_create(image_path, &config, &debug->session, err);
}

static enum hs_status settle(struct hs_live *live, enum hs_gdb_end served, struct hs_debug_result *ret,
			     struct hs_error *err)
{
	struct hs_session_result result;

	switch (hs_live_end(live, &result)) {
	case HS_LIVE_EXITED:
		*ret = (struct hs_debug_result){ .end = HS_DEBUG_EXITED, .exit_status = result.event.exit_status };
		break;
	case HS_LIVE_CRASHED:
		*ret = (struct hs_debug_result){ .end = HS_DEBUG_CRASHED, .crash = result.event.crash };
		break;
	case HS_LIVE_KILLED:
		*ret = (struct hs_debug_result){ .end = HS_DEBUG_KILLED };
		break;
	case HS_LIVE_FAILED:
		if (err) {
			*err = result.error;
		}
		return result.status;
	case HS_LIVE_NOT_ENDED:
		*ret = (struct hs_debug_result){ .end = served == HS_GDB_END_CLOSED ? HS_DEBUG_CLOSED
										    : HS_DEBUG_STOPPED };
		break;
	}
	return HS_OK;
}

static enum hs_status serve(struct debug *debug, struct hs_debug_result *ret, struct hs_error *err)
{
	const struct hs_debug_config *config = debug->config;
	const struct hs_live_config live_config = {
		.session = debug->session,
		.crashed = write_core,
		.ctx = debug,
		.core_dir = debug->sandbox->cores,
		.core_options = debug->sandbox->core_options,
		.confined = config->allow_remote,
	};
	const struct hs_gdb_serve_options options = { .stop_fd = config->stop_fd };
	struct hs_target target;
	struct hs_live *live;
	enum hs_gdb_end end;
	enum hs_status st = hs_live_create(&live_config, &live, err);

	if (st) {
		return st;
	}
	target = hs_live_target(live);
	if (config->waiting) {
		config->waiting(config->ctx, hs_gdb_listener_address(debug->listener));
	}
	st = hs_gdb_serve(debug->listener, &target, &options, &end, err);
	st = st ? st : settle(live, end, ret, err);
	hs_live_destroy(live);
	return st;
}

enum hs_status hs_debug(const char *image_path, const struct hs_debug_config *config, struct hs_debug_result *ret,
			struct hs_error *err)
{
	static const struct hs_sandbox_config defaults;
	struct debug debug = { .config = config, .sandbox = config->sandbox ? config->sandbox : &defaults };
	enum hs_status st;

	if (debug.sandbox->cores && asprintf(&debug.cores, "%s/", debug.sandbox->cores) < 0) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a debugger's guest");
	}
	st = hs_gdb_listen(config->address, config->allow_remote, &debug.listener, err);
	st = st ? st : make_session(&debug, image_path, err);
	st = st ? st : serve(&debug, ret, err);
	hs_session_destroy(debug.session);
	hs_gdb_listener_close(debug.listener);
	free(debug.cores);
	return st;
}
