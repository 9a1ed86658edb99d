/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a path to a struct hs_image: the file itself, the ELF header, the program headers. Notes and the dynamic section
 * are in image_notes.c, the rules on addresses in image_check.c. libelf decodes; it reads with pread(), never by a
 * mapping, so a file that shrinks under us is an error and not a SIGBUS.
 */
#include "vmm/loader.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "vmm/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Longest part of a path in a message: HS_ERROR_MESSAGE_MAX leaves 200 for the problem. */
#define PATH_SHOWN_MAX 110

/* In parentheses because it is a macro under the static analyzer. */
enum hs_status(hs_image_fail)(const char *path, enum hs_status status, uint64_t where, struct hs_error *err,
			      const char *format, ...)
{
	char problem[HS_ERROR_MESSAGE_MAX];
	size_t length = strlen(path);
	va_list args;

	va_start(args, format);
	vsnprintf(problem, sizeof(problem), format, args);
	va_end(args);
	if (length > PATH_SHOWN_MAX) {
		return hs_error_set(err, status, 0, where, "...%s %s", path + (length - PATH_SHOWN_MAX), problem);
	}
	return hs_error_set(err, status, 0, where, "%s %s", path, problem);
}

enum hs_status hs_image_check_in_file(const struct hs_image_file *file, size_t index, uint64_t offset, uint64_t length,
				      struct hs_error *err)
{
	if (hs_range_within(offset, length, file->bytes)) {
		return HS_OK;
	}
	return hs_image_fail(
		file->image->path, HS_ERR_FORMAT, offset, err,
		"is truncated or broken: program header %zu wants %llu bytes from byte %llu of a file of %llu", index,
		(unsigned long long)length, (unsigned long long)offset, (unsigned long long)file->bytes);
}

/* A file without a name (deleted, or in memory only) that was opened through /proc keeps that path, which is
 * absolute. */
static enum hs_status keep_path(struct hs_image *image, const char *path, struct hs_error *err)
{
	image->path = realpath(path, NULL);
	if (!image->path && errno == ENOENT && path[0] == '/') {
		image->path = strdup(path);
	}
	if (!image->path) {
		return hs_error_os(err, errno, "cannot resolve the path %.*s", PATH_SHOWN_MAX, path);
	}
	return HS_OK;
}

/* O_NONBLOCK, because opening a FIFO would wait for a writer; it means nothing for the regular file this must be. */
static enum hs_status open_file(struct hs_image_file *file, const char *path, struct hs_error *err)
{
	struct stat status;

	file->image->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (file->image->fd < 0) {
		return hs_error_os(err, errno, "cannot open %.*s", PATH_SHOWN_MAX, path);
	}
	if (fstat(file->image->fd, &status) != 0) {
		return hs_error_os(err, errno, "cannot stat %.*s", PATH_SHOWN_MAX, path);
	}
	if (!S_ISREG(status.st_mode)) {
		return hs_image_fail(path, HS_ERR_FORMAT, 0, err, "is a %s, not an ELF image",
				     S_ISDIR(status.st_mode) ? "directory" : "device, pipe or socket");
	}
	if (status.st_size == 0) {
		return hs_image_fail(path, HS_ERR_FORMAT, 0, err, "is empty, not an ELF image");
	}
	file->bytes = (uint64_t)status.st_size;
	return keep_path(file->image, path, err);
}

static const char *machine_name(unsigned int machine)
{
	static const struct {
		unsigned int machine;
		const char *name;
	} names[] = {
		{ EM_ARM, " (ARM)" },         { EM_PPC64, " (PowerPC)" }, { EM_S390, " (s390)" },
		{ EM_AARCH64, " (AArch64)" }, { EM_RISCV, " (RISC-V)" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].machine == machine) {
			return names[i].name;
		}
	}
	return "";
}

static enum hs_status check_machine(const struct hs_image_file *file, struct hs_error *err)
{
	const char *path = file->image->path;
	unsigned int machine = file->header.e_machine;
	unsigned int class = file->header.e_ident[EI_CLASS];

