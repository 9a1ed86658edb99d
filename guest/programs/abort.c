/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hs_abort() with a message: the arguments joined by spaces, or one of its own. */
#include <hindsight/guest.h>

__attribute__((noinline)) static void give_up(const char *why)
{
	hs_abort(why);
}

int main(int argc, char **argv)
{
	char message[256] = "the guest gave up";
	size_t length = 0;
	for (int i = 1; i < argc && length < sizeof(message); i++) {
		const char *format = i > 1 ? " %s" : "%s";
		length += (size_t)hs_snprintf(message + length, sizeof(message) - length, format, argv[i]);
	}
	give_up(message);
	return 0;
}
