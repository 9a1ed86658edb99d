/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extents of physical memory in a file, ascending and disjoint. See physfile.h. */
#include "coredump/physfile.h"

#include "base/arith.h"
#include "base/error.h"
#include "base/fd_io.h"
#include "coredump/read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/** A run of physical memory that stands in the file in one piece. It ends below 2^64. */
struct extent {
	uint64_t gpa, length, offset;
};

/** Pages kept at hand: a walk reads each table in pieces, and those above it again and again. */
#define SLOTS 32u

struct slot {
	bool used;
	uint64_t gpa;
	uint8_t bytes[HS_PAGE_SIZE];
};

struct hs_physfile {
	struct slot slots[SLOTS];
	int fd;
	bool owns_fd;
	size_t count;
	struct extent extents[];
};

/** The first extent that ends behind gpa, or NULL. */
static const struct extent *find(const struct hs_physfile *file, uint64_t gpa)
{
	size_t low = 0, high = file->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (file->extents[middle].gpa + file->extents[middle].length > gpa) {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	return low < file->count ? &file->extents[low] : NULL;
}

/** The page at gpa, or NULL where it is not whole in the file, or in one piece. */
static const uint8_t *find_page(struct hs_physfile *file, uint64_t gpa)
{
	struct slot *slot = &file->slots[gpa / HS_PAGE_SIZE % SLOTS];

	if (slot->used && slot->gpa == gpa) {
		return slot->bytes;
	}
	const struct extent *extent = find(file, gpa);

	if (extent == NULL || extent->gpa > gpa || extent->length - (gpa - extent->gpa) < sizeof(slot->bytes)) {
		return NULL;
	}
	slot->gpa = gpa;
	slot->used = hs_fd_pread(file->fd, "the file", slot->bytes, sizeof(slot->bytes),
				 extent->offset + (gpa - extent->gpa), NULL) == HS_OK;
	return slot->used ? slot->bytes : NULL;
}

static enum hs_status file_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	struct hs_physfile *file = ctx;
	uint64_t into_page = gpa.v % HS_PAGE_SIZE;
	const uint8_t *page = length <= HS_PAGE_SIZE - into_page ? find_page(file, gpa.v - into_page) : NULL;
	size_t done = 0;

	if (page != NULL) {
		memcpy(buffer, page + into_page, length);
		return HS_OK;
	}
	while (done < length) {
		uint64_t at = gpa.v + done;
		/* One that wrapped around to 0 has left the memory. */
		const struct extent *extent = at >= gpa.v ? find(file, at) : NULL;

		if (extent == NULL || extent->gpa > at) {
			return hs_error_set(err, HS_ERR_UNREADABLE, 0, at, "no physical memory at 0x%llx in the file",
					    (unsigned long long)at);
		}
		uint64_t into = at - extent->gpa;
		size_t part = (size_t)hs_min_u64(length - done, extent->length - into);

		/* A file that was cut off, or a bad disk: this memory cannot be read, the rest can. */
		if (hs_fd_pread(file->fd, "the file", (uint8_t *)buffer + done, part, extent->offset + into, NULL)) {
			return hs_error_set(err, HS_ERR_UNREADABLE, 0, at, "the file has no bytes for 0x%llx",
					    (unsigned long long)at);
		}
		done += part;
	}
	return HS_OK;
}

static int file_next_region(void *ctx, hs_gpa gpa, hs_gpa *ret_start, uint64_t *ret_length)
{
	const struct extent *extent = find(ctx, gpa.v);

	if (extent == NULL) {
		return 0;
	}
	*ret_start = hs_gpa_of(extent->gpa);
	*ret_length = extent->length;
	return 1;
}

/** Holes of the file are zeros that nobody has to read. Without an answer of the file system all is data. */
static int file_next_data(void *ctx, hs_gpa gpa, hs_gpa *ret_start, uint64_t *ret_length)
{
	const struct hs_physfile *file = ctx;
	const struct extent *extent = find(file, gpa.v);

	while (extent != NULL && extent < file->extents + file->count) {
		uint64_t into = gpa.v > extent->gpa ? gpa.v - extent->gpa : 0;
		uint64_t from = extent->offset + into, end = extent->offset + extent->length;
		off_t data = lseek(file->fd, (off_t)from, SEEK_DATA);

		if (data < 0 && errno != ENXIO) {
			data = (off_t)from;
		}
		if (data >= 0 && (uint64_t)data < end) {
			off_t hole = lseek(file->fd, data, SEEK_HOLE);
			/* Whole pages of the memory, wherever those of the file end. */
			uint64_t first = extent->gpa + ((uint64_t)data - extent->offset);
			uint64_t last = extent->gpa + extent->length - 1;

			if (hole >= 0 && (uint64_t)hole < end) {
				last = hs_min_u64(last, (extent->gpa + ((uint64_t)hole - extent->offset) - 1) |
								(HS_PAGE_SIZE - 1));
			}
			first = hs_max_u64(extent->gpa + into, hs_align_down(first, HS_PAGE_SIZE));
			*ret_start = hs_gpa_of(first);
			*ret_length = last - first + 1;
			return 1;
		}
		extent++;
	}
	return 0;
}

