/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program's heap: heap.c over the range that the boot information names. */
#include "rt.h"

static struct hs_heap program_heap;

/* Set up at the first use, so that a guest that allocates nothing touches no page of the heap. */
static struct hs_heap *heap(void)
{
	if (program_heap.end == 0) {
		const struct hs_abi_boot *boot = hs_boot_info();
		hs_heap_init(&program_heap, (void *)(uintptr_t)boot->heap_start, (size_t)boot->heap_length);
	}
	return &program_heap;
}

void *hs_malloc(size_t length)
{
	return hs_heap_alloc(heap(), length);
}

void *hs_calloc(size_t count, size_t length)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, length, &bytes)) {
		return NULL;
	}
	void *block = hs_malloc(bytes);
	return block != NULL ? memset(block, 0, bytes) : NULL;
}

void *hs_realloc(void *block, size_t length)
{
	return hs_heap_resize(heap(), block, length);
}

void hs_free(void *block)
{
	hs_heap_free(heap(), block);
}
