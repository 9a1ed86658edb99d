/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes as a guest image, all the way to a loaded guest. What is opened must keep the loader's promises, what is
 * planned the rules of a layout, and what is booted must be mapped as planned:
 *
 *   - a refusal names its file in one line and leaves no image;
 *   - an image's segments are in ascending order, within the file and where addresses can be;
 *   - a plan breaks no rule of layout_check();
 *   - after the boot the guest's own tables give each segment's first and last byte its place and permissions.
 *
 * Input: one byte of control. With bit 1 set the rest is the file itself. Otherwise bit 0 says the class, and the
 * rest is records of 8 bytes that spoil a good image: a place (u8), what to do (u8), a value (u48).
 */
#include "driver.h"
#include "elf_maker.h"
#include "layout_check.h"

#include "base/arith.h"
#include "base/bytes.h"
#include "vmm/boot.h"
#include "vmm/layout.h"
#include "vmm/loader.h"
#include "vmm/ram.h"

#include <hindsight/abi.h>

#include <elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_BYTES 8

/* Guests up to this size are booted: enough for any that is not about size. */
#define BOOT_BYTES_MAX (4u << 20)

/* A 64-bit number from 48 random bits: now and then a size, an address near an end, a file offset, or just bits. */
static uint64_t shaped(uint64_t bits)
{
	uint64_t small = bits >> 16 & 0xFFFF;

	switch (bits & 7) {
	case 0:
		return small;
	case 1:
		return small << 12;
	case 2:
		return UINT64_MAX - small;
	case 3:
		return (uint64_t)UINT32_MAX - small;
	case 4:
		return 0x400000 + small;
	case 5:
		return 0x7FFFFFFFFFFF - small;
	case 6:
		return 0xFFFF800000000000 + small;
	default:
		return bits << 16;
	}
}

/* Change one field of one program header. */
static void spoil_phdr(struct elf_phdr *phdr, unsigned int field, uint64_t value)
{
	switch (field % 9) {
	case 0:
		phdr->type = (uint32_t[]){ PT_LOAD, PT_NOTE, PT_DYNAMIC, PT_INTERP, PT_NULL }[value % 5];
		break;
	case 1:
		phdr->flags = (uint32_t)value;
		break;
	case 2:
		phdr->offset = value;
		break;
	case 3:
	case 4:
		phdr->vaddr = value;
		break;
	case 5:
		phdr->paddr = value;
		break;
	case 6:
		phdr->filesz = value;
		break;
	case 7:
		phdr->memsz = value;
		break;
	default:
		phdr->align = value;
		break;
	}
}

static void spoil_header(struct elf_spec *spec, unsigned int field, uint64_t value)
{
	switch (field % 8) {
	case 0:
		spec->type = (uint16_t)(value & 3) + 1;
		break;
	case 1:
		spec->machine = value & 1 ? EM_386 : (uint16_t)value;
		break;
	case 2:
		spec->entry = value;
		break;
	case 3:
		spec->phoff = value;
		break;
	case 4:
		spec->phentsize = (uint16_t)value;
		break;
	case 5:
		spec->phnum = (uint16_t)value;
		break;
	case 6:
		spec->bytes = value % ELF_MAKER_BYTES_MAX;
		break;
	default:
		spec->data = (uint8_t)value;
		break;
	}
}

static void spoil(struct elf_spec *spec, const uint8_t *record)
{
	uint64_t bits = hs_get_le(record + 2, 6);
	uint64_t value = shaped(bits);

	switch (record[1] % 8) {
	case 0:
		spoil_header(spec, record[0], value);
		break;
	case 1:
		/* In the notes or the dynamic section. */
		spec->body[ELF_MAKER_NOTES_AT + record[0]] = (uint8_t)bits;
		break;
	case 2:
		if (spec->phdr_count < ELF_MAKER_PHDRS_MAX) {
			*elf_spec_add(spec, &spec->phdrs[record[0] % spec->phdr_count]) = (struct elf_phdr){
				.type = PT_LOAD,
				.flags = (uint32_t)bits & 7,
				.vaddr = 0x400000 + (bits >> 8 & 0xFFFFFF),
				.memsz = bits >> 32 & 0xFFFF,
			};
		}
		break;
	default:
		spoil_phdr(&spec->phdrs[record[0] % spec->phdr_count], record[1] / 8, value);
		break;
	}
}

/* The file that the input stands for; returns its length. */
static size_t make_file(const uint8_t *data, size_t size, uint8_t *ret)
{
	struct elf_spec spec;
	size_t end;
	static const uint8_t version[8] = { HS_NOTE_VERSION };

	if (data[0] & 2) {
		size = hs_min_u64(size - 1, ELF_MAKER_BYTES_MAX);
		memcpy(ret, data + 1, size);
		return size;
	}
	elf_spec_init(&spec, data[0] & 1);
	if (data[0] & 4) {
		end = elf_spec_note(&spec, ELF_MAKER_NOTES_AT, HS_NOTE_NAME, HS_NOTE_TYPE, version, sizeof(version), 4);
		end = elf_spec_note(&spec, end, "GNU", NT_GNU_BUILD_ID, version, sizeof(version), 4);
		elf_spec_add_notes(&spec, end, 4);
	}
	for (size_t at = 1; at + RECORD_BYTES <= size && at < 1 + 6 * RECORD_BYTES; at += RECORD_BYTES) {
		spoil(&spec, data + at);
	}
	elf_make(&spec, ret);
	return spec.bytes;
}

