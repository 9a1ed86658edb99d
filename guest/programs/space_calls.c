/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two address spaces that share all code, each with a page of its own at one address, and a call that goes to one. */
#include <hindsight/guest.h>

#define SPACES 2
#define PAGE 4096
#ifdef __x86_64__
#define OWN ((uintptr_t)0x10000000000)
#else
#define OWN ((uintptr_t)0x50000000)
#endif

/* Where both come by. */
__attribute__((noinline)) static uint32_t visited(void)
{
	return ++*(volatile uint32_t *)OWN;
}

/* Go to a space; what comes back is 100 times its number, from 1 on, and how often it was visited. */
HS_GUEST_FUNCTION(visit, "u(u)")
{
	hs_space_switch(args[0].u);
	ret->u = visited();
	hs_space_switch(0);
}

/* What examples/debugged.c calls. */
HS_GUEST_FUNCTION(counter, "U()")
{
	(void)args;
	ret->ul = visited();
}

int main(int argc, char **argv)
{
	(void)argc, (void)argv;
	if (hs_space_create() != 1) {
		hs_abort("cannot make a space");
	}
	for (unsigned int i = 0; i < SPACES; i++) {
		uintptr_t gpa = hs_page_alloc(PAGE, PAGE);

		if (gpa == 0 || !hs_space_map(i, (void *)OWN, gpa, PAGE, HS_MAP_WRITABLE | HS_MAP_NO_EXEC)) {
			hs_abort("cannot map the space's page");
		}
		hs_space_switch(i);
		*(volatile uint32_t *)OWN = 100 * (i + 1);
	}
	hs_space_switch(0);
	hs_guest_serve();
}
