/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The runner thread and the hand-over of the VM. One mutex guards the shared fields of struct hs_session;
 * hs_vm_run() is called without it, everything else that both threads see is changed under it.
 */
#include "session/session.h"

#include "base/buf.h"
#include "base/error.h"
#include "session/command_line.h"
#include "session/crash.h"
#include "session/snapshot.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define NS_PER_SECOND 1000000000u

enum phase {
	PHASE_STOPPED, /* the VM is the caller's */
	PHASE_RUNNING, /* the VM is the runner's, from the start until the result is there */
	PHASE_DONE,    /* the result waits to be taken; the VM is the caller's */
};

struct hs_session {
	struct hs_vm *vm;
	struct hs_snapshot *snapshot; /* that the VM stands on, or NULL; owned with the VM's stay there */
	uint64_t limit_ns;
	struct hs_buf command_line;
	pthread_t runner;
	bool has_runner;
	int result_fd;    /* eventfd: a result is there */
	int limit_fd;     /* timerfd: the time limit has passed */
	int interrupt_fd; /* eventfd: the current run is to end */
	int event_fd;     /* epoll over result_fd and limit_fd */

	pthread_mutex_t lock;
	pthread_cond_t wake; /* the runner waits here for a start */
	enum phase phase;
	bool start;               /* the runner has not picked up the start yet */
	bool quit;                /* destroy: the runner is to return */
	bool interrupt_asked;     /* somebody wants the current run to end */
	bool interrupt_by_caller; /* and it was not only the time limit */
	bool limit_passed;        /* the time limit wants it */
	uint64_t left_ns;         /* of the time limit; 0 when there is none any more */
	struct hs_resume resume;
	struct hs_session_result result;
};

static void set_timer(int fd, uint64_t ns)
{
	struct itimerspec at = { .it_value = { .tv_sec = (time_t)(ns / NS_PER_SECOND),
					       .tv_nsec = (long)(ns % NS_PER_SECOND) } };

	/* Fails only for a bad descriptor or bad nanoseconds, and neither can be. */
	(void)timerfd_settime(fd, 0, &at, NULL);
}

/* Stop the clock and keep what is left. An expiry that nobody has seen yet is dropped here and comes again at once. */
static void stop_clock(struct hs_session *session)
{
	struct itimerspec left = { 0 };

	if (session->left_ns == 0) {
		return;
	}
	(void)timerfd_gettime(session->limit_fd, &left);
	set_timer(session->limit_fd, 0);
	session->left_ns = (uint64_t)left.it_value.tv_sec * NS_PER_SECOND + (uint64_t)left.it_value.tv_nsec;
	if (session->left_ns == 0) {
		session->left_ns = 1;
	}
}

static void finish_run(struct hs_session *session)
{
	eventfd_t dropped;

	stop_clock(session);
	(void)eventfd_read(session->interrupt_fd, &dropped);
	session->phase = PHASE_DONE;
	(void)eventfd_write(session->result_fd, 1);
}

/*
 * Run the VM once for the start that is set up. The lock is held on entry and on return.
 *
 * hs_vm_interrupt() sticks to a VM until a run has seen it. One that came when the run was ending by itself would
 * end the next run, which nobody has interrupted; and any signal may end a run early. Both are told from a wanted
 * interrupt by interrupt_asked, and the run is taken up again.
 */
static void run_once(struct hs_session *session)
{
	struct hs_session_result result;
	struct hs_resume resume = session->resume;

	for (;;) {
		memset(&result, 0, sizeof(result));
		pthread_mutex_unlock(&session->lock);
		result.status = hs_vm_run(session->vm, &resume, &result.event, &result.error);
		pthread_mutex_lock(&session->lock);
		if (result.status || result.event.kind != HS_EVENT_INTERRUPTED || session->interrupt_asked) {
			break;
		}
	}
	session->result = result;
	finish_run(session);
}

static void *runner_main(void *context)
{
	struct hs_session *session = context;

	pthread_mutex_lock(&session->lock);
	for (;;) {
		while (!session->start && !session->quit) {
			pthread_cond_wait(&session->wake, &session->lock);
		}
		if (session->quit) {
			break;
		}
		session->start = false;
		run_once(session);
	}
	pthread_mutex_unlock(&session->lock);
	return NULL;
}

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
	failure = pthread_create(&session->runner, NULL, runner_main, session);
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
	session->limit_ns = config->limit_ns;
	session->left_ns = config->limit_ns;
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

/* The VM is there, or st says why not. On failure the session is gone. */
static enum hs_status complete(struct hs_session *session, enum hs_status st, const struct hs_vm_config *vm,
			       struct hs_session **ret, struct hs_error *err)
{
	if (!st) {
		st = join_command_line(session, vm, err);
	}
	if (!st) {
		st = start_runner(session, err);
	}
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
	struct hs_session *session;
	enum hs_status st = allocate(config, &session, err);

	if (st) {
		return st;
	}
	st = hs_vm_create(image_path, config->vm, &session->vm, err);
	return complete(session, st, config->vm, ret, err);
}

enum hs_status hs_session_create_from(struct hs_snapshot *snapshot, const struct hs_session_config *config,
				      struct hs_session **ret, struct hs_error *err)
{
	bool debugger = config->vm && config->vm->debugger;
	struct hs_session *session;
	enum hs_status st = allocate(config, &session, err);

