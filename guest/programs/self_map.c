/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A top-level page table whose free entries all name the table itself, so that nearly everything is mapped, over and
 * over. The write crashes still: what would be the entry of page 0 maps nothing. */
#include <hindsight/guest.h>

#include <stdint.h>

#define PAGE 4096
#define PRESENT_WRITABLE_USER 7
#ifdef __x86_64__
#define WINDOW ((uint64_t *)0x10000000000)
#define PAGE_BITS 0xFFFFFFFFFF000
typedef uint64_t entry;
#else
#define WINDOW ((uint32_t *)0x50000000)
#define PAGE_BITS 0xFFFFF000
typedef uint32_t entry;
#endif

int main(int argc, char **argv)
{
	volatile entry *table = WINDOW;
	uintptr_t root;

	(void)argc, (void)argv;
	__asm__ volatile("mov %%cr3, %0" : "=r"(root));
	root &= PAGE_BITS;
	if (!hs_space_map(0, WINDOW, root, PAGE, HS_MAP_WRITABLE)) {
		hs_abort("no window onto the table");
	}
	for (size_t i = 0; i < PAGE / sizeof(entry); i++) {
		if (table[i] == 0) {
			table[i] = (entry)(root | PRESENT_WRITABLE_USER);
		}
	}
	__asm__ volatile("mov %0, %%cr3" : : "r"(root) : "memory");
	*(volatile int *)8 = 42;
	return 0;
}