	if (file->header.e_ident[EI_DATA] != ELFDATA2LSB) {
		return hs_image_fail(path, HS_ERR_UNSUPPORTED, EI_DATA, err,
				     "is a big-endian ELF image; a guest is little-endian");
	}
	if (machine == EM_X86_64 && class == ELFCLASS64) {
		file->image->arch = HS_ARCH_AMD64;
		return HS_OK;
	}
	if (machine == EM_386 && class == ELFCLASS32) {
		file->image->arch = HS_ARCH_I686;
		return HS_OK;
	}
	if (machine == EM_X86_64) {
		return hs_image_fail(path, HS_ERR_UNSUPPORTED, EI_CLASS, err,
				     "is an x32 image (ELF32 for x86-64); compile with -m64 or -m32");
	}
	if (machine == EM_386) {
		return hs_image_fail(path, HS_ERR_FORMAT, EI_CLASS, err,
				     "is an ELF64 image for the i386, which cannot be");
	}
	return hs_image_fail(path, HS_ERR_UNSUPPORTED, offsetof(Elf64_Ehdr, e_machine), err,
			     "is for ELF machine %u%s; a guest is amd64 (62) or i686 (3)", machine,
			     machine_name(machine));
}

static enum hs_status check_type(const struct hs_image_file *file, struct hs_error *err)
{
	const char *what;

	switch (file->header.e_type) {
	case ET_EXEC:
	case ET_DYN:
		return HS_OK;
	case ET_REL:
		what = "is an object file; link it first";
		break;
	case ET_CORE:
		what = "is a core file, not a guest image";
		break;
	default:
		return hs_image_fail(file->image->path, HS_ERR_FORMAT, offsetof(Elf64_Ehdr, e_type), err,
				     "is an ELF file of the unknown type %u", file->header.e_type);
	}
	return hs_image_fail(file->image->path, HS_ERR_UNSUPPORTED, offsetof(Elf64_Ehdr, e_type), err, "%s", what);
}

static enum hs_status read_header(struct hs_image_file *file, struct hs_error *err)
{
	const char *path = file->image->path;
	enum hs_status st;

	/* Of libelf's state, this says which version of the ELF standard we know; it is the same for every user of
	 * it. */
	elf_version(EV_CURRENT);
	file->elf = elf_begin(file->image->fd, ELF_C_READ, NULL);
	if (file->elf && elf_kind(file->elf) != ELF_K_ELF) {
		return hs_image_fail(path, HS_ERR_FORMAT, 0, err, "is not an ELF image");
	}
	/* libelf gives no handle when what the header says does not fit the file. */
	if (!file->elf || !gelf_getehdr(file->elf, &file->header)) {
		return hs_image_fail(path, HS_ERR_FORMAT, 0, err, "has a broken or truncated ELF header");
	}
	st = check_machine(file, err);
	if (st) {
		return st;
	}
	return check_type(file, err);
}

static enum hs_status check_phdr_table(const struct hs_image_file *file, struct hs_error *err)
{
	const char *path = file->image->path;
	const GElf_Ehdr *header = &file->header;
	size_t entry_bytes = gelf_fsize(file->elf, ELF_T_PHDR, 1, EV_CURRENT);

	if (header->e_phnum == 0) {
		return hs_image_fail(path, HS_ERR_FORMAT, 0, err, "has no program headers: there is nothing to load");
	}
	if (header->e_phnum == PN_XNUM) {
		return hs_image_fail(path, HS_ERR_UNSUPPORTED, 0, err, "has more than 65534 program headers");
	}
	if (header->e_phentsize != entry_bytes) {
		return hs_image_fail(path, HS_ERR_FORMAT, 0, err, "has program headers of %u bytes instead of %zu",
				     header->e_phentsize, entry_bytes);
	}
	if (!hs_range_within(header->e_phoff, (uint64_t)header->e_phnum * entry_bytes, file->bytes)) {
		return hs_image_fail(path, HS_ERR_FORMAT, header->e_phoff, err,
				     "is truncated: its program headers end behind the end of the file");
	}
	return HS_OK;
}

/* x86 page tables cannot deny reading to what may write or execute (SDM vol. 3A 4.6). */
static int prot_of(uint32_t flags)
{
	int prot = 0;

	if (flags & (PF_R | PF_W | PF_X)) {
		prot |= HS_PROT_READ;
	}
	if (flags & PF_W) {
		prot |= HS_PROT_WRITE;
	}
	if (flags & PF_X) {
		prot |= HS_PROT_EXEC;
	}
	return prot;
}

/* Put a segment at its place in the ascending list. */
static void insert_segment(struct hs_image *image, const struct hs_image_segment *segment)
{
	size_t at = image->segment_count;

	while (at > 0 && image->segments[at - 1].gva.v > segment->gva.v) {
		image->segments[at] = image->segments[at - 1];
		at--;
	}
	image->segments[at] = *segment;
	image->segment_count++;
}

