/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which parts of a region may hold anything but zeros, without looking at them: a page of anonymous memory comes to be
 * when somebody looks.
 *
 * Private pages are asked of /proc/self/pagemap and not of mincore(2), for which a page that is swapped out is not
 * there; a file's of lseek(2). Where there is no answer, everything may hold something.
 *
 * Source: Linux Documentation/admin-guide/mm/pagemap.rst (the bits), lseek(2).
 */
#include "vmm/ram.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* An entry: 64 bits a page. Bit 63: in memory, bit 62: swapped out or on its way, bit 61: the file's own page. */
#define PAGEMAP_THERE (UINT64_C(3) << 62)
#define PAGEMAP_FILE (UINT64_C(1) << 61)
/* The entries asked for at once: few first, because the next stretch is mostly near, then as many as 2 MiB have. */
#define ENTRIES_FIRST 8u
#define ENTRIES_MOST 512u

/* A stretch of a region, as offsets. */
struct stretch {
	uint64_t start, end;
};

/* The first of the entries that is (or is not) there, and none of `but`; count when none is. */
static uint64_t find_entry(const uint64_t *entries, uint64_t count, uint64_t but, bool there)
{
	uint64_t i = 0;

	while (i < count && ((entries[i] & PAGEMAP_THERE) != 0 && !(entries[i] & but)) != there) {
		i++;
	}
	return i;
}

/* The first run of pages in [first, end) that this process has of its own or has seen, and whose entries have no bit of
 * `but`; false when there is none. */
static bool next_pages(const struct hs_ram_region *region, uint64_t first, uint64_t end, uint64_t but,
		       struct stretch *ret)
{
	HS_CLOSE int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t base = (uintptr_t)region->host / HS_PAGE_SIZE;
	uint64_t entries[ENTRIES_MOST];
	uint64_t want = ENTRIES_FIRST;
	bool found = false;

	for (uint64_t page = first; page < end; want = hs_min_u64(4 * want, ENTRIES_MOST)) {
		uint64_t count = hs_min_u64(want, end - page);
		ssize_t bytes = (ssize_t)(count * sizeof(entries[0]));
		uint64_t at = 0;

		if (fd < 0 || pread(fd, entries, (size_t)bytes, (off_t)((base + page) * sizeof(entries[0]))) != bytes) {
			*ret = (struct stretch){ found ? ret->start : page, end };
			return true;
		}
		if (!found) {
			at = find_entry(entries, count, but, true);
			found = at < count;
			*ret = (struct stretch){ page + at, end };
		}
		at += find_entry(entries + at, count - at, but, false);
		if (found && at < count) {
			ret->end = page + at;
			return true;
		}
		page += count;
	}
	return found;
}

/* The first data of the file at or behind offset `from` of the region; false when there is none. */
static bool next_of_file(const struct hs_ram_region *region, uint64_t from, struct stretch *ret)
{
	off_t data = lseek(region->fd, (off_t)(region->offset + from), SEEK_DATA);
	uint64_t end = 0;
	off_t hole;

	if (data < 0 && errno != ENXIO) {
		*ret = (struct stretch){ from, region->length };
		return true;
	}
	if (data < 0 || (uint64_t)data - region->offset >= region->length) {
		return false;
	}
	hole = lseek(region->fd, data, SEEK_HOLE);
	ret->start = hs_max_u64(from, hs_align_down((uint64_t)data - region->offset, HS_PAGE_SIZE));
	ret->end = region->length;
	if (hole > data && hs_align_up((uint64_t)hole - region->offset, HS_PAGE_SIZE, &end)) {
		ret->end = hs_min_u64(end, region->length);
	}
	return true;
}

bool hs_ram_region_data(const struct hs_ram_region *region, uint64_t from, uint64_t *ret_start, uint64_t *ret_end)
{
	struct stretch file = { region->length, region->length };
	struct stretch pages;
	bool found = false;

	if (region->kind == HS_RAM_BORROWED) {
		file.start = from;
		found = true;
	} else if (region->kind != HS_RAM_ANONYMOUS) {
		found = next_of_file(region, from, &file);
	}
	/* Pages that were written before the file's next data come first. */
	if ((region->kind == HS_RAM_ANONYMOUS || region->kind == HS_RAM_PRIVATE) &&
	    next_pages(region, from / HS_PAGE_SIZE, (file.start + HS_PAGE_SIZE - 1) / HS_PAGE_SIZE, 0, &pages)) {
		file.start = hs_max_u64(from, pages.start * HS_PAGE_SIZE);
		file.end = pages.end * HS_PAGE_SIZE;
		found = true;
	}
	*ret_start = file.start;
	*ret_end = file.end;
	return found;
}

bool hs_ram_region_copies(const struct hs_ram_region *region, uint64_t from, uint64_t *ret_start, uint64_t *ret_end)
{
	struct stretch pages = { from / HS_PAGE_SIZE, region->length / HS_PAGE_SIZE };
	bool found = region->kind != HS_RAM_SHARED;

	if (region->kind == HS_RAM_ANONYMOUS || region->kind == HS_RAM_PRIVATE) {
		found = next_pages(region, pages.start, pages.end, PAGEMAP_FILE, &pages);
	}
	*ret_start = hs_max_u64(from, pages.start * HS_PAGE_SIZE);
	*ret_end = pages.end * HS_PAGE_SIZE;
	return found;
}
