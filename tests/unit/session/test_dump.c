/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* session/dump: what the core of a session says, read back from the file. */
#include "fake_vm.h"
#include "session/dump.h"
#include "session/session.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const args[] = { "fake.elf", "one", "two" };

struct fixture {
	char dir[64];
	struct hs_session *session;
};

static int setup(void **state)
{
	static struct fixture f;
	struct hs_vm_config vm = { .args = args, .args_count = 3 };
	struct hs_session_config config = { .vm = &vm };

	strcpy(f.dir, "/tmp/hs-dump-XXXXXX");
	*state = &f;
	return mkdtemp(f.dir) == NULL || hs_session_create("/fake", &config, &f.session, NULL) != HS_OK;
}

static enum hs_status dump(struct fixture *f, const struct hs_crash *crash, const char *path,
			   struct hs_core_result *ret, struct hs_error *err)
{
	const struct hs_dump_spec spec = { .command_line = hs_session_command_line(f->session),
					   .crash = crash,
					   .path = path };

	return hs_dump_write(hs_session_vm(f->session), &spec, ret, err);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	hs_session_destroy(f->session);
	return rmdir(f->dir);
}

static void test_dump_of_a_crash_says_what_happened(void **state)
{
	struct fixture *f = *state;
	struct hs_crash crash = { .reason = HS_CRASH_ABORT,
				  .signal = SIGABRT,
				  .code = -6,
				  .fault_address = 0x77,
				  .text = "abort: out of luck" };
	const struct hs_core_info *info;
	struct hs_core_result result;
	struct hs_cpu_state cpu;
	struct hs_core *core = NULL;
	struct hs_error err;

	assert_int_equal(dump(f, &crash, f->dir, &result, &err), HS_OK);
	assert_int_equal(hs_core_open(result.path, &core, &err), HS_OK);
	info = hs_core_info(core);
	assert_int_equal(info->signal, SIGABRT);
	assert_int_equal(info->code, -6);
	assert_int_equal(info->fault_address, 0x77);
	assert_string_equal(info->name, "fake.elf");
	assert_string_equal(info->command_line, "/images/fake.elf one two");
	assert_string_equal(info->reason_name, "abort");
	assert_string_equal(info->reason, "abort: out of luck");
	assert_int_equal(info->auxv.entry, FAKE_ENTRY);
	assert_int_equal(info->file_count, 2);
	assert_int_equal(hs_core_file(core, 0)->start.v, FAKE_ENTRY);
	assert_string_equal(hs_core_file(core, 0)->path, "/images/fake.elf");
	/* The mapping of a file, in whole pages; not the one of the host's memory. */
	assert_int_equal(hs_core_file(core, 1)->start.v, FAKE_MAPPING);
	assert_int_equal(hs_core_file(core, 1)->length, 2 * HS_PAGE_SIZE);
	assert_int_equal(hs_core_file(core, 1)->file_offset, 0);
	assert_string_equal(hs_core_file(core, 1)->path, "/files/data");
	hs_core_cpu(core, 0, &cpu);
	assert_int_equal(cpu.rip, FAKE_ENTRY);
	hs_core_close(core);
	assert_int_equal(unlink(result.path), 0);
}

static void test_dump_without_a_crash_has_no_signal(void **state)
{
	struct fixture *f = *state;
	struct hs_core_result result;
	struct hs_core *core = NULL;
	struct hs_error err;

	assert_int_equal(dump(f, NULL, f->dir, &result, &err), HS_OK);
	assert_int_equal(hs_core_open(result.path, &core, &err), HS_OK);
	assert_int_equal(hs_core_info(core)->signal, 0);
	assert_string_equal(hs_core_info(core)->reason_name, "");
	hs_core_close(core);
	assert_int_equal(unlink(result.path), 0);
}

static void test_dump_of_lost_registers_takes_the_page_tables_from_before(void **state)
{
	struct fixture *f = *state;
	const struct hs_crash crash = { .reason = HS_CRASH_TRIPLE_FAULT, .signal = SIGSEGV, .registers_lost = true };
	struct hs_core_result result;
	struct hs_core *core = NULL;
	struct hs_error err;

	assert_int_equal(dump(f, &crash, f->dir, &result, &err), HS_OK);
	assert_int_equal(hs_core_open(result.path, &core, &err), HS_OK);
	assert_true(hs_core_info(core)->has_root);
	assert_int_equal(hs_core_info(core)->root.base.v, FAKE_LAST_ROOT);
	hs_core_close(core);
	assert_int_equal(unlink(result.path), 0);
}

static void test_dump_into_a_missing_directory_fails_and_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct hs_core_result result;
	struct hs_error err;
	char path[128];

	snprintf(path, sizeof(path), "%s/none/core", f->dir);
	assert_int_equal(dump(f, NULL, path, &result, &err), HS_ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_dump_of_a_crash_says_what_happened, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump_without_a_crash_has_no_signal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dump_of_lost_registers_takes_the_page_tables_from_before, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_dump_into_a_missing_directory_fails_and_leaves_nothing, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
