/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Eight address spaces, each with a page of its own at the same address, and a crash in the sixth of them. */
#include <hindsight/guest.h>

#define SPACES 8
#define CRASHES_IN 5
#ifdef __x86_64__
#define OWN ((uintptr_t)0x10000000000)
#else
#define OWN ((uintptr_t)0x50000000)
#endif
#define PAGE 4096

int main(int argc, char **argv)
{
	static const char text[] = "the page of space 0";

	(void)argc, (void)argv;
	for (unsigned int i = 1; i < SPACES; i++) {
		if (hs_space_create() != (int)i) {
			hs_abort("cannot make a space");
		}
	}
	for (unsigned int i = 0; i < SPACES; i++) {
		uintptr_t gpa = hs_page_alloc(PAGE, PAGE);
		char *own = (char *)OWN;

		if (gpa == 0 || !hs_space_map(i, own, gpa, PAGE, HS_MAP_WRITABLE | HS_MAP_NO_EXEC)) {
			hs_abort("cannot map the space's page");
		}
		hs_space_switch(i);
		for (unsigned int k = 0; k < sizeof(text); k++) {
			own[k] = text[k];
		}
		own[sizeof(text) - 2] = (char)('0' + i);
	}
	hs_space_switch(CRASHES_IN);
	*(volatile int *)0xDEAD0000 = 42;
	return 0;
}
