/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The life of a session: what it is made of, and its thread, whose work is in session.c. */
#include "session/session_private.h"

#include "base/error.h"
#include "session/command_line.h"
#include "vmm/call.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Of checkpoints: more than a debugger's user gathers of guests of some MiB, and less than a host has. */
#define POOL_BYTES (UINT64_C(1) << 30)

static enum hs_status make_descriptors(struct hs_session *session, struct hs_error *err)
{
	struct epoll_event readable = { .events = EPOLLIN };

	session->result_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	session->interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	session->limit_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	session->event_fd = epoll_create1(EPOLL_CLOEXEC);
	if (session->result_fd < 0 || session->interrupt_fd < 0 || session->limit_fd < 0 || session->event_fd < 0 ||
	    epoll_ctl(session->event_fd, EPOLL_CTL_ADD, session->result_fd, &readable) < 0 ||
	    epoll_ctl(session->event_fd, EPOLL_CTL_ADD, session->limit_fd, &readable) < 0) {
		return hs_error_os(err, errno, "cannot make the descriptors of a session");
	}
	return HS_OK;
}

/*
 * Signals that are sent to the process are for the program's own threads; those that a thread causes itself, and the
 * real-time signals, one of which a CPU backend kicks this thread with, stay open.
 */
static void runner_signals(sigset_t *ret)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };

	sigemptyset(ret);
	for (int signal = 1; signal < __SIGRTMIN; signal++) {
		sigaddset(ret, signal);
	}
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		sigdelset(ret, own[i]);
	}
}

static enum hs_status start_runner(struct hs_session *session, struct hs_error *err)
{
	sigset_t blocked;
	sigset_t before;
	int failure;

	runner_signals(&blocked);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	failure = pthread_create(&session->runner, NULL, hs_session_main, session);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failure) {
		return hs_error_os(err, failure, "cannot start the thread that runs the guest");
	}
	session->has_runner = true;
	(void)pthread_setname_np(session->runner, "hs-vcpu");
	return HS_OK;
}

static enum hs_status join_command_line(struct hs_session *session, const struct hs_vm_config *vm, struct hs_error *err)
{
	struct hs_buf *line = &session->command_line;

	hs_command_line_append(session->vm, vm ? vm->args : NULL, vm ? vm->args_count : 0, line);
	return line->failed ? hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the command line") : HS_OK;
}

/* What a session is without its VM. On failure it is gone. */
static enum hs_status allocate(const struct hs_session_config *config, struct hs_session **ret, struct hs_error *err)
{
	struct hs_session *session = calloc(1, sizeof(*session));
	enum hs_status st;

	if (!session) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a session");
	}
	session->drive = config->drive;
	session->drive_ctx = config->ctx;
	session->cycles = config->cycles;
	session->limit_ns = config->limit_ns;
	session->left_ns = config->limit_ns;
	session->pool.limit = config->checkpoint_bytes ? config->checkpoint_bytes : POOL_BYTES;
	session->result_fd = session->limit_fd = session->interrupt_fd = session->event_fd = -1;
	hs_buf_init(&session->command_line, HS_COMMAND_LINE_MAX);
	pthread_mutex_init(&session->lock, NULL);
	pthread_cond_init(&session->wake, NULL);
	st = make_descriptors(session, err);
	if (st) {
		hs_session_destroy(session);
		return st;
	}
	*ret = session;
	return HS_OK;
}

/* From now on the sandbox's VM runs when, and as far as, the session's caller lets it. */
static enum hs_status take_over(struct hs_session *session, const struct hs_session_config *config,
				struct hs_snapshot *snapshot, struct hs_error *err)
{
	struct hs_sandbox *sandbox = session->sandbox;

	session->vm = sandbox->vm;
	sandbox->run = hs_session_run_vm;
	sandbox->run_ctx = session;
	sandbox->crashed = hs_session_crashed;
	hs_vm_serve_calls(session->vm, config->drive != NULL);
	if (config->writable && sandbox->share) {
		sandbox->share = false;
		return snapshot ? hs_sandbox_restore(sandbox, snapshot, err) : HS_OK;
	}
	return HS_OK;
}

/* Where it begins, for who may want to begin again: a debugger. */
static enum hs_status keep_first(struct hs_session *session, const struct hs_session_config *config,
				 struct hs_error *err)
{
	enum hs_status st = HS_OK;

	if (config->writable || (config->vm && config->vm->debugger)) {
		st = hs_checkpoint_take(session, NULL, &session->first, err);
	}
	return st == HS_ERR_EXHAUSTED ? HS_OK : st;
}

/* Of an image or, where there is a snapshot, on that. */
static enum hs_status create(const char *image_path, struct hs_snapshot *snapshot,
			     const struct hs_session_config *config, struct hs_session **ret, struct hs_error *err)
{
	struct hs_sandbox_config sandbox = { .log = config->log, .log_ctx = config->ctx };
	struct hs_session *session = NULL;
	enum hs_status st = allocate(config, &session, err);

	if (st) {
		return st;
	}
	if (config->vm) {
		sandbox.vm = *config->vm;
	}
	if (config->roots) {
		sandbox.roots = *config->roots;
	}
	st = snapshot ? hs_sandbox_create_from(snapshot, &sandbox, &session->sandbox, err)
		      : hs_sandbox_create(image_path, &sandbox, &session->sandbox, err);
	st = st ? st : take_over(session, config, snapshot, err);
	st = st ? st : join_command_line(session, config->vm, err);
	st = st ? st : keep_first(session, config, err);
	st = st ? st : start_runner(session, err);
	if (st) {
		hs_session_destroy(session);
		return st;
	}
	*ret = session;
	return HS_OK;
}

enum hs_status hs_session_create(const char *image_path, const struct hs_session_config *config,
				 struct hs_session **ret, struct hs_error *err)
{
	return create(image_path, NULL, config, ret, err);
}

enum hs_status hs_session_create_from(struct hs_snapshot *snapshot, const struct hs_session_config *config,
				      struct hs_session **ret, struct hs_error *err)
{
	return create(NULL, snapshot, config, ret, err);
}

static void close_descriptor(int fd)
{
	if (fd >= 0) {
		close(fd);
	}
}

void hs_session_destroy(struct hs_session *session)
{
	if (!session) {
		return;
	}
	if (session->has_runner) {
		pthread_mutex_lock(&session->lock);
		session->quit = true;
		if (session->phase == PHASE_RUNNING) {
			hs_session_ask_interrupt(session);
		}
		pthread_cond_signal(&session->wake);
		pthread_mutex_unlock(&session->lock);
		pthread_join(session->runner, NULL);
	}
	hs_checkpoint_destroy(session->first);
	hs_snapshot_unref(session->place.snapshot);
	hs_sandbox_destroy(session->sandbox);
	hs_buf_deinit(&session->command_line);
	close_descriptor(session->event_fd);
	close_descriptor(session->limit_fd);
	close_descriptor(session->interrupt_fd);
	close_descriptor(session->result_fd);
	pthread_cond_destroy(&session->wake);
	pthread_mutex_destroy(&session->lock);
	free(session);
}
