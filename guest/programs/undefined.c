/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An invalid instruction: #UD, vector 6. */
#include <hindsight/guest.h>

__attribute__((noinline)) static void execute_undefined(void)
{
	__asm__ volatile("ud2");
}

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	execute_undefined();
	return 0;
}
