/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * make_cores DIRECTORY AMD64_IMAGE I686_IMAGE: writes cores of handmade guests for tests/core, and beside each a
 * file NAME.expected with one fact a line: "register NAME VALUE", "memory ADDRESS BYTES", "segments COUNT".
 *
 * fault-ARCH: the image stands in store_null(), called by middle(), by run(), by _start, with a stack to match.
 * segments-ARCH: 70,000 segments that are views of a few frames. aliases: 40 views of one frame. empty: no memory at
 * all.
 */
#include "guest.h"

#include "arch/regs.h"
#include "base/bytes.h"
#include "symbols/symbols.h"

#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE UINT64_C(0x1000)
#define MANY 70000u
#define STACK_PAGES 4u

static char *directory;

/** An image that is placed into a guest. */
struct image {
	char path[PATH_MAX];
	int fd;
	struct hs_symbols *symbols;
	uint64_t entry, phdr;
	uint16_t phent, phnum;
	uint64_t next_gpa;
	struct hs_core_file files[8];
	size_t file_count;
};

static FILE *write_core(struct guest *guest, const char *name)
{
	struct hs_core_result result;
	struct hs_error err = { 0 };
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s.core", directory, name);
	if (hs_core_write(&guest->input, path, &result, &err) != HS_OK) {
		fail_msg("%s: %s", name, err.message);
	}
	snprintf(path, sizeof(path), "%s/%s.expected", directory, name);
	FILE *facts = fopen(path, "w");

	assert_non_null(facts);
	fprintf(facts, "segments %" PRIu64 "\n", result.segments);
	fprintf(facts, "bytes %" PRIu64 "\n", result.bytes);
	fprintf(facts, "stored %" PRIu64 "\n", result.stored_bytes);
	return facts;
}

static void tell_registers(const struct guest *guest, FILE *facts)
{
	size_t count;
	const struct hs_reg *rows = hs_regs(guest->input.arch, &count);

	for (size_t i = 0; i < count; i++) {
		uint8_t bytes[HS_REG_BYTES_MAX] = { 0 };

		hs_reg_get(&rows[i], &guest->cpu, bytes);
		if (rows[i].prstatus >= 0) {
			fprintf(facts, "register %s 0x%" PRIx64 "\n", rows[i].name, hs_get_le64(bytes));
		}
	}
}

/** Map and copy one PT_LOAD; the pages of two of them never overlap in these images. */
static void load_segment(struct guest *guest, struct image *image, const GElf_Phdr *phdr)
{
	uint64_t start = phdr->p_vaddr & ~(PAGE - 1);
	uint64_t end = (phdr->p_vaddr + phdr->p_memsz + PAGE - 1) & ~(PAGE - 1);
	int prot = HS_PROT_READ | (phdr->p_flags & PF_W ? HS_PROT_WRITE : 0) |
		   (phdr->p_flags & PF_X ? HS_PROT_EXEC : 0);
	uint8_t *bytes = ram_at(&guest->ram, image->next_gpa) + (phdr->p_vaddr - start);

	guest_map(guest, start, image->next_gpa, end - start, prot);
	assert_int_equal(pread(image->fd, bytes, phdr->p_filesz, (off_t)phdr->p_offset), phdr->p_filesz);
	image->files[image->file_count++] = (struct hs_core_file){
		.start = hs_gva_of(start),
		.length = end - start,
		.file_offset = phdr->p_offset & ~(PAGE - 1),
		.path = image->path,
	};
	if (phdr->p_offset == 0) {
		image->phdr = phdr->p_vaddr + (guest->input.arch == HS_ARCH_I686 ? 52 : 64);
	}
	image->next_gpa += end - start;
}

