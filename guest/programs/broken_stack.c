/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stack full of rubbish, return addresses and frame pointers too, and a crash on it. */
#include <hindsight/guest.h>

/* What is above a local variable: the frames of the callers. */
#define BYTES 256

__attribute__((noinline)) static void overwrite(volatile uint32_t *where, volatile int *crash)
{
	for (unsigned int i = 0; i < BYTES / sizeof(*where); i++) {
		where[i] = 0x41414141;
	}
	*crash = 42;
}

__attribute__((noinline)) static void call(volatile int *crash)
{
	volatile uint32_t local = 0;

	overwrite(&local, crash);
}

int main(int argc, char **argv)
{
	volatile uint32_t room[BYTES]; /* the stack ends not far above */

	(void)argc, (void)argv;
	room[0] = (uint32_t)argc;
	room[1] = room[0];
	call((volatile int *)0xDEAD0000);
	return 0;
}
