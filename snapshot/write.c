/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Carrying out a plan: pages first, then the tables over what was copied of them, then the pointers to roots. Pages
 * that are all zero are never written, so the file is as large on disk as what the guest has filled.
 */
#include "snapshot/relocate.h"

#include "base/arith.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Pieces of memory for one system call. The kernel takes up to 1024 (IOV_MAX). */
#define PIECES 256

struct gather {
	int fd;
	const char *name;
	struct iovec pieces[PIECES];
	int count;
	uint64_t offset; /* in the file, of the first */
	uint64_t bytes;  /* of all */
};

static enum hs_status flush(struct gather *gather, struct hs_error *err)
{
	enum hs_status st = HS_OK;

	if (gather->count > 0) {
		st = hs_fd_pwritev(gather->fd, gather->name, gather->pieces, gather->count, gather->offset, err);
	}
	gather->count = 0;
	gather->bytes = 0;
	return st;
}

static enum hs_status add(struct gather *gather, const uint8_t *bytes, uint64_t length, uint64_t offset,
			  struct hs_error *err)
{
	struct iovec *last = gather->count > 0 ? &gather->pieces[gather->count - 1] : NULL;

	if (last && offset == gather->offset + gather->bytes &&
	    (const uint8_t *)last->iov_base + last->iov_len == bytes) {
		last->iov_len += length;
		gather->bytes += length;
		return HS_OK;
	}
	if (last && (offset != gather->offset + gather->bytes || gather->count == PIECES)) {
		enum hs_status st = flush(gather, err);

		if (st) {
			return st;
		}
	}
	if (gather->count == 0) {
		gather->offset = offset;
	}
	gather->pieces[gather->count++] = (struct iovec){ .iov_base = (void *)(uintptr_t)bytes, .iov_len = length };
	gather->bytes += length;
	return HS_OK;
}

/* Pages that the host can point at: written from where they are. */
static enum hs_status write_pages(struct gather *gather, const uint8_t *bytes, uint64_t pages, uint64_t offset,
				  struct hs_error *err)
{
	enum hs_status st = HS_OK;

	for (uint64_t i = 0; i < pages && !st; i++) {
		if (!hs_bytes_are_zero(bytes + i * HS_PAGE_SIZE, HS_PAGE_SIZE)) {
			st = add(gather, bytes + i * HS_PAGE_SIZE, HS_PAGE_SIZE, offset + i * HS_PAGE_SIZE, err);
		}
	}
	return st;
}

static enum hs_status write_copy(const struct hs_plan *plan, const struct hs_plan_copy *copy, struct gather *gather,
				 struct hs_error *err)
{
	const struct hs_phys *phys = plan->input->phys;
	uint64_t offset = plan->offset[copy->part] + copy->offset;
	uint8_t page[HS_PAGE_SIZE];
	enum hs_status st = HS_OK;

	for (uint64_t i = 0; i < copy->pages && !st;) {
		hs_gpa gpa = { copy->gpa + i * HS_PAGE_SIZE };
		uint64_t length = 0;
		const uint8_t *bytes = phys->ops->pointer ? phys->ops->pointer(phys->ctx, gpa, &length) : NULL;
		uint64_t pages = hs_min_u64(length / HS_PAGE_SIZE, copy->pages - i);

		if (bytes && pages > 0) {
			st = write_pages(gather, bytes, pages, offset + i * HS_PAGE_SIZE, err);
			i += pages;
			continue;
		}
		st = phys->ops->read(phys->ctx, gpa, page, sizeof(page), err);
		st = st ? st : write_pages(gather, page, 1, offset + i * HS_PAGE_SIZE, err);
		st = st ? st : flush(gather, err);
		i++;
	}
	return st;
}

static int by_page(const void *a, const void *b)
{
	uint64_t left = ((const struct hs_plan_table *)a)->table;
	uint64_t right = ((const struct hs_plan_table *)b)->table;

	return (left > right) - (left < right);
}

