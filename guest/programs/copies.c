/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fills its heap page by page, says that it is ready, and then writes to every page: in a guest that stands on a
 * snapshot each of these is a copy. The page fault handler that it has sees none of them, CR2 stays what its own fault
 * has left there, and what stood beside what it writes stays. With the word "large", for a heap of 16 MiB, it maps a
 * page of its heap that is part of a large one a second time, and both stay one. Ends with the number of things that
 * were wrong.
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

/* A page in the middle of a large one, and where it is mapped again. */
static uint8_t *part;
static uint8_t *const again = (uint8_t *)0x70000000;

static unsigned int map_again(void)
{
	uint8_t *block = hs_malloc(3 * HS_LARGE_PAGE_BYTES);

	if (block == NULL) {
		hs_abort("no room for a large page");
	}
	part = (uint8_t *)((((uintptr_t)block + HS_LARGE_PAGE_BYTES) & ~(HS_LARGE_PAGE_BYTES - 1)) + 5 * PAGE);
	hs_pages_keep(part, PAGE);
	return hs_page_gpa(part + 7) % PAGE != 7 || !hs_space_map(0, again, hs_page_gpa(part), PAGE, HS_MAP_WRITABLE);
}

static unsigned int parted(uint8_t value)
{
	*(volatile uint8_t *)(part + 9) = value;
	unsigned int wrong = *(volatile uint8_t *)(again + 9) != value;
	*(volatile uint8_t *)(again + 10) = value;
	wrong += *(volatile uint8_t *)(part + 10) != value;
	return wrong + (hs_page_gpa(part) != hs_page_gpa(again));
}

int main(int argc, char **argv)
{
	bool large = argc > 1 && strcmp(argv[1], "large") == 0;
	uint8_t *block = hs_malloc((PAGES + 1) * PAGE);
	uint8_t *pages = (uint8_t *)(((uintptr_t)block + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
	unsigned int wrong = 0;

	if (large) {
		wrong += map_again();
		wrong += parted(1);
	}
	for (unsigned int i = 4; i < PAGES * PAGE; i += 8) {
		pages[i] = (uint8_t)(i / 8);
	}
	hs_trap_set_handler(14, on_page_fault);
	fault();
	hs_out32(HS_PORT_READY, 0);
	if (large) {
		wrong += parted(2);
	}
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