static void load_image(struct guest *guest, struct image *image, const char *path)
{
	struct hs_error err = { 0 };
	GElf_Ehdr header;
	GElf_Phdr phdr;

	memset(image, 0, sizeof(*image));
	image->next_gpa = GUEST_RAM_GPA;
	image->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (realpath(path, image->path) == NULL || image->fd < 0) {
		fail_msg("cannot open %s", path);
	}
	if (hs_symbols_open(image->fd, path, &image->symbols, &err) != HS_OK) {
		fail_msg("%s", err.message);
	}
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(image->fd, ELF_C_READ, NULL);

	assert_non_null(gelf_getehdr(elf, &header));
	image->entry = header.e_entry;
	image->phent = header.e_phentsize;
	image->phnum = header.e_phnum;
	for (int i = 0; i < header.e_phnum; i++) {
		assert_non_null(gelf_getphdr(elf, i, &phdr));
		if (phdr.p_type == PT_LOAD) {
			load_segment(guest, image, &phdr);
		}
	}
	elf_end(elf);
}

/** First or last address of a line of a function: rows of line tables start at instructions. */
static uint64_t address_of(const struct image *image, const char *function, uint32_t line, bool last)
{
	uint64_t found = 0;

	for (uint64_t at = image->entry & ~(PAGE - 1); at < (image->entry & ~(PAGE - 1)) + PAGE; at++) {
		struct hs_symbol symbol;

		if (hs_symbols_lookup(image->symbols, hs_gva_of(at), &symbol) == HS_OK && symbol.line == line &&
		    strcmp(symbol.function, function) == 0 && (last || found == 0)) {
			found = at;
		}
	}
	if (found == 0) {
		fail_msg("%s has no line %u in %s", image->path, line, function);
	}
	return found;
}

/** Lines of image/fault.c and image/start.S where the calls and the store are. */
enum { LINE_STORE = 20, LINE_CALL_STORE = 28, LINE_CALL_MIDDLE = 37, LINE_CALL_RUN = 13 };

/**
 * A stack as these functions make it at -O0: each frame starts with the caller's frame pointer and the return
 * address.
 */
static void make_stack(struct guest *guest, struct image *image)
{
	bool wide = guest->input.arch == HS_ARCH_AMD64;
	unsigned int word = wide ? 8 : 4;
	uint64_t base = wide ? UINT64_C(0x7FFFFFFF0000) : 0xBFFF0000;
	uint64_t gpa = image->next_gpa;
	const uint64_t frames[3] = { base + 0x3E00, base + 0x3E80, base + 0x3F00 }; /* store_null, middle, run */
	/* Readers look a return address up less one, so the end of the call's line is as good as behind the call. */
	const uint64_t returns[3] = {
		address_of(image, "middle", LINE_CALL_STORE, true) + 1,
		address_of(image, "run", LINE_CALL_MIDDLE, true) + 1,
		address_of(image, "_start", LINE_CALL_RUN, true) + 1,
	};

	guest_map(guest, base, gpa, STACK_PAGES * PAGE, GUEST_RW);
	uint8_t *bytes = ram_at(&guest->ram, gpa);

	for (unsigned int i = 0; i < 3; i++) {
		hs_put_le(bytes + (frames[i] - base), i < 2 ? frames[i + 1] : 0, word);
		hs_put_le(bytes + (frames[i] - base) + word, returns[i], word);
	}
	if (wide) { /* parameters are spilt below the frame pointer */
		hs_put_le64(bytes + (frames[0] - base) - 8, 0x10);
		hs_put_le32(bytes + (frames[0] - base) - 12, 77);
	} else { /* or stand above the return address */
		hs_put_le32(bytes + (frames[0] - base) + 8, 0x10);
		hs_put_le32(bytes + (frames[0] - base) + 12, 77);
	}
	guest->cpu.gpr[HS_RBP] = frames[0];
	guest->cpu.gpr[HS_RSP] = frames[0] - 0x20;
	guest->cpu.rip = address_of(image, "store_null", LINE_STORE, false);
	guest->cpu.rflags = 0x10202;
}

