/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mappings: where they come to lie, what the boot information says of them, and each way of being wrong. */
#include "vmm/mapping.h"

#include "boot_fixture.h"
#include "layout_asserts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE ((uint64_t)HS_PAGE_SIZE)
#define RW (HS_PROT_READ | HS_PROT_WRITE)

static uint8_t memory[2 * HS_PAGE_SIZE] __attribute__((aligned(HS_PAGE_SIZE)));

/* One mapping of host memory. */
static struct hs_vm_mapping host_at(uint64_t gpa, uint64_t length)
{
	return (struct hs_vm_mapping){ .label = "data", .gpa = hs_gpa_of(gpa), .host = memory, .length = length };
}

static void test_mapping_lies_where_it_asks_and_at_the_same_virtual_address(void **state)
{
	/* The length of a file need not be of pages. */
	const struct hs_vm_mapping list[] = {
		{ .label = "low", .gpa = { 0x10000000 }, .path = "file", .length = PAGE + 1 },
		{ .label = "lower", .gpa = { 0x8000000 }, .host = memory, .length = 2 * PAGE, .writable = true },
	};
	const struct hs_vm_config config = { .mappings = list, .mapping_count = 2 };

	(void)state;
	for (int arch = HS_ARCH_AMD64; arch <= HS_ARCH_I686; arch++) {
		struct hs_layout layout;
		struct hs_image image;

		layout_image_usual(&image, (enum hs_arch)arch);
		layout_plan_good(&image, &config, &layout);
		assert_int_equal(hs_layout_mapping(&layout, 0)->gpa.v, 0x10000000);
		assert_int_equal(hs_layout_mapping(&layout, 0)->gva.v, 0x10000000);
		assert_int_equal(hs_layout_mapping(&layout, 0)->length, 2 * PAGE);
		assert_int_equal(hs_layout_mapping(&layout, 0)->prot, HS_PROT_READ);
		assert_int_equal(hs_layout_mapping(&layout, 1)->gva.v, 0x8000000);
		assert_int_equal(hs_layout_mapping(&layout, 1)->prot, RW);
	}
}

static void test_mapping_moves_to_a_gap_where_the_image_has_its_address(void **state)
{
	struct hs_vm_mapping mapping = host_at(0x400000, 2 * PAGE);
	const struct hs_vm_config config = { .mappings = &mapping, .mapping_count = 1 };
	struct hs_layout layout;
	struct hs_image image;

	(void)state;
	layout_image_usual(&image, HS_ARCH_AMD64);
	assert_int_equal(image.segments[0].gva.v, 0x400000);
	layout_plan_good(&image, &config, &layout);
	assert_int_equal(hs_layout_mapping(&layout, 0)->gpa.v, 0x400000);
	assert_int_not_equal(hs_layout_mapping(&layout, 0)->gva.v, 0x400000);
}

static void test_mapping_directly_behind_and_before_the_regions_is_fine(void **state)
{
	struct hs_vm_mapping list[] = { host_at(0, PAGE), host_at(0, 2 * PAGE) };
	struct hs_vm_config config = { 0 };
	struct hs_layout layout;
	struct hs_image image;

	(void)state;
	list[1].label = "other";
	layout_image_usual(&image, HS_ARCH_I686);
	layout_plan_good(&image, &config, &layout);
	list[0].gpa.v = layout.snapshot_gpa.v + layout.snapshot_bytes;
	list[1].gpa.v = layout.scratch_gpa.v - 2 * PAGE;
	config.mappings = list;
	config.mapping_count = 2;
	layout_plan_good(&image, &config, &layout);
	assert_int_equal(hs_layout_mapping(&layout, 0)->gpa.v, list[0].gpa.v);
}

