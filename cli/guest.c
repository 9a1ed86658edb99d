/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/guest.h"

#include "base/error.h"
#include "cli/cli.h"
#include "cli/console.h"
#include "cli/listen.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "session/session.h"
#include "session/target_live.h"

#include <hindsight/gdb.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const hs_guest_compressions[] = { "none", "zstd", NULL };
const char *const hs_guest_backends[] = { "auto", "kvm", "soft", NULL };

/* One run of the command. */
struct run {
	const struct hs_guest_spec *spec;
	const struct hs_guest_options *options; /* of the spec */
	struct hs_signals signals;
	struct hs_console console; /* the guest's */
	struct hs_console results; /* JSON of calls, which the guest's output is not mixed with */
	struct hs_drive drive;
	struct hs_session *session;
	struct hs_gdb_listener *listener;
	struct hs_crash reported_crash; /* the one that has been printed last, if any has */
	bool reported;
	bool in_a_hurry; /* a signal or the time limit has asked for the end */
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
	hs_progress_end(&run->drive.progress);
	run->reported = true;
	run->reported_crash = *crash;
	hs_report_crash(run->session, crash);
}

static void write_core(struct run *run, const struct hs_crash *crash, const char *directory)
{
	const struct hs_core_options how = hs_guest_core_options(run->options);

	hs_report_core(run->session, crash, directory, &how);
}

/* The guest's last words. Who has asked for the end need not wait for a reader. */
static void end_output(struct run *run, bool in_a_hurry)
{
	run->in_a_hurry |= in_a_hurry;
	if (run->in_a_hurry) {
		hs_console_flush_now(&run->console);
		hs_console_flush_now(&run->results);
	} else {
		hs_console_flush(&run->console, run->signals.stop_fd);
		hs_console_flush(&run->results, run->signals.stop_fd);
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
	if (run->spec->drive.save && !run->drive.ready) {
		hs_cli_say("no snapshot: the guest was not ready yet");
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
		.core_options = hs_guest_core_options(run->options),
		.origin = run->spec->at,
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
	hs_console_flush_now(&run->results);
	hs_progress_end(&run->drive.progress);
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
	if (result->event.kind == HS_EVENT_EXITED) {
		return result->event.exit_status;
	}
	if (result->event.kind == HS_EVENT_CRASHED) {
		return handle_crash(run, &result->event);
	}
	hs_cli_say("the guest stopped without a reason (event %d)", (int)result->event.kind);
	return HS_EXIT_FAILED;
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
		if (st == HS_ERR_BUSY && !handle_signal(run, &result, &status, &err)) {
			continue;
		}
		if (st && st != HS_ERR_BUSY) {
			return hs_cli_failed(&err);
		}
		return status >= 0 ? status : settle(run, &result);
	}
}

/* What the guest does beside running to its end, and where its output and its results go. */
static void make_drive(struct run *run, bool stdout_taken)
{
	const bool apart = run->spec->drive.json;

	hs_console_init(&run->console, stdout_taken || apart ? STDERR_FILENO : STDOUT_FILENO);
	hs_console_init(&run->results, STDOUT_FILENO);
	run->drive = (struct hs_drive){
		.spec = &run->spec->drive,
		.output = &run->console,
		.results = apart ? &run->results : &run->console,
		.timed = !run->options->gdb,
	};
}

static enum hs_status make_session(struct run *run, struct hs_error *err)
{
	const bool driven = hs_drive_wanted(&run->spec->drive);
	struct hs_vm_config vm = run->spec->vm;
	struct hs_session_config config = {
		.vm = &vm,
		.limit_ns = run->options->timeout_ns,
		.writable = run->options->gdb_on_crash != NULL,
		.drive = driven ? hs_drive_run : NULL,
		.cycles = run->spec->drive.cycles > 1,
		.log = hs_drive_log,
		.ctx = &run->drive,
		.roots = &run->spec->roots,
	};
	enum hs_status st;

	/* With the protocol on stdout, the guest's output has to go elsewhere. */
	make_drive(run, run->options->gdb && strcmp(run->options->gdb, "stdio") == 0);
	vm.backend = (enum hs_backend_choice)run->options->backend;
	vm.debugger = run->options->gdb != NULL;
	vm.console = driven ? hs_drive_output : hs_console_write;
	vm.console_ctx = driven ? (void *)&run->drive : &run->console;
	if (run->spec->snapshot) {
		st = hs_session_create_from(run->spec->snapshot, &config, &run->session, err);
	} else {
		st = hs_session_create(run->spec->image, &config, &run->session, err);
	}
	if (!st) {
		run->console.cancel_fd = hs_session_interrupt_fd(run->session);
		run->results.cancel_fd = run->console.cancel_fd;
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

static void say_lost_output(const char *what, const struct hs_console *console)
{
	if (console->failed && console->failed != EPIPE) {
		hs_cli_say("cannot write %s: %s", what, strerror(console->failed));
	}
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
	hs_progress_end(&run->drive.progress);
	hs_drive_deinit(&run->drive);
	say_lost_output("the guest's output", &run->console);
	say_lost_output("the results", &run->results);
	return status;
}

void hs_guest_options_init(struct hs_guest_options *options)
{
	const char *directory = getenv("HINDSIGHT_CORE_DIR");

	*options = (struct hs_guest_options){
		.core = directory && directory[0] != '\0' ? directory : ".",
		.cycles = 1,
	};
}

struct hs_core_options hs_guest_core_options(const struct hs_guest_options *options)
{
	return (struct hs_core_options){
		.limit_bytes = options->core_limit,
		.compression = (enum hs_core_compression)options->core_compress,
	};
}

enum hs_status hs_guest_check(const struct hs_guest_options *options, struct hs_drive_spec *ret, struct hs_error *err)
{
	if (options->gdb && options->gdb_on_crash) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--gdb and --gdb-on-crash exclude each other");
	}
	if (options->cycles == 0) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--cycles: there is at least one");
	}
	if ((options->cycles > 1 || options->json) && options->call.count == 0) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "%s is for functions to --call",
				    options->json ? "--json" : "--cycles");
	}
	if (options->json && options->gdb && strcmp(options->gdb, "stdio") == 0) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--json and --gdb stdio both want standard output");
	}
	ret->cycles = options->cycles;
	ret->json = options->json;
	return hs_call_list_parse(&options->call, &ret->calls, err);
}

int hs_guest_run(const struct hs_guest_spec *spec)
{
	struct run run = { .spec = spec, .options = spec->options, .signals = { .all_fd = -1, .stop_fd = -1 } };

	return execute(&run);
}
