/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * session/session with a driver: what is the driver's never reaches the caller, what is the caller's never reaches the
 * driver, and an interrupt, a step and an end in between are where they belong.
 */
#include "fake_vm.h"
#include "saved.h"
#include "session/session.h"

#include <hindsight/abi.h>

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
static const struct hs_resume step = { .kind = HS_RESUME_STEP };

#define READY                                                                                                          \
	{                                                                                                              \
		.event = {.kind = HS_EVENT_READY }                                                                     \
	}
#define BREAKPOINT                                                                                                     \
	{                                                                                                              \
		.event = {.kind = HS_EVENT_BREAKPOINT }                                                                \
	}

/* What a driver has seen, and where it waits if it is to. */
struct drive {
	enum hs_status started, called;
	int32_t result;
	unsigned int logs;
	int at_work, go_on; /* eventfds; -1: does not wait */
	bool restores;
};

static void note_log(void *ctx, uint32_t level, const char *text, size_t length)
{
	struct drive *drive = ctx;

	assert_int_equal(level, HS_LOG_INFO);
	assert_memory_equal(text, "log", length);
	drive->logs++;
}

static void rendezvous(const struct drive *drive)
{
	eventfd_t value;

	if (drive->at_work >= 0) {
		assert_int_equal(eventfd_write(drive->at_work, 1), 0);
		assert_int_equal(eventfd_read(drive->go_on, &value), 0);
	}
}

/* Start, then between two runs whatever the test wants, then one call. */
static int start_and_call(void *ctx, struct hs_session *session)
{
	struct drive *drive = ctx;
	struct hs_sandbox *sandbox = hs_session_sandbox(session);
	struct hs_value result = { .type = HS_TYPE_VOID };

	drive->started = hs_sandbox_start(sandbox, NULL);
	rendezvous(drive);
	if (drive->restores) {
		struct hs_snapshot *snapshot = saved_create(HS_ARCH_AMD64, false);

		assert_int_equal(hs_sandbox_restore(sandbox, snapshot, NULL), HS_OK);
		hs_snapshot_unref(snapshot);
	}
	drive->called = hs_sandbox_call(sandbox, "f", NULL, 0, &result, NULL);
	drive->result = result.i;
	return 9;
}

/* The guest is done; something is left to do for the driver alone. */
static int start_and_wait(void *ctx, struct hs_session *session)
{
	struct drive *drive = ctx;

	drive->started = hs_sandbox_start(hs_session_sandbox(session), NULL);
	rendezvous(drive);
	return 9;
}

static struct hs_session *make(hs_session_drive_fn *function, struct drive *drive, const struct fake_step *steps,
			       size_t count)
{
	struct hs_session_config config = { .drive = function, .log = note_log, .ctx = drive };
	struct hs_session *session = NULL;
	struct hs_error err;

	assert_int_equal(hs_session_create("/fake", &config, &session, &err), HS_OK);
	assert_true(fake_vm_serves_calls(hs_session_vm(session)));
	fake_vm_script(hs_session_vm(session), steps, count);
	return session;
}

#define MAKE(function, drive, steps) make((function), (drive), (steps), sizeof(steps) / sizeof((steps)[0]))

static struct hs_session_result run(struct hs_session *session, const struct hs_resume *resume)
{
	struct hs_session_result result;
	struct hs_error err;

	assert_int_equal(hs_session_start(session, resume, &err), HS_OK);
	assert_int_equal(hs_session_wait(session, -1, &result, &err), HS_OK);
	return result;
}

static void wait_at_work(const struct drive *drive)
{
	eventfd_t value;

	assert_int_equal(eventfd_read(drive->at_work, &value), 0);
}

static void assert_event(const struct hs_session_result *result, enum hs_event_kind kind)
{
	assert_int_equal(result->status, HS_OK);
	assert_int_equal(result->event.kind, kind);
}

static struct drive waiting(void)
{
	return (struct drive){ .at_work = eventfd(0, EFD_CLOEXEC), .go_on = eventfd(0, EFD_CLOEXEC) };
}

static void end_waiting(const struct drive *drive)
{
	close(drive->at_work);
	close(drive->go_on);
}