static void test_mapping_that_lies_badly_is_refused_with_what_is_there(void **state)
{
	static const struct {
		enum hs_arch arch;
		uint64_t gpa, length;
		const char *problem;
	} cases[] = {
		{ HS_ARCH_AMD64, 0x10000800, 4096, "'data' at gpa 0x10000800 of 4096 bytes is not page-aligned" },
		{ HS_ARCH_AMD64, 0x10000000, 4095, "is not page-aligned" },
		{ HS_ARCH_AMD64, 0x10000000, 0, "'data' is empty" },
		{ HS_ARCH_AMD64, 0, 4096, "overlaps page 0" },
		{ HS_ARCH_AMD64, 0x1000, 4096, "overlaps the guest's image, heap and stack at 0x1000 to 0x" },
		{ HS_ARCH_AMD64, 0xFFFFFF000, 4096, "overlaps the scratch region at 0x" },
		{ HS_ARCH_I686, 0xFEDFF000, 4096, "overlaps the scratch region at 0x" },
		{ HS_ARCH_I686, 0xFEE00000, 4096, "overlaps what is reserved for the APIC and for KVM at 0xfee00000" },
		{ HS_ARCH_AMD64, 0xFEE00000, 4096, "overlaps what is reserved for the APIC and for KVM at 0xfee00000" },
		{ HS_ARCH_AMD64, 0xFFFFF000, 4096, "overlaps what is reserved for the APIC and for KVM at 0xfee00000" },
		{ HS_ARCH_AMD64, 0x1000000000, 4096, "is not below 0x1000000000, the end of an amd64 guest's memory" },
		{ HS_ARCH_I686, 0x100000000, 4096, "is not below 0xfee00000, the end of an i686 guest's memory" },
		{ HS_ARCH_AMD64, UINT64_MAX - 4095, 8192, "is not below" },
		{ HS_ARCH_AMD64, 0x10000000, UINT64_MAX - 4095, "is not below" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct hs_vm_mapping mapping = host_at(cases[i].gpa, cases[i].length);
		const struct hs_vm_config config = { .mappings = &mapping, .mapping_count = 1 };
		struct hs_image image;
		struct hs_error err;

		layout_image_usual(&image, cases[i].arch);
		layout_assert_refused(&image, &config, HS_ERR_RANGE, cases[i].problem, &err);
		assert_int_equal(err.where, cases[i].gpa);
	}
}

static void test_mapping_over_another_is_refused_by_both_labels(void **state)
{
	struct hs_vm_mapping list[] = { host_at(0x10000000, 2 * PAGE), host_at(0x10001000, PAGE) };
	const struct hs_vm_config config = { .mappings = list, .mapping_count = 2 };
	struct hs_image image;
	struct hs_error err;

	(void)state;
	list[1].label = "other";
	layout_image_usual(&image, HS_ARCH_AMD64);
	layout_assert_refused(&image, &config, HS_ERR_RANGE,
			      "'other' at gpa 0x10001000 of 4096 bytes overlaps mapping 'data' at 0x10000000 to "
			      "0x10001fff",
			      &err);
}

static void test_mapping_is_listed_in_the_boot_information(void **state)
{
	const char *const args[] = { "one", "two" };
	struct hs_vm_mapping list[] = { host_at(0x10000000, 2 * PAGE), host_at(0x20000000, PAGE) };
	const struct hs_vm_config config = { .mappings = list, .mapping_count = 2, .args = args, .args_count = 2 };

	(void)state;
	list[1].label = "longer label";
	list[1].writable = true;
	for (int is_64 = 0; is_64 <= 1; is_64++) {
		struct hs_abi_mapping told[2];
		struct hs_abi_boot boot;
		struct booted booted;
		char text[8];

		booted_init_small(&booted, is_64, &config);
		booted_read(&booted, hs_layout_area(&booted.layout, HS_AREA_BOOT)->gva.v, &boot, sizeof(boot));
		assert_int_equal(boot.mappings_count, 2);
		booted_read(&booted, boot.mappings_start, told, sizeof(told));
		assert_string_equal(told[0].label, "data");
		assert_int_equal(told[0].start, 0x10000000);
		assert_int_equal(told[0].gpa, 0x10000000);
		assert_int_equal(told[0].length, 2 * PAGE);
		assert_int_equal(told[0].flags, 0);
		assert_string_equal(told[1].label, "longer label");
		assert_int_equal(told[1].start, 0x20000000);
		assert_int_equal(told[1].flags, HS_MAPPING_WRITABLE);
		/* And the arguments stand behind it. */
		booted_read(&booted, boot.args_start, text, sizeof(text));
		assert_memory_equal(text, "one\0two", sizeof(text));
		booted_deinit(&booted);
	}
}

static struct hs_mappings opened;

static void assert_not_opened(const struct hs_vm_config *config, enum hs_status status, const char *problem)
{
	struct hs_error err = { 0 };

	assert_int_equal(hs_mappings_open(config, &opened, &err), status);
	if (!strstr(err.message, problem)) {
		fail_msg("\"%s\" does not say \"%s\"", err.message, problem);
	}
	assert_int_equal(opened.count, 0);
}

static void test_mapping_that_makes_no_sense_is_refused(void **state)
{
	static char label[65];
	struct hs_vm_mapping list[33];
	struct hs_vm_config config = { .mappings = list, .mapping_count = 1 };

	(void)state;
	for (size_t i = 0; i < 33; i++) {
		list[i] = host_at(0x10000000 + i * PAGE, PAGE);
	}
	memset(label, 'x', 64);
	list[0].label = label;
	assert_not_opened(&config, HS_ERR_RANGE, "is longer than 63 bytes");
	label[63] = '\0';
	assert_int_equal(hs_mappings_open(&config, &opened, NULL), HS_OK);
	hs_mappings_close(&opened);
	list[0].label = "";
	assert_not_opened(&config, HS_ERR_RANGE, "mapping 1 has no label");
	list[0].label = NULL;
	assert_not_opened(&config, HS_ERR_RANGE, "mapping 1 has no label");
	list[0] = host_at(0x10000000, PAGE);
	list[0].path = "/dev/null";
	assert_not_opened(&config, HS_ERR_INVALID, "a whole file or a length of host memory");
	list[0].host = NULL;
	assert_not_opened(&config, HS_ERR_INVALID, "a whole file or a length of host memory");
	list[0].path = NULL;
	assert_not_opened(&config, HS_ERR_INVALID, "a whole file or a length of host memory");
	list[0] = host_at(0x10000000, PAGE);
	config.mapping_count = 2;
	assert_not_opened(&config, HS_ERR_INVALID, "two mappings have the label 'data'");
	config.mapping_count = 33;
	assert_not_opened(&config, HS_ERR_RANGE, "33 mappings: 32 are the most");
	config.mappings = NULL;
	config.mapping_count = 1;
	assert_not_opened(&config, HS_ERR_INVALID, "1 mappings are counted but none is given");
}

static void test_mapping_of_a_file_that_cannot_be_mapped_is_refused(void **state)
{
	struct hs_vm_mapping mapping = { .label = "data", .gpa = { 0x10000000 } };
	const struct hs_vm_config config = { .mappings = &mapping, .mapping_count = 1 };
	char directory[] = "/tmp/hs-map-XXXXXX";
	char path[64];

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/file", directory);
	mapping.path = path;
	assert_not_opened(&config, HS_ERR_NOT_FOUND, "mapping 'data': cannot open /tmp/hs-map-");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_not_opened(&config, HS_ERR_FORMAT, "is not a regular file");
	unlink(path);
	fclose(fopen(path, "w"));
	assert_not_opened(&config, HS_ERR_FORMAT, "file is empty");
	unlink(path);
	mapping.path = directory;
	assert_not_opened(&config, HS_ERR_FORMAT, "is not a regular file");
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mapping_lies_where_it_asks_and_at_the_same_virtual_address),
		cmocka_unit_test(test_mapping_moves_to_a_gap_where_the_image_has_its_address),
		cmocka_unit_test(test_mapping_directly_behind_and_before_the_regions_is_fine),
		cmocka_unit_test(test_mapping_that_lies_badly_is_refused_with_what_is_there),
		cmocka_unit_test(test_mapping_over_another_is_refused_by_both_labels),
		cmocka_unit_test(test_mapping_is_listed_in_the_boot_information),
		cmocka_unit_test(test_mapping_that_makes_no_sense_is_refused),
		cmocka_unit_test(test_mapping_of_a_file_that_cannot_be_mapped_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
