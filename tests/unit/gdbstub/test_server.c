/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server and its sockets: a thread serves the fake target, the test is its clients. Waiting is always for
 * bytes, for the end of a connection or for the thread, never for time.
 */
#include "fake_target.h"

#include <hindsight/gdb.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* Longest wait for anything that has to happen. */
#define PATIENCE_MS 20000

struct served {
	struct fake_target fake;
	struct hs_gdb_listener *listener;
	struct hs_gdb_serve_options options;
	int stop_pipe[2];
	pthread_t thread;
	enum hs_gdb_end end;
	enum hs_status status;
	char folder[64];
	char path[96];
};

static void *serve(void *argument)
{
	struct served *served = argument;

	served->status = hs_gdb_serve(served->listener, &served->fake.target, &served->options, &served->end, NULL);
	return NULL;
}

static void start(struct served *served)
{
	assert_int_equal(pthread_create(&served->thread, NULL, serve, served), 0);
}

static void prepare(struct served *served, const char *address)
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

static void join(struct served *served, enum hs_gdb_end end)
{
	assert_int_equal(pthread_join(served->thread, NULL), 0);
	assert_int_equal(served->status, HS_OK);
	assert_int_equal(served->end, end);
}

static void clean(struct served *served)
{
	hs_gdb_listener_close(served->listener);
	close(served->stop_pipe[0]);
	close(served->stop_pipe[1]);
	assert_int_equal(served->fake.misuses, 0);
	fake_deinit(&served->fake);
	assert_int_equal(rmdir(served->folder), 0);
}