static void test_driver_events_of_calls_are_its_own_and_the_others_the_callers(void **state)
{
	static const struct fake_step steps[] = {
		BREAKPOINT,
		READY,
		{ .event = { .kind = HS_EVENT_LOG } },
		{ .event = { .kind = HS_EVENT_WATCHPOINT } },
		{ .event = { .kind = HS_EVENT_CRASHED, .crash = { .signal = SIGSEGV } } },
	};
	static const struct fake_step mended[] = { READY };
	struct drive drive = { .at_work = -1 };
	struct hs_session *session = MAKE(start_and_call, &drive, steps);
	struct hs_session_result result;

	(void)state;
	result = run(session, &go);
	assert_event(&result, HS_EVENT_BREAKPOINT);
	result = run(session, &go);
	assert_event(&result, HS_EVENT_WATCHPOINT);
	assert_int_equal(drive.logs, 1);
	result = run(session, &go);
	assert_event(&result, HS_EVENT_CRASHED);
	assert_int_equal(result.event.crash.signal, SIGSEGV);
	/* The debugger has repaired it. */
	assert_int_equal(hs_vm_mem_write(hs_session_vm(session), hs_gva_of(0), "", 1, NULL), HS_OK);
	fake_vm_script(hs_session_vm(session), mended, 1);
	result = run(session, &go);
	assert_event(&result, HS_EVENT_EXITED);
	assert_int_equal(result.event.exit_status, 9);
	assert_int_equal(drive.started, HS_OK);
	assert_int_equal(drive.called, HS_OK);
	assert_int_equal(drive.result, 42);
	/* It is over for good. */
	result = run(session, &go);
	assert_int_equal(result.status, HS_ERR_STATE);
	hs_session_destroy(session);
}

static void test_driver_guest_that_exits_in_a_call_is_the_drivers(void **state)
{
	static const struct fake_step steps[] = { READY, { .event = { .kind = HS_EVENT_EXITED, .exit_status = 3 } } };
	struct drive drive = { .at_work = -1 };
	struct hs_session *session = MAKE(start_and_call, &drive, steps);
	struct hs_session_result result = run(session, &go);

	(void)state;
	assert_event(&result, HS_EVENT_EXITED);
	assert_int_equal(result.event.exit_status, 9);
	assert_int_equal(drive.called, HS_ERR_GUEST);
	hs_session_destroy(session);
}

static void test_driver_failed_run_is_a_result_and_can_be_tried_again(void **state)
{
	static const struct fake_step steps[] = { { .fail = HS_ERR_BACKEND }, READY, READY };
	struct drive drive = { .at_work = -1 };
	struct hs_session *session = MAKE(start_and_call, &drive, steps);
	struct hs_session_result result = run(session, &go);

	(void)state;
	assert_int_equal(result.status, HS_ERR_BACKEND);
	result = run(session, &go);
	assert_event(&result, HS_EVENT_EXITED);
	hs_session_destroy(session);
}

/* A restore drops what the VM has kept of an interrupt; the session has not forgotten it. */
static void test_driver_interrupt_between_two_runs_is_not_lost_in_a_restore(void **state)
{
	static const struct fake_step steps[] = { READY, READY };
	struct drive drive = waiting();
	struct hs_session *session;
	struct hs_session_result result;
	struct hs_error err;

	(void)state;
	drive.restores = true;
	session = MAKE(start_and_call, &drive, steps);
	assert_int_equal(hs_session_start(session, &go, &err), HS_OK);
	wait_at_work(&drive);
	hs_session_interrupt(session);
	eventfd_write(drive.go_on, 1);
	assert_int_equal(hs_session_wait(session, -1, &result, &err), HS_OK);
	assert_event(&result, HS_EVENT_INTERRUPTED);
	assert_int_equal(fake_vm_runs(hs_session_vm(session)), 1);
	result = run(session, &go);
	assert_event(&result, HS_EVENT_EXITED);
	assert_int_equal(drive.called, HS_OK);
	hs_session_destroy(session);
	end_waiting(&drive);
}

