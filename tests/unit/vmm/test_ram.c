/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/ram: regions of each kind, replacing and dropping what is behind them, and which parts of them have data. */
#include "vmm/ram.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE ((uint64_t)HS_PAGE_SIZE)
/* Where the region under test lies, and how many pages the file has. */
#define BASE 0x10000u
#define FILE_PAGES 8u

static struct hs_ram ram;
static struct hs_phys phys;
static struct hs_error err;
static int file;
static uint64_t told_gpa, told_bytes;

static void on_written(void *ctx, hs_gpa gpa, uint64_t length)
{
	(void)ctx;
	told_gpa = gpa.v;
	told_bytes += length;
}

/* A file of eight pages of which the third, begun by 'c', alone has data. */
static int setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	hs_ram_init(&ram);
	phys = hs_ram_phys(&ram);
	told_bytes = 0;
	file = memfd_create("test", MFD_CLOEXEC);
	return file < 0 || ftruncate(file, (off_t)(FILE_PAGES * PAGE)) || pwrite(file, "c", 1, (off_t)(2 * PAGE)) != 1;
}

static int teardown(void **state)
{
	(void)state;
	hs_ram_deinit(&ram);
	return close(file);
}

static void add_file(enum hs_ram_kind kind, uint64_t offset_pages, uint64_t pages)
{
	const struct hs_ram_source source = {
		.kind = kind, .fd = file, .offset = offset_pages * PAGE, .name = "file region"
	};

	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), pages * PAGE, &source, &err), HS_OK);
}

static char byte_at(uint64_t gpa)
{
	char byte = 0;

	assert_int_equal(phys.ops->read(phys.ctx, hs_gpa_of(gpa), &byte, 1, &err), HS_OK);
	return byte;
}

static char byte_of_file(uint64_t offset)
{
	char byte = 0;

	assert_int_equal(pread(file, &byte, 1, (off_t)offset), 1);
	return byte;
}

static enum hs_status write_byte(uint64_t gpa, char byte)
{
	return phys.ops->write(phys.ctx, hs_gpa_of(gpa), &byte, 1, &err);
}

/* Whether next_data() has found the pages [first, first + count), from BASE on, next; in how many pieces is its own
 * business: a fault brings in some pages beside its own. */
static bool next_is(hs_gpa *at, uint64_t first, uint64_t count)
{
	uint64_t end = BASE + first * PAGE;
	uint64_t length;
	hs_gpa start;

	while (end < BASE + (first + count) * PAGE) {
		if (!phys.ops->next_data(phys.ctx, *at, &start, &length) || start.v != end || length == 0) {
			return false;
		}
		end = start.v + length;
		at->v = end;
	}
	return end == BASE + (first + count) * PAGE;
}

static bool is_last(hs_gpa at)
{
	uint64_t length;
	hs_gpa start;

	return !phys.ops->next_data(phys.ctx, at, &start, &length);
}

static void test_ram_private_mapping_written_leaves_the_file_alone(void **state)
{
	(void)state;
	add_file(HS_RAM_PRIVATE, 1, 4);
	assert_int_equal(byte_at(BASE + PAGE), 'c');
	assert_int_equal(write_byte(BASE + PAGE, 'x'), HS_OK);
	assert_int_equal(byte_at(BASE + PAGE), 'x');
	assert_int_equal(byte_of_file(2 * PAGE), 'c');
	assert_false(ram.regions[0].read_only);
}

static void test_ram_shared_mapping_shows_the_file_and_refuses_writes(void **state)
{
	(void)state;
	add_file(HS_RAM_SHARED, 0, FILE_PAGES);
	assert_true(ram.regions[0].read_only);
	assert_int_equal(pwrite(file, "d", 1, (off_t)(2 * PAGE)), 1);
	assert_int_equal(byte_at(BASE + 2 * PAGE), 'd');
	assert_int_equal(write_byte(BASE + 2 * PAGE, 'x'), HS_ERR_PERMISSION);
	assert_int_equal(err.where, BASE + 2 * PAGE);
	assert_non_null(strstr(err.message, "file region"));
	assert_int_equal(byte_of_file(2 * PAGE), 'd');
}

