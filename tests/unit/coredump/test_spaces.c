/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several address spaces in one core: what the core says of them, and each as a core of its own. */
#include "base/bytes.h"
#include "guest.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE UINT64_C(0x1000)
#define RAM GUEST_RAM_GPA
#define SPACES 8u
#define CURRENT 3u
#define COMMON UINT64_C(0x400000)
#define PRIVATE UINT64_C(0x7f0000)
/** Where the record of spaces keeps things: count and primary, then each space's head. */
#define HEAD_BYTES 8u
#define SPACE_BYTES 40u
#define RECORD_SPACES 7u

static struct guest guest;
static struct hs_root roots[SPACES];
static struct hs_core_result result;

static uint64_t private_gpa(size_t space)
{
	return RAM + (16 + 2 * space) * PAGE;
}

static void map_in(size_t space, uint64_t gva, uint64_t gpa, int prot)
{
	guest.root = roots[space];
	guest_map(&guest, gva, gpa, PAGE, prot);
}

/** One page in all spaces, at an address that is one higher in each; one private page, at the same address in all. */
static void make_spaces(enum hs_arch arch)
{
	guest_init(&guest, arch, true);
	/* The roots are at the end of the memory for tables. */
	ram_set_tables(&guest.ram, GUEST_TABLES_GPA, GUEST_TABLES_BYTES - SPACES * PAGE);
	guest_fill(&guest, RAM, 64 * PAGE);
	for (size_t i = 0; i < SPACES; i++) {
		roots[i] = guest.root;
		roots[i].base = hs_gpa_of(GUEST_TABLES_GPA + GUEST_TABLES_BYTES - (i + 1) * PAGE);
	}
	for (size_t i = 0; i < SPACES; i++) {
		map_in(i, COMMON + i * PAGE, RAM, GUEST_RX);
		map_in(i, PRIVATE, private_gpa(i), GUEST_RW);
	}
	guest.input.root = roots[CURRENT];
	guest.input.spaces = roots;
	guest.input.space_count = SPACES;
	guest.input.space_index = CURRENT;
}

static int setup(void **state)
{
	(void)state;
	make_spaces(HS_ARCH_AMD64);
	return 0;
}

static int setup_i686(void **state)
{
	(void)state;
	make_spaces(HS_ARCH_I686);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guest_deinit(&guest);
	return 0;
}

static void check_page(const struct hs_core *core, uint64_t gva, uint64_t gpa)
{
	uint8_t bytes[PAGE];
	size_t length;

	assert_int_equal(hs_core_read(core, hs_gva_of(gva), bytes, sizeof(bytes), &length, NULL), HS_OK);
	assert_int_equal(length, sizeof(bytes));
	assert_memory_equal(bytes, ram_at(&guest.ram, gpa), sizeof(bytes));
}

static uint32_t thread_of(const struct hs_core *core)
{
	/* NT_PRSTATUS is the first note; pr_pid (linux/elfcore.h). */
	return hs_get_le32(hs_core_note_bytes(core, 0) + (hs_core_info(core)->arch == HS_ARCH_AMD64 ? 32 : 24));
}

static void test_spaces_core_lists_each_with_its_segments(void **state)
{
	(void)state;
	guest_dump(&guest, &result);
	struct hs_core *core = guest_open(result.path);
	const struct hs_core_info *info = hs_core_info(core);

	assert_int_equal(info->space_count, SPACES);
	assert_int_equal(info->space_index, CURRENT);
	assert_int_equal(thread_of(core), CURRENT + 1);
	assert_false(info->partial);
	assert_int_equal(info->segment_count, 2);
	for (size_t i = 0; i < SPACES; i++) {
		const struct hs_core_space *space = hs_core_space(core, i);
		uint8_t bytes[PAGE];

		assert_int_equal(space->root.base.v, roots[i].base.v);
		assert_int_equal(space->segment_count, 2);
		assert_int_equal(space->segments[0].start.v, COMMON + i * PAGE);
		assert_int_equal(space->segments[0].prot, GUEST_RX);
		assert_int_equal(space->segments[1].start.v, PRIVATE);
		assert_int_equal(space->segments[1].gpa.v, private_gpa(i));
		assert_int_equal(space->segments[1].length, PAGE);
		/* i686 without PAE has no bit that forbids to execute. */
		assert_int_equal(space->segments[1].prot, GUEST_RW | (info->arch == HS_ARCH_I686 ? HS_PROT_EXEC : 0));
		/* What they share is in the file once. */
		assert_int_equal(space->segments[0].offset, hs_core_segment(core, 0)->offset);
		assert_int_equal(pread(hs_core_fd(core), bytes, PAGE, (off_t)space->segments[1].offset), PAGE);
		assert_memory_equal(bytes, ram_at(&guest.ram, private_gpa(i)), PAGE);
	}
	/* One page in common, and one of each; what lies between private ones is not there. */
	assert_int_equal(info->file_bytes - hs_core_segment(core, 0)->offset, (1 + SPACES) * PAGE);
	hs_core_close(core);
}

