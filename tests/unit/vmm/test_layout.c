/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/layout: where things go, for many images and sizes. */
#include "vmm/layout.h"

#include "layout_asserts.h"
#include "layout_check.h"

#include "lib/random.h"

#include <hindsight/abi.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define R HS_PROT_READ
#define RW (HS_PROT_READ | HS_PROT_WRITE)
#define RX (HS_PROT_READ | HS_PROT_EXEC)
#define RWX (HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC)

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static void test_layout_defaults_are_those_of_the_design(void **state)
{
	struct hs_image image;
	struct hs_layout layout;
	struct hs_root root;

	(void)state;
	for (int arch = HS_ARCH_AMD64; arch <= HS_ARCH_I686; arch++) {
		layout_image_usual(&image, (enum hs_arch)arch);
		layout_plan_good(&image, NULL, &layout);
		assert_int_equal(layout.arch, arch);
		assert_int_equal(layout.snapshot_gpa.v, 0x1000);
		assert_int_equal(layout.scratch_bytes, 288 * KIB);
		assert_int_equal(hs_layout_area(&layout, HS_AREA_HEAP)->length, 128 * KIB);
		assert_int_equal(hs_layout_area(&layout, HS_AREA_STACK)->length, 64 * KIB);
		assert_int_equal(hs_layout_area(&layout, HS_AREA_INPUT)->length, 16 * KIB);
		assert_int_equal(hs_layout_area(&layout, HS_AREA_OUTPUT)->length, 16 * KIB);
		assert_int_equal(hs_layout_area(&layout, HS_AREA_INPUT)->gpa.v, layout.scratch_gpa.v);
		/* 1 + 3 + 2 pages of image, then the boot information, at its own physical address. */
		assert_int_equal(hs_layout_area(&layout, HS_AREA_BOOT)->gpa.v, 0x7000);
		assert_int_equal(hs_layout_area(&layout, HS_AREA_BOOT)->gva.v, 0x7000);
		hs_layout_root(&layout, &root);
		assert_int_equal(root.format, arch == HS_ARCH_AMD64 ? HS_PAGING_4LEVEL : HS_PAGING_32BIT);
		assert_int_equal(root.base.v, hs_layout_area(&layout, HS_AREA_TABLES)->gpa.v);
		assert_int_equal(root.nxe, arch == HS_ARCH_AMD64);
	}
}

static void test_layout_image_is_packed_densely_with_the_permissions_of_its_segments(void **state)
{
	struct hs_image image;
	struct hs_layout layout;

	(void)state;
	layout_image_init(&image, HS_ARCH_AMD64);
	layout_image_add(&image, 0x400010, 0x20, R);
	layout_image_add(&image, 0x7FFFFFFFE000, 0x2000, RX);
	layout_image_add(&image, 0xFFFFFFFF80000000, 0x5001, RW);
	layout_plan_good(&image, NULL, &layout);
	assert_int_equal(layout.segment_gpa[0].v, 0x1000);
	assert_int_equal(layout.segment_gpa[1].v, 0x2000);
	assert_int_equal(layout.segment_gpa[2].v, 0x4000);
	assert_int_equal(layout.areas[0].prot, R);
	assert_int_equal(layout.areas[1].prot, RX);
	assert_int_equal(layout.areas[1].gva.v, 0x7FFFFFFFE000);
	assert_int_equal(layout.areas[2].prot, RW);
	assert_int_equal(layout.areas[2].length, 0x6000);
	assert_int_equal(hs_layout_area(&layout, HS_AREA_BOOT)->gpa.v, 0xA000);
}

static void test_layout_shared_page_gets_the_union_and_its_neighbours_do_not(void **state)
{
	struct hs_image image;
	struct hs_layout layout;

	(void)state;
	layout_image_init(&image, HS_ARCH_AMD64);
	layout_image_add(&image, 0x400000, 0x2800, R);
	layout_image_add(&image, 0x402800, 0x2000, RX);
	layout_plan_good(&image, NULL, &layout);
	assert_int_equal(layout.areas[0].length, 0x2000);
	assert_int_equal(layout.areas[0].prot, R);
	assert_int_equal(layout.areas[1].gva.v, 0x402000);
	assert_int_equal(layout.areas[1].length, 0x1000);
	assert_int_equal(layout.areas[1].prot, RX);
	assert_int_equal(layout.areas[2].length, 0x2000);
	assert_int_equal(layout.areas[2].prot, RX);
	assert_int_equal(layout.segment_gpa[1].v, layout.areas[1].gpa.v);
}

