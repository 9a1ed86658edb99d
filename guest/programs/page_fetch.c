/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A page fault on an instruction fetch: a call to an address where nothing is mapped or, with the argument "data", of
 * data, which amd64 refuses (i686's two-level page tables have no right to execute, so there it runs: a ret).
 */
#include <hindsight/guest.h>

static volatile uint8_t data[] = { 0xC3 };

__attribute__((noinline)) static void call(uintptr_t where)
{
	((void (*)(void))where)();
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "data") == 0) {
		call((uintptr_t)data);
		return 0;
	}
	call(0xDEAD0000);
	return 0;
}
