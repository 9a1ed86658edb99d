/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stored memory against its checksums. Read, not mapped: a file that shrinks meanwhile is an error and no SIGBUS. */
#include "coredump/data.h"
#include "coredump/read.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd_io.h"

#include <stdlib.h>

#define CHUNK_BYTES (256 * (size_t)HS_PAGE_SIZE)

static enum hs_status verify_piece(const struct hs_core *core, const struct hs_core_stored *stored, uint8_t *buffer,
				   struct hs_error *err)
{
	uint64_t end = stored->offset + stored->length;
	uint32_t sum = 0;

	if (end > core->info.file_bytes) {
		return hs_core_broken(core, err, stored->offset, "the file ends within memory at 0x%llx",
				      (unsigned long long)stored->gpa.v);
	}
	for (uint64_t at = hs_fd_next_data(core->fd, stored->offset, end); at < end;
	     at = hs_fd_next_data(core->fd, at, end)) {
		size_t part = (size_t)hs_min_u64(CHUNK_BYTES, end - at);
		enum hs_status st = hs_fd_pread(core->fd, core->path, buffer, part, at, err);

		if (st) {
			return st;
		}
		sum = hs_core_sum_pages(sum, stored->gpa.v + (at - stored->offset), buffer, part);
		at += part;
	}
	if (sum != stored->sum) {
		return hs_core_broken(core, err, stored->offset,
				      "memory at 0x%llx, %llu bytes, is not what was written: its checksum is 0x%08x, "
				      "not 0x%08x",
				      (unsigned long long)stored->gpa.v, (unsigned long long)stored->length, sum,
				      stored->sum);
	}
	return HS_OK;
}

enum hs_status hs_core_verify_stored(const struct hs_core *core, size_t index, struct hs_error *err)
{
	HS_FREE uint8_t *buffer = malloc(CHUNK_BYTES);

	if (buffer == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory to verify %s", core->path);
	}
	return verify_piece(core, &core->stored[index], buffer, err);
}

enum hs_status hs_core_verify(const struct hs_core *core, struct hs_error *err)
{
	for (size_t i = 0; i < core->info.stored_count; i++) {
		enum hs_status st = hs_core_verify_stored(core, i, err);

		if (st) {
			return st;
		}
	}
	return HS_OK;
}
