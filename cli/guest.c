/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/guest.h"

#include "base/error.h"
#include "cli/cli.h"
#include "cli/console.h"
#include "cli/listen.h"
#include "cli/report.h"
#include "cli/save.h"
#include "cli/signals.h"
#include "session/session.h"
#include "session/target_live.h"
#include "vmm/call.h"

#include <hindsight/gdb.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const hs_guest_backends[] = { "auto", "kvm", "soft", NULL };

/* One run of the command. */
struct run {
	const struct hs_guest_spec *spec;
	const struct hs_guest_options *options; /* of the spec */
	struct hs_signals signals;
	struct hs_console console;
	struct hs_session *session;
	struct hs_gdb_listener *listener;
	struct hs_crash reported_crash; /* the one that has been printed last, if any has */
	bool reported;
	bool in_a_hurry; /* a signal or the time limit has asked for the end */
	bool saved;      /* the snapshot */
};

static bool wants_core(const struct run *run)
{
	return strcmp(run->options->core, "none") != 0;
}

/* Print what happened, once. */
static void report(struct run *run, const struct hs_crash *crash)
{
	const struct hs_crash *before = &run->reported_crash;

	if (run->reported && before->rip == crash->rip && strcmp(before->text, crash->text) == 0) {
		return;
	}
	run->reported = true;
	run->reported_crash = *crash;
	hs_report_crash(hs_session_vm(run->session), crash);
}

static void write_core(struct run *run, const struct hs_crash *crash, const char *directory)
{
	hs_report_core(hs_session_vm(run->session), hs_session_command_line(run->session), crash, directory);
}

/* The guest's last words. Who has asked for the end need not wait for a reader. */
static void end_output(struct run *run, bool in_a_hurry)
{
	run->in_a_hurry |= in_a_hurry;
	if (run->in_a_hurry) {
		hs_console_flush_now(&run->console);
	} else {
		hs_console_flush(&run->console, run->signals.stop_fd);
	}
}

/* A crash is final. */
static void on_crash(void *ctx, const struct hs_crash *crash)
{
	struct run *run = ctx;

	end_output(run, crash->reason == HS_CRASH_HANG);
	report(run, crash);
	if (wants_core(run)) {
		write_core(run, crash, run->options->core);
	}
}

static int status_of_crash(const struct hs_crash *crash)
{
	return crash->reason == HS_CRASH_HANG ? HS_EXIT_TIMEOUT : HS_EXIT_SIGNAL + crash->signal;
}

static int status_of_end(enum hs_live_end end, const struct hs_session_result *result)
{
	switch (end) {
	case HS_LIVE_EXITED:
		return result->event.exit_status;
	case HS_LIVE_CRASHED:
		return status_of_crash(&result->event.crash);
	case HS_LIVE_FAILED:
		return hs_cli_failed(&result->error);
	case HS_LIVE_KILLED:
	case HS_LIVE_NOT_ENDED:
		break;
	}
	return HS_EXIT_SIGNAL + SIGKILL;
}

/* How serving came to its end, as an exit status. */
static int settle_debugged(struct run *run, struct hs_live *live, enum hs_gdb_end end)
{
	struct hs_session_result result;
	enum hs_live_end how = hs_live_end(live, &result);

	end_output(run, end == HS_GDB_END_STOPPED);
	if (how == HS_LIVE_NOT_ENDED && end == HS_GDB_END_STOPPED) {
		return HS_EXIT_SIGNAL + hs_signals_take_stop(&run->signals);
	}
	if (how == HS_LIVE_NOT_ENDED && end == HS_GDB_END_CLOSED) {
		hs_cli_say("the debugger has gone without a detach");
		return HS_EXIT_SIGNAL + SIGHUP;
	}
	return status_of_end(how, &result);
}