static void test_spaces_extract_shows_each_private_page(void **state)
{
	(void)state;
	guest_dump(&guest, &result);
	struct hs_core *core = guest_open(result.path);

	for (size_t i = 0; i < SPACES; i++) {
		struct hs_core_result made;
		struct hs_error err = { 0 };

		if (hs_core_extract(core, i, guest.directory, NULL, &made, &err)) {
			fail_msg("%s", err.message);
		}
		struct hs_core *one = guest_open(made.path);

		check_page(one, PRIVATE, private_gpa(i));
		check_page(one, COMMON + i * PAGE, RAM);
		assert_int_equal(hs_core_info(one)->segment_count, 2);
		assert_int_equal(hs_core_info(one)->root.base.v, roots[i].base.v);
		assert_int_equal(hs_core_info(one)->space_count, 1);
		assert_int_equal(hs_core_info(one)->notes_sum, HS_CORE_SUM_GOOD);
		assert_int_equal(hs_core_info(one)->signal, 11);
		assert_string_equal(hs_core_info(one)->reason, guest.input.reason);
		assert_int_equal(thread_of(one), i + 1);
		hs_core_close(one);
	}
	hs_core_close(core);
}

static void test_spaces_extract_of_none_is_refused(void **state)
{
	struct hs_core_result made;
	struct hs_error err;

	(void)state;
	guest_dump(&guest, &result);
	struct hs_core *core = guest_open(result.path);

	assert_int_equal(hs_core_extract(core, SPACES, guest.directory, NULL, &made, &err), HS_ERR_NOT_FOUND);
	assert_non_null(strstr(err.message, "no address space 8: the core has 0 to 7"));
	assert_int_equal(guest_files(&guest), 1);
	hs_core_close(core);
}

static void test_spaces_holes_and_zero_pages_stay_holes_in_an_extract(void **state)
{
	struct hs_core_result made;
	uint8_t zeros[PAGE] = { 0 }, bytes[PAGE];

	(void)state;
	guest.root = roots[1];
	guest_map(&guest, 0x10000000, RAM + 0x40 * PAGE, 128 * PAGE, GUEST_RW);
	guest_fill(&guest, RAM + 0x40 * PAGE + 127 * PAGE, PAGE);
	guest_dump(&guest, &result);
	struct hs_core *core = guest_open(result.path);

	assert_int_equal(hs_core_extract(core, 1, guest.directory, NULL, &made, NULL), HS_OK);
	struct hs_core *one = guest_open(made.path);
	size_t length;

	check_page(one, 0x10000000 + 127 * PAGE, RAM + 0x40 * PAGE + 127 * PAGE);
	assert_int_equal(hs_core_read(one, hs_gva_of(0x10000000), bytes, PAGE, &length, NULL), HS_OK);
	assert_memory_equal(bytes, zeros, PAGE);
	/* 130 pages, of which three have data; headers and notes are a few more. */
	assert_true(hs_core_info(one)->disk_bytes < 64 * PAGE);
	assert_true(made.stored_bytes < 16 * PAGE);
	hs_core_close(one);
	hs_core_close(core);
}

