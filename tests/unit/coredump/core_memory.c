/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core_memory CORE IMAGE: all memory that a core stores whole, as a sparse raw image from physical address 0 on. */
#include <hindsight/coredump.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/** What lies higher would make too long a file for some file systems. */
#define HIGHEST (UINT64_C(1) << 42)

static bool copy(const struct hs_core *core, const struct hs_core_stored *stored, int out)
{
	static const uint8_t zeros[HS_PAGE_SIZE];
	uint8_t page[HS_PAGE_SIZE];

	for (uint64_t at = 0; at < stored->length && stored->gpa.v + at < HIGHEST; at += sizeof(page)) {
		if (pread(hs_core_fd(core), page, sizeof(page), (off_t)(stored->offset + at)) != sizeof(page)) {
			return false;
		}
		if (memcmp(page, zeros, sizeof(page)) != 0 &&
		    pwrite(out, page, sizeof(page), (off_t)(stored->gpa.v + at)) != sizeof(page)) {
			return false;
		}
	}
	/* Zeros at the end count as memory, too. */
	uint64_t end = stored->gpa.v + stored->length;

	return end > HIGHEST || ftruncate(out, (off_t)end) == 0;
}

int main(int argc, char **argv)
{
	struct hs_core *core;
	struct hs_error err;
	int out = argc == 3 ? open(argv[2], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
	bool done = true;

	if (out < 0 || hs_core_open(argv[1], &core, &err)) {
		fprintf(stderr, "usage: core_memory CORE IMAGE, the one a core and the other not there\n");
		return 2;
	}
	for (size_t i = 0; i < hs_core_info(core)->stored_count; i++) {
		done = done && copy(core, hs_core_stored(core, i), out);
	}
	hs_core_close(core);
	return close(out) == 0 && done ? 0 : 1;
}
