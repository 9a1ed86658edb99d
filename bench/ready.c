/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ready.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of a request: a letter, two numbers, a frame. */
#define REQUEST_MAX 64

static bool make_sums(struct hs_bench_ready *ready)
{
	size_t length = ready->at[2 * ready->period];

	ready->sums = malloc(length + 1);
	if (!ready->sums) {
		return false;
	}
	ready->sums[0] = 0;
	for (size_t i = 0; i < length; i++) {
		ready->sums[i + 1] = (uint8_t)(ready->sums[i] + (uint8_t)ready->text[i]);
	}
	return true;
}

static bool send_all(int fd, struct iovec *parts, int count)
{
	while (count > 0) {
		ssize_t put = writev(fd, parts, count);

		if (put < 0) {
			return false;
		}
		while (count > 0 && (size_t)put >= parts->iov_len) {
			put -= (ssize_t)parts->iov_len;
			parts++;
			count--;
		}
		if (count > 0) {
			parts->iov_base = (char *)parts->iov_base + put;
			parts->iov_len -= (size_t)put;
		}
	}
	return true;
}

/* Answer "$?OFFSET,LENGTH#". */
static bool answer(const struct hs_bench_ready *ready, int fd, const char *request)
{
	char *comma;
	unsigned long long offset = strtoull(request + 2, &comma, 16);
	unsigned long long length = *comma == ',' ? strtoull(comma + 1, NULL, 16) : 0;
	char head[] = { '$', 'b' };
	char tail[4];
	uint8_t sum;
	size_t from;
	size_t to;

	if (length == 0 || length > ready->period) {
		return false;
	}
	from = ready->at[offset % ready->period];
	to = ready->at[offset % ready->period + length];
	sum = (uint8_t)(ready->sums[to] - ready->sums[from] + (ready->binary ? 'b' : 0));
	snprintf(tail, sizeof(tail), "#%02x", sum);
	return send_all(fd,
			(struct iovec[]){
				{ head, ready->binary ? 2 : 1 },
				{ (char *)ready->text + from, to - from },
				{ tail, 3 },
			},
			3);
}

/* In the child. */
static void serve(const struct hs_bench_ready *ready, int fd)
{
	char request[REQUEST_MAX];
	size_t used = 0;
	ssize_t got;

	while (used < sizeof(request) - 1 && (got = read(fd, request + used, sizeof(request) - 1 - used)) > 0) {
		used += (size_t)got;
		request[used] = '\0';
		if (used < 4 || request[used - 3] != '#') {
			continue;
		}
		used = 0;
		if (!answer(ready, fd, request)) {
			break;
		}
	}
	_exit(0);
}

/* A connection over 127.0.0.1, as the other servers have. */
static bool connect_pair(int ret_fds[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ret_fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &length) ||
	    connect(ret_fds[0], (struct sockaddr *)&address, sizeof(address))) {
		close(ret_fds[0]);
		close(listener);
		return false;
	}
	ret_fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	for (int i = 0; i < 2; i++) {
		setsockopt(ret_fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
	return ret_fds[1] >= 0;
}

bool hs_bench_ready_start(struct hs_bench_ready *ready, int *ret_fd)
{
	int fds[2];

	ready->pid = -1;
	if (!make_sums(ready) || !connect_pair(fds)) {
		perror("a server of ready replies");
		return false;
	}
	ready->pid = fork();
	if (ready->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		serve(ready, fds[1]);
	}
	close(fds[1]);
	*ret_fd = fds[0];
	return ready->pid > 0;
}

void hs_bench_ready_end(struct hs_bench_ready *ready)
{
	free(ready->sums);
	ready->sums = NULL;
	if (ready->pid > 0) {
		(void)waitpid(ready->pid, NULL, 0);
	}
}
