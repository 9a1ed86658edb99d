/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client.h"

#include "packets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Whatever takes longer hangs. */
#define PATIENCE_MS 30000

void client_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

void client_open(struct client *client, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int on = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	client->start = 0;
	client->end = 0;
	client->ended = false;
	if (!client->input) {
		client->input = malloc(CLIENT_INPUT);
	}
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!client->input || client->fd < 0 ||
	    connect(client->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    fcntl(client->fd, F_SETFL, O_NONBLOCK) != 0) {
		client_fail("cannot connect: %s", strerror(errno));
	}
	(void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void client_close(struct client *client, bool reset)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (reset) {
		(void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	}
	close(client->fd);
	client->fd = -1;
}

/* Read what is there. */
static void fill(struct client *client)
{
	ssize_t got;

	if (client->start > 0) {
		memmove(client->input, client->input + client->start, client->end - client->start);
		client->end -= client->start;
		client->start = 0;
	}
	/* One byte is for the end of a string. */
	if (client->end >= CLIENT_INPUT - 1) {
		client_fail("a reply of more than %u bytes", CLIENT_INPUT);
	}
	got = recv(client->fd, client->input + client->end, CLIENT_INPUT - 1 - client->end, 0);
	if (got > 0) {
		client->end += (size_t)got;
	} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		client->ended = true;
	}
}

static void wait_for(struct client *client, short events)
{
	struct pollfd fd = { .fd = client->fd, .events = events };

	if (poll(&fd, 1, PATIENCE_MS) != 1) {
		client_fail("nothing happens for %d ms", PATIENCE_MS);
	}
	if (fd.revents & (POLLIN | POLLHUP | POLLERR)) {
		fill(client);
	}
}

void client_send(struct client *client, const void *bytes, size_t length)
{
	size_t sent = 0;

	while (sent < length && !client->ended) {
		ssize_t put = send(client->fd, (const uint8_t *)bytes + sent, length - sent, MSG_NOSIGNAL);

		if (put > 0) {
			sent += (size_t)put;
		} else if (errno == EAGAIN) {
			wait_for(client, POLLIN | POLLOUT);
		} else if (errno != EINTR) {
			client->ended = true;
		}
	}
}

void client_send_packet(struct client *client, const char *payload)
{
	size_t length = strlen(payload);
	uint8_t *bytes = malloc(length + 4);

	if (!bytes) {
		client_fail("no memory");
	}
	client_send(client, bytes, packet_frame((const uint8_t *)payload, length, bytes));
	free(bytes);
}

/* A whole packet in the input: its payload, terminated; else NULL. Acknowledgements before it are dropped. */
static const char *take_packet(struct client *client)
{
	uint8_t *at = memchr(client->input + client->start, '$', client->end - client->start);
	uint8_t *hash;

	if (!at) {
		client->start = client->end;
		return NULL;
	}
	client->start = (size_t)(at - client->input);
	hash = memchr(at, '#', client->end - client->start);
	if (!hash || hash + 3 > client->input + client->end) {
		return NULL;
	}
	*hash = '\0';
	client->start = (size_t)(hash + 3 - client->input);
	return (const char *)at + 1;
}

const char *client_receive(struct client *client)
{
	const char *payload = take_packet(client);

	while (!payload && !client->ended) {
		wait_for(client, POLLIN);
		payload = take_packet(client);
	}
	return payload;
}

void client_expand(const char *payload, char *ret, size_t size)
{
	size_t length = 0;

	for (; *payload && length + 1 < size; payload++) {
		int more = *payload == '*' && length > 0 ? payload[1] - 29 : 0;

		if (more <= 0) {
			ret[length++] = *payload;
			continue;
		}
		for (; more > 0 && length + 1 < size; more--, length++) {
			ret[length] = ret[length - 1];
		}
		payload++;
	}
	ret[length] = '\0';
}
