/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One page at two addresses, one behind the other, both tagged copy-on-write by the guest itself. Whoever writes
 * through one of them gets a copy there, and the other stays as it is. A debugger that stops in look() writes; the
 * guest tells what it sees then, and writes too. With an argument it leaves no scratch memory for copies.
 */
#include <hindsight/guest.h>

#include "../rt/rt.h"

#ifdef __x86_64__
#define BASE ((uintptr_t)0x10000000000)
#else
#define BASE ((uintptr_t)0x50000000)
#endif
#define FIRST (BASE + 0x1000)
#define SECOND (BASE + 0x2000)
#define WORDS (HS_PAGE_BYTES / sizeof(uint32_t))

static volatile uint32_t *volatile first = (volatile uint32_t *)FIRST;
static volatile uint32_t *volatile second = (volatile uint32_t *)SECOND;
static volatile unsigned int looks;

__attribute__((noinline)) static void look(void)
{
	looks++;
	__asm__ volatile("" ::: "memory");
}

static void tag(uintptr_t address)
{
	uintptr_t bytes;
	uintptr_t *entry = hs_leaf_of(address, HS_ENTRY_PRESENT, &bytes);

	*entry = (*entry & ~(uintptr_t)HS_ENTRY_COW_MASK) | HS_ENTRY_COW;
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

int main(int argc, char **argv)
{
	uintptr_t page = hs_page_alloc(HS_PAGE_BYTES, HS_PAGE_BYTES);
	uint32_t before, after;

	(void)argv;
	if (!hs_space_map(0, (void *)FIRST, page, HS_PAGE_BYTES, HS_MAP_WRITABLE) ||
	    !hs_space_map(0, (void *)SECOND, page, HS_PAGE_BYTES, HS_MAP_WRITABLE)) {
		hs_abort("cannot map");
	}
	for (uint32_t i = 0; i < WORDS; i++) {
		first[i] = 0x11110000 + i;
	}
	while (argc > 1 && hs_page_alloc(HS_PAGE_BYTES, HS_PAGE_BYTES) != 0) {
	}
	tag(FIRST);
	tag(SECOND);
	before = first[0] + second[0]; /* both are known to the CPU */
	look();
	after = first[0] + second[0];
	second[1] = 0x22222222;
	first[2] = 0x33333333;
	look();
	hs_printf("%x %x, first %x %x %x, second %x %x %x\n", before, after, first[0], first[1], first[2], second[0],
		  second[1], second[2]);
	return 0;
}