static void test_layout_many_segments_in_one_page_share_it(void **state)
{
	struct hs_image image;
	struct hs_layout layout;

	(void)state;
	layout_image_init(&image, HS_ARCH_I686);
	layout_image_add(&image, 0x400000, 0x10, R);
	layout_image_add(&image, 0x400010, 0x10, RX);
	layout_image_add(&image, 0x400020, 0x10, 0);
	layout_image_add(&image, 0x400030, 0x1000, R);
	layout_plan_good(&image, NULL, &layout);
	assert_int_equal(layout.areas[0].length, 0x1000);
	assert_int_equal(layout.areas[0].prot, RX);
	assert_int_equal(layout.areas[1].gva.v, 0x401000);
	assert_int_equal(layout.areas[1].prot, R);
	assert_int_equal(layout.areas[2].kind, HS_AREA_BOOT);
	assert_int_equal(layout.segment_gpa[2].v, 0x1000);
}

static void test_layout_writable_and_executable_segment_is_mapped_as_asked(void **state)
{
	struct hs_image image;
	struct hs_layout layout;

	(void)state;
	layout_image_init(&image, HS_ARCH_AMD64);
	layout_image_add(&image, 0x400000, 0x1000, RWX);
	layout_plan_good(&image, NULL, &layout);
	assert_int_equal(layout.areas[0].prot, RWX);
}

static void test_layout_segment_nobody_may_touch_has_a_place_and_no_mapping(void **state)
{
	struct hs_image image;
	struct hs_layout layout;
	struct hs_mapping mappings[HS_LAYOUT_AREAS_MAX];
	size_t count;

	(void)state;
	layout_image_init(&image, HS_ARCH_AMD64);
	layout_image_add(&image, 0x400000, 0x1000, RX);
	layout_image_add(&image, 0x401000, 0x1000, 0);
	layout_plan_good(&image, NULL, &layout);
	count = hs_layout_mappings(&layout, mappings);
	/* All areas but this one and the stack's guard. */
	assert_int_equal(count, layout.area_count - 2);
	for (size_t i = 0; i < count; i++) {
		assert_int_not_equal(mappings[i].gva.v, 0x401000);
		assert_false(mappings[i].user);
	}
}

static void test_layout_block_moves_out_of_the_way_of_the_image(void **state)
{
	struct hs_image image;
	struct hs_layout layout;

	(void)state;
	for (int arch = HS_ARCH_AMD64; arch <= HS_ARCH_I686; arch++) {
		/* Where heap and stack would be. */
		layout_image_init(&image, (enum hs_arch)arch);
		layout_image_add(&image, 0x20000, 0x1000, RX);
		layout_image_add(&image, 0x50000, 0x1000, RW);
		layout_plan_good(&image, NULL, &layout);
		assert_int_equal(hs_layout_area(&layout, HS_AREA_BOOT)->gpa.v, 0x3000);
		assert_int_equal(hs_layout_area(&layout, HS_AREA_BOOT)->gva.v, 0x51000);
		/* Page 1 on is free when the image is above and larger than what is below it. */
		layout_image_init(&image, (enum hs_arch)arch);
		layout_image_add(&image, 0x100000, 0x100000, RX);
		layout_plan_good(&image, NULL, &layout);
		assert_int_equal(hs_layout_area(&layout, HS_AREA_BOOT)->gpa.v, 0x101000);
		assert_int_equal(hs_layout_area(&layout, HS_AREA_BOOT)->gva.v, 0x1000);
	}
}

