/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/loader: what a good image becomes. */
#include "vmm/loader.h"

#include "base/bytes.h"
#include "elf_maker.h"
#include "loader_asserts.h"

#include <hindsight/abi.h>

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT 0
#define DATA 1

static const uint8_t native_v1[8] = { HS_NOTE_VERSION, 0, 0, 0, HS_FEATURE_COW | HS_FEATURE_ROOTS, 0, 0, 0 };

static void test_loader_amd64_image_is_described(void **state)
{
	struct elf_spec spec;
	struct hs_image *image;

	(void)state;
	elf_spec_init(&spec, true);
	image = loader_open_good(&spec);
	assert_int_equal(image->arch, HS_ARCH_AMD64);
	assert_int_equal(image->kind, HS_IMAGE_BARE);
	assert_int_equal(image->entry, spec.entry);
	assert_int_equal(image->segment_count, 2);
	assert_int_equal(image->segments[0].gva.v, ELF_MAKER_TEXT_GVA);
	assert_int_equal(image->segments[0].prot, HS_PROT_READ | HS_PROT_EXEC);
	assert_int_equal(image->segments[0].file_offset, 0);
	assert_int_equal(image->segments[0].file_length, ELF_MAKER_DATA_AT);
	assert_int_equal(image->segments[1].gva.v, ELF_MAKER_DATA_GVA);
	assert_int_equal(image->segments[1].length, 0x3000);
	assert_int_equal(image->segments[1].file_offset, ELF_MAKER_DATA_AT);
	assert_int_equal(image->segments[1].file_length, 0x200);
	assert_int_equal(image->segments[1].prot, HS_PROT_READ | HS_PROT_WRITE);
	assert_int_equal(image->lowest, ELF_MAKER_TEXT_GVA);
	assert_int_equal(image->highest, ELF_MAKER_DATA_GVA + 0x3000 - 1);
	assert_int_equal(image->phdr, ELF_MAKER_TEXT_GVA + sizeof(Elf64_Ehdr));
	assert_int_equal(image->phnum, 2);
	assert_int_equal(image->phentsize, sizeof(Elf64_Phdr));
	assert_int_equal(image->build_id_length, 0);
	assert_int_equal(image->features, 0);
	assert_true(image->fd >= 0);
	assert_int_equal(image->path[0], '/');
	hs_image_close(image);
}

static void test_loader_i686_image_is_described(void **state)
{
	struct elf_spec spec;
	struct hs_image *image;

	(void)state;
	elf_spec_init(&spec, false);
	image = loader_open_good(&spec);
	assert_int_equal(image->arch, HS_ARCH_I686);
	assert_int_equal(image->phdr, ELF_MAKER_TEXT_GVA + sizeof(Elf32_Ehdr));
	assert_int_equal(image->phentsize, sizeof(Elf32_Phdr));
	assert_int_equal(image->segments[1].gva.v, ELF_MAKER_DATA_GVA);
	assert_int_equal(image->segments[1].length, 0x3000);
	hs_image_close(image);
}

static void test_loader_segments_come_out_in_ascending_order_and_empty_ones_not_at_all(void **state)
{
	struct elf_spec spec;
	struct hs_image *image;
	struct elf_phdr swapped;

	(void)state;
	elf_spec_init(&spec, true);
	swapped = spec.phdrs[TEXT];
	spec.phdrs[TEXT] = spec.phdrs[DATA];
	spec.phdrs[DATA] = swapped;
	elf_spec_add(&spec, &(struct elf_phdr){ .type = PT_LOAD, .vaddr = 0x123, .offset = UINT64_MAX });
	elf_spec_add(&spec,
		     &(struct elf_phdr){ .type = PT_LOAD, .vaddr = 0xFFFFFFFF80000000, .memsz = 1, .flags = PF_W });
	image = loader_open_good(&spec);
	assert_int_equal(image->segment_count, 3);
	assert_int_equal(image->segments[0].gva.v, ELF_MAKER_TEXT_GVA);
	assert_int_equal(image->segments[1].gva.v, ELF_MAKER_DATA_GVA);
	assert_int_equal(image->segments[2].gva.v, 0xFFFFFFFF80000000);
	/* x86 cannot let somebody write who may not read. */
	assert_int_equal(image->segments[2].prot, HS_PROT_READ | HS_PROT_WRITE);
	assert_int_equal(image->highest, 0xFFFFFFFF80000000);
	hs_image_close(image);
}

