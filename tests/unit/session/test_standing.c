/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sandboxes and what their snapshots have beside registers and memory, with real guests on the software CPU:
 * test_session_standing DIRECTORY..., one for each architecture, with the programs in it.
 */
#include "session/dump.h"
#include "session/snapshot.h"
#include "vmm/memory.h"

#include <hindsight/hindsight.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const *directories;
static char work[] = "/tmp/hs-standing-XXXXXX";

#define OK(call) expect_at((call), HS_OK, NULL, &err, __LINE__)
#define REFUSED(call, status, words) expect_at((call), (status), (words), &err, __LINE__)

static void expect_at(enum hs_status got, enum hs_status wanted, const char *words, const struct hs_error *err,
		      int line)
{
	if (got != wanted || (words && !strstr(err->message, words))) {
		fail_msg("line %d: status %d and not %d: %s", line, (int)got, (int)wanted, got ? err->message : "");
	}
}

static struct hs_sandbox *start(const char *image, const char *word)
{
	const char *words[] = { image, word };
	const struct hs_sandbox_config config = {
		.vm = {
			.backend = HS_BACKEND_SOFT,
			.scratch_bytes = 16 << 20, /* spaces wants them */
			.args = words,
			.args_count = word ? 2 : 1,
		},
	};
	struct hs_sandbox *sandbox;
	struct hs_error err;

	OK(hs_sandbox_create(image, &config, &sandbox, &err));
	OK(hs_sandbox_start(sandbox, &err));
	assert_int_equal(hs_sandbox_state(sandbox), HS_SANDBOX_READY);
	return sandbox;
}

static struct hs_sandbox *stand_on(struct hs_snapshot *snapshot)
{
	const struct hs_sandbox_config config = { .vm.backend = HS_BACKEND_SOFT };
	struct hs_sandbox *sandbox;
	struct hs_error err;

	OK(hs_sandbox_create_from(snapshot, &config, &sandbox, &err));
	return sandbox;
}

static struct hs_snapshot *take(struct hs_sandbox *sandbox)
{
	struct hs_snapshot *snapshot;
	struct hs_error err;

	OK(hs_sandbox_snapshot(sandbox, &snapshot, &err));
	return snapshot;
}

/* Through a file and back. */
static struct hs_snapshot *reopen(struct hs_snapshot *snapshot)
{
	struct hs_snapshot *opened;
	char path[64];
	struct hs_error err;

	snprintf(path, sizeof(path), "%s/a.snap", work);
	OK(hs_snapshot_save(snapshot, path, false, &err));
	OK(hs_snapshot_open(path, true, &opened, &err));
	assert_int_equal(unlink(path), 0);
	hs_snapshot_unref(snapshot);
	return opened;
}

static struct hs_event run_on(struct hs_sandbox *sandbox)
{
	static const struct hs_resume on = { .kind = HS_RESUME_CONTINUE };
	struct hs_event event;
	struct hs_error err;

	OK(hs_vm_run(hs_sandbox_vm(sandbox), &on, &event, &err));
	return event;
}

/* The test, with the program of each architecture. */
static void each(const char *program, void (*test)(const char *image))
{
	for (const char *const *directory = directories; *directory; directory++) {
		char image[4096];

		snprintf(image, sizeof(image), "%s/%s.elf", *directory, program);
		test(image);
	}
}

static void expect_devices(struct hs_sandbox *sandbox)
{
	struct hs_devices devices = hs_vm_devices(hs_sandbox_vm(sandbox));

	assert_int_equal(devices.uart_lcr, 0x83);
	assert_int_equal(devices.uart_scratch, 0x5a);
	assert_string_equal(devices.abort_text, "ab");
}

