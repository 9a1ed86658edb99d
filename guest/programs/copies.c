/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fills its heap page by page, says that it is ready, and then writes to every page: in a guest that stands on a
 * snapshot each of these is a copy. The page fault handler that it has sees none of them, CR2 stays what its own fault
 * has left there, and what stood beside what it writes stays. Ends with the number of things that were wrong.
 */
#include <hindsight/guest.h>

#define PAGE 4096
#define PAGES 30
#define NOWHERE ((uintptr_t)0xDEAD0000)

static volatile unsigned int faults;

/* The write that follows has its pointer in the a register: point it at something that is there. */
static volatile uint32_t landing;
static bool on_page_fault(struct hs_trap_frame *frame)
{
	faults++;
	frame->ax = (uintptr_t)&landing;
	return hs_read_cr2() == NOWHERE;
}

static void fault(void)
{
	uintptr_t where = NOWHERE;
	__asm__ volatile("movl $1, (%0)" : "+a"(where) : : "memory");
}

int main(int argc, char **argv)
{
	uint8_t *block = hs_malloc((PAGES + 1) * PAGE);
	uint8_t *pages = (uint8_t *)(((uintptr_t)block + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
	unsigned int wrong = 0;

	(void)argc, (void)argv;
	for (unsigned int i = 4; i < PAGES * PAGE; i += 8) {
		pages[i] = (uint8_t)(i / 8);
	}
	hs_trap_set_handler(14, on_page_fault);
	fault();
	hs_out32(HS_PORT_READY, 0);
	for (unsigned int i = 0; i < PAGES - 1; i++) {
		/* Across the end of a page too: two copies for one instruction. */
		*(volatile uint32_t *)(pages + i * PAGE + 4094) = 0x01020304;
	}
	wrong += hs_read_cr2() != NOWHERE;
	wrong += faults != 1;
	for (unsigned int i = 4; i < PAGES * PAGE; i += 8) {
		wrong += pages[i] != (uint8_t)(i / 8);
	}
	fault();
	wrong += faults != 2 || landing != 1;
	hs_printf("%u wrong\n", wrong);
	return (int)wrong;
}
