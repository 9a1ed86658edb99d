/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The data area. See data.h. */
#include "coredump/data.h"

#include "base/arith.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/fd_io.h"

#include <string.h>

/** Memory that cannot be pointed at is read through a buffer of this size, on the stack. */
#define CHUNK_BYTES (16 * HS_PAGE_SIZE)

static const uint8_t zeros[HS_PAGE_SIZE] __attribute__((aligned(64)));

struct sink {
	int fd;
	const char *name;
	uint64_t gpa_offset; /* of an extent: gpa less file offset */
	uint32_t *sum;       /* where its checksum is kept, NULL for none */
	struct hs_core_data_result result;
};

uint32_t hs_core_sum_pages(uint32_t sum, uint64_t gpa, const uint8_t *bytes, uint64_t length)
{
	for (uint64_t at = 0; at < length; at += HS_PAGE_SIZE) {
		uint64_t part = hs_min_u64(HS_PAGE_SIZE, length - at);
		uint8_t number[8];

		if (!hs_core_is_zero(bytes + at, (size_t)part)) {
			hs_put_le64(number, (gpa + at) / HS_PAGE_SIZE);
			sum = hs_crc32c(sum, number, sizeof(number));
			sum = hs_crc32c(sum, bytes + at, (size_t)part);
			sum = hs_crc32c(sum, zeros, (size_t)(HS_PAGE_SIZE - part));
		}
	}
	return sum;
}

bool hs_core_is_zero(const uint8_t *bytes, size_t length)
{
	/* memcmp() is the C library's vector code; looking at the first word spares the call for most pages with
	 * data. */
	uint64_t first = 0;

	memcpy(&first, bytes, length < sizeof(first) ? length : sizeof(first));
	if (first != 0) {
		return false;
	}
	while (length > 0) {
		size_t part = length < sizeof(zeros) ? length : sizeof(zeros);

		if (memcmp(bytes, zeros, part) != 0) {
			return false;
		}
		bytes += part;
		length -= part;
	}
	return true;
}

/** Bytes from at to the end of the run of pages that are all zero, or all not. */
static uint64_t run_length(const uint8_t *bytes, uint64_t at, uint64_t length, bool zero)
{
	uint64_t end = at;

	while (end < length) {
		uint64_t part = hs_min_u64(HS_PAGE_SIZE, length - end);

		if (hs_core_is_zero(bytes + end, (size_t)part) != zero) {
			break;
		}
		end += part;
	}
	return end - at;
}

/** Write contiguous memory, page runs that have data only: one write for each run. */
static enum hs_status put_bytes(struct sink *sink, const uint8_t *bytes, uint64_t length, uint64_t offset,
				struct hs_error *err)
{
	uint64_t at = 0;

	while (at < length) {
		at += run_length(bytes, at, length, true);
		uint64_t run = run_length(bytes, at, length, false);

		if (run == 0) {
			continue;
		}
		enum hs_status st = hs_fd_pwrite(sink->fd, sink->name, bytes + at, (size_t)run, offset + at, err);

		if (st) {
			return st;
		}
		if (sink->sum) {
			*sink->sum = hs_core_sum_pages(*sink->sum, offset + at + sink->gpa_offset, bytes + at, run);
		}
		sink->result.stored_bytes += run;
		at += run;
	}
	return HS_OK;
}

/** How many of the length bytes at gpa there are; 0 and how many there are not, where memory ends within a page. */
static uint64_t backed_length(const struct hs_phys *phys, uint64_t gpa, uint64_t length, uint64_t *ret_gap)
{
	hs_gpa start;
	uint64_t region;

	*ret_gap = length;
	if (!phys->ops->next_region(phys->ctx, hs_gpa_of(gpa), &start, &region)) {
		return 0;
	}
	if (start.v > gpa) {
		*ret_gap = hs_min_u64(length, start.v - gpa);
		return 0;
	}
	/* The region may be given from its own start or from gpa on. */
	return hs_min_u64(length, region - (gpa - start.v));
}

