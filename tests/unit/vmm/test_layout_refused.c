/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/layout: what does not fit is refused, and where a size is the reason, with the smallest one that works. */
#include "vmm/layout.h"

#include "layout_asserts.h"
#include "layout_check.h"

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

/* "... the smallest ... is 1234 bytes": the number. */
static uint64_t smallest_of(const struct hs_error *err)
{
	const char *at = strstr(err->message, "the smallest");

	assert_non_null(at);
	at = strpbrk(at, "0123456789");
	assert_non_null(at);
	return strtoull(at, NULL, 10);
}

static void test_layout_shared_page_that_would_be_writable_and_executable_is_refused(void **state)
{
	static const struct {
		int first, second;
		bool good;
	} cases[] = {
		{ RX, RW, false }, { RW, RX, false }, { RWX, RW, true },
		{ RX, RWX, true }, { R, RW, true },   { RX, 0, true },
	};
	struct hs_image image;
	struct hs_layout layout;
	struct hs_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		layout_image_init(&image, HS_ARCH_AMD64);
		layout_image_add(&image, 0x400000, 0x1800, cases[i].first);
		layout_image_add(&image, 0x401800, 0x1000, cases[i].second);
		if (cases[i].good) {
			layout_plan_good(&image, NULL, &layout);
		} else {
			layout_assert_refused(&image, NULL, HS_ERR_RANGE,
					      "/image has a writable and an executable segment in one page (0x401000)",
					      &err);
			assert_int_equal(err.where, 0x401000);
		}
	}
	/* Three in one page: the union counts, not the neighbours alone. */
	layout_image_init(&image, HS_ARCH_AMD64);
	layout_image_add(&image, 0x400000, 0x10, RW);
	layout_image_add(&image, 0x400010, 0x10, R);
	layout_image_add(&image, 0x400020, 0x10, RX);
	layout_assert_refused(&image, NULL, HS_ERR_RANGE, "in one page (0x400000)", &err);
}

static void test_layout_without_a_gap_is_refused(void **state)
{
	struct hs_image image;
	struct hs_error err;
	struct hs_vm_config config = { .memory_bytes = 4 * GIB, .heap_bytes = 0xA0000000 };

	(void)state;
	layout_image_init(&image, HS_ARCH_I686);
	layout_image_add(&image, 0x70000000, 0x1000, RX);
	layout_assert_refused(&image, &config, HS_ERR_RANGE, "/image leaves no gap", &err);
}

static void test_layout_image_in_the_scratch_region_is_refused(void **state)
{
	static const struct {
		enum hs_arch arch;
		uint64_t top; /* first byte after the scratch region */
	} cases[] = {
		{ HS_ARCH_AMD64, 0xFFFFFFFFFFFFF000 },
		{ HS_ARCH_I686, 0xFFFFF000 },
	};
	struct hs_image image;
	struct hs_layout layout;
	struct hs_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t window = cases[i].top - 288 * KIB;

		layout_image_init(&image, cases[i].arch);
		layout_image_add(&image, window - 0x1000, 0x1000, RX);
		layout_plan_good(&image, NULL, &layout);
		layout_image_init(&image, cases[i].arch);
		layout_image_add(&image, window - 0x1000, 0x1001, RX);
		layout_assert_refused(&image, NULL, HS_ERR_RANGE, "into the scratch region", &err);
		/* The page above the region belongs to nobody. */
		layout_image_init(&image, cases[i].arch);
		layout_image_add(&image, cases[i].top, 0x1000, RX);
		layout_assert_refused(&image, NULL, HS_ERR_RANGE, "into the scratch region", &err);
	}
}

static void test_layout_small_buffers_are_refused_with_the_smallest(void **state)
{
	struct hs_vm_config config = { .input_bytes = 8191 };
	struct hs_image image;
	struct hs_layout layout;
	struct hs_error err;

	(void)state;
	layout_image_usual(&image, HS_ARCH_AMD64);
	layout_assert_refused(&image, &config, HS_ERR_RANGE, "input buffer of 8191 bytes is too small", &err);
	config.input_bytes = smallest_of(&err);
	config.output_bytes = 1;
	layout_assert_refused(&image, &config, HS_ERR_RANGE, "output buffer of 1 bytes is too small", &err);
	config.output_bytes = smallest_of(&err);
	layout_plan_good(&image, &config, &layout);
}

static void test_layout_huge_sizes_are_refused(void **state)
{
	static const struct hs_vm_config configs[] = {
		{ .heap_bytes = UINT64_MAX },    { .stack_bytes = UINT64_MAX - 4096 }, { .input_bytes = 1ull << 63 },
		{ .output_bytes = 1ull << 47 },  { .scratch_bytes = UINT64_MAX },      { .memory_bytes = UINT64_MAX },
		{ .scratch_bytes = 1ull << 46 }, { .heap_bytes = 1ull << 46 },         { .input_bytes = 1ull << 46 },
	};
	struct hs_image image;

	(void)state;
	for (int arch = HS_ARCH_AMD64; arch <= HS_ARCH_I686; arch++) {
		for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
			struct hs_error err;

			layout_image_usual(&image, (enum hs_arch)arch);
			layout_assert_refused(&image, &configs[i], HS_ERR_RANGE, "", &err);
		}
	}
}

