/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* session/target_live: stops as the debugger sees them, and what becomes of a crash when it resumes. */
#include "arch/regs.h"
#include "fake_vm.h"
#include "session/target_live.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FAULT_ADDRESS 8u

struct fixture {
	struct hs_session *session;
	struct hs_live *live;
	struct hs_target target;
	unsigned int crashes; /* calls of the crashed callback */
	int crash_signal;
};

static const struct hs_resume go = { .kind = HS_RESUME_CONTINUE };
static const struct hs_resume go_with_segv = { .kind = HS_RESUME_CONTINUE, .signal = SIGSEGV };
static const struct hs_resume step_with_segv = { .kind = HS_RESUME_STEP, .signal = SIGSEGV };

#define SEGV_EVENT                                                                                                     \
	{                                                                                                              \
		.event = {                                                                                             \
			.kind = HS_EVENT_CRASHED,                                                                      \
			.crash = { .reason = HS_CRASH_EXCEPTION,                                                       \
				   .signal = SIGSEGV,                                                                  \
				   .code = SEGV_MAPERR,                                                                \
				   .fault_address = FAULT_ADDRESS,                                                     \
				   .rip = FAKE_ENTRY,                                                                  \
				   .text = "a fault" },                                                                \
		},                                                                                                     \
	}
#define EXIT_EVENT(status)                                                                                             \
	{                                                                                                              \
		.event = { .kind = HS_EVENT_EXITED, .exit_status = (status) },                                         \
	}

static void on_crash(void *ctx, const struct hs_crash *crash)
{
	struct fixture *f = ctx;

	f->crashes++;
	f->crash_signal = crash->signal;
}

static void make(struct fixture *f, const struct fake_step *steps, size_t count)
{
	struct hs_session_config session = { 0 };
	struct hs_live_config config = { .crashed = on_crash, .ctx = f, .confined = true };
	struct hs_error err;

	memset(f, 0, sizeof(*f));
	assert_int_equal(hs_session_create("/fake", &session, &f->session, &err), HS_OK);
	fake_vm_script(hs_session_vm(f->session), steps, count);
	config.session = f->session;
	assert_int_equal(hs_live_create(&config, &f->live, &err), HS_OK);
	f->target = hs_live_target(f->live);
}

#define MAKE(f, steps) make((f), (steps), sizeof(steps) / sizeof((steps)[0]))

static void unmake(struct fixture *f)
{
	hs_live_destroy(f->live);
	hs_session_destroy(f->session);
}

static struct hs_stop wait_stop(struct fixture *f)
{
	struct hs_target_info info;
	struct hs_stop stop;

	f->target.ops->info(f->target.ctx, &info);
	for (;;) {
		struct pollfd one = { .fd = info.event_fd, .events = POLLIN };

		assert_int_equal(poll(&one, 1, -1), 1);
		if (f->target.ops->stop_take(f->target.ctx, &stop)) {
			return stop;
		}
	}
}

static struct hs_stop resume(struct fixture *f, const struct hs_resume *how)
{
	struct hs_error err;

	assert_int_equal(f->target.ops->resume(f->target.ctx, how, &err), HS_OK);
	return wait_stop(f);
}

static void assert_segv_stop(const struct hs_stop *stop)
{
	assert_int_equal(stop->kind, HS_STOP_SIGNAL);
	assert_int_equal(stop->signal, SIGSEGV);
	assert_int_equal(stop->code, SEGV_MAPERR);
	assert_int_equal(stop->fault_address, FAULT_ADDRESS);
}

static void assert_end(struct fixture *f, enum hs_live_end want)
{
	struct hs_session_result result;

	assert_int_equal(hs_live_end(f->live, &result), want);
}

