/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/watchdog.h"

#include "base/clock.h"
#include "base/error.h"

#include <signal.h>
#include <time.h>

/* Until the deadline, or until something changes. The lock is held on entry and on return. */
static void sleep_a_while(struct hs_watchdog *dog)
{
	struct timespec at = {
		.tv_sec = (time_t)(dog->deadline_ns / HS_NS_PER_SECOND),
		.tv_nsec = (long)(dog->deadline_ns % HS_NS_PER_SECOND),
	};

	if (dog->deadline_ns == 0) {
		pthread_cond_wait(&dog->wake, &dog->lock);
	} else {
		(void)pthread_cond_timedwait(&dog->wake, &dog->lock, &at);
	}
}

static void *watch(void *context)
{
	struct hs_watchdog *dog = context;

	pthread_mutex_lock(&dog->lock);
	while (!dog->quit) {
		if (dog->deadline_ns != 0 && hs_now_ns() >= dog->deadline_ns) {
			/* Under the lock, so that whoever disarms it knows. */
			dog->deadline_ns = 0;
			dog->barked = true;
			dog->bark(dog->ctx);
		}
		sleep_a_while(dog);
	}
	pthread_mutex_unlock(&dog->lock);
	return NULL;
}

enum hs_status hs_watchdog_init(struct hs_watchdog *dog, void (*bark)(void *ctx), void *ctx, struct hs_error *err)
{
	pthread_condattr_t attributes;
	sigset_t all;
	sigset_t before;
	int failure;

	*dog = (struct hs_watchdog){ .bark = bark, .ctx = ctx };
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&dog->lock, NULL);
	pthread_cond_init(&dog->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failure = pthread_create(&dog->thread, NULL, watch, dog);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	dog->running = failure == 0;
	if (failure) {
		pthread_cond_destroy(&dog->wake);
		pthread_mutex_destroy(&dog->lock);
		return hs_error_os(err, failure, "cannot start the thread of a time limit");
	}
	return HS_OK;
}

void hs_watchdog_deinit(struct hs_watchdog *dog)
{
	if (!dog->running) {
		return;
	}
	pthread_mutex_lock(&dog->lock);
	dog->quit = true;
	pthread_cond_signal(&dog->wake);
	pthread_mutex_unlock(&dog->lock);
	pthread_join(dog->thread, NULL);
	pthread_cond_destroy(&dog->wake);
	pthread_mutex_destroy(&dog->lock);
	dog->running = false;
}

void hs_watchdog_arm(struct hs_watchdog *dog, uint64_t ns)
{
	pthread_mutex_lock(&dog->lock);
	dog->barked = false;
	dog->deadline_ns = hs_now_ns() + ns;
	pthread_cond_signal(&dog->wake);
	pthread_mutex_unlock(&dog->lock);
}

bool hs_watchdog_has_barked(struct hs_watchdog *dog)
{
	bool barked;

	pthread_mutex_lock(&dog->lock);
	barked = dog->barked;
	pthread_mutex_unlock(&dog->lock);
	return barked;
}

bool hs_watchdog_disarm(struct hs_watchdog *dog)
{
	bool barked;

	pthread_mutex_lock(&dog->lock);
	barked = dog->barked;
	dog->barked = false;
	dog->deadline_ns = 0;
	pthread_mutex_unlock(&dog->lock);
	return barked;
}