/** Up to CHUNK_BYTES that cannot be pointed at; *ret_length is how many. A page that cannot be read becomes a hole. */
static enum hs_status put_chunk(struct sink *sink, const struct hs_phys *phys, uint64_t gpa, uint64_t length,
				uint64_t offset, uint64_t *ret_length, struct hs_error *err)
{
	uint8_t buffer[CHUNK_BYTES];
	uint64_t gap;

	length = backed_length(phys, gpa, hs_min_u64(length, sizeof(buffer)), &gap);
	if (length == 0) {
		*ret_length = gap;
		return HS_OK;
	}
	if (phys->ops->read(phys->ctx, hs_gpa_of(gpa), buffer, (size_t)length, NULL) != HS_OK) {
		length = hs_min_u64(length, HS_PAGE_SIZE - gpa % HS_PAGE_SIZE);
		if (phys->ops->read(phys->ctx, hs_gpa_of(gpa), buffer, (size_t)length, NULL) != HS_OK) {
			sink->result.unreadable_bytes += length;
			*ret_length = length;
			return HS_OK;
		}
	}
	*ret_length = length;
	return put_bytes(sink, buffer, length, offset, err);
}

/** How many of the length bytes at gpa need not be looked at, being zero; and how many behind them are to be. */
static uint64_t zero_length(const struct hs_phys *phys, uint64_t gpa, uint64_t length, uint64_t *ret_data)
{
	hs_gpa start;
	uint64_t data;

	*ret_data = length;
	if (!phys->ops->next_data) {
		return 0;
	}
	if (!phys->ops->next_data(phys->ctx, hs_gpa_of(gpa), &start, &data) || start.v - gpa >= length) {
		*ret_data = 0;
		return length;
	}
	*ret_data = hs_min_u64(data, length - (start.v - gpa));
	return start.v - gpa;
}

/** length bytes at gpa, all of which may hold something. */
static enum hs_status put_data(struct sink *sink, const struct hs_phys *phys, uint64_t gpa, uint64_t length,
			       uint64_t offset, struct hs_error *err)
{
	uint64_t at = 0;

	while (at < length) {
		uint64_t left = length - at;
		uint64_t part = 0;
		const uint8_t *bytes =
			phys->ops->pointer != NULL ? phys->ops->pointer(phys->ctx, hs_gpa_of(gpa + at), &part) : NULL;
		enum hs_status st;

		if (bytes != NULL && part > 0) {
			part = hs_min_u64(part, left);
			st = put_bytes(sink, bytes, part, offset + at, err);
		} else {
			st = put_chunk(sink, phys, gpa + at, left, offset + at, &part, err);
		}
		if (st) {
			return st;
		}
		at += part;
	}
	return HS_OK;
}

static enum hs_status put_extent(struct sink *sink, const struct hs_phys *phys, const struct hs_core_extent *extent,
				 uint64_t offset, struct hs_error *err)
{
	uint64_t at = 0;

	while (at < extent->length) {
		uint64_t data;

		at += zero_length(phys, extent->gpa + at, extent->length - at, &data);
		enum hs_status st = put_data(sink, phys, extent->gpa + at, data, offset + at, err);

		if (st) {
			return st;
		}
		at += data;
	}
	return HS_OK;
}

enum hs_status hs_core_data_write(int fd, const char *name, const struct hs_phys *phys, struct hs_core_plan *plan,
				  uint64_t data_offset, struct hs_core_data_result *ret, struct hs_error *err)
{
	struct sink sink = { .fd = fd, .name = name };

	for (size_t i = 0; i < plan->extent_count; i++) {
		struct hs_core_extent *extent = &plan->extents[i];

		sink.gpa_offset = extent->gpa - (data_offset + extent->offset);
		sink.sum = extent->whole ? &extent->sum : NULL;
		enum hs_status st = put_extent(&sink, phys, extent, data_offset + extent->offset, err);

		if (st) {
			return st;
		}
	}
	*ret = sink.result;
	return HS_OK;
}
