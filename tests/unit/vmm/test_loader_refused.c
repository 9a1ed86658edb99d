/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/loader: every way in which a file is refused, each with one line that names file and problem. */
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

/* One way to be wrong each. */
static void spoil_data_encoding(struct elf_spec *spec)
{
	spec->data = ELFDATA2MSB;
}
static void spoil_machine(struct elf_spec *spec)
{
	spec->machine = EM_AARCH64;
}
static void spoil_machine_unknown(struct elf_spec *spec)
{
	spec->machine = 12345;
}
static void spoil_class(struct elf_spec *spec)
{
	spec->machine = spec->is_64 ? EM_386 : EM_X86_64;
}
static void spoil_type_object(struct elf_spec *spec)
{
	spec->type = ET_REL;
}
static void spoil_type_core(struct elf_spec *spec)
{
	spec->type = ET_CORE;
}
static void spoil_type_unknown(struct elf_spec *spec)
{
	spec->type = 77;
}
static void spoil_no_phdrs(struct elf_spec *spec)
{
	spec->phnum = 0;
}
static void spoil_many_phdrs(struct elf_spec *spec)
{
	spec->phnum = PN_XNUM;
}
static void spoil_phdrs_past_end(struct elf_spec *spec)
{
	spec->phnum = 100;
}
static void spoil_phoff(struct elf_spec *spec)
{
	spec->phoff = ELF_MAKER_FILE_BYTES - 8;
}
static void spoil_phoff_wraps(struct elf_spec *spec)
{
	spec->phoff = UINT64_MAX - 8;
}
static void spoil_phentsize(struct elf_spec *spec)
{
	spec->phentsize += 8;
}
static void spoil_no_load(struct elf_spec *spec)
{
	spec->phdrs[TEXT].type = spec->phdrs[DATA].type = PT_NULL;
}
static void spoil_filesz(struct elf_spec *spec)
{
	spec->phdrs[TEXT].filesz = spec->phdrs[TEXT].memsz + 1;
}
static void spoil_segment_past_end(struct elf_spec *spec)
{
	spec->phdrs[DATA].offset = ELF_MAKER_FILE_BYTES - 0x1FF;
}
static void spoil_segment_offset_wraps(struct elf_spec *spec)
{
	spec->phdrs[DATA].offset = UINT64_MAX - 0x100;
}
static void spoil_overlap(struct elf_spec *spec)
{
	spec->phdrs[DATA].vaddr = ELF_MAKER_TEXT_GVA + 0x3FF;
}
static void spoil_overlap_same(struct elf_spec *spec)
{
	spec->phdrs[DATA].vaddr = ELF_MAKER_TEXT_GVA;
}
static void spoil_page_0(struct elf_spec *spec)
{
	spec->phdrs[DATA].vaddr = 0xFFF;
}
static void spoil_wraps(struct elf_spec *spec)
{
	spec->phdrs[DATA].vaddr = spec->is_64 ? UINT64_MAX - 0x1000 : UINT32_MAX - 0x1000;
}
static void spoil_entry(struct elf_spec *spec)
{
	spec->entry = ELF_MAKER_DATA_GVA;
}
static void spoil_entry_below(struct elf_spec *spec)
{
	spec->entry = ELF_MAKER_TEXT_GVA - 1;
}
static void spoil_entry_behind(struct elf_spec *spec)
{
	spec->entry = ELF_MAKER_TEXT_GVA + ELF_MAKER_DATA_AT;
}
static void spoil_note_past_end(struct elf_spec *spec)
{
	elf_spec_add(spec, &(struct elf_phdr){ .type = PT_NOTE, .offset = ELF_MAKER_FILE_BYTES, .filesz = 1 });
}
static void spoil_dynamic_past_end(struct elf_spec *spec)
{
	elf_spec_add(spec, &(struct elf_phdr){ .type = PT_DYNAMIC, .offset = 4, .filesz = ELF_MAKER_FILE_BYTES });
}
static void spoil_interp(struct elf_spec *spec)
{
	elf_spec_add(spec, &(struct elf_phdr){ .type = PT_INTERP, .offset = 0x200, .filesz = 8 });
}
static void spoil_many_segments(struct elf_spec *spec)
{
	for (unsigned int i = 0; i + 1 < HS_IMAGE_SEGMENTS_MAX; i++) {
		elf_spec_add(spec, &(struct elf_phdr){ .type = PT_LOAD, .vaddr = 0x800000 + 0x1000 * i, .memsz = 1 });
	}
	spec->bytes = ELF_MAKER_BYTES_MAX;
}

