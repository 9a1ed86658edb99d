/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A handler of divide errors that crashes itself: it reads what is not mapped, and nobody handles page faults. */
#include <hindsight/guest.h>

__attribute__((noinline)) static int read_from(const volatile int *where)
{
	return *where;
}

static bool on_divide_error(struct hs_trap_frame *frame)
{
	frame->ax = (uintptr_t)read_from((const volatile int *)0xDEAD0000);
	return true;
}

__attribute__((noinline)) static int divide(int dividend, volatile const int *divisor)
{
	return dividend / *divisor;
}

int main(int argc, char **argv)
{
	int nothing = argc - argc;

	(void)argv;
	hs_trap_set_handler(0, on_divide_error);
	return divide(10, &nothing);
}