static void check_devices(const char *image)
{
	struct hs_sandbox *sandbox = start(image, "devices");
	struct hs_snapshot *snapshot = take(sandbox);
	struct hs_sandbox *other;
	struct hs_error err;

	for (int i = 0; i < 3; i++) {
		struct hs_event event;

		expect_devices(sandbox);
		event = run_on(sandbox);
		assert_int_equal(event.kind, HS_EVENT_CRASHED);
		assert_string_equal(event.crash.abort_message, "abc");
		/* It stands at the out that has ended the message. */
		assert_string_equal(run_on(sandbox).crash.abort_message, "abc");
		assert_int_equal(hs_vm_devices(hs_sandbox_vm(sandbox)).uart_lcr, 3);
		OK(hs_sandbox_restore(sandbox, snapshot, &err));
	}
	snapshot = reopen(snapshot);
	other = stand_on(snapshot);
	expect_devices(other);
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(other);
	hs_sandbox_destroy(sandbox);
}

static void test_standing_devices_are_part_of_the_snapshot(void **state)
{
	(void)state;
	each("standing", check_devices);
}

static void expect_at_crash(struct hs_sandbox *sandbox)
{
	struct hs_snapshot *none;
	struct hs_error err;

	assert_int_equal(hs_sandbox_state(sandbox), HS_SANDBOX_POISONED);
	assert_non_null(hs_sandbox_crash(sandbox));
	assert_int_equal(hs_sandbox_crash(sandbox)->reason, HS_CRASH_EXCEPTION);
	REFUSED(hs_sandbox_call(sandbox, "nothing", NULL, 0, NULL, &err), HS_ERR_STATE,
		"the guest stands where it has crashed, and not where it takes calls: page fault (#PF): write to");
	assert_int_equal(err.where, hs_sandbox_crash(sandbox)->rip);
	REFUSED(hs_sandbox_snapshot(sandbox, &none, &err), HS_ERR_STATE, "has crashed");
	REFUSED(hs_sandbox_start(sandbox, &err), HS_ERR_STATE, "has crashed");
}

static struct hs_snapshot *core_of(struct hs_sandbox *sandbox)
{
	struct hs_event event = run_on(sandbox);
	const struct hs_dump_spec spec = { .command_line = "ready crash", .crash = &event.crash, .path = work };
	struct hs_core_result result;
	struct hs_snapshot *core;
	struct hs_error err;

	assert_int_equal(event.kind, HS_EVENT_CRASHED);
	OK(hs_dump_write(hs_sandbox_vm(sandbox), &spec, &result, &err));
	OK(hs_snapshot_open(result.path, true, &core, &err));
	assert_int_equal(unlink(result.path), 0);
	return core;
}

static void check_crash(const char *image)
{
	struct hs_sandbox *sandbox = start(image, "crash");
	struct hs_snapshot *good = take(sandbox);
	/* The crash comes through another file, of a snapshot, as it was. */
	struct hs_snapshot *core = reopen(core_of(sandbox));
	struct hs_sandbox *other = stand_on(core);
	struct hs_error err;

	expect_at_crash(other);
	assert_int_equal(run_on(other).crash.rip, hs_sandbox_crash(other)->rip);
	OK(hs_sandbox_restore(other, good, &err));
	assert_int_equal(hs_sandbox_state(other), HS_SANDBOX_READY);
	assert_null(hs_sandbox_crash(other));
	OK(hs_sandbox_restore(sandbox, core, &err));
	expect_at_crash(sandbox);
	hs_snapshot_unref(core);
	hs_snapshot_unref(good);
	hs_sandbox_destroy(other);
	hs_sandbox_destroy(sandbox);
}

static void test_standing_at_a_crash_takes_no_calls_and_says_why(void **state)
{
	(void)state;
	each("ready", check_crash);
}

