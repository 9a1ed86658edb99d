/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/boot: what is in a guest's memory and registers before its first instruction. Arguments: static executables. */
#include "vmm/boot.h"

#include "base/bytes.h"
#include "boot_fixture.h"

#include <hindsight/abi.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Of what page an address of an area is: a large one where all of that is within, but not in image and scratch. */
static uint64_t page_bytes_of(const struct booted *booted, const struct hs_area *area, uint64_t gva)
{
	uint64_t large = booted->image->arch == HS_ARCH_I686 ? 4 << 20 : 2 << 20;
	uint64_t start = gva / large * large;
	bool fits = start >= area->gva.v && start + large <= area->gva.v + area->length &&
		    area->gva.v % large == area->gpa.v % large;

	return fits && (area->kind == HS_AREA_HEAP || area->kind == HS_AREA_STACK || area->kind == HS_AREA_MAPPING)
		       ? large
		       : HS_PAGE_SIZE;
}

/* Every area is mapped where and how the plan says, page by page, and nothing else is mapped at all. */
static void assert_mapped_as_planned(const struct booted *booted)
{
	struct hs_iter iter;
	struct hs_range range;
	uint64_t planned = 0;
	uint64_t found = 0;

	for (size_t i = 0; i < booted->layout.area_count; i++) {
		const struct hs_area *area = &booted->layout.areas[i];
		int prot = area->prot;

		/* No page of the 32-bit format can be denied to the instruction fetch. */
		if (booted->image->arch == HS_ARCH_I686) {
			prot |= HS_PROT_EXEC;
		}
		for (uint64_t at = 0; at < area->length; at += HS_PAGE_SIZE) {
			hs_translate(&booted->phys, &booted->root, hs_gva_of(area->gva.v + at), &range);
			if (area->prot == 0) {
				assert_int_equal(range.kind, HS_RANGE_HOLE);
				continue;
			}
			assert_int_equal(range.kind, HS_RANGE_MAPPED);
			assert_int_equal(range.gpa.v - range.start.v, area->gpa.v - area->gva.v);
			assert_int_equal(range.prot, prot);
			assert_int_equal(range.page_bytes, page_bytes_of(booted, area, area->gva.v + at));
			assert_false(range.user);
			planned += HS_PAGE_SIZE;
		}
	}
	hs_iter_init(&iter, &booted->phys, &booted->root, hs_gva_of(0), 0, hs_budget_default());
	while (hs_iter_next(&iter, &range, NULL) == HS_OK) {
		found += range.length;
	}
	assert_int_equal(found, planned);
	hs_translate(&booted->phys, &booted->root, hs_gva_of(0), &range);
	assert_int_equal(range.kind, HS_RANGE_HOLE);
}

/* Every byte of every segment is the file's, and zero where the file has none. */
static void assert_image_loaded(const struct booted *booted)
{
	static uint8_t memory[HS_PAGE_SIZE];
	static uint8_t file[HS_PAGE_SIZE];

	for (size_t i = 0; i < booted->image->segment_count; i++) {
		const struct hs_image_segment *segment = &booted->image->segments[i];

		for (uint64_t at = 0; at < segment->length; at += sizeof(memory)) {
			uint64_t left = segment->length - at;
			size_t length = left < sizeof(memory) ? (size_t)left : sizeof(memory);
			size_t in_file = 0;

			if (at < segment->file_length) {
				left = segment->file_length - at;
				in_file = left < length ? (size_t)left : length;
			}
			memset(file, 0, sizeof(file));
			assert_int_equal(pread(booted->image->fd, file, in_file, (off_t)(segment->file_offset + at)),
					 in_file);
			booted_read(booted, segment->gva.v + at, memory, length);
			assert_memory_equal(memory, file, length);
		}
	}
}

static void test_boot_maps_what_was_planned_and_nothing_else(void **state)
{
	(void)state;
	for (int is_64 = 0; is_64 <= 1; is_64++) {
		struct booted booted;

		booted_init_small(&booted, is_64, NULL);
		assert_mapped_as_planned(&booted);
		assert_image_loaded(&booted);
		booted_deinit(&booted);
	}
}

static void test_boot_uses_every_planned_table_page(void **state)
{
	const struct hs_vm_config config = { .heap_bytes = 20 << 20, .stack_bytes = 9 << 20 };

	(void)state;
	for (int is_64 = 0; is_64 <= 1; is_64++) {
		struct booted booted;
		const struct hs_area *tables;

		booted_init_small(&booted, is_64, &config);
		tables = hs_layout_area(&booted.layout, HS_AREA_TABLES);
		for (uint64_t at = 0; at < tables->length; at += HS_PAGE_SIZE) {
			uint8_t page[HS_PAGE_SIZE];
			unsigned int used = 0;

			booted_read(&booted, tables->gva.v + at, page, sizeof(page));
			for (size_t i = 0; i < sizeof(page); i++) {
				used |= page[i];
			}
			assert_true(used != 0);
		}
		assert_mapped_as_planned(&booted);
		booted_deinit(&booted);
	}
}

