/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A trap that finds no IDT: the CPU shuts down. */
#include <hindsight/guest.h>

struct table_pointer {
	uint16_t limit;
	uintptr_t base;
} __attribute__((packed));

__attribute__((noinline)) static void trap_without_idt(void)
{
	static const struct table_pointer none;
	__asm__ volatile("lidt %0\n\tud2" : : "m"(none));
}

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	trap_without_idt();
	return 0;
}