static void test_driver_interrupt_behind_the_last_run_comes_before_the_end(void **state)
{
	static const struct fake_step steps[] = { READY };
	struct drive drive = waiting();
	struct hs_session *session = MAKE(start_and_wait, &drive, steps);
	struct pollfd interrupted = { .fd = hs_session_interrupt_fd(session), .events = POLLIN };
	struct hs_session_result result;
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_session_start(session, &go, &err), HS_OK);
	wait_at_work(&drive);
	hs_session_interrupt(session);
	/* What a driver that waits for a reader waits for, too. */
	assert_int_equal(poll(&interrupted, 1, 0), 1);
	eventfd_write(drive.go_on, 1);
	assert_int_equal(hs_session_wait(session, -1, &result, &err), HS_OK);
	assert_event(&result, HS_EVENT_INTERRUPTED);
	assert_int_equal(poll(&interrupted, 1, 0), 0);
	result = run(session, &go);
	assert_event(&result, HS_EVENT_EXITED);
	hs_session_destroy(session);
	end_waiting(&drive);
}

static void test_driver_step_of_what_it_has_served_is_over_behind_it(void **state)
{
	static const struct fake_step steps[] = { READY, { .event = { .kind = HS_EVENT_STEPPED } }, READY };
	struct drive drive = { .at_work = -1 };
	struct hs_session *session = MAKE(start_and_call, &drive, steps);
	struct hs_session_result result = run(session, &step);

	(void)state;
	assert_event(&result, HS_EVENT_STEPPED);
	assert_int_equal(fake_vm_runs(hs_session_vm(session)), 1);
	assert_int_equal(drive.started, HS_OK);
	/* The next one is a step again, of the call. */
	result = run(session, &step);
	assert_event(&result, HS_EVENT_STEPPED);
	assert_int_equal(fake_vm_runs(hs_session_vm(session)), 2);
	assert_int_equal(fake_vm_last_resume(hs_session_vm(session)).kind, HS_RESUME_STEP);
	hs_session_destroy(session);
}

static void test_driver_range_step_goes_on_as_long_as_it_is_in_the_range(void **state)
{
	static const struct fake_step steps[] = { READY, { .event = { .kind = HS_EVENT_STEPPED } } };
	struct hs_resume range = { .kind = HS_RESUME_RANGE, .range_start = { FAKE_ENTRY }, .range_length = 1 };

	(void)state;
	for (unsigned int outside = 0; outside < 2; outside++) {
		struct drive drive = { .at_work = -1 };
		struct hs_session *session = MAKE(start_and_call, &drive, steps);
		struct hs_session_result result;

		range.range_start = hs_gva_of(FAKE_ENTRY + outside);
		result = run(session, &range);
		assert_event(&result, HS_EVENT_STEPPED);
		assert_int_equal(fake_vm_runs(hs_session_vm(session)), 2 - outside);
		hs_session_destroy(session);
	}
}

/* Does not take a call's failure for an answer. */
static int call_again(void *ctx, struct hs_session *session)
{
	struct drive *drive = ctx;

	(void)start_and_call(drive, session);
	drive->restores = true;
	drive->at_work = -1;
	return start_and_call(drive, session);
}

static void test_driver_destroy_while_it_is_stopped_ends_its_call_and_the_next(void **state)
{
	static const struct fake_step steps[] = { READY, BREAKPOINT, READY };
	struct drive drive = { .at_work = -1 };
	struct hs_session *session = MAKE(call_again, &drive, steps);
	struct hs_session_result result = run(session, &go);

	(void)state;
	assert_event(&result, HS_EVENT_BREAKPOINT);
	hs_session_destroy(session);
	assert_int_equal(drive.called, HS_ERR_INTERRUPTED);
}

static void test_driver_destroy_before_the_first_start_never_calls_it(void **state)
{
	static const struct fake_step steps[] = { READY };
	struct drive drive = { .at_work = -1, .called = HS_ERR_BUSY };

	(void)state;
	hs_session_destroy(MAKE(start_and_call, &drive, steps));
	assert_int_equal(drive.called, HS_ERR_BUSY);
}

/* Puts the guest on a snapshot and calls; a guest that was put back is called only. */
static int call_from_snapshot(void *ctx, struct hs_session *session)
{
	struct drive *drive = ctx;
	struct hs_place place = { .step = 7 };

	drive->logs++;
	if (hs_session_entry(session, &place) == HS_ENTRY_BEGIN) {
		assert_int_equal(place.step, 0);
		hs_session_set_place(session, &(struct hs_place){ .step = 3 });
		drive->restores = true;
		return start_and_call(drive, session);
	}
	assert_int_equal(place.step, 3);
	drive->called = hs_sandbox_call(hs_session_sandbox(session), "f", NULL, 0, NULL, NULL);
	return 9;
}