static void test_live_first_stop_is_like_a_step(void **state)
{
	static const struct fake_step steps[] = { EXIT_EVENT(0) };
	struct hs_target_info info;
	struct hs_stop stop;
	struct fixture f;

	(void)state;
	MAKE(&f, steps);
	f.target.ops->stop_current(f.target.ctx, &stop);
	assert_int_equal(stop.kind, HS_STOP_STEPPED);
	f.target.ops->info(f.target.ctx, &info);
	assert_int_equal(info.arch, HS_ARCH_AMD64);
	assert_int_equal(info.entry, FAKE_ENTRY);
	assert_string_equal(info.image_path, "/images/fake.elf");
	assert_false(f.target.ops->stop_take(f.target.ctx, &stop));
	unmake(&f);
}

static void test_live_every_event_becomes_its_stop(void **state)
{
	static const struct fake_step steps[] = {
		{ .event = { .kind = HS_EVENT_STEPPED } },
		{ .event = { .kind = HS_EVENT_BREAKPOINT, .breakpoint = { .kind = HS_BREAK_SOFTWARE } } },
		{ .event = { .kind = HS_EVENT_BREAKPOINT, .breakpoint = { .kind = HS_BREAK_HARDWARE } } },
		{ .event = { .kind = HS_EVENT_WATCHPOINT, .breakpoint = { HS_WATCH_ACCESS, { 0x2000 }, 4, 0 } } },
		EXIT_EVENT(7),
	};
	struct hs_stop stop;
	struct hs_error err;
	struct fixture f;

	(void)state;
	MAKE(&f, steps);
	assert_int_equal(resume(&f, &go).kind, HS_STOP_STEPPED);
	assert_int_equal(resume(&f, &go).kind, HS_STOP_SWBREAK);
	assert_int_equal(resume(&f, &go).kind, HS_STOP_HWBREAK);
	stop = resume(&f, &go);
	assert_int_equal(stop.kind, HS_STOP_WATCH);
	assert_int_equal(stop.watch_kind, HS_WATCH_ACCESS);
	assert_int_equal(stop.watch_address.v, 0x2000);
	stop = resume(&f, &go);
	assert_int_equal(stop.kind, HS_STOP_EXITED);
	assert_int_equal(stop.exit_status, 7);
	assert_end(&f, HS_LIVE_EXITED);
	assert_int_equal(f.target.ops->resume(f.target.ctx, &go, &err), HS_ERR_STATE);
	f.target.ops->stop_current(f.target.ctx, &stop);
	assert_int_equal(stop.kind, HS_STOP_EXITED);
	assert_int_equal(f.crashes, 0);
	unmake(&f);
}

static void test_live_crash_then_continue_with_its_signal_is_final(void **state)
{
	static const struct fake_step steps[] = { SEGV_EVENT, EXIT_EVENT(0) };
	struct hs_stop stop;
	struct hs_error err;
	struct fixture f;

	(void)state;
	MAKE(&f, steps);
	stop = resume(&f, &go);
	assert_segv_stop(&stop);
	assert_int_equal(f.crashes, 0);
	assert_end(&f, HS_LIVE_NOT_ENDED);
	stop = resume(&f, &go_with_segv);
	assert_int_equal(stop.kind, HS_STOP_KILLED);
	assert_int_equal(stop.signal, SIGSEGV);
	assert_int_equal(f.crashes, 1);
	assert_int_equal(f.crash_signal, SIGSEGV);
	assert_end(&f, HS_LIVE_CRASHED);
	assert_int_equal(fake_vm_runs(hs_session_vm(f.session)), 1);
	assert_int_equal(f.target.ops->resume(f.target.ctx, &go, &err), HS_ERR_STATE);
	unmake(&f);
}

static void test_live_crash_then_step_with_its_signal_is_final(void **state)
{
	static const struct fake_step steps[] = { SEGV_EVENT };
	struct fixture f;

	(void)state;
	MAKE(&f, steps);
	resume(&f, &go);
	assert_int_equal(resume(&f, &step_with_segv).kind, HS_STOP_KILLED);
	assert_int_equal(f.crashes, 1);
	unmake(&f);
}

