/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting the process that executes cases on the host's CPU (native_main.c), and talking to it. */
#include "native.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Far longer than 256 cases take anywhere. */
#define PATIENCE_SECONDS 20

struct oracle_native {
	struct oracle_batch *batch; /* shared */
	pid_t child;
	int socket; /* a byte to the child: there is a batch. One back: it is done. */
};

/* The program beside this one. */
static _Noreturn void start_program(int batch, int socket)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 16);
	char *name;

	path[length < 0 ? 0 : length] = 0;
	name = strrchr(path, '/');
	/* Away from the numbers they are to have, then there; the copies are not closed by exec. */
	batch = fcntl(batch, F_DUPFD, 10);
	socket = fcntl(socket, F_DUPFD, 10);
	if (name == NULL || dup2(batch, ORACLE_NATIVE_BATCH) < 0 || dup2(socket, ORACLE_NATIVE_SOCKET) < 0) {
		_exit(1);
	}
	close(batch);
	close(socket);
	strcpy(name + 1, "oracle_native");
	execl(path, path, (char *)NULL);
	perror("oracle: oracle_native");
	_exit(1);
}

static bool open_channels(struct oracle_native *native, int *ret_memory, int *ret_socket)
{
	int memory = memfd_create("oracle batch", MFD_CLOEXEC);
	int sockets[2];

	if (memory < 0 || ftruncate(memory, sizeof(*native->batch)) != 0) {
		return false;
	}
	native->batch = mmap(NULL, sizeof(*native->batch), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (native->batch == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
		close(memory);
		return false;
	}
	native->socket = sockets[0];
	*ret_memory = memory;
	*ret_socket = sockets[1];
	return true;
}

struct oracle_native *oracle_native_create(const uint8_t *before)
{
	struct oracle_native *native = calloc(1, sizeof(*native));
	int memory, socket;

	if (native == NULL || !open_channels(native, &memory, &socket)) {
		perror("oracle");
		free(native);
		return NULL;
	}
	memcpy(native->batch->before, before, ORACLE_WORLD);
	native->child = fork();
	if (native->child == 0) {
		start_program(memory, socket);
	}
	close(memory);
	close(socket);
	return native;
}

void oracle_native_destroy(struct oracle_native *native)
{
	if (native == NULL) {
		return;
	}
	close(native->socket);
	waitpid(native->child, NULL, 0);
	munmap(native->batch, sizeof(*native->batch));
	free(native);
}

struct oracle_batch *oracle_native_batch(struct oracle_native *native)
{
	return native->batch;
}

/* What the watchdog has seen: a signal handler is given nothing. */
static struct {
	struct oracle_native *volatile waiting;
	volatile uint32_t at;
	volatile unsigned int seconds;
} watched;

void oracle_native_watchdog(void)
{
	struct oracle_native *native = watched.waiting;

	if (native == NULL || native->batch->at != watched.at) {
		watched.seconds = 0;
		watched.at = native ? native->batch->at : 0;
	} else if (++watched.seconds == PATIENCE_SECONDS) {
		kill(native->child, SIGKILL);
	}
}

bool oracle_native_start(struct oracle_native *native)
{
	char byte = 0;

	return send(native->socket, &byte, 1, MSG_NOSIGNAL) == 1;
}

bool oracle_native_wait(struct oracle_native *native)
{
	char byte;
	bool good;

	watched.seconds = 0;
	watched.waiting = native;
	good = read(native->socket, &byte, 1) == 1;
	watched.waiting = NULL;
	return good;
}

/* One nop each in 64-bit and 32-bit mode. */
bool oracle_native_works(struct oracle_native *native)
{
	static const uint8_t nop = 0x90;

	memset(native->batch->cases, 0, 2 * sizeof(native->batch->cases[0]));
	native->batch->count = 2;
	for (unsigned int i = 0; i < 2; i++) {
		struct oracle_case *test = &native->batch->cases[i];

		test->bits = i ? 32 : 64;
		test->in.rip = ORACLE_CODE;
		test->in.seg[SEG_DS] = test->in.seg[SEG_ES] = ORACLE_DS;
		test->in.seg[SEG_GS] = ORACLE_GS;
		test->in.rflags = 2 | FLAG_IF | FLAG_TF;
		test->patch_count = 1;
		test->patches[0].at = ORACLE_CODE;
		test->patches[0].length = 1;
		test->patches[0].bytes[0] = nop;
	}
	return oracle_native_start(native) && oracle_native_wait(native) &&
	       native->batch->results[0].out.rip == ORACLE_CODE + 1 &&
	       native->batch->results[1].out.rip == ORACLE_CODE + 1;
}