static void test_driver_guest_that_was_put_back_is_driven_again(void **state)
{
	static const struct fake_step steps[] = { BREAKPOINT, READY, BREAKPOINT, READY };
	struct drive drive = { .at_work = -1 };
	struct hs_session *session = MAKE(call_from_snapshot, &drive, steps);
	struct hs_session_result result;
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_session_restore(session, &err), HS_ERR_NOT_FOUND);
	result = run(session, &go);
	assert_event(&result, HS_EVENT_BREAKPOINT);
	assert_int_equal(hs_session_restore(session, &err), HS_ERR_NOT_FOUND);
	result = run(session, &go);
	assert_event(&result, HS_EVENT_BREAKPOINT);
	assert_int_equal(drive.logs, 1);
	assert_int_equal(hs_session_restore(session, &err), HS_OK);
	result = run(session, &go);
	assert_event(&result, HS_EVENT_EXITED);
	assert_int_equal(drive.called, HS_OK);
	assert_int_equal(drive.logs, 2);
	assert_int_equal(hs_session_restore(session, &err), HS_ERR_STATE);
	assert_string_equal(err.message, "the guest has ended");
	hs_session_destroy(session);
}

static int spin_in_call(void *ctx, struct hs_session *session)
{
	struct drive *drive = ctx;

	drive->started = hs_sandbox_start(hs_session_sandbox(session), NULL);
	rendezvous(drive);
	hs_session_limit_again(session);
	rendezvous(drive);
	drive->called = hs_sandbox_call(hs_session_sandbox(session), "f", NULL, 0, NULL, NULL);
	return 9;
}

/* The first limit is the start's: it passes unseen while the driver is at work. The call has one of its own. */
static void test_driver_time_limit_of_a_call_begins_with_it_and_is_none_once_it_has_passed(void **state)
{
	static const struct fake_step steps[] = { READY, { .spin = true } };
	static const struct fake_step done[] = { READY };
	struct drive drive = waiting();
	struct hs_session_config config = { .drive = spin_in_call, .ctx = &drive, .limit_ns = 500 * MS };
	struct hs_session *session = NULL;
	struct pollfd limit;
	struct hs_session_result result;
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_session_create("/fake", &config, &session, &err), HS_OK);
	fake_vm_script(hs_session_vm(session), steps, 2);
	limit = (struct pollfd){ .fd = hs_session_event_fd(session), .events = POLLIN };
	assert_int_equal(hs_session_start(session, &go, &err), HS_OK);
	wait_at_work(&drive);
	assert_int_equal(poll(&limit, 1, -1), 1);
	eventfd_write(drive.go_on, 1);
	wait_at_work(&drive);
	assert_int_equal(poll(&limit, 1, 0), 0);
	eventfd_write(drive.go_on, 1);
	assert_int_equal(hs_session_wait(session, -1, &result, &err), HS_OK);
	assert_event(&result, HS_EVENT_CRASHED);
	assert_int_equal(result.event.crash.reason, HS_CRASH_HANG);
	fake_vm_script(hs_session_vm(session), done, 1);
	result = run(session, &go);
	assert_event(&result, HS_EVENT_EXITED);
	assert_int_equal(drive.called, HS_OK);
	hs_session_destroy(session);
	end_waiting(&drive);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_driver_events_of_calls_are_its_own_and_the_others_the_callers),
		cmocka_unit_test(test_driver_guest_that_exits_in_a_call_is_the_drivers),
		cmocka_unit_test(test_driver_failed_run_is_a_result_and_can_be_tried_again),
		cmocka_unit_test(test_driver_interrupt_between_two_runs_is_not_lost_in_a_restore),
		cmocka_unit_test(test_driver_interrupt_behind_the_last_run_comes_before_the_end),
		cmocka_unit_test(test_driver_step_of_what_it_has_served_is_over_behind_it),
		cmocka_unit_test(test_driver_range_step_goes_on_as_long_as_it_is_in_the_range),
		cmocka_unit_test(test_driver_destroy_while_it_is_stopped_ends_its_call_and_the_next),
		cmocka_unit_test(test_driver_destroy_before_the_first_start_never_calls_it),
		cmocka_unit_test(test_driver_guest_that_was_put_back_is_driven_again),
		cmocka_unit_test(test_driver_time_limit_of_a_call_begins_with_it_and_is_none_once_it_has_passed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
