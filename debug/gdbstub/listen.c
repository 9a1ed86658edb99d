/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addresses and listening sockets. Whoever connects can read and write all of the guest, so TCP is loopback unless the
 * caller allows more, and a unix socket is its owner's alone.
 */
#include "gdbstub/listen.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 8

/* A TCP address as text: host and port, split at the last colon. */
struct host_port {
	char host[64]; /* numeric; no brackets */
	char port[8];
};

static enum hs_status bad_address(const char *address, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_INVALID, 0, 0,
			    "'%s' is not an address for debuggers (:PORT, HOST:PORT, unix:PATH or stdio)", address);
}

static bool copy_text(char *to, size_t room, const char *from, size_t length)
{
	if (length >= room) {
		return false;
	}
	memcpy(to, from, length);
	to[length] = '\0';
	return true;
}

static bool is_port(const char *text)
{
	char *end;

	if (*text < '0' || *text > '9' || strlen(text) > 5) {
		return false;
	}
	return strtoul(text, &end, 10) <= 65535 && *end == '\0';
}

static bool split_host_port(const char *address, struct host_port *ret)
{
	const char *colon = strrchr(address, ':');
	const char *host = address;
	size_t length;

	if (!colon || !is_port(colon + 1) || !copy_text(ret->port, sizeof(ret->port), colon + 1, strlen(colon + 1))) {
		return false;
	}
	length = (size_t)(colon - address);
	if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
		host++;
		length -= 2;
	} else if (memchr(host, ':', length)) {
		return false; /* an IPv6 address needs brackets, or its end would be taken for the port */
	}
	if (length == 0 || (length == 9 && memcmp(host, "localhost", 9) == 0)) {
		host = "127.0.0.1";
		length = strlen(host);
	}
	return copy_text(ret->host, sizeof(ret->host), host, length);
}

/* 127.0.0.0/8, ::1, and the former as an IPv4-mapped IPv6 address. */
static bool is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	}
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;

		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == 127);
	}
	return false;
}

static enum hs_status bind_failed(const char *address, struct hs_error *err)
{
	int number = errno;

	if (number == EADDRINUSE) {
		return hs_error_set(err, HS_ERR_BUSY, number, 0,
				    "%s: the address is in use (choose another port, or 0 for a free one)", address);
	}
	return hs_error_os(err, number, "cannot listen on %s", address);
}

/* The address the socket really got: the port may have been 0. */
static enum hs_status name_tcp(struct hs_gdb_listener *listener, struct hs_error *err)
{
	struct sockaddr_storage bound = { 0 };
	socklen_t length = sizeof(bound);
	char host[INET6_ADDRSTRLEN + 16];
	char port[8];

	if (getsockname(listener->fd, (struct sockaddr *)&bound, &length) != 0) {
		return hs_error_os(err, errno, "cannot tell the port that was taken");
	}
	if (getnameinfo((struct sockaddr *)&bound, length, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		return hs_error_set(err, HS_ERR_IO, 0, 0, "cannot tell the port that was taken");
	}
	snprintf(listener->address, sizeof(listener->address), bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
		 port);
	return HS_OK;
}

static enum hs_status listen_tcp(const char *address, bool allow_remote, struct hs_gdb_listener *listener,
				 struct hs_error *err)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *found = NULL;
	struct host_port where;
	enum hs_status st = HS_OK;
	int on = 1;

	if (!split_host_port(address, &where)) {
		return bad_address(address, err);
	}
	if (getaddrinfo(where.host, where.port, &hints, &found) != 0) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0,
				    "%s: names of hosts are not looked up, but for localhost: give its IP address",
				    address);
	}
	if (!allow_remote && !is_loopback(found->ai_addr)) {
		st = hs_error_set(
			err, HS_ERR_PERMISSION, 0, 0,
			"%s: not a loopback address, and whoever connects controls the guest (allow it explicitly)",
			address);
		goto out;
	}
	listener->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0) {
		st = hs_error_os(err, errno, "cannot make a socket for %s", address);
		goto out;
	}
	/* Without it the port stays taken for a minute after each session. A port somebody listens on stays refused. */
	(void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener->fd, found->ai_addr, found->ai_addrlen) != 0 || listen(listener->fd, BACKLOG) != 0) {
		st = bind_failed(address, err);
		goto out;
	}
	st = name_tcp(listener, err);
out:
	freeaddrinfo(found);
	return st;
}

/*
 * Make way for a socket of this name. HS_OK when a socket was there that nobody listens on, and is gone now; else the
 * failure says what is in the way. Nothing but a socket is ever removed.
 */