/* For an explicit scratch region: the value that the error names works, one page less does not. */
static void test_layout_small_scratch_is_refused_with_the_smallest_that_works(void **state)
{
	static const uint64_t heaps[] = { 4 * KIB, 128 * KIB, 64 * MIB, 700 * MIB };

	(void)state;
	for (int arch = HS_ARCH_AMD64; arch <= HS_ARCH_I686; arch++) {
		for (size_t i = 0; i < sizeof(heaps) / sizeof(heaps[0]); i++) {
			struct hs_vm_config config = { .heap_bytes = heaps[i], .scratch_bytes = 1 };
			struct hs_image image;
			struct hs_layout layout;
			struct hs_error err;
			uint64_t smallest;

			layout_image_usual(&image, (enum hs_arch)arch);
			layout_assert_refused(&image, &config, HS_ERR_RANGE, "scratch region of 1 bytes is too small",
					      &err);
			smallest = smallest_of(&err);
			config.scratch_bytes = smallest;
			layout_plan_good(&image, &config, &layout);
			assert_int_equal(layout.scratch_bytes, smallest);
			config.scratch_bytes = smallest - 4096;
			layout_assert_refused(&image, &config, HS_ERR_RANGE, "scratch region of", &err);
			assert_int_equal(smallest_of(&err), smallest);
		}
	}
}

static void test_layout_more_memory_than_allowed_is_refused_with_the_smallest_that_works(void **state)
{
	(void)state;
	for (int arch = HS_ARCH_AMD64; arch <= HS_ARCH_I686; arch++) {
		struct hs_vm_config config = { .heap_bytes = 2 * GIB };
		struct hs_image image;
		struct hs_layout layout;
		struct hs_error err;
		uint64_t smallest;

		layout_image_usual(&image, (enum hs_arch)arch);
		layout_assert_refused(&image, &config, HS_ERR_RANGE, "needs more memory than the 1073741824 bytes",
				      &err);
		smallest = smallest_of(&err);
		config.memory_bytes = smallest;
		layout_plan_good(&image, &config, &layout);
		assert_int_equal(layout.snapshot_bytes + layout.scratch_bytes, smallest);
		config.memory_bytes = smallest - 4096;
		layout_assert_refused(&image, &config, HS_ERR_RANGE, "needs more memory", &err);
	}
}

static void test_layout_larger_than_the_arch_can_address_is_refused(void **state)
{
	struct hs_vm_config config = { .heap_bytes = 5 * GIB, .memory_bytes = 1ull << 40 };
	struct hs_image image;
	struct hs_layout layout;
	struct hs_error err;

	(void)state;
	layout_image_usual(&image, HS_ARCH_I686);
	layout_assert_refused(&image, &config, HS_ERR_RANGE, "leaves no gap", &err);
	config.heap_bytes = 0xFEDA0000;
	layout_assert_refused(&image, &config, HS_ERR_RANGE, "does not fit: ", &err);
	layout_image_usual(&image, HS_ARCH_AMD64);
	config.heap_bytes = 50 * GIB;
	layout_plan_good(&image, &config, &layout);
	config.heap_bytes = 64 * GIB;
	layout_assert_refused(&image, &config, HS_ERR_RANGE, "does not fit: ", &err);
}

static void test_layout_arguments_that_make_no_sense_are_refused(void **state)
{
	static char large[MIB + 1];
	const char *const hole[] = { "guest", NULL };
	const char *const too_large[] = { large };
	struct hs_vm_config config = { .args_count = 1 };
	struct hs_image image;
	struct hs_error err;

	(void)state;
	layout_image_usual(&image, HS_ARCH_AMD64);
	layout_assert_refused(&image, &config, HS_ERR_INVALID, "none is given", &err);
	config.args = hole;
	config.args_count = 2;
	layout_assert_refused(&image, &config, HS_ERR_INVALID, "argument 1 is NULL", &err);
	memset(large, 'x', MIB);
	config.args = too_large;
	config.args_count = 1;
	layout_assert_refused(&image, &config, HS_ERR_RANGE, "arguments are longer", &err);
}

static void test_layout_pvh_is_refused_unless_it_is_to_be_entered_like_any_other(void **state)
{
	struct hs_vm_config config = { .boot = HS_BOOT_NATIVE };
	struct hs_image image;
	struct hs_layout layout;
	struct hs_error err;

	(void)state;
	layout_image_usual(&image, HS_ARCH_AMD64);
	image.kind = HS_IMAGE_PVH;
	layout_assert_refused(&image, NULL, HS_ERR_UNSUPPORTED, "PVH boot is not supported yet", &err);
	image.entry = image.segments[1].gva.v;
	layout_plan_good(&image, &config, &layout);
	image.entry = 0;
	layout_assert_refused(&image, &config, HS_ERR_FORMAT, "entry point", &err);
	layout_image_usual(&image, HS_ARCH_AMD64);
	config.boot = HS_BOOT_PVH;
	layout_assert_refused(&image, &config, HS_ERR_UNSUPPORTED, "PVH boot is not supported yet", &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout_shared_page_that_would_be_writable_and_executable_is_refused),
		cmocka_unit_test(test_layout_without_a_gap_is_refused),
		cmocka_unit_test(test_layout_image_in_the_scratch_region_is_refused),
		cmocka_unit_test(test_layout_small_buffers_are_refused_with_the_smallest),
		cmocka_unit_test(test_layout_huge_sizes_are_refused),
		cmocka_unit_test(test_layout_small_scratch_is_refused_with_the_smallest_that_works),
		cmocka_unit_test(test_layout_more_memory_than_allowed_is_refused_with_the_smallest_that_works),
		cmocka_unit_test(test_layout_larger_than_the_arch_can_address_is_refused),
		cmocka_unit_test(test_layout_arguments_that_make_no_sense_are_refused),
		cmocka_unit_test(test_layout_pvh_is_refused_unless_it_is_to_be_entered_like_any_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
