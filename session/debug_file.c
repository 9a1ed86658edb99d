/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/debug_file.h"

#include "symbols/build_id.h"
#include "symbols/debug_link.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY "/usr/lib/debug"

/* What tells that a file is the image's. */
struct image {
	uint8_t build_id[HS_BUILD_ID_MAX];
	size_t build_id_length;
	char link[HS_DEBUG_LINK_MAX]; /* empty: it names none */
	uint32_t link_crc;
};

static bool is_of(const struct image *image, int fd, const char *path)
{
	uint8_t build_id[HS_BUILD_ID_MAX];
	uint32_t crc;
	size_t length;

	if (hs_build_id_read(fd, path, build_id, &length, NULL)) {
		return false;
	}
	if (image->build_id_length > 0) {
		return length == image->build_id_length && memcmp(build_id, image->build_id, length) == 0;
	}
	return hs_debug_link_crc(fd, path, &crc, NULL) == HS_OK && crc == image->link_crc;
}

/* Take the file at ret->path if it is the image's. */
static bool try_path(const struct image *image, int follow, struct hs_debug_file *ret)
{
	struct stat file;
	int fd;

	if (!ret->path) {
		return false;
	}
	/* O_NONBLOCK: a FIFO of that name must not hold us up. */
	fd = open(ret->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | follow);
	if (fd >= 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && is_of(image, fd, ret->path)) {
		ret->fd = fd;
		return true;
	}
	if (fd >= 0) {
		close(fd);
	}
	free(ret->path);
	ret->path = NULL;
	return false;
}

__attribute__((format(printf, 1, 2))) static char *text_of(const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0) {
		text = NULL;
	}
	va_end(args);
	return text;
}

/* DIRECTORY/.build-id/NN/NNN.debug */
static char *path_by_id(const struct image *image, const char *directory)
{
	char digits[2 * HS_BUILD_ID_MAX + 1];

	for (size_t i = 0; i < image->build_id_length; i++) {
		sprintf(digits + 2 * i, "%02x", image->build_id[i]);
	}
	return text_of("%s/.build-id/%.2s/%s.debug", directory, digits, digits + 2);
}

static bool find_by_link(const struct image *image, const char *image_path, const char *directory,
			 struct hs_debug_file *ret)
{
	const char *slash = strrchr(image_path, '/');
	int length = slash ? (int)(slash - image_path) : 0;

	ret->path = text_of("%.*s/%s", length, image_path, image->link);
	if (try_path(image, O_NOFOLLOW, ret)) {
		return true;
	}
	ret->path = text_of("%.*s/.debug/%s", length, image_path, image->link);
	if (try_path(image, O_NOFOLLOW, ret)) {
		return true;
	}
	ret->path = text_of("%s%.*s/%s", directory, length, image_path, image->link);
	return try_path(image, 0, ret);
}

bool hs_debug_file_find(int image_fd, const char *image_path, const char *directory, struct hs_debug_file *ret)
{
	struct image image = { .link = "" };

	*ret = (struct hs_debug_file){ .fd = -1 };
	directory = directory ? directory : DIRECTORY;
	if (image_fd < 0 || !image_path || image_path[0] != '/' ||
	    hs_build_id_read(image_fd, image_path, image.build_id, &image.build_id_length, NULL)) {
		return false;
	}
	if (hs_debug_link_read(image_fd, image_path, image.link, &image.link_crc, NULL)) {
		image.link[0] = '\0';
	}
	if (image.build_id_length > 1) {
		ret->path = path_by_id(&image, directory);
		if (try_path(&image, 0, ret)) {
			return true;
		}
	}
	return image.link[0] && find_by_link(&image, image_path, directory, ret);
}

void hs_debug_file_deinit(struct hs_debug_file *file)
{
	if (file->path) {
		free(file->path);
		close(file->fd);
	}
	*file = (struct hs_debug_file){ .fd = -1 };
}