static void test_ram_borrowed_memory_is_the_owners_and_stays(void **state)
{
	static char memory[2 * HS_PAGE_SIZE] __attribute__((aligned(HS_PAGE_SIZE)));
	struct hs_ram_source source = { .kind = HS_RAM_BORROWED, .host = memory };

	(void)state;
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), PAGE, &source, &err), HS_OK);
	source = (struct hs_ram_source){ .kind = HS_RAM_BORROWED, .host = memory + PAGE, .read_only = true };
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE + PAGE), PAGE, &source, &err), HS_OK);
	assert_int_equal(write_byte(BASE + 5, 'x'), HS_OK);
	assert_int_equal(memory[5], 'x');
	assert_int_equal(write_byte(BASE + PAGE, 'x'), HS_ERR_PERMISSION);
	/* All or nothing, also where only the end is read-only. */
	assert_int_equal(phys.ops->write(phys.ctx, hs_gpa_of(BASE + PAGE - 1), "yz", 2, &err), HS_ERR_PERMISSION);
	assert_int_equal(memory[PAGE - 1], 0);
	assert_int_equal(hs_ram_drop(&ram, 0, &err), HS_ERR_INVALID);
	hs_ram_deinit(&ram);
	assert_int_equal(memory[5], 'x');
}

static void test_ram_overlap_is_refused_by_both_names(void **state)
{
	const struct hs_ram_source one = { .name = "snapshot region" };
	const struct hs_ram_source other = { .name = "mapping 'a'" };

	(void)state;
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), 4 * PAGE, &one, &err), HS_OK);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE + 3 * PAGE), PAGE, &other, &err), HS_ERR_RANGE);
	assert_string_equal(err.message, "mapping 'a' at gpa 0x13000 overlaps the snapshot region at gpa 0x10000");
	assert_int_equal(ram.count, 1);
	/* Neighbours on both sides are fine, and the order is by gpa. */
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE + 4 * PAGE), PAGE, &other, &err), HS_OK);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE - PAGE), PAGE, &other, &err), HS_OK);
	assert_int_equal(ram.regions[0].gpa.v, BASE - PAGE);
	assert_int_equal(ram.regions[2].gpa.v, BASE + 4 * PAGE);
}

static void test_ram_region_that_cannot_be_is_refused(void **state)
{
	static char memory[2 * HS_PAGE_SIZE] __attribute__((aligned(HS_PAGE_SIZE)));
	const struct hs_ram_source crooked = { .kind = HS_RAM_BORROWED, .host = memory + 1 };
	const struct hs_ram_source nothing = { .kind = HS_RAM_BORROWED };
	const struct hs_ram_source half_page = { .kind = HS_RAM_PRIVATE, .fd = file, .offset = 1 };
	const struct hs_ram_source behind = { .kind = HS_RAM_SHARED, .fd = file, .offset = FILE_PAGES * PAGE };
	const struct hs_ram_source closed = { .kind = HS_RAM_PRIVATE, .fd = -1 };

	(void)state;
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE + 1), PAGE, NULL, &err), HS_ERR_RANGE);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), PAGE - 1, NULL, &err), HS_ERR_RANGE);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), 0, NULL, &err), HS_ERR_RANGE);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(0 - PAGE), 2 * PAGE, NULL, &err), HS_ERR_RANGE);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), PAGE, &crooked, &err), HS_ERR_RANGE);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), PAGE, &nothing, &err), HS_ERR_RANGE);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), PAGE, &half_page, &err), HS_ERR_RANGE);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), PAGE, &behind, &err), HS_ERR_RANGE);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), PAGE, &closed, &err), HS_ERR_IO);
	assert_int_equal(ram.count, 0);
	for (uint64_t i = 0; i < HS_RAM_REGIONS_MAX; i++) {
		assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE + 2 * i * PAGE), PAGE, NULL, &err), HS_OK);
	}
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(0x1000000), PAGE, NULL, &err), HS_ERR_EXHAUSTED);
}

static void test_ram_file_that_ends_within_a_page_is_mapped_with_it(void **state)
{
	const struct hs_ram_source two = { .kind = HS_RAM_PRIVATE, .fd = file };

	(void)state;
	assert_int_equal(ftruncate(file, (off_t)(PAGE + 1)), 0);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), 3 * PAGE, &two, &err), HS_ERR_RANGE);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), 2 * PAGE, &two, &err), HS_OK);
	assert_int_equal(byte_at(BASE + 2 * PAGE - 1), 0);
}

