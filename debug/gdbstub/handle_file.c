/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Host I/O (gdb manual, Host I/O Packets), for two files: the guest image and its separate debug file, read-only,
 * through descriptors that the target holds. Paths are compared, never opened, so a client learns nothing about any
 * other file of the host, not even whether it exists.
 */
#include "gdbstub/stub.h"

#include "gdbstub/text.h"

#include "base/bytes.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_HANDLES 16u

/* Errno values of the protocol (gdb manual, Errno Values); the few that we use have Linux's numbers. */
enum file_errno { FILE_ENOENT = 2, FILE_EIO = 5, FILE_EBADF = 9, FILE_EACCES = 13, FILE_EINVAL = 22, FILE_EMFILE = 24 };

static enum hs_reply file_error(struct hs_gdb *gdb, enum file_errno number)
{
	hs_buf_printf(&gdb->payload, "F-1,%x", (unsigned int)number);
	return HS_REPLY_PAYLOAD;
}

static enum hs_reply file_result(struct hs_gdb *gdb, uint64_t result)
{
	hs_buf_printf(&gdb->payload, "F%llx", (unsigned long long)result);
	return HS_REPLY_PAYLOAD;
}

static bool is_image(const struct hs_gdb *gdb, struct hs_span path)
{
	return gdb->info.image_path && gdb->info.image_fd >= 0 && hs_span_is(path, gdb->info.image_path);
}

static bool is_debug_file(const struct hs_gdb *gdb, struct hs_span path)
{
	return gdb->info.debug_path && hs_span_is(path, gdb->info.debug_path);
}

static bool is_open(const struct hs_gdb *gdb, uint64_t handle)
{
	return handle < FILE_HANDLES && (gdb->client.files >> handle & 1) != 0;
}

/* The file of an open handle. */
static int fd_of(const struct hs_gdb *gdb, uint64_t handle)
{
	return (gdb->client.debug_files >> handle & 1) != 0 ? gdb->info.debug_fd : gdb->info.image_fd;
}

/* Whose view of the file system: there is one. */
enum hs_reply hs_handle_file_setfs(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	return file_result(gdb, 0);
}

enum hs_reply hs_handle_file_open(struct hs_gdb *gdb, const struct hs_request *request)
{
	bool debug_file = is_debug_file(gdb, request->open.path);
	unsigned int handle = 0;

	if (!debug_file && !is_image(gdb, request->open.path)) {
		return file_error(gdb, FILE_ENOENT);
	}
	if (request->open.flags != 0) { /* O_RDONLY; nothing is created, truncated or written */
		return file_error(gdb, FILE_EACCES);
	}
	while (handle < FILE_HANDLES && is_open(gdb, handle)) {
		handle++;
	}
	if (handle == FILE_HANDLES) {
		return file_error(gdb, FILE_EMFILE);
	}
	gdb->client.files |= 1u << handle;
	gdb->client.debug_files |= (debug_file ? 1u : 0u) << handle;
	return file_result(gdb, handle);
}

enum hs_reply hs_handle_file_close(struct hs_gdb *gdb, const struct hs_request *request)
{
	if (!is_open(gdb, request->file.handle)) {
		return file_error(gdb, FILE_EBADF);
	}
	gdb->client.files &= ~(1u << request->file.handle);
	gdb->client.debug_files &= gdb->client.files;
	return file_result(gdb, 0);
}

/* "F" and the count, ';', the bytes. Half the reply's room, so that the framing of any bytes fits. */
enum hs_reply hs_handle_file_pread(struct hs_gdb *gdb, const struct hs_request *request)
{
	uint64_t count = request->file.count;
	uint8_t *bytes;
	ssize_t got;

	if (!is_open(gdb, request->file.handle)) {
		return file_error(gdb, FILE_EBADF);
	}
	if (request->file.offset > INT64_MAX) {
		return file_error(gdb, FILE_EINVAL);
	}
	if (count > HS_GDB_REPLY_MAX / 2) {
		count = HS_GDB_REPLY_MAX / 2;
	}
	hs_buf_clear(&gdb->scratch);
	bytes = hs_buf_extend(&gdb->scratch, count);
	if (!bytes && count > 0) {
		return hs_reply_error(gdb, HS_ERR_NOMEM, "no memory for the reply");
	}
	do {
		got = pread(fd_of(gdb, request->file.handle), bytes, count, (off_t)request->file.offset);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		return file_error(gdb, FILE_EIO);
	}
	hs_buf_printf(&gdb->payload, "F%zx;", (size_t)got);
	hs_buf_append(&gdb->payload, bytes, (size_t)got);
	return HS_REPLY_PAYLOAD;
}

/* The protocol's struct stat is big-endian (gdb manual, struct stat). */
static void put_be(struct hs_buf *buf, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = bytes; i > 0; i--) {
		hs_buf_append_byte(buf, (uint8_t)(value >> (8 * (i - 1))));
	}
}

enum hs_reply hs_handle_file_fstat(struct hs_gdb *gdb, const struct hs_request *request)
{
	struct hs_buf *payload = &gdb->payload;
	struct stat st;

	if (!is_open(gdb, request->file.handle)) {
		return file_error(gdb, FILE_EBADF);
	}
	if (fstat(fd_of(gdb, request->file.handle), &st) != 0) {
		return file_error(gdb, FILE_EIO);
	}
	hs_buf_append_string(payload, "F40;"); /* 0x40 = 7 * 4 + 3 * 8 + 3 * 4 bytes */
	put_be(payload, 0, 4);                 /* st_dev: 0 is a file */
	put_be(payload, 0, 4);                 /* st_ino */
	put_be(payload, S_IFREG | 0444, 4);
	put_be(payload, 1, 4); /* st_nlink */
	put_be(payload, 0, 4); /* st_uid */
	put_be(payload, 0, 4); /* st_gid */
	put_be(payload, 0, 4); /* st_rdev */
	put_be(payload, (uint64_t)st.st_size, 8);
	put_be(payload, (uint64_t)st.st_blksize, 8);
	put_be(payload, (uint64_t)st.st_blocks, 8);
	put_be(payload, (uint64_t)st.st_atime, 4);
	put_be(payload, (uint64_t)st.st_mtime, 4);
	put_be(payload, (uint64_t)st.st_ctime, 4);
	return HS_REPLY_PAYLOAD;
}

/* The paths are absolute and as the target opened them: no links as far as a client may know. */
enum hs_reply hs_handle_file_readlink(struct hs_gdb *gdb, const struct hs_request *request)
{
	bool served = is_image(gdb, request->text) || is_debug_file(gdb, request->text);

	return file_error(gdb, served ? FILE_EINVAL : FILE_ENOENT);
}