static void make_fault(enum hs_arch arch, const char *image_path)
{
	struct guest guest;
	struct image image;
	char name[64];

	guest_init(&guest, arch, true);
	load_image(&guest, &image, image_path);
	make_stack(&guest, &image);
	/* A page of data between two of zeros, and a view of it elsewhere. */
	guest_map(&guest, 0x10000000, GUEST_RAM_GPA + 0x80000, 16 * PAGE, GUEST_RW);
	guest_fill(&guest, GUEST_RAM_GPA + 0x85000, PAGE);
	guest_map(&guest, 0x20000000, GUEST_RAM_GPA + 0x84000, 2 * PAGE, HS_PROT_READ);
	guest.input.auxv = (struct hs_core_auxv){
		.entry = image.entry, .phdr = image.phdr, .phent = image.phent, .phnum = image.phnum
	};
	guest.input.files = image.files;
	guest.input.file_count = image.file_count;
	snprintf(name, sizeof(name), "fault-%s", hs_arch_name(arch));
	FILE *facts = write_core(&guest, name);

	tell_registers(&guest, facts);
	fprintf(facts, "memory 0x10005008 0x%" PRIx64 "\n", hs_get_le64(ram_at(&guest.ram, GUEST_RAM_GPA + 0x85008)));
	fprintf(facts, "memory 0x20001008 0x%" PRIx64 "\n", hs_get_le64(ram_at(&guest.ram, GUEST_RAM_GPA + 0x85008)));
	fprintf(facts, "memory 0x10004ff8 0x0\n");
	fprintf(facts, "memory 0x1000f000 0x0\n");
	fclose(facts);
	hs_symbols_close(image.symbols);
	close(image.fd);
	guest_deinit(&guest);
}

/** Every second page is another frame, and every fourth another permission: nothing can be joined. */
static void make_segments(enum hs_arch arch)
{
	struct guest guest;
	char name[64];

	guest_init(&guest, arch, true);
	guest_fill(&guest, GUEST_RAM_GPA, 4 * PAGE);
	for (uint64_t i = 0; i < MANY; i++) {
		guest_map(&guest, 0x10000000 + i * PAGE, GUEST_RAM_GPA + (3 - i % 4) * PAGE, PAGE,
			  i % 2 ? GUEST_RW : HS_PROT_READ);
	}
	snprintf(name, sizeof(name), "segments-%s", hs_arch_name(arch));
	FILE *facts = write_core(&guest, name);

	tell_registers(&guest, facts);
	fprintf(facts, "memory 0x10000010 0x%" PRIx64 "\n", hs_get_le64(ram_at(&guest.ram, GUEST_RAM_GPA + 0x3010)));
	fprintf(facts, "memory 0x%" PRIx64 " 0x%" PRIx64 "\n", 0x10000000 + (MANY - 1) * PAGE,
		hs_get_le64(ram_at(&guest.ram, GUEST_RAM_GPA + (3 - (MANY - 1) % 4) * PAGE)));
	fclose(facts);
	guest_deinit(&guest);
}

static void make_aliases(void)
{
	struct guest guest;

	guest_init(&guest, HS_ARCH_AMD64, false);
	guest_fill(&guest, GUEST_RAM_GPA + 7 * PAGE, PAGE);
	for (uint64_t i = 0; i < 40; i++) {
		guest_map(&guest, 0x400000 + 2 * i * PAGE, GUEST_RAM_GPA + 7 * PAGE, PAGE, GUEST_RW);
	}
	FILE *facts = write_core(&guest, "aliases");

	for (uint64_t i = 0; i < 40; i++) {
		fprintf(facts, "memory 0x%" PRIx64 " 0x%" PRIx64 "\n", 0x400FF8 + 2 * i * PAGE,
			hs_get_le64(ram_at(&guest.ram, GUEST_RAM_GPA + 7 * PAGE + 0xFF8)));
	}
	fclose(facts);
	guest_deinit(&guest);
}

static void make_empty(void)
{
	struct guest guest;

	guest_init(&guest, HS_ARCH_I686, true);
	guest.input.signal = 0;
	FILE *facts = write_core(&guest, "empty");

	tell_registers(&guest, facts);
	fclose(facts);
	guest_deinit(&guest);
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: make_cores DIRECTORY AMD64_IMAGE I686_IMAGE\n");
		return 2;
	}
	directory = argv[1];
	make_fault(HS_ARCH_AMD64, argv[2]);
	make_fault(HS_ARCH_I686, argv[3]);
	make_segments(HS_ARCH_AMD64);
	make_segments(HS_ARCH_I686);
	make_aliases();
	make_empty();
	return 0;
}
