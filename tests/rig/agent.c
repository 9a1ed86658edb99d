/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rig's agent: runs commands inside the virtual machine for the tests outside it. It is the first process of the
 * machine (tests/rig/init becomes it), listens on a TCP port, and serves one command per connection, each in a process
 * of its own. tests/lib/rig.py is the other end.
 *
 * A frame is one byte of type, a little-endian u32 length, and that many bytes.
 *   from the tests: 'a' one argument, 'v' one NAME=VALUE, 'd' the working directory, made if
 *                   it is not there, 'g' go;
 *                   then 'i' bytes for standard input (none: end of file), 'k' a signal number as u32
 *   from the agent: 'o' standard output, 'e' standard error, then one of
 *                   'x' two u32: exit status, signal that ended it or 0;  'f' text: why it could not be started
 *
 * A connection that closes takes its command with it: whoever gave up waiting leaves nothing behind. The tests are to
 * close it: input that comes after the command's end is read and dropped, or what was sent could be lost with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAME_BYTES_MAX (1U << 20)
#define CHUNK_BYTES 65536
#define WORDS_MAX 256

struct frame {
	char type;
	uint32_t length;
	char *bytes; /* owned by the frame; one NUL follows them */
};

struct command {
	char *argv[WORDS_MAX + 1];
	size_t argc;
	const char *directory;
};

struct child {
	int connection;
	bool lost; /* the connection is at its end */
	pid_t pid;
	int pidfd;              /* readable when it has ended */
	int in, out, err;       /* our ends of its pipes, -1 once closed */
	struct frame pending;   /* input that the pipe did not take yet */
	uint32_t pending_start; /* bytes of it that are already written */
	bool ended;
	int wait_status;
};

static bool read_exactly(int fd, void *bytes, size_t length)
{
	size_t done = 0;
	while (done < length) {
		ssize_t n = read(fd, (char *)bytes + done, length - done);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return false;
		}
		done += (size_t)n;
	}
	return true;
}

static bool write_exactly(int fd, const void *bytes, size_t length)
{
	size_t done = 0;
	while (done < length) {
		ssize_t n = write(fd, (const char *)bytes + done, length - done);
		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return false;
		}
		done += (size_t)n;
	}
	return true;
}

static void put_u32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++) {
		at[i] = (uint8_t)(value >> (8 * i));
	}
}

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* False at the end of the connection or for what is not a frame. */
static bool receive_frame(int connection, struct frame *ret)
{
	uint8_t head[5];
	if (!read_exactly(connection, head, sizeof(head))) {
		return false;
	}
	uint32_t length = get_u32(head + 1);
	if (length > FRAME_BYTES_MAX) {
		return false;
	}
	char *bytes = malloc((size_t)length + 1);
	if (!bytes || !read_exactly(connection, bytes, length)) {
		free(bytes);
		return false;
	}
	bytes[length] = '\0';
	*ret = (struct frame){ .type = (char)head[0], .length = length, .bytes = bytes };
	return true;
}

static bool send_frame(int connection, char type, const void *bytes, size_t length)
{
	uint8_t head[5] = { (uint8_t)type };
	put_u32(head + 1, (uint32_t)length);
	return write_exactly(connection, head, sizeof(head)) && write_exactly(connection, bytes, length);
}

static void send_failure(int connection, const char *what, int error)
{
	char text[512];
	int length = snprintf(text, sizeof(text), "%s: %s", what, strerror(error));
	send_frame(connection, 'f', text, (size_t)length); /* if nobody listens any more, nobody is told */
}

/* As mkdir -p; what could not be made is found out by whoever goes there. */
static void make_directories(char *path)
{
	for (char *at = strchr(path, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		mkdir(path, 0777);
		*at = '/';
	}
	mkdir(path, 0777);
}

/* Frames up to 'g'. The bytes live until the process ends. */
static bool receive_command(int connection, struct command *ret)
{
	struct frame frame;
	while (receive_frame(connection, &frame)) {
		switch (frame.type) {
		case 'a':
			if (ret->argc == WORDS_MAX) {
				return false;
			}
			ret->argv[ret->argc++] = frame.bytes;
			break;
		case 'v':
			if (putenv(frame.bytes)) {
				return false;
			}
			break;
		case 'd':
			make_directories(frame.bytes);
			ret->directory = frame.bytes;
			break;
		case 'g':
			return ret->argc > 0;
		default:
			return false;
		}
	}
	return false;
}

/* In the child process: become the command, or tell why not through the pipe that a successful exec closes. */
static void become(const struct command *command, const int io[3], int report)
{
	signal(SIGPIPE, SIG_DFL);
	setsid();
	if (dup2(io[0], 0) >= 0 && dup2(io[1], 1) >= 0 && dup2(io[2], 2) >= 0 &&
	    (!command->directory || !chdir(command->directory))) {
		execvp(command->argv[0], command->argv);
	}
	int error = errno;
	_exit(write(report, &error, sizeof(error)) == sizeof(error) ? 127 : 126);
}

static bool start(const struct command *command, struct child *ret, int *ret_error)
{
	int in[2], out[2], err[2], report[2];
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC) || pipe2(report, O_CLOEXEC)) {
		*ret_error = errno;
		return false;
	}
	ret->pid = fork();
	if (!ret->pid) {
		become(command, (const int[]){ in[0], out[1], err[1] }, report[1]);
	}
	ret->pidfd = ret->pid < 0 ? -1 : pidfd_open(ret->pid, 0);
	if (ret->pidfd < 0) {
		*ret_error = errno;
		return false;
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	close(report[1]);
	if (read_exactly(report[0], ret_error, sizeof(*ret_error))) {
		return false;
	}
	close(report[0]);
	ret->in = in[1];
	ret->out = out[0];
	ret->err = err[0];
	fcntl(ret->in, F_SETFL, O_NONBLOCK);
	fcntl(ret->out, F_SETFL, O_NONBLOCK);
	fcntl(ret->err, F_SETFL, O_NONBLOCK);
	return true;
}

