/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory reads through the remote protocol, as a client sees them: the same client reads the same bytes from two
 * servers, in the largest m packets that each takes.
 * Usage: OURS_PORT OURS_ADDRESS PEER_PORT PEER_ADDRESS BYTES [ROUNDS] (ports on 127.0.0.1, addresses in hex, BYTES
 * writable at each address)
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
#define HEADER_MAX 64u /* of an m or M packet: the letter, address, length, frame */

struct server {
	const char *name;
	int fd;
	uint64_t address, length;
	uint64_t chunk; /* bytes of memory in one packet */
	char *reply, *packet;
	char *digits; /* what is in its memory, in hex */
};

static bool send_packet(struct server *server, const char *body)
{
	size_t length;
	uint8_t sum = 0;

	for (const char *p = body; *p; p++) {
		sum = (uint8_t)(sum + (uint8_t)*p);
	}
	length = (size_t)snprintf(server->packet, REPLY_MAX, "$%s#%02x", body, sum);
	for (size_t sent = 0; sent < length;) {
		ssize_t put = write(server->fd, server->packet + sent, length - sent);

		if (put <= 0) {
			return false;
		}
		sent += (size_t)put;
	}
	return true;
}

/* Read up to the end of one reply; returns the length of its body, before run-length expansion, or -1. */
static long receive(struct server *server)
{
	size_t used = 0;

	while (used < REPLY_MAX) {
		ssize_t got = read(server->fd, server->reply + used, REPLY_MAX - used);
		char *start;
		char *end;

		if (got <= 0) {
			return -1;
		}
		used += (size_t)got;
		start = memchr(server->reply, '$', used);
		end = start && used >= 3 && server->reply[used - 3] == '#' ? server->reply + used - 3 : NULL;
		if (end && end > start) {
			*end = '\0';
			memmove(server->reply, start + 1, (size_t)(end - start));
			return end - start - 1;
		}
	}
	return -1;
}

static bool ask(struct server *server, const char *body)
{
	return send_packet(server, body) && receive(server) >= 0;
}

/* Run-length encoding undone: '*' and a character n are n - 29 more of the one before (gdb manual, Overview). */
static void expand_runs(const char *from, char *to, size_t size)
{
	size_t length = 0;

	for (; *from && length + 1 < size; from++) {
		int more = *from == '*' && length > 0 ? from[1] - 29 : 0;

		if (more <= 0) {
			to[length++] = *from;
			continue;
		}
		for (; more > 0 && length + 1 < size; more--, length++) {
			to[length] = to[length - 1];
		}
		from++;
	}
	to[length] = '\0';
}

static bool greet(struct server *server)
{
	static const char key[] = "PacketSize=";
	char features[4096];
	const char *size;

	if (!ask(server, "qSupported:multiprocess-;swbreak+;hwbreak+") || write(server->fd, "+", 1) != 1) {
		return false;
	}
	expand_runs(server->reply, features, sizeof(features));
	size = strstr(features, key);
	if (!size) {
		return false;
	}
	/* Two digits a byte. */
	server->chunk = (strtoull(size + strlen(key), NULL, 16) - HEADER_MAX) / 2;
	if (server->chunk > server->length) {
		server->chunk = server->length;
	}
	if (server->chunk == 0 || !ask(server, "QStartNoAckMode") || write(server->fd, "+", 1) != 1) {
		return false;
	}
	/* gdbserver reads no memory before a client has asked how the program stands and has chosen a thread. */
	return ask(server, "?") && ask(server, "Hg0");
}

/*
 * Random bytes without two equal digits in a row: neither server can make them shorter by run-length encoding, which
 * gdbserver does and which real memory gives less occasion for than zeros.
 */
static bool make_digits(struct server *server)
{
	uint64_t seed = 88172645463325252ull;

	server->digits = malloc(server->length * 2 + 1);
	if (!server->digits) {
		return false;
	}
	for (uint64_t i = 0; i < server->length; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		snprintf(server->digits + 2 * i, 3, "%02x", (unsigned int)((seed & 0x77) | 0x08));
	}
	return true;
}

