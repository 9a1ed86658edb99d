/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the runtime have for each other; not for programs. */
#ifndef HS_GUEST_RT_H
#define HS_GUEST_RT_H

#include <hindsight/guest.h>

/* Called by _start, once, with the CPU's tables in place. */
__attribute__((noreturn)) void hs_guest_start(const struct hs_abi_boot *boot);
/* Called by the trap entry with a handler set for the vector: true resumes. */
bool hs_trap_dispatch(struct hs_trap_frame *frame);

/* Where formatted text goes: append until full, then flush. With flush NULL the rest is counted only. */
struct hs_format_out {
	char *buffer;
	size_t size;
	size_t used;  /* bytes in the buffer */
	size_t total; /* bytes produced in all */
	void (*flush)(const void *bytes, size_t length);
};
void hs_format(struct hs_format_out *out, const char *format, va_list args);

/* A heap over one range of memory. */
struct hs_heap_block;
struct hs_heap {
	struct hs_heap_block *free; /* list of the free blocks, newest first */
	uintptr_t start, end;       /* of the blocks */
};
/* Make one free block of the range. */
void hs_heap_init(struct hs_heap *heap, void *start, size_t length);
void *hs_heap_alloc(struct hs_heap *heap, size_t length);
void *hs_heap_resize(struct hs_heap *heap, void *payload, size_t length);
void hs_heap_free(struct hs_heap *heap, void *payload);

#endif
