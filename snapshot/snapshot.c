/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a snapshot is once it exists: an immutable file of memory parts, seen through a mapping, with registers and
 * facts.
 */
#include "snapshot/snapshot.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd_io.h"
#include "snapshot/hash.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct hs_snapshot {
	atomic_uint owners;
	struct hs_snapshot_info info;
	struct hs_root *roots;
	struct hs_snapshot_function *functions;
	size_t length; /* of the whole file, mapped at info.memory.bytes */
	struct hs_cpu_state cpu;
	pthread_mutex_t lock; /* over the next two: the one thing that changes in a snapshot */
	bool is_hashed;
	uint8_t hash[HS_SNAPSHOT_HASH_BYTES];
};

struct hs_snapshot *hs_snapshot_ref(struct hs_snapshot *snapshot)
{
	atomic_fetch_add(&snapshot->owners, 1);
	return snapshot;
}

void hs_snapshot_unref(struct hs_snapshot *snapshot)
{
	if (!snapshot || atomic_fetch_sub(&snapshot->owners, 1) > 1) {
		return;
	}
	if (snapshot->length > 0) {
		munmap((void *)(uintptr_t)snapshot->info.memory.bytes, snapshot->length);
	}
	if (snapshot->info.memory.fd >= 0) {
		close(snapshot->info.memory.fd);
	}
	free(snapshot->roots);
	free(snapshot->functions);
	pthread_mutex_destroy(&snapshot->lock);
	free(snapshot);
}

const struct hs_snapshot_info *hs_snapshot_info(const struct hs_snapshot *snapshot)
{
	return &snapshot->info;
}

const struct hs_cpu_state *hs_snapshot_cpu(const struct hs_snapshot *snapshot)
{
	return &snapshot->cpu;
}

void hs_snapshot_hash(struct hs_snapshot *snapshot, uint8_t ret[HS_SNAPSHOT_HASH_BYTES])
{
	pthread_mutex_lock(&snapshot->lock);
	if (!snapshot->is_hashed) {
		hs_snapshot_digest(&snapshot->info, &snapshot->cpu, snapshot->hash);
		snapshot->is_hashed = true;
	}
	memcpy(ret, snapshot->hash, sizeof(snapshot->hash));
	pthread_mutex_unlock(&snapshot->lock);
}

/* The part that holds gpa; NULL for zero scratch and for what is no memory. *ret_left is how much of the same follows,
 * of scratch too; 0 where there is none. */
static const struct hs_memory_part *part_at(const struct hs_memory_image *memory, uint64_t gpa, uint64_t *ret_left)
{
	uint64_t in_scratch = gpa - memory->scratch_gpa.v;

	*ret_left = in_scratch < memory->scratch_length ? memory->scratch_length - in_scratch : 0;
	for (size_t i = 0; i < memory->part_count; i++) {
		const struct hs_memory_part *part = &memory->parts[i];

		if (gpa - part->gpa.v < part->length) {
			*ret_left = part->length - (gpa - part->gpa.v);
			return part;
		}
		if (part->length > 0 && part->gpa.v > gpa) {
			*ret_left = hs_min_u64(*ret_left, part->gpa.v - gpa);
		}
	}
	return NULL;
}

static enum hs_status snapshot_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	const struct hs_snapshot *snapshot = ctx;
	uint8_t *to = buffer;

	while (length > 0) {
		uint64_t left;
		const struct hs_memory_part *part = part_at(&snapshot->info.memory, gpa.v, &left);

		if (left == 0) {
			return hs_error_set(err, HS_ERR_UNREADABLE, 0, gpa.v, "no memory at guest-physical 0x%llx",
					    (unsigned long long)gpa.v);
		}
		left = hs_min_u64(left, length);
		if (part) {
			memcpy(to, snapshot->info.memory.bytes + part->offset + (gpa.v - part->gpa.v), left);
		} else {
			memset(to, 0, left);
		}
		to += left;
		gpa.v += left;
		length -= left;
	}
	return HS_OK;
}