/* Serve the guest as it stands; at is the crash it stands at, or NULL. */
static int debug(struct run *run, const struct hs_event *at)
{
	struct hs_live_config config = {
		.session = run->session,
		.crashed = on_crash,
		.ctx = run,
		.core_dir = wants_core(run) ? run->options->core : NULL,
		.confined = run->options->gdb_allow_remote,
	};
	struct hs_gdb_serve_options serve = { .stop_fd = run->signals.stop_fd };
	struct hs_target target;
	struct hs_live *live;
	enum hs_gdb_end end;
	struct hs_error err;
	int status;

	if (hs_live_create(&config, &live, &err)) {
		return hs_cli_failed(&err);
	}
	if (at) {
		hs_live_stand_at(live, at);
	}
	target = hs_live_target(live);
	hs_cli_say_waiting(hs_gdb_listener_address(run->listener));
	if (hs_gdb_serve(run->listener, &target, &serve, &end, &err)) {
		status = hs_cli_failed(&err);
	} else {
		status = settle_debugged(run, live, end);
	}
	hs_live_destroy(live);
	return status;
}

static enum hs_status listen_for_debugger(struct run *run, const char *address, struct hs_error *err)
{
	return hs_cli_listen(address, run->options->gdb_allow_remote, &run->listener, err);
}

/* The guest has crashed with nobody attached. */
static int handle_crash(struct run *run, const struct hs_event *event)
{
	struct hs_error err;

	if (run->options->gdb_on_crash) {
		report(run, &event->crash);
		if (listen_for_debugger(run, run->options->gdb_on_crash, &err) == HS_OK) {
			return debug(run, event);
		}
		hs_cli_say("no debugger: %s", err.message);
	}
	on_crash(run, &event->crash);
	return status_of_crash(&event->crash);
}

/*
 * A signal has come while the guest runs: stop the guest for it. True: *ret_status is how the command ends, or
 * *result is the end of the guest, which was faster (*ret_status is -1 then).
 */
static bool handle_signal(struct run *run, struct hs_session_result *result, int *ret_status, struct hs_error *err)
{
	static const struct hs_resume go_on = { .kind = HS_RESUME_CONTINUE };
	int signal = hs_signals_take(&run->signals);

	if (signal == 0) {
		return false;
	}
	*ret_status = -1;
	run->in_a_hurry = signal != SIGQUIT;
	hs_session_interrupt(run->session);
	if (hs_session_wait(run->session, -1, result, err)) {
		*ret_status = hs_cli_failed(err);
		return true;
	}
	if (result->status || result->event.kind != HS_EVENT_INTERRUPTED) {
		return true;
	}
	hs_console_flush_now(&run->console);
	if (signal != SIGQUIT) {
		*ret_status = HS_EXIT_SIGNAL + signal;
		return true;
	}
	/* Asked for by name, so also with --core none. */
	write_core(run, NULL, wants_core(run) ? run->options->core : ".");
	if (hs_session_start(run->session, &go_on, err)) {
		*ret_status = hs_cli_failed(err);
		return true;
	}
	return false;
}

static int settle(struct run *run, const struct hs_session_result *result)
{
	end_output(run, !result->status && result->event.kind == HS_EVENT_CRASHED &&
				result->event.crash.reason == HS_CRASH_HANG);
	if (result->status) {
		return hs_cli_failed(&result->error);
	}
	if (run->spec->save && !run->saved) {
		hs_cli_say("no snapshot: the guest has ended, or called the host, before it was ready");
	}
	if (result->event.kind == HS_EVENT_EXITED) {
		return run->spec->save && !run->saved ? HS_EXIT_FAILED : result->event.exit_status;
	}
	if (result->event.kind == HS_EVENT_CRASHED) {
		return handle_crash(run, &result->event);
	}
	if (result->event.kind == HS_EVENT_HOST_CALL) {
		return HS_EXIT_FAILED;
	}
	hs_cli_say("the guest stopped without a reason (event %d)", (int)result->event.kind);
	return HS_EXIT_FAILED;
}

/*
 * What a guest does that goes on afterwards: it is ready, and the snapshot that was asked for is taken; or it logs.
 * False: the run has come to its end, or *ret_status is how the command does (else it is -1).
 */