static enum hs_status add_load(const struct hs_image_file *file, size_t index, const GElf_Phdr *phdr,
			       struct hs_error *err)
{
	struct hs_image *image = file->image;
	struct hs_image_segment segment = {
		.gva = hs_gva_of(phdr->p_vaddr),
		.length = phdr->p_memsz,
		.file_offset = phdr->p_offset,
		.file_length = phdr->p_filesz,
		.paddr = hs_gpa_of(phdr->p_paddr),
		.prot = prot_of(phdr->p_flags),
	};
	enum hs_status st;

	if (phdr->p_filesz > phdr->p_memsz) {
		return hs_image_fail(
			image->path, HS_ERR_FORMAT, 0, err,
			"is broken: program header %zu has more bytes in the file (%llu) than in memory (%llu)", index,
			(unsigned long long)phdr->p_filesz, (unsigned long long)phdr->p_memsz);
	}
	if (phdr->p_memsz == 0) {
		return HS_OK;
	}
	if (phdr->p_filesz > 0) {
		st = hs_image_check_in_file(file, index, phdr->p_offset, phdr->p_filesz, err);
		if (st) {
			return st;
		}
	}
	if (image->segment_count == HS_IMAGE_SEGMENTS_MAX) {
		return hs_image_fail(image->path, HS_ERR_UNSUPPORTED, 0, err, "has more than %d segments to load",
				     HS_IMAGE_SEGMENTS_MAX);
	}
	insert_segment(image, &segment);
	return HS_OK;
}

static enum hs_status read_segments(const struct hs_image_file *file, struct hs_error *err)
{
	GElf_Phdr phdr;
	enum hs_status st;

	for (size_t i = 0; i < file->header.e_phnum; i++) {
		if (!gelf_getphdr(file->elf, (int)i, &phdr)) {
			return hs_image_fail(file->image->path, HS_ERR_FORMAT, file->header.e_phoff, err,
					     "has program headers that cannot be read");
		}
		if (phdr.p_type != PT_LOAD) {
			continue;
		}
		st = add_load(file, i, &phdr, err);
		if (st) {
			return st;
		}
	}
	if (file->image->segment_count == 0) {
		return hs_image_fail(file->image->path, HS_ERR_FORMAT, 0, err,
				     "has no segment with any memory (PT_LOAD): there is nothing to load");
	}
	return HS_OK;
}

static void take_addresses(const struct hs_image_file *file)
{
	struct hs_image *image = file->image;

	image->entry = file->header.e_entry;
	image->lowest = image->segments[0].gva.v;
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct hs_image_segment *segment = &image->segments[i];

		image->highest = hs_max_u64(image->highest, segment->gva.v + (segment->length - 1));
	}
}

/* The program headers as the guest sees them, for AT_PHDR in a core: where the segment that holds their bytes puts
 * them. */
static void locate_phdrs(const struct hs_image_file *file)
{
	struct hs_image *image = file->image;
	uint64_t length = (uint64_t)file->header.e_phnum * file->header.e_phentsize;

	image->phnum = file->header.e_phnum;
	image->phentsize = file->header.e_phentsize;
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct hs_image_segment *segment = &image->segments[i];
		uint64_t within = file->header.e_phoff - segment->file_offset;

		if (file->header.e_phoff >= segment->file_offset &&
		    hs_range_within(within, length, segment->file_length)) {
			image->phdr = segment->gva.v + within;
			return;
		}
	}
}

static enum hs_status read_image(struct hs_image_file *file, const char *path, struct hs_error *err)
{
	enum hs_status st = open_file(file, path, err);

	if (st) {
		return st;
	}
	st = read_header(file, err);
	if (st) {
		return st;
	}
	st = check_phdr_table(file, err);
	if (st) {
		return st;
	}
	st = read_segments(file, err);
	if (st) {
		return st;
	}
	take_addresses(file);
	locate_phdrs(file);
	st = hs_image_read_notes(file, err);
	if (st || file->image->kind == HS_IMAGE_PVH) {
		return st;
	}
	st = hs_image_check_static(file, err);
	if (st) {
		return st;
	}
	return hs_image_check(file->image, err);
}

enum hs_status hs_image_open(const char *path, struct hs_image **ret, struct hs_error *err)
{
	struct hs_image_file file = { .image = calloc(1, sizeof(*file.image)) };
	enum hs_status st;

	if (!file.image) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the description of an image");
	}
	file.image->fd = -1;
	st = read_image(&file, path, err);
	elf_end(file.elf);
	if (st) {
		hs_image_close(file.image);
		return st;
	}
	*ret = file.image;
	return HS_OK;
}

void hs_image_close(struct hs_image *image)
{
	if (!image) {
		return;
	}
	if (image->fd >= 0) {
		close(image->fd);
	}
	free(image->path);
	free(image);
}