static void check_elsewhere(const char *image)
{
	const struct hs_snapshot_spec somewhere = { .generation = 1 };
	struct hs_sandbox *sandbox = start(image, NULL);
	struct hs_snapshot *snapshot;
	struct hs_error err;

	OK(hs_snapshot_of_vm(hs_sandbox_vm(sandbox), &somewhere, &snapshot, &err));
	OK(hs_sandbox_restore(sandbox, snapshot, &err));
	assert_int_equal(hs_sandbox_state(sandbox), HS_SANDBOX_POISONED);
	assert_null(hs_sandbox_crash(sandbox));
	REFUSED(hs_sandbox_call(sandbox, "nothing", NULL, 0, NULL, &err), HS_ERR_STATE,
		"the guest does not stand where it takes calls");
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
}

static void test_standing_elsewhere_takes_no_calls_and_says_why(void **state)
{
	(void)state;
	each("functions", check_elsewhere);
}

/* A snapshot that is taken now is another one than the last. */
static void expect_another(struct hs_sandbox *sandbox, struct hs_snapshot *last)
{
	struct hs_snapshot *snapshot = take(sandbox);
	struct hs_error err;

	assert_ptr_not_equal(snapshot, last);
	hs_snapshot_unref(snapshot);
	/* The one that was taken last is the one to stand on. */
	OK(hs_sandbox_restore(sandbox, last, &err));
}

static void check_cached(const char *image)
{
	static struct hs_cpu_state cpu;
	struct hs_sandbox *sandbox = start(image, NULL);
	struct hs_vm *vm = hs_sandbox_vm(sandbox);
	struct hs_snapshot *snapshot, *again;
	uint64_t r;
	struct hs_error err;

	for (int change = 0; change < 4; change++) {
		snapshot = take(sandbox);
		OK(hs_sandbox_restore(sandbox, snapshot, &err));
		again = take(sandbox);
		assert_ptr_equal(again, snapshot);
		hs_snapshot_unref(again);
		OK(hs_vm_cpu_get(vm, &cpu, &err));
		/* Reading is no change. */
		again = take(sandbox);
		assert_ptr_equal(again, snapshot);
		hs_snapshot_unref(again);
		r = cpu.gpr[HS_RBX];
		if (change == 0) {
			cpu.gpr[HS_RBX]++;
			OK(hs_vm_cpu_set(vm, &cpu, &err));
			again = take(sandbox);
			assert_ptr_not_equal(again, snapshot);
			assert_int_equal(hs_snapshot_cpu(again)->gpr[HS_RBX], r + 1);
			hs_snapshot_unref(again);
		} else if (change == 1) {
			cpu.xsave[0] ^= 1; /* of the x87 control word */
			OK(hs_vm_cpu_set(vm, &cpu, &err));
			expect_another(sandbox, snapshot);
		} else if (change == 2) {
			OK(hs_vm_mem_write(vm, hs_gva_of(cpu.gpr[HS_RSP] - 64), "x", 1, &err));
			expect_another(sandbox, snapshot);
		} else {
			const struct hs_resume step = { .kind = HS_RESUME_STEP };
			struct hs_event event;

			/* An instruction that writes nothing but registers. */
			OK(hs_vm_run(vm, &step, &event, &err));
			expect_another(sandbox, snapshot);
		}
		OK(hs_sandbox_restore(sandbox, snapshot, &err));
		hs_snapshot_unref(snapshot);
	}
	hs_sandbox_destroy(sandbox);
}

static void test_standing_as_restored_is_the_same_snapshot_and_changed_is_not(void **state)
{
	(void)state;
	each("functions", check_cached);
}

/* The names of roots in a snapshot taken now: how many, and by which variable. */
static void expect_roots(struct hs_sandbox *sandbox, uint32_t count, const char *symbol)
{
	struct hs_snapshot *snapshot = take(sandbox);
	const struct hs_snapshot_info *info = hs_snapshot_info(snapshot);

	assert_int_equal(info->root_count, count);
	assert_string_equal(info->guest.roots_count > 0 ? info->guest.roots_symbol : "", symbol);
	hs_snapshot_unref(snapshot);
}

