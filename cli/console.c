/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/console.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

void hs_console_init(struct hs_console *console, int fd)
{
	memset(console, 0, sizeof(*console));
	console->fd = fd;
	console->cancel_fd = -1;
	console->at_once = isatty(fd);
}

/* Wait until fd takes bytes; false when cancel_fd was first. */
static bool wait_writable(int fd, int cancel_fd)
{
	struct pollfd fds[2] = { { .fd = fd, .events = POLLOUT }, { .fd = cancel_fd, .events = POLLIN } };

	for (;;) {
		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR || errno == EAGAIN) {
				continue;
			}
			return true; /* write() will say what is wrong */
		}
		if (fds[0].revents) {
			return true;
		}
		if (fds[1].revents) {
			return false;
		}
	}
}

/* At most HS_CONSOLE_BYTES. */
static void put(struct hs_console *console, const char *bytes, size_t length, int cancel_fd)
{
	while (length > 0 && !console->failed && wait_writable(console->fd, cancel_fd)) {
		ssize_t done = write(console->fd, bytes, length);

		if (done < 0 && errno != EINTR && errno != EAGAIN) {
			console->failed = errno;
		}
		if (done > 0) {
			bytes += done;
			length -= (size_t)done;
		}
	}
}

void hs_console_flush(struct hs_console *console, int cancel_fd)
{
	put(console, console->bytes, console->used, cancel_fd);
	console->used = 0;
}

void hs_console_write(void *ctx, const void *bytes, size_t length)
{
	struct hs_console *console = ctx;
	const char *at = bytes;

	while (length > 0 && !console->failed) {
		size_t room = sizeof(console->bytes) - console->used;
		size_t part = length < room ? length : room;

		memcpy(console->bytes + console->used, at, part);
		console->used += part;
		if (console->at_once || console->used == sizeof(console->bytes) || memrchr(at, '\n', part)) {
			hs_console_flush(console, console->cancel_fd);
		}
		at += part;
		length -= part;
	}
}