static void check_image(const struct hs_image *image, size_t file_bytes)
{
	CHECK(image->segment_count > 0 && image->segment_count <= HS_IMAGE_SEGMENTS_MAX);
	CHECK(image->build_id_length <= sizeof(image->build_id));
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct hs_image_segment *segment = &image->segments[i];

		CHECK(segment->length > 0 && segment->file_length <= segment->length);
		CHECK(segment->file_length == 0 ||
		      hs_range_within(segment->file_offset, segment->file_length, file_bytes));
		CHECK(i == 0 || image->segments[i - 1].gva.v <= segment->gva.v);
		if (image->kind == HS_IMAGE_PVH) {
			continue;
		}
		CHECK(segment->gva.v >= HS_PAGE_SIZE && segment->gva.v + (segment->length - 1) >= segment->gva.v);
		CHECK(segment->gva.v >= image->lowest && segment->gva.v + (segment->length - 1) <= image->highest);
	}
}

static void check_place(const struct hs_phys *phys, const struct hs_root *root, const struct hs_layout *layout,
			const struct hs_image *image, size_t index, uint64_t gva)
{
	const struct hs_image_segment *segment = &image->segments[index];
	uint64_t offset = gva - hs_align_down(segment->gva.v, HS_PAGE_SIZE);
	struct hs_range range;

	hs_translate(phys, root, hs_gva_of(gva), &range);
	if (segment->prot != 0) {
		CHECK(range.kind == HS_RANGE_MAPPED && (range.prot & segment->prot) == segment->prot);
	}
	if (range.kind == HS_RANGE_MAPPED) {
		CHECK(range.gpa.v + (gva - range.start.v) == layout->segment_gpa[index].v + offset);
	}
}

static void boot(const struct hs_image *image, const struct hs_layout *layout, const struct hs_vm_config *config)
{
	struct hs_ram ram;
	struct hs_phys phys;
	struct hs_cpu_state cpu;
	struct hs_root root;

	hs_ram_init(&ram);
	phys = hs_ram_phys(&ram);
	CHECK(hs_ram_add(&ram, layout->snapshot_gpa, layout->snapshot_bytes, NULL, NULL) == HS_OK);
	CHECK(hs_ram_add(&ram, layout->scratch_gpa, layout->scratch_bytes, NULL, NULL) == HS_OK);
	CHECK(hs_boot_write(&phys, image, layout, config, &cpu, NULL) == HS_OK);
	hs_root_of_cpu(&cpu, &root);
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct hs_image_segment *segment = &image->segments[i];

		check_place(&phys, &root, layout, image, i, segment->gva.v);
		check_place(&phys, &root, layout, image, i, segment->gva.v + (segment->length - 1));
	}
	hs_ram_deinit(&ram);
}

static void plan_and_boot(const struct hs_image *image, const uint8_t *data, size_t size)
{
	/* Now and then sizes that matter, from the other end of the input. */
	const struct hs_vm_config config = {
		.seed = 1,
		.heap_bytes = data[0] & 8 ? 0 : (uint64_t)data[size - 1] << (data[size / 2] % 40),
		.scratch_bytes = data[0] & 16 ? 0 : (uint64_t)data[size / 2] << (data[size - 1] % 24),
	};
	struct hs_layout layout;
	struct hs_error err = { 0 };
	const char *broken;

	if (hs_layout_plan(image, &config, &layout, &err)) {
		CHECK(err.message[0] != 0 && !strchr(err.message, '\n'));
		return;
	}
	broken = layout_check(image, &layout);
	if (broken) {
		fprintf(stderr, "%s\n", broken);
		abort();
	}
	if (layout.snapshot_bytes + layout.scratch_bytes <= BOOT_BYTES_MAX) {
		boot(image, &layout, &config);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[ELF_MAKER_BYTES_MAX];
	struct hs_image *image = NULL;
	struct hs_error err = { 0 };
	struct elf_file file;
	size_t length;

	if (size == 0) {
		return 0;
	}
	length = make_file(data, size, bytes);
	elf_file_create(&file, bytes, length);
	if (hs_image_open(file.path, &image, &err)) {
		CHECK(!image && strstr(err.message, file.path) && !strchr(err.message, '\n'));
	} else {
		check_image(image, length);
		plan_and_boot(image, data, size);
	}
	hs_image_close(image);
	elf_file_close(&file);
	return 0;
}