static const struct hs_roots_spec registered = { .kind = HS_ROOTS_REGISTERED };
static const struct hs_roots_spec current = { .kind = HS_ROOTS_CURRENT };

static struct hs_roots_spec by_variable(void)
{
	return (struct hs_roots_spec){ .kind = HS_ROOTS_SYMBOL,
				       .symbol = "list",
				       .stride = 8,
				       /* Fewer than the guest has registered, which is four. */
				       .count = 3 };
}

static void check_finders(const char *image)
{
	const struct hs_roots_spec variable = by_variable();
	struct hs_sandbox *sandbox = start(image, NULL);
	struct hs_snapshot *snapshot;
	struct hs_error err;

	expect_roots(sandbox, 4, "");
	OK(hs_sandbox_set_roots(sandbox, &variable, &err));
	expect_roots(sandbox, 3, "list");
	snapshot = take(sandbox);
	/* Back to another kind: the variable is none of it any more, after a restore either. */
	OK(hs_sandbox_set_roots(sandbox, &registered, &err));
	expect_roots(sandbox, 4, "");
	OK(hs_sandbox_set_roots(sandbox, &variable, &err));
	OK(hs_sandbox_set_roots(sandbox, &current, &err));
	expect_roots(sandbox, 1, "");
	OK(hs_sandbox_restore(sandbox, snapshot, &err));
	expect_roots(sandbox, 1, "");
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
}

static void test_standing_finder_that_was_changed_is_the_one_that_counts(void **state)
{
	(void)state;
	each("spaces", check_finders);
}

static void copy(const char *from, const char *to)
{
	char command[8300];

	snprintf(command, sizeof(command), "cp %s %s", from, to);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): names of our own */
}

/* With its snapshot, in memory and in a file, with the image and without. */
static void check_travel(const char *image)
{
	const struct hs_roots_spec variable = by_variable();
	struct hs_roots_spec other = variable;
	struct hs_snapshot *snapshot;
	struct hs_sandbox *sandbox;
	char path[64];
	struct hs_error err;

	snprintf(path, sizeof(path), "%s/spaces.elf", work);
	copy(image, path);
	sandbox = start(path, NULL);
	OK(hs_sandbox_set_roots(sandbox, &variable, &err));
	snapshot = take(sandbox);
	hs_sandbox_destroy(sandbox);
	sandbox = stand_on(snapshot);
	expect_roots(sandbox, 3, "list");
	hs_sandbox_destroy(sandbox);
	assert_int_equal(unlink(path), 0);
	snapshot = reopen(snapshot);
	sandbox = stand_on(snapshot);
	expect_roots(sandbox, 3, "list");
	/* The snapshot knows where this variable is, and no other. */
	other.count = 2;
	OK(hs_sandbox_set_roots(sandbox, &other, &err));
	expect_roots(sandbox, 3, "list"); /* those two and the CPU's */
	other.symbol = "registered";
	OK(hs_sandbox_set_roots(sandbox, &other, &err));
	REFUSED(hs_sandbox_snapshot(sandbox, &snapshot, &err), HS_ERR_UNSUPPORTED,
		"no image to find the variable 'registered' in");
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
}

static void test_standing_finder_travels_with_the_snapshot(void **state)
{
	(void)state;
	each("spaces", check_travel);
}

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(work) ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(work);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_standing_devices_are_part_of_the_snapshot),
		cmocka_unit_test(test_standing_at_a_crash_takes_no_calls_and_says_why),
		cmocka_unit_test(test_standing_elsewhere_takes_no_calls_and_says_why),
		cmocka_unit_test(test_standing_as_restored_is_the_same_snapshot_and_changed_is_not),
		cmocka_unit_test(test_standing_finder_that_was_changed_is_the_one_that_counts),
		cmocka_unit_test(test_standing_finder_travels_with_the_snapshot),
	};

	(void)argc;
	directories = (const char *const *)argv + 1;
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
