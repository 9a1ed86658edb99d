/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hs_core_plan_init: which pages are stored, in what order, and which segments point at them. */
#include "coredump/plan.h"
#include "guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PAGE UINT64_C(0x1000)
#define RAM GUEST_RAM_GPA

struct fixture {
	struct guest guest;
	struct hs_core_plan plan;
	struct hs_core_plan_limits limits;
};

static int setup_arch(void **state, enum hs_arch arch)
{
	static struct fixture fixture;

	memset(&fixture, 0, sizeof(fixture));
	guest_init(&fixture.guest, arch, true);
	fixture.limits.budget = hs_budget_default();
	fixture.limits.data_bytes = UINT64_C(1) << 40;
	fixture.limits.segment_bytes = UINT64_C(1) << 40;
	*state = &fixture;
	return 0;
}

static int setup(void **state)
{
	return setup_arch(state, HS_ARCH_AMD64);
}

static int setup_i686(void **state)
{
	return setup_arch(state, HS_ARCH_I686);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	hs_core_plan_deinit(&fixture->plan);
	guest_deinit(&fixture->guest);
	return 0;
}

static struct hs_core_plan *make(struct fixture *fixture)
{
	assert_int_equal(hs_core_plan_init(&fixture->guest.ram.phys, &fixture->guest.root, &fixture->limits,
					   &fixture->plan, NULL),
			 HS_OK);
	return &fixture->plan;
}

static void check_segment(const struct hs_core_plan *plan, size_t index, uint64_t gva, uint64_t gpa, uint64_t length,
			  uint64_t offset, int prot)
{
	assert_true(index < plan->segment_count);
	const struct hs_core_segment *segment = &plan->segments[index];

	assert_int_equal(segment->start.v, gva);
	assert_int_equal(segment->gpa.v, gpa);
	assert_int_equal(segment->length, length);
	assert_int_equal(segment->stored_length, length);
	assert_int_equal(segment->offset, offset);
	assert_int_equal(segment->prot, prot);
}

static void test_plan_empty_space_has_no_segments(void **state)
{
	struct hs_core_plan *plan = make(*state);

	assert_int_equal(plan->segment_count, 0);
	assert_int_equal(plan->extent_count, 0);
	assert_int_equal(plan->data_bytes, 0);
	assert_false(plan->partial);
}

static void test_plan_adjacent_pages_with_other_accessed_bits_are_one_segment(void **state)
{
	struct fixture *fixture = *state;
	struct hs_mapping mapping = {
		.gva = { 0x400000 }, .gpa = { RAM }, .length = PAGE, .prot = GUEST_RW, .user = true
	};

	assert_int_equal(ram_map(&fixture->guest.ram, &fixture->guest.root, &mapping), HS_OK);
	mapping.gva.v += PAGE;
	mapping.gpa.v += PAGE;
	mapping.leaf = HS_LEAF_ACCESSED | HS_LEAF_DIRTY;
	assert_int_equal(ram_map(&fixture->guest.ram, &fixture->guest.root, &mapping), HS_OK);
	struct hs_core_plan *plan = make(fixture);

	assert_int_equal(plan->segment_count, 1);
	check_segment(plan, 0, 0x400000, RAM, 2 * PAGE, 0, GUEST_RW);
}

static void test_plan_other_permissions_are_another_segment(void **state)
{
	struct fixture *fixture = *state;

	guest_map(&fixture->guest, 0x400000, RAM, PAGE, GUEST_RX);
	guest_map(&fixture->guest, 0x401000, RAM + PAGE, PAGE, HS_PROT_READ);
	guest_map(&fixture->guest, 0x402000, RAM + 2 * PAGE, PAGE, GUEST_RW);
	struct hs_core_plan *plan = make(fixture);

	assert_int_equal(plan->segment_count, 3);
	check_segment(plan, 0, 0x400000, RAM, PAGE, 0, GUEST_RX);
	check_segment(plan, 1, 0x401000, RAM + PAGE, PAGE, PAGE, HS_PROT_READ);
	check_segment(plan, 2, 0x402000, RAM + 2 * PAGE, PAGE, 2 * PAGE, GUEST_RW);
	assert_int_equal(plan->extent_count, 1);
}