static void test_live_crash_then_signal_0_tries_again(void **state)
{
	static const struct fake_step steps[] = { SEGV_EVENT };
	struct hs_stop stop;
	struct fixture f;

	(void)state;
	MAKE(&f, steps);
	resume(&f, &go);
	for (unsigned int i = 2; i < 5; i++) {
		stop = resume(&f, &go);
		assert_segv_stop(&stop);
		assert_int_equal(fake_vm_runs(hs_session_vm(f.session)), i);
	}
	assert_int_equal(resume(&f, &go_with_segv).kind, HS_STOP_KILLED);
	assert_int_equal(f.crashes, 1);
	unmake(&f);
}

static void test_live_crash_then_changed_registers_goes_on(void **state)
{
	static const struct fake_step steps[] = { SEGV_EVENT, EXIT_EVENT(0) };
	struct hs_cpu_state cpu;
	struct hs_error err;
	struct fixture f;

	(void)state;
	MAKE(&f, steps);
	resume(&f, &go);
	assert_int_equal(f.target.ops->cpu_read(f.target.ctx, &cpu, &err), HS_OK);
	cpu.gpr[HS_RAX] = FAKE_ENTRY;
	assert_int_equal(f.target.ops->cpu_write(f.target.ctx, &cpu, &err), HS_OK);
	assert_int_equal(resume(&f, &go_with_segv).kind, HS_STOP_EXITED);
	assert_int_equal(f.crashes, 0);
	unmake(&f);
}

static void test_live_crash_then_changed_memory_goes_on(void **state)
{
	static const struct fake_step steps[] = { SEGV_EVENT, SEGV_EVENT };
	struct hs_error err;
	struct fixture f;
	struct hs_stop stop;

	(void)state;
	MAKE(&f, steps);
	resume(&f, &go);
	assert_int_equal(f.target.ops->mem_write(f.target.ctx, hs_gva_of(0x3000), "x", 1, &err), HS_OK);
	/* It runs again, and the fault that comes is a new one. */
	stop = resume(&f, &go_with_segv);
	assert_segv_stop(&stop);
	assert_int_equal(fake_vm_runs(hs_session_vm(f.session)), 2);
	assert_int_equal(resume(&f, &go_with_segv).kind, HS_STOP_KILLED);
	unmake(&f);
}

static void test_live_crash_then_writing_what_is_there_changes_nothing(void **state)
{
	static const struct fake_step steps[] = { SEGV_EVENT, EXIT_EVENT(0) };
	static const uint8_t zeros[3 * HS_PAGE_SIZE];
	struct hs_cpu_state cpu;
	struct hs_error err;
	struct fixture f;

	(void)state;
	MAKE(&f, steps);
	resume(&f, &go);
	assert_int_equal(f.target.ops->cpu_read(f.target.ctx, &cpu, &err), HS_OK);
	cpu.msr.tsc += 1000;
	assert_int_equal(f.target.ops->cpu_write(f.target.ctx, &cpu, &err), HS_OK);
	assert_int_equal(f.target.ops->mem_write(f.target.ctx, hs_gva_of(0x2001), zeros, sizeof(zeros), &err), HS_OK);
	assert_int_equal(resume(&f, &go_with_segv).kind, HS_STOP_KILLED);
	unmake(&f);
}

static void test_live_stand_at_a_crash_is_as_if_seen(void **state)
{
	static const struct fake_step steps[] = { SEGV_EVENT, EXIT_EVENT(0) };
	struct hs_session_result result;
	struct hs_stop stop;
	struct hs_error err;
	struct fixture f;

	(void)state;
	MAKE(&f, steps);
	assert_int_equal(hs_session_start(f.session, &go, &err), HS_OK);
	assert_int_equal(hs_session_wait(f.session, -1, &result, &err), HS_OK);
	hs_live_stand_at(f.live, &result.event);
	f.target.ops->stop_current(f.target.ctx, &stop);
	assert_segv_stop(&stop);
	assert_int_equal(resume(&f, &go_with_segv).kind, HS_STOP_KILLED);
	assert_int_equal(f.crashes, 1);
	unmake(&f);
}

