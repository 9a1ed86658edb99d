/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/console: what reaches the descriptor and when, and that nothing on the other side of it can hold the guest up. */
#include "cli/console.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	int read_fd, write_fd;
	struct hs_console console;
};

static int setup(void **state)
{
	static struct fixture f;
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	if (pipe2(fds, O_CLOEXEC) < 0) {
		return -1;
	}
	f.read_fd = fds[0];
	f.write_fd = fds[1];
	fcntl(f.read_fd, F_SETFL, O_NONBLOCK);
	hs_console_init(&f.console, f.write_fd);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->read_fd);
	close(f->write_fd);
	return 0;
}

static void assert_arrives(struct fixture *f, const char *want)
{
	char bytes[256];
	ssize_t length = read(f->read_fd, bytes, sizeof(bytes));

	if (want[0] == '\0') {
		assert_int_equal(length, -1);
		assert_int_equal(errno, EAGAIN);
		return;
	}
	assert_int_equal(length, strlen(want));
	assert_memory_equal(bytes, want, strlen(want));
}

static void test_console_pipe_gets_whole_lines(void **state)
{
	struct fixture *f = *state;

	hs_console_write(&f->console, "he", 2);
	assert_arrives(f, "");
	hs_console_write(&f->console, "llo\nwo", 6);
	assert_arrives(f, "hello\nwo");
	hs_console_write(&f->console, "rld", 3);
	assert_arrives(f, "");
	hs_console_flush(&f->console, -1);
	assert_arrives(f, "rld");
	hs_console_flush(&f->console, -1);
	assert_arrives(f, "");
}

static void test_console_terminal_gets_everything_at_once(void **state)
{
	struct fixture *f = *state;

	f->console.at_once = true;
	hs_console_write(&f->console, "?", 1);
	assert_arrives(f, "?");
}

static void test_console_line_longer_than_the_buffer_arrives_whole_and_in_order(void **state)
{
	struct fixture *f = *state;
	uint8_t sent[3 * HS_CONSOLE_BYTES + 17];
	uint8_t got[sizeof(sent)];
	size_t length = 0;

	for (size_t i = 0; i < sizeof(sent); i++) {
		sent[i] = (uint8_t)('a' + i % 23);
	}
	hs_console_write(&f->console, sent, sizeof(sent));
	hs_console_flush(&f->console, -1);
	while (length < sizeof(sent)) {
		ssize_t part = read(f->read_fd, got + length, sizeof(got) - length);

		assert_true(part > 0);
		length += (size_t)part;
	}
	assert_memory_equal(sent, got, sizeof(sent));
}

static void test_console_reader_that_left_ends_the_output(void **state)
{
	struct fixture *f = *state;

	close(f->read_fd);
	hs_console_write(&f->console, "a\n", 2);
	assert_int_equal(f->console.failed, EPIPE);
	hs_console_write(&f->console, "b\n", 2);
	hs_console_flush(&f->console, -1);
	assert_int_equal(f->console.failed, EPIPE);
	f->read_fd = -1;
}

static void test_console_cancel_gives_up_on_a_full_pipe(void **state)
{
	static uint8_t much[1 << 20];
	struct fixture *f = *state;
	int cancel = eventfd(1, EFD_CLOEXEC);

	assert_true(cancel >= 0);
	f->console.cancel_fd = cancel;
	memset(much, 'x', sizeof(much));
	hs_console_write(&f->console, much, sizeof(much));
	assert_int_equal(f->console.failed, 0);
	close(cancel);
}

static void test_console_flush_now_waits_for_no_reader_and_keeps_the_rest(void **state)
{
	static char line[HS_CONSOLE_BYTES - 1];
	struct fixture *f = *state;
	char bytes[HS_CONSOLE_BYTES];

	memset(line, 'x', sizeof(line));
	fcntl(f->write_fd, F_SETFL, O_NONBLOCK);
	while (write(f->write_fd, line, sizeof(line)) > 0) {
	}
	hs_console_write(&f->console, "rest", 4);
	hs_console_flush_now(&f->console);
	assert_int_equal(f->console.used, 4);
	while (read(f->read_fd, bytes, sizeof(bytes)) > 0) {
	}
	hs_console_flush_now(&f->console);
	assert_int_equal(f->console.used, 0);
	assert_arrives(f, "rest");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_console_pipe_gets_whole_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_console_terminal_gets_everything_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_console_line_longer_than_the_buffer_arrives_whole_and_in_order,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_console_reader_that_left_ends_the_output, setup, teardown),
		cmocka_unit_test_setup_teardown(test_console_cancel_gives_up_on_a_full_pipe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_console_flush_now_waits_for_no_reader_and_keeps_the_rest, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
