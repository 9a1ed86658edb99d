/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The data area. See data.h. */
#include "coredump/data.h"

#include "base/arith.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/fd_io.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/** Memory that cannot be pointed at is read through a buffer of this size, on the stack. */
#define CHUNK_BYTES (16 * HS_PAGE_SIZE)

static const uint8_t zeros[HS_PAGE_SIZE] __attribute__((aligned(64)));

/** Written at once: what was just summed is still in the CPU's cache, and whoever waits is told of it. */
#define WRITE_BYTES (512 * 1024u)

struct sink {
	const struct hs_core_data_job *job;
	uint64_t total;      /* of the plan, for the progress */
	uint64_t gpa_offset; /* of an extent: gpa less file offset */
	uint32_t *sum;       /* where its checksum is kept, NULL for none */
	struct hs_core_data_result result;
};

uint32_t hs_core_sum_pages(uint32_t sum, uint64_t gpa, const uint8_t *bytes, uint64_t length)
{
	for (uint64_t at = 0; at < length; at += HS_PAGE_SIZE) {
		uint64_t part = hs_min_u64(HS_PAGE_SIZE, length - at);
		uint8_t number[8];

		if (!hs_bytes_are_zero(bytes + at, (size_t)part)) {
			hs_put_le64(number, (gpa + at) / HS_PAGE_SIZE);
			sum = hs_crc32c(sum, number, sizeof(number));
			sum = hs_crc32c(sum, bytes + at, (size_t)part);
			sum = hs_crc32c(sum, zeros, (size_t)(HS_PAGE_SIZE - part));
		}
	}
	return sum;
}

/** Bytes from at to the end of the run of pages that are all zero, or all not. */
static uint64_t run_length(const uint8_t *bytes, uint64_t at, uint64_t length, bool zero)
{
	uint64_t end = at;

	while (end < length) {
		uint64_t part = hs_min_u64(HS_PAGE_SIZE, length - end);

		if (hs_bytes_are_zero(bytes + end, (size_t)part) != zero) {
			break;
		}
		end += part;
	}
	return end - at;
}

/** Room for length more bytes within the limit. */
static enum hs_status spend(struct sink *sink, uint64_t length, struct hs_error *err)
{
	if (length > sink->job->limit_bytes - sink->result.stored_bytes) {
		return hs_error_set(err, HS_ERR_BUDGET, 0, 0, "%s takes more than the limit allows", sink->job->name);
	}
	sink->result.stored_bytes += length;
	return HS_OK;
}

static void tell_progress(const struct sink *sink, uint64_t offset)
{
	const struct hs_core_options *options = sink->job->options;

	if (options->progress) {
		options->progress(options->progress_ctx, offset - sink->job->data_offset, sink->total);
	}
}

/** A run of pages that are not zero. */
static enum hs_status put_run(struct sink *sink, const uint8_t *bytes, uint64_t length, uint64_t offset,
			      struct hs_error *err)
{
	enum hs_status st = spend(sink, length, err);

	for (uint64_t at = 0; at < length && !st;) {
		uint64_t part = hs_min_u64(WRITE_BYTES, length - at);

		if (sink->sum) {
			*sink->sum = hs_core_sum_pages(*sink->sum, offset + at + sink->gpa_offset, bytes + at, part);
		}
		st = hs_fd_pwrite(sink->job->fd, sink->job->name, bytes + at, (size_t)part, offset + at, err);
		at += part;
		tell_progress(sink, offset + at);
	}
	return st;
}

/** Write contiguous memory, page runs that have data only. */
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
		enum hs_status st = put_run(sink, bytes + at, run, offset + at, err);

		if (st) {
			return st;
		}
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

/**
 * Copy within the kernel, which shares blocks instead where the file system can (copy_file_range(2)). False: it cannot,
 * for these two files; *ret_status is HS_OK then, and nothing was copied.
 */
static bool copy_range(const struct sink *sink, int fd, uint64_t from, uint64_t length, uint64_t offset,
		       enum hs_status *ret_status, struct hs_error *err)
{
	off_t in = (off_t)from, out = (off_t)offset;

	*ret_status = HS_OK;
	while (length > 0) {
		ssize_t done = copy_file_range(fd, &in, sink->job->fd, &out, (size_t)length, 0);

		if (done > 0) {
			length -= (uint64_t)done;
		} else if (done == 0 || errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) {
			/* 0: the file ends here. Whoever reads it will tell. */
			return false;
		} else if (errno != EINTR) {
			*ret_status = hs_error_os(err, errno, "cannot write %s", sink->job->name);
			return true;
		}
	}
	return true;
}

/** Copy what the source file has at gpa, up to length bytes in *ret_length. False: it has to be read. */
static bool share_data(struct sink *sink, uint64_t gpa, uint64_t length, uint64_t offset, uint64_t *ret_length,
		       enum hs_status *ret_status, struct hs_error *err)
{
	uint64_t from;
	int fd;

	if (sink->job->share == NULL || sink->sum != NULL ||
	    !hs_physfile_find(sink->job->share, hs_gpa_of(gpa), length, &fd, &from, ret_length)) {
		return false;
	}
	if (!copy_range(sink, fd, from, *ret_length, offset, ret_status, err)) {
		return false;
	}
	if (*ret_status == HS_OK) {
		*ret_status = spend(sink, *ret_length, err);
		tell_progress(sink, offset + *ret_length);
	}
	return true;
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
		} else if (!share_data(sink, gpa + at, left, offset + at, &part, &st, err)) {
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

enum hs_status hs_core_data_write(const struct hs_core_data_job *job, struct hs_core_plan *plan,
				  struct hs_core_data_result *ret, struct hs_error *err)
{
	struct sink sink = { .job = job, .total = plan->data_bytes };

	for (size_t i = 0; i < plan->extent_count; i++) {
		struct hs_core_extent *extent = &plan->extents[i];

		sink.gpa_offset = extent->gpa - (job->data_offset + extent->offset);
		sink.sum = extent->whole ? &extent->sum : NULL;
		enum hs_status st = put_extent(&sink, job->phys, extent, job->data_offset + extent->offset, err);

		if (st) {
			return st;
		}
	}
	*ret = sink.result;
	return HS_OK;
}
