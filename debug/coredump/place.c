/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of cores, and how a file gets one. See place.h. */
#include "coredump/place.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"

#include <hindsight/coredump.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/** Bytes of the guest's name that a default name keeps: with two numbers it stays far below NAME_MAX. */
#define GUEST_NAME_MAX 100

/** Numbers tried for a default name before giving up. */
#define SEQUENCE_MAX 1000000u

/** The guest's name as part of a file name: printable ASCII that no shell takes amiss, and not hidden. */
static void put_guest_name(const char *guest, char ret[GUEST_NAME_MAX + 1])
{
	size_t length = 0;

	for (; guest[length] != '\0' && length < GUEST_NAME_MAX; length++) {
		char c = guest[length];
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			     (c != '\0' && strchr("._+-", c) != NULL);

		ret[length] = plain && !(length == 0 && (c == '.' || c == '-')) ? c : '_';
	}
	if (length == 0) {
		memcpy(ret, "guest", 5);
		length = 5;
	}
	ret[length] = '\0';
}

static enum hs_status default_path(const char *directory, const char *guest, int pid, unsigned int sequence,
				   const char *suffix, char *ret, size_t size, struct hs_error *err)
{
	char name[GUEST_NAME_MAX + 1];
	char path[PATH_MAX];
	size_t length = strlen(directory);
	const char *slash = length > 0 && directory[length - 1] == '/' ? "" : "/";

	put_guest_name(guest, name);
	int written =
		snprintf(path, sizeof(path), "%s%s%s.%d.%u.core%s", directory, slash, name, pid, sequence, suffix);

	if (written < 0 || (size_t)written >= sizeof(path) || (size_t)written >= size) {
		return hs_error_set(err, HS_ERR_RANGE, ENAMETOOLONG, 0,
				    "%.100s...: the name of a core in this directory is too long", directory);
	}
	memcpy(ret, path, (size_t)written + 1);
	return HS_OK;
}

enum hs_status hs_core_default_path(const char *directory, const char *guest, int pid, unsigned int sequence, char *ret,
				    size_t size, struct hs_error *err)
{
	return default_path(directory, guest, pid, sequence, "", ret, size, err);
}

/** True when text ends in suffix. */
static bool ends_in(const char *text, const char *suffix)
{
	size_t length = strlen(text), tail = strlen(suffix);

	return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

static enum hs_status exists(const char *path, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_BUSY, EEXIST, 0,
			    "%s: replaces no file that is there (remove it or give another name)", path);
}

/** A name of the caller's own: directory and last component. */
static enum hs_status take_file_path(const char *path, struct hs_core_place *place, struct hs_error *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	size_t length = slash == NULL ? 0 : (size_t)(slash - path);
	struct stat info;

	if (lstat(path, &info) == 0 && !(place->replace && S_ISREG(info.st_mode))) {
		return exists(path, err);
	}
	if (strlen(path) >= sizeof(place->path) || strlen(name) > NAME_MAX) {
		return hs_error_set(err, HS_ERR_RANGE, ENAMETOOLONG, 0, "%.100s...: name too long", path);
	}
	if (*name == '\0') {
		return hs_error_os(err, ENOENT, "cannot write to %s", path);
	}
	if (slash == NULL) {
		memcpy(place->directory, ".", 2);
	} else {
		memcpy(place->directory, length > 0 ? path : "/", length > 0 ? length : 1);
		place->directory[length > 0 ? length : 1] = '\0';
	}
	memcpy(place->path, path, strlen(path) + 1);
	return HS_OK;
}

/** Which directory, and which name in it. */
static enum hs_status choose_name(const char *path, const char *guest, struct hs_core_place *place,
				  struct hs_error *err)
{
	struct stat info;

	if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
		char whole[PATH_MAX];
		int written =
			snprintf(whole, sizeof(whole), "%s%s", path, ends_in(path, place->suffix) ? "" : place->suffix);

		if (written < 0 || (size_t)written >= sizeof(whole)) {
			return hs_error_set(err, HS_ERR_RANGE, ENAMETOOLONG, 0, "%.100s...: name too long", path);
		}
		return take_file_path(whole, place, err);
	}
	if (strlen(path) >= sizeof(place->directory)) {
		return hs_error_set(err, HS_ERR_RANGE, ENAMETOOLONG, 0, "%.100s...: name too long", path);
	}
	place->numbered = true;
	memcpy(place->directory, path, strlen(path) + 1);
	memcpy(place->guest, guest, strnlen(guest, NAME_MAX));
	return default_path(path, guest, place->pid, 0, place->suffix, place->path, sizeof(place->path), err);
}

