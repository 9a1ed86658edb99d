/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cores that hold physical memory whole, notes of the caller's, and checksums of both; and files that give way. */
#include "guest.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE UINT64_C(0x1000)
#define RAM GUEST_RAM_GPA

static struct guest guest;
static struct hs_core_result result;

static int setup(void **state)
{
	(void)state;
	guest_init(&guest, HS_ARCH_AMD64, true);
	return 0;
}

static int setup_i686(void **state)
{
	(void)state;
	guest_init(&guest, HS_ARCH_I686, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guest_deinit(&guest);
	return 0;
}

/** A core with pages whole that nothing maps, between some that are mapped. */
static void write_with_ranges(void)
{
	static const struct hs_core_range ranges[] = {
		{ { RAM + 4 * PAGE }, 8 * PAGE },
		{ { GUEST_TABLES_GPA }, 16 * PAGE },
	};

	guest_fill(&guest, RAM, 32 * PAGE);
	memset(ram_at(&guest.ram, RAM + 6 * PAGE), 0, PAGE);
	guest_map(&guest, 0x400000, RAM + 5 * PAGE, PAGE, GUEST_RX);
	guest_map(&guest, 0x500000, RAM + 20 * PAGE, PAGE, GUEST_RW);
	guest.input.ranges = ranges;
	guest.input.range_count = 2;
	guest_dump(&guest, &result);
}

static void check_stored(struct hs_core *core, const struct hs_core_stored *stored)
{
	uint8_t bytes[4096];

	for (uint64_t at = 0; at < stored->length; at += PAGE) {
		assert_int_equal(pread(hs_core_fd(core), bytes, sizeof(bytes), (off_t)(stored->offset + at)), PAGE);
		assert_memory_equal(bytes, ram_at(&guest.ram, stored->gpa.v + at), sizeof(bytes));
	}
}

static void test_stored_ranges_are_stored_whole_though_nothing_maps_them(void **state)
{
	(void)state;
	write_with_ranges();
	struct hs_core *core = guest_open(result.path);
	const struct hs_core_info *info = hs_core_info(core);

	assert_int_equal(info->stored_count, 2);
	assert_int_equal(hs_core_stored(core, 0)->gpa.v, RAM + 4 * PAGE);
	assert_int_equal(hs_core_stored(core, 0)->length, 8 * PAGE);
	assert_int_equal(hs_core_stored(core, 1)->gpa.v, GUEST_TABLES_GPA);
	assert_int_equal(hs_core_stored(core, 1)->length, 16 * PAGE);
	check_stored(core, hs_core_stored(core, 0));
	check_stored(core, hs_core_stored(core, 1));
	assert_int_equal(info->segment_count, 2); /* the address space, and nothing more */
	assert_int_equal(hs_core_segment(core, 0)->offset, hs_core_stored(core, 0)->offset + PAGE);
	assert_int_equal(hs_core_verify(core, NULL), HS_OK);
	hs_core_close(core);
}

static void test_stored_changed_page_is_found_by_verify(void **state)
{
	struct hs_error err;

	(void)state;
	write_with_ranges();
	struct hs_core *core = guest_open(result.path);
	uint64_t offset = hs_core_stored(core, 0)->offset;
	int fd = open(result.path, O_RDWR | O_CLOEXEC);

	/* In a page with data, in one that is a hole, and a page that has become one. */
	for (unsigned int page = 1; page < 4; page++) {
		uint8_t before[4096];
		uint8_t after[4096] = { 0 };
		off_t at = (off_t)(offset + page * PAGE);

		after[0] = page == 2;
		assert_int_equal(pread(fd, before, sizeof(before), at), PAGE);
		assert_int_equal(pwrite(fd, after, sizeof(after), at), PAGE);
		assert_int_equal(hs_core_verify(core, &err), HS_ERR_FORMAT);
		assert_int_equal(err.where, offset);
		assert_int_equal(pwrite(fd, before, sizeof(before), at), PAGE);
		assert_int_equal(hs_core_verify(core, &err), HS_OK);
	}
	assert_int_equal(ftruncate(fd, (off_t)(offset + PAGE)), 0);
	assert_int_not_equal(hs_core_verify(core, &err), HS_OK);
	close(fd);
	hs_core_close(core);
}

static void test_stored_range_that_is_not_of_pages_is_refused(void **state)
{
	static const struct hs_core_range ranges[] = {
		{ { RAM }, 0 },
		{ { RAM + 1 }, PAGE },
		{ { RAM }, PAGE + 1 },
		{ { UINT64_MAX - PAGE + 1 }, PAGE },
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		guest.input.ranges = &ranges[i];
		guest.input.range_count = 1;
		assert_int_equal(hs_core_write(&guest.input, guest.directory, &result, NULL), HS_ERR_INVALID);
	}
	assert_int_equal(guest_files(&guest), 0);
}

static void test_stored_range_beyond_an_elf32_file_is_refused(void **state)
{
	static const struct hs_core_range range = { { RAM }, UINT64_C(0xffff0000) };

	(void)state;
	guest.input.ranges = &range;
	guest.input.range_count = 1;
	assert_int_equal(hs_core_write(&guest.input, guest.directory, &result, NULL), HS_ERR_RANGE);
	assert_int_equal(guest_files(&guest), 0);
}

static void test_stored_notes_of_the_caller_are_there_and_summed(void **state)
{
	static const struct hs_core_extra extras[] = { { 0x48530010, "hello", 5 }, { 0x48530011, "", 0 } };

	(void)state;
	guest.input.notes = extras;
	guest.input.note_count = 2;
	guest_dump(&guest, &result);
	struct hs_core *core = guest_open(result.path);
	size_t count = hs_core_info(core)->note_count;

	assert_int_equal(hs_core_info(core)->notes_sum, HS_CORE_SUM_GOOD);
	assert_int_equal(hs_core_note(core, count - 3)->type, 0x48530010);
	assert_int_equal(hs_core_note(core, count - 3)->length, 5);
	assert_memory_equal(hs_core_note_bytes(core, count - 3), "hello", 5);
	assert_int_equal(hs_core_note(core, count - 2)->length, 0);
	hs_core_close(core);
}

static void test_stored_flipped_bit_of_a_note_is_known(void **state)
{
	uint8_t byte;

	(void)state;
	guest_dump(&guest, &result);
	struct hs_core *core = guest_open(result.path);
	off_t at = (off_t)hs_core_note(core, 0)->offset + 200;
	int fd = open(result.path, O_RDWR | O_CLOEXEC);

	hs_core_close(core);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
	core = guest_open(result.path);
	assert_int_equal(hs_core_info(core)->notes_sum, HS_CORE_SUM_BAD);
	hs_core_close(core);
}

static void test_stored_replaces_a_regular_file_only_when_told(void **state)
{
	char path[128], link[128];
	struct stat info;

	(void)state;
	snprintf(path, sizeof(path), "%s/core", guest.directory);
	snprintf(link, sizeof(link), "%s/link", guest.directory);
	assert_int_equal(hs_core_write(&guest.input, path, &result, NULL), HS_OK);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(stat(path, &info), 0);
	ino_t first = info.st_ino;

	assert_int_equal(hs_core_write(&guest.input, path, &result, NULL), HS_ERR_BUSY);
	guest.input.replace = true;
	assert_int_equal(hs_core_write(&guest.input, link, &result, NULL), HS_ERR_BUSY);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_ino, first);
	assert_int_equal(hs_core_write(&guest.input, path, &result, NULL), HS_OK);
	assert_int_equal(stat(path, &info), 0);
	assert_int_not_equal(info.st_ino, first);
	assert_int_equal(guest_files(&guest), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stored_ranges_are_stored_whole_though_nothing_maps_them, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_stored_changed_page_is_found_by_verify, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stored_range_that_is_not_of_pages_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stored_range_beyond_an_elf32_file_is_refused, setup_i686,
						teardown),
		cmocka_unit_test_setup_teardown(test_stored_notes_of_the_caller_are_there_and_summed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stored_flipped_bit_of_a_note_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stored_replaces_a_regular_file_only_when_told, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
