/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gdbstub/signals.h"

#include <stddef.h>

#define GDB_SIGNAL_UNKNOWN 143

/* Rows are runs of signals that are numbered one after the other in both worlds. */
static const struct signal_run {
	int linux_first; /* asm/signal.h of x86 */
	int gdb_first;
	int count;
} signal_runs[] = {
	{ 1, 1, 6 },    /* HUP INT QUIT ILL TRAP ABRT */
	{ 7, 10, 1 },   /* BUS */
	{ 8, 8, 2 },    /* FPE KILL */
	{ 10, 30, 1 },  /* USR1 */
	{ 11, 11, 1 },  /* SEGV */
	{ 12, 31, 1 },  /* USR2 */
	{ 13, 13, 3 },  /* PIPE ALRM TERM */
	{ 17, 20, 1 },  /* CHLD */
	{ 18, 19, 1 },  /* CONT */
	{ 19, 17, 2 },  /* STOP TSTP */
	{ 21, 21, 2 },  /* TTIN TTOU */
	{ 23, 16, 1 },  /* URG */
	{ 24, 24, 5 },  /* XCPU XFSZ VTALRM PROF WINCH */
	{ 29, 23, 1 },  /* IO */
	{ 30, 32, 1 },  /* PWR */
	{ 31, 12, 1 },  /* SYS */
	{ 32, 77, 1 },  /* the first real-time signal */
	{ 33, 45, 31 }, /* 33 to 63 */
	{ 64, 78, 1 },  /* the last one */
};

#define SIGNAL_RUN_COUNT (sizeof(signal_runs) / sizeof(signal_runs[0]))

int hs_signal_to_gdb(int linux_signal)
{
	if (linux_signal == 0) {
		return 0;
	}
	for (size_t i = 0; i < SIGNAL_RUN_COUNT; i++) {
		const struct signal_run *run = &signal_runs[i];

		if (linux_signal >= run->linux_first && linux_signal < run->linux_first + run->count) {
			return run->gdb_first + (linux_signal - run->linux_first);
		}
	}
	return GDB_SIGNAL_UNKNOWN;
}

int hs_signal_from_gdb(int gdb_signal)
{
	if (gdb_signal == 0) {
		return 0;
	}
	for (size_t i = 0; i < SIGNAL_RUN_COUNT; i++) {
		const struct signal_run *run = &signal_runs[i];

		if (gdb_signal >= run->gdb_first && gdb_signal < run->gdb_first + run->count) {
			return run->linux_first + (gdb_signal - run->gdb_first);
		}
	}
	return -1;
}
