/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * session/checkpoint with a driver: a guest that was put back goes on where it was, and so does its driver, from the
 * middle of a call, from a start, from its end; and what cannot be is refused.
 */
#include "fake_vm.h"
#include "session/checkpoint.h"
#include "session/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ENTRIES_MAX 8
#define EXIT_STATUS 9

static const struct hs_resume go = { .kind = HS_RESUME_CONTINUE };

#define STEP(kind_)                                                                                                    \
	{                                                                                                              \
		.event = {.kind = (kind_) }                                                                            \
	}

enum step { STEP_START = 1, STEP_CALL };

/* What the driver has been called for, and what came of it. */
struct drive {
	struct {
		enum hs_entry entry;
		struct hs_place place;
	} entries[ENTRIES_MAX];
	size_t count;
	enum hs_status started, called;
	unsigned int answers; /* calls that had one */
};

static int drive(void *ctx, struct hs_session *session)
{
	struct hs_sandbox *sandbox = hs_session_sandbox(session);
	struct drive *drive = ctx;
	struct hs_value result = { .i = 0 };
	struct hs_place place;
	enum hs_entry entry = hs_session_entry(session, &place);

	assert_true(drive->count < ENTRIES_MAX);
	drive->entries[drive->count].entry = entry;
	drive->entries[drive->count++].place = place;
	if (entry == HS_ENTRY_INSIDE && place.step == STEP_CALL) {
		drive->called = hs_session_finish_call(session, "f", &result, NULL);
	} else {
		hs_session_set_place(session, &(struct hs_place){ .step = STEP_START });
		drive->started = entry == HS_ENTRY_INSIDE ? hs_session_finish_start(session, NULL)
							  : hs_sandbox_start(sandbox, NULL);
		hs_session_set_place(session, &(struct hs_place){ .step = STEP_CALL, .cycle = 3, .call = 5 });
		drive->called = hs_sandbox_call(sandbox, "f", NULL, 0, &result, NULL);
	}
	drive->answers += drive->called == HS_OK && result.i == 42;
	return EXIT_STATUS;
}

static struct hs_session *make(struct drive *of, const struct fake_step *steps, size_t count)
{
	const struct hs_vm_config vm = { .debugger = true };
	struct hs_session_config config = {
		.vm = &vm,
		.drive = drive,
		.ctx = of,
		.checkpoint_bytes = UINT64_C(3) * FAKE_MEMORY_BYTES,
	};
	struct hs_session *session = NULL;
	struct hs_error err;

	assert_int_equal(hs_session_create("/fake", &config, &session, &err), HS_OK);
	fake_vm_script(hs_session_vm(session), steps, count);
	return session;
}

#define MAKE(drive, steps) make((drive), (steps), sizeof(steps) / sizeof((steps)[0]))

static void run_to(struct hs_session *session, enum hs_event_kind kind)
{
	struct hs_session_result result;
	struct hs_error err;

	assert_int_equal(hs_session_start(session, &go, &err), HS_OK);
	assert_int_equal(hs_session_wait(session, -1, &result, &err), HS_OK);
	assert_int_equal(result.status, HS_OK);
	assert_int_equal(result.event.kind, kind);
	assert_int_equal(kind == HS_EVENT_EXITED ? result.event.exit_status : EXIT_STATUS, EXIT_STATUS);
}

static struct hs_checkpoint *take(struct hs_session *session)
{
	struct hs_checkpoint *checkpoint = NULL;
	struct hs_error err;

	assert_int_equal(hs_checkpoint_take(session, NULL, &checkpoint, &err), HS_OK);
	return checkpoint;
}

static void put_back(struct hs_session *session, const struct hs_checkpoint *checkpoint)
{
	struct hs_error err;

	assert_int_equal(hs_checkpoint_restore(session, checkpoint, &err), HS_OK);
}

static void assert_entry(const struct drive *of, size_t index, enum hs_entry entry, unsigned int step)
{
	assert_int_equal(of->entries[index].entry, entry);
	assert_int_equal(of->entries[index].place.step, step);
}