static void test_boot_information_tells_the_layout(void **state)
{
	const char *const args[] = { "guest", "", "an argument" };
	const struct hs_vm_config config = {
		.args = args, .args_count = 3, .seed = 0x1122334455667788, .log_level = 3
	};

	(void)state;
	for (int is_64 = 0; is_64 <= 1; is_64++) {
		struct booted booted;
		struct hs_abi_boot boot; /* words, little-endian as the host of these tests is */
		char strings[19];

		booted_init_small(&booted, is_64, &config);
		booted_read(&booted, hs_layout_area(&booted.layout, HS_AREA_BOOT)->gva.v, &boot, sizeof(boot));
		assert_memory_equal(&boot.magic, "HINDSGHT", 8);
		assert_int_equal(boot.version, HS_BOOT_VERSION);
		assert_int_equal(boot.bytes, sizeof(boot));
		assert_int_equal(boot.page_size, 4096);
		assert_int_equal(boot.seed, config.seed);
		assert_int_equal(boot.log_level, 3);
		assert_int_equal(boot.image_start, ELF_MAKER_TEXT_GVA);
		assert_int_equal(boot.image_length, ELF_MAKER_DATA_GVA + 0x3000 - ELF_MAKER_TEXT_GVA);
		assert_int_equal(boot.heap_start, hs_layout_area(&booted.layout, HS_AREA_HEAP)->gva.v);
		assert_int_equal(boot.heap_length, 128 << 10);
		assert_int_equal(boot.stack_start, hs_layout_area(&booted.layout, HS_AREA_STACK)->gva.v);
		assert_int_equal(boot.stack_length, 64 << 10);
		assert_int_equal(boot.input_start, booted.layout.scratch_gva.v);
		assert_int_equal(boot.input_length, 16 << 10);
		assert_int_equal(boot.output_start, booted.layout.scratch_gva.v + (16 << 10));
		assert_int_equal(boot.output_length, 16 << 10);
		assert_int_equal(boot.scratch_start, booted.layout.scratch_gva.v);
		assert_int_equal(boot.scratch_length, 288 << 10);
		assert_int_equal(boot.scratch_gpa, booted.layout.scratch_gpa.v);
		assert_int_equal(boot.tables_gpa, booted.cpu.cr3);
		assert_int_equal(boot.args_count, 3);
		assert_int_equal(boot.args_length, sizeof(strings));
		assert_int_equal(boot.mappings_count, 0);
		booted_read(&booted, boot.args_start, strings, sizeof(strings));
		assert_memory_equal(strings, "guest\0\0an argument", sizeof(strings));
		booted_deinit(&booted);
	}
}

static void test_boot_bookkeeping_words_are_at_the_top(void **state)
{
	(void)state;
	for (int is_64 = 0; is_64 <= 1; is_64++) {
		struct booted booted;
		uint64_t end;

		booted_init_small(&booted, is_64, NULL);
		end = (is_64 ? HS_AMD64_SCRATCH_TOP_GVA : HS_I686_SCRATCH_TOP_GVA) + 1;
		assert_int_equal(booted_word(&booted, end - HS_SCRATCH_SIZE_OFFSET, 8), 288 << 10);
		assert_int_equal(booted_word(&booted, end - HS_SCRATCH_NEXT_FREE_OFFSET, 8),
				 hs_layout_area(&booted.layout, HS_AREA_FREE)->gpa.v);
		assert_int_equal(booted_word(&booted, end - HS_SCRATCH_TABLES_OFFSET, 8), booted.cpu.cr3);
		assert_int_equal(booted_word(&booted, end - HS_SCRATCH_GENERATION_OFFSET, 8), 0);
		assert_int_equal(booted_word(&booted, end - HS_SCRATCH_EXCEPTION_STACK_OFFSET, 8), end - 0x40);
		assert_int_equal(booted_word(&booted, end - HS_SCRATCH_COUNTER_OFFSET, 8), 0);
		booted_deinit(&booted);
	}
}

static void test_boot_without_a_seed_takes_a_random_one(void **state)
{
	struct booted first;
	struct booted second;

	(void)state;
	booted_init_small(&first, true, NULL);
	booted_init_small(&second, true, NULL);
	assert_int_not_equal(first.cpu.gpr[HS_RSI], second.cpu.gpr[HS_RSI]);
	assert_int_not_equal(first.cpu.gpr[HS_RSI], 0);
	booted_deinit(&first);
	booted_deinit(&second);
}

static void test_boot_twice_gives_the_same_state_and_memory(void **state)
{
	const struct hs_vm_config config = { .seed = 1 };
	struct booted first;
	struct booted second;

	(void)state;
	booted_init_small(&first, true, &config);
	booted_init_small(&second, true, &config);
	assert_memory_equal(&first.cpu, &second.cpu, sizeof(first.cpu));
	for (size_t i = 0; i < first.ram.count; i++) {
		assert_memory_equal(first.ram.regions[i].host, second.ram.regions[i].host, first.ram.regions[i].length);
	}
	booted_deinit(&first);
	booted_deinit(&second);
}