/* All tables that are in one page, the first `count` of tables. */
static enum hs_status write_table_page(struct hs_plan *plan, const struct hs_plan_table *tables, size_t count, int fd,
				       const char *name, struct hs_error *err)
{
	const struct hs_phys *phys = plan->input->phys;
	uint64_t page = tables[0].table & HS_FRAME_OFFSET;
	uint8_t from[HS_PAGE_SIZE];
	uint8_t to[HS_PAGE_SIZE];
	uint64_t pages;
	enum hs_status st = phys->ops->read(phys->ctx, hs_gpa_of(page), from, sizeof(from), err);

	if (st) {
		return st;
	}
	memcpy(to, from, sizeof(to));
	for (size_t i = 0; i < count && !st; i++) {
		st = hs_relocate_table(plan, &tables[i], from, to, err);
	}
	return st ? st
		  : hs_fd_pwrite(fd, name, to, sizeof(to),
				 hs_plan_offset(plan, *hs_frames_find(&plan->frames, page, &pages)), err);
}

static enum hs_status write_tables(struct hs_plan *plan, int fd, const char *name, struct hs_error *err)
{
	HS_FREE struct hs_plan_table *sorted = reallocarray(NULL, plan->table_count, sizeof(*sorted));
	enum hs_status st = HS_OK;

	if (!sorted) {
		return hs_error_os(err, ENOMEM, "cannot write the snapshot");
	}
	memcpy(sorted, plan->tables, plan->table_count * sizeof(*sorted));
	qsort(sorted, plan->table_count, sizeof(*sorted), by_page);
	for (size_t i = 0; i < plan->table_count && !st;) {
		size_t count = 1;

		while (i + count < plan->table_count &&
		       ((sorted[i].table ^ sorted[i + count].table) & HS_FRAME_OFFSET) == 0) {
			count++;
		}
		st = write_table_page(plan, &sorted[i], count, fd, name, err);
		i += count;
	}
	return st;
}

static enum hs_status write_pointer(struct hs_plan *plan, const struct hs_root_pointer *pointer, int fd,
				    const char *name, struct hs_error *err)
{
	const struct hs_compact_input *input = plan->input;
	const struct hs_root *root = &input->roots[input->current];
	uint8_t bytes[8] = { 0 };
	size_t length;
	uint64_t value;
	enum hs_status st = hs_vmem_read(input->phys, root, pointer->gva, bytes, pointer->bytes, &length, err);

	if (st) {
		return st;
	}
	value = hs_get_le64(bytes);
	if (length < pointer->bytes || !hs_plan_moved(plan, value, &value)) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, pointer->gva.v,
				    "the root at 0x%llx is not one that the snapshot keeps: 0x%llx",
				    (unsigned long long)pointer->gva.v, (unsigned long long)value);
	}
	hs_put_le64(bytes, value);
	for (unsigned int i = 0; i < pointer->bytes && !st; i++) {
		hs_gva gva = { pointer->gva.v + i };
		struct hs_range range;
		uint64_t pages;
		uint64_t gpa;
		const uint64_t *word;

		hs_translate(input->phys, root, gva, &range);
		gpa = range.gpa.v + (gva.v - range.start.v);
		word = hs_frames_find(&plan->frames, gpa, &pages);
		if (!word || !(*word & HS_FRAME_PLACED)) {
			return hs_error_set(err, HS_ERR_UNREADABLE, 0, gva.v,
					    "the root at 0x%llx is in memory that a snapshot does not keep",
					    (unsigned long long)gva.v);
		}
		st = hs_fd_pwrite(fd, name, &bytes[i], 1, hs_plan_offset(plan, *word) + gpa % HS_PAGE_SIZE, err);
	}
	return st;
}

enum hs_status hs_plan_write(struct hs_plan *plan, int fd, const char *name, struct hs_error *err)
{
	HS_FREE struct gather *gather = calloc(1, sizeof(*gather));
	enum hs_status st = HS_OK;

	if (!gather) {
		return hs_error_os(err, ENOMEM, "cannot write the snapshot");
	}
	gather->fd = fd;
	gather->name = name;
	if (ftruncate(fd, (off_t)(plan->offset[HS_PART_TABLES] + plan->bytes[HS_PART_TABLES])) != 0) {
		return hs_error_os(err, errno, "%s", name);
	}
	for (size_t i = 0; i < plan->copy_count && !st; i++) {
		st = write_copy(plan, &plan->copies[i], gather, err);
	}
	st = st ? st : flush(gather, err);
	st = st ? st : write_tables(plan, fd, name, err);
	for (size_t i = 0; i < plan->input->pointer_count && !st; i++) {
		st = write_pointer(plan, &plan->input->pointers[i], fd, name, err);
	}
	return st;
}