static void test_layout_sizes_are_rounded_up_to_pages(void **state)
{
	const struct hs_vm_config config = {
		.heap_bytes = 1,
		.stack_bytes = 4097,
		.input_bytes = 8193,
		.output_bytes = 8192,
		.scratch_bytes = 512 * KIB - 1,
	};
	struct hs_image image;
	struct hs_layout layout;

	(void)state;
	layout_image_usual(&image, HS_ARCH_AMD64);
	layout_plan_good(&image, &config, &layout);
	assert_int_equal(hs_layout_area(&layout, HS_AREA_HEAP)->length, 4096);
	assert_int_equal(hs_layout_area(&layout, HS_AREA_STACK)->length, 8192);
	assert_int_equal(hs_layout_area(&layout, HS_AREA_INPUT)->length, 12288);
	assert_int_equal(hs_layout_area(&layout, HS_AREA_OUTPUT)->length, 8192);
	assert_int_equal(layout.scratch_bytes, 512 * KIB);
}

static void test_layout_default_scratch_grows_with_the_tables(void **state)
{
	struct hs_image image;
	struct hs_layout layout;

	(void)state;
	for (int arch = HS_ARCH_AMD64; arch <= HS_ARCH_I686; arch++) {
		layout_image_usual(&image, (enum hs_arch)arch);
		layout_image_add(&image, 0x10000000, 900 * MIB, RW);
		layout_plan_good(&image, NULL, &layout);
		assert_true(layout.scratch_bytes > 288 * KIB);
		assert_true(hs_layout_area(&layout, HS_AREA_FREE)->length >= 128 * KIB);
	}
}

static void test_layout_large_heap_takes_few_tables_wherever_the_image_is(void **state)
{
	static const uint64_t images[] = { 0x1000, 0x400000, 0x100000, 0x10003000, 0x40000000 };
	const struct hs_vm_config config = { .heap_bytes = 2 * GIB, .memory_bytes = 3 * GIB };
	struct hs_image image;
	struct hs_layout layout;

	(void)state;
	for (int arch = HS_ARCH_AMD64; arch <= HS_ARCH_I686; arch++) {
		for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
			const struct hs_area *heap;

			layout_image_init(&image, (enum hs_arch)arch);
			layout_image_add(&image, images[i], 0x5000, RX);
			layout_plan_good(&image, &config, &layout);
			heap = hs_layout_area(&layout, HS_AREA_HEAP);
			assert_int_equal((heap->gva.v - heap->gpa.v) % (4 * MIB), 0);
			/* Of image and heap's ends at most 4, of scratch one, and on amd64 8 directories at most. */
			assert_true(layout.tables_used < 20);
			assert_int_equal(layout.scratch_bytes, 288 * KIB);
		}
	}
}

static void test_layout_heap_that_fits_in_a_gap_only_unaligned_is_put_there(void **state)
{
	const struct hs_vm_config config = { .heap_bytes = 2036 * MIB, .memory_bytes = 3 * GIB };
	struct hs_image image;
	struct hs_layout layout;

	(void)state;
	layout_image_init(&image, HS_ARCH_I686);
	layout_image_add(&image, 0x3000, 0x1000, RX);
	layout_image_add(&image, 0x70004000, 0x1000, RW);
	layout_image_add(&image, 0xEF506000, 0x1000, RW);
	layout_plan_good(&image, &config, &layout);
	assert_int_equal(hs_layout_area(&layout, HS_AREA_BOOT)->gva.v, 0x70005000);
	assert_int_equal(hs_layout_area(&layout, HS_AREA_BOOT)->gpa.v, 0x4000);
}

static void test_layout_arguments_count_in_the_boot_area(void **state)
{
	char large[8000];
	const char *const args[] = { "guest", "", large };
	struct hs_vm_config config = { .args = args, .args_count = 3 };
	struct hs_image image;
	struct hs_layout layout;

	(void)state;
	memset(large, 'x', sizeof(large));
	large[sizeof(large) - 1] = 0;
	layout_image_usual(&image, HS_ARCH_AMD64);
	layout_plan_good(&image, &config, &layout);
	assert_int_equal(layout.args_bytes, 6 + 1 + 8000);
	assert_int_equal(hs_layout_area(&layout, HS_AREA_BOOT)->length, 12288);
}

