/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A page fault on a read of an address where nothing is mapped: #PF, vector 14. */
#include <hindsight/guest.h>

__attribute__((noinline)) static int read_from(const volatile int *where)
{
	return *where;
}

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return read_from((const volatile int *)0xDEAD0008);
}
