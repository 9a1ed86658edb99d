/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The poll loop around the byte machine: one listener, one client, those that wait to be one (waiting.h), the target's
 * event and the caller's stop descriptor.
 * It moves bytes and sleeps; every decision about the protocol or the target is the machine's.
 */
#include "gdbstub/listen.h"
#include "gdbstub/stub.h"
#include "gdbstub/waiting.h"

#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_BYTES (64u << 10)
/* At the end the client gets this long to fetch its last packet. */
#define DRAIN_MS 2000
/* A client that says nothing is asked whether it is there, as often, before it is taken for gone. */
#define KEEPALIVE_SECONDS 30
#define KEEPALIVE_PROBES 4
/* How long not to accept when the host has no descriptor for another client. */
#define ACCEPT_PAUSE_MS 100

struct server {
	struct hs_gdb_listener *listener;
	struct hs_gdb *gdb;
	int event_fd;
	int stop_fd;
	int in_fd;      /* of the client, or -1 */
	int out_fd;     /* the same but for stdio */
	uint8_t *input; /* INPUT_BYTES of it; [input_start, input_end) is not fed yet */
	size_t input_start;
	size_t input_end;
	struct hs_waiting_list waiting;
	int64_t accept_after_ms;
	int64_t drain_until_ms; /* 0 until the end has begun */
	int stdio_flags[2];     /* of descriptors 0 and 1 before they were made non-blocking */
};

/* Slots of the poll set; one that has nothing to wait for has fd -1, which poll() skips. */
enum slot {
	SLOT_STOP,
	SLOT_EVENT,
	SLOT_LISTENER,
	SLOT_IN,
	SLOT_OUT,
	SLOT_WAITING,
	SLOT_COUNT = SLOT_WAITING + HS_WAITING_MAX
};

static int64_t now_ms(void)
{
	return (int64_t)(hs_now_ns() / 1000000);
}

static bool has_client(const struct server *server)
{
	return server->in_fd >= 0;
}

/* The guest is a client's: one that has not sent a single good packet gives way. */
static bool is_taken(const struct server *server)
{
	return has_client(server) && server->gdb->client.received > 0;
}

static void close_client(struct server *server)
{
	if (server->listener->stdio) {
		(void)fcntl(STDIN_FILENO, F_SETFL, server->stdio_flags[0]);
		(void)fcntl(STDOUT_FILENO, F_SETFL, server->stdio_flags[1]);
	} else {
		close(server->in_fd);
	}
	server->in_fd = -1;
	server->out_fd = -1;
	server->input_start = 0;
	server->input_end = 0;
	hs_gdb_disconnect(server->gdb);
}

static void open_client(struct server *server, int in_fd, int out_fd)
{
	server->in_fd = in_fd;
	server->out_fd = out_fd;
	hs_gdb_connect(server->gdb);
}

static void open_stdio(struct server *server)
{
	server->stdio_flags[0] = fcntl(STDIN_FILENO, F_GETFL);
	server->stdio_flags[1] = fcntl(STDOUT_FILENO, F_GETFL);
	(void)fcntl(STDIN_FILENO, F_SETFL, server->stdio_flags[0] | O_NONBLOCK);
	(void)fcntl(STDOUT_FILENO, F_SETFL, server->stdio_flags[1] | O_NONBLOCK);
	server->listener->stdio_used = true;
	open_client(server, STDIN_FILENO, STDOUT_FILENO);
}

/* Of TCP; a unix socket needs neither. */
static void set_options(int fd)
{
	const int on = 1;
	const int idle = KEEPALIVE_SECONDS;
	const int probes = KEEPALIVE_PROBES;

	/* Packets are small and each waits for its reply: do not gather them. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* A client whose machine is gone would have the guest for ever. */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

static void accept_client(struct server *server)
{
	int fd = accept4(server->listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			server->accept_after_ms = now_ms() + ACCEPT_PAUSE_MS;
		}
		return;
	}
	set_options(fd);
	hs_waiting_add(&server->waiting, fd, now_ms());
}

/* Give the machine what has been read. */
static void feed(struct server *server)
{
	while (server->input_start < server->input_end && hs_gdb_wants_input(server->gdb)) {
		server->input_start += hs_gdb_feed(server->gdb, server->input + server->input_start,
						   server->input_end - server->input_start);
	}
	if (server->input_start == server->input_end) {
		server->input_start = 0;
		server->input_end = 0;
	}
}

