/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client of the remote protocol that asks and waits, as a debugger does, and adds as little as it can to the time. */
#ifndef HS_BENCH_GDB_CLIENT_H
#define HS_BENCH_GDB_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** More than the largest packet of any server. */
#define HS_BENCH_PACKET_MAX (1u << 20)

struct hs_bench_client {
	const char *name; /* of the server, for messages */
	int fd;
	uint64_t packet_size; /* what the server says that it takes */
	bool binary;          /* it reads memory by x packets, in gdb's form */
	char *input, *packet;
	const char *reply; /* the last reply's payload, as it was sent and with a good checksum, terminated; in input */
	size_t reply_length;
};

/** Connect to 127.0.0.1 and greet the server, whose program is stopped. False, with a message, when it fails. */
bool hs_bench_client_open(struct hs_bench_client *client, const char *name, const char *port);
/** Take a connection that is there, to a server that needs no greeting. The client closes it, also when this fails. */
bool hs_bench_client_take(struct hs_bench_client *client, const char *name, int fd);
void hs_bench_client_close(struct hs_bench_client *client);

/** Send a payload and wait for its reply. False when the connection is lost, or the reply's checksum is wrong. */
bool hs_bench_client_ask(struct hs_bench_client *client, const char *payload);

#endif