static void stop_and_clean(struct served *served)
{
	assert_int_equal(write(served->stop_pipe[1], "x", 1), 1);
	join(served, HS_GDB_END_STOPPED);
	clean(served);
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

static int connect_to(const struct served *served)
{
	const char *address = hs_gdb_listener_address(served->listener);

	return strncmp(address, "unix:", 5) == 0 ? connect_unix(address) : connect_tcp(address);
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void send_packet(int fd, const char *payload)
{
	char packet[256];
	unsigned int sum = 0;

	for (const char *c = payload; *c; c++) {
		sum += (unsigned char)*c;
	}
	snprintf(packet, sizeof(packet), "$%s#%02x", payload, sum & 0xff);
	send_text(fd, packet);
}

/* One byte; -1 at the end of the connection. */
static int receive_byte(int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	unsigned char byte;

	assert_int_equal(poll(&in, 1, PATIENCE_MS), 1);
	return recv(fd, &byte, 1, 0) == 1 ? byte : -1;
}

/* Up to the end of a packet; acknowledgements are skipped. An end of the connection gives "". */
static const char *receive_packet(int fd)
{
	static char text[65536];
	size_t length = 0;
	int byte;

	while ((byte = receive_byte(fd)) >= 0) {
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

static void expect_reply(int fd, const char *payload, const char *reply)
{
	send_packet(fd, payload);
	assert_string_equal(receive_packet(fd), reply);
}

static void expect_closed(int fd)
{
	while (receive_byte(fd) >= 0) {
	}
	close(fd);
}

static void both_transports(void (*test)(struct served *served))
{
	static const char *const addresses[] = { NULL, ":0" };

	for (size_t i = 0; i < 2; i++) {
		struct served served;

		prepare(&served, addresses[i]);
		test(&served);
	}
}

static void session_until_exit(struct served *served)
{
	int fd;

	fake_script(&served->fake, (struct hs_stop){ .kind = HS_STOP_EXITED, .exit_status = 7 });
	start(served);
	fd = connect_to(served);
	expect_reply(fd, "qC", "QC1");
	expect_reply(fd, "m1000,1", "00");
	expect_reply(fd, "vCont;c", "W07");
	expect_closed(fd);
	join(served, HS_GDB_END_EXITED);
	clean(served);
}

static void test_serve_guest_exit_is_told_and_ends_the_call(void **state)
{
	(void)state;
	both_transports(session_until_exit);
}

static void disconnect_and_come_back(struct served *served)
{
	start(served);
	for (int round = 0; round < 20; round++) {
		int fd = connect_to(served);

		expect_reply(fd, "Z0,1000,1", "OK");
		/* In the middle of a packet, of a checksum, or with a reply on its way. */
		send_text(fd, round % 3 == 0 ? "$m1000," : round % 3 == 1 ? "$g#6" : "$g#67");
		close(fd);
	}
	stop_and_clean(served);
	assert_int_equal(served->fake.break_count, 0);
}

static void test_serve_client_vanishes_and_next_one_is_served(void **state)
{
	(void)state;
	both_transports(disconnect_and_come_back);
}

static void vanish_while_running(struct served *served)
{
	int fd;

	start(served);
	fd = connect_to(served);
	expect_reply(fd, "Z0,1000,1", "OK");
	send_packet(fd, "c");
	assert_int_equal(receive_byte(fd), '+');
	close(fd);
	fd = connect_to(served);
	expect_reply(fd, "?", "T02thread:1;06:0*,;07:0*,;10:0*,;");
	close(fd);
	stop_and_clean(served);
	assert_int_equal(served->fake.break_count, 0);
	assert_int_equal(served->fake.resumes, 1);
}

static void test_serve_client_vanishes_from_running_guest_which_then_stands(void **state)
{
	(void)state;
	both_transports(vanish_while_running);
}

static void second_client(struct served *served)
{
	int first, second;

	start(served);
	first = connect_to(served);
	expect_reply(first, "qC", "QC1");
	for (int round = 0; round < 10; round++) {
		second = connect_to(served);
		/* It may speak or not (one round, as that takes a second): it gets the message and the end either
		 * way. */
		if (round > 0) {
			send_text(second, "+$qC#b4");
		}
		assert_string_equal(receive_packet(second), "E.another debugger is attached to this guest");
		assert_int_equal(receive_byte(second), -1);
		close(second);
		expect_reply(first, "qAttached", "1");
	}
	close(first);
	stop_and_clean(served);
}

static void test_serve_second_client_is_refused_first_one_stays(void **state)
{
	(void)state;
	both_transports(second_client);
}

static void interrupt_and_detach(struct served *served)
{
	int fd;

	start(served);
	fd = connect_to(served);
	send_packet(fd, "c");
	assert_int_equal(receive_byte(fd), '+');
	send_text(fd, "\x03");
	assert_string_equal(receive_packet(fd), "T02thread:1;06:0*,;07:0*,;10:0*,;");
	expect_reply(fd, "D", "OK");
	/* The stub hangs up, as the client would; the guest runs on, until somebody speaks again. */
	expect_closed(fd);
	fd = connect_to(served);
	expect_reply(fd, "?", "T02thread:1;06:0*,;07:0*,;10:0*,;");
	expect_reply(fd, "D", "OK");
	expect_closed(fd);
	stop_and_clean(served);
	assert_int_equal(served->fake.resumes, 3);
}

static void test_serve_interrupt_detach_reattach(void **state)
{
	(void)state;
	both_transports(interrupt_and_detach);
}

static void kill_guest(struct served *served)
{
	int fd;

	start(served);
	fd = connect_to(served);
	expect_reply(fd, "vKill;1", "OK");
	expect_closed(fd);
	join(served, HS_GDB_END_KILLED);
	assert_int_equal(served->fake.kills, 1);
	clean(served);
}

static void test_serve_kill_ends_the_call(void **state)
{
	(void)state;
	both_transports(kill_guest);
}

/* The number of packets in what comes until there are that many. */
static void expect_packets(int fd, size_t count)
{
	static char bytes[65536];

	while (count > 0) {
		struct pollfd in = { .fd = fd, .events = POLLIN };
		ssize_t got;

		assert_int_equal(poll(&in, 1, PATIENCE_MS), 1);
		got = recv(fd, bytes, sizeof(bytes), 0);
		assert_true(got > 0);
		for (ssize_t i = 0; i < got; i++) {
			count -= bytes[i] == '#';
		}
	}
}

static int64_t cpu_microseconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec +
	       usage.ru_stime.tv_usec;
}

/*
 * A client that asks and asks and does not read: the server stops reading from it, does not spin meanwhile, and answers
 * all of it once the client reads.
 */
static void deaf_client(struct served *served)
{
	static const char packet[] = "$m1000,800#f2";
	char packets[64 * (sizeof(packet) - 1) + 1] = "";
	size_t sent = 0;
	int small = 16384;
	int64_t before;
	int fd;

	for (int i = 0; i < 64; i++) {
		strcat(packets, packet);
	}
	start(served);
	fd = connect_to(served);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	expect_reply(fd, "QStartNoAckMode", "OK");
	for (;;) {
		struct pollfd out = { .fd = fd, .events = POLLOUT };
		size_t at = sent % (sizeof(packets) - 1);
		ssize_t done;

		/* Nothing is taken for a while: all buffers are full. */
		if (poll(&out, 1, 500) == 0) {
			break;
		}
		done = send(fd, packets + at, sizeof(packets) - 1 - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		assert_true(done > 0 || errno == EAGAIN);
		sent += done > 0 ? (size_t)done : 0;
	}
	before = cpu_microseconds();
	assert_int_equal(poll(NULL, 0, 300), 0);
	/* 300 ms of waiting are not work. */
	assert_in_range(cpu_microseconds() - before, 0, 100000);
	expect_packets(fd, sent / (sizeof(packet) - 1));
	close(fd);
	fd = connect_to(served);
	expect_reply(fd, "qC", "QC1");
	close(fd);
	stop_and_clean(served);
}

static void test_serve_client_that_does_not_read_costs_nothing_and_loses_nothing(void **state)
{
	(void)state;
	both_transports(deaf_client);
}

static void test_serve_running_guest_that_ends_unwatched_ends_the_call(void **state)
{
	struct served served;
	int fd;

	(void)state;
	prepare(&served, NULL);
	/* The detach resumes it, and that is its end. */
	fake_script(&served.fake, (struct hs_stop){ .kind = HS_STOP_EXITED });
	start(&served);
	fd = connect_to(&served);
	expect_reply(fd, "D", "OK");
	expect_closed(fd);
	join(&served, HS_GDB_END_EXITED);
	clean(&served);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_serve_guest_exit_is_told_and_ends_the_call),
		cmocka_unit_test(test_serve_client_vanishes_and_next_one_is_served),
		cmocka_unit_test(test_serve_client_vanishes_from_running_guest_which_then_stands),
		cmocka_unit_test(test_serve_second_client_is_refused_first_one_stays),
		cmocka_unit_test(test_serve_interrupt_detach_reattach),
		cmocka_unit_test(test_serve_kill_ends_the_call),
		cmocka_unit_test(test_serve_client_that_does_not_read_costs_nothing_and_loses_nothing),
		cmocka_unit_test(test_serve_running_guest_that_ends_unwatched_ends_the_call),
	};

	return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
