/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One thread is the sandbox's; another waits for signals meanwhile and ends the call that runs.
 */
#include "cli/run_calls.h"

#include "base/error.h"
#include "cli/cli.h"
#include "cli/console.h"
#include "cli/report.h"
#include "session/command_line.h"
#include "session/crash.h"

#include <hindsight/abi.h>
#include <hindsight/sandbox.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/** A result has up to the bytes of the guest's output buffer, each of which may become four characters. */
#define LINE_MAX_BYTES (1u << 30)
#define NS_PER_SECOND 1000000000u

struct runner {
	const struct hs_run_calls *spec;
	struct hs_sandbox *sandbox;
	struct hs_console console;
	bool mid_line;        /* the guest has written the beginning of a line */
	struct hs_buf *first; /* what each call has come to in the first cycle, a text each */
	bool failed;          /* a call had no result */

	pthread_t watcher;
	bool watching;
	int quit_fd;       /* readable: the watcher is to end */
	int stop_fd;       /* readable from a signal on */
	int limit_fd;      /* a timer, readable when the time limit of a start or a call has passed */
	int cancel_fd;     /* readable when one of these two is: the guest is to end, whoever reads its output or not */
	atomic_int signal; /* the one that ended it; 0 for none */
};

enum hs_status hs_call_list_parse(const struct hs_opt_strings *values, struct hs_call_list *ret, struct hs_error *err)
{
	for (size_t i = 0; i < values->count; i++) {
		struct hs_error why;
		enum hs_status st = hs_call_text_parse(values->values[i], &ret->calls[i], &why);

		if (st) {
			return hs_error_set(err, st, 0, 0, "--call (number %zu): %s", i + 1, why.message);
		}
		ret->count++;
	}
	return HS_OK;
}

void hs_call_list_free(struct hs_call_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		hs_call_text_free(&list->calls[i]);
	}
	list->count = 0;
}

static const char *guest_name(const struct runner *runner)
{
	const char *slash = strrchr(runner->spec->guest, '/');

	return slash ? slash + 1 : runner->spec->guest;
}

/* A signal ends the call that runs, or the next one, and all waiting for a reader. */
static void *watch(void *context)
{
	struct runner *runner = context;
	struct pollfd fds[] = { { .fd = runner->spec->signals->all_fd, .events = POLLIN },
				{ .fd = runner->quit_fd, .events = POLLIN } };

	for (;;) {
		int signal = 0;

		if (poll(fds, 2, -1) < 0 && errno != EINTR) {
			return NULL;
		}
		if (fds[1].revents) {
			return NULL;
		}
		signal = hs_signals_take(runner->spec->signals);
		if (signal != 0) {
			atomic_store(&runner->signal, signal);
			(void)eventfd_write(runner->stop_fd, 1);
			hs_sandbox_interrupt(runner->sandbox);
			return NULL;
		}
	}
}

static enum hs_status start_watcher(struct runner *runner, struct hs_error *err)
{
	int failure = pthread_create(&runner->watcher, NULL, watch, runner);

	runner->watching = failure == 0;
	return failure ? hs_error_os(err, failure, "cannot start a thread") : HS_OK;
}

/* From now on it counts, or not any more. */
static void set_limit(struct runner *runner, uint64_t ns)
{
	const struct itimerspec at = { .it_value = { .tv_sec = (time_t)(ns / NS_PER_SECOND),
						     .tv_nsec = (long)(ns % NS_PER_SECOND) } };

	/* Fails only for a bad descriptor or bad nanoseconds, and neither can be. */
	(void)timerfd_settime(runner->limit_fd, 0, &at, NULL);
}

static void write_output(void *ctx, const void *bytes, size_t length)
{
	struct runner *runner = ctx;

	if (length > 0) {
		runner->mid_line = ((const char *)bytes)[length - 1] != '\n';
		hs_console_write(&runner->console, bytes, length);
	}
}

/* The guest's own words may be anything: no byte of them is to move a cursor. */
static void write_log(void *ctx, uint32_t level, const char *text, size_t length)
{
	static const char *const names[] = {
		[HS_LOG_ERROR] = "error", [HS_LOG_WARNING] = "warning", [HS_LOG_INFO] = "info",
		[HS_LOG_DEBUG] = "debug", [HS_LOG_TRACE] = "trace",
	};
	const struct runner *runner = ctx;
	struct hs_buf line;

	hs_buf_init(&line, LINE_MAX_BYTES);
	hs_call_text_escape(text, length, &line);
	hs_buf_append_byte(&line, 0);
	if (!line.failed) {
		const bool known = level < sizeof(names) / sizeof(names[0]) && names[level];

		fprintf(stderr, "%s: %s: %s\n", guest_name(runner), known ? names[level] : "log",
			(const char *)line.data);
	}
	hs_buf_deinit(&line);
}

/* A line of ours among the guest's output begins at the beginning of one. */
static void end_line(struct runner *runner)
{
	if (runner->mid_line) {
		write_output(runner, "\n", 1);
	}
}

