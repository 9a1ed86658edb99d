/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guest-physical memory: regions, what is behind them, and their bytes as a struct hs_phys. */
#include "vmm/ram.h"

#include "base/arith.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void hs_ram_init(struct hs_ram *ram)
{
	*ram = (struct hs_ram){ .count = 0 };
}

static void release(struct hs_ram_region *region)
{
	if (region->kind != HS_RAM_BORROWED) {
		munmap(region->host, region->length);
	}
	if (region->fd >= 0) {
		close(region->fd);
	}
}

void hs_ram_deinit(struct hs_ram *ram)
{
	for (size_t i = 0; i < ram->count; i++) {
		release(&ram->regions[i]);
	}
	ram->count = 0;
}

static bool is_of_file(enum hs_ram_kind kind)
{
	return kind == HS_RAM_PRIVATE || kind == HS_RAM_SHARED;
}

static const char *name_of(const char *name)
{
	return name ? name : "memory region";
}

/* How many regions end at or below gpa: the index of the first that gpa is in or before. */
static size_t count_below(const struct hs_ram *ram, uint64_t gpa)
{
	size_t low = 0;
	size_t high = ram->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct hs_ram_region *region = &ram->regions[middle];

		if (region->gpa.v + (region->length - 1) < gpa) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

static enum hs_status check_place(const struct hs_ram *ram, const struct hs_ram_region *region, struct hs_error *err)
{
	uint64_t last;

	if (region->length == 0 || region->gpa.v % HS_PAGE_SIZE || region->length % HS_PAGE_SIZE ||
	    !hs_add_u64(region->gpa.v, region->length - 1, &last)) {
		return hs_error_set(err, HS_ERR_RANGE, 0, region->gpa.v,
				    "%s at gpa 0x%llx of 0x%llx bytes: not page-aligned, empty or wrapping",
				    region->name, (unsigned long long)region->gpa.v,
				    (unsigned long long)region->length);
	}
	for (size_t i = 0; i < ram->count; i++) {
		const struct hs_ram_region *other = &ram->regions[i];

		if (hs_ranges_overlap(region->gpa.v, region->length, other->gpa.v, other->length)) {
			return hs_error_set(err, HS_ERR_RANGE, 0, region->gpa.v,
					    "%s at gpa 0x%llx overlaps the %s at gpa 0x%llx", region->name,
					    (unsigned long long)region->gpa.v, other->name,
					    (unsigned long long)other->gpa.v);
		}
	}
	if (ram->count == HS_RAM_REGIONS_MAX) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, region->gpa.v, "more than %d memory regions",
				    HS_RAM_REGIONS_MAX);
	}
	return HS_OK;
}

/* Behind the page in which a file ends there is nothing: an access would be a SIGBUS (mmap(2)). */
static enum hs_status check_file(const struct hs_ram_region *region, const struct hs_ram_source *source,
				 struct hs_error *err)
{
	struct stat info;
	uint64_t there = 0;

	if (fstat(source->fd, &info)) {
		return hs_error_os(err, errno, "%s: cannot look at its file", region->name);
	}
	if (source->offset % HS_PAGE_SIZE || !hs_align_up((uint64_t)info.st_size, HS_PAGE_SIZE, &there) ||
	    !hs_range_within(source->offset, region->length, there)) {
		return hs_error_set(err, HS_ERR_RANGE, 0, source->offset,
				    "%s: 0x%llx bytes from 0x%llx are not whole pages of a file of %lld bytes",
				    region->name, (unsigned long long)region->length,
				    (unsigned long long)source->offset, (long long)info.st_size);
	}
	return HS_OK;
}

/* Map what the source says, anywhere. */
static enum hs_status map(struct hs_ram_region *region, const struct hs_ram_source *source, struct hs_error *err)
{
	int prot = source->kind == HS_RAM_SHARED ? PROT_READ : PROT_READ | PROT_WRITE;
	int flags = source->kind == HS_RAM_SHARED ? MAP_SHARED : MAP_PRIVATE;
	enum hs_status st;
	void *host;

