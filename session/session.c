/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The runner thread and the hand-over of the VM. One mutex guards the shared fields of struct hs_session;
 * hs_vm_run() is called without it, everything else that both threads see is changed under it.
 *
 * There is one loop: hs_session_run_vm(), below the driver. It runs the VM as the caller's starts say, gives the caller
 * what is the caller's (a crash, a breakpoint) and waits for the next start, and returns what is the driver's. So the
 * driver is plain code, one call after the other, that does not know of debuggers, and a debugger sees one guest that
 * runs, whatever the driver puts back in between.
 */
#include "session/session_private.h"

#include "base/clock.h"
#include "base/error.h"
#include "session/crash.h"
#include "session/roots.h"
#include "vmm/call.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void set_timer(int fd, uint64_t ns)
{
	struct itimerspec at = { .it_value = { .tv_sec = (time_t)(ns / HS_NS_PER_SECOND),
					       .tv_nsec = (long)(ns % HS_NS_PER_SECOND) } };

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
	session->left_ns = (uint64_t)left.it_value.tv_sec * HS_NS_PER_SECOND + (uint64_t)left.it_value.tv_nsec;
	if (session->left_ns == 0) {
		session->left_ns = 1;
	}
}

/* Until the caller lets the guest run. False: it never will again. The lock is held on entry and on return. */
static bool wait_for_start(struct hs_session *session)
{
	while (!session->start && !session->quit) {
		pthread_cond_wait(&session->wake, &session->lock);
	}
	session->start = false;
	session->served = false;
	return !session->quit;
}

/*
 * The VM is the caller's, with a result, until the next start. False: there will be none. The lock is held on entry and
 * on return.
 */
static bool hand_over(struct hs_session *session, const struct hs_session_result *result)
{
	eventfd_t dropped;

	stop_clock(session);
	(void)eventfd_read(session->interrupt_fd, &dropped);
	session->result = *result;
	session->phase = PHASE_DONE;
	(void)eventfd_write(session->result_fd, 1);
	return wait_for_start(session);
}

/*
 * The debugger has asked for a step, or to stay in a range, and the instruction was one that the driver has served: is
 * that all? Where the guest goes on may be another place, after a restore.
 */
static bool step_is_over(struct hs_session *session)
{
	const struct hs_resume *resume = &session->resume;
	struct hs_cpu_state cpu;

	if (!session->served || resume->kind == HS_RESUME_CONTINUE) {
		return false;
	}
	return resume->kind == HS_RESUME_STEP || hs_vm_cpu_get(session->vm, &cpu, NULL) != HS_OK ||
	       cpu.rip - resume->range_start.v >= resume->range_length;
}

/* The caller wants to see where the guest begins again, and there it is. Once. */
static bool restored_enough(struct hs_session *session)
{
	if (session->stop_at == 0 || session->sandbox->restores < session->stop_at) {
		return false;
	}
	session->stop_at = 0;
	return true;
}

static bool is_filtered(struct hs_session *session, const struct hs_event *event)
{
	return event->kind == HS_EVENT_BREAKPOINT && session->filter &&
	       session->filter(session->filter_ctx, session->vm);
}

/*
 * Run the VM once for the start that is set up. The lock is held on entry and on return.
 *
 * hs_vm_interrupt() sticks to a VM until a run has seen it. One that came when the run was ending by itself would
 * end the next run, which nobody has interrupted; and any signal may end a run early. Both are told from a wanted
 * interrupt by interrupt_asked, and the run is taken up again. One that was wanted while the driver was at work may
 * have got lost in a restore.
 */
static void run_once(struct hs_session *session, struct hs_session_result *ret)
{
	struct hs_resume resume = session->resume;

	memset(ret, 0, sizeof(*ret));
	if (restored_enough(session) || session->interrupt_asked) {
		ret->event.kind = HS_EVENT_INTERRUPTED;
		return;
	}
	if (step_is_over(session)) {
		ret->event.kind = HS_EVENT_STEPPED;
		return;
	}
	do {
		pthread_mutex_unlock(&session->lock);
		/* Whatever the driver has restored since has other roots. */
		hs_roots_tell_breaks(session->vm, &session->sandbox->roots);
		ret->status = hs_vm_run(session->vm, &resume, &ret->event, &ret->error);
		pthread_mutex_lock(&session->lock);
	} while (!ret->status && !session->interrupt_asked &&
		 (ret->event.kind == HS_EVENT_INTERRUPTED || is_filtered(session, &ret->event)));
}

/* What the driver has to do something about; all else is for the caller. */
static bool is_drivers(const struct hs_session_result *result)
{
	if (result->status) {
		return false;
	}
	switch (result->event.kind) {
	case HS_EVENT_EXITED:
	case HS_EVENT_READY:
	case HS_EVENT_HOST_CALL:
	case HS_EVENT_LOG:
		return true;
	default:
		return false;
	}
}

