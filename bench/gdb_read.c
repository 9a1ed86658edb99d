/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory reads through the remote protocol, as a client sees them: the same client reads the same bytes from two
 * servers, in the largest packets that each takes. Usage: OURS_PORT OURS_ADDRESS x|m PEER PEER_PORT PEER_ADDRESS
 * [ROUNDS] (ports on 127.0.0.1, addresses in hex, READ_MIB writable at each; we are read by x packets or m packets,
 * the peer, of that name, by m packets)
 */
#include "gdb_client.h"
#include "harness.h"
#include "ready.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_MIB 64
#define HEADER_MAX 64u /* of an m or M packet: the letter, address, length, frame */
/* The bytes are these over and over, less than a packet and more than a cache line: a client compares them quickly. */
#define PERIOD 262139u

struct server {
	struct hs_bench_client client;
	uint64_t address;
	uint64_t chunk; /* bytes of memory in one packet */
	bool binary;
	char *digits;    /* the bytes of the period, twice, in hex */
	char *wire;      /* what they look like in a reply: the digits, or binary */
	size_t *wire_at; /* where byte i begins there */
};

/*
 * Random bytes, not two equal ones in a row, and no byte of two equal digits: no server can make them shorter by
 * run-length encoding, which real memory gives less occasion for than zeros.
 */
static void make_bytes(uint8_t *ret)
{
	uint64_t seed = 88172645463325252ull;

	for (size_t i = 0; i < PERIOD; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		ret[i] = (uint8_t)((seed & 0x77) | 0x08);
		/* One byte in 64 is one that has to be escaped in an x packet, as of random bytes. */
		if ((seed >> 40) % 64 == 0) {
			ret[i] = '}';
		} else if (i > 0 && ret[i] == ret[i - 1]) {
			ret[i] ^= 0x10;
		}
	}
}

static size_t put_on_wire(bool binary, uint8_t byte, char *ret)
{
	if (!binary) {
		snprintf(ret, 3, "%02x", byte);
		return 2;
	}
	if (strchr("#$*}", byte)) {
		ret[0] = '}';
		ret[1] = (char)(byte ^ 0x20);
		return 2;
	}
	ret[0] = (char)byte;
	return 1;
}

static bool make_wire(struct server *server)
{
	uint8_t bytes[PERIOD];
	size_t length = 0;

	server->digits = malloc(4 * (size_t)PERIOD + 1);
	server->wire = malloc(4 * (size_t)PERIOD + 1);
	server->wire_at = calloc(2 * (size_t)PERIOD + 1, sizeof(*server->wire_at));
	if (!server->digits || !server->wire || !server->wire_at) {
		return false;
	}
	make_bytes(bytes);
	for (size_t i = 0; i < 2 * (size_t)PERIOD; i++) {
		put_on_wire(false, bytes[i % PERIOD], server->digits + 2 * i);
		server->wire_at[i] = length;
		length += put_on_wire(server->binary, bytes[i % PERIOD], server->wire + length);
	}
	server->wire_at[2 * (size_t)PERIOD] = length;
	return true;
}

/* The next piece that goes into one packet. */
static uint64_t piece_at(const struct server *server, uint64_t at)
{
	uint64_t left = ((uint64_t)READ_MIB << 20) - at;

	return server->chunk < left ? server->chunk : left;
}

/* Fill the server's memory, by M packets. */
static bool write_memory(struct server *server)
{
	char *body = malloc(HS_BENCH_PACKET_MAX);
	uint64_t most = (server->client.packet_size - HEADER_MAX) / 2;
	bool done = body != NULL;

	for (uint64_t at = 0; done && at < (uint64_t)READ_MIB << 20;) {
		uint64_t left = ((uint64_t)READ_MIB << 20) - at;
		uint64_t length = most < left ? most : left;

		snprintf(body, HS_BENCH_PACKET_MAX, "M%llx,%llx:%.*s", (unsigned long long)(server->address + at),
			 (unsigned long long)length, (int)length * 2, server->digits + 2 * (at % PERIOD));
		done = hs_bench_client_ask(&server->client, body) && strcmp(server->client.reply, "OK") == 0;
		at += length;
	}
	free(body);
	if (!done) {
		fprintf(stderr, "gdb_read: %s did not take what it shall be asked for\n", server->client.name);
	}
	return done;
}