	region->kind = source->kind;
	region->read_only = source->read_only || source->kind == HS_RAM_SHARED;
	region->host_read_only = source->kind == HS_RAM_SHARED ||
				 (source->kind == HS_RAM_BORROWED && source->read_only);
	region->fd = -1;
	if (source->kind == HS_RAM_BORROWED) {
		region->host = source->host;
		return HS_OK;
	}
	if (is_of_file(source->kind)) {
		st = check_file(region, source, err);
		if (st) {
			return st;
		}
		region->offset = source->offset;
		region->fd = fcntl(source->fd, F_DUPFD_CLOEXEC, 0);
		if (region->fd < 0) {
			return hs_error_os(err, errno, "%s: cannot keep its file open", region->name);
		}
	} else {
		flags |= MAP_ANONYMOUS;
	}
	/* No reservation: a guest with a large heap costs what it touches. */
	host = mmap(NULL, region->length, prot, flags | MAP_NORESERVE, region->fd, (off_t)region->offset);
	if (host == MAP_FAILED) {
		st = hs_error_os(err, errno, "%s: cannot map %llu bytes", region->name,
				 (unsigned long long)region->length);
		if (region->fd >= 0) {
			close(region->fd);
		}
		return st;
	}
	region->host = host;
	return HS_OK;
}

enum hs_status hs_ram_add(struct hs_ram *ram, hs_gpa gpa, uint64_t length, const struct hs_ram_source *source,
			  struct hs_error *err)
{
	static const struct hs_ram_source anonymous;
	const struct hs_ram_source *from = source ? source : &anonymous;
	struct hs_ram_region region = { .gpa = gpa, .length = length, .name = name_of(from->name) };
	enum hs_status st = check_place(ram, &region, err);
	size_t place;

	if (!st && from->kind == HS_RAM_BORROWED && (!from->host || (uintptr_t)from->host % HS_PAGE_SIZE)) {
		st = hs_error_set(err, HS_ERR_RANGE, 0, gpa.v, "%s: the host memory at %p is not page-aligned",
				  region.name, from->host);
	}
	if (!st) {
		st = map(&region, from, err);
	}
	if (st) {
		return st;
	}
	place = count_below(ram, gpa.v);
	memmove(&ram->regions[place + 1], &ram->regions[place], (ram->count - place) * sizeof(ram->regions[0]));
	ram->regions[place] = region;
	ram->count++;
	return HS_OK;
}

static void tell(const struct hs_ram *ram, hs_gpa gpa, uint64_t length)
{
	if (ram->written) {
		ram->written(ram->written_ctx, gpa, length);
	}
}

enum hs_status hs_ram_replace(struct hs_ram *ram, size_t index, const struct hs_ram_source *source,
			      struct hs_error *err)
{
	struct hs_ram_region *region = &ram->regions[index];
	struct hs_ram_region next = *region;
	enum hs_status st;

	if (region->kind == HS_RAM_BORROWED || source->kind == HS_RAM_BORROWED ||
	    region->read_only != (source->read_only || source->kind == HS_RAM_SHARED)) {
		return hs_error_set(err, HS_ERR_INVALID, 0, region->gpa.v,
				    "the %s at gpa 0x%llx cannot be replaced: it is somebody's own memory, or the "
				    "guest may write to one of the two only",
				    region->name, (unsigned long long)region->gpa.v);
	}
	next.name = name_of(source->name);
	next.offset = 0;
	/* Elsewhere first: what the host refuses it refuses here, with the old mapping still in its place. */
	st = map(&next, source, err);
	if (st) {
		return st;
	}
	if (mremap(next.host, next.length, next.length, MREMAP_MAYMOVE | MREMAP_FIXED, region->host) == MAP_FAILED) {
		st = hs_error_os(err, ENOMEM, "%s: cannot move the mapping to its place", next.name);
		release(&next);
		/* mremap() may have unmapped what was there; then nothing else may come to lie there. */
		(void)!mmap(region->host, region->length, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
		return st;
	}
	next.host = region->host;
	if (region->fd >= 0) {
		close(region->fd);
	}
	*region = next;
	tell(ram, region->gpa, region->length);
	return HS_OK;
}

enum hs_status hs_ram_drop(struct hs_ram *ram, size_t index, struct hs_error *err)
{
	const struct hs_ram_region *region = &ram->regions[index];

	if (region->kind == HS_RAM_BORROWED) {
		return hs_error_set(err, HS_ERR_INVALID, 0, region->gpa.v,
				    "the %s at gpa 0x%llx is somebody's own memory: nothing of it can be dropped",
				    region->name, (unsigned long long)region->gpa.v);
	}
	if (region->kind == HS_RAM_SHARED) {
		return HS_OK;
	}
	if (madvise(region->host, region->length, MADV_DONTNEED)) {
		return hs_error_os(err, errno, "%s: cannot drop its pages", region->name);
	}
	tell(ram, region->gpa, region->length);
	return HS_OK;
}

void hs_ram_remove(struct hs_ram *ram, size_t index)
{
	release(&ram->regions[index]);
	ram->count--;
	memmove(&ram->regions[index], &ram->regions[index + 1], (ram->count - index) * sizeof(ram->regions[0]));
}

struct hs_ram_region *hs_ram_search(struct hs_ram *ram, uint64_t gpa)
{
	size_t index = count_below(ram, gpa);

