/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * session/session: one result for each start, interrupts that never reach too far, the time limit, destroy at any
 * time.
 */
#include "fake_vm.h"
#include "session/crash.h"
#include "session/session.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define MS 1000000u

static const struct hs_resume go = { .kind = HS_RESUME_CONTINUE };
static const struct fake_step then_exit[] = { { .event = { .kind = HS_EVENT_EXITED } } };
static const struct hs_resume step = { .kind = HS_RESUME_STEP };

static struct hs_session *make(const struct fake_step *steps, size_t count, uint64_t limit_ns)
{
	struct hs_session_config config = { .limit_ns = limit_ns };
	struct hs_session *session = NULL;
	struct hs_error err;

	assert_int_equal(hs_session_create("/fake", &config, &session, &err), HS_OK);
	fake_vm_script(hs_session_vm(session), steps, count);
	return session;
}

#define MAKE(steps, limit_ns) make((steps), sizeof(steps) / sizeof((steps)[0]), (limit_ns))

/* Start and wait for the result. */
static struct hs_session_result run(struct hs_session *session, const struct hs_resume *resume)
{
	struct hs_session_result result;
	struct hs_error err;

	assert_int_equal(hs_session_start(session, resume, &err), HS_OK);
	assert_int_equal(hs_session_wait(session, -1, &result, &err), HS_OK);
	return result;
}

static bool readable(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };

	return poll(&one, 1, 0) == 1;
}

static void test_session_create_missing_image_fails_whole(void **state)
{
	struct hs_session_config config = { 0 };
	struct hs_session *session = (struct hs_session *)&config;
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_session_create("/missing", &config, &session, &err), HS_ERR_NOT_FOUND);
	assert_ptr_equal(session, &config);
	assert_string_equal(err.message, "/missing: no such image");
}

static void test_session_result_comes_once_for_each_start(void **state)
{
	static const struct fake_step steps[] = {
		{ .event = { .kind = HS_EVENT_STEPPED } },
		{ .event = { .kind = HS_EVENT_EXITED, .exit_status = 3 } },
	};
	struct hs_session *session = MAKE(steps, 0);
	struct hs_session_result result;
	struct hs_error err;

	(void)state;
	assert_false(hs_session_running(session));
	assert_false(hs_session_take(session, &result));
	assert_int_equal(hs_session_wait(session, -1, &result, &err), HS_ERR_STATE);
	result = run(session, &step);
	assert_int_equal(result.status, HS_OK);
	assert_int_equal(result.event.kind, HS_EVENT_STEPPED);
	assert_int_equal(fake_vm_last_resume(hs_session_vm(session)).kind, HS_RESUME_STEP);
	assert_false(readable(hs_session_event_fd(session)));
	assert_false(hs_session_take(session, &result));
	result = run(session, &go);
	assert_int_equal(result.event.kind, HS_EVENT_EXITED);
	assert_int_equal(result.event.exit_status, 3);
	hs_session_destroy(session);
}

static void test_session_start_before_the_result_was_taken_is_refused(void **state)
{
	static const struct fake_step steps[] = {
		{ .gate = true, .event = { .kind = HS_EVENT_STEPPED } },
	};
	struct hs_session *session = MAKE(steps, 0);
	struct pollfd stopped = { .fd = hs_session_event_fd(session), .events = POLLIN };
	struct hs_session_result result;
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_session_start(session, &go, &err), HS_OK);
	assert_int_equal(hs_session_start(session, &go, &err), HS_ERR_STATE);
	assert_true(hs_session_running(session));
	fake_vm_wait_gate(hs_session_vm(session));
	assert_false(hs_session_take(session, &result));
	fake_vm_release(hs_session_vm(session));
	assert_int_equal(poll(&stopped, 1, -1), 1);
	assert_int_equal(hs_session_start(session, &go, &err), HS_ERR_STATE);
	assert_true(hs_session_take(session, &result));
	assert_int_equal(fake_vm_runs(hs_session_vm(session)), 1);
	hs_session_destroy(session);
}

static void test_session_failed_run_is_a_result(void **state)
{
	static const struct fake_step steps[] = { { .fail = HS_ERR_BACKEND } };
	struct hs_session *session = MAKE(steps, 0);
	struct hs_session_result result;

	(void)state;
	result = run(session, &go);
	assert_int_equal(result.status, HS_ERR_BACKEND);
	assert_string_equal(result.error.message, "as the script says");
	hs_session_destroy(session);
}

