/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fake_server ADDRESS amd64|i686 IMAGE: the fake target behind the real server, for tests with real clients. Prints the
 * address it listens on, a line whenever the guest runs with nothing to stop it, and at the end why the server
 * came back.
 */
#include "fake_target.h"

#include "base/cleanup.h"

#include <hindsight/gdb.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

static int stop_signal_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void say_running(void)
{
	fprintf(stderr, "running\n");
}

int main(int argc, char **argv)
{
	static const char *const ends[] = { "exited", "killed", "stopped", "closed" };
	struct hs_gdb_serve_options options = { .stop_fd = stop_signal_fd() };
	struct hs_gdb_listener *listener = NULL;
	HS_FREE char *path = argc == 4 ? realpath(argv[3], NULL) : NULL;
	struct fake_target fake;
	struct hs_error err;
	enum hs_gdb_end end = HS_GDB_END_STOPPED;

	if (!path) {
		fprintf(stderr, "usage: fake_server ADDRESS amd64|i686 IMAGE\n");
		return 2;
	}
	fake_init(&fake, strcmp(argv[2], "i686") == 0 ? HS_ARCH_I686 : HS_ARCH_AMD64);
	if (!fake_load(&fake, path) || hs_gdb_listen(argv[1], false, &listener, &err)) {
		fprintf(stderr, "%s\n", listener ? path : err.message);
		return 1;
	}
	fake.on_run = say_running;
	fprintf(stderr, "listening on %s\n", hs_gdb_listener_address(listener));
	if (hs_gdb_serve(listener, &fake.target, &options, &end, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	fprintf(stderr, "%s, %u breakpoints left, %u misuses\n", ends[end], (unsigned int)fake.break_count,
		fake.misuses);
	hs_gdb_listener_close(listener);
	fake_deinit(&fake);
	return 0;
}
