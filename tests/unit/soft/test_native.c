/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hs_soft_native_code(): code runs, is found again by its bytes, comes to an end, and survives fork(). */
#include "vmm/soft/native.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* mov eax, number; ret */
static hs_soft_native_fn *returning(uint32_t number)
{
	uint8_t code[] = { 0xb8, 0, 0, 0, 0, 0xc3 };

	memcpy(code + 1, &number, sizeof(number));
	return hs_soft_native_code(code, sizeof(code));
}

static void test_native_code_runs_with_its_argument(void **state)
{
	static const uint8_t code[] = { 0x48, 0x8b, 0x07, 0xc3 }; /* mov rax, [rdi]; ret */
	uint64_t call = 0x123456789abcdef0;
	hs_soft_native_fn *fn = hs_soft_native_code(code, sizeof(code));

	(void)state;
	assert_true(hs_soft_native_works());
	assert_non_null(fn);
	assert_int_equal(fn(&call), 0x123456789abcdef0);
}

static void test_native_same_bytes_are_the_same_code(void **state)
{
	hs_soft_native_fn *one = returning(1), *two = returning(2);

	(void)state;
	assert_ptr_not_equal(one, two);
	assert_ptr_equal(returning(1), one);
	assert_ptr_equal(returning(2), two);
	assert_int_equal(one(NULL), 1);
	assert_int_equal(two(NULL), 2);
}

static void test_native_bytes_that_begin_alike_are_two_codes(void **state)
{
	static const uint8_t code[] = { 0x31, 0xc0, 0xc3, 0xcc }; /* xor eax, eax; ret; int3 */

	(void)state;
	assert_ptr_not_equal(hs_soft_native_code(code, 3), hs_soft_native_code(code, 4));
}

/* Counts the mappings of code, by whether they can be written to and executed. */
static void count_mappings(unsigned int *writable, unsigned int *executable, unsigned int *both)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	assert_non_null(maps);
	*writable = *executable = *both = 0;
	while (fgets(line, sizeof(line), maps)) {
		const char *permissions = strchr(line, ' ');

		if (!permissions) {
			continue;
		}
		*both += permissions[2] == 'w' && permissions[3] == 'x';
		if (strstr(line, "hindsight-code")) {
			*writable += permissions[2] == 'w';
			*executable += permissions[3] == 'x';
		}
	}
	assert_int_equal(fclose(maps), 0);
}

static void test_native_no_mapping_is_writable_and_executable(void **state)
{
	unsigned int writable, executable, both;

	(void)state;
	assert_non_null(returning(3));
	count_mappings(&writable, &executable, &both);
	assert_int_equal(writable, 1);
	assert_int_equal(executable, 1);
	assert_int_equal(both, 0);
}

/* In a forked child: one is its parent's code of 100, and the child makes that of 200 to 299 when its parent has. */
static int child_of(hs_soft_native_fn *one, int go)
{
	hs_soft_native_fn *made[100];
	char byte;

	if (read(go, &byte, 1) != 1) {
		return 4;
	}
	for (uint32_t i = 0; i < 100; i++) {
		made[i] = returning(200 + i);
		if (!made[i]) {
			return 1;
		}
	}
	for (uint32_t i = 0; i < 100; i++) {
		if (made[i](NULL) != 200 + i) {
			return 2;
		}
	}
	return returning(100) == one && one(NULL) == 100 ? 0 : 3;
}

static void test_native_parent_and_forked_child_both_go_on(void **state)
{
	hs_soft_native_fn *one = returning(100);
	hs_soft_native_fn *mine;
	int status, go[2];
	pid_t child;

	(void)state;
	assert_int_equal(pipe(go), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		_exit(child_of(one, go[0]));
	}
	mine = returning(300); /* where the child would write next if it had not begun anew */
	assert_non_null(mine);
	assert_int_equal(write(go[1], "", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(mine(NULL), 300);
	assert_int_equal(returning(301)(NULL), 301);
	assert_int_equal(one(NULL), 100);
	close(go[0]);
	close(go[1]);
}

/* In a forked child, whose files may not be as long as all code may become. */
static int limited_child(void)
{
	const struct rlimit limit = { .rlim_cur = 65536, .rlim_max = 65536 };
	uint32_t made = 0;

	if (signal(SIGXFSZ, SIG_DFL) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) != 0) {
		return 1;
	}
	while (made <= limit.rlim_cur && returning(500 + made)) {
		made++;
	}
	return made == limit.rlim_cur / 16 && returning(500)(NULL) == 500 ? 0 : 2;
}

static void test_native_limit_of_files_is_one_of_code(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		_exit(limited_child());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

#define LARGE 4096u

/* The same, and as large as fills the bound soon. */
static hs_soft_native_fn *large_returning(uint32_t number)
{
	uint8_t code[LARGE] = { 0xb8, 0, 0, 0, 0, 0xc3 };

	memcpy(code + 1, &number, sizeof(number));
	return hs_soft_native_code(code, sizeof(code));
}

/* The last one: there is no more afterwards. */
static void test_native_bound_reached_gives_none(void **state)
{
	hs_soft_native_fn *known = returning(400);
	uint32_t large = 0, small = 0;

	(void)state;
	while (large <= HS_SOFT_NATIVE_MAX / LARGE && large_returning(large)) {
		large++;
	}
	while (small <= LARGE && returning(1000 + small)) {
		small++;
	}
	assert_in_range(large, HS_SOFT_NATIVE_MAX / LARGE - 2, HS_SOFT_NATIVE_MAX / LARGE);
	assert_in_range(small, 0, LARGE / 16);
	assert_null(returning(401));
	assert_ptr_equal(returning(400), known);
	assert_int_equal(large_returning(large - 1)(NULL), large - 1);
	assert_true(hs_soft_native_works());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_native_code_runs_with_its_argument),
		cmocka_unit_test(test_native_same_bytes_are_the_same_code),
		cmocka_unit_test(test_native_bytes_that_begin_alike_are_two_codes),
		cmocka_unit_test(test_native_no_mapping_is_writable_and_executable),
		cmocka_unit_test(test_native_parent_and_forked_child_both_go_on),
		cmocka_unit_test(test_native_limit_of_files_is_one_of_code),
		cmocka_unit_test(test_native_bound_reached_gives_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
