/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole reads and writes on descriptors: EINTR and short transfers are handled here and nowhere else. */
#ifndef HS_BASE_FD_IO_H
#define HS_BASE_FD_IO_H

#include <hindsight/error.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/** Write all bytes at the file position. name appears in the message. */
HS_MUST_CHECK enum hs_status hs_fd_write(int fd, const char *name, const void *bytes, size_t length,
					 struct hs_error *err);
/** Write all bytes at offset. */
HS_MUST_CHECK enum hs_status hs_fd_pwrite(int fd, const char *name, const void *bytes, size_t length, uint64_t offset,
					  struct hs_error *err);
/** Write what count pieces hold, one behind the other, from offset on. The pieces may be changed. */
HS_MUST_CHECK enum hs_status hs_fd_pwritev(int fd, const char *name, struct iovec *pieces, int count, uint64_t offset,
					   struct hs_error *err);
/** Read exactly length bytes at offset; HS_ERR_FORMAT when the file ends before. */
HS_MUST_CHECK enum hs_status hs_fd_pread(int fd, const char *name, void *bytes, size_t length, uint64_t offset,
					 struct hs_error *err);

/**
 * Where the next pages of a file are that are no hole, from offset on, both page-aligned: end when there are none
 * before it. A file system that knows no holes has data everywhere.
 */
uint64_t hs_fd_next_data(int fd, uint64_t offset, uint64_t end);
/** Where the data at offset ends, as hs_fd_next_data() has found it; end when it goes on until there. */
uint64_t hs_fd_data_end(int fd, uint64_t offset, uint64_t end);

#endif