static void write_core(struct runner *runner, const struct hs_crash *crash)
{
	const struct hs_vm_config *config = runner->spec->vm;
	struct hs_vm *vm = hs_sandbox_vm(runner->sandbox);
	struct hs_buf line;

	if (!runner->spec->core) {
		return;
	}
	hs_buf_init(&line, HS_COMMAND_LINE_MAX);
	hs_command_line_append(vm, config->args, config->args_count, &line);
	hs_report_core(vm, line.failed ? "" : (const char *)line.data, crash, runner->spec->core);
	hs_buf_deinit(&line);
}

/* The guest has not come back to where calls are welcome. The exit status. */
static int settle_end(struct runner *runner, const char *what, enum hs_status st, const struct hs_error *err)
{
	const struct hs_crash *crash = hs_sandbox_crash(runner->sandbox);
	struct hs_crash hang;
	int signal;

	hs_console_flush_now(&runner->console);
	switch (st) {
	case HS_ERR_INTERRUPTED:
		signal = atomic_load(&runner->signal);
		if (signal == SIGQUIT) {
			write_core(runner, NULL);
		}
		return HS_EXIT_SIGNAL + signal;
	case HS_ERR_TIMEOUT:
		hs_crash_of_hang(hs_sandbox_vm(runner->sandbox), runner->spec->limit_ns, &hang);
		hs_report_crash(hs_sandbox_vm(runner->sandbox), &hang);
		write_core(runner, &hang);
		return HS_EXIT_TIMEOUT;
	case HS_ERR_GUEST:
		if (crash) {
			hs_report_crash(hs_sandbox_vm(runner->sandbox), crash);
			write_core(runner, crash);
			return HS_EXIT_SIGNAL + crash->signal;
		}
		break;
	case HS_ERR_FORMAT:
		break;
	default:
		return hs_cli_failed(err);
	}
	hs_cli_say("%s: %s", what, err->message);
	return HS_EXIT_NOT_ALL;
}

/* Until the guest is ready. HS_EXIT_OK, or how the command ends. */
static int start(struct runner *runner)
{
	uint64_t features = hs_vm_image(hs_sandbox_vm(runner->sandbox))->features;
	struct hs_error err;
	enum hs_status st;

	set_limit(runner, runner->spec->limit_ns);
	st = hs_sandbox_start(runner->sandbox, &err);
	set_limit(runner, 0);
	if (!st) {
		return HS_EXIT_OK;
	}
	if (hs_sandbox_state(runner->sandbox) == HS_SANDBOX_EXITED) {
		hs_console_flush(&runner->console, runner->stop_fd);
		hs_cli_say("%s: %s before it was ready for calls%s", guest_name(runner), err.message,
			   features & HS_FEATURE_CALLS ? "" : ": it has no functions");
		return HS_EXIT_NOT_ALL;
	}
	return settle_end(runner, guest_name(runner), st, &err);
}

/* What a call has come to, as text: "add(40, 2) = 42", or "fail(...): why not". */
static enum hs_status call(struct runner *runner, const struct hs_call_text *what, struct hs_buf *ret,
			   struct hs_error *err)
{
	struct hs_value result;
	enum hs_status st;

	set_limit(runner, runner->spec->limit_ns);
	st = hs_sandbox_call(runner->sandbox, what->name, what->arguments, what->count, &result, err);
	set_limit(runner, 0);
	if (!st) {
		hs_call_text_print(what, ret);
		hs_buf_append_string(ret, " = ");
		hs_call_text_print_value(&result, ret);
	} else {
		hs_buf_append_string(ret, err->message);
	}
	hs_buf_append_byte(ret, 0);
	return ret->failed ? hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a result") : st;
}

/* In the first cycle: a result is printed, an error too. */
static void show(struct runner *runner, enum hs_status st, const struct hs_buf *text)
{
	end_line(runner);
	if (st) {
		hs_console_flush(&runner->console, runner->stop_fd);
		hs_cli_say("%s", (const char *)text->data);
		runner->failed = true;
	} else {
		write_output(runner, text->data, text->length - 1);
		write_output(runner, "\n", 1);
	}
}

