/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the runtime have for each other; not for programs. */
#ifndef HS_GUEST_RT_H
#define HS_GUEST_RT_H

#include <hindsight/guest.h>

/* Called by _start, once, with the CPU's tables in place. */
__attribute__((noreturn)) void hs_guest_start(const struct hs_abi_boot *boot);
/* Called by the trap entry with a handler set for the vector: true resumes. */
bool hs_trap_dispatch(struct hs_trap_frame *frame);
/* Called by the trap entry for each page fault: true when it was a write to a copy-on-write page, which is copied now.
 * Nothing else has changed then. */
bool hs_cow_fault(uintptr_t address, uintptr_t error_code);

/* What traps write before the program's handler has the CPU. They stand beside the TSS (start.S), whose page is never
 * copy-on-write: a page fault there would come on the stack that is in use. */
extern uintptr_t hs_trap_cr2; /* of the last page fault that was not about copy-on-write */
extern unsigned int hs_trap_depth;

#define HS_PAGE_BYTES ((uintptr_t)4096)

/* Scratch memory: one behind the last byte. */
#ifdef __x86_64__
#define HS_SCRATCH_END_GPA ((uintptr_t)HS_AMD64_SCRATCH_TOP_GPA + 1)
#define HS_SCRATCH_END_GVA ((uintptr_t)HS_AMD64_SCRATCH_TOP_GVA + 1)
#else
#define HS_SCRATCH_END_GPA ((uintptr_t)HS_I686_SCRATCH_TOP_GPA + 1)
#define HS_SCRATCH_END_GVA ((uintptr_t)HS_I686_SCRATCH_TOP_GVA + 1)
#endif

/* Take free pages, which are zero: their gpa; 0 when there are not so many. alignment is a power of two. */
uintptr_t hs_scratch_take(size_t length, size_t alignment);
/* Where a gpa of scratch is mapped in every address space; NULL for any other. */
void *hs_scratch_at(uintptr_t gpa);

/* Bits of page-table entries. */
#define HS_ENTRY_PRESENT 1
#define HS_ENTRY_WRITABLE 2
#define HS_ENTRY_USER 4
#ifdef __x86_64__
#define HS_ENTRY_ADDRESS ((uintptr_t)0x000FFFFFFFFFF000)
#else
#define HS_ENTRY_ADDRESS ((uintptr_t)0xFFFFF000)
#endif
/* 4 or 5 on amd64; 2 or, with PAE, 3 on i686. */
unsigned int hs_paging_levels(void);
/* The entry for the page of an address in the current space, if all entries above it have the bits `needed`, and all
 * are in scratch; else NULL. Of an entry of 8 bytes on i686: its first 4. *ret_bytes is how large the page is. */
uintptr_t *hs_leaf_of(uintptr_t address, uintptr_t needed, uintptr_t *ret_bytes);

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