static bool handle_pause(struct run *run, const struct hs_session_result *result, int *ret_status)
{
	static const struct hs_resume go_on = { .kind = HS_RESUME_CONTINUE };
	struct hs_vm *vm = hs_session_vm(run->session);
	struct hs_error err;

	*ret_status = -1;
	if (result->status || (result->event.kind != HS_EVENT_READY && result->event.kind != HS_EVENT_LOG)) {
		return false;
	}
	if (result->event.kind == HS_EVENT_READY) {
		if (hs_cli_save_snapshot(vm, run->spec->save, &err)) {
			*ret_status = hs_cli_failed(&err);
			return false;
		}
		run->saved = true;
		hs_vm_serve_calls(vm, false);
	}
	if (hs_session_start(run->session, &go_on, &err)) {
		*ret_status = hs_cli_failed(&err);
		return false;
	}
	return true;
}

/* Run with nobody attached. */
static int run_alone(struct run *run)
{
	static const struct hs_resume go = { .kind = HS_RESUME_CONTINUE };
	struct hs_session_result result;
	struct hs_error err;
	int status;

	if (hs_session_start(run->session, &go, &err)) {
		return hs_cli_failed(&err);
	}
	for (;;) {
		enum hs_status st = hs_session_wait(run->session, run->signals.all_fd, &result, &err);

		status = -1;
		if (st == HS_ERR_BUSY) {
			if (!handle_signal(run, &result, &status, &err)) {
				continue;
			}
		} else if (st) {
			return hs_cli_failed(&err);
		}
		if (status < 0 && handle_pause(run, &result, &status)) {
			continue;
		}
		return status >= 0 ? status : settle(run, &result);
	}
}

static enum hs_status make_session(struct run *run, struct hs_error *err)
{
	struct hs_vm_config vm = run->spec->vm;
	struct hs_session_config config = { .vm = &vm, .limit_ns = run->options->timeout_ns };
	enum hs_status st;

	/* With the protocol on stdout, the guest's output has to go elsewhere. */
	hs_console_init(&run->console,
			run->options->gdb && strcmp(run->options->gdb, "stdio") == 0 ? STDERR_FILENO : STDOUT_FILENO);
	vm.backend = (enum hs_backend_choice)run->options->backend;
	vm.debugger = run->options->gdb != NULL;
	vm.calls = run->spec->save != NULL;
	vm.console = hs_console_write;
	vm.console_ctx = &run->console;
	if (run->spec->snapshot) {
		st = hs_session_create_from(run->spec->snapshot, &config, &run->session, err);
	} else {
		st = hs_session_create(run->spec->image, &config, &run->session, err);
	}
	if (!st) {
		run->console.cancel_fd = hs_session_interrupt_fd(run->session);
	}
	return st;
}

/* Everything that can be wrong with the surroundings is found before the guest runs. */
static enum hs_status prepare(struct run *run, struct hs_error *err)
{
	enum hs_status st = hs_signals_init(&run->signals, err);

	if (!st && run->options->gdb) {
		st = listen_for_debugger(run, run->options->gdb, err);
	}
	if (!st && run->options->gdb_on_crash) {
		/* Only to see that it can be had: a client that connected now would wait for an answer in vain. */
		st = listen_for_debugger(run, run->options->gdb_on_crash, err);
		hs_gdb_listener_close(run->listener);
		run->listener = NULL;
	}
	return st ? st : make_session(run, err);
}

static int execute(struct run *run)
{
	struct hs_error err;
	int status;

	if (prepare(run, &err)) {
		status = hs_cli_failed(&err);
	} else if (run->options->gdb) {
		status = debug(run, run->spec->at);
	} else {
		status = run_alone(run);
	}
	hs_session_destroy(run->session);
	hs_gdb_listener_close(run->listener);
	hs_signals_deinit(&run->signals);
	if (run->console.failed && run->console.failed != EPIPE) {
		hs_cli_say("cannot write the guest's output: %s", strerror(run->console.failed));
	}
	return status;
}

const char *hs_guest_core_directory(void)
{
	const char *directory = getenv("HINDSIGHT_CORE_DIR");

	return directory && directory[0] != '\0' ? directory : ".";
}

enum hs_status hs_guest_check(const struct hs_guest_options *options, struct hs_error *err)
{
	if (options->gdb && options->gdb_on_crash) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--gdb and --gdb-on-crash exclude each other");
	}
	return HS_OK;
}

int hs_guest_run(const struct hs_guest_spec *spec)
{
	struct run run = { .spec = spec, .options = spec->options, .signals = { .all_fd = -1, .stop_fd = -1 } };

	return execute(&run);
}
