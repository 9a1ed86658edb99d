/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints its arguments, one a line, and ends with their number. */
#include <hindsight/guest.h>

int main(int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		hs_printf("%d: %s\n", i, argv[i]);
	}
	return argc;
}
