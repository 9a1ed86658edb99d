/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "served.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static void *serve(void *argument)
{
	struct served *served = argument;

	served->status = hs_gdb_serve(served->listener, &served->fake.target, &served->options, &served->end, NULL);
	return NULL;
}

void served_start(struct served *served)
{
	assert_int_equal(pthread_create(&served->thread, NULL, serve, served), 0);
}

void served_prepare(struct served *served, const char *address)
{
	memset(served, 0, sizeof(*served));
	fake_init(&served->fake, HS_ARCH_AMD64);
	fake_add_memory(&served->fake, 0x1000, 0x10000);
	strcpy(served->folder, "/tmp/hs-gdbstub-XXXXXX");
	assert_non_null(mkdtemp(served->folder));
	snprintf(served->path, sizeof(served->path), "unix:%s/socket", served->folder);
	assert_int_equal(pipe2(served->stop_pipe, O_CLOEXEC), 0);
	served->options.stop_fd = served->stop_pipe[0];
	assert_int_equal(hs_gdb_listen(address ? address : served->path, false, &served->listener, NULL), HS_OK);
}

void served_join(struct served *served, enum hs_gdb_end end)
{
	assert_int_equal(pthread_join(served->thread, NULL), 0);
	assert_int_equal(served->status, HS_OK);
	assert_int_equal(served->end, end);
}

void served_clean(struct served *served)
{
	hs_gdb_listener_close(served->listener);
	close(served->stop_pipe[0]);
	close(served->stop_pipe[1]);
	assert_int_equal(served->fake.misuses, 0);
	fake_deinit(&served->fake);
	assert_int_equal(rmdir(served->folder), 0);
}

void served_stop_and_clean(struct served *served)
{
	assert_int_equal(write(served->stop_pipe[1], "x", 1), 1);
	served_join(served, HS_GDB_END_STOPPED);
	served_clean(served);
}

static int connect_unix(const char *address)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", strchr(address, ':') + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

static int connect_tcp(const char *address)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	name.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
	assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

int served_connect(const struct served *served)
{
	const char *address = hs_gdb_listener_address(served->listener);

	return strncmp(address, "unix:", 5) == 0 ? connect_unix(address) : connect_tcp(address);
}

void served_send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void served_send_packet(int fd, const char *payload)
{
	char packet[4096];
	unsigned int sum = 0;

	for (const char *c = payload; *c; c++) {
		sum += (unsigned char)*c;
	}
	snprintf(packet, sizeof(packet), "$%s#%02x", payload, sum & 0xff);
	served_send_text(fd, packet);
}

/* One byte; -1 at the end of the connection. */
int served_receive_byte(int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	unsigned char byte;

	assert_int_equal(poll(&in, 1, SERVED_PATIENCE_MS), 1);
	return recv(fd, &byte, 1, 0) == 1 ? byte : -1;
}

/* Up to the end of a packet; acknowledgements are skipped. An end of the connection gives "". */
const char *served_receive_packet(int fd)
{
	static char text[65536];
	size_t length = 0;
	int byte;

	while ((byte = served_receive_byte(fd)) >= 0) {
		if (length == 0 && byte == '+') {
			continue;
		}
		text[length++] = (char)byte;
		assert_true(length < sizeof(text));
		if (length >= 3 && text[length - 3] == '#') {
			text[length - 3] = '\0';
			return text + 1;
		}
	}
	return "";
}

void served_expect_reply(int fd, const char *payload, const char *reply)
{
	served_send_packet(fd, payload);
	assert_string_equal(served_receive_packet(fd), reply);
}

void served_expect_closed(int fd)
{
	while (served_receive_byte(fd) >= 0) {
	}
	close(fd);
}

void served_both_transports(void (*test)(struct served *served))
{
	static const char *const addresses[] = { NULL, ":0" };

	for (size_t i = 0; i < 2; i++) {
		struct served served;

		served_prepare(&served, addresses[i]);
		test(&served);
	}
}

int64_t served_cpu_microseconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec +
	       usage.ru_stime.tv_usec;
}
