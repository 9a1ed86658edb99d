/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's CPU as an oracle: a child process that executes one instruction a case and says what became of it.
 */
#ifndef ORACLE_NATIVE_H
#define ORACLE_NATIVE_H

#include "case.h"

#include <stdbool.h>

/** The descriptors that the child finds. */
enum { ORACLE_NATIVE_BATCH = 3, ORACLE_NATIVE_SOCKET = 4 };

/** What both processes see. The parent fills in cases and count, the child results. */
struct oracle_batch {
	struct oracle_case cases[ORACLE_BATCH];
	struct oracle_result results[ORACLE_BATCH];
	uint8_t before[ORACLE_WORLD]; /* memory as it is between two cases */
	uint32_t count;
	volatile uint32_t at; /* the case that the child is at: where it died, when it dies */
};

struct oracle_native;

/** Start the child, whose memory is before (ORACLE_WORLD bytes, copied). NULL, and why on stderr. */
struct oracle_native *oracle_native_create(const uint8_t *before);
void oracle_native_destroy(struct oracle_native *native);
struct oracle_batch *oracle_native_batch(struct oracle_native *native);
/** Let the child work on the batch, while the caller does something else. False: it is dead. */
bool oracle_native_start(struct oracle_native *native);
/** Whether the child is ready, in both modes. */
bool oracle_native_works(struct oracle_native *native);
/** From a signal handler, every second or so: end a child that has been at one case for long. */
void oracle_native_watchdog(void);
/** Wait for its results. False: it died at batch->at. */
bool oracle_native_wait(struct oracle_native *native);

#endif