static void test_live_interrupt_is_a_stop_and_needs_a_running_guest(void **state)
{
	static const struct fake_step steps[] = { { .spin = true } };
	struct hs_cpu_state cpu;
	struct hs_stop stop;
	struct hs_error err;
	struct fixture f;

	(void)state;
	MAKE(&f, steps);
	f.target.ops->interrupt(f.target.ctx);
	assert_int_equal(f.target.ops->resume(f.target.ctx, &go, &err), HS_OK);
	assert_false(f.target.ops->stop_take(f.target.ctx, &stop));
	assert_int_equal(f.target.ops->cpu_read(f.target.ctx, &cpu, &err), HS_ERR_STATE);
	assert_int_equal(f.target.ops->resume(f.target.ctx, &go, &err), HS_ERR_STATE);
	f.target.ops->interrupt(f.target.ctx);
	f.target.ops->interrupt(f.target.ctx);
	assert_int_equal(wait_stop(&f).kind, HS_STOP_INTERRUPTED);
	assert_false(f.target.ops->stop_take(f.target.ctx, &stop));
	fake_vm_script(hs_session_vm(f.session), (const struct fake_step[]){ EXIT_EVENT(2) }, 1);
	assert_int_equal(resume(&f, &go).kind, HS_STOP_EXITED);
	unmake(&f);
}

static void test_live_kill_ends_a_stopped_and_a_running_guest(void **state)
{
	static const struct fake_step steps[] = { { .spin = true } };
	struct hs_stop stop;
	struct hs_error err;
	struct fixture f;

	(void)state;
	MAKE(&f, steps);
	f.target.ops->kill(f.target.ctx);
	assert_end(&f, HS_LIVE_KILLED);
	f.target.ops->stop_current(f.target.ctx, &stop);
	assert_int_equal(stop.kind, HS_STOP_KILLED);
	assert_int_equal(stop.signal, SIGKILL);
	assert_int_equal(f.target.ops->resume(f.target.ctx, &go, &err), HS_ERR_STATE);
	unmake(&f);

	MAKE(&f, steps);
	assert_int_equal(f.target.ops->resume(f.target.ctx, &go, &err), HS_OK);
	f.target.ops->kill(f.target.ctx);
	assert_end(&f, HS_LIVE_KILLED);
	assert_int_equal(f.crashes, 0);
	unmake(&f);
}

static void test_live_backend_failure_ends_the_guest(void **state)
{
	static const struct fake_step steps[] = { { .fail = HS_ERR_BACKEND } };
	struct hs_session_result result;
	struct hs_stop stop;
	struct fixture f;

	(void)state;
	MAKE(&f, steps);
	stop = resume(&f, &go);
	assert_int_equal(stop.kind, HS_STOP_KILLED);
	assert_int_equal(stop.signal, SIGKILL);
	assert_int_equal(hs_live_end(f.live, &result), HS_LIVE_FAILED);
	assert_string_equal(result.error.message, "as the script says");
	unmake(&f);
}

