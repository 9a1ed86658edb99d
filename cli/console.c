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

#define FOR_EVER (-1)

/* Wait until fd takes bytes; false when cancel_fd or the time limit, which is 0 or FOR_EVER, was first. */
static bool wait_writable(int fd, int cancel_fd, int timeout_ms)
{
	struct pollfd fds[2] = { { .fd = fd, .events = POLLOUT }, { .fd = cancel_fd, .events = POLLIN } };

	for (;;) {
		int ready = poll(fds, 2, timeout_ms);

		if (ready < 0) {
			if (errno == EINTR || errno == EAGAIN) {
				continue;
			}
			return true; /* write() will say what is wrong */
		}
		if (ready == 0) {
			return false;
		}
		if (fds[0].revents) {
			return true;
		}
		if (fds[1].revents) {
			return false;
		}
	}
}

/* Write what is held back, as far as the reader takes it in time. How much that was. */
static size_t put(struct hs_console *console, int cancel_fd, int timeout_ms)
{
	size_t done = 0;

	while (done < console->used && !console->failed && wait_writable(console->fd, cancel_fd, timeout_ms)) {
		ssize_t now = write(console->fd, console->bytes + done, console->used - done);

		if (now < 0 && errno != EINTR && errno != EAGAIN) {
			console->failed = errno;
		}
		if (now > 0) {
			done += (size_t)now;
		}
	}
	return done;
}

void hs_console_flush(struct hs_console *console, int cancel_fd)
{
	(void)put(console, cancel_fd, FOR_EVER);
	console->used = 0;
}

void hs_console_flush_now(struct hs_console *console)
{
	size_t done = put(console, -1, 0);

	console->used -= done;
	memmove(console->bytes, console->bytes + done, console->used);
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
