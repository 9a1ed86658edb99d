/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a server does while there is nothing to do, and what clients cost it that are slow, half gone, early or endless:
 * no processor time, no more memory than its bounds, no client after them.
 */
#include "served.h"

#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* How long to listen for what must not come, and what that may cost: a few thousand turns of a loop that spins take
 * more. */
#define QUIET_MS 300
#define QUIET_MICROSECONDS 20000

/* What all of a connection's buffers may come to (debug/gdbstub/machine.c), and some. */
#define CONNECTION_BYTES (8u << 20)

/* Nothing comes for a while, and nothing is done meanwhile. */
static void expect_quiet(int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	int64_t before = served_cpu_microseconds();

	assert_int_equal(poll(&in, 1, QUIET_MS), 0);
	assert_in_range(served_cpu_microseconds() - before, 0, QUIET_MICROSECONDS);
}

static void idle_in_every_state(struct served *served)
{
	int fd, second;

	served_start(served);
	fd = served_connect(served);
	expect_quiet(fd); /* connected, and silent */
	served_expect_reply(fd, "qC", "QC1");
	expect_quiet(fd); /* attached to a guest that stands */
	served_send_text(fd, "$m1000,");
	expect_quiet(fd); /* in the middle of a packet */
	served_send_text(fd, "1#8b");
	assert_string_equal(served_receive_packet(fd), "00");
	served_send_packet(fd, "c");
	assert_int_equal(served_receive_byte(fd), '+');
	expect_quiet(fd); /* its guest runs */
	served_send_text(fd, "\x03");
	assert_string_equal(served_receive_packet(fd), "T02thread:1;06:0*,;07:0*,;10:0*,;");
	second = served_connect(served);
	served_send_text(second, "$qC#b4");
	assert_string_equal(served_receive_packet(second), "E.another debugger is attached to this guest");
	expect_quiet(fd); /* one that was refused has not hung up */
	close(second);
	served_expect_reply(fd, "D", "OK");
	served_expect_closed(fd);
	served_stop_and_clean(served);
}

static void test_idle_server_takes_no_processor_time_in_any_state(void **state)
{
	(void)state;
	served_both_transports(idle_in_every_state);
}

/* It has asked and says that nothing more will come: it gets its answers, then the end. */
static void half_closed_client(struct served *served)
{
	int fd;

	served_start(served);
	fd = served_connect(served);
	served_send_packet(fd, "Z0,1000,1");
	served_send_packet(fd, "m1000,1");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_string_equal(served_receive_packet(fd), "OK");
	assert_string_equal(served_receive_packet(fd), "00");
	served_expect_closed(fd);
	fd = served_connect(served);
	served_expect_reply(fd, "qC", "QC1");
	close(fd);
	served_stop_and_clean(served);
	assert_int_equal(served->fake.break_count, 0);
}

static void test_idle_half_closed_client_gets_its_answers_and_the_next_is_served(void **state)
{
	(void)state;
	served_both_transports(half_closed_client);
}

/* The server's end of a TCP connection, among this process's descriptors. */
static int servers_end(int fd)
{
	struct sockaddr_in ours = { 0 };
	socklen_t length = sizeof(ours);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&ours, &length), 0);
	for (int other = 0; other < 256; other++) {
		struct sockaddr_in peer = { 0 };

		length = sizeof(peer);
		if (getpeername(other, (struct sockaddr *)&peer, &length) == 0 && peer.sin_family == AF_INET &&
		    peer.sin_port == ours.sin_port) {
			return other;
		}
	}
	return -1;
}

/* Of a cable that was cut nobody hears, unless he asks: the guest would be taken for ever. */
static void test_idle_connection_is_asked_whether_it_lives(void **state)
{
	struct served served;
	socklen_t length = sizeof(int);
	int alive = 0;
	int fd;

	(void)state;
	served_prepare(&served, ":0");
	served_start(&served);
	fd = served_connect(&served);
	served_expect_reply(fd, "qC", "QC1");
	assert_int_equal(getsockopt(servers_end(fd), SOL_SOCKET, SO_KEEPALIVE, &alive, &length), 0);
	assert_int_equal(alive, 1);
	close(fd);
	served_stop_and_clean(&served);
}

/* Before the first stop of a guest that runs: what it asks is held, and answered once, in its order. */
static void early_client(struct served *served)
{
	int fd;

	served->fake.running = true;
	served->options.running = true;
	served_start(served);
	fd = served_connect(served);
	served_send_packet(fd, "?");
	served_send_packet(fd, "qC");
	served_send_packet(fd, "m1000,1");
	assert_string_equal(served_receive_packet(fd), "T02thread:1;06:0*,;07:0*,;10:0*,;");
	assert_string_equal(served_receive_packet(fd), "QC1");
	assert_string_equal(served_receive_packet(fd), "00");
	expect_quiet(fd);
	close(fd);
	served_stop_and_clean(served);
	assert_int_equal(served->fake.interrupts, 1);
}

static void test_idle_client_before_the_first_stop_gets_each_answer_once(void **state)
{
	(void)state;
	served_both_transports(early_client);
}

static size_t memory_in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* A packet without an end, and then many small ones: each is answered, and no more is kept than one packet. */
static void endless_packet(struct served *served)
{
	static char bytes[1 << 20];
	size_t before;
	int fd;

	served_start(served);
	fd = served_connect(served);
	served_expect_reply(fd, "QStartNoAckMode", "OK");
	before = memory_in_use();
	memset(bytes, 'm', sizeof(bytes));
	bytes[0] = '$';
	for (int i = 0; i < 64; i++) {
		for (size_t sent = 0; sent < sizeof(bytes);) {
			ssize_t put = send(fd, bytes + sent, sizeof(bytes) - sent, MSG_NOSIGNAL);

			assert_true(put > 0);
			sent += (size_t)put;
		}
		bytes[0] = 'm';
	}
	served_send_text(fd, "#00");
	assert_string_equal(served_receive_packet(fd), "E16");
	assert_in_range(memory_in_use(), 0, before + CONNECTION_BYTES);
	served_expect_reply(fd, "qC", "QC1");
	close(fd);
	served_stop_and_clean(served);
}

static void test_idle_packet_without_end_takes_no_more_than_one_of_the_largest(void **state)
{
	(void)state;
	served_both_transports(endless_packet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_server_takes_no_processor_time_in_any_state),
		cmocka_unit_test(test_idle_half_closed_client_gets_its_answers_and_the_next_is_served),
		cmocka_unit_test(test_idle_connection_is_asked_whether_it_lives),
		cmocka_unit_test(test_idle_client_before_the_first_stop_gets_each_answer_once),
		cmocka_unit_test(test_idle_packet_without_end_takes_no_more_than_one_of_the_largest),
	};

	return cmocka_run_group_tests_name("idle", tests, NULL, NULL);
}
