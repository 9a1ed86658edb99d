/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A loop that counts, for Ctrl-C: ends with status 0 when a debugger sets `stop`, or by the argument after so many
 * rounds. */
#include <hindsight/guest.h>

volatile unsigned long counter;
volatile int stop;

__attribute__((noinline)) static void spin(unsigned long rounds)
{
	while (stop == 0 && (rounds == 0 || counter < rounds)) {
		counter++;
	}
}

int main(int argc, char **argv)
{
	spin(argc > 1 ? strtoul(argv[1], NULL, 0) : 0);
	hs_printf("counted to %lu\n", counter);
	return 0;
}