/* hs_boot_write() on a prepared guest fails so, and leaves the state alone. */
static void assert_boot_fails(struct booted *booted, const struct hs_phys *phys, enum hs_status status)
{
	struct hs_cpu_state untouched;
	struct hs_error err = { 0 };

	memset(&booted->cpu, 0x5A, sizeof(booted->cpu));
	memcpy(&untouched, &booted->cpu, sizeof(untouched));
	assert_int_equal(hs_boot_write(phys, booted->image, &booted->layout, NULL, &booted->cpu, &err), status);
	assert_int_equal(err.status, status);
	assert_memory_equal(&booted->cpu, &untouched, sizeof(untouched));
}

static void test_boot_of_a_file_that_has_shrunk_fails(void **state)
{
	struct elf_spec spec;
	uint8_t bytes[ELF_MAKER_BYTES_MAX];
	struct elf_file file;
	struct booted booted;

	(void)state;
	elf_spec_init(&spec, true);
	elf_make(&spec, bytes);
	elf_file_create(&file, bytes, spec.bytes);
	booted_prepare(&booted, file.path, NULL);
	elf_file_replace(&file, bytes, spec.bytes - 1);
	assert_boot_fails(&booted, &booted.phys, HS_ERR_FORMAT);
	elf_file_close(&file);
	booted_deinit(&booted);
}

static void test_boot_into_memory_that_is_not_there_or_read_only_fails(void **state)
{
	struct elf_spec spec;
	uint8_t bytes[ELF_MAKER_BYTES_MAX];
	struct elf_file file;
	struct booted booted;
	struct hs_ram half;
	struct hs_phys phys;
	struct hs_phys_ops read_only;

	(void)state;
	elf_spec_init(&spec, true);
	elf_make(&spec, bytes);
	elf_file_create(&file, bytes, spec.bytes);
	booted_prepare(&booted, file.path, NULL);
	read_only = *booted.phys.ops;
	read_only.write = NULL;
	assert_boot_fails(&booted, &(struct hs_phys){ .ops = &read_only, .ctx = booted.phys.ctx }, HS_ERR_INVALID);
	for (int missing = 0; missing <= 1; missing++) {
		hs_ram_init(&half);
		phys = hs_ram_phys(&half);
		assert_int_equal(hs_ram_add(&half, missing ? booted.layout.snapshot_gpa : booted.layout.scratch_gpa,
					    missing ? booted.layout.snapshot_bytes : booted.layout.scratch_bytes, NULL,
					    NULL),
				 HS_OK);
		assert_boot_fails(&booted, &phys, HS_ERR_UNREADABLE);
		hs_ram_deinit(&half);
	}
	elf_file_close(&file);
	booted_deinit(&booted);
}

/* What gcc -static makes of a C program; *state is its path. */
static void test_boot_of_a_real_executable(void **state)
{
	const char *path = *state;
	struct booted booted;

	booted_init(&booted, path, NULL);
	assert_true(booted.image->segment_count >= 3);
	assert_int_equal(booted.image->kind, HS_IMAGE_BARE);
	assert_int_equal(booted.image->build_id_length, 20);
	assert_true(booted.image->phdr != 0);
	assert_int_equal(booted.cpu.rip, booted.image->entry);
	assert_mapped_as_planned(&booted);
	assert_image_loaded(&booted);
	booted_deinit(&booted);
}

static void test_boot_of_a_real_dynamic_executable_is_refused(void **state)
{
	struct hs_image *image = NULL;
	struct hs_error err = { 0 };

	(void)state;
	/* This program itself. */
	assert_int_equal(hs_image_open("/proc/self/exe", &image, &err), HS_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "is a dynamic executable (link with -static -no-pie)"));
}

#define EXECUTABLES_MAX 4
#define FIXED_TESTS 9

int main(int argc, char **argv)
{
	struct CMUnitTest tests[FIXED_TESTS + EXECUTABLES_MAX] = {
		cmocka_unit_test(test_boot_maps_what_was_planned_and_nothing_else),
		cmocka_unit_test(test_boot_uses_every_planned_table_page),
		cmocka_unit_test(test_boot_information_tells_the_layout),
		cmocka_unit_test(test_boot_bookkeeping_words_are_at_the_top),
		cmocka_unit_test(test_boot_without_a_seed_takes_a_random_one),
		cmocka_unit_test(test_boot_twice_gives_the_same_state_and_memory),
		cmocka_unit_test(test_boot_of_a_file_that_has_shrunk_fails),
		cmocka_unit_test(test_boot_into_memory_that_is_not_there_or_read_only_fails),
		cmocka_unit_test(test_boot_of_a_real_dynamic_executable_is_refused),
	};

	if (argc - 1 > EXECUTABLES_MAX) {
		fprintf(stderr, "usage: test_boot [EXECUTABLE...] (%d at most)\n", EXECUTABLES_MAX);
		return 2;
	}
	/* cmocka passes over rows without a name. */
	for (int i = 1; i < argc; i++) {
		tests[FIXED_TESTS + i - 1] = (struct CMUnitTest){
			.name = argv[i],
			.test_func = test_boot_of_a_real_executable,
			.initial_state = argv[i],
		};
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