/* All calls once. HS_EXIT_OK, or how the command ends. */
static int call_all(struct runner *runner, uint64_t cycle)
{
	const struct hs_call_list *list = runner->spec->list;
	int status = HS_EXIT_OK;

	for (size_t i = 0; i < list->count && status == HS_EXIT_OK; i++) {
		struct hs_error err;
		struct hs_buf text;
		enum hs_status st;

		hs_buf_init(&text, LINE_MAX_BYTES);
		st = call(runner, &list->calls[i], &text, &err);
		if (hs_sandbox_state(runner->sandbox) != HS_SANDBOX_READY || st == HS_ERR_NOMEM) {
			status = settle_end(runner, list->calls[i].name, st, &err);
		} else if (cycle == 1) {
			show(runner, st, &text);
			runner->first[i] = text;
			continue;
		} else if (strcmp((const char *)text.data, (const char *)runner->first[i].data) != 0) {
			end_line(runner);
			hs_console_flush(&runner->console, runner->stop_fd);
			hs_cli_say("cycle %" PRIu64 ": %s, and in cycle 1: %s", cycle, (const char *)text.data,
				   (const char *)runner->first[i].data);
			status = HS_EXIT_NOT_ALL;
		}
		hs_buf_deinit(&text);
	}
	return status;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* Cycles of restore and call, all from the same snapshot. */
static int cycle_all(struct runner *runner)
{
	const uint64_t cycles = runner->spec->cycles;
	struct hs_snapshot *snapshot = NULL;
	struct hs_error err;
	int status = HS_EXIT_OK;
	uint64_t began;

	if (hs_sandbox_snapshot(runner->sandbox, &snapshot, &err)) {
		return hs_cli_failed(&err);
	}
	began = now_ns();
	for (uint64_t cycle = 1; cycle <= cycles && status == HS_EXIT_OK; cycle++) {
		status = hs_sandbox_restore(runner->sandbox, snapshot, &err) ? hs_cli_failed(&err)
									     : call_all(runner, cycle);
	}
	if (status == HS_EXIT_OK) {
		double micros = (double)(now_ns() - began) / 1000.0 / (double)cycles;

		hs_console_flush(&runner->console, runner->stop_fd);
		hs_cli_say("%" PRIu64 " cycles, %.1f us each", cycles, micros);
	}
	hs_snapshot_unref(snapshot);
	return status;
}

static int run_started(struct runner *runner)
{
	int status = runner->spec->cycles > 1 ? cycle_all(runner) : call_all(runner, 1);

	hs_console_flush(&runner->console, runner->stop_fd);
	if (status == HS_EXIT_OK && atomic_load(&runner->signal) != 0) {
		/* It came behind the last call, and what was not written by then is lost. */
		return HS_EXIT_SIGNAL + atomic_load(&runner->signal);
	}
	return status == HS_EXIT_OK && runner->failed ? HS_EXIT_NOT_ALL : status;
}

static bool make_descriptors(struct runner *runner)
{
	struct epoll_event readable = { .events = EPOLLIN };

	runner->quit_fd = eventfd(0, EFD_CLOEXEC);
	runner->stop_fd = eventfd(0, EFD_CLOEXEC);
	runner->limit_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	runner->cancel_fd = epoll_create1(EPOLL_CLOEXEC);
	return runner->quit_fd >= 0 && epoll_ctl(runner->cancel_fd, EPOLL_CTL_ADD, runner->stop_fd, &readable) == 0 &&
	       epoll_ctl(runner->cancel_fd, EPOLL_CTL_ADD, runner->limit_fd, &readable) == 0;
}

static enum hs_status prepare(struct runner *runner, struct hs_error *err)
{
	struct hs_sandbox_config config = {
		.vm = *runner->spec->vm,
		.limit_ns = runner->spec->limit_ns,
		.log = write_log,
		.log_ctx = runner,
	};
	enum hs_status st;

	hs_console_init(&runner->console, STDOUT_FILENO);
	config.vm.console = write_output;
	config.vm.console_ctx = runner;
	runner->first = calloc(runner->spec->list->count, sizeof(*runner->first));
	if (!runner->first || !make_descriptors(runner)) {
		return hs_error_os(err, errno, "cannot prepare the calls");
	}
	runner->console.cancel_fd = runner->cancel_fd;
	st = hs_sandbox_create(runner->spec->guest, &config, &runner->sandbox, err);
	return st ? st : start_watcher(runner, err);
}

static void close_descriptor(int fd)
{
	if (fd >= 0) {
		close(fd);
	}
}

static void clean_up(struct runner *runner)
{
	if (runner->watching) {
		(void)eventfd_write(runner->quit_fd, 1);
		pthread_join(runner->watcher, NULL);
	}
	hs_sandbox_destroy(runner->sandbox);
	for (size_t i = 0; runner->first && i < runner->spec->list->count; i++) {
		hs_buf_deinit(&runner->first[i]);
	}
	free(runner->first);
	close_descriptor(runner->cancel_fd);
	close_descriptor(runner->limit_fd);
	close_descriptor(runner->stop_fd);
	close_descriptor(runner->quit_fd);
}

int hs_run_calls(const struct hs_run_calls *spec)
{
	struct runner runner = { .spec = spec, .quit_fd = -1, .stop_fd = -1, .limit_fd = -1, .cancel_fd = -1 };
	struct hs_error err;
	int status;

	if (prepare(&runner, &err)) {
		status = hs_cli_failed(&err);
	} else {
		status = start(&runner);
		status = status == HS_EXIT_OK ? run_started(&runner) : status;
	}
	clean_up(&runner);
	if (runner.console.failed && runner.console.failed != EPIPE) {
		hs_cli_say("cannot write the guest's output: %s", strerror(runner.console.failed));
	}
	return status;
}
