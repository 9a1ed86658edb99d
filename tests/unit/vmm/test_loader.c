/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/loader: what a good image becomes, and every way in which a file is refused. */
#include "vmm/loader.h"

#include "base/bytes.h"
#include "elf_maker.h"

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

/* Encode the spec, open it, close the file; the image stays. */
static enum hs_status open_spec(const struct elf_spec *spec, struct hs_image **ret, struct hs_error *err)
{
	uint8_t bytes[ELF_MAKER_BYTES_MAX];
	struct elf_file file;
	enum hs_status st;

	elf_make(spec, bytes);
	elf_file_create(&file, bytes, spec->bytes);
	st = hs_image_open(file.path, ret, err);
	elf_file_close(&file);
	return st;
}

static struct hs_image *open_good(const struct elf_spec *spec)
{
	struct hs_image *image = NULL;
	struct hs_error err = { 0 };
	enum hs_status st = open_spec(spec, &image, &err);

	if (st) {
		fail_msg("refused: %s", err.message);
	}
	return image;
}

/* The error names its file, the problem, and is one line; the output is untouched. */
static void assert_refused(const struct elf_spec *spec, enum hs_status status, const char *problem)
{
	struct hs_image *const untouched = (struct hs_image *)(uintptr_t)1;
	struct hs_image *image = untouched;
	struct hs_error err = { 0 };
	enum hs_status st = open_spec(spec, &image, &err);

	if (st != status || !strstr(err.message, problem)) {
		fail_msg("status %s, \"%s\" instead of %s, \"%s\"", hs_status_name(st), err.message,
			 hs_status_name(status), problem);
	}
	assert_int_equal(err.status, status);
	assert_ptr_equal(image, untouched);
	assert_int_equal(strncmp(err.message, "/proc/self/fd/", strlen("/proc/self/fd/")), 0);
	assert_null(strchr(err.message, '\n'));
}

static void test_loader_amd64_image_is_described(void **state)
{
	struct elf_spec spec;
	struct hs_image *image;

	(void)state;
	elf_spec_init(&spec, true);
	image = open_good(&spec);
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
	image = open_good(&spec);
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
	image = open_good(&spec);
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
		image = open_good(&spec);
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
	image = open_good(&spec);
	assert_int_equal(image->phdr, 0);
	hs_image_close(image);
}

/* Add a PT_NOTE with what elf_spec_note() put at ELF_MAKER_NOTES_AT. */
static void add_notes(struct elf_spec *spec, size_t end, size_t align)
{
	elf_spec_add(spec, &(struct elf_phdr){
				   .type = PT_NOTE,
				   .flags = PF_R,
				   .offset = ELF_MAKER_NOTES_AT,
				   .vaddr = ELF_MAKER_TEXT_GVA + ELF_MAKER_NOTES_AT,
				   .filesz = end - ELF_MAKER_NOTES_AT,
				   .memsz = end - ELF_MAKER_NOTES_AT,
				   .align = align,
			   });
}

static const uint8_t native_v1[8] = { HS_NOTE_VERSION, 0, 0, 0, HS_FEATURE_COW | HS_FEATURE_ROOTS, 0, 0, 0 };

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
			add_notes(&spec, end, (size_t)align);
			image = open_good(&spec);
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
	add_notes(&spec, elf_spec_note(&spec, ELF_MAKER_NOTES_AT, "GNU", NT_GNU_BUILD_ID, id, sizeof(id), 4), 4);
	image = open_good(&spec);
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
	add_notes(&spec, end - 4, 4);
	image = open_good(&spec);
	assert_int_equal(image->kind, HS_IMAGE_BARE);
	hs_image_close(image);
	/* Sizes that would wrap around when they are added up. */
	hs_put_le32(spec.body + ELF_MAKER_NOTES_AT, UINT32_MAX);
	hs_put_le32(spec.body + ELF_MAKER_NOTES_AT + 4, UINT32_MAX);
	image = open_good(&spec);
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
		add_notes(&spec, elf_spec_note(&spec, ELF_MAKER_NOTES_AT, "Xen", 18, entry, bytes, 4), 4);
		spec.phdrs[DATA].vaddr = 0; /* Linux has its per-CPU segment there */
		spec.phdrs[DATA].paddr = 0x1234000;
		image = open_good(&spec);
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
		add_notes(&spec, end, 4);
		image = open_good(&spec);
		assert_int_equal(image->kind, HS_IMAGE_NATIVE);
		hs_image_close(image);
	}
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
		add_notes(&spec,
			  elf_spec_note(&spec, ELF_MAKER_NOTES_AT, cases[i].name, cases[i].type, cases[i].desc,
					cases[i].bytes, 4),
			  4);
		assert_refused(&spec, cases[i].status, cases[i].problem);
	}
}

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
			assert_refused(&spec, cases[i].status, cases[i].problem);
		}
	}
}

static void test_loader_wrong_class_or_byte_order_is_refused(void **state)
{
	struct elf_spec spec;

	(void)state;
	elf_spec_init(&spec, true);
	spoil_class(&spec);
	assert_refused(&spec, HS_ERR_FORMAT, "ELF64 image for the i386");
	elf_spec_init(&spec, false);
	spoil_class(&spec);
	assert_refused(&spec, HS_ERR_UNSUPPORTED, "x32");
	elf_spec_init(&spec, true);
	spoil_data_encoding(&spec);
	assert_refused(&spec, HS_ERR_UNSUPPORTED, "big-endian");
	spec.data = 9;
	assert_refused(&spec, HS_ERR_FORMAT, "not an ELF image");
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
			hs_image_close(open_good(&spec));
		} else {
			assert_refused(&spec, HS_ERR_RANGE, "non-canonical");
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
				hs_image_close(open_good(&spec));
			} else {
				assert_refused(&spec, HS_ERR_UNSUPPORTED,
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
		add_notes(&spec, elf_spec_note(&spec, ELF_MAKER_NOTES_AT, HS_NOTE_NAME, HS_NOTE_TYPE, native_v1, 8, 4),
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
		cmocka_unit_test(test_loader_broken_notes_of_ours_are_refused),
		cmocka_unit_test(test_loader_each_wrong_field_is_refused_with_a_line_that_names_it),
		cmocka_unit_test(test_loader_wrong_class_or_byte_order_is_refused),
		cmocka_unit_test(test_loader_non_canonical_addresses_are_refused),
		cmocka_unit_test(test_loader_relocations_are_refused_and_an_empty_dynamic_section_is_not),
		cmocka_unit_test(test_loader_truncation_at_every_byte_is_an_error),
		cmocka_unit_test(test_loader_what_is_no_regular_file_is_refused),
		cmocka_unit_test(test_loader_long_path_leaves_room_for_the_problem),
		cmocka_unit_test(test_loader_relative_path_becomes_absolute),
		cmocka_unit_test(test_loader_failure_leaves_no_descriptor_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
