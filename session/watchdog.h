/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A time limit for what one thread does again and again: another thread that sleeps, and barks when it took long. */
#ifndef HS_SESSION_WATCHDOG_H
#define HS_SESSION_WATCHDOG_H

#include <hindsight/error.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/** Caller's storage; must not move. All fields are private. */
struct hs_watchdog {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	void (*bark)(void *ctx);
	void *ctx;
	uint64_t deadline_ns; /* of CLOCK_MONOTONIC; 0: nobody is watched */
	bool barked, quit, running;
};

/** bark() is called by the watchdog's own thread, once for each time that it is armed at most. HS_ERR_NOMEM. */
HS_MUST_CHECK enum hs_status hs_watchdog_init(struct hs_watchdog *dog, void (*bark)(void *ctx), void *ctx,
					      struct hs_error *err);
/** End the thread. Zeroed storage is fine. */
void hs_watchdog_deinit(struct hs_watchdog *dog);

/** Bark in so many nanoseconds, unless disarmed before. */
void hs_watchdog_arm(struct hs_watchdog *dog, uint64_t ns);
/** Whether it has barked since it was armed. It stays armed if it has not. */
bool hs_watchdog_has_barked(struct hs_watchdog *dog);
/** Not any more. True if it has barked since it was armed; it will not bark after this returns. */
bool hs_watchdog_disarm(struct hs_watchdog *dog);

#endif
