/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A division by zero: #DE, vector 0. */
#include <hindsight/guest.h>

__attribute__((noinline)) static int divide(int dividend, volatile const int *divisor)
{
	return dividend / *divisor;
}

int main(int argc, char **argv)
{
	(void)argv;
	int nothing = argc - argc;
	hs_print("about to divide\n");
	return divide(10, &nothing);
}