/* Pass on what a pipe holds now; close it at its end. True when there may be more at once. */
static bool forward_output(struct child *child, int *pipe_end, char type)
{
	char chunk[CHUNK_BYTES];
	ssize_t n = *pipe_end < 0 ? 0 : read(*pipe_end, chunk, sizeof(chunk));
	if (n > 0) {
		child->lost = child->lost || !send_frame(child->connection, type, chunk, (size_t)n);
		return !child->lost;
	}
	if (*pipe_end >= 0 && (n == 0 || (errno != EAGAIN && errno != EINTR))) {
		close(*pipe_end);
		*pipe_end = -1;
	}
	return false;
}

static void close_input(struct child *child)
{
	if (child->in >= 0) {
		close(child->in);
		child->in = -1;
	}
	free(child->pending.bytes);
	child->pending = (struct frame){ 0 };
}

static void feed_input(struct child *child)
{
	uint32_t left = child->pending.length - child->pending_start;
	ssize_t n = write(child->in, child->pending.bytes + child->pending_start, left);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		close_input(child); /* it does not read any more; that is its business */
	} else if (n == (ssize_t)left) {
		free(child->pending.bytes);
		child->pending = (struct frame){ 0 };
	} else if (n > 0) {
		child->pending_start += (uint32_t)n;
	}
}

static void handle_frame(struct child *child)
{
	struct frame frame;
	if (!receive_frame(child->connection, &frame)) {
		child->lost = true;
		return;
	}
	if (frame.type == 'i' && frame.length && child->in >= 0) {
		child->pending = frame;
		child->pending_start = 0;
		return;
	}
	if (frame.type == 'i' && !frame.length) {
		close_input(child);
	} else if (frame.type == 'k' && frame.length == 4) {
		kill(child->pid, (int)get_u32((const uint8_t *)frame.bytes));
	}
	free(frame.bytes);
}

/* Until the command has ended and all that it wrote is passed on, or the connection is lost. */
static void relay(struct child *child)
{
	while (!child->ended && !child->lost) {
		/* While the command is slow to read its input no more is taken from the connection. */
		bool waiting = child->pending.bytes;
		struct pollfd fds[5] = {
			{ .fd = child->connection, .events = waiting ? POLLRDHUP : POLLIN },
			{ .fd = child->out, .events = POLLIN },
			{ .fd = child->err, .events = POLLIN },
			{ .fd = child->pidfd, .events = POLLIN },
			{ .fd = waiting ? child->in : -1, .events = POLLOUT },
		};
		if (poll(fds, 5, -1) < 0) {
			continue;
		}
		if (fds[1].revents) {
			forward_output(child, &child->out, 'o');
		}
		if (fds[2].revents) {
			forward_output(child, &child->err, 'e');
		}
		if (fds[4].revents) {
			feed_input(child);
		}
		if (fds[0].revents && waiting) {
			child->lost = true;
		} else if (fds[0].revents) {
			handle_frame(child);
		}
		child->ended = waitpid(child->pid, &child->wait_status, WNOHANG) == child->pid;
	}
	while (forward_output(child, &child->out, 'o') || forward_output(child, &child->err, 'e')) {
	}
}

static void drain(int connection)
{
	char dropped[CHUNK_BYTES];
	ssize_t n;
	shutdown(connection, SHUT_WR);
	do {
		n = read(connection, dropped, sizeof(dropped));
	} while (n > 0 || (n < 0 && errno == EINTR));
}

static void serve(int connection)
{
	struct command command = { 0 };
	struct child child = { .connection = connection, .in = -1, .out = -1, .err = -1 };
	int error = 0;
	uint8_t end[8];
	if (!receive_command(connection, &command)) {
		send_failure(connection, "request", EBADMSG);
		return;
	}
	if (!start(&command, &child, &error)) {
		send_failure(connection, command.argv[0], error);
		return;
	}
	relay(&child);
	if (!child.ended) {
		kill(-child.pid, SIGKILL); /* it leads a session, hence a process group */
		return;
	}
	put_u32(end, WIFEXITED(child.wait_status) ? (uint32_t)WEXITSTATUS(child.wait_status) : 0);
	put_u32(end + 4, WIFSIGNALED(child.wait_status) ? (uint32_t)WTERMSIG(child.wait_status) : 0);
	send_frame(connection, 'x', end, sizeof(end));
	drain(connection);
}

static int listen_on(uint16_t port)
{
	int on = 1;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 64)) {
		return -1;
	}
	return listener;
}

int main(int argc, char **argv)
{
	int listener = argc == 2 ? listen_on((uint16_t)atoi(argv[1])) : -1;
	if (listener < 0) {
		printf("hindsight-rig: failed: the agent cannot listen: %s\n", strerror(errno));
		return 1;
	}
	signal(SIGCHLD, SIG_IGN); /* as the first process it inherits every orphan; the kernel reaps them all */
	signal(SIGPIPE, SIG_IGN);
	printf("hindsight-rig: ready\n");
	fflush(stdout);
	for (;;) {
		int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		pid_t pid = connection >= 0 ? fork() : -1;
		if (pid < 0 && connection >= 0) {
			send_failure(connection, "fork", errno);
		}
		if (!pid) {
			int on = 1;
			signal(SIGCHLD, SIG_DFL);
			setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
			serve(connection);
			exit(0);
		}
		close(connection);
	}
}