/* The next piece that goes into one packet. */
static uint64_t piece_at(const struct server *server, uint64_t at)
{
	return server->chunk < server->length - at ? server->chunk : server->length - at;
}

static bool write_memory(struct server *server)
{
	char *body = malloc(REPLY_MAX);
	bool done = body != NULL && make_digits(server);
	uint64_t length;

	for (uint64_t at = 0; done && at < server->length; at += length) {
		length = piece_at(server, at);
		snprintf(body, REPLY_MAX, "M%llx,%llx:%.*s", (unsigned long long)(server->address + at),
			 (unsigned long long)length, (int)length * 2, server->digits + 2 * at);
		done = ask(server, body) && strcmp(server->reply, "OK") == 0;
	}
	free(body);
	if (!done) {
		fprintf(stderr, "gdb_read: %s did not take what it shall be asked for\n", server->name);
	}
	return done;
}

static bool connect_to(struct server *server, const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };
	int one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->reply = malloc(REPLY_MAX + 1);
	server->packet = malloc(REPLY_MAX);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!server->reply || !server->packet || server->fd < 0 ||
	    connect(server->fd, (struct sockaddr *)&address, sizeof(address))) {
		perror(server->name);
		return false;
	}
	setsockopt(server->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return greet(server) && write_memory(server);
}

static void disconnect(struct server *server)
{
	close(server->fd);
	free(server->digits);
	free(server->packet);
	free(server->reply);
}

/* Read one piece; false when it is not what was written. */
static bool read_piece(struct server *server, uint64_t at, uint64_t length)
{
	char body[HEADER_MAX];

	snprintf(body, sizeof(body), "m%llx,%llx", (unsigned long long)(server->address + at),
		 (unsigned long long)length);
	if (!ask(server, body) || strlen(server->reply) != 2 * length ||
	    memcmp(server->reply, server->digits + 2 * at, 2 * length) != 0) {
		fprintf(stderr, "gdb_read: %s answered %s with %.20s...\n", server->name, body, server->reply);
		return false;
	}
	return true;
}

static bool read_memory(void *ctx, double *ret_ns)
{
	struct server *server = ctx;
	double start = hs_bench_now();
	uint64_t total = (uint64_t)READ_MIB << 20;
	uint64_t length;

	for (uint64_t done = 0; done < total; done += length) {
		uint64_t at = done % server->length;

		length = piece_at(server, at);
		if (!read_piece(server, at, length)) {
			return false;
		}
	}
	*ret_ns = hs_bench_now() - start;
	return true;
}

int main(int argc, char **argv)
{
	struct server ours = { .name = "hindsight", .fd = -1 };
	struct server peer = { .name = "gdbserver", .fd = -1 };
	struct hs_bench bench = {
		.title = "gdb remote protocol: reading 16 MiB in m packets of each server's own PacketSize",
		.unit = "MiB/s",
		.work = READ_MIB,
		.rounds = hs_bench_rounds(argc == 7 ? argv[6] : NULL, 31),
		.ours = { ours.name, read_memory, &ours },
		.peer = { peer.name, read_memory, &peer },
	};
	bool done;

	if (argc < 6 || argc > 7) {
		fprintf(stderr, "usage: gdb_read OURS_PORT OURS_ADDRESS PEER_PORT PEER_ADDRESS BYTES [ROUNDS]\n");
		return 2;
	}
	ours.address = strtoull(argv[2], NULL, 16);
	peer.address = strtoull(argv[4], NULL, 16);
	ours.length = peer.length = strtoull(argv[5], NULL, 10);
	done = connect_to(&ours, argv[1]) && connect_to(&peer, argv[3]) && hs_bench_run(&bench);
	disconnect(&ours);
	disconnect(&peer);
	return done ? 0 : 1;
}
