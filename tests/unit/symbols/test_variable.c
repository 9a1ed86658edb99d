/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* symbols/variable: variables of this very program, some of which another file of it has too. */
#include "symbols/variable.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

extern const char __executable_start[];

uint64_t of_everybody[2] = { 1 };
static volatile uint64_t of_one_file = 2;
/* In variable_other.c, too. */
static volatile uint64_t of_two_files = 3;
uint64_t hides_a_local = 4;

static uint64_t offset_of(const volatile void *variable)
{
	return (uintptr_t)variable - (uintptr_t)__executable_start;
}

static enum hs_status find(const char *symbol, uint64_t *ret, struct hs_error *err)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	hs_gva gva = { 0x77 };
	enum hs_status st = hs_variable_find(fd, "self", symbol, &gva, err);

	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	assert_int_equal(close(fd), 0);
	*ret = gva.v;
	return st;
}

static void test_variable_is_found_by_its_name(void **state)
{
	uint64_t gva;

	(void)state;
	assert_int_equal(find("of_everybody", &gva, NULL), HS_OK);
	assert_int_equal(gva, offset_of(of_everybody));
	assert_int_equal(find("of_one_file", &gva, NULL), HS_OK);
	assert_int_equal(gva, offset_of(&of_one_file));
	/* Of several the one that all files see. */
	assert_int_equal(find("hides_a_local", &gva, NULL), HS_OK);
	assert_int_equal(gva, offset_of(&hides_a_local));
}

static void refuse(const char *symbol, enum hs_status status, const char *words)
{
	struct hs_error err = { 0 };
	uint64_t gva;

	assert_int_equal(find(symbol, &gva, &err), status);
	assert_int_equal(gva, 0x77);
	if (!strstr(err.message, words)) {
		fail_msg("'%s' is not in: %s", words, err.message);
	}
}

static void test_variable_that_is_none_or_several_is_refused(void **state)
{
	(void)state;
	assert_int_equal(of_two_files, 3);
	refuse("of_nobody", HS_ERR_NOT_FOUND, "self has no variable 'of_nobody'");
	refuse("", HS_ERR_NOT_FOUND, "no variable ''");
	/* A function is no variable, nor is one of another program's. */
	refuse("main", HS_ERR_NOT_FOUND, "no variable 'main'");
	refuse("stderr_of_libc", HS_ERR_NOT_FOUND, "no variable");
	refuse("of_two_files", HS_ERR_INVALID, "self has 2 variables 'of_two_files'");
}

static void test_variable_of_what_is_no_image_is_refused(void **state)
{
	int fd = memfd_create("text", MFD_CLOEXEC);
	struct hs_error err = { 0 };
	hs_gva gva;

	(void)state;
	assert_int_equal(hs_variable_find(fd, "empty", "x", &gva, &err), HS_ERR_FORMAT);
	assert_int_equal(write(fd, "hello hello hello hello hello hello hello", 41), 41);
	assert_int_equal(hs_variable_find(fd, "text", "x", &gva, &err), HS_ERR_FORMAT);
	assert_string_equal(err.message, "text: not an ELF file");
	assert_int_equal(close(fd), 0);
	assert_int_equal(hs_variable_find(-1, "closed", "x", &gva, &err), HS_ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_variable_is_found_by_its_name),
		cmocka_unit_test(test_variable_that_is_none_or_several_is_refused),
		cmocka_unit_test(test_variable_of_what_is_no_image_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