static bool prepare(struct server *server, const char *name, const char *port, const char *address)
{
	if (!hs_bench_client_open(&server->client, name, port)) {
		return false;
	}
	server->address = strtoull(address, NULL, 16);
	if (server->binary && !server->client.binary) {
		fprintf(stderr, "gdb_read: %s has no x packet\n", name);
		return false;
	}
	/* Two digits a byte, or at most two bytes. */
	server->chunk = (server->client.packet_size - HEADER_MAX) / 2;
	return make_wire(server) && write_memory(server);
}

/* The floor: what we answer, ready, in as many packets. */
static bool prepare_floor(struct server *floor, struct hs_bench_ready *ready, const struct server *ours)
{
	int fd;

	*ready = (struct hs_bench_ready){
		.text = ours->wire,
		.at = ours->wire_at,
		.period = PERIOD,
		.binary = ours->binary,
	};
	if (!hs_bench_ready_start(ready, &fd) || !hs_bench_client_take(&floor->client, "ready replies", fd)) {
		return false;
	}
	floor->chunk = ours->chunk;
	floor->binary = ours->binary;
	return make_wire(floor);
}

static void finish(struct server *server)
{
	hs_bench_client_close(&server->client);
	free(server->digits);
	free(server->wire);
	free(server->wire_at);
}

/* Read one piece; false when it is not what was written. */
static bool read_piece(struct server *server, uint64_t at, uint64_t length)
{
	size_t from = server->wire_at[at % PERIOD];
	size_t wanted = server->wire_at[at % PERIOD + length] - from;
	/* gdb's form of the reply to x begins with a letter. */
	size_t skip = server->binary ? 1 : 0;
	char body[HEADER_MAX];

	snprintf(body, sizeof(body), "%c%llx,%llx", server->binary ? 'x' : 'm',
		 (unsigned long long)(server->address + at), (unsigned long long)length);
	if (!hs_bench_client_ask(&server->client, body) || server->client.reply_length != wanted + skip ||
	    memcmp(server->client.reply + skip, server->wire + from, wanted) != 0) {
		fprintf(stderr, "gdb_read: %s answered %s with %.20s...\n", server->client.name, body,
			server->client.reply);
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

	for (uint64_t at = 0; at < total; at += length) {
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
	static struct server ours;
	static struct server peer;
	static struct server floor;
	static struct hs_bench_ready ready;
	const struct hs_bench_side others[] = { { "ready replies", read_memory, &floor } };
	char title[128];
	struct hs_bench bench = {
		.title = title,
		.unit = "MiB/s",
		.work = READ_MIB,
		.rounds = hs_bench_rounds(argc == 8 ? argv[7] : NULL, 11),
		.ours = { "hindsight", read_memory, &ours },
		.peer = { argc > 4 ? argv[4] : "", read_memory, &peer },
		.others = others,
		.other_count = 1,
	};
	bool done;

	if (argc < 7 || argc > 8) {
		fprintf(stderr, "usage: gdb_read PORT ADDRESS x|m PEER PEER_PORT PEER_ADDRESS [ROUNDS]\n");
		return 2;
	}
	ours.binary = argv[3][0] == 'x';
	snprintf(title, sizeof(title), "gdb remote protocol: reading %d MiB in %c packets, of the peer in m packets",
		 READ_MIB, ours.binary ? 'x' : 'm');
	done = prepare(&ours, "hindsight", argv[1], argv[2]) && prepare(&peer, argv[4], argv[5], argv[6]) &&
	       prepare_floor(&floor, &ready, &ours) && hs_bench_run(&bench);
	finish(&floor);
	hs_bench_ready_end(&ready);
	finish(&ours);
	finish(&peer);
	return done ? 0 : 1;
}
