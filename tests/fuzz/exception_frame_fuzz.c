/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes as a guest that reports an exception: its registers, the frame on its stack, its GDT and its TSSs are a
 * booted guest's, spoilt. What must hold: a refusal changes nothing; a state that is taken back is one that a CPU can
 * be in, and differs from the state at the report only where a frame says so.
 *
 * Input: one byte of control (bit 0 the arch, bit 1 a frame that is good to begin with, bit 2 a double fault's task),
 * then records of 6 bytes: what to change (u8), where (u8), a value (u32).
 */
#include "driver.h"
#include "elf_maker.h"

#include "base/bytes.h"
#include "vmm/boot.h"
#include "vmm/boot_tables.h"
#include "vmm/descriptor.h"
#include "vmm/exception_frame.h"
#include "vmm/layout.h"
#include "vmm/loader.h"
#include "vmm/ram.h"

#include <stdbool.h>
#include <string.h>

#define RECORD_BYTES 6
#define FLAGS_NT 0x4000u

/* A guest as it was booted; what an input spoils is copied back from `clean`. */
struct guest {
	struct hs_layout layout;
	struct hs_ram ram;
	struct hs_cpu_state cpu;
	uint8_t clean[HS_PAGE_SIZE]; /* the page of descriptors */
};

/* The bytes behind an area's page, in the host. */
static uint8_t *page_of(struct guest *guest, enum hs_area_kind kind)
{
	hs_gpa gpa = hs_layout_area(&guest->layout, kind)->gpa;
	const struct hs_ram_region *region = hs_ram_find(&guest->ram, gpa.v);

	return region->host + (gpa.v - region->gpa.v);
}

static void guest_init(struct guest *guest, bool is_64)
{
	const struct hs_vm_config config = { .seed = 1 };
	struct elf_spec spec;
	uint8_t bytes[ELF_MAKER_BYTES_MAX];
	struct elf_file file;
	struct hs_image *image = NULL;
	struct hs_phys phys;

	elf_spec_init(&spec, is_64);
	elf_make(&spec, bytes);
	elf_file_create(&file, bytes, spec.bytes);
	CHECK(hs_image_open(file.path, &image, NULL) == HS_OK);
	CHECK(hs_layout_plan(image, &config, &guest->layout, NULL) == HS_OK);
	hs_ram_init(&guest->ram);
	phys = hs_ram_phys(&guest->ram);
	CHECK(hs_ram_add(&guest->ram, guest->layout.snapshot_gpa, guest->layout.snapshot_bytes, NULL, NULL) == HS_OK);
	CHECK(hs_ram_add(&guest->ram, guest->layout.scratch_gpa, guest->layout.scratch_bytes, NULL, NULL) == HS_OK);
	CHECK(hs_boot_write(&phys, image, &guest->layout, &config, &guest->cpu, NULL) == HS_OK);
	hs_image_close(image);
	elf_file_close(&file);
	memcpy(guest->clean, page_of(guest, HS_AREA_DESCRIPTORS), HS_PAGE_SIZE);
}

/* A good frame to spoil, at the start of the stack. */
static void make_frame(struct guest *guest, struct hs_cpu_state *cpu, uint8_t *stack)
{
	const bool is_64 = guest->layout.arch == HS_ARCH_AMD64;
	const uint64_t words[] = { 14, 2, 0x400200, HS_BOOT_CODE, 0x10202, 0x5000, HS_BOOT_DATA };

	for (unsigned int i = 0; i < 7; i++) {
		hs_put_le(stack + (size_t)i * (is_64 ? 8 : 4), words[i], is_64 ? 8 : 4);
	}
	cpu->gpr[HS_RSP] = hs_layout_area(&guest->layout, HS_AREA_STACK)->gva.v;
}

/* The state of an i686 CPU in the task of the double fault, with a good TSS to come from. */
static void make_task(struct guest *guest, struct hs_cpu_state *cpu, uint8_t *descriptors, uint8_t *stack)
{
	uint8_t *tss = descriptors + HS_BOOT_TSS_AT;

	hs_put_le32(tss + HS_TSS32_EIP, 0x400200);
	hs_put_le32(tss + HS_TSS32_EFLAGS, 0x10202);
	for (int i = HS_ES; i <= HS_GS; i++) {
		hs_put_le16(tss + HS_TSS32_SEG + 4 * i, i == HS_CS ? HS_BOOT_CODE : HS_BOOT_DATA);
	}
	hs_put_le16(descriptors + HS_BOOT_DF_TSS_AT, HS_BOOT_TSS);
	hs_boot_tss_segment(&guest->layout, HS_BOOT_DF_TSS, HS_BOOT_DF_TSS_AT, &cpu->seg[HS_TR]);
	cpu->rflags |= FLAGS_NT;
	hs_put_le32(stack, 8);
}

static void spoil(struct guest *guest, struct hs_cpu_state *cpu, const uint8_t *record)
{
	uint8_t *descriptors = page_of(guest, HS_AREA_DESCRIPTORS);
	uint8_t *stack = page_of(guest, HS_AREA_STACK);
	uint32_t value = hs_get_le32(record + 2);

	switch (record[0] % 8) {
	case 0:
		hs_put_le32(stack + record[1] % 56, value);
		break;
	case 1:
		stack[record[1] % 56] = (uint8_t)value;
		break;
	case 2:
		descriptors[record[1] % HS_BOOT_GDT_BYTES] = (uint8_t)value;
		break;
	case 3:
		hs_put_le16(descriptors + HS_BOOT_TSS_AT + record[1], (uint16_t)(value & 0x7F));
		break;
	case 4:
		cpu->gpr[HS_RSP] += (int32_t)value >> (record[1] % 32);
		break;
	case 5:
		cpu->seg[record[1] % HS_SEG_COUNT].selector = (uint16_t)(value & 0x4F);
		break;
	case 6:
		cpu->gdt.limit = (uint16_t)value;
		cpu->rflags ^= record[1] & 1 ? FLAGS_NT : 0;
		break;
	default:
		cpu->seg[HS_LDTR] = (struct hs_segment){ .base = cpu->gdt.base, .limit = value & 0xFF };
		break;
	}
}

static void check_taken_back(const struct hs_cpu_state *before, const struct hs_cpu_state *after, bool task)
{
	struct hs_cpu_state same = *after;
	uint8_t cpl = after->seg[HS_CS].selector & 3;

	CHECK((after->rflags & 2) && !(after->rflags & ~0x3D7FD7ull));
	CHECK(after->seg[HS_CS].present && after->seg[HS_CS].s && (after->seg[HS_CS].type & HS_DESCRIPTOR_CODE));
	CHECK(cpl >= (before->seg[HS_CS].selector & 3) || task);
	if (memcmp(&after->seg[HS_SS], &before->seg[HS_SS], sizeof(struct hs_segment)) != 0) {
		CHECK(after->seg[HS_SS].dpl == cpl);
	}
	if (task) {
		return;
	}
	same.rip = before->rip;
	same.rflags = before->rflags;
	same.gpr[HS_RSP] = before->gpr[HS_RSP];
	same.seg[HS_CS] = before->seg[HS_CS];
	same.seg[HS_SS] = before->seg[HS_SS];
	CHECK(memcmp(&same, before, sizeof(same)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest guests[2];
	static bool made;
	struct guest *guest = &guests[size > 0 && (data[0] & 1)];
	struct hs_exception_frame frame = { .vector = 77 };
	struct hs_cpu_state before;
	struct hs_cpu_state cpu;
	struct hs_phys phys;
	uint8_t *stack;

	for (int i = 0; i < 2 && !made; i++) {
		guest_init(&guests[i], i);
	}
	made = true;
	if (size == 0) {
		return 0;
	}
	phys = hs_ram_phys(&guest->ram);
	stack = page_of(guest, HS_AREA_STACK);
	memcpy(page_of(guest, HS_AREA_DESCRIPTORS), guest->clean, HS_PAGE_SIZE);
	memset(stack, 0, 64);
	cpu = guest->cpu;
	cpu.gpr[HS_RSP] = hs_layout_area(&guest->layout, HS_AREA_STACK)->gva.v;
	if (data[0] & 2) {
		make_frame(guest, &cpu, stack);
	}
	if ((data[0] & 4) && guest->layout.arch == HS_ARCH_I686) {
		make_task(guest, &cpu, page_of(guest, HS_AREA_DESCRIPTORS), stack);
	}
	for (size_t at = 1; at + RECORD_BYTES <= size && at < 1 + 8 * RECORD_BYTES; at += RECORD_BYTES) {
		spoil(guest, &cpu, data + at);
	}
	before = cpu;
	if (hs_exception_frame_rewind(&phys, &cpu, &frame, NULL)) {
		CHECK(memcmp(&cpu, &before, sizeof(cpu)) == 0 && frame.vector == 77);
		return 0;
	}
	check_taken_back(&before, &cpu, frame.vector == 8 && (before.rflags & FLAGS_NT));
	return 0;
}
