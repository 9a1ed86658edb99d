/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory reads through the remote protocol, as a client sees them: the same client reads the same amount from two
 * servers, in the largest m packets that each takes. Usage: OURS_PORT OURS_ADDRESS PEER_PORT PEER_ADDRESS BYTES
 * (ports on 127.0.0.1, addresses in hex, BYTES readable at each address).
 */
#include "harness.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_MIB 16
#define REPLY_MAX (1u << 20)

struct server {
	const char *name;
	int fd;
	uint64_t address, length;
	uint64_t chunk; /* bytes of memory in one packet */
	char *reply;    /* as it comes */
	char *text;     /* its body, expanded, with a NUL */
};

static bool send_packet(struct server *server, const char *body)
{
	char packet[256];
	uint8_t sum = 0;
	int length;

	for (const char *p = body; *p; p++) {
		sum = (uint8_t)(sum + (uint8_t)*p);
	}
	length = snprintf(packet, sizeof(packet), "$%s#%02x", body, sum);
	return write(server->fd, packet, (size_t)length) == length;
}

/* Expand the runs of a body, as every client has to (gdb manual, Overview of the protocol, "run-length encoding"): X*N
 * is an X and N - 29 more. */
static bool expand(struct server *server, const char *body, const char *end)
{
	size_t length = 0;

	for (; body < end; body++) {
		size_t more = 1;
		char byte = *body;

		if (byte == '*') {
			if (length == 0 || ++body == end || *body < ' ') {
				return false;
			}
			byte = server->text[length - 1];
			more = (size_t)(*body - 29);
		}
		if (length + more > REPLY_MAX) {
			return false;
		}
		memset(server->text + length, byte, more);
		length += more;
	}
	server->text[length] = '\0';
	return true;
}

/* Read up to the end of one reply and expand its body. */
static bool receive(struct server *server)
{
	size_t used = 0;

	while (used < REPLY_MAX) {
		ssize_t got = read(server->fd, server->reply + used, REPLY_MAX - used);
		char *start;
		char *end;

		if (got <= 0) {
			return false;
		}
		used += (size_t)got;
		start = memchr(server->reply, '$', used);
		end = start && used >= 3 && server->reply[used - 3] == '#' ? server->reply + used - 3 : NULL;
		if (end && end > start) {
			return expand(server, start + 1, end);
		}
	}
	return false;
}

static bool ask(struct server *server, const char *body)
{
	return send_packet(server, body) && receive(server);
}

static bool greet(struct server *server)
{
	const char *size;

	if (!ask(server, "qSupported:multiprocess-;swbreak+;hwbreak+")) {
		return false;
	}
	if (write(server->fd, "+", 1) != 1) {
		return false;
	}
	size = strstr(server->text, "PacketSize=");
	/* Two digits a byte, and room for the frame. */
	server->chunk = size ? (strtoull(size + 11, NULL, 16) - 16) / 2 : 200;
	if (server->chunk > server->length) {
		server->chunk = server->length;
	}
	if (!ask(server, "QStartNoAckMode") || write(server->fd, "+", 1) != 1) {
		return false;
	}
	/* gdbserver 13 has no current thread, and so no memory, before it was asked why it stands. */
	return ask(server, "?");
}

static bool connect_to(struct server *server, const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };
	int one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->reply = malloc(REPLY_MAX + 1);
	server->text = malloc(REPLY_MAX + 1);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!server->reply || !server->text || server->fd < 0 ||
	    connect(server->fd, (struct sockaddr *)&address, sizeof(address))) {
		perror(server->name);
		return false;
	}
	setsockopt(server->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return greet(server);
}

static bool read_memory(void *ctx, double *ret_ns)
{
	struct server *server = ctx;
	double start = hs_bench_now();
	uint64_t left = (uint64_t)READ_MIB << 20;
	uint64_t at = 0;

	while (left > 0) {
		uint64_t want = server->chunk < server->length - at ? server->chunk : server->length - at;
		char body[64];

		snprintf(body, sizeof(body), "m%llx,%llx", (unsigned long long)(server->address + at),
			 (unsigned long long)want);
		if (!ask(server, body) || strlen(server->text) != 2 * want) {
			fprintf(stderr, "gdb_read: %s refused %s\n", server->name, body);
			return false;
		}
		left -= want < left ? want : left;
		at = (at + want) % server->length;
	}
	*ret_ns = hs_bench_now() - start;
	return true;
}

int main(int argc, char **argv)
{
	struct server ours = { .name = "hindsight" };
	struct server peer = { .name = "gdbserver" };
	struct hs_bench bench = {
		.title = "gdb remote protocol: reading 16 MiB in m packets of each server's own PacketSize",
		.unit = "MiB/s",
		.work = READ_MIB,
		.rounds = 10,
		.ours = { ours.name, read_memory, &ours },
		.peer = { peer.name, read_memory, &peer },
	};

	if (argc != 6) {
		fprintf(stderr, "usage: gdb_read OURS_PORT OURS_ADDRESS PEER_PORT PEER_ADDRESS BYTES\n");
		return 2;
	}
	ours.address = strtoull(argv[2], NULL, 16);
	peer.address = strtoull(argv[4], NULL, 16);
	ours.length = peer.length = strtoull(argv[5], NULL, 10);
	if (!connect_to(&ours, argv[1]) || !connect_to(&peer, argv[3])) {
		return 1;
	}
	return hs_bench_run(&bench) ? 0 : 1;
}