static const uint8_t *snapshot_pointer(void *ctx, hs_gpa gpa, uint64_t *ret_length)
{
	static const uint8_t zeros[HS_PAGE_SIZE];
	const struct hs_snapshot *snapshot = ctx;
	uint64_t left;
	const struct hs_memory_part *part = part_at(&snapshot->info.memory, gpa.v, &left);

	if (left == 0) {
		return NULL;
	}
	*ret_length = part ? left : hs_min_u64(left, sizeof(zeros));
	return part ? snapshot->info.memory.bytes + part->offset + (gpa.v - part->gpa.v) : zeros;
}

static int snapshot_next_region(void *ctx, hs_gpa gpa, hs_gpa *ret_start, uint64_t *ret_length)
{
	const struct hs_snapshot *snapshot = ctx;
	const struct hs_memory_image *memory = &snapshot->info.memory;
	uint64_t start = gpa.v;
	uint64_t best = UINT64_MAX;
	uint64_t left;

	(void)part_at(memory, start, &left);
	if (left == 0) {
		for (size_t i = 0; i < memory->part_count; i++) {
			if (memory->parts[i].length > 0 && memory->parts[i].gpa.v >= start) {
				best = hs_min_u64(best, memory->parts[i].gpa.v);
			}
		}
		if (memory->scratch_length > 0 && memory->scratch_gpa.v >= start) {
			best = hs_min_u64(best, memory->scratch_gpa.v);
		}
		if (best == UINT64_MAX) {
			return 0;
		}
		start = best;
	}
	*ret_start = hs_gpa_of(start);
	*ret_length = 0;
	for ((void)part_at(memory, start, &left); left > 0; (void)part_at(memory, start + *ret_length, &left)) {
		*ret_length += left;
	}
	return 1;
}

/* The part that gpa is in, or else the first one behind it; NULL when there is none. */
static const struct hs_memory_part *part_from(const struct hs_memory_image *memory, uint64_t gpa)
{
	const struct hs_memory_part *first = NULL;

	for (size_t i = 0; i < memory->part_count; i++) {
		const struct hs_memory_part *part = &memory->parts[i];

		if (part->gpa.v + part->length > gpa && (!first || part->gpa.v < first->gpa.v)) {
			first = part;
		}
	}
	return first;
}

/* What is no hole of the file. Scratch is zero where no part is. */
static int snapshot_next_data(void *ctx, hs_gpa gpa, hs_gpa *ret_start, uint64_t *ret_length)
{
	const struct hs_snapshot *snapshot = ctx;
	const struct hs_memory_image *memory = &snapshot->info.memory;
	const struct hs_memory_part *part;

	for (uint64_t at = gpa.v; (part = part_from(memory, at)) != NULL; at = part->gpa.v + part->length) {
		uint64_t skip = at > part->gpa.v ? at - part->gpa.v : 0;
		uint64_t from = part->offset + skip;
		uint64_t end = part->offset + part->length;
		uint64_t data = hs_fd_next_data(memory->fd, hs_align_down(from, HS_PAGE_SIZE), end);

		data = data > from ? data : from;
		if (data < end) {
			*ret_start = hs_gpa_of(part->gpa.v + (data - part->offset));
			*ret_length = hs_fd_data_end(memory->fd, hs_align_down(data, HS_PAGE_SIZE), end) - data;
			return 1;
		}
	}
	return 0;
}

static const struct hs_phys_ops snapshot_ops = {
	.read = snapshot_read,
	.pointer = snapshot_pointer,
	.next_region = snapshot_next_region,
	.next_data = snapshot_next_data,
};

struct hs_phys hs_snapshot_phys(const struct hs_snapshot *snapshot)
{
	/* The operations only read. */
	return (struct hs_phys){ .ops = &snapshot_ops, .ctx = (void *)(uintptr_t)snapshot };
}

