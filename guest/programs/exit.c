/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ends with the status that the first argument says, 0 without one; with a second argument "halt" by hs_halt(). */
#include <hindsight/guest.h>

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[2], "halt") == 0) {
		hs_halt();
	}
	return argc > 1 ? (int)strtoul(argv[1], NULL, 0) : 0;
}
