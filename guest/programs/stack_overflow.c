/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Recursion without end. On amd64 the page below the stack faults and the fault has a stack of its own: #PF. On i686
 * the fault cannot be pushed either: #DF, through a task gate.
 */
#include <hindsight/guest.h>

__attribute__((noinline)) static unsigned int descend(volatile unsigned int *depth)
{
	/* Large, so that few instructions reach the end of the stack. */
	volatile unsigned int local[128];
	local[0] = *depth + 1;
	if (local[0] == 0) {
		return 0;
	}
	return descend(&local[0]) + local[0];
}

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	unsigned int depth = 0;
	return (int)descend(&depth);
}
