/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image that a core names. The name can be anything, so only what is the guest's build is opened. */
#include "session/report_parts.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum hs_status check(int fd, const char *path, const uint8_t *build_id, size_t length, struct hs_error *err)
{
	uint8_t found[HS_BUILD_ID_MAX];
	size_t found_length;
	struct stat info;
	enum hs_status st;

	if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "%s: not a regular file", path);
	}
	st = hs_build_id_read(fd, path, found, &found_length, err);
	if (st) {
		return st;
	}
	if (length > 0 && (found_length != length || memcmp(found, build_id, length) != 0)) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "%s is another build than the guest's", path);
	}
	return HS_OK;
}

enum hs_status hs_report_image_open(const char *path, const uint8_t *build_id, size_t length, int *ret,
				    struct hs_error *err)
{
	/* O_NONBLOCK: a FIFO of that name must not hold us up. */
	int fd = path && *path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : -1;
	enum hs_status st;

	if (!path || !*path) {
		return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "the image is not known");
	}
	if (fd < 0) {
		return hs_error_os(err, errno, "%s", path);
	}
	st = check(fd, path, build_id, length, err);
	if (st) {
		close(fd);
		return st;
	}
	*ret = fd;
	return HS_OK;
}