static void test_plan_data_is_in_gpa_order_and_leaves_out_what_is_not_mapped(void **state)
{
	struct fixture *fixture = *state;

	guest_map(&fixture->guest, 0x400000, RAM + 8 * PAGE, PAGE, GUEST_RW);
	guest_map(&fixture->guest, 0x500000, RAM, 2 * PAGE, GUEST_RW);
	struct hs_core_plan *plan = make(fixture);

	assert_int_equal(plan->extent_count, 2);
	assert_int_equal(plan->data_bytes, 3 * PAGE);
	check_segment(plan, 0, 0x400000, RAM + 8 * PAGE, PAGE, 2 * PAGE, GUEST_RW);
	check_segment(plan, 1, 0x500000, RAM, 2 * PAGE, 0, GUEST_RW);
}

static void test_plan_segments_that_meet_only_in_the_file_stay_apart(void **state)
{
	struct fixture *fixture = *state;

	guest_map(&fixture->guest, 0x400000, RAM, PAGE, GUEST_RW);
	guest_map(&fixture->guest, 0x401000, RAM + 8 * PAGE, PAGE, GUEST_RW);
	struct hs_core_plan *plan = make(fixture);

	assert_int_equal(plan->segment_count, 2);
	check_segment(plan, 1, 0x401000, RAM + 8 * PAGE, PAGE, PAGE, GUEST_RW);
}

static void test_plan_forty_aliases_share_one_stored_frame(void **state)
{
	struct fixture *fixture = *state;

	for (uint64_t i = 0; i < 40; i++) {
		guest_map(&fixture->guest, 0x400000 + i * PAGE, RAM + 3 * PAGE, PAGE, i % 2 ? GUEST_RW : HS_PROT_READ);
	}
	struct hs_core_plan *plan = make(fixture);

	assert_int_equal(plan->segment_count, 40);
	assert_int_equal(plan->data_bytes, PAGE);
	for (size_t i = 0; i < 40; i++) {
		check_segment(plan, i, 0x400000 + i * PAGE, RAM + 3 * PAGE, PAGE, 0, i % 2 ? GUEST_RW : HS_PROT_READ);
	}
}

static void test_plan_overlapping_aliases_point_into_one_extent(void **state)
{
	struct fixture *fixture = *state;

	guest_map(&fixture->guest, 0x400000, RAM + PAGE, 3 * PAGE, GUEST_RW);
	guest_map(&fixture->guest, 0x800000, RAM + 2 * PAGE, 4 * PAGE, GUEST_RW);
	guest_map(&fixture->guest, 0xC00000, RAM, PAGE, GUEST_RW);
	struct hs_core_plan *plan = make(fixture);

	assert_int_equal(plan->extent_count, 1);
	assert_int_equal(plan->data_bytes, 6 * PAGE);
	check_segment(plan, 0, 0x400000, RAM + PAGE, 3 * PAGE, PAGE, GUEST_RW);
	check_segment(plan, 1, 0x800000, RAM + 2 * PAGE, 4 * PAGE, 2 * PAGE, GUEST_RW);
	check_segment(plan, 2, 0xC00000, RAM, PAGE, 0, GUEST_RW);
}

static void test_plan_mapping_beyond_memory_is_cut_and_counted(void **state)
{
	struct fixture *fixture = *state;
	uint64_t last = RAM + GUEST_RAM_BYTES - PAGE;

	guest_map(&fixture->guest, 0x400000, last, 3 * PAGE, GUEST_RW);
	guest_map(&fixture->guest, 0x600000, UINT64_C(0xFEE00000), PAGE, GUEST_RW);
	struct hs_core_plan *plan = make(fixture);

	assert_int_equal(plan->segment_count, 1);
	check_segment(plan, 0, 0x400000, last, PAGE, 0, GUEST_RW);
	assert_int_equal(plan->unbacked_bytes, 3 * PAGE);
	assert_false(plan->partial);
}

static void test_plan_mapping_across_a_gap_of_memory_becomes_two_segments(void **state)
{
	struct fixture *fixture = *state;
	uint64_t second = RAM + GUEST_RAM_BYTES + 2 * PAGE;

	ram_add(&fixture->guest.ram, second, PAGE);
	guest_map(&fixture->guest, 0x400000, second - 3 * PAGE, 4 * PAGE, GUEST_RW);
	struct hs_core_plan *plan = make(fixture);

	assert_int_equal(plan->segment_count, 2);
	check_segment(plan, 0, 0x400000, second - 3 * PAGE, PAGE, 0, GUEST_RW);
	check_segment(plan, 1, 0x403000, second, PAGE, PAGE, GUEST_RW);
	assert_int_equal(plan->unbacked_bytes, 2 * PAGE);
}

