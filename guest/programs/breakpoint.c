/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's own int3, with nothing in the guest to handle it: #BP, vector 3. The saved ip is behind it. */
#include <hindsight/guest.h>

__attribute__((noinline)) static void execute_int3(void)
{
	__asm__ volatile("int3");
}

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	execute_int3();
	hs_print("behind the breakpoint\n");
	return 0;
}
