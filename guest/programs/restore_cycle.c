/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest for going back and calling, over and over: a call finds its memory as it was when the guest became ready, and
 * writes to as much of it as it is told to. What it finds of another call makes it fail, so nobody has to compare.
 */
#include <hindsight/guest.h>

#define PAGE 4096u
#define PAGES 64u
#define STACK_BYTES 2048u

static uint8_t empty[PAGES][PAGE] __attribute__((aligned(PAGE)));
static uint8_t filled[PAGES][PAGE] __attribute__((aligned(PAGE)));
static uint32_t calls;
static uint32_t *block; /* in the heap, with the number of calls */

static unsigned int count_wrong_pages(void)
{
	unsigned int count = 0;
	for (unsigned int i = 0; i < PAGES; i++) {
		count += empty[i][0] != 0 || empty[i][PAGE - 1] != 0;
		count += filled[i][0] != i + 1 || filled[i][PAGE - 1] != i + 1;
	}
	return count;
}

/* Below what a call uses itself: where the one before has left something. */
static uint32_t look_below(void)
{
	volatile uint32_t *below = (volatile uint32_t *)((uintptr_t)__builtin_frame_address(0) - STACK_BYTES);
	uint32_t found = *below;
	*below = 0x5A5A5A5A;
	return found;
}

/* Write to so many pages, the empty ones first; gives how many times it was called since the guest was ready. */
HS_GUEST_FUNCTION(cycle, "u(u)")
{
	unsigned int wrong = count_wrong_pages();
	const volatile uint32_t *input = (const volatile uint32_t *)(uintptr_t)hs_boot_info()->input_start;
	if (args[0].u > 2 * PAGES) {
		hs_fail("there are %u pages", 2 * PAGES);
		return;
	}
	if (wrong > 0 || calls != 0 || block[0] != 0 || look_below() != 0 || input[PAGE / 4] != 0) {
		hs_fail("%u pages, calls %u and %u, or the stack or a buffer are of another call", wrong, calls,
			block[0]);
		return;
	}
	ret->u = ++calls;
	block[0] = calls;
	for (unsigned int i = 0; i < args[0].u; i++) {
		uint8_t *page = i < PAGES ? empty[i] : filled[i - PAGES];
		page[0] = page[PAGE - 1] = 0xEE;
	}
}

int main(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (unsigned int i = 0; i < PAGES; i++) {
		filled[i][0] = filled[i][PAGE - 1] = (uint8_t)(i + 1);
	}
	block = hs_calloc(1, sizeof(*block));
	hs_guest_serve();
}
