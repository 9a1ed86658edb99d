/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A loop without end: only a time limit or an interrupt stops it. */
#include <hindsight/guest.h>

__attribute__((noinline, noreturn)) static void loop(void)
{
	for (;;) {
		__asm__ volatile("");
	}
}

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	hs_print("about to hang\n");
	loop();
}