static void test_loader_segment_flags_become_permissions(void **state)
{
	static const struct {
		uint32_t flags;
		int prot;
	} cases[] = {
		{ 0, 0 },
		{ PF_R, HS_PROT_READ },
		{ PF_W, HS_PROT_READ | HS_PROT_WRITE },
		{ PF_X, HS_PROT_READ | HS_PROT_EXEC },
		{ PF_W | PF_X, HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC },
		{ PF_R | PF_W | PF_X | 0xF0000000, HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct elf_spec spec;
		struct hs_image *image;

		elf_spec_init(&spec, true);
		spec.phdrs[DATA].flags = cases[i].flags;
		image = loader_open_good(&spec);
		assert_int_equal(image->segments[1].prot, cases[i].prot);
		hs_image_close(image);
	}
}

static void test_loader_phdrs_outside_all_segments_have_no_address(void **state)
{
	struct elf_spec spec;
	struct hs_image *image;

	(void)state;
	elf_spec_init(&spec, true);
	spec.phdrs[TEXT].offset = 0x200;
	spec.phdrs[TEXT].filesz = 0x200;
	image = loader_open_good(&spec);
	assert_int_equal(image->phdr, 0);
	hs_image_close(image);
}

static void test_loader_native_note_and_build_id_are_found(void **state)
{
	static const uint8_t id[20] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 };

	(void)state;
	for (int align = 4; align <= 8; align += 4) {
		for (int is_64 = 0; is_64 <= 1; is_64++) {
			struct elf_spec spec;
			struct hs_image *image;
			size_t end;

			elf_spec_init(&spec, is_64);
			end = elf_spec_note(&spec, ELF_MAKER_NOTES_AT, "Other", HS_NOTE_TYPE, "abc", 3, (size_t)align);
			end = elf_spec_note(&spec, end, "GNU", NT_GNU_BUILD_ID, id, sizeof(id), (size_t)align);
			end = elf_spec_note(&spec, end, HS_NOTE_NAME, HS_NOTE_TYPE, native_v1, 8, (size_t)align);
			elf_spec_add_notes(&spec, end, (size_t)align);
			image = loader_open_good(&spec);
			assert_int_equal(image->kind, HS_IMAGE_NATIVE);
			assert_int_equal(image->features, HS_FEATURE_COW | HS_FEATURE_ROOTS);
			assert_int_equal(image->build_id_length, sizeof(id));
			assert_memory_equal(image->build_id, id, sizeof(id));
			hs_image_close(image);
		}
	}
}

static void test_loader_long_build_id_is_cut(void **state)
{
	uint8_t id[64];
	struct elf_spec spec;
	struct hs_image *image;

	(void)state;
	memset(id, 0x5A, sizeof(id));
	elf_spec_init(&spec, true);
	elf_spec_add_notes(&spec, elf_spec_note(&spec, ELF_MAKER_NOTES_AT, "GNU", NT_GNU_BUILD_ID, id, sizeof(id), 4),
			   4);
	image = loader_open_good(&spec);
	assert_int_equal(image->build_id_length, sizeof(image->build_id));
	hs_image_close(image);
}

static void test_loader_notes_that_are_cut_off_are_passed_over(void **state)
{
	struct elf_spec spec;
	struct hs_image *image;
	size_t end;

	(void)state;
	elf_spec_init(&spec, true);
	end = elf_spec_note(&spec, ELF_MAKER_NOTES_AT, HS_NOTE_NAME, HS_NOTE_TYPE, native_v1, 8, 4);
	elf_spec_add_notes(&spec, end - 4, 4);
	image = loader_open_good(&spec);
	assert_int_equal(image->kind, HS_IMAGE_BARE);
	hs_image_close(image);
	/* Sizes that would wrap around when they are added up. */
	hs_put_le32(spec.body + ELF_MAKER_NOTES_AT, UINT32_MAX);
	hs_put_le32(spec.body + ELF_MAKER_NOTES_AT + 4, UINT32_MAX);
	image = loader_open_good(&spec);
	assert_int_equal(image->kind, HS_IMAGE_BARE);
	hs_image_close(image);
}

