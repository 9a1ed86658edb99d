/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a snapshot's memory may hold anything: what its file has, never a hole, and never what lies between parts. */
#include "snapshot/snapshot.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE UINT64_C(0x1000)
#define SCRATCH UINT64_C(0x40000000)
#define PAGES 24u

struct range {
	uint64_t start, pages;
};

/* Parts of 16 and of 8 pages, in that order in the file; the second lies first in memory. */
static struct hs_snapshot *make(void)
{
	static const struct hs_root root = { .format = HS_PAGING_NONE, .maxphyaddr = 32 };
	static const struct hs_memory_part parts[] = {
		{ .gpa = { SCRATCH + PAGE }, .length = 16 * PAGE },
		{ .gpa = { PAGE }, .length = 8 * PAGE, .offset = 16 * PAGE, .shared = true },
	};
	static const unsigned int written[] = { 0, 3, 4, 15, 18, 23 }; /* pages of the file */
	struct hs_snapshot_info info = {
		.guest = { .path = "/a.elf", .entry = 0x401000 },
		.memory = { .part_count = 2, .scratch_gpa = { SCRATCH }, .scratch_length = 32 * PAGE },
		.roots = &root,
		.root_count = 1,
	};
	static struct hs_cpu_state cpu;
	struct hs_snapshot *snapshot = NULL;

	memcpy(info.memory.parts, parts, sizeof(parts));
	info.memory.fd = memfd_create("memory", MFD_CLOEXEC);
	assert_int_equal(ftruncate(info.memory.fd, PAGES * PAGE), 0);
	for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
		assert_int_equal(pwrite(info.memory.fd, "x", 1, (off_t)(written[i] * PAGE + 7)), 1);
	}
	assert_int_equal(hs_snapshot_adopt(&info, &cpu, &snapshot, NULL), HS_OK);
	return snapshot;
}

static void test_next_data_is_what_the_file_has(void **state)
{
	static const struct range expected[] = {
		{ 3 * PAGE, 1 },
		{ 8 * PAGE, 1 },
		{ SCRATCH + PAGE, 1 },
		{ SCRATCH + 4 * PAGE, 2 },
		{ SCRATCH + 16 * PAGE, 1 },
	};
	struct hs_snapshot *snapshot = make();
	struct hs_phys phys = hs_snapshot_phys(snapshot);
	hs_gpa at = hs_gpa_of(0);
	uint64_t length = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		assert_int_equal(phys.ops->next_data(phys.ctx, at, &at, &length), 1);
		assert_int_equal(at.v, expected[i].start);
		assert_int_equal(length, expected[i].pages * PAGE);
		at.v += length;
	}
	assert_int_equal(phys.ops->next_data(phys.ctx, at, &at, &length), 0);
	hs_snapshot_unref(snapshot);
}

static void test_next_data_begins_where_it_is_asked_from(void **state)
{
	struct hs_snapshot *snapshot = make();
	struct hs_phys phys = hs_snapshot_phys(snapshot);
	hs_gpa start = hs_gpa_of(0);
	uint64_t length = 0;

	(void)state;
	assert_int_equal(phys.ops->next_data(phys.ctx, hs_gpa_of(SCRATCH + 4 * PAGE + 0x123), &start, &length), 1);
	assert_int_equal(start.v, SCRATCH + 4 * PAGE + 0x123);
	assert_int_equal(length, 2 * PAGE - 0x123);
	assert_int_equal(phys.ops->next_data(phys.ctx, hs_gpa_of(UINT64_MAX), &start, &length), 0);
	hs_snapshot_unref(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next_data_is_what_the_file_has),
		cmocka_unit_test(test_next_data_begins_where_it_is_asked_from),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