static void test_spaces_endless_one_is_partial_and_the_others_are_whole(void **state)
{
	(void)state;
	/* A root that refers to itself, but for the first entry: 511^4 pages. */
	for (uint64_t i = 1; i < 512; i++) {
		ram_put(&guest.ram, roots[5].base.v + 8 * i, 8, roots[5].base.v | 7);
	}
	guest.input.budget = (struct hs_budget){ .tables = 4096, .ranges = 4096 };
	guest_dump(&guest, &result);
	assert_true(result.partial);
	struct hs_core *core = guest_open(result.path);

	for (size_t i = 0; i < SPACES; i++) {
		assert_int_equal(hs_core_space(core, i)->partial, i == 5);
		assert_true(hs_core_space(core, i)->segment_count >= 2);
	}
	assert_true(hs_core_space(core, 5)->reached > PRIVATE);
	assert_int_equal(hs_core_info(core)->segment_count, 2);
	hs_core_close(core);
}

/** The record in the first bytes of a core of ours; NULL without one. */
static uint8_t *find_record(const struct hs_core *core, uint8_t *file)
{
	for (size_t i = 0; i < hs_core_info(core)->note_count; i++) {
		const struct hs_core_note *note = hs_core_note(core, i);
		uint8_t *at = file + note->offset + 4, *end = file + note->offset + note->length;

		while (note->type == 0x48530001 && at < end) {
			uint32_t length = hs_get_le32(at + 4);

			if (hs_get_le32(at) == RECORD_SPACES) {
				return at + 8;
			}
			at += 8 + (length + 3) / 4 * 4;
		}
	}
	return NULL;
}

/** Open the core with bytes of the record changed. */
static enum hs_status open_changed(size_t at, uint64_t value, unsigned int bytes)
{
	static uint8_t file[64 * 1024];
	struct hs_core *core = guest_open(result.path);
	int fd = open(result.path, O_RDWR | O_CLOEXEC);

	assert_true(pread(fd, file, sizeof(file), 0) > 0);
	uint8_t *record = find_record(core, file);

	hs_core_close(core);
	assert_non_null(record);
	uint64_t before = hs_get_le(record + at, bytes);

	hs_put_le(record + at, value, bytes);
	assert_int_equal(pwrite(fd, record + at, bytes, record + at - file), bytes);
	enum hs_status st = hs_core_open(result.path, &core, NULL);

	if (st == HS_OK) {
		hs_core_close(core);
	}
	hs_put_le(record + at, before, bytes);
	assert_int_equal(pwrite(fd, record + at, bytes, record + at - file), bytes);
	close(fd);
	return st;
}

static void test_spaces_record_out_of_bounds_is_refused(void **state)
{
	/* Head, then the first space's head (root 16, flags, reached, count), then its first segment. */
	const size_t space = HEAD_BYTES, segment = space + SPACE_BYTES;

	(void)state;
	guest_dump(&guest, &result);
	assert_int_equal(open_changed(0, SPACES, 4), HS_OK);
	assert_int_equal(open_changed(0, SPACES + 1, 4), HS_ERR_FORMAT);
	assert_int_equal(open_changed(0, UINT32_MAX, 4), HS_ERR_FORMAT);
	assert_int_equal(open_changed(4, SPACES, 4), HS_ERR_FORMAT);
	assert_int_equal(open_changed(space, 77, 4), HS_ERR_FORMAT);
	assert_int_equal(open_changed(space + 32, UINT64_MAX, 8), HS_ERR_FORMAT);
	assert_int_equal(open_changed(space + 32, 1000, 8), HS_ERR_FORMAT);
	assert_int_equal(open_changed(segment, COMMON + 1, 8), HS_ERR_FORMAT);
	assert_int_equal(open_changed(segment, PRIVATE + PAGE, 8), HS_ERR_FORMAT);
	assert_int_equal(open_changed(segment + 8, 7, 8), HS_ERR_FORMAT);
	assert_int_equal(open_changed(segment + 8, UINT64_MAX, 8), HS_ERR_FORMAT);
	assert_int_equal(open_changed(segment + 16, 12, 8), HS_ERR_FORMAT);
	assert_int_equal(open_changed(segment + 24, INT64_MAX & ~(PAGE - 1), 8), HS_ERR_FORMAT);
	assert_int_equal(open_changed(segment + 24, 3, 8), HS_ERR_FORMAT);
	/* Behind the end of the file: a core that was cut off, which opens. */
	assert_int_equal(open_changed(segment + 24, UINT64_C(1) << 40, 8), HS_OK);
}

