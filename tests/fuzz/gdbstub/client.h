/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client of the stub over TCP that sends whatever it is given, and never waits longer than patience lasts. */
#ifndef HS_TESTS_FUZZ_GDBSTUB_CLIENT_H
#define HS_TESTS_FUZZ_GDBSTUB_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client {
	int fd;
	bool ended;     /* the other side has hung up */
	uint8_t *input; /* CLIENT_INPUT bytes; [start, end) has not been looked at */
	size_t start, end;
};

/* More than any reply is long. */
#define CLIENT_INPUT (4u << 20)

/* Connect to a port of 127.0.0.1. What goes wrong here and below ends the program with a message. */
void client_open(struct client *client, uint16_t port);
/* With reset, what is on its way is thrown away on both sides. */
void client_close(struct client *client, bool reset);

/* Send bytes and read meanwhile, so that neither side waits for the other; less when the other side hangs up. */
void client_send(struct client *client, const void *bytes, size_t length);
void client_send_packet(struct client *client, const char *payload);

/* The next packet's payload as it was sent, terminated; NULL when the other side has hung up. */
const char *client_receive(struct client *client);

/* Undo run-length encoding into ret, which has room for size bytes. */
void client_expand(const char *payload, char *ret, size_t size);

/* Say what is wrong and end. */
__attribute__((noreturn, format(printf, 1, 2))) void client_fail(const char *format, ...);

#endif
