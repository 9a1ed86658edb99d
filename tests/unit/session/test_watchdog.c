/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A time limit that passes is told once, one that does not is not, whatever was before. */
#include "session/watchdog.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FOR_EVER UINT64_C(3600000000000)

static void bark(void *ctx)
{
	sem_post(ctx);
}

static void test_watchdog_limit_that_passes_barks_once(void **state)
{
	struct hs_watchdog dog;
	sem_t barks;
	int left;

	(void)state;
	sem_init(&barks, 0, 0);
	assert_int_equal(hs_watchdog_init(&dog, bark, &barks, NULL), HS_OK);
	for (int i = 0; i < 3; i++) {
		hs_watchdog_arm(&dog, 1);
		sem_wait(&barks);
		assert_true(hs_watchdog_disarm(&dog));
		assert_false(hs_watchdog_disarm(&dog));
	}
	sem_getvalue(&barks, &left);
	assert_int_equal(left, 0);
	hs_watchdog_deinit(&dog);
	sem_destroy(&barks);
}

static void test_watchdog_disarmed_does_not_bark(void **state)
{
	struct hs_watchdog dog;
	sem_t barks;
	int left;

	(void)state;
	sem_init(&barks, 0, 0);
	assert_int_equal(hs_watchdog_init(&dog, bark, &barks, NULL), HS_OK);
	hs_watchdog_arm(&dog, FOR_EVER);
	assert_false(hs_watchdog_disarm(&dog));
	/* A later, shorter one is not held up by the former. */
	hs_watchdog_arm(&dog, FOR_EVER);
	hs_watchdog_arm(&dog, 1);
	sem_wait(&barks);
	hs_watchdog_arm(&dog, FOR_EVER);
	assert_false(hs_watchdog_disarm(&dog));
	hs_watchdog_arm(&dog, FOR_EVER);
	hs_watchdog_deinit(&dog);
	sem_getvalue(&barks, &left);
	assert_int_equal(left, 0);
	sem_destroy(&barks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watchdog_limit_that_passes_barks_once),
		cmocka_unit_test(test_watchdog_disarmed_does_not_bark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