static void test_plan_memory_that_ends_within_a_page_is_stored_to_the_pages_end(void **state)
{
	struct fixture *fixture = *state;

	ram_add(&fixture->guest.ram, 0x700000, PAGE + 100);
	guest_map(&fixture->guest, 0x400000, 0x700000, 3 * PAGE, GUEST_RW);
	struct hs_core_plan *plan = make(fixture);

	assert_int_equal(plan->segment_count, 1);
	check_segment(plan, 0, 0x400000, 0x700000, 2 * PAGE, 0, GUEST_RW);
	assert_int_equal(plan->unbacked_bytes, PAGE);
}

static void test_plan_table_outside_of_memory_is_counted(void **state)
{
	struct fixture *fixture = *state;

	guest_map(&fixture->guest, 0x400000, RAM, PAGE, GUEST_RW);
	ram_put(&fixture->guest.ram, GUEST_TABLES_GPA + 8 * 5, 8, UINT64_C(0x3F00000000) | 7);
	struct hs_core_plan *plan = make(fixture);

	assert_int_equal(plan->segment_count, 1);
	assert_int_equal(plan->bad_tables, 1);
	assert_false(plan->partial);
}

static void test_plan_self_reference_ends_in_a_partial_plan(void **state)
{
	struct fixture *fixture = *state;

	for (uint64_t i = 0; i < 512; i++) {
		ram_put(&fixture->guest.ram, GUEST_TABLES_GPA + 8 * i, 8, GUEST_TABLES_GPA | 7);
	}
	fixture->limits.budget.ranges = 1000;
	struct hs_core_plan *plan = make(fixture);

	assert_true(plan->partial);
	assert_int_not_equal(plan->reached, 0);
	assert_int_equal(plan->segment_count, 1000);
	assert_int_equal(plan->data_bytes, PAGE);
}

static void test_plan_self_reference_still_has_what_is_around_anchors(void **state)
{
	struct fixture *fixture = *state;
	const uint64_t code = UINT64_C(0xFFFFFFFF80000000), top = UINT64_MAX - PAGE + 1;
	const uint64_t anchors[] = { top + 8, code + 0x1234, 0, code + 0x5000, UINT64_C(0x900000000000) };

	guest_map(&fixture->guest, code, RAM, 8 * PAGE, GUEST_RX);
	guest_map(&fixture->guest, code + 0x100000, RAM + 8 * PAGE, PAGE, GUEST_RW); /* too far away */
	guest_map(&fixture->guest, top, RAM + 9 * PAGE, PAGE, GUEST_RW);
	for (uint64_t i = 0; i < 256; i++) {
		ram_put(&fixture->guest.ram, GUEST_TABLES_GPA + 8 * i, 8, GUEST_TABLES_GPA | 7);
	}
	fixture->limits.budget.ranges = 100;
	fixture->limits.anchors = anchors;
	fixture->limits.anchor_count = sizeof(anchors) / sizeof(anchors[0]);
	struct hs_core_plan *plan = make(fixture);
	size_t count = plan->segment_count;

	assert_true(plan->partial);
	assert_in_range(plan->reached, 1, UINT64_C(0x800000000000));
	check_segment(plan, count - 2, code, RAM, 8 * PAGE, 0, GUEST_RX);
	check_segment(plan, count - 1, top, RAM + 9 * PAGE, PAGE, 8 * PAGE, GUEST_RW);
	for (size_t i = 1; i < count; i++) {
		assert_true(plan->segments[i].start.v >= plan->segments[i - 1].start.v + plan->segments[i - 1].length);
	}
}

static void test_plan_data_beyond_the_limit_is_left_out(void **state)
{
	struct fixture *fixture = *state;

	guest_map(&fixture->guest, 0x400000, RAM, PAGE, GUEST_RW);
	guest_map(&fixture->guest, 0x500000, RAM + 4 * PAGE, 2 * PAGE, GUEST_RW);
	guest_map(&fixture->guest, 0x600000, RAM + 8 * PAGE, PAGE, GUEST_RW);
	fixture->limits.data_bytes = 2 * PAGE;
	struct hs_core_plan *plan = make(fixture);

	assert_true(plan->partial);
	assert_int_equal(plan->segment_count, 1);
	assert_int_equal(plan->data_bytes, 2 * PAGE);
	check_segment(plan, 0, 0x400000, RAM, PAGE, 0, GUEST_RW);
}