	if (index == ram->count || gpa < ram->regions[index].gpa.v) {
		return NULL;
	}
	ram->last = index;
	return &ram->regions[index];
}

static const uint8_t *ram_pointer(void *ctx, hs_gpa gpa, uint64_t *ret_length)
{
	const struct hs_ram_region *region = hs_ram_find(ctx, gpa.v);

	if (!region) {
		return NULL;
	}
	*ret_length = region->length - (gpa.v - region->gpa.v);
	return region->host + (gpa.v - region->gpa.v);
}

/* All of [gpa, gpa + length) has to be there and, for writing, may be written to by the host. */
static enum hs_status check_access(struct hs_ram *ram, hs_gpa gpa, uint64_t length, bool write, struct hs_error *err)
{
	uint64_t at = gpa.v;
	uint64_t left = length;

	while (left > 0) {
		const struct hs_ram_region *region = at >= gpa.v ? hs_ram_find(ram, at) : NULL;
		uint64_t run;

		if (!region) {
			return hs_error_set(err, HS_ERR_UNREADABLE, 0, at, "no guest memory at gpa 0x%llx",
					    (unsigned long long)at);
		}
		if (write && region->host_read_only) {
			return hs_error_set(err, HS_ERR_PERMISSION, 0, at,
					    "gpa 0x%llx is in the %s, which is read-only", (unsigned long long)at,
					    region->name);
		}
		run = hs_min_u64(region->length - (at - region->gpa.v), left);
		left -= run;
		at += run;
	}
	return HS_OK;
}

static enum hs_status ram_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	enum hs_status st = check_access(ctx, gpa, length, false, err);
	uint8_t *to = buffer;

	if (st) {
		return st;
	}
	while (length > 0) {
		uint64_t run = 0;
		const uint8_t *from = ram_pointer(ctx, gpa, &run);

		run = hs_min_u64(run, length);
		memcpy(to, from, run);
		to += run;
		length -= run;
		gpa.v += run;
	}
	return HS_OK;
}

static enum hs_status ram_write(void *ctx, hs_gpa gpa, const void *buffer, size_t length, struct hs_error *err)
{
	struct hs_ram *ram = ctx;
	enum hs_status st = check_access(ram, gpa, length, true, err);
	const uint8_t *from = buffer;

	if (st) {
		return st;
	}
	while (length > 0) {
		const struct hs_ram_region *region = hs_ram_find(ram, gpa.v);
		uint64_t offset = gpa.v - region->gpa.v;
		uint64_t run = hs_min_u64(region->length - offset, length);

		memcpy(region->host + offset, from, run);
		tell(ram, gpa, run);
		from += run;
		length -= run;
		gpa.v += run;
	}
	return HS_OK;
}

static int ram_next_region(void *ctx, hs_gpa gpa, hs_gpa *ret_start, uint64_t *ret_length)
{
	const struct hs_ram *ram = ctx;
	size_t index = count_below(ram, gpa.v);
	const struct hs_ram_region *region = &ram->regions[index];

	if (index == ram->count) {
		return 0;
	}
	*ret_start = hs_gpa_of(hs_max_u64(gpa.v, region->gpa.v));
	*ret_length = region->length - (ret_start->v - region->gpa.v);
	return 1;
}

static int ram_next_data(void *ctx, hs_gpa gpa, hs_gpa *ret_start, uint64_t *ret_length)
{
	const struct hs_ram *ram = ctx;

	for (size_t i = count_below(ram, gpa.v); i < ram->count; i++) {
		const struct hs_ram_region *region = &ram->regions[i];
		uint64_t from = gpa.v > region->gpa.v ? gpa.v - region->gpa.v : 0;
		uint64_t start;
		uint64_t end;

		if (hs_ram_region_data(region, from, &start, &end)) {
			*ret_start = hs_gpa_of(region->gpa.v + start);
			*ret_length = end - start;
			return 1;
		}
	}
	return 0;
}

static const struct hs_phys_ops ram_phys_ops = {
	.read = ram_read,
	.write = ram_write,
	.pointer = ram_pointer,
	.next_region = ram_next_region,
	.next_data = ram_next_data,
};

struct hs_phys hs_ram_phys(struct hs_ram *ram)
{
	return (struct hs_phys){ .ops = &ram_phys_ops, .ctx = ram };
}