static void test_loader_pvh_image_is_recognised_whatever_its_virtual_addresses(void **state)
{
	static const uint8_t entry[8] = { 0x78, 0x56, 0x34, 0x12 };

	(void)state;
	for (uint32_t bytes = 4; bytes <= 8; bytes += 4) {
		struct elf_spec spec;
		struct hs_image *image;
		struct hs_error err;

		elf_spec_init(&spec, true);
		elf_spec_add_notes(&spec, elf_spec_note(&spec, ELF_MAKER_NOTES_AT, "Xen", 18, entry, bytes, 4), 4);
		spec.phdrs[DATA].vaddr = 0; /* Linux has its per-CPU segment there */
		spec.phdrs[DATA].paddr = 0x1234000;
		image = loader_open_good(&spec);
		assert_int_equal(image->kind, HS_IMAGE_PVH);
		assert_int_equal(image->pvh_entry, 0x12345678);
		assert_int_equal(image->segments[0].paddr.v, 0x1234000);
		assert_int_equal(hs_image_check(image, &err), HS_ERR_RANGE);
		hs_image_close(image);
	}
}

static void test_loader_native_note_wins_over_pvh(void **state)
{
	static const uint8_t entry[4] = { 1 };
	(void)state;
	for (int native_first = 0; native_first <= 1; native_first++) {
		struct elf_spec spec;
		struct hs_image *image;
		size_t end = ELF_MAKER_NOTES_AT;

		elf_spec_init(&spec, true);
		for (int i = 0; i < 2; i++) {
			if ((i == 0) == (native_first == 1)) {
				end = elf_spec_note(&spec, end, HS_NOTE_NAME, HS_NOTE_TYPE, native_v1, 8, 4);
			} else {
				end = elf_spec_note(&spec, end, "Xen", 18, entry, 4, 4);
			}
		}
		elf_spec_add_notes(&spec, end, 4);
		image = loader_open_good(&spec);
		assert_int_equal(image->kind, HS_IMAGE_NATIVE);
		hs_image_close(image);
	}
}

static void test_loader_relative_path_becomes_absolute(void **state)
{
	struct elf_spec spec;
	uint8_t bytes[ELF_MAKER_BYTES_MAX];
	char directory[] = "/tmp/hs_loader_XXXXXX";
	struct hs_image *image = NULL;
	int home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd;

	(void)state;
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chdir(directory), 0);
	elf_spec_init(&spec, true);
	elf_make(&spec, bytes);
	fd = open("image", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, bytes, spec.bytes), spec.bytes);
	close(fd);
	assert_int_equal(symlink("image", "link"), 0);
	assert_int_equal(hs_image_open("./link", &image, NULL), HS_OK);
	assert_int_equal(strncmp(image->path, directory, strlen(directory)), 0);
	assert_string_equal(image->path + strlen(directory), "/image");
	hs_image_close(image);
	unlink("link");
	unlink("image");
	assert_int_equal(fchdir(home), 0);
	close(home);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loader_amd64_image_is_described),
		cmocka_unit_test(test_loader_i686_image_is_described),
		cmocka_unit_test(test_loader_segments_come_out_in_ascending_order_and_empty_ones_not_at_all),
		cmocka_unit_test(test_loader_segment_flags_become_permissions),
		cmocka_unit_test(test_loader_phdrs_outside_all_segments_have_no_address),
		cmocka_unit_test(test_loader_native_note_and_build_id_are_found),
		cmocka_unit_test(test_loader_long_build_id_is_cut),
		cmocka_unit_test(test_loader_notes_that_are_cut_off_are_passed_over),
		cmocka_unit_test(test_loader_pvh_image_is_recognised_whatever_its_virtual_addresses),
		cmocka_unit_test(test_loader_native_note_wins_over_pvh),
		cmocka_unit_test(test_loader_relative_path_becomes_absolute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