enum hs_status hs_session_run_vm(void *ctx, struct hs_event *ret, struct hs_error *err)
{
	struct hs_session *session = ctx;
	struct hs_session_result result;
	bool go_on;

	pthread_mutex_lock(&session->lock);
	if (session->judged && !session->again) {
		session->judged = false;
		pthread_mutex_unlock(&session->lock);
		return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "%s", session->sandbox->crash.text);
	}
	go_on = !session->quit && !session->again;
	while (go_on) {
		run_once(session, &result);
		session->served = is_drivers(&result);
		if (session->served) {
			break;
		}
		go_on = hand_over(session, &result) && !session->again;
	}
	pthread_mutex_unlock(&session->lock);
	if (!go_on) {
		return hs_error_set(err, HS_ERR_INTERRUPTED, 0, 0, "the session is over, or begins again");
	}
	*ret = result.event;
	return HS_OK;
}

void hs_session_crashed(void *ctx, const struct hs_crash *crash)
{
	struct hs_session *session = ctx;
	struct hs_session_result result = { .event = { .kind = HS_EVENT_CRASHED, .crash = *crash } };

	pthread_mutex_lock(&session->lock);
	/* Whoever lets it run nevertheless gets what the driver makes of the failure. */
	session->judged = true;
	(void)hand_over(session, &result);
	session->judged = session->judged && session->again;
	pthread_mutex_unlock(&session->lock);
}

int hs_session_run_to_end(struct hs_session *session)
{
	struct hs_event event = { .kind = HS_EVENT_INTERRUPTED };

	hs_vm_serve_calls(session->vm, false);
	while (event.kind != HS_EVENT_EXITED) {
		if (hs_session_run_vm(session, &event, NULL)) {
			return 0; /* which nobody asks for */
		}
	}
	return event.exit_status;
}

/* All is done; whoever lets it run nevertheless is told so. True: the guest was put back before. The lock is held. */
static bool end(struct hs_session *session, int exit_status)
{
	struct hs_session_result result = { .event = { .kind = HS_EVENT_INTERRUPTED } };

	session->over = true;
	/* What the driver has done last was cut short. */
	if (session->drive && session->interrupt_asked && !session->quit && !hand_over(session, &result)) {
		return false;
	}
	result.event = (struct hs_event){ .kind = HS_EVENT_EXITED, .exit_status = exit_status };
	while (!session->quit && !session->again && hand_over(session, &result)) {
		result.status = hs_error_set(&result.error, HS_ERR_STATE, 0, 0, "the guest has ended");
	}
	return session->again && !session->quit;
}

/* The driver, from where the guest is. The lock is held on entry and on return. */
static int drive(struct hs_session *session)
{
	int exit_status;

	session->again = false;
	session->begun = true;
	pthread_mutex_unlock(&session->lock);
	exit_status = session->drive ? session->drive(session->drive_ctx, session) : hs_session_run_to_end(session);
	pthread_mutex_lock(&session->lock);
	return exit_status;
}

void *hs_session_main(void *ctx)
{
	struct hs_session *session = ctx;
	bool go_on;

	pthread_mutex_lock(&session->lock);
	go_on = wait_for_start(session);
	while (go_on) {
		int exit_status = drive(session);

		go_on = !session->quit && (session->again || end(session, exit_status));
	}
	pthread_mutex_unlock(&session->lock);
	return NULL;
}

void hs_session_ask_interrupt(struct hs_session *session)
{
	session->interrupt_asked = true;
	hs_vm_interrupt(session->vm);
	/* After that: whoever gives up on output because of it finds no time to run the guest to its end. */
	(void)eventfd_write(session->interrupt_fd, 1);
}

void hs_session_set_filter(struct hs_session *session, hs_session_filter_fn *filter, void *ctx)
{
	pthread_mutex_lock(&session->lock);
	session->filter = filter;
	session->filter_ctx = ctx;
	pthread_mutex_unlock(&session->lock);
}

void hs_session_limit_again(struct hs_session *session)
{
	pthread_mutex_lock(&session->lock);
	if (session->left_ns != 0 && session->phase == PHASE_RUNNING) {
		session->left_ns = session->limit_ns;
		set_timer(session->limit_fd, session->left_ns);
	}
	pthread_mutex_unlock(&session->lock);
}

enum hs_status hs_session_stop_at_restore(struct hs_session *session, uint64_t count, struct hs_error *err)
{
	const uint64_t so_far = session->sandbox->restores;

	if (!session->cycles && count > 0) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0,
				    "this guest has no cycles ('hindsight run --call F --cycles N' makes them)");
	}
	pthread_mutex_lock(&session->lock);
	session->stop_at = count == 0 || count > UINT64_MAX - so_far ? 0 : so_far + count;
	pthread_mutex_unlock(&session->lock);
	return HS_OK;
}

struct hs_sandbox *hs_session_sandbox(struct hs_session *session)
{
	return session->sandbox;
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
		hs_session_ask_interrupt(session);
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
		hs_session_ask_interrupt(session);
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
