/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gdb_client.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes that are added up together, in lanes of their own. */
#define BLOCK 64u
typedef uint8_t block __attribute__((vector_size(BLOCK)));

static uint8_t sum_of(const char *bytes, size_t length)
{
	block sums = { 0 };
	uint8_t sum = 0;

	for (; length >= BLOCK; length -= BLOCK, bytes += BLOCK) {
		block here;

		memcpy(&here, bytes, BLOCK);
		sums += here;
	}
	for (size_t i = 0; i < BLOCK; i++) {
		sum = (uint8_t)(sum + sums[i]);
	}
	while (length-- > 0) {
		sum = (uint8_t)(sum + (uint8_t)*bytes++);
	}
	return sum;
}

static bool send_packet(struct hs_bench_client *client, const char *payload)
{
	size_t length = (size_t)snprintf(client->packet, HS_BENCH_PACKET_MAX, "$%s#%02x", payload,
					 sum_of(payload, strlen(payload)));

	for (size_t sent = 0; sent < length;) {
		ssize_t put = write(client->fd, client->packet + sent, length - sent);

		if (put <= 0) {
			return false;
		}
		sent += (size_t)put;
	}
	return true;
}

/* Whether the two digits at the end of a reply are the sum of its payload. */
static bool is_intact(const struct hs_bench_client *client)
{
	char digits[3];

	snprintf(digits, sizeof(digits), "%02x", sum_of(client->reply, client->reply_length));
	return memcmp(digits, client->reply + client->reply_length + 1, 2) == 0;
}

/* Read up to the end of one reply. */
static bool receive(struct hs_bench_client *client)
{
	size_t used = 0;

	while (used < HS_BENCH_PACKET_MAX) {
		ssize_t got = read(client->fd, client->input + used, HS_BENCH_PACKET_MAX - used);
		char *start;

		if (got <= 0) {
			return false;
		}
		used += (size_t)got;
		/* Within the first bytes: before it there are acknowledgements at most. */
		start = memchr(client->input, '$', used);
		if (start && client->input + used - start >= 4 && client->input[used - 3] == '#') {
			client->input[used - 3] = '\0';
			client->reply = start + 1;
			client->reply_length = (size_t)(client->input + used - 3 - client->reply);
			return is_intact(client);
		}
	}
	return false;
}

bool hs_bench_client_ask(struct hs_bench_client *client, const char *payload)
{
	return send_packet(client, payload) && receive(client);
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

static bool greet(struct hs_bench_client *client)
{
	static const char key[] = "PacketSize=";
	char features[4096];
	const char *size;

	if (!hs_bench_client_ask(client,
				 "qSupported:multiprocess-;swbreak+;hwbreak+;binary-upload+;xmlRegisters=i386") ||
	    write(client->fd, "+", 1) != 1) {
		return false;
	}
	expand_runs(client->reply, features, sizeof(features));
	size = strstr(features, key);
	client->binary = strstr(features, "binary-upload+") != NULL;
	if (!size) {
		return false;
	}
	client->packet_size = strtoull(size + strlen(key), NULL, 16);
	if (!hs_bench_client_ask(client, "QStartNoAckMode") || write(client->fd, "+", 1) != 1) {
		return false;
	}
	/* gdbserver reads no memory before a client has asked how the program stands and has chosen a thread. */
	if (!hs_bench_client_ask(client, "?") || !hs_bench_client_ask(client, "Hg0")) {
		return false;
	}
	/* As any gdb does: a client that has not asked which registers there are is not given all of them. */
	return hs_bench_client_ask(client, "qXfer:features:read:target.xml:0,1000");
}

bool hs_bench_client_take(struct hs_bench_client *client, const char *name, int fd)
{
	*client = (struct hs_bench_client){ .name = name, .fd = fd };
	client->input = malloc(HS_BENCH_PACKET_MAX);
	client->packet = malloc(HS_BENCH_PACKET_MAX);
	return client->input && client->packet && fd >= 0;
}

bool hs_bench_client_open(struct hs_bench_client *client, const char *name, const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };
	int one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (!hs_bench_client_take(client, name, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) ||
	    connect(client->fd, (struct sockaddr *)&address, sizeof(address))) {
		perror(name);
		return false;
	}
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!greet(client)) {
		fprintf(stderr, "%s does not take the greeting\n", name);
		return false;
	}
	return true;
}

void hs_bench_client_close(struct hs_bench_client *client)
{
	close(client->fd);
	free(client->packet);
	free(client->input);
}
