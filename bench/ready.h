/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The floor under a remote protocol's memory reads: a server that has its replies ready. For each request, of whatever
 * form, it sends a slice of one text, with a frame around it, and looks at no memory of anybody. What a client takes
 * with it is what the sockets, the two processes that wake each other and the client itself take.
 */
#ifndef HS_BENCH_READY_H
#define HS_BENCH_READY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** What to answer: byte i of memory is text[at[i % period]] up to text[at[i % period + 1]]. Borrowed. */
struct hs_bench_ready {
	const char *text;
	const size_t *at; /* for twice the period, which is longer than what one request asks for */
	size_t period;
	bool binary;   /* each reply begins with gdb's letter of an x packet */
	uint8_t *sums; /* of the first bytes of text, modulo 256: made by _start */
	pid_t pid;
};

/** Start it, in a process of its own; *ret_fd is the connection to it. False, with a message, when it fails. */
bool hs_bench_ready_start(struct hs_bench_ready *ready, int *ret_fd);
/** Wait for its end, which comes when the connection is closed. Also after a start that failed. */
void hs_bench_ready_end(struct hs_bench_ready *ready);

#endif
