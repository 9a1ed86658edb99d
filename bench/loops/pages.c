/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bare guest that waits to be called, and then writes to as many pages of its heap as (r/e)cx says. */
#include <hindsight/abi.h>

#define PAGE_BYTES 4096u

__attribute__((noreturn)) void _start(const struct hs_abi_boot *boot);

void _start(const struct hs_abi_boot *boot)
{
	volatile uint8_t *heap = (volatile uint8_t *)(uintptr_t)boot->heap_start;
	unsigned long count = 0;

	for (;;) {
		__asm__ volatile("outl %1, %w2" : "+c"(count) : "a"(0), "d"(HS_PORT_READY) : "memory");
		for (unsigned long i = 0; i < count; i++) {
			heap[i * PAGE_BYTES] = 1;
		}
	}
}
