/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loops of bench/loops/ on a PC that qemu-system emulates by TCG. It stands still (SIGSTOP) unless a loop runs,
 * so that it takes nothing from the other side.
 */
#ifndef HS_BENCH_PC_H
#define HS_BENCH_PC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct hs_bench_pc {
	pid_t pid;
	int commands, answers; /* pipes to and from its serial port */
};

/** Start QEMU with a kernel and wait until the kernel is ready. False, with a message, when it does not work. */
bool hs_bench_pc_start(struct hs_bench_pc *pc, const char *qemu, const char *kernel);
/** Run a loop; *ret_ns is QEMU's processor time from the command to the answer, *ret_done whether its CPU has the
 *  instructions for it. */
bool hs_bench_pc_run(struct hs_bench_pc *pc, char letter, uint32_t rounds, bool *ret_done, double *ret_ns);
/** Let the guest end the machine, and wait for that. */
void hs_bench_pc_end(struct hs_bench_pc *pc);

#endif
