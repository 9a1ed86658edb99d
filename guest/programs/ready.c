/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Says that it is ready, and goes on: what it made before is there afterwards. Ends with status 7. With the argument
 * "crash" it then writes to where nothing is mapped, and prints what it has written if it gets further.
 */
#include <hindsight/guest.h>

static volatile int good = 5;
static volatile int *volatile bad = (volatile int *)(uintptr_t)0xDEAD0000;

__attribute__((noinline)) static void write_to(volatile int *where)
{
	*where = 42;
}

int main(int argc, char **argv)
{
	char *text = hs_malloc(64);

	hs_snprintf(text, 64, "kept for %s", argc > 1 ? argv[1] : "nobody");
	hs_printf("before\n");
	hs_out32(HS_PORT_READY, 0);
	hs_printf("after: %s\n", text);
	if (argc > 1 && strcmp(argv[1], "crash") == 0) {
		write_to(bad);
		hs_printf("written: %d\n", good);
	}
	hs_free(text);
	return 7;
}
