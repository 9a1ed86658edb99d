/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server and its sockets, for tests that are its clients: a thread serves the fake target. Waiting is always for
 * bytes, for the end of a connection or for the thread, never for time.
 */
#ifndef SERVED_H
#define SERVED_H

#include "fake_target.h"

#include <hindsight/gdb.h>

#include <pthread.h>
#include <stdint.h>

/* Longest wait for anything that has to happen. */
#define SERVED_PATIENCE_MS 20000

struct served {
	struct fake_target fake;
	struct hs_gdb_listener *listener;
	struct hs_gdb_serve_options options;
	int stop_pipe[2];
	pthread_t thread;
	enum hs_gdb_end end;
	enum hs_status status;
	char folder[64];
	char path[96];
};

/* A fake target with 64 KiB of memory at 0x1000, and a listener; NULL is a unix socket in a folder of its own. */
void served_prepare(struct served *served, const char *address);
/* Serve, in a thread. */
void served_start(struct served *served);
/* Wait for the thread, which has to have ended like that. */
void served_join(struct served *served, enum hs_gdb_end end);
/* Everything that is left, once the thread has ended. */
void served_clean(struct served *served);
void served_stop_and_clean(struct served *served);
/* Run a test over a unix socket and over TCP. */
void served_both_transports(void (*test)(struct served *served));

int served_connect(const struct served *served);
void served_send_text(int fd, const char *text);
void served_send_packet(int fd, const char *payload);
/* One byte; -1 at the end of the connection. */
int served_receive_byte(int fd);
/* Up to the end of a packet; acknowledgements are skipped. An end of the connection gives "". */
const char *served_receive_packet(int fd);
void served_expect_reply(int fd, const char *payload, const char *reply);
/* The other side hangs up. */
void served_expect_closed(int fd);

/* What this process has had of the processors. */
int64_t served_cpu_microseconds(void);

#endif