static void test_plan_long_segments_are_split(void **state)
{
	struct fixture *fixture = *state;

	guest_map(&fixture->guest, 0x400000, RAM, 5 * PAGE, GUEST_RW);
	fixture->limits.segment_bytes = 2 * PAGE;
	struct hs_core_plan *plan = make(fixture);

	assert_int_equal(plan->segment_count, 3);
	check_segment(plan, 1, 0x402000, RAM + 2 * PAGE, 2 * PAGE, 2 * PAGE, GUEST_RW);
	check_segment(plan, 2, 0x404000, RAM + 4 * PAGE, PAGE, 4 * PAGE, GUEST_RW);
}

static void test_plan_large_pages_and_small_ones_join(void **state)
{
	struct fixture *fixture = *state;
	struct hs_mapping mapping = { .gva = { 0x400000 },
				      .gpa = { 0x40000000 },
				      .length = 0x200000,
				      .prot = GUEST_RW,
				      .user = true,
				      .large = true };

	ram_add(&fixture->guest.ram, 0x40000000, 0x201000);
	assert_int_equal(ram_map(&fixture->guest.ram, &fixture->guest.root, &mapping), HS_OK);
	guest_map(&fixture->guest, 0x600000, 0x40200000, PAGE, GUEST_RW);
	struct hs_core_plan *plan = make(fixture);

	assert_int_equal(plan->segment_count, 1);
	check_segment(plan, 0, 0x400000, 0x40000000, 0x201000, 0, GUEST_RW);
}

static void test_plan_i686_without_paging_is_physical_memory(void **state)
{
	struct fixture *fixture = *state;

	fixture->guest.root = (struct hs_root){ .format = HS_PAGING_NONE };
	struct hs_core_plan *plan = make(fixture);

	assert_int_equal(plan->segment_count, 2);
	assert_int_equal(plan->segments[0].start.v, RAM);
	assert_int_equal(plan->segments[0].length, GUEST_RAM_BYTES);
	assert_int_equal(plan->segments[1].start.v, GUEST_TABLES_GPA);
	assert_int_equal(plan->unbacked_bytes, (UINT64_C(1) << 32) - GUEST_RAM_BYTES - GUEST_TABLES_BYTES);
}

static void test_plan_i686_top_of_the_address_space(void **state)
{
	struct fixture *fixture = *state;

	guest_map(&fixture->guest, 0xFFFFF000, RAM, PAGE, GUEST_RW);
	struct hs_core_plan *plan = make(fixture);

	assert_int_equal(plan->segment_count, 1);
	check_segment(plan, 0, 0xFFFFF000, RAM, PAGE, 0, GUEST_RW | HS_PROT_EXEC);
}

static void test_plan_amd64_top_of_the_address_space(void **state)
{
	struct fixture *fixture = *state;

	guest_map(&fixture->guest, UINT64_MAX - PAGE + 1, RAM, PAGE, GUEST_RW);
	struct hs_core_plan *plan = make(fixture);

	assert_int_equal(plan->segment_count, 1);
	check_segment(plan, 0, UINT64_MAX - PAGE + 1, RAM, PAGE, 0, GUEST_RW);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_I686(name) cmocka_unit_test_setup_teardown(name, setup_i686, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_plan_empty_space_has_no_segments),
		TEST(test_plan_adjacent_pages_with_other_accessed_bits_are_one_segment),
		TEST(test_plan_other_permissions_are_another_segment),
		TEST(test_plan_data_is_in_gpa_order_and_leaves_out_what_is_not_mapped),
		TEST(test_plan_segments_that_meet_only_in_the_file_stay_apart),
		TEST(test_plan_forty_aliases_share_one_stored_frame),
		TEST(test_plan_overlapping_aliases_point_into_one_extent),
		TEST(test_plan_mapping_beyond_memory_is_cut_and_counted),
		TEST(test_plan_mapping_across_a_gap_of_memory_becomes_two_segments),
		TEST(test_plan_memory_that_ends_within_a_page_is_stored_to_the_pages_end),
		TEST(test_plan_table_outside_of_memory_is_counted),
		TEST(test_plan_self_reference_ends_in_a_partial_plan),
		TEST(test_plan_self_reference_still_has_what_is_around_anchors),
		TEST(test_plan_data_beyond_the_limit_is_left_out),
		TEST(test_plan_long_segments_are_split),
		TEST(test_plan_large_pages_and_small_ones_join),
		TEST_I686(test_plan_i686_without_paging_is_physical_memory),
		TEST_I686(test_plan_i686_top_of_the_address_space),
		TEST(test_plan_amd64_top_of_the_address_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