	if (st) {
		return st;
	}
	session->snapshot = hs_snapshot_ref(snapshot);
	st = hs_vm_create_from(snapshot, config->vm, &session->vm, err);
	st = st ? st : hs_vm_stand_on(session->vm, snapshot, !debugger, err);
	return complete(session, st, config->vm, ret, err);
}

static void close_descriptor(int fd)
{
	if (fd >= 0) {
		close(fd);
	}
}

/* The lock is held. */
static void ask_interrupt(struct hs_session *session)
{
	session->interrupt_asked = true;
	(void)eventfd_write(session->interrupt_fd, 1);
	hs_vm_interrupt(session->vm);
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
			ask_interrupt(session);
		}
		pthread_cond_signal(&session->wake);
		pthread_mutex_unlock(&session->lock);
		pthread_join(session->runner, NULL);
	}
	hs_vm_destroy(session->vm);
	hs_snapshot_unref(session->snapshot);
	hs_buf_deinit(&session->command_line);
	close_descriptor(session->event_fd);
	close_descriptor(session->limit_fd);
	close_descriptor(session->interrupt_fd);
	close_descriptor(session->result_fd);
	pthread_cond_destroy(&session->wake);
	pthread_mutex_destroy(&session->lock);
	free(session);
}

struct hs_vm *hs_session_vm(struct hs_session *session)
{
	return session->vm;
}

bool hs_session_running(struct hs_session *session)
{
	bool running;

	pthread_mutex_lock(&session->lock);
	running = session->phase != PHASE_STOPPED;
	pthread_mutex_unlock(&session->lock);
	return running;
}

uint64_t hs_session_limit_ns(const struct hs_session *session)
{
	return session->limit_ns;
}

const char *hs_session_command_line(const struct hs_session *session)
{
	return (const char *)session->command_line.data;
}

int hs_session_interrupt_fd(const struct hs_session *session)
{
	return session->interrupt_fd;
}

int hs_session_event_fd(const struct hs_session *session)
{
	return session->event_fd;
}

/* The lock is held. */
static enum hs_status begin(struct hs_session *session, struct hs_error *err)
{
	if (session->phase != PHASE_STOPPED) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest is running");
	}
	session->interrupt_asked = false;
	session->interrupt_by_caller = false;
	session->limit_passed = false;
	session->phase = PHASE_RUNNING;
	return HS_OK;
}

enum hs_status hs_session_start(struct hs_session *session, const struct hs_resume *resume, struct hs_error *err)
{
	enum hs_status st;

	pthread_mutex_lock(&session->lock);
	st = begin(session, err);
	if (!st) {
		session->resume = *resume;
		session->start = true;
		if (session->left_ns != 0) {
			set_timer(session->limit_fd, session->left_ns);
		}
		pthread_cond_signal(&session->wake);
	}
	pthread_mutex_unlock(&session->lock);
	return st;
}

enum hs_status hs_session_post(struct hs_session *session, const struct hs_event *event, struct hs_error *err)
{
	enum hs_status st;

	pthread_mutex_lock(&session->lock);
	st = begin(session, err);
	if (!st) {
		session->result = (struct hs_session_result){ .status = HS_OK, .event = *event };
		session->phase = PHASE_DONE;
		(void)eventfd_write(session->result_fd, 1);
	}
	pthread_mutex_unlock(&session->lock);
	return st;
}

void hs_session_interrupt(struct hs_session *session)
{
	pthread_mutex_lock(&session->lock);
	if (session->phase == PHASE_RUNNING) {
		session->interrupt_by_caller = true;
		ask_interrupt(session);
	}
	pthread_mutex_unlock(&session->lock);
}

/* The lock is held. */
static void look_at_clock(struct hs_session *session)
{
	uint64_t expirations;

	if (read(session->limit_fd, &expirations, sizeof(expirations)) != (ssize_t)sizeof(expirations)) {
		return;
	}
	if (session->phase == PHASE_RUNNING && !session->limit_passed) {
		session->limit_passed = true;
		ask_interrupt(session);
	}
}

bool hs_session_take(struct hs_session *session, struct hs_session_result *ret)
{
	bool hang;
	eventfd_t dropped;

	pthread_mutex_lock(&session->lock);
	look_at_clock(session);
	if (session->phase != PHASE_DONE) {
		pthread_mutex_unlock(&session->lock);
		return false;
	}
	(void)eventfd_read(session->result_fd, &dropped);
	*ret = session->result;
	session->phase = PHASE_STOPPED;
	hang = ret->status == HS_OK && ret->event.kind == HS_EVENT_INTERRUPTED && session->limit_passed &&
	       !session->interrupt_by_caller;
	if (hang) {
		session->left_ns = 0;
	}
	pthread_mutex_unlock(&session->lock);
	if (hang) {
		ret->event.kind = HS_EVENT_CRASHED;
		hs_crash_of_hang(session->vm, session->limit_ns, &ret->event.crash);
	}
	return true;
}

enum hs_status hs_session_wait(struct hs_session *session, int wake_fd, struct hs_session_result *ret,
			       struct hs_error *err)
{
	struct pollfd fds[2] = { { .fd = session->event_fd, .events = POLLIN }, { .fd = wake_fd, .events = POLLIN } };

	if (!hs_session_running(session)) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest is not running");
	}
	for (;;) {
		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR) {
				continue;
			}
			return hs_error_os(err, errno, "cannot wait for the guest");
		}
		if (fds[0].revents && hs_session_take(session, ret)) {
			return HS_OK;
		}
		if (fds[1].revents) {
			return hs_error_set(err, HS_ERR_BUSY, 0, 0, "the guest is still running");
		}
	}
}