static bool part_is_sound(const struct hs_memory_image *memory, size_t index, uint64_t file_bytes)
{
	const struct hs_memory_part *part = &memory->parts[index];
	uint64_t scratch = memory->scratch_gpa.v;
	bool inside = part->gpa.v - scratch < memory->scratch_length;

	if (part->length == 0) {
		return true;
	}
	if ((part->gpa.v | part->length | part->offset) % HS_PAGE_SIZE ||
	    !hs_range_within(part->offset, part->length, file_bytes) ||
	    !hs_range_within(part->gpa.v, part->length, UINT64_C(1) << 52)) {
		return false;
	}
	if (inside ? part->length > memory->scratch_length - (part->gpa.v - scratch)
		   : hs_ranges_overlap(part->gpa.v, part->length, scratch, memory->scratch_length)) {
		return false;
	}
	for (size_t i = 0; i < index; i++) {
		if (hs_ranges_overlap(part->gpa.v, part->length, memory->parts[i].gpa.v, memory->parts[i].length)) {
			return false;
		}
	}
	return !(inside && part->shared);
}

static enum hs_status check(const struct hs_snapshot_info *info, uint64_t file_bytes, struct hs_error *err)
{
	const struct hs_memory_image *memory = &info->memory;

	if (memory->part_count > HS_MEMORY_PARTS_MAX ||
	    (memory->scratch_gpa.v | memory->scratch_length) % HS_PAGE_SIZE ||
	    !hs_range_within(memory->scratch_gpa.v, memory->scratch_length, UINT64_C(1) << 52)) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "the snapshot's scratch region is out of bounds");
	}
	for (size_t i = 0; i < memory->part_count; i++) {
		if (!part_is_sound(memory, i, file_bytes)) {
			return hs_error_set(err, HS_ERR_FORMAT, 0, memory->parts[i].offset,
					    "part %zu of the snapshot's memory is out of bounds", i);
		}
	}
	if (info->root_count == 0 || info->current >= info->root_count) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "the snapshot has no root for its CPU");
	}
	return HS_OK;
}

static enum hs_status fill(struct hs_snapshot *snapshot, const struct hs_snapshot_info *info,
			   const struct hs_cpu_state *cpu, struct hs_error *err)
{
	struct stat file;
	void *bytes;
	enum hs_status st;

	if (fstat(info->memory.fd, &file) != 0) {
		return hs_error_os(err, errno, "cannot use the snapshot's file");
	}
	st = check(info, (uint64_t)file.st_size, err);
	if (st) {
		return st;
	}
	bytes = file.st_size > 0 ? mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_SHARED, info->memory.fd, 0) : NULL;
	if (bytes == MAP_FAILED) {
		return hs_error_os(err, errno, "cannot map the snapshot");
	}
	snapshot->info.memory.bytes = bytes;
	snapshot->length = (size_t)file.st_size;
	snapshot->roots = reallocarray(NULL, info->root_count, sizeof(*snapshot->roots));
	if (info->function_count > 0) {
		snapshot->functions = reallocarray(NULL, info->function_count, sizeof(*snapshot->functions));
	}
	if (!snapshot->roots || (info->function_count > 0 && !snapshot->functions)) {
		return hs_error_os(err, ENOMEM, "cannot make the snapshot");
	}
	memcpy(snapshot->roots, info->roots, info->root_count * sizeof(*snapshot->roots));
	snapshot->info.roots = snapshot->roots;
	if (info->function_count > 0) {
		memcpy(snapshot->functions, info->functions, info->function_count * sizeof(*snapshot->functions));
	}
	snapshot->info.functions = snapshot->functions;
	snapshot->cpu = *cpu;
	return HS_OK;
}

enum hs_status hs_snapshot_adopt(const struct hs_snapshot_info *info, const struct hs_cpu_state *cpu,
				 struct hs_snapshot **ret, struct hs_error *err)
{
	struct hs_snapshot *snapshot = HS_NEW_ALIGNED(struct hs_snapshot);
	enum hs_status st;

	if (!snapshot) {
		close(info->memory.fd);
		return hs_error_os(err, ENOMEM, "cannot make the snapshot");
	}
	atomic_init(&snapshot->owners, 1);
	(void)pthread_mutex_init(&snapshot->lock, NULL); /* always 0 without attributes (glibc) */
	snapshot->info = *info;
	st = fill(snapshot, info, cpu, err);
	if (st) {
		hs_snapshot_unref(snapshot);
		return st;
	}
	*ret = snapshot;
	return HS_OK;
}