static void test_ram_access_over_regions_stops_at_the_first_byte_that_is_not_there(void **state)
{
	uint8_t bytes[16];
	hs_gpa start;
	uint64_t length;

	(void)state;
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), PAGE, NULL, &err), HS_OK);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE + PAGE), PAGE, NULL, &err), HS_OK);
	assert_int_equal(phys.ops->write(phys.ctx, hs_gpa_of(BASE + PAGE - 4), "abcdefgh", 8, &err), HS_OK);
	assert_int_equal(phys.ops->read(phys.ctx, hs_gpa_of(BASE + PAGE - 4), bytes, 8, &err), HS_OK);
	assert_memory_equal(bytes, "abcdefgh", 8);
	assert_int_equal(phys.ops->write(phys.ctx, hs_gpa_of(BASE + 2 * PAGE - 4), "abcdefgh", 8, &err),
			 HS_ERR_UNREADABLE);
	assert_int_equal(err.where, BASE + 2 * PAGE);
	assert_int_equal(byte_at(BASE + 2 * PAGE - 4), 0);
	assert_int_equal(phys.ops->read(phys.ctx, hs_gpa_of(UINT64_MAX), bytes, 2, &err), HS_ERR_UNREADABLE);
	assert_true(phys.ops->next_region(phys.ctx, hs_gpa_of(0), &start, &length));
	assert_int_equal(start.v, BASE);
	assert_int_equal(length, PAGE);
	assert_true(phys.ops->next_region(phys.ctx, hs_gpa_of(BASE + PAGE + 1), &start, &length));
	assert_int_equal(start.v, BASE + PAGE + 1);
	assert_int_equal(length, PAGE - 1);
	assert_false(phys.ops->next_region(phys.ctx, hs_gpa_of(BASE + 2 * PAGE), &start, &length));
}

static void test_ram_replaced_region_keeps_its_place_and_shows_the_new_file(void **state)
{
	const struct hs_ram_source anonymous = { .name = "memory" };
	const struct hs_ram_source from_file = { .kind = HS_RAM_PRIVATE, .fd = file, .offset = 2 * PAGE };
	const uint8_t *host;

	(void)state;
	ram.written = on_written;
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), 2 * PAGE, &anonymous, &err), HS_OK);
	host = ram.regions[0].host;
	assert_int_equal(write_byte(BASE, 'a'), HS_OK);
	told_bytes = 0;
	assert_int_equal(hs_ram_replace(&ram, 0, &from_file, &err), HS_OK);
	assert_int_equal(told_gpa, BASE);
	assert_int_equal(told_bytes, 2 * PAGE);
	assert_ptr_equal(ram.regions[0].host, host);
	assert_int_equal(host[0], 'c');
	assert_int_equal(write_byte(BASE, 'x'), HS_OK);
	assert_int_equal(byte_of_file(2 * PAGE), 'c');
	assert_int_equal(hs_ram_replace(&ram, 0, &anonymous, &err), HS_OK);
	assert_int_equal(byte_at(BASE), 0);
	assert_ptr_equal(ram.regions[0].host, host);
}

static void test_ram_replace_that_is_refused_changes_nothing(void **state)
{
	static char memory[HS_PAGE_SIZE] __attribute__((aligned(HS_PAGE_SIZE)));
	int unreadable = open("/dev/null", O_WRONLY | O_CLOEXEC);
	const struct hs_ram_source refused[] = {
		{ .kind = HS_RAM_PRIVATE, .fd = -1 },
		{ .kind = HS_RAM_PRIVATE, .fd = unreadable },
		{ .kind = HS_RAM_PRIVATE, .fd = file, .offset = FILE_PAGES * PAGE },
		{ .kind = HS_RAM_SHARED, .fd = file },
		{ .kind = HS_RAM_ANONYMOUS, .read_only = true },
		{ .kind = HS_RAM_BORROWED, .host = memory },
	};

	(void)state;
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), PAGE, NULL, &err), HS_OK);
	assert_int_equal(write_byte(BASE, 'a'), HS_OK);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_int_not_equal(hs_ram_replace(&ram, 0, &refused[i], &err), HS_OK);
		assert_int_equal(byte_at(BASE), 'a');
	}
	close(unreadable);
}

static void test_ram_dropped_region_is_as_the_file_or_zero(void **state)
{
	(void)state;
	add_file(HS_RAM_PRIVATE, 2, 1);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE + PAGE), PAGE, NULL, &err), HS_OK);
	assert_int_equal(write_byte(BASE, 'x'), HS_OK);
	assert_int_equal(write_byte(BASE + PAGE, 'y'), HS_OK);
	ram.written = on_written;
	assert_int_equal(hs_ram_drop(&ram, 0, &err), HS_OK);
	assert_int_equal(told_gpa, BASE);
	assert_int_equal(byte_at(BASE), 'c');
	assert_int_equal(byte_at(BASE + PAGE), 'y');
	assert_int_equal(hs_ram_drop(&ram, 1, &err), HS_OK);
	assert_int_equal(byte_at(BASE + PAGE), 0);
	assert_int_equal(told_bytes, 2 * PAGE);
}