/* Send what the connection takes; false when it is broken. */
static bool send_output(struct server *server)
{
	size_t length;
	const uint8_t *bytes = hs_gdb_output(server->gdb, &length);
	size_t sent = 0;

	while (sent < length) {
		ssize_t done = server->listener->stdio
				       ? write(server->out_fd, bytes + sent, length - sent)
				       : send(server->out_fd, bytes + sent, length - sent, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR) {
			continue;
		}
		if (done < 0) {
			hs_gdb_output_consume(server->gdb, sent);
			return errno == EAGAIN || errno == EWOULDBLOCK;
		}
		sent += (size_t)done;
	}
	hs_gdb_output_consume(server->gdb, sent);
	return true;
}

/* Read what there is; false at the end of the connection. */
static bool receive_input(struct server *server)
{
	ssize_t got = read(server->in_fd, server->input + server->input_end, INPUT_BYTES - server->input_end);

	if (got < 0) {
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
	}
	server->input_end += (size_t)got;
	return got > 0;
}

static bool output_waits(const struct server *server)
{
	size_t length;

	(void)hs_gdb_output(server->gdb, &length);
	return length > 0;
}

/*
 * Feed and send in turns, until all input is fed or the machine takes no more. What is left is then fed after the event
 * that lets it go on: room in the connection, or the stop of the target. Closes the connection when it is through.
 */
static void move_bytes(struct server *server)
{
	enum hs_gdb_phase phase;

	if (!has_client(server)) {
		return;
	}
	do {
		feed(server);
		if (!send_output(server)) {
			close_client(server);
			return;
		}
	} while (server->input_start < server->input_end && hs_gdb_wants_input(server->gdb));
	phase = hs_gdb_phase(server->gdb);
	if (phase == HS_GDB_BROKEN || (phase == HS_GDB_LEAVING && !output_waits(server))) {
		close_client(server);
	}
}

static void client_ready(struct server *server, const struct pollfd *in, const struct pollfd *out)
{
	bool alive = true;

	if (in->revents & POLLIN) {
		alive = receive_input(server);
	} else if (in->revents & (POLLHUP | POLLERR | POLLNVAL)) {
		alive = false; /* nobody is there to read the answers, so what is not fed yet does not matter */
	}
	if (out->revents & (POLLERR | POLLNVAL)) {
		alive = false;
	}
	move_bytes(server);
	if (!alive && has_client(server)) {
		close_client(server);
	}
}

/*
 * A client that hangs up and the next one's first packet can be seen in either order. The old one goes first: what it
 * has still sent is finite and is handled, and the new one is not refused for its sake.
 */
static void let_leaving_client_go(struct server *server)
{
	struct pollfd in = { .fd = server->in_fd, .events = POLLRDHUP };

	if (poll(&in, 1, 0) <= 0) {
		return;
	}
	while (has_client(server) && hs_gdb_wants_input(server->gdb) && receive_input(server)) {
		move_bytes(server);
	}
	if (has_client(server)) {
		close_client(server);
	}
}

static void serve_waiting(struct server *server, struct hs_waiting *next)
{
	if (has_client(server)) {
		close_client(server);
	}
	_Static_assert(HS_WAITING_BYTES <= INPUT_BYTES, "what a client has said while it waited is its first input");
	memcpy(server->input, next->bytes, next->length);
	server->input_end = next->length;
	open_client(server, next->fd, next->fd);
	next->fd = -1;
	move_bytes(server);
}

static void waiting_ready(struct server *server, const struct pollfd *fds)
{
	struct hs_waiting *next;

	hs_waiting_ready(&server->waiting, fds);
	while ((next = hs_waiting_spoken(&server->waiting))) {
		if (has_client(server)) {
			let_leaving_client_go(server);
		}
		if (is_taken(server)) {
			break;
		}
		serve_waiting(server, next);
	}
	hs_waiting_refuse(&server->waiting, is_taken(server), now_ms());
}

static void fill_poll_set(const struct server *server, struct pollfd *fds)
{
	bool room = server->input_end < INPUT_BYTES && server->input_start == server->input_end;
	bool split = server->in_fd != server->out_fd;
	bool accepting = server->drain_until_ms == 0 && now_ms() >= server->accept_after_ms;

	fds[SLOT_STOP] = (struct pollfd){ .fd = server->stop_fd, .events = POLLIN };
	fds[SLOT_EVENT] = (struct pollfd){
		.fd = hs_gdb_target_running(server->gdb) ? server->event_fd : -1,
		.events = POLLIN,
	};
	fds[SLOT_LISTENER] = (struct pollfd){ .fd = accepting ? server->listener->fd : -1, .events = POLLIN };
	fds[SLOT_IN] = (struct pollfd){ .fd = server->in_fd };
	fds[SLOT_OUT] = (struct pollfd){ .fd = split ? server->out_fd : -1 };
	if (room && hs_gdb_wants_input(server->gdb)) {
		fds[SLOT_IN].events |= POLLIN;
	}
	if (has_client(server) && output_waits(server)) {
		fds[split ? SLOT_OUT : SLOT_IN].events |= POLLOUT;
	}
	hs_waiting_poll_set(&server->waiting, fds + SLOT_WAITING);
}