static void test_layout_segment_is_told_as_whole_pages(void **state)
{
	struct hs_image image;
	struct hs_layout layout;
	struct hs_vm_segment segment;

	(void)state;
	layout_image_usual(&image, HS_ARCH_AMD64);
	image.segments[2].file_offset = 0x3F00;
	image.segments[2].file_length = 0x200;
	layout_plan_good(&image, NULL, &layout);
	hs_layout_segment(&layout, &image, 2, &segment);
	assert_int_equal(segment.gva.v, 0x404000);
	assert_int_equal(segment.gpa.v, 0x5000);
	assert_int_equal(segment.length, 0x2000);
	assert_int_equal(segment.file_offset, 0x3000);
	assert_int_equal(segment.file_length, 0x1100);
	assert_int_equal(segment.prot, RW);
	/* A file that does not keep the alignment. */
	image.segments[2].file_offset = 0x3E00;
	hs_layout_segment(&layout, &image, 2, &segment);
	assert_int_equal(segment.file_offset, 0x3E00);
	assert_int_equal(segment.file_length, 0x200);
}

static void image_random(struct hs_image *image, uint64_t *seed)
{
	static const int usual[] = { R, RW, RW, 0 };
	uint64_t limit = 0xF0000000;
	uint64_t gva = 0x1000 + random_next(seed) % 0x40000;
	size_t count = 1 + random_next(seed) % HS_IMAGE_SEGMENTS_MAX;

	layout_image_init(image, random_next(seed) & 1 ? HS_ARCH_AMD64 : HS_ARCH_I686);
	if (random_next(seed) & 1) {
		layout_image_add(image, gva, 0x1000, RX);
		gva += 0x2000;
	}
	while (image->segment_count < count && gva < limit) {
		uint64_t length = 1 + random_next(seed) % (random_next(seed) & 1 ? 0x100 : 0x6000);
		uint64_t gap = random_next(seed) % 4;

		/* Mostly what linkers make, or few images would get past the rule on shared pages. */
		layout_image_add(image, gva, length, usual[random_next(seed) % 4]);
		gva += length + (gap == 0 ? 0 : random_next(seed) % (gap == 1 ? 0x10 : 0x80000));
	}
}

static void test_layout_random_images_and_sizes_keep_all_rules(void **state)
{
	uint64_t seed = 1;
	unsigned int good = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct hs_image image;
		struct hs_layout layout;
		struct hs_error err = { 0 };
		struct hs_vm_config config = { 0 };

		image_random(&image, &seed);
		config.heap_bytes = random_next(&seed) % (12 * MIB);
		config.stack_bytes = random_next(&seed) % MIB;
		config.scratch_bytes = random_next(&seed) & 1 ? 0 : random_next(&seed) % MIB;
		if (hs_layout_plan(&image, &config, &layout, &err) == HS_OK) {
			const char *broken = layout_check(&image, &layout);

			if (broken) {
				fail_msg("image %d: %s", i, broken);
			}
			good++;
		} else {
			assert_int_equal(err.status, HS_ERR_RANGE);
		}
	}
	/* The test is about the good ones: there must be many. */
	assert_true(good > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout_defaults_are_those_of_the_design),
		cmocka_unit_test(test_layout_image_is_packed_densely_with_the_permissions_of_its_segments),
		cmocka_unit_test(test_layout_shared_page_gets_the_union_and_its_neighbours_do_not),
		cmocka_unit_test(test_layout_many_segments_in_one_page_share_it),
		cmocka_unit_test(test_layout_writable_and_executable_segment_is_mapped_as_asked),
		cmocka_unit_test(test_layout_segment_nobody_may_touch_has_a_place_and_no_mapping),
		cmocka_unit_test(test_layout_block_moves_out_of_the_way_of_the_image),
		cmocka_unit_test(test_layout_sizes_are_rounded_up_to_pages),
		cmocka_unit_test(test_layout_default_scratch_grows_with_the_tables),
		cmocka_unit_test(test_layout_large_heap_takes_few_tables_wherever_the_image_is),
		cmocka_unit_test(test_layout_heap_that_fits_in_a_gap_only_unaligned_is_put_there),
		cmocka_unit_test(test_layout_arguments_count_in_the_boot_area),
		cmocka_unit_test(test_layout_segment_is_told_as_whole_pages),
		cmocka_unit_test(test_layout_random_images_and_sizes_keep_all_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