static void test_spaces_contradictory_input_is_refused(void **state)
{
	(void)state;
	guest.input.space_index = SPACES;
	assert_int_equal(hs_core_write(&guest.input, guest.directory, &result, NULL), HS_ERR_INVALID);
	guest.input.space_index = 0;
	guest.input.space_count = HS_CORE_SPACES_MAX + 1;
	assert_int_equal(hs_core_write(&guest.input, guest.directory, &result, NULL), HS_ERR_INVALID);
	assert_int_equal(guest_files(&guest), 0);
}

/** Dump with one byte less than the last core took, and take the file away. */
static enum hs_status dump_smaller(struct hs_core **ret)
{
	struct hs_error err = { 0 };

	guest.input.options.limit_bytes = result.stored_bytes - 1;
	enum hs_status st = hs_core_write(&guest.input, guest.directory, &result, &err);

	if (st == HS_OK) {
		assert_true(result.stored_bytes <= guest.input.options.limit_bytes);
		assert_true(result.reduced);
		*ret = guest_open(result.path);
		unlink(result.path);
	}
	return st;
}

static void test_spaces_limit_leaves_out_the_least_important_first(void **state)
{
	const struct hs_core_range ranges[] = { { { RAM + 128 * PAGE }, 8 * PAGE } };
	struct hs_core *core;

	(void)state;
	guest_fill(&guest, RAM + 128 * PAGE, 8 * PAGE);
	guest.input.ranges = ranges;
	guest.input.range_count = 1;
	guest.input.fault_address = PRIVATE + 12;
	guest_dump(&guest, &result);
	uint64_t whole = result.stored_bytes;

	unlink(result.path);
	guest.input.options.limit_bytes = whole;
	guest_dump(&guest, &result);
	unlink(result.path);
	assert_int_equal(result.stored_bytes, whole);
	assert_false(result.reduced);

	/* What no space maps. */
	assert_int_equal(dump_smaller(&core), HS_OK);
	assert_int_equal(hs_core_info(core)->stored_count, 0);
	assert_false(hs_core_info(core)->partial);
	assert_int_equal(hs_core_space(core, 7)->segment_count, 2);
	hs_core_close(core);

	/* The other spaces: named still. */
	assert_int_equal(dump_smaller(&core), HS_OK);
	assert_true(hs_core_info(core)->partial);
	assert_int_equal(hs_core_info(core)->space_count, SPACES);
	assert_int_equal(hs_core_space(core, 7)->segment_count, 0);
	assert_true(hs_core_space(core, 7)->partial);
	assert_false(hs_core_space(core, CURRENT)->partial);
	assert_int_equal(hs_core_info(core)->segment_count, 2);
	check_page(core, COMMON + CURRENT * PAGE, RAM);
	hs_core_close(core);

	/* All but what is around the fault. */
	assert_int_equal(dump_smaller(&core), HS_OK);
	assert_true(hs_core_space(core, CURRENT)->partial);
	assert_int_equal(hs_core_info(core)->segment_count, 1);
	check_page(core, PRIVATE, private_gpa(CURRENT));
	hs_core_close(core);

	assert_int_equal(dump_smaller(&core), HS_ERR_RANGE);
	assert_int_equal(guest_files(&guest), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_I686(name)                                                                                                \
	{                                                                                                              \
#name "_i686", name, setup_i686, teardown, NULL                                                        \
	}
	const struct CMUnitTest tests[] = {
		TEST(test_spaces_core_lists_each_with_its_segments),
		TEST_I686(test_spaces_core_lists_each_with_its_segments),
		TEST(test_spaces_extract_shows_each_private_page),
		TEST_I686(test_spaces_extract_shows_each_private_page),
		TEST(test_spaces_extract_of_none_is_refused),
		TEST(test_spaces_holes_and_zero_pages_stay_holes_in_an_extract),
		TEST(test_spaces_endless_one_is_partial_and_the_others_are_whole),
		TEST(test_spaces_record_out_of_bounds_is_refused),
		TEST(test_spaces_contradictory_input_is_refused),
		TEST(test_spaces_limit_leaves_out_the_least_important_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
