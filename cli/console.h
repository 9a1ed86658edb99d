/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's console on a descriptor of ours. Output to a terminal is written at once, output to a file or a pipe
 * a line at a time. A reader that has left (EPIPE) or a full disk ends the output, never the guest.
 *
 * The guest's thread writes while the guest runs, the main thread flushes while it is stopped: never both at once.
 */
#ifndef HS_CLI_CONSOLE_H
#define HS_CLI_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

/** Bytes held back for want of a newline, and at most written in one go: what a pipe that polls writable takes at once
 *  (PIPE_BUF, pipe(7)), so that no write blocks. */
#define HS_CONSOLE_BYTES 4096u

/** Caller's storage. */
struct hs_console {
	int fd;
	int cancel_fd; /**< readable: give up on output that the reader does not take; -1 for none */
	bool at_once;  /**< fd is a terminal */
	int failed;    /**< errno that ended the output; 0 while it goes on */
	size_t used;
	char bytes[HS_CONSOLE_BYTES];
};

/** A console on a descriptor, which is borrowed. cancel_fd may be set later. */
void hs_console_init(struct hs_console *console, int fd);

/** hs_console_fn of the VM; ctx is the struct hs_console. */
void hs_console_write(void *ctx, const void *bytes, size_t length);

/** Write what is held back. cancel_fd: as in the struct, for this call. */
void hs_console_flush(struct hs_console *console, int cancel_fd);
/** Write what the reader takes without being waited for; the rest stays held back. */
void hs_console_flush_now(struct hs_console *console);

#endif