/* The target has nothing that poll() could wait for: it has to be asked whether it has stopped. */
static bool asks_target(const struct server *server)
{
	return server->event_fd < 0 && hs_gdb_target_running(server->gdb);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* How long poll() may sleep: for ever, but for what has a deadline. */
static int poll_timeout(const struct server *server)
{
	int64_t now = now_ms();
	int64_t until = hs_waiting_deadline(&server->waiting, is_taken(server));

	if (asks_target(server)) {
		return 0;
	}
	if (server->accept_after_ms > now) {
		until = earlier(until, server->accept_after_ms);
	}
	if (server->drain_until_ms) {
		until = earlier(until, server->drain_until_ms);
	}
	if (until == INT64_MAX) {
		return -1;
	}
	return until > now ? (int)(until - now) : 0;
}

/*
 * Whether the session is over. Once the guest is gone and the client has been sent its last packet, our side of the
 * connection is shut, and the client closes its own when it has read that far; a client that does not is not
 * waited for.
 */
static bool finished(struct server *server, enum hs_gdb_end *ret)
{
	enum hs_gdb_phase phase = hs_gdb_phase(server->gdb);

	if (phase != HS_GDB_EXITED && phase != HS_GDB_KILLED) {
		if (has_client(server) || !server->listener->stdio_used || hs_gdb_target_running(server->gdb)) {
			return false;
		}
		*ret = HS_GDB_END_CLOSED;
		return true;
	}
	if (server->drain_until_ms == 0) {
		server->drain_until_ms = now_ms() + DRAIN_MS;
	}
	if (has_client(server) && !output_waits(server)) {
		if (server->listener->stdio) {
			close_client(server);
		} else {
			(void)shutdown(server->out_fd, SHUT_WR);
		}
	}
	*ret = phase == HS_GDB_EXITED ? HS_GDB_END_EXITED : HS_GDB_END_KILLED;
	return !has_client(server) || now_ms() >= server->drain_until_ms;
}

static enum hs_status serve(struct server *server, enum hs_gdb_end *ret, struct hs_error *err)
{
	struct pollfd fds[SLOT_COUNT];

	while (!finished(server, ret)) {
		fill_poll_set(server, fds);
		if (poll(fds, SLOT_COUNT, poll_timeout(server)) < 0) {
			if (errno == EINTR) {
				continue;
			}
			return hs_error_os(err, errno, "cannot wait for debuggers");
		}
		if (fds[SLOT_STOP].revents) {
			*ret = HS_GDB_END_STOPPED;
			return HS_OK;
		}
		if (fds[SLOT_EVENT].revents || asks_target(server)) {
			hs_gdb_target_stopped(server->gdb);
			move_bytes(server);
		}
		if (has_client(server) && fds[SLOT_IN].fd == server->in_fd) {
			client_ready(server, &fds[SLOT_IN], &fds[SLOT_OUT]);
		}
		waiting_ready(server, fds + SLOT_WAITING);
		if (fds[SLOT_LISTENER].revents) {
			accept_client(server);
		}
	}
	return HS_OK;
}

static void server_deinit(struct server *server)
{
	if (has_client(server)) {
		close_client(server);
	}
	hs_waiting_deinit(&server->waiting);
	hs_gdb_destroy(server->gdb);
	free(server->input);
}

enum hs_status hs_gdb_serve(struct hs_gdb_listener *listener, const struct hs_target *target,
			    const struct hs_gdb_serve_options *options, enum hs_gdb_end *ret, struct hs_error *err)
{
	struct server server = {
		.listener = listener,
		.in_fd = -1,
		.out_fd = -1,
		.stop_fd = options ? options->stop_fd : -1,
		.input = malloc(INPUT_BYTES),
	};
	struct hs_target_info info;
	enum hs_status st;

	hs_waiting_init(&server.waiting);
	if (!server.input) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "debugger stub: no memory");
	}
	st = hs_gdb_create(target, options && options->running, &server.gdb, err);
	if (st) {
		free(server.input);
		return st;
	}
	target->ops->info(target->ctx, &info);
	server.event_fd = target->ops->step ? -1 : info.event_fd;
	if (listener->stdio && !listener->stdio_used) {
		open_stdio(&server);
	}
	st = serve(&server, ret, err);
	server_deinit(&server);
	return st;
}
