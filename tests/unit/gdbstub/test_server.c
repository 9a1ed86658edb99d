/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server and its sockets: a thread serves the fake target, the test is its clients. Waiting is always for
 * bytes, for the end of a connection or for the thread, never for time.
 */
#include "served.h"

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

static void session_until_exit(struct served *served)
{
	int fd;

	fake_script(&served->fake, (struct hs_stop){ .kind = HS_STOP_EXITED, .exit_status = 7 });
	served_start(served);
	fd = served_connect(served);
	served_expect_reply(fd, "qC", "QC1");
	served_expect_reply(fd, "m1000,1", "00");
	served_expect_reply(fd, "vCont;c", "W07");
	served_expect_closed(fd);
	served_join(served, HS_GDB_END_EXITED);
	served_clean(served);
}

static void test_serve_guest_exit_is_told_and_ends_the_call(void **state)
{
	(void)state;
	served_both_transports(session_until_exit);
}

static void disconnect_and_come_back(struct served *served)
{
	served_start(served);
	for (int round = 0; round < 20; round++) {
		int fd = served_connect(served);

		served_expect_reply(fd, "Z0,1000,1", "OK");
		/* In the middle of a packet, of a checksum, or with a reply on its way. */
		served_send_text(fd, round % 3 == 0 ? "$m1000," : round % 3 == 1 ? "$g#6" : "$g#67");
		close(fd);
	}
	served_stop_and_clean(served);
	assert_int_equal(served->fake.break_count, 0);
}

static void test_serve_client_vanishes_and_next_one_is_served(void **state)
{
	(void)state;
	served_both_transports(disconnect_and_come_back);
}

static void vanish_while_running(struct served *served)
{
	int fd;

	served_start(served);
	fd = served_connect(served);
	served_expect_reply(fd, "Z0,1000,1", "OK");
	served_send_packet(fd, "c");
	assert_int_equal(served_receive_byte(fd), '+');
	close(fd);
	fd = served_connect(served);
	served_expect_reply(fd, "?", "T02thread:1;06:0*,;07:0*,;10:0*,;");
	close(fd);
	served_stop_and_clean(served);
	assert_int_equal(served->fake.break_count, 0);
	assert_int_equal(served->fake.resumes, 1);
}

static void test_serve_client_vanishes_from_running_guest_which_then_stands(void **state)
{
	(void)state;
	served_both_transports(vanish_while_running);
}

static void second_client(struct served *served)
{
	int first, second;

	served_start(served);
	first = served_connect(served);
	served_expect_reply(first, "qC", "QC1");
	for (int round = 0; round < 10; round++) {
		second = served_connect(served);
		/* It may speak or not (one round, as that takes a second): it gets the message and the end either
		 * way. */
		if (round > 0) {
			served_send_text(second, "+$qC#b4");
		}
		assert_string_equal(served_receive_packet(second), "E.another debugger is attached to this guest");
		assert_int_equal(served_receive_byte(second), -1);
		close(second);
		served_expect_reply(first, "qAttached", "1");
	}
	close(first);
	served_stop_and_clean(served);
}

static void test_serve_second_client_is_refused_first_one_stays(void **state)
{
	(void)state;
	served_both_transports(second_client);
}

/* Health checks and scanners connect and say nothing, or nothing that is a packet. */
static void silent_clients(struct served *served)
{
	int silent[20];
	int fd, junk;

	served_start(served);
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		silent[i] = served_connect(served);
	}
	junk = served_connect(served);
	served_send_text(junk, "GET /#top HTTP/1.0\r\n\r\n");
	fd = served_connect(served);
	served_expect_reply(fd, "qC", "QC1");
	served_expect_closed(junk);
	/* It keeps its place, also when it is silent for longer than they wait. */
	assert_string_equal(served_receive_packet(silent[19]), "E.another debugger is attached to this guest");
	served_expect_reply(fd, "qAttached", "1");
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		close(silent[i]);
	}
	close(fd);
	served_stop_and_clean(served);
}