/** The temporary name cannot be guessed, so nobody can be waiting under it; should one be, O_EXCL refuses it. */
static enum hs_status create_temporary(struct hs_core_place *place, struct hs_error *err)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
		return hs_error_os(err, errno, "cannot get random bytes for a temporary name");
	}
	snprintf(place->temporary, sizeof(place->temporary), ".hindsight-%016llx.part", (unsigned long long)random);
	place->fd =
		openat(place->directory_fd, place->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (place->fd < 0) {
		return hs_error_os(err, errno, "cannot create a core in %s", place->directory);
	}
	return HS_OK;
}

enum hs_status hs_core_place_init(const char *path, const struct hs_core_name *name, struct hs_core_place *ret,
				  struct hs_error *err)
{
	struct hs_core_place place = {
		.fd = -1, .directory_fd = -1, .replace = name->replace, .pid = name->pid, .suffix = name->suffix
	};
	enum hs_status st = choose_name(path != NULL ? path : ".", name->guest, &place, err);

	if (st) {
		return st;
	}
	/* O_PATH needs no permission to list the directory: a drop box will do. */
	place.directory_fd = open(place.directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (place.directory_fd < 0) {
		return hs_error_os(err, errno, "cannot write to %s", place.directory);
	}
	st = create_temporary(&place, err);
	if (st) {
		close(place.directory_fd);
		return st;
	}
	*ret = place;
	return HS_OK;
}

enum hs_status hs_core_place_scratch(const struct hs_core_place *place, int *ret_fd, struct hs_error *err)
{
	struct hs_core_place scratch = { .directory_fd = place->directory_fd };
	enum hs_status st;

	memcpy(scratch.directory, place->directory, sizeof(scratch.directory));
	st = create_temporary(&scratch, err);
	if (st) {
		return st;
	}
	unlinkat(scratch.directory_fd, scratch.temporary, 0);
	*ret_fd = scratch.fd;
	return HS_OK;
}

/** Give the temporary file its name. 0 or an errno; EEXIST when it is taken. */
static int give_name(const struct hs_core_place *place, const char *name)
{
	if (place->replace && !place->numbered) {
		/* A symbolic link that is there by now is replaced itself, never followed (rename(2)). */
		return renameat(place->directory_fd, place->temporary, place->directory_fd, name) == 0 ? 0 : errno;
	}
	if (renameat2(place->directory_fd, place->temporary, place->directory_fd, name, RENAME_NOREPLACE) == 0) {
		return 0;
	}
	if (errno != EINVAL && errno != ENOSYS) {
		return errno;
	}
	/* A file system without RENAME_NOREPLACE: link() replaces nothing either. */
	if (linkat(place->directory_fd, place->temporary, place->directory_fd, name, 0) != 0) {
		return errno;
	}
	unlinkat(place->directory_fd, place->temporary, 0);
	return 0;
}

/**
 * The name reaches the disk with the directory. One that may not be opened for reading cannot be synced: no failure.
 */
static void sync_directory(const struct hs_core_place *place)
{
	HS_CLOSE int fd = openat(place->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		(void)fsync(fd);
	}
}

enum hs_status hs_core_place_publish(struct hs_core_place *place, struct hs_error *err)
{
	int failure;

	if (fsync(place->fd) != 0) {
		return hs_error_os(err, errno, "cannot write %s", place->path);
	}
	for (;;) {
		failure = give_name(place, hs_base_name(place->path));
		if (failure != EEXIST || !place->numbered || place->sequence >= SEQUENCE_MAX) {
			break;
		}
		enum hs_status st = default_path(place->directory, place->guest, place->pid, ++place->sequence,
						 place->suffix, place->path, sizeof(place->path), err);

		if (st) {
			return st;
		}
	}
	if (failure == EEXIST) {
		return exists(place->path, err);
	}
	if (failure != 0) {
		return hs_error_os(err, failure, "cannot name a core %s", place->path);
	}
	place->temporary[0] = '\0';
	sync_directory(place);
	return HS_OK;
}

void hs_core_place_deinit(struct hs_core_place *place)
{
	if (place->temporary[0] != '\0') {
		unlinkat(place->directory_fd, place->temporary, 0);
	}
	close(place->fd);
	close(place->directory_fd);
	place->fd = place->directory_fd = -1;
	place->temporary[0] = '\0';
}
