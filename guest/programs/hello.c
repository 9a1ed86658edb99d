/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The least a guest can do. */
#include <hindsight/guest.h>

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	hs_print("hello from a guest\n");
	return 0;
}