static void test_loader_broken_notes_of_ours_are_refused(void **state)
{
	static const uint8_t version_2[8] = { 2 };
	static const uint8_t entry_above_4g[8] = { 0, 0, 0, 0, 1 };
	static const struct {
		const char *name;
		uint32_t type;
		const uint8_t *desc;
		uint32_t bytes;
		enum hs_status status;
		const char *problem;
	} cases[] = {
		{ HS_NOTE_NAME, HS_NOTE_TYPE, native_v1, 4, HS_ERR_FORMAT, "note \"Hindsight\" of 4 bytes" },
		{ HS_NOTE_NAME, HS_NOTE_TYPE, version_2, 8, HS_ERR_UNSUPPORTED, "version 2 of the guest interface" },
		{ "Xen", 18, entry_above_4g, 8, HS_ERR_FORMAT, "entry point above 4 GiB" },
		{ "Xen", 18, entry_above_4g, 5, HS_ERR_FORMAT, "PVH entry note of 5 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct elf_spec spec;

		elf_spec_init(&spec, true);
		elf_spec_add_notes(&spec,
				   elf_spec_note(&spec, ELF_MAKER_NOTES_AT, cases[i].name, cases[i].type, cases[i].desc,
						 cases[i].bytes, 4),
				   4);
		loader_assert_refused(&spec, cases[i].status, cases[i].problem);
	}
}

static void test_loader_each_wrong_field_is_refused_with_a_line_that_names_it(void **state)
{
	static const struct {
		void (*spoil)(struct elf_spec *spec);
		enum hs_status status;
		const char *problem;
	} cases[] = {
		{ spoil_machine, HS_ERR_UNSUPPORTED, "machine 183 (AArch64)" },
		{ spoil_machine_unknown, HS_ERR_UNSUPPORTED, "machine 12345;" },
		{ spoil_type_object, HS_ERR_UNSUPPORTED, "object file" },
		{ spoil_type_core, HS_ERR_UNSUPPORTED, "core file" },
		{ spoil_type_unknown, HS_ERR_FORMAT, "unknown type 77" },
		{ spoil_no_phdrs, HS_ERR_FORMAT, "no program headers" },
		{ spoil_many_phdrs, HS_ERR_UNSUPPORTED, "more than 65534 program headers" },
		{ spoil_phdrs_past_end, HS_ERR_FORMAT, "end behind the end of the file" },
		{ spoil_phoff, HS_ERR_FORMAT, "end behind the end of the file" },
		{ spoil_phoff_wraps, HS_ERR_FORMAT, "end behind the end of the file" },
		{ spoil_phentsize, HS_ERR_FORMAT, "program headers of" },
		{ spoil_no_load, HS_ERR_FORMAT, "nothing to load" },
		{ spoil_filesz, HS_ERR_FORMAT,
		  "program header 0 has more bytes in the file (1025) than in memory (1024)" },
		{ spoil_segment_past_end, HS_ERR_FORMAT, "program header 1 wants 512 bytes from byte 1025" },
		{ spoil_segment_offset_wraps, HS_ERR_FORMAT, "program header 1 wants 512 bytes" },
		{ spoil_overlap, HS_ERR_RANGE, "segments that overlap: 0x400000 (1024 bytes) and 0x4003ff" },
		{ spoil_overlap_same, HS_ERR_RANGE, "segments that overlap" },
		{ spoil_page_0, HS_ERR_RANGE, "in page 0" },
		{ spoil_wraps, HS_ERR_RANGE, "wraps around" },
		{ spoil_entry, HS_ERR_FORMAT, "entry point at 0x401400" },
		{ spoil_entry_below, HS_ERR_FORMAT, "entry point at 0x3fffff" },
		{ spoil_entry_behind, HS_ERR_FORMAT, "entry point at 0x400400" },
		{ spoil_note_past_end, HS_ERR_FORMAT, "program header 2 wants 1 bytes from byte 1536" },
		{ spoil_dynamic_past_end, HS_ERR_FORMAT, "program header 2 wants 1536 bytes" },
		{ spoil_interp, HS_ERR_UNSUPPORTED, "is a dynamic executable (link with -static -no-pie)" },
		{ spoil_many_segments, HS_ERR_UNSUPPORTED, "more than 64 segments" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int is_64 = 0; is_64 <= 1; is_64++) {
			struct elf_spec spec;

			elf_spec_init(&spec, is_64);
			cases[i].spoil(&spec);
			loader_assert_refused(&spec, cases[i].status, cases[i].problem);
		}
	}
}

static void test_loader_wrong_class_or_byte_order_is_refused(void **state)
{
	struct elf_spec spec;

	(void)state;
	elf_spec_init(&spec, true);
	spoil_class(&spec);
	loader_assert_refused(&spec, HS_ERR_FORMAT, "ELF64 image for the i386");
	elf_spec_init(&spec, false);
	spoil_class(&spec);
	loader_assert_refused(&spec, HS_ERR_UNSUPPORTED, "x32");
	elf_spec_init(&spec, true);
	spoil_data_encoding(&spec);
	loader_assert_refused(&spec, HS_ERR_UNSUPPORTED, "big-endian");
	spec.data = 9;
	loader_assert_refused(&spec, HS_ERR_FORMAT, "not an ELF image");
}

static void test_loader_non_canonical_addresses_are_refused(void **state)
{
	static const struct {
		uint64_t vaddr, memsz;
		bool good;
	} cases[] = {
		{ 0x00007FFFFFFFF000, 0x1000, true },
		{ 0x00007FFFFFFFF000, 0x1001, false },
		{ 0x0000800000000000, 1, false },
		{ 0xFFFF7FFFFFFFFFFF, 1, false },
		{ 0xFFFF7FFFFFFFFFFF, 2, false },
		{ 0xFFFF800000000000, 1, true },
		{ 0x00007FFFFFFFF000, 0xFFFF000000002000, false }, /* from one half into the other */
		{ 0xFFFFFFFFFFFFFFFF, 1, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct elf_spec spec;

		elf_spec_init(&spec, true);
		spec.phdrs[DATA].vaddr = cases[i].vaddr;
		spec.phdrs[DATA].memsz = cases[i].memsz;
		spec.phdrs[DATA].filesz = 0;
		if (cases[i].good) {
			hs_image_close(loader_open_good(&spec));
		} else {
			loader_assert_refused(&spec, HS_ERR_RANGE, "non-canonical");
		}
	}
}

/* Put a dynamic section with one entry at ELF_MAKER_NOTES_AT. */
static void add_dynamic(struct elf_spec *spec, uint64_t tag, uint64_t value)
{
	unsigned int word = spec->is_64 ? 8 : 4;

	hs_put_le(spec->body + ELF_MAKER_NOTES_AT, tag, word);
	hs_put_le(spec->body + ELF_MAKER_NOTES_AT + word, value, word);
	memset(spec->body + ELF_MAKER_NOTES_AT + (size_t)2 * word, 0, (size_t)2 * word);
	elf_spec_add(spec, &(struct elf_phdr){
				   .type = PT_DYNAMIC,
				   .offset = ELF_MAKER_NOTES_AT,
				   .filesz = (uint64_t)4 * word,
			   });
}

static void test_loader_relocations_are_refused_and_an_empty_dynamic_section_is_not(void **state)
{
	static const struct {
		uint64_t tag, value;
		bool good;
	} cases[] = {
		{ DT_NEEDED, 1, false },          { DT_RELASZ, 24, false },
		{ DT_RELSZ, 8, false },           { DT_PLTRELSZ, 8, false },
		{ 35 /* DT_RELRSZ */, 8, false }, { DT_RELA, 0x400100, true },
		{ DT_RELASZ, 0, true },           { DT_DEBUG, 0, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int is_64 = 0; is_64 <= 1; is_64++) {
			struct elf_spec spec;

			elf_spec_init(&spec, is_64);
			spec.type = ET_DYN;
			add_dynamic(&spec, cases[i].tag, cases[i].value);
			if (cases[i].good) {
				hs_image_close(loader_open_good(&spec));
			} else {
				loader_assert_refused(&spec, HS_ERR_UNSUPPORTED,
						      "is a dynamic executable (link with -static -no-pie)");
			}
		}
	}
}

static void test_loader_truncation_at_every_byte_is_an_error(void **state)
{
	(void)state;
	for (int is_64 = 0; is_64 <= 1; is_64++) {
		struct elf_spec spec;
		uint8_t bytes[ELF_MAKER_BYTES_MAX];
		struct elf_file file;

		elf_spec_init(&spec, is_64);
		elf_spec_add_notes(
			&spec, elf_spec_note(&spec, ELF_MAKER_NOTES_AT, HS_NOTE_NAME, HS_NOTE_TYPE, native_v1, 8, 4),
			4);
		elf_make(&spec, bytes);
		elf_file_create(&file, bytes, 0);
		/* The last segment ends with the file: every byte is needed. */
		for (size_t length = 0; length <= spec.bytes; length++) {
			struct hs_image *image = NULL;
			struct hs_error err = { 0 };
			enum hs_status st;

			elf_file_replace(&file, bytes, length);
			st = hs_image_open(file.path, &image, &err);
			assert_int_equal(st, length == spec.bytes ? HS_OK : HS_ERR_FORMAT);
			assert_int_equal(image != NULL, length == spec.bytes);
			hs_image_close(image);
		}
		elf_file_close(&file);
	}
}

static void assert_path_refused(const char *path, enum hs_status status, const char *problem)
{
	struct hs_image *image = NULL;
	struct hs_error err = { 0 };
	enum hs_status st = hs_image_open(path, &image, &err);

	if (st != status || !strstr(err.message, problem)) {
		fail_msg("%s: status %s, \"%s\" instead of %s, \"%s\"", path, hs_status_name(st), err.message,
			 hs_status_name(status), problem);
	}
	assert_null(image);
}

static void test_loader_what_is_no_regular_file_is_refused(void **state)
{
	char directory[] = "/tmp/hs_loader_XXXXXX";
	char fifo[64];
	struct elf_file file;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(fifo, sizeof(fifo), "%s/fifo", directory);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_path_refused(directory, HS_ERR_FORMAT, "is a directory");
	assert_path_refused("/dev/null", HS_ERR_FORMAT, "is a device");
	assert_path_refused(fifo, HS_ERR_FORMAT, "is a device, pipe or socket");
	unlink(fifo);
	assert_path_refused(fifo, HS_ERR_NOT_FOUND, "cannot open /tmp/hs_loader_");
	rmdir(directory);
	elf_file_create(&file, "", 0);
	assert_path_refused(file.path, HS_ERR_FORMAT, "is empty");
	elf_file_replace(&file, "#!/bin/sh\nexit 0\n", 17);
	assert_path_refused(file.path, HS_ERR_FORMAT, "is not an ELF image");
	elf_file_replace(&file, "!<arch>\n", 8);
	assert_path_refused(file.path, HS_ERR_FORMAT, "is not an ELF image");
	elf_file_close(&file);
}

static void test_loader_long_path_leaves_room_for_the_problem(void **state)
{
	char path[600];

	(void)state;
	memset(path, '/', sizeof(path));
	snprintf(path + 580, 20, "dev/null");
	assert_path_refused(path, HS_ERR_FORMAT, "is a device, pipe or socket, not an ELF image");
}

static void test_loader_failure_leaves_no_descriptor_open(void **state)
{
	int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int after;

	(void)state;
	close(before);
	assert_path_refused("/dev/null", HS_ERR_FORMAT, "device");
	assert_path_refused("/", HS_ERR_FORMAT, "directory");
	assert_path_refused("/etc/passwd", HS_ERR_FORMAT, "not an ELF image");
	after = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(after);
	assert_int_equal(before, after);
	hs_image_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loader_broken_notes_of_ours_are_refused),
		cmocka_unit_test(test_loader_each_wrong_field_is_refused_with_a_line_that_names_it),
		cmocka_unit_test(test_loader_wrong_class_or_byte_order_is_refused),
		cmocka_unit_test(test_loader_non_canonical_addresses_are_refused),
		cmocka_unit_test(test_loader_relocations_are_refused_and_an_empty_dynamic_section_is_not),
		cmocka_unit_test(test_loader_truncation_at_every_byte_is_an_error),
		cmocka_unit_test(test_loader_what_is_no_regular_file_is_refused),
		cmocka_unit_test(test_loader_long_path_leaves_room_for_the_problem),
		cmocka_unit_test(test_loader_failure_leaves_no_descriptor_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
