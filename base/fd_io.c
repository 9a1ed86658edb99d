/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/fd_io.h"

#include "base/arith.h"
#include "base/error.h"

#include <hindsight/types.h>

#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

enum hs_status hs_fd_write(int fd, const char *name, const void *bytes, size_t length, struct hs_error *err)
{
	const uint8_t *at = bytes;

	while (length > 0) {
		ssize_t done = write(fd, at, length);

		if (done < 0 && errno == EINTR) {
			continue;
		}
		if (done < 0) {
			return hs_error_os(err, errno, "cannot write %s", name);
		}
		at += done;
		length -= (size_t)done;
	}
	return HS_OK;
}

enum hs_status hs_fd_pwrite(int fd, const char *name, const void *bytes, size_t length, uint64_t offset,
			    struct hs_error *err)
{
	const uint8_t *at = bytes;

	while (length > 0) {
		ssize_t done = pwrite(fd, at, length, (off_t)offset);

		if (done < 0 && errno == EINTR) {
			continue;
		}
		if (done < 0) {
			return hs_error_os(err, errno, "cannot write %s", name);
		}
		at += done;
		offset += (uint64_t)done;
		length -= (size_t)done;
	}
	return HS_OK;
}

enum hs_status hs_fd_pwritev(int fd, const char *name, struct iovec *pieces, int count, uint64_t offset,
			     struct hs_error *err)
{
	while (count > 0) {
		ssize_t done = pwritev(fd, pieces, count, (off_t)offset);

		if (done < 0 && errno == EINTR) {
			continue;
		}
		if (done < 0) {
			return hs_error_os(err, errno, "cannot write %s", name);
		}
		offset += (uint64_t)done;
		for (; count > 0 && (size_t)done >= pieces->iov_len; pieces++, count--) {
			done -= (ssize_t)pieces->iov_len;
		}
		if (done > 0) {
			pieces->iov_base = (uint8_t *)pieces->iov_base + done;
			pieces->iov_len -= (size_t)done;
		}
	}
	return HS_OK;
}

enum hs_status hs_fd_pread(int fd, const char *name, void *bytes, size_t length, uint64_t offset, struct hs_error *err)
{
	uint8_t *at = bytes;

	while (length > 0) {
		ssize_t done = pread(fd, at, length, (off_t)offset);

		if (done < 0 && errno == EINTR) {
			continue;
		}
		if (done < 0) {
			return hs_error_os(err, errno, "cannot read %s", name);
		}
		if (done == 0) {
			return hs_error_set(err, HS_ERR_FORMAT, 0, offset,
					    "%s: file ends at byte %llu, %zu more expected", name,
					    (unsigned long long)offset, length);
		}
		at += done;
		offset += (uint64_t)done;
		length -= (size_t)done;
	}
	return HS_OK;
}

uint64_t hs_fd_next_data(int fd, uint64_t offset, uint64_t end)
{
	off_t found = lseek(fd, (off_t)offset, SEEK_DATA);

	if (found < 0) {
		/* Only "nothing but a hole" is an answer; a file system that knows no holes has to be read. */
		return errno == ENXIO ? end : offset;
	}
	return hs_min_u64(hs_align_down((uint64_t)found, HS_PAGE_SIZE), end);
}

uint64_t hs_fd_data_end(int fd, uint64_t offset, uint64_t end)
{
	off_t found = lseek(fd, (off_t)offset, SEEK_HOLE);
	uint64_t aligned;

	/* No answer, and one that a file which changes meanwhile can give: all is data. */
	if (found <= (off_t)offset || !hs_align_up((uint64_t)found, HS_PAGE_SIZE, &aligned)) {
		return end;
	}
	return hs_min_u64(aligned, end);
}