static void test_checkpoint_in_a_call_finishes_it_also_from_the_end(void **state)
{
	static const struct fake_step steps[] = { STEP(HS_EVENT_READY), STEP(HS_EVENT_BREAKPOINT),
						  STEP(HS_EVENT_BREAKPOINT), STEP(HS_EVENT_READY) };
	struct drive of = { .count = 0 };
	struct hs_session *session = MAKE(&of, steps);
	struct hs_checkpoint *checkpoint;

	(void)state;
	run_to(session, HS_EVENT_BREAKPOINT);
	checkpoint = take(session);
	for (unsigned int i = 1; i <= 3; i++) {
		run_to(session, HS_EVENT_BREAKPOINT);
		if (i < 3) {
			run_to(session, HS_EVENT_EXITED);
			assert_int_equal(of.answers, i);
		}
		put_back(session, checkpoint);
	}
	run_to(session, HS_EVENT_BREAKPOINT);
	run_to(session, HS_EVENT_EXITED);
	assert_int_equal(of.count, 4);
	assert_entry(&of, 0, HS_ENTRY_BEGIN, 0);
	for (size_t i = 1; i < 4; i++) {
		assert_entry(&of, i, HS_ENTRY_INSIDE, STEP_CALL);
		assert_int_equal(of.entries[i].place.cycle, 3);
		assert_int_equal(of.entries[i].place.call, 5);
	}
	assert_int_equal(of.answers, 3);
	hs_checkpoint_destroy(checkpoint);
	hs_session_destroy(session);
}

static void test_checkpoint_in_a_start_makes_the_call_behind_it(void **state)
{
	static const struct fake_step steps[] = { STEP(HS_EVENT_BREAKPOINT), STEP(HS_EVENT_READY),
						  STEP(HS_EVENT_BREAKPOINT), STEP(HS_EVENT_READY) };
	struct drive of = { .count = 0 };
	struct hs_session *session = MAKE(&of, steps);
	struct hs_checkpoint *checkpoint;

	(void)state;
	run_to(session, HS_EVENT_BREAKPOINT);
	checkpoint = take(session);
	run_to(session, HS_EVENT_BREAKPOINT);
	put_back(session, checkpoint);
	run_to(session, HS_EVENT_BREAKPOINT);
	run_to(session, HS_EVENT_EXITED);
	assert_int_equal(of.count, 2);
	assert_entry(&of, 1, HS_ENTRY_INSIDE, STEP_START);
	assert_int_equal(of.started, HS_OK);
	assert_int_equal(of.answers, 1);
	hs_checkpoint_destroy(checkpoint);
	hs_session_destroy(session);
}

static void test_restart_begins_as_at_first_from_anywhere(void **state)
{
	static const struct fake_step steps[] = { STEP(HS_EVENT_READY), STEP(HS_EVENT_BREAKPOINT),
						  STEP(HS_EVENT_READY) };
	struct drive of = { .count = 0 };
	struct hs_session *session = MAKE(&of, steps);
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_session_restart(session, &err), HS_OK);
	run_to(session, HS_EVENT_BREAKPOINT);
	assert_int_equal(hs_session_restart(session, &err), HS_OK);
	run_to(session, HS_EVENT_BREAKPOINT);
	run_to(session, HS_EVENT_EXITED);
	assert_int_equal(hs_session_restart(session, &err), HS_OK);
	run_to(session, HS_EVENT_BREAKPOINT);
	run_to(session, HS_EVENT_EXITED);
	assert_int_equal(of.count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(of.entries[i].entry, HS_ENTRY_BEGIN);
	}
	assert_int_equal(of.answers, 2);
	hs_session_destroy(session);
}

/* What the sandbox has found wrong is shown once; who was put back there gets what comes of it, and not the guest. */
static void test_checkpoint_at_a_crash_that_the_sandbox_found_ends_as_it_did(void **state)
{
	static const struct fake_step steps[] = { STEP(HS_EVENT_READY), STEP(HS_EVENT_HOST_CALL) };
	struct drive of = { .count = 0 };
	struct hs_session *session = MAKE(&of, steps);
	struct hs_checkpoint *checkpoint;

	(void)state;
	run_to(session, HS_EVENT_CRASHED);
	checkpoint = take(session);
	put_back(session, checkpoint);
	run_to(session, HS_EVENT_EXITED);
	assert_int_equal(of.called, HS_ERR_FORMAT);
	of.called = HS_OK;
	put_back(session, checkpoint);
	run_to(session, HS_EVENT_EXITED);
	assert_int_equal(of.called, HS_ERR_FORMAT);
	assert_int_equal(fake_vm_runs(hs_session_vm(session)), 2);
	hs_checkpoint_destroy(checkpoint);
	hs_session_destroy(session);
}

