/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/fd_io: transfers are whole although the system's are short, interrupted or refused. The linker puts our own
 * write, pwrite and pread in the place of the C library's (--wrap), so every case happens on purpose.
 */
#include "base/fd_io.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#define FD 77
#define OFFSET UINT64_C(0x180000000)

/* A file of 64 bytes at OFFSET that moves at most 7 a call, is interrupted every other call and may end in an error. */
static struct {
	uint8_t bytes[64];
	size_t position; /* of write */
	unsigned int calls;
	unsigned int fail_at; /* the call that fails with fail_errno; 0 for none */
	int fail_errno;
} file;

/* How many bytes the call moves, or -1. */
static ssize_t begin(size_t at, size_t length)
{
	size_t left = at < sizeof(file.bytes) ? sizeof(file.bytes) - at : 0;
	size_t amount = length < 7 ? length : 7;

	file.calls++;
	if (file.fail_at && file.calls == file.fail_at) {
		errno = file.fail_errno;
		return -1;
	}
	if (file.calls % 2 == 1) {
		errno = EINTR;
		return -1;
	}
	return (ssize_t)(amount < left ? amount : left);
}

static ssize_t put(size_t at, const void *bytes, size_t length)
{
	ssize_t amount = begin(at, length);

	if (amount > 0) {
		memcpy(file.bytes + at, bytes, (size_t)amount);
	}
	return amount;
}

ssize_t __real_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t length, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t length, off_t offset);

ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
	ssize_t done;

	if (fd != FD) {
		return __real_write(fd, bytes, length);
	}
	done = put(file.position, bytes, length);
	file.position += done > 0 ? (size_t)done : 0;
	return done;
}

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t length, off_t offset)
{
	assert_int_equal(fd, FD);
	return put((uint64_t)offset - OFFSET, bytes, length);
}

ssize_t __wrap_pread64(int fd, void *bytes, size_t length, off_t offset)
{
	size_t at = (uint64_t)offset - OFFSET;
	ssize_t amount = begin(at, length);

	assert_int_equal(fd, FD);
	if (amount > 0) {
		memcpy(bytes, file.bytes + at, (size_t)amount);
	}
	return amount;
}

static int setup(void **state)
{
	(void)state;
	memset(&file, 0, sizeof(file));
	return 0;
}

static void fill(uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		bytes[i] = (uint8_t)(3 * i + 1);
	}
}

static void test_fd_write_short_and_interrupted_is_whole(void **state)
{
	uint8_t bytes[64];

	(void)state;
	fill(bytes, sizeof(bytes));
	assert_int_equal(hs_fd_write(FD, "f", bytes, sizeof(bytes), NULL), HS_OK);
	assert_memory_equal(file.bytes, bytes, sizeof(bytes));
	assert_int_equal(hs_fd_write(FD, "f", NULL, 0, NULL), HS_OK);
}

static void test_fd_pwrite_then_pread_gives_the_bytes_back(void **state)
{
	uint8_t bytes[40];
	uint8_t back[40];

	(void)state;
	fill(bytes, sizeof(bytes));
	assert_int_equal(hs_fd_pwrite(FD, "f", bytes, sizeof(bytes), OFFSET + 24, NULL), HS_OK);
	assert_memory_equal(file.bytes + 24, bytes, sizeof(bytes));
	assert_int_equal(hs_fd_pread(FD, "f", back, sizeof(back), OFFSET + 24, NULL), HS_OK);
	assert_memory_equal(back, bytes, sizeof(bytes));
}

static void test_fd_pread_of_a_file_that_ends_is_a_format_error(void **state)
{
	struct hs_error err;
	uint8_t bytes[40];

	(void)state;
	assert_int_equal(hs_fd_pread(FD, "guest.core", bytes, sizeof(bytes), OFFSET + 32, &err), HS_ERR_FORMAT);
	assert_int_equal(err.where, OFFSET + 64);
	assert_string_equal(err.message, "guest.core: file ends at byte 6442451008, 8 more expected");
}

static void test_fd_io_error_after_a_part_is_reported(void **state)
{
	struct hs_error err;
	uint8_t bytes[64] = { 0 };

	(void)state;
	file.fail_at = 4;
	file.fail_errno = ENOSPC;
	assert_int_equal(hs_fd_write(FD, "guest.core", bytes, sizeof(bytes), &err), HS_ERR_IO);
	assert_int_equal(err.os_errno, ENOSPC);
	assert_string_equal(err.message, "cannot write guest.core: No space left on device");
	setup(NULL);
	file.fail_at = 4;
	file.fail_errno = EIO;
	assert_int_equal(hs_fd_pwrite(FD, "f", bytes, sizeof(bytes), OFFSET, &err), HS_ERR_IO);
	setup(NULL);
	file.fail_at = 4;
	file.fail_errno = EACCES;
	assert_int_equal(hs_fd_pread(FD, "f", bytes, sizeof(bytes), OFFSET, &err), HS_ERR_PERMISSION);
	assert_string_equal(err.message, "cannot read f: Permission denied");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_fd_write_short_and_interrupted_is_whole, setup),
		cmocka_unit_test_setup(test_fd_pwrite_then_pread_gives_the_bytes_back, setup),
		cmocka_unit_test_setup(test_fd_pread_of_a_file_that_ends_is_a_format_error, setup),
		cmocka_unit_test_setup(test_fd_io_error_after_a_part_is_reported, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
