/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image in the memory of a fake target. */
#include "fake_target.h"

#include "base/arith.h"
#include "base/error.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool load_segment(struct fake_target *fake, uint64_t start, uint64_t in_file, uint64_t in_memory,
			 uint64_t offset)
{
	uint64_t first = hs_align_down(start, HS_PAGE_SIZE);
	uint64_t end = hs_align_down(start + in_memory + HS_PAGE_SIZE - 1, HS_PAGE_SIZE);
	uint8_t *to;

	if (in_memory == 0) {
		return true;
	}
	to = fake_add_memory(fake, first, end - first);
	return pread(fake->info.image_fd, to + (start - first), in_file, (off_t)offset) == (ssize_t)in_file;
}

/* The test's own image, which the linker made: its headers are believed. */
static bool load_segments(struct fake_target *fake)
{
	int fd = fake->info.image_fd;
	Elf64_Ehdr e64;
	Elf32_Ehdr e32;

	if (fake->info.arch == HS_ARCH_AMD64) {
		if (pread(fd, &e64, sizeof(e64), 0) != sizeof(e64)) {
			return false;
		}
		fake->info.entry = e64.e_entry;
		for (size_t i = 0; i < e64.e_phnum; i++) {
			Elf64_Phdr p;

			if (pread(fd, &p, sizeof(p), (off_t)(e64.e_phoff + i * sizeof(p))) != sizeof(p) ||
			    (p.p_type == PT_LOAD &&
			     !load_segment(fake, p.p_vaddr, p.p_filesz, p.p_memsz, p.p_offset))) {
				return false;
			}
		}
		return true;
	}
	if (pread(fd, &e32, sizeof(e32), 0) != sizeof(e32)) {
		return false;
	}
	fake->info.entry = e32.e_entry;
	for (size_t i = 0; i < e32.e_phnum; i++) {
		Elf32_Phdr p;

		if (pread(fd, &p, sizeof(p), (off_t)(e32.e_phoff + i * sizeof(p))) != sizeof(p) ||
		    (p.p_type == PT_LOAD && !load_segment(fake, p.p_vaddr, p.p_filesz, p.p_memsz, p.p_offset))) {
			return false;
		}
	}
	return true;
}

bool fake_load(struct fake_target *fake, const char *path)
{
	fake->info.image_fd = open(path, O_RDONLY | O_CLOEXEC);
	fake->info.image_path = path;
	if (fake->info.image_fd < 0 || !load_segments(fake)) {
		return false;
	}
	fake_add_memory(fake, 0x70000000, 0x10000);
	fake->cpu.gpr[HS_RSP] = 0x7000f000;
	fake->cpu.rip = fake->info.entry;
	fake->simulate = true;
	return true;
}