static void test_session_interrupt_ends_the_run(void **state)
{
	static const struct fake_step steps[] = { { .spin = true } };
	struct hs_session *session = MAKE(steps, 0);
	struct hs_session_result result;
	struct hs_error err;

	(void)state;
	assert_false(readable(hs_session_interrupt_fd(session)));
	assert_int_equal(hs_session_start(session, &go, &err), HS_OK);
	hs_session_interrupt(session);
	assert_int_equal(hs_session_wait(session, -1, &result, &err), HS_OK);
	assert_int_equal(result.event.kind, HS_EVENT_INTERRUPTED);
	assert_false(readable(hs_session_interrupt_fd(session)));
	/* Whether the spin had begun is open; so the script goes on with one of its own. */
	fake_vm_script(hs_session_vm(session), then_exit, 1);
	result = run(session, &go);
	assert_int_equal(result.event.kind, HS_EVENT_EXITED);
	hs_session_destroy(session);
}

static void test_session_interrupt_when_stopped_does_not_reach_the_next_run(void **state)
{
	static const struct fake_step steps[] = { { .event = { .kind = HS_EVENT_STEPPED } },
						  { .event = { .kind = HS_EVENT_EXITED } } };
	struct hs_session *session = MAKE(steps, 0);

	(void)state;
	hs_session_interrupt(session);
	assert_int_equal(run(session, &go).event.kind, HS_EVENT_STEPPED);
	hs_session_interrupt(session);
	assert_int_equal(run(session, &go).event.kind, HS_EVENT_EXITED);
	hs_session_destroy(session);
}

/* The interrupt arrives while the run is ending by itself: the VM keeps it pending, the next run must not see it. */
static void test_session_interrupt_that_lost_the_race_is_forgotten(void **state)
{
	static const struct fake_step steps[] = {
		{ .gate = true, .event = { .kind = HS_EVENT_BREAKPOINT } },
		{ .event = { .kind = HS_EVENT_EXITED, .exit_status = 5 } },
	};
	struct hs_session *session = MAKE(steps, 0);
	struct hs_session_result result;
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_session_start(session, &go, &err), HS_OK);
	fake_vm_wait_gate(hs_session_vm(session));
	hs_session_interrupt(session);
	assert_true(readable(hs_session_interrupt_fd(session)));
	fake_vm_release(hs_session_vm(session));
	assert_int_equal(hs_session_wait(session, -1, &result, &err), HS_OK);
	assert_int_equal(result.event.kind, HS_EVENT_BREAKPOINT);
	result = run(session, &go);
	assert_int_equal(result.event.kind, HS_EVENT_EXITED);
	assert_int_equal(result.event.exit_status, 5);
	assert_int_equal(fake_vm_runs(hs_session_vm(session)), 3);
	hs_session_destroy(session);
}

static void test_session_wait_comes_back_for_the_wake_fd(void **state)
{
	static const struct fake_step steps[] = { { .spin = true } };
	struct hs_session *session = MAKE(steps, 0);
	struct hs_session_result result;
	struct hs_error err;
	int wake = eventfd(1, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(hs_session_start(session, &go, &err), HS_OK);
	assert_int_equal(hs_session_wait(session, wake, &result, &err), HS_ERR_BUSY);
	assert_true(hs_session_running(session));
	close(wake);
	hs_session_destroy(session);
}

static void test_session_time_limit_is_a_hang_and_comes_once(void **state)
{
	static const struct fake_step steps[] = { { .spin = true } };
	struct hs_session *session = MAKE(steps, 2 * MS);
	struct hs_session_result result;

	(void)state;
	result = run(session, &go);
	assert_int_equal(result.event.kind, HS_EVENT_CRASHED);
	assert_int_equal(result.event.crash.reason, HS_CRASH_HANG);
	assert_int_equal(result.event.crash.signal, SIGXCPU);
	assert_int_equal(result.event.crash.rip, FAKE_ENTRY);
	assert_string_equal(result.event.crash.text, "time limit: the guest had not ended after 0.002 s");
	fake_vm_script(hs_session_vm(session), then_exit, 1);
	result = run(session, &go);
	assert_int_equal(result.event.kind, HS_EVENT_EXITED);
	hs_session_destroy(session);
}

/* The limit passes while the first run ends by itself; what is left of it (nothing) is applied to the second. */
static void test_session_time_limit_goes_over_several_runs(void **state)
{
	static const struct fake_step steps[] = {
		{ .gate = true, .event = { .kind = HS_EVENT_BREAKPOINT } },
		{ .spin = true },
	};
	struct hs_session *session = MAKE(steps, 2 * MS);
	struct pollfd limit = { .fd = hs_session_event_fd(session), .events = POLLIN };
	struct hs_session_result result;
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_session_start(session, &go, &err), HS_OK);
	fake_vm_wait_gate(hs_session_vm(session));
	assert_int_equal(poll(&limit, 1, -1), 1);
	fake_vm_release(hs_session_vm(session));
	assert_int_equal(hs_session_wait(session, -1, &result, &err), HS_OK);
	assert_int_equal(result.event.kind, HS_EVENT_BREAKPOINT);
	result = run(session, &go);
	assert_int_equal(result.event.kind, HS_EVENT_CRASHED);
	assert_int_equal(result.event.crash.reason, HS_CRASH_HANG);
	hs_session_destroy(session);
}

