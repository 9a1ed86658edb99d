/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes as an image, registers and a stack: the symbols and the backtrace of one of the images of tests/unit/symbols,
 * whose symbol table, DWARF and call-frame information are spoilt. What must hold: it ends, harms nothing, gives at
 * least one frame and no more than asked for, with strings in each.
 *
 * Input: one byte for the image and how many bytes are spoilt, for each of these 4 bytes: a section (u8), an offset in
 * it (u16), the value; then rip, rsp and rbp as an offset in code and offsets in the stack (u16 each); then the stack.
 */
#include "driver.h"

#include "arch/regs.h"
#include "base/bytes.h"
#include "symbols/unwind.h"

#include <fcntl.h>
#include <gelf.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTIONS_MAX 24
#define STACK 0x100000u
#define FRAMES 40u

struct range {
	uint64_t offset, length;
};

/** An image, whole and as a file that is spoilt and put right again. */
struct image {
	uint8_t *bytes;
	size_t length;
	int fd;
	bool is_64;
	uint64_t code, code_length;
	struct range sections[SECTIONS_MAX]; /* those worth spoiling */
	size_t section_count;
};

struct stack {
	const uint8_t *bytes;
	size_t length;
};

static bool read_stack(void *context, hs_gva gva, void *ret, size_t length)
{
	const struct stack *stack = context;

	if (gva.v < STACK || gva.v - STACK > stack->length || length > stack->length - (gva.v - STACK)) {
		return false;
	}
	memcpy(ret, stack->bytes + (gva.v - STACK), length);
	return true;
}

static void find_sections(struct image *image)
{
	Elf *elf = elf_memory((char *)image->bytes, image->length);
	Elf_Scn *scn = NULL;
	GElf_Ehdr header;
	GElf_Shdr section;

	CHECK(elf != NULL && gelf_getehdr(elf, &header) != NULL);
	image->is_64 = header.e_machine == EM_X86_64;
	image->sections[image->section_count++] =
		(struct range){ header.e_shoff, (uint64_t)header.e_shnum * header.e_shentsize };
	while ((scn = elf_nextscn(elf, scn)) != NULL && image->section_count < SECTIONS_MAX) {
		CHECK(gelf_getshdr(scn, &section) != NULL);
		if (section.sh_flags & SHF_EXECINSTR) {
			image->code = section.sh_addr;
			image->code_length = section.sh_size;
		} else if (section.sh_type != SHT_NOBITS && section.sh_size > 0 && !(section.sh_flags & SHF_WRITE)) {
			image->sections[image->section_count++] = (struct range){ section.sh_offset, section.sh_size };
		}
	}
	elf_end(elf);
}

static void image_init(struct image *image, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat info;

	CHECK(fd >= 0 && fstat(fd, &info) == 0);
	image->length = (size_t)info.st_size;
	image->bytes = malloc(image->length);
	image->fd = memfd_create("image", MFD_CLOEXEC);
	CHECK(image->bytes != NULL && image->fd >= 0);
	CHECK(read(fd, image->bytes, image->length) == (ssize_t)image->length);
	CHECK(pwrite(image->fd, image->bytes, image->length, 0) == (ssize_t)image->length);
	close(fd);
	CHECK(elf_version(EV_CURRENT) != EV_NONE);
	find_sections(image);
}

/** Where in the file a record of 4 bytes leads. */
static uint64_t place_of(const struct image *image, const uint8_t *record)
{
	const struct range *range = &image->sections[record[0] % image->section_count];

	return range->offset + hs_get_le16(record + 1) % range->length;
}

static void use(struct hs_symbols *symbols, const struct image *image, const uint8_t *data, size_t size)
{
	static struct hs_unwind_frame frames[FRAMES];
	struct hs_cpu_state cpu;
	struct hs_unwind_result result;
	struct stack stack = { data + 6, size - 6 };
	const struct hs_unwind_input input = {
		.arch = image->is_64 ? HS_ARCH_AMD64 : HS_ARCH_I686,
		.cpu = &cpu,
		.symbols = symbols,
		.memory = { .read = read_stack, .context = &stack },
	};
	size_t capacity = 1 + data[0] % FRAMES;

	hs_cpu_state_init(&cpu);
	for (int i = 0; i < HS_GPR_COUNT; i++) {
		cpu.gpr[i] = STACK + (uint64_t)i;
	}
	cpu.rip = image->code + hs_get_le16(data) % image->code_length;
	cpu.gpr[HS_RSP] = STACK + hs_get_le16(data + 2) % (stack.length + 16);
	cpu.gpr[HS_RBP] = STACK + hs_get_le16(data + 4) % (stack.length + 16);
	hs_unwind(&input, frames, capacity, &result);
	CHECK(result.count >= 1 && result.count <= capacity);
	for (size_t i = 0; i < result.count; i++) {
		CHECK(strlen(frames[i].symbol.function) < 65536 && strlen(frames[i].symbol.file) < 65536);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const PATHS[] = { SYMBOLS_IMAGES };
	static struct image images[sizeof(PATHS) / sizeof(PATHS[0])];
	struct hs_symbols *symbols = NULL;
	size_t count = size > 0 ? (data[0] >> 2) % 16 : 0;

	for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]) && images[i].bytes == NULL; i++) {
		image_init(&images[i], PATHS[i]);
	}
	if (size < 1 + 4 * count + 6) {
		return 0;
	}
	const struct image *image = &images[data[0] % 4 % (sizeof(PATHS) / sizeof(PATHS[0]))];

	for (size_t i = 0; i < count; i++) {
		const uint8_t *record = data + 1 + 4 * i;

		CHECK(pwrite(image->fd, record + 3, 1, (off_t)place_of(image, record)) == 1);
	}
	if (hs_symbols_open(image->fd, "image", &symbols, NULL) == HS_OK) {
		use(symbols, image, data + 1 + 4 * count, size - 1 - 4 * count);
		hs_symbols_close(symbols);
	}
	for (size_t i = 0; i < count; i++) {
		uint64_t place = place_of(image, data + 1 + 4 * i);

		CHECK(pwrite(image->fd, image->bytes + place, 1, (off_t)place) == 1);
	}
	return 0;
}