static void test_serve_silent_clients_keep_no_other_out(void **state)
{
	(void)state;
	served_both_transports(silent_clients);
}

/* The guest is the one's whose packet is complete first, whoever came first. */
static void halves_of_packets(struct served *served)
{
	int first, second;

	served_start(served);
	first = served_connect(served);
	served_send_text(first, "+$q");
	second = served_connect(served);
	served_send_text(second, "+$qAtt");
	served_send_text(first, "C#b4");
	assert_string_equal(served_receive_packet(first), "QC1");
	served_send_text(second, "ached#8f");
	assert_string_equal(served_receive_packet(second), "E.another debugger is attached to this guest");
	close(first);
	served_expect_closed(second);
	second = served_connect(served);
	served_expect_reply(second, "qAttached", "1");
	close(second);
	served_stop_and_clean(served);
}

static void test_serve_first_packet_decides_whose_the_guest_is(void **state)
{
	(void)state;
	served_both_transports(halves_of_packets);
}

/* What is longer than any first packet goes to the stub as it comes, and no byte of it is lost. */
static void long_first_packet(struct served *served)
{
	char payload[10 + 2 * 0x400 + 1] = "M1000,400:";
	int fd;

	memset(payload + strlen(payload), 'a', 2 * 0x400);
	served_start(served);
	fd = served_connect(served);
	served_expect_reply(fd, payload, "OK");
	served_expect_reply(fd, "m13ff,1", "aa");
	close(fd);
	served_stop_and_clean(served);
}

static void test_serve_first_packet_may_be_long(void **state)
{
	(void)state;
	served_both_transports(long_first_packet);
}

static void interrupt_and_detach(struct served *served)
{
	int fd;

	served_start(served);
	fd = served_connect(served);
	served_send_packet(fd, "c");
	assert_int_equal(served_receive_byte(fd), '+');
	served_send_text(fd, "\x03");
	assert_string_equal(served_receive_packet(fd), "T02thread:1;06:0*,;07:0*,;10:0*,;");
	served_expect_reply(fd, "D", "OK");
	/* The stub hangs up, as the client would; the guest runs on, until somebody speaks again. */
	served_expect_closed(fd);
	fd = served_connect(served);
	served_expect_reply(fd, "?", "T02thread:1;06:0*,;07:0*,;10:0*,;");
	served_expect_reply(fd, "D", "OK");
	served_expect_closed(fd);
	served_stop_and_clean(served);
	assert_int_equal(served->fake.resumes, 3);
}

static void test_serve_interrupt_detach_reattach(void **state)
{
	(void)state;
	served_both_transports(interrupt_and_detach);
}

static void kill_guest(struct served *served)
{
	int fd;

	served_start(served);
	fd = served_connect(served);
	served_expect_reply(fd, "vKill;1", "OK");
	served_expect_closed(fd);
	served_join(served, HS_GDB_END_KILLED);
	assert_int_equal(served->fake.kills, 1);
	served_clean(served);
}

static void test_serve_kill_ends_the_call(void **state)
{
	(void)state;
	served_both_transports(kill_guest);
}

/* The number of packets in what comes until there are that many. */
static void expect_packets(int fd, size_t count)
{
	static char bytes[65536];

	while (count > 0) {
		struct pollfd in = { .fd = fd, .events = POLLIN };
		ssize_t got;

		assert_int_equal(poll(&in, 1, SERVED_PATIENCE_MS), 1);
		got = recv(fd, bytes, sizeof(bytes), 0);
		assert_true(got > 0);
		for (ssize_t i = 0; i < got; i++) {
			count -= bytes[i] == '#';
		}
	}
}

#define QUESTION "$m1000,800#f2"