bool hs_physfile_find(const struct hs_physfile *file, hs_gpa gpa, uint64_t length, int *ret_fd, uint64_t *ret_offset,
		      uint64_t *ret_length)
{
	const struct extent *extent = find(file, gpa.v);

	if (extent == NULL || extent->gpa > gpa.v) {
		return false;
	}
	uint64_t into = gpa.v - extent->gpa;

	*ret_fd = file->fd;
	*ret_offset = extent->offset + into;
	*ret_length = hs_min_u64(length, extent->length - into);
	return true;
}

void hs_physfile_phys(struct hs_physfile *file, struct hs_phys *ret)
{
	static const struct hs_phys_ops ops = { .read = file_read,
						.next_region = file_next_region,
						.next_data = file_next_data };

	*ret = (struct hs_phys){ .ops = &ops, .ctx = file };
}

static struct hs_physfile *allocate(size_t extents)
{
	struct hs_physfile *file = calloc(1, sizeof(*file) + extents * sizeof(file->extents[0]));

	if (file != NULL) {
		file->fd = -1;
	}
	return file;
}

/** The one extent of a raw image: what the file has now. */
static enum hs_status measure(struct hs_physfile *file, const char *path, hs_gpa base, struct hs_error *err)
{
	struct stat info;

	/* O_NONBLOCK: a FIFO under the name must not hold us up. It has no effect on regular files. */
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	file->owns_fd = true;
	if (file->fd < 0 || fstat(file->fd, &info) != 0) {
		return hs_error_os(err, errno, "cannot open %s", path);
	}
	if (!S_ISREG(info.st_mode)) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "%s: not a memory image: not a regular file", path);
	}
	if (info.st_size == 0) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "%s: not a memory image: it is empty", path);
	}
	if ((uint64_t)info.st_size > UINT64_MAX - base.v) {
		return hs_error_set(err, HS_ERR_RANGE, 0, base.v, "%s: an image of %llu bytes does not fit at 0x%llx",
				    path, (unsigned long long)info.st_size, (unsigned long long)base.v);
	}
	file->count = 1;
	file->extents[0] = (struct extent){ .gpa = base.v, .length = (uint64_t)info.st_size };
	return HS_OK;
}

enum hs_status hs_physfile_open(const char *path, hs_gpa base, struct hs_physfile **ret, struct hs_error *err)
{
	struct hs_physfile *file = allocate(1);

	if (file == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory to open %s", path);
	}
	enum hs_status st = measure(file, path, base, err);

	if (st) {
		hs_physfile_close(file);
		return st;
	}
	*ret = file;
	return HS_OK;
}

static int by_place(const void *a, const void *b)
{
	const struct extent *one = a, *other = b;

	if (one->gpa != other->gpa) {
		return one->gpa < other->gpa ? -1 : 1;
	}
	return (one->offset > other->offset) - (one->offset < other->offset);
}

/** Cut off of each extent what those before it have already. */
static void make_disjoint(struct hs_physfile *file)
{
	uint64_t end = 0;
	size_t kept = 0;

	qsort(file->extents, file->count, sizeof(file->extents[0]), by_place);
	for (size_t i = 0; i < file->count; i++) {
		struct extent extent = file->extents[i];
		uint64_t known = extent.gpa < end ? end - extent.gpa : 0;

		if (known >= extent.length) {
			continue;
		}
		extent.gpa += known;
		extent.offset += known;
		extent.length -= known;
		end = extent.gpa + extent.length;
		file->extents[kept++] = extent;
	}
	file->count = kept;
}

static void add_segments(struct hs_physfile *file, const struct hs_core_segment *segments, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct hs_core_segment *segment = &segments[i];
		/* The file decides what p_paddr is: what it puts behind the last address is not there. */
		uint64_t length = hs_min_u64(segment->stored_length, UINT64_MAX - segment->gpa.v);

		if (length > 0) {
			file->extents[file->count++] =
				(struct extent){ .gpa = segment->gpa.v, .length = length, .offset = segment->offset };
		}
	}
}

enum hs_status hs_physfile_of_core(const struct hs_core *core, struct hs_physfile **ret, struct hs_error *err)
{
	size_t count = core->info.segment_count + core->info.stored_count;

	for (size_t i = 0; i < core->info.space_count; i++) {
		count += core->spaces[i].segment_count;
	}
	struct hs_physfile *file = allocate(count);

	if (file == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the segments of %s", core->path);
	}
	file->fd = core->fd;
	add_segments(file, core->segments, core->info.segment_count);
	for (size_t i = 0; i < core->info.space_count; i++) {
		add_segments(file, core->spaces[i].segments, core->spaces[i].segment_count);
	}
	for (size_t i = 0; i < core->info.stored_count; i++) {
		const struct hs_core_stored *stored = &core->stored[i];

		file->extents[file->count++] = (struct extent){ stored->gpa.v, stored->length, stored->offset };
	}
	make_disjoint(file);
	*ret = file;
	return HS_OK;
}

void hs_physfile_close(struct hs_physfile *file)
{
	if (file == NULL) {
		return;
	}
	if (file->owns_fd && file->fd >= 0) {
		close(file->fd);
	}
	free(file);
}
