/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hindsight run: one guest from its first instruction to its end, on the terminal or under a debugger. The exit
 * status is the guest's own, or says how it ended (cli.h).
 */
#include "base/error.h"
#include "cli/cli.h"
#include "cli/console.h"
#include "cli/listen.h"
#include "cli/map.h"
#include "cli/opts.h"
#include "cli/report.h"
#include "cli/run_calls.h"
#include "cli/signals.h"
#include "session/session.h"
#include "session/target_live.h"

#include <hindsight/gdb.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
	const char *gdb;
	const char *gdb_on_crash;
	bool gdb_allow_remote;
	const char *core; /* a directory, or "none" */
	uint64_t timeout_ns;
	int backend; /* enum hs_backend_choice */
	int boot;    /* enum hs_boot */
	uint64_t heap_bytes, scratch_bytes, memory_bytes;
	uint64_t log_level;
	struct hs_opt_strings map;
	struct hs_opt_strings call;
	uint64_t cycles;
};

/* In the order of the enums of <hindsight/vm.h>. */
static const char *const backends[] = { "auto", "kvm", "soft", NULL };
static const char *const boots[] = { "auto", "native", "pvh", NULL };

static const struct hs_opt rows[] = {
	{ "gdb", HS_OPT_ADDRESS, offsetof(struct options, gdb), "ADDR",
	  "wait for a debugger at ADDR before the first instruction", NULL },
	{ "gdb-on-crash", HS_OPT_ADDRESS, offsetof(struct options, gdb_on_crash), "ADDR",
	  "wait for a debugger at ADDR when the guest crashes", NULL },
	{ "gdb-allow-remote", HS_OPT_FLAG, offsetof(struct options, gdb_allow_remote), NULL,
	  "let ADDR be reachable from other hosts", NULL },
	{ "core", HS_OPT_STRING, offsetof(struct options, core), "DIR|none",
	  "where cores go [$HINDSIGHT_CORE_DIR, else .]", NULL },
	{ "timeout", HS_OPT_SECONDS, offsetof(struct options, timeout_ns), "S",
	  "end the guest after S seconds of running", NULL },
	{ "backend", HS_OPT_CHOICE, offsetof(struct options, backend), "NAME", "CPU: auto, kvm or soft [auto]",
	  backends },
	{ "boot", HS_OPT_CHOICE, offsetof(struct options, boot), "KIND", "protocol: auto, native or pvh [auto]",
	  boots },
	{ "heap", HS_OPT_SIZE, offsetof(struct options, heap_bytes), "SIZE", "heap of the guest [128K]", NULL },
	{ "scratch", HS_OPT_SIZE, offsetof(struct options, scratch_bytes), "SIZE", "scratch memory [288K]", NULL },
	{ "memory", HS_OPT_SIZE, offsetof(struct options, memory_bytes), "SIZE", "most memory in all [1G]", NULL },
	{ "map", HS_OPT_STRINGS, offsetof(struct options, map), "[LABEL=]FILE@GPA",
	  "put a private copy of FILE at GPA; may be given again", NULL },
	{ "call", HS_OPT_STRINGS, offsetof(struct options, call), "NAME(VALUE,...)",
	  "call a function of the guest; may be given again", NULL },
	{ "cycles", HS_OPT_NUMBER, offsetof(struct options, cycles), "N",
	  "put the guest back to its start and call, N times [1]", NULL },
	{ "log-level", HS_OPT_NUMBER, offsetof(struct options, log_level), "N", "log level that the guest is told [0]",
	  NULL },
};

static const struct hs_opts opts = {
	.command = "run",
	.operands = "GUEST [-- ARGS...]",
	.summary = "Run a guest: a static ELF image for amd64 or i686",
	.epilogue =
		"ADDR is :PORT (loopback), HOST:PORT, unix:PATH or stdio. SIZE is bytes, or with K, M or G.\n"
		"VALUE is 1 (int), 1u, 1L, 1UL, 1.5f, 1.5, true, \"string\" or x\"00ff\" (bytes).\n"
		"SIGQUIT writes a core of the running guest, which goes on; SIGINT and SIGTERM end it without one.\n",
	.rows = rows,
	.count = sizeof(rows) / sizeof(rows[0]),
};

/* One run of the command. */
struct run {
	struct options options;
	const char *guest;
	const char **args; /* of the guest, args[0] being its path */
	size_t args_count;
	struct hs_map_list maps;
	struct hs_call_list calls;
	struct hs_signals signals;
	struct hs_console console;
	struct hs_session *session;
	struct hs_gdb_listener *listener;
	struct hs_crash reported_crash; /* the one that has been printed last, if any has */
	bool reported;
	bool in_a_hurry; /* a signal or the time limit has asked for the end */
};

static bool wants_core(const struct run *run)
{
	return strcmp(run->options.core, "none") != 0;
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
		write_core(run, crash, run->options.core);
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
		.core_dir = wants_core(run) ? run->options.core : NULL,
		.confined = run->options.gdb_allow_remote,
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
	return hs_cli_listen(address, run->options.gdb_allow_remote, &run->listener, err);
}

