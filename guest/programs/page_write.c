/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A page fault on a write: to an address where nothing is mapped, or, with the argument "constant", to a page that is
 * there but must not be written. With "constant ready" it says that it is ready before, and writes whatever the page
 * tables say (CR0.WP is 0): that is fine, but for a guest that stands on a snapshot, whose memory is shared there.
 */
#include <hindsight/guest.h>

#define CR0_WP ((uintptr_t)0x10000)

static const int constant = 7;

__attribute__((noinline)) static void write_to(volatile int *where)
{
	*where = 42;
}

static void ignore_write_protection(void)
{
	uintptr_t cr0;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0 & ~CR0_WP) : "memory");
}

static int constant_now(void)
{
	return *(const volatile int *)&constant;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[2], "ready") == 0) {
		ignore_write_protection();
		hs_out32(HS_PORT_READY, 0);
		write_to((volatile int *)(uintptr_t)&constant);
		return constant_now() == 42 ? 0 : 1;
	}
	if (argc > 1 && strcmp(argv[1], "constant") == 0) {
		write_to((volatile int *)(uintptr_t)&constant);
	}
	write_to((volatile int *)0xDEAD0000);
	return 0;
}
