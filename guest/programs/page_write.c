/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A page fault on a write: to an address where nothing is mapped, or, with the argument "constant", to a page that is
 * there but must not be written.
 */
#include <hindsight/guest.h>

static const int constant = 7;

__attribute__((noinline)) static void write_to(volatile int *where)
{
	*where = 42;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "constant") == 0) {
		write_to((volatile int *)(uintptr_t)&constant);
	}
	write_to((volatile int *)0xDEAD0000);
	return 0;
}