static enum hs_status remove_stale(const struct sockaddr_un *name, struct hs_error *err)
{
	HS_CLOSE int fd = -1;
	struct stat st;

	if (lstat(name->sun_path, &st) != 0) {
		return hs_error_os(err, errno, "cannot listen on unix:%s", name->sun_path);
	}
	if (!S_ISSOCK(st.st_mode)) {
		return hs_error_set(err, HS_ERR_BUSY, 0, 0,
				    "unix:%s: there is a file of that name, and it is no socket", name->sun_path);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return hs_error_os(err, errno, "cannot make a socket");
	}
	/* Only ECONNREFUSED proves that nobody listens; a full backlog is EAGAIN. */
	if (connect(fd, (const struct sockaddr *)name, sizeof(*name)) == 0 || errno != ECONNREFUSED) {
		return hs_error_set(err, HS_ERR_BUSY, EADDRINUSE, 0, "unix:%s: somebody listens there already",
				    name->sun_path);
	}
	if (unlink(name->sun_path) != 0) {
		return hs_error_os(err, errno, "cannot replace the stale socket %s", name->sun_path);
	}
	return HS_OK;
}

static enum hs_status bind_unix(int fd, const struct sockaddr_un *name, struct hs_error *err)
{
	const struct sockaddr *address = (const struct sockaddr *)name;
	enum hs_status st;

	if (bind(fd, address, sizeof(*name)) == 0) {
		return HS_OK;
	}
	if (errno != EADDRINUSE) {
		return hs_error_os(err, errno, "cannot listen on unix:%s", name->sun_path);
	}
	st = remove_stale(name, err);
	if (st) {
		return st;
	}
	if (bind(fd, address, sizeof(*name)) != 0) {
		return hs_error_os(err, errno, "cannot listen on unix:%s", name->sun_path);
	}
	return HS_OK;
}

static enum hs_status listen_unix(const char *path, struct hs_gdb_listener *listener, struct hs_error *err)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	enum hs_status st;
	struct stat file;

	if (*path == '\0' || !copy_text(name.sun_path, sizeof(name.sun_path), path, strlen(path))) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "unix:%s: a socket's path has 1 to %zu bytes", path,
				    sizeof(name.sun_path) - 1);
	}
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0) {
		return hs_error_os(err, errno, "cannot make a socket");
	}
	/* On Linux bind() gives the file the mode of the socket's own inode: it is open to others at no moment. */
	if (fchmod(listener->fd, 0600) != 0) {
		return hs_error_os(err, errno, "cannot close unix:%s to other users", path);
	}
	st = bind_unix(listener->fd, &name, err);
	if (st) {
		return st;
	}
	memcpy(listener->path, name.sun_path, sizeof(listener->path));
	if (lstat(path, &file) == 0) {
		listener->path_dev = file.st_dev;
		listener->path_ino = file.st_ino;
	}
	snprintf(listener->address, sizeof(listener->address), "unix:%s", path);
	if (listen(listener->fd, BACKLOG) != 0) {
		return hs_error_os(err, errno, "cannot listen on unix:%s", path);
	}
	return HS_OK;
}

enum hs_status hs_gdb_listen(const char *address, bool allow_remote, struct hs_gdb_listener **ret, struct hs_error *err)
{
	struct hs_gdb_listener *listener = calloc(1, sizeof(*listener));
	enum hs_status st = HS_OK;

	if (!listener) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "debugger stub: no memory");
	}
	listener->fd = -1;
	if (strcmp(address, "stdio") == 0) {
		listener->stdio = true;
		snprintf(listener->address, sizeof(listener->address), "stdio");
	} else if (strncmp(address, "unix:", 5) == 0) {
		st = listen_unix(address + 5, listener, err);
	} else {
		st = listen_tcp(address, allow_remote, listener, err);
	}
	if (st) {
		hs_gdb_listener_close(listener);
		return st;
	}
	*ret = listener;
	return HS_OK;
}

const char *hs_gdb_listener_address(const struct hs_gdb_listener *listener)
{
	return listener->address;
}

void hs_gdb_listener_close(struct hs_gdb_listener *listener)
{
	struct stat file;

	if (!listener) {
		return;
	}
	/* Another program may have replaced the socket since; that one is not ours to remove. */
	if (listener->path[0] && lstat(listener->path, &file) == 0 && file.st_dev == listener->path_dev &&
	    file.st_ino == listener->path_ino) {
		(void)unlink(listener->path);
	}
	if (listener->fd >= 0) {
		close(listener->fd);
	}
	free(listener);
}