/* Both want the run to end: the caller gets what it asked for, and the limit comes with the next run. */
static void test_session_interrupt_comes_before_the_time_limit(void **state)
{
	static const struct fake_step steps[] = {
		{ .gate = true, .event = { .kind = HS_EVENT_INTERRUPTED } },
		{ .spin = true },
	};
	struct hs_session *session = MAKE(steps, 2 * MS);
	struct pollfd limit = { .fd = hs_session_event_fd(session), .events = POLLIN };
	struct hs_session_result result;
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_session_start(session, &go, &err), HS_OK);
	fake_vm_wait_gate(hs_session_vm(session));
	assert_int_equal(poll(&limit, 1, -1), 1);
	assert_false(hs_session_take(session, &result));
	hs_session_interrupt(session);
	fake_vm_release(hs_session_vm(session));
	assert_int_equal(hs_session_wait(session, -1, &result, &err), HS_OK);
	assert_int_equal(result.event.kind, HS_EVENT_INTERRUPTED);
	result = run(session, &go);
	assert_int_equal(result.event.kind, HS_EVENT_CRASHED);
	assert_int_equal(result.event.crash.reason, HS_CRASH_HANG);
	hs_session_destroy(session);
}

static void test_session_time_limit_not_reached_says_nothing(void **state)
{
	static const struct fake_step steps[] = { { .event = { .kind = HS_EVENT_EXITED, .exit_status = 1 } } };
	struct hs_session *session = MAKE(steps, 3600000ull * MS);

	(void)state;
	assert_int_equal(run(session, &go).event.kind, HS_EVENT_EXITED);
	assert_false(readable(hs_session_event_fd(session)));
	hs_session_destroy(session);
}

static void test_session_post_is_taken_like_a_run(void **state)
{
	static const struct fake_step steps[] = { { .event = { .kind = HS_EVENT_STEPPED } } };
	struct hs_event event = { .kind = HS_EVENT_CRASHED, .crash = { .signal = SIGSEGV } };
	struct hs_session *session = MAKE(steps, 0);
	struct hs_session_result result;
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_session_post(session, &event, &err), HS_OK);
	assert_true(readable(hs_session_event_fd(session)));
	assert_int_equal(hs_session_start(session, &go, &err), HS_ERR_STATE);
	assert_true(hs_session_take(session, &result));
	assert_int_equal(result.event.crash.signal, SIGSEGV);
	assert_int_equal(fake_vm_runs(hs_session_vm(session)), 0);
	hs_session_destroy(session);
}

static void test_session_destroy_while_running_ends_the_run(void **state)
{
	static const struct fake_step steps[] = { { .spin = true } };
	struct hs_session *session = MAKE(steps, 0);
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_session_start(session, &go, &err), HS_OK);
	hs_session_destroy(session);
	hs_session_destroy(NULL);
}

static void test_crash_reason_names_are_distinct(void **state)
{
	(void)state;
	for (int i = 0; i <= HS_CRASH_CALL; i++) {
		for (int j = 0; j < i; j++) {
			assert_string_not_equal(hs_crash_reason_name((enum hs_crash_reason)i),
						hs_crash_reason_name((enum hs_crash_reason)j));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session_create_missing_image_fails_whole),
		cmocka_unit_test(test_session_result_comes_once_for_each_start),
		cmocka_unit_test(test_session_start_before_the_result_was_taken_is_refused),
		cmocka_unit_test(test_session_failed_run_is_a_result),
		cmocka_unit_test(test_session_interrupt_ends_the_run),
		cmocka_unit_test(test_session_interrupt_when_stopped_does_not_reach_the_next_run),
		cmocka_unit_test(test_session_interrupt_that_lost_the_race_is_forgotten),
		cmocka_unit_test(test_session_wait_comes_back_for_the_wake_fd),
		cmocka_unit_test(test_session_time_limit_is_a_hang_and_comes_once),
		cmocka_unit_test(test_session_time_limit_goes_over_several_runs),
		cmocka_unit_test(test_session_interrupt_comes_before_the_time_limit),
		cmocka_unit_test(test_session_time_limit_not_reached_says_nothing),
		cmocka_unit_test(test_session_post_is_taken_like_a_run),
		cmocka_unit_test(test_session_destroy_while_running_ends_the_run),
		cmocka_unit_test(test_crash_reason_names_are_distinct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