static void test_checkpoint_of_memory_and_registers_has_what_was_there(void **state)
{
	static const struct fake_step steps[] = { STEP(HS_EVENT_BREAKPOINT) };
	static const char before[] = "before";
	struct drive of = { .count = 0 };
	struct hs_session *session = MAKE(&of, steps);
	struct hs_vm *vm = hs_session_vm(session);
	struct hs_checkpoint *checkpoint;
	char found[sizeof(before)];
	size_t length;

	(void)state;
	run_to(session, HS_EVENT_BREAKPOINT);
	assert_int_equal(hs_vm_mem_write(vm, hs_gva_of(0x2000), before, sizeof(before), NULL), HS_OK);
	checkpoint = take(session);
	assert_int_equal(hs_vm_mem_write(vm, hs_gva_of(0x2000), "after!", sizeof(before), NULL), HS_OK);
	put_back(session, checkpoint);
	assert_int_equal(hs_vm_mem_read(vm, hs_gva_of(0x2000), found, sizeof(found), &length, NULL), HS_OK);
	assert_string_equal(found, before);
	hs_checkpoint_destroy(checkpoint);
	hs_session_destroy(session);
}

static void test_checkpoints_take_no_more_than_they_may(void **state)
{
	static const struct fake_step steps[] = { STEP(HS_EVENT_BREAKPOINT) };
	struct drive of = { .count = 0 };
	struct hs_session *session = MAKE(&of, steps);
	struct hs_checkpoint *both[2];
	struct hs_checkpoint *third;
	uint64_t bytes;
	uint64_t limit;
	struct hs_error err;

	(void)state;
	both[0] = take(session);
	both[1] = take(session);
	assert_int_equal(hs_checkpoint_take(session, NULL, &third, &err), HS_ERR_EXHAUSTED);
	hs_session_checkpoint_bytes(session, &bytes, &limit);
	assert_int_equal(bytes, limit); /* with the one that the session began with */
	hs_checkpoint_destroy(both[0]);
	both[0] = take(session);
	hs_checkpoint_destroy(both[0]);
	hs_checkpoint_destroy(both[1]);
	hs_session_destroy(session);
}

static void test_checkpoint_of_a_guest_that_runs_or_has_ended_is_refused(void **state)
{
	static const struct fake_step steps[] = { STEP(HS_EVENT_READY), { .spin = true } };
	/* One for the start, which the interrupt may come before. */
	static const struct fake_step rest[] = { STEP(HS_EVENT_READY), STEP(HS_EVENT_READY) };
	struct drive of = { .count = 0 };
	struct hs_session *session = MAKE(&of, steps);
	struct hs_session_result result;
	struct hs_checkpoint *checkpoint;
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_session_start(session, &go, &err), HS_OK);
	assert_int_equal(hs_checkpoint_take(session, NULL, &checkpoint, &err), HS_ERR_STATE);
	assert_string_equal(err.message, "the guest is running");
	assert_int_equal(hs_session_restart(session, &err), HS_ERR_STATE);
	hs_session_interrupt(session);
	assert_int_equal(hs_session_wait(session, -1, &result, &err), HS_OK);
	fake_vm_script(hs_session_vm(session), rest, 2);
	run_to(session, HS_EVENT_EXITED);
	assert_int_equal(hs_checkpoint_take(session, NULL, &checkpoint, &err), HS_ERR_STATE);
	assert_string_equal(err.message, "the guest has ended");
	hs_session_destroy(session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checkpoint_in_a_call_finishes_it_also_from_the_end),
		cmocka_unit_test(test_checkpoint_in_a_start_makes_the_call_behind_it),
		cmocka_unit_test(test_restart_begins_as_at_first_from_anywhere),
		cmocka_unit_test(test_checkpoint_at_a_crash_that_the_sandbox_found_ends_as_it_did),
		cmocka_unit_test(test_checkpoint_of_memory_and_registers_has_what_was_there),
		cmocka_unit_test(test_checkpoints_take_no_more_than_they_may),
		cmocka_unit_test(test_checkpoint_of_a_guest_that_runs_or_has_ended_is_refused),
	};

	return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