/* The guest has crashed with nobody attached. */
static int handle_crash(struct run *run, const struct hs_event *event)
{
	struct hs_error err;

	if (run->options.gdb_on_crash) {
		report(run, &event->crash);
		if (listen_for_debugger(run, run->options.gdb_on_crash, &err) == HS_OK) {
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
	write_core(run, NULL, wants_core(run) ? run->options.core : ".");
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

		if (st == HS_OK) {
			return settle(run, &result);
		}
		if (st != HS_ERR_BUSY) {
			return hs_cli_failed(&err);
		}
		if (handle_signal(run, &result, &status, &err)) {
			return status >= 0 ? status : settle(run, &result);
		}
	}
}

static struct hs_vm_config vm_config(struct run *run)
{
	return (struct hs_vm_config){
		.backend = (enum hs_backend_choice)run->options.backend,
		.boot = (enum hs_boot)run->options.boot,
		.debugger = run->options.gdb != NULL,
		.heap_bytes = run->options.heap_bytes,
		.scratch_bytes = run->options.scratch_bytes,
		.memory_bytes = run->options.memory_bytes,
		.log_level = (uint32_t)run->options.log_level,
		.args = run->args,
		.args_count = run->args_count,
		.mappings = run->maps.mappings,
		.mapping_count = run->maps.count,
		.console = hs_console_write,
		.console_ctx = &run->console,
	};
}

static enum hs_status make_session(struct run *run, struct hs_error *err)
{
	struct hs_vm_config vm = vm_config(run);
	struct hs_session_config config = { .vm = &vm, .limit_ns = run->options.timeout_ns };
	enum hs_status st;

	/* With the protocol on stdout, the guest's output has to go elsewhere. */
	hs_console_init(&run->console,
			run->options.gdb && strcmp(run->options.gdb, "stdio") == 0 ? STDERR_FILENO : STDOUT_FILENO);
	st = hs_session_create(run->guest, &config, &run->session, err);
	if (!st) {
		run->console.cancel_fd = hs_session_interrupt_fd(run->session);
	}
	return st;
}

/* Everything that can be wrong with the surroundings is found before the guest runs. */
static enum hs_status prepare(struct run *run, struct hs_error *err)
{
	enum hs_status st = hs_signals_init(&run->signals, err);

	if (!st && run->options.gdb) {
		st = listen_for_debugger(run, run->options.gdb, err);
	}
	if (!st && run->options.gdb_on_crash) {
		/* Only to see that it can be had: a client that connected now would wait for an answer in vain. */
		st = listen_for_debugger(run, run->options.gdb_on_crash, err);
		hs_gdb_listener_close(run->listener);
		run->listener = NULL;
	}
	return st ? st : make_session(run, err);
}

/* Call functions of the guest instead of running it to its end. */
static int run_calls(struct run *run)
{
	struct hs_vm_config vm = vm_config(run);
	struct hs_run_calls spec = {
		.guest = run->guest,
		.vm = &vm,
		.limit_ns = run->options.timeout_ns,
		.core = wants_core(run) ? run->options.core : NULL,
		.list = &run->calls,
		.cycles = run->options.cycles,
		.signals = &run->signals,
	};
	struct hs_error err;
	int status = hs_signals_init(&run->signals, &err) ? hs_cli_failed(&err) : hs_run_calls(&spec);

	hs_signals_deinit(&run->signals);
	return status;
}

static int execute(struct run *run)
{
	struct hs_error err;
	int status;

	if (prepare(run, &err)) {
		status = hs_cli_failed(&err);
	} else if (run->options.gdb) {
		status = debug(run, NULL);
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

static enum hs_status check_calls(struct run *run, struct hs_error *err)
{
	const struct options *options = &run->options;

	if (options->call.count > 0 && (options->gdb || options->gdb_on_crash)) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--call with %s is not supported yet",
				    options->gdb ? "--gdb" : "--gdb-on-crash");
	}
	if (options->cycles == 0) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--cycles: there is at least one");
	}
	if (options->cycles > 1 && options->call.count == 0) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--cycles is for functions to --call");
	}
	return hs_call_list_parse(&options->call, &run->calls, err);
}

static enum hs_status check(struct run *run, const struct hs_opts_rest *rest, struct hs_error *err)
{
	if (rest->operand_count > 1) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0,
				    "'%s' is one word too many: the guest's arguments follow --", rest->operands[1]);
	}
	if (run->options.gdb && run->options.gdb_on_crash) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--gdb and --gdb-on-crash exclude each other");
	}
	if (run->options.log_level > UINT32_MAX) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--log-level: the number is too large");
	}
	enum hs_status st = hs_map_parse(&run->options.map, &run->maps, err);

	st = st ? st : check_calls(run, err);
	return st ? st : hs_opts_operands(rest, 1, "GUEST", err);
}

static void free_lists(struct run *run)
{
	hs_map_free(&run->maps);
	hs_call_list_free(&run->calls);
}

int hs_cmd_run(int argc, char **argv)
{
	struct run run = { .options.cycles = 1, .signals = { .all_fd = -1, .stop_fd = -1 } };
	struct hs_opts_rest rest;
	struct hs_error err;
	int status;

	run.options.core = getenv("HINDSIGHT_CORE_DIR");
	if (!run.options.core || run.options.core[0] == '\0') {
		run.options.core = ".";
	}
	if (hs_opts_parse(&opts, argc, argv, &run.options, &rest, &err)) {
		return hs_cli_misused(opts.command, &err);
	}
	if (rest.help) {
		hs_opts_help(&opts, stdout);
		return HS_EXIT_OK;
	}
	if (check(&run, &rest, &err)) {
		free_lists(&run);
		return hs_cli_misused(opts.command, &err);
	}
	run.guest = rest.operands[0];
	run.args_count = 1 + rest.after_count;
	run.args = calloc(run.args_count, sizeof(*run.args));
	if (run.args) {
		run.args[0] = run.guest;
		memcpy(run.args + 1, rest.after, rest.after_count * sizeof(*run.args));
		status = run.calls.count > 0 ? run_calls(&run) : execute(&run);
	} else {
		hs_cli_say("no memory for the guest's arguments");
		status = HS_EXIT_FAILED;
	}
	free(run.args);
	free_lists(&run);
	return status;
}