/* Ask until nothing more is taken, without reading: all buffers are full. Returns the number of bytes. */
static size_t fill_connection(int fd)
{
	/* Many at once: the buffers take megabytes, which are as many system calls when each has one question. */
	static char packets[4096 * (sizeof(QUESTION) - 1)];
	const size_t length = sizeof(packets);
	size_t sent = 0;

	for (size_t at = 0; at < length; at += sizeof(QUESTION) - 1) {
		memcpy(packets + at, QUESTION, sizeof(QUESTION) - 1);
	}
	for (;;) {
		struct pollfd out = { .fd = fd, .events = POLLOUT };
		size_t at = sent % length;
		ssize_t done;

		if (poll(&out, 1, 200) == 0) {
			return sent;
		}
		done = send(fd, packets + at, length - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		assert_true(done > 0 || errno == EAGAIN);
		sent += done > 0 ? (size_t)done : 0;
	}
}

/* However a client leaves that has not read its replies, the next one is served at once. */
static void leave_unread(struct served *served)
{
	served_start(served);
	for (int round = 0; round < 3; round++) {
		int fd = served_connect(served);

		served_expect_reply(fd, "QStartNoAckMode", "OK");
		(void)fill_connection(fd);
		if (round > 0) {
			assert_int_equal(shutdown(fd, round == 1 ? SHUT_WR : SHUT_RDWR), 0);
		}
		close(fd);
		fd = served_connect(served);
		served_expect_reply(fd, "qC", "QC1");
		close(fd);
	}
	served_stop_and_clean(served);
}

static void test_serve_client_leaves_with_unread_replies_and_next_one_is_served(void **state)
{
	(void)state;
	served_both_transports(leave_unread);
}

/*
 * A client that asks and asks and does not read: the server stops reading from it, does not spin meanwhile, and answers
 * all of it once the client reads.
 */
static void deaf_client(struct served *served)
{
	size_t sent;
	int small = 16384;
	int64_t before;
	int fd;

	served_start(served);
	fd = served_connect(served);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	served_expect_reply(fd, "QStartNoAckMode", "OK");
	sent = fill_connection(fd);
	before = served_cpu_microseconds();
	assert_int_equal(poll(NULL, 0, 300), 0);
	/* 300 ms of waiting are not work. */
	assert_in_range(served_cpu_microseconds() - before, 0, 100000);
	expect_packets(fd, sent / (sizeof(QUESTION) - 1));
	close(fd);
	fd = served_connect(served);
	served_expect_reply(fd, "qC", "QC1");
	close(fd);
	served_stop_and_clean(served);
}

static void test_serve_client_that_does_not_read_costs_nothing_and_loses_nothing(void **state)
{
	(void)state;
	served_both_transports(deaf_client);
}

static void test_serve_running_guest_that_ends_unwatched_ends_the_call(void **state)
{
	struct served served;
	int fd;

	(void)state;
	served_prepare(&served, NULL);
	/* The detach resumes it, and that is its end. */
	fake_script(&served.fake, (struct hs_stop){ .kind = HS_STOP_EXITED });
	served_start(&served);
	fd = served_connect(&served);
	served_expect_reply(fd, "D", "OK");
	served_expect_closed(fd);
	served_join(&served, HS_GDB_END_EXITED);
	served_clean(&served);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_serve_guest_exit_is_told_and_ends_the_call),
		cmocka_unit_test(test_serve_client_vanishes_and_next_one_is_served),
		cmocka_unit_test(test_serve_client_vanishes_from_running_guest_which_then_stands),
		cmocka_unit_test(test_serve_second_client_is_refused_first_one_stays),
		cmocka_unit_test(test_serve_silent_clients_keep_no_other_out),
		cmocka_unit_test(test_serve_first_packet_decides_whose_the_guest_is),
		cmocka_unit_test(test_serve_first_packet_may_be_long),
		cmocka_unit_test(test_serve_interrupt_detach_reattach),
		cmocka_unit_test(test_serve_kill_ends_the_call),
		cmocka_unit_test(test_serve_client_leaves_with_unread_replies_and_next_one_is_served),
		cmocka_unit_test(test_serve_client_that_does_not_read_costs_nothing_and_loses_nothing),
		cmocka_unit_test(test_serve_running_guest_that_ends_unwatched_ends_the_call),
	};

	return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