static void test_ram_data_of_anonymous_memory_is_what_was_touched(void **state)
{
	enum { PAGES = 4096 };
	hs_gpa at = { 0 };

	(void)state;
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE), PAGES * PAGE, NULL, &err), HS_OK);
	/* A huge page would be touched whole. */
	assert_int_equal(madvise(ram.regions[0].host, PAGES * PAGE, MADV_NOHUGEPAGE), 0);
	assert_true(is_last(at));
	assert_true(is_last(at)); /* and asking has touched nothing */
	assert_int_equal(write_byte(BASE, 'x'), HS_OK);
	assert_int_equal(write_byte(BASE + 7 * PAGE, 'x'), HS_OK);
	assert_int_equal(write_byte(BASE + 8 * PAGE, 'x'), HS_OK);
	for (uint64_t i = 1500; i < 3000; i++) {
		assert_int_equal(write_byte(BASE + i * PAGE, 'x'), HS_OK);
	}
	assert_int_equal(write_byte(BASE + (PAGES - 1) * PAGE, 'x'), HS_OK);
	assert_true(next_is(&at, 0, 1));
	assert_true(next_is(&at, 7, 2));
	assert_true(next_is(&at, 1500, 1500));
	assert_true(next_is(&at, PAGES - 1, 1));
	assert_true(is_last(at));
}

static void test_ram_data_of_a_file_is_what_it_and_its_copies_have(void **state)
{
	hs_gpa at = { 0 };

	(void)state;
	add_file(HS_RAM_PRIVATE, 1, 6);
	assert_true(next_is(&at, 1, 1));
	assert_true(is_last(at));
	assert_int_equal(write_byte(BASE, 'x'), HS_OK);
	assert_int_equal(write_byte(BASE + 5 * PAGE, 'x'), HS_OK);
	at.v = 0;
	assert_true(next_is(&at, 0, 2));
	assert_true(next_is(&at, 5, 1));
	assert_true(is_last(at));
}

static void test_ram_data_of_shared_and_borrowed_memory(void **state)
{
	static char memory[2 * HS_PAGE_SIZE] __attribute__((aligned(HS_PAGE_SIZE)));
	const struct hs_ram_source source = { .kind = HS_RAM_BORROWED, .host = memory };
	hs_gpa at = { 0 };
	hs_gpa start;
	uint64_t length;

	(void)state;
	add_file(HS_RAM_SHARED, 0, FILE_PAGES);
	assert_true(next_is(&at, 2, 1));
	assert_true(is_last(at));
	/* From the middle of the page on. */
	assert_true(phys.ops->next_data(phys.ctx, hs_gpa_of(BASE + 2 * PAGE + 5), &start, &length));
	assert_int_equal(start.v, BASE + 2 * PAGE + 5);
	assert_int_equal(length, PAGE - 5);
	/* Of memory that is somebody else's nobody knows. */
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE + 16 * PAGE), 2 * PAGE, &source, &err), HS_OK);
	assert_true(next_is(&at, 16, 2));
	assert_true(is_last(at));
}

/* The region that was found last is looked at first, and regions come and go under it. */
static void test_ram_region_after_others_went_or_came_is_found(void **state)
{
	(void)state;
	add_file(HS_RAM_PRIVATE, 0, 2);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE + 4 * PAGE), PAGE, NULL, &err), HS_OK);
	assert_non_null(hs_ram_find(&ram, BASE + 4 * PAGE));
	hs_ram_remove(&ram, 1);
	assert_null(hs_ram_find(&ram, BASE + 4 * PAGE));
	assert_non_null(hs_ram_find(&ram, BASE + 2 * PAGE - 1));
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(BASE - PAGE), PAGE, NULL, &err), HS_OK);
	assert_int_equal(hs_ram_find(&ram, BASE)->gpa.v, BASE);
	assert_int_equal(hs_ram_find(&ram, BASE - 1)->gpa.v, BASE - PAGE);
	assert_null(hs_ram_find(&ram, BASE + 2 * PAGE));
	assert_null(hs_ram_find(&ram, BASE - PAGE - 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ram_private_mapping_written_leaves_the_file_alone),
		TEST(test_ram_shared_mapping_shows_the_file_and_refuses_writes),
		TEST(test_ram_borrowed_memory_is_the_owners_and_stays),
		TEST(test_ram_overlap_is_refused_by_both_names),
		TEST(test_ram_region_that_cannot_be_is_refused),
		TEST(test_ram_file_that_ends_within_a_page_is_mapped_with_it),
		TEST(test_ram_region_after_others_went_or_came_is_found),
		TEST(test_ram_access_over_regions_stops_at_the_first_byte_that_is_not_there),
		TEST(test_ram_replaced_region_keeps_its_place_and_shows_the_new_file),
		TEST(test_ram_replace_that_is_refused_changes_nothing),
		TEST(test_ram_dropped_region_is_as_the_file_or_zero),
		TEST(test_ram_data_of_anonymous_memory_is_what_was_touched),
		TEST(test_ram_data_of_a_file_is_what_it_and_its_copies_have),
		TEST(test_ram_data_of_shared_and_borrowed_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