static void test_live_breakpoints_and_memory_reach_the_vm(void **state)
{
	static const struct fake_step steps[] = { EXIT_EVENT(0) };
	struct hs_breakpoint at = { HS_BREAK_SOFTWARE, { 0x1004 }, 1, 0 };
	struct hs_error err;
	struct fixture f;
	uint8_t bytes[4];
	size_t length;

	(void)state;
	MAKE(&f, steps);
	assert_int_equal(f.target.ops->break_insert(f.target.ctx, &at, &err), HS_OK);
	assert_int_equal(fake_vm_breakpoints(hs_session_vm(f.session)), 1);
	assert_int_equal(f.target.ops->mem_write(f.target.ctx, hs_gva_of(FAKE_MEMORY_BYTES - 2), "hi", 2, &err), HS_OK);
	assert_int_equal(
		f.target.ops->mem_read(f.target.ctx, hs_gva_of(FAKE_MEMORY_BYTES - 2), bytes, 4, &length, &err), HS_OK);
	assert_int_equal(length, 2);
	assert_memory_equal(bytes, "hi", 2);
	resume(&f, &go);
	/* The guest has ended: looking and cleaning up go on, changing it does not. */
	assert_int_equal(f.target.ops->mem_read(f.target.ctx, hs_gva_of(0), bytes, 4, &length, &err), HS_OK);
	assert_int_equal(f.target.ops->mem_write(f.target.ctx, hs_gva_of(0), bytes, 4, &err), HS_ERR_STATE);
	assert_int_equal(f.target.ops->break_remove(f.target.ctx, &at, &err), HS_OK);
	assert_int_equal(f.target.ops->break_remove(f.target.ctx, &at, &err), HS_ERR_NOT_FOUND);
	assert_int_equal(fake_vm_breakpoints(hs_session_vm(f.session)), 0);
	unmake(&f);
}

static char *monitor(struct fixture *f, const char *line)
{
	struct hs_error err;
	char *text = NULL;

	assert_int_equal(f->target.ops->monitor(f->target.ctx, line, &text, &err), HS_OK);
	assert_non_null(text);
	return text;
}

static void expect_monitor(struct fixture *f, const char *line, const char *part)
{
	char *text = monitor(f, line);

	if (!strstr(text, part)) {
		fail_msg("monitor %s: no '%s' in '%s'", line, part, text);
	}
	free(text);
}

static void test_live_monitor_answers(void **state)
{
	static const struct fake_step steps[] = { SEGV_EVENT };
	struct hs_error err;
	struct fixture f;
	char *text = NULL;

	(void)state;
	MAKE(&f, steps);
	expect_monitor(&f, "help", "doctor");
	expect_monitor(&f, "", "doctor");
	expect_monitor(&f, "info", "state     stopped\n");
	expect_monitor(&f, " regs ", "rip        0x0000000000001000\n");
	expect_monitor(&f, "regs rip", "regs takes no argument\n");
	expect_monitor(&f, "doctor", "/dev/kvm: none in a unit test");
	expect_monitor(&f, "core ../x", "core ../x: give a name without '/'\n");
	expect_monitor(&f, "core /x", "core /x: give a name without '/'\n");
	expect_monitor(&f, "core ..", "core ..: give the name of a file\n");
	expect_monitor(&f, "core .", "core .: give the name of a file\n");
	resume(&f, &go);
	expect_monitor(&f, "info", "state     stopped at a crash (exception): a fault\n");
	assert_int_equal(f.target.ops->monitor(f.target.ctx, "fly", &text, &err), HS_ERR_NOT_FOUND);
	assert_null(text);
	assert_string_equal(err.message, "no command 'fly' (try 'monitor help')");
	unmake(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live_first_stop_is_like_a_step),
		cmocka_unit_test(test_live_every_event_becomes_its_stop),
		cmocka_unit_test(test_live_crash_then_continue_with_its_signal_is_final),
		cmocka_unit_test(test_live_crash_then_step_with_its_signal_is_final),
		cmocka_unit_test(test_live_crash_then_signal_0_tries_again),
		cmocka_unit_test(test_live_crash_then_changed_registers_goes_on),
		cmocka_unit_test(test_live_crash_then_changed_memory_goes_on),
		cmocka_unit_test(test_live_crash_then_writing_what_is_there_changes_nothing),
		cmocka_unit_test(test_live_stand_at_a_crash_is_as_if_seen),
		cmocka_unit_test(test_live_interrupt_is_a_stop_and_needs_a_running_guest),
		cmocka_unit_test(test_live_kill_ends_a_stopped_and_a_running_guest),
		cmocka_unit_test(test_live_backend_failure_ends_the_guest),
		cmocka_unit_test(test_live_breakpoints_and_memory_reach_the_vm),
		cmocka_unit_test(test_live_monitor_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
