/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/ram.h"

#include "base/arith.h"
#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

void hs_ram_init(struct hs_ram *ram)
{
	*ram = (struct hs_ram){ .count = 0 };
}

void hs_ram_deinit(struct hs_ram *ram)
{
	for (size_t i = 0; i < ram->count; i++) {
		munmap(ram->regions[i].host, ram->regions[i].length);
	}
	ram->count = 0;
}

enum hs_status hs_ram_add(struct hs_ram *ram, hs_gpa gpa, uint64_t length, struct hs_error *err)
{
	size_t place = 0;
	uint64_t end;
	void *host;

	if (length == 0 || gpa.v % HS_PAGE_SIZE || length % HS_PAGE_SIZE || !hs_add_u64(gpa.v, length, &end)) {
		return hs_error_set(err, HS_ERR_RANGE, 0, gpa.v,
				    "memory region at gpa 0x%llx of 0x%llx bytes: not page-aligned, empty or wrapping",
				    (unsigned long long)gpa.v, (unsigned long long)length);
	}
	for (size_t i = 0; i < ram->count; i++) {
		const struct hs_ram_region *other = &ram->regions[i];

		if (hs_ranges_overlap(gpa.v, length, other->gpa.v, other->length)) {
			return hs_error_set(err, HS_ERR_RANGE, 0, gpa.v,
					    "memory region at gpa 0x%llx overlaps the one at 0x%llx",
					    (unsigned long long)gpa.v, (unsigned long long)other->gpa.v);
		}
		place += other->gpa.v < gpa.v;
	}
	if (ram->count == HS_RAM_REGIONS_MAX) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, gpa.v, "more than %d memory regions", HS_RAM_REGIONS_MAX);
	}
	/* No reservation: a guest with a large heap costs what it touches. */
	host = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (host == MAP_FAILED) {
		return hs_error_os(err, errno, "cannot map %llu bytes of guest memory", (unsigned long long)length);
	}
	memmove(&ram->regions[place + 1], &ram->regions[place], (ram->count - place) * sizeof(ram->regions[0]));
	ram->regions[place] = (struct hs_ram_region){ .gpa = gpa, .length = length, .host = host };
	ram->count++;
	return HS_OK;
}

const struct hs_ram_region *hs_ram_find(const struct hs_ram *ram, hs_gpa gpa)
{
	for (size_t i = 0; i < ram->count; i++) {
		const struct hs_ram_region *region = &ram->regions[i];

		if (gpa.v - region->gpa.v < region->length && gpa.v >= region->gpa.v) {
			return region;
		}
	}
	return NULL;
}

static const uint8_t *ram_pointer(void *ctx, hs_gpa gpa, uint64_t *ret_length)
{
	const struct hs_ram_region *region = hs_ram_find(ctx, gpa);

	if (!region) {
		return NULL;
	}
	*ret_length = region->length - (gpa.v - region->gpa.v);
	return region->host + (gpa.v - region->gpa.v);
}

/* Where the first byte of [gpa, gpa + length) is that nothing backs; false when all are backed. */
static bool find_gap(struct hs_ram *ram, hs_gpa gpa, size_t length, uint64_t *ret_gap)
{
	uint64_t at = gpa.v;
	uint64_t left = length;

	while (left > 0) {
		uint64_t run = 0;

		if (!ram_pointer(ram, hs_gpa_of(at), &run)) {
			*ret_gap = at;
			return true;
		}
		run = hs_min_u64(run, left);
		left -= run;
		at += run;
	}
	return false;
}

static enum hs_status check_backed(struct hs_ram *ram, hs_gpa gpa, size_t length, struct hs_error *err)
{
	uint64_t gap;

	if (find_gap(ram, gpa, length, &gap)) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, gap, "no guest memory at gpa 0x%llx",
				    (unsigned long long)gap);
	}
	return HS_OK;
}

static enum hs_status ram_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	enum hs_status st = check_backed(ctx, gpa, length, err);
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
	enum hs_status st = check_backed(ram, gpa, length, err);
	const uint8_t *from = buffer;

	if (st) {
		return st;
	}
	while (length > 0) {
		const struct hs_ram_region *region = hs_ram_find(ram, gpa);
		uint64_t offset = gpa.v - region->gpa.v;
		uint64_t run = hs_min_u64(region->length - offset, length);

		memcpy(region->host + offset, from, run);
		if (ram->written) {
			ram->written(ram->written_ctx, gpa, run);
		}
		from += run;
		length -= run;
		gpa.v += run;
	}
	return HS_OK;
}

static int ram_next_region(void *ctx, hs_gpa gpa, hs_gpa *ret_start, uint64_t *ret_length)
{
	const struct hs_ram *ram = ctx;

	for (size_t i = 0; i < ram->count; i++) {
		const struct hs_ram_region *region = &ram->regions[i];
		uint64_t skip = gpa.v > region->gpa.v ? gpa.v - region->gpa.v : 0;

		if (skip < region->length) {
			*ret_start = hs_gpa_of(region->gpa.v + skip);
			*ret_length = region->length - skip;
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
};

struct hs_phys hs_ram_phys(struct hs_ram *ram)
{
	return (struct hs_phys){ .ops = &ram_phys_ops, .ctx = ram };
}
