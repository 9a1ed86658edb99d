/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A general protection fault: #GP, vector 13. By a selector behind the end of the GDT, which is the error code; with
 * the argument "address" (amd64) by an address that is not canonical, with error code 0.
 */
#include <hindsight/guest.h>

#define SELECTOR 0xFFF8

__attribute__((noinline)) static void load_selector(unsigned int selector)
{
	__asm__ volatile("mov %0, %%gs" : : "r"(selector));
}

__attribute__((noinline)) static int read_from(const volatile int *where)
{
	return *where;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "address") == 0 && sizeof(void *) == 8) {
		return read_from((const volatile int *)(uintptr_t)(UINT64_C(0xDEAD) << 48));
	}
	load_selector(SELECTOR);
	return 0;
}
