/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the start of gdb to its first prompt with a program: `gdb -ex 'target remote :PORT'`, which ends at the prompt.
 * Usage: OURS_PORT PEER_PORT [ROUNDS] (on 127.0.0.1)
 */
#include "harness.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct server {
	const char *port;
};

/* Without anybody's start-up files; what gdb says goes nowhere. */
static bool attach(void *ctx, double *ret_ns)
{
	const struct server *server = ctx;
	char target[64];
	const char *const words[] = { "gdb", "-nx", "-q", "-batch", "-ex", target, "-ex", "disconnect", NULL };
	posix_spawn_file_actions_t actions;
	double start;
	int status = 0;
	pid_t pid;
	bool done;

	snprintf(target, sizeof(target), "target remote 127.0.0.1:%s", server->port);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	start = hs_bench_now();
	done = posix_spawnp(&pid, words[0], &actions, NULL, (char *const *)words, environ) == 0 &&
	       waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	*ret_ns = hs_bench_now() - start;
	posix_spawn_file_actions_destroy(&actions);
	if (!done) {
		fprintf(stderr, "gdb_attach: gdb ended with status %d\n", status);
	}
	return done;
}

int main(int argc, char **argv)
{
	struct server ours = { .port = argc > 1 ? argv[1] : "" };
	struct server peer = { .port = argc > 2 ? argv[2] : "" };
	const struct hs_bench bench = {
		.title = "gdb -ex 'target remote :PORT', up to its first prompt",
		.unit = "ms",
		.rounds = hs_bench_rounds(argc == 4 ? argv[3] : NULL, 15),
		.ours = { "hindsight", attach, &ours },
		.peer = { "gdbserver", attach, &peer },
	};

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: gdb_attach PORT PEER_PORT [ROUNDS]\n");
		return 2;
	}
	return hs_bench_run(&bench) ? 0 : 1;
}
