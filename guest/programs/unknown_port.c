/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Output to a port that nothing listens on; with the argument "in", input from it. */
#include <hindsight/guest.h>

#define PORT 0x4242

__attribute__((noinline)) static void use_port(bool input)
{
	if (input) {
		hs_in8(PORT);
	} else {
		hs_out32(PORT, 7);
	}
}

int main(int argc, char **argv)
{
	use_port(argc > 1 && strcmp(argv[1], "in") == 0);
	return 0;
}
