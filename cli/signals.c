/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/signals.h"

#include "base/error.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void add_unless_ignored(sigset_t *set, int signal)
{
	struct sigaction action;

	if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
		sigaddset(set, signal);
	}
}

enum hs_status hs_signals_init(struct hs_signals *signals, struct hs_error *err)
{
	sigset_t all;
	sigset_t stop;

	sigemptyset(&stop);
	add_unless_ignored(&stop, SIGINT);
	add_unless_ignored(&stop, SIGTERM);
	add_unless_ignored(&stop, SIGHUP);
	all = stop;
	add_unless_ignored(&all, SIGQUIT);
	signal(SIGPIPE, SIG_IGN);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	signals->all_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	signals->stop_fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals->all_fd < 0 || signals->stop_fd < 0) {
		int os_errno = errno;

		hs_signals_deinit(signals);
		return hs_error_os(err, os_errno, "cannot make a signalfd");
	}
	return HS_OK;
}

void hs_signals_deinit(struct hs_signals *signals)
{
	if (signals->all_fd >= 0) {
		close(signals->all_fd);
	}
	if (signals->stop_fd >= 0) {
		close(signals->stop_fd);
	}
	signals->all_fd = -1;
	signals->stop_fd = -1;
}

static int take(int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
		return 0;
	}
	return (int)info.ssi_signo;
}

int hs_signals_take(struct hs_signals *signals)
{
	return take(signals->all_fd);
}

int hs_signals_take_stop(struct hs_signals *signals)
{
	return take(signals->stop_fd);
}
