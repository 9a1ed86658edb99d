/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copy on write: a guest that stands on a snapshot has its writable pages mapped read-only and tagged (abi.h), and the
 * first write to one ends here, before any handler of the program. The page is copied to scratch memory, the entry is
 * led to the copy, and the instruction begins anew.
 *
 * It runs between an instruction and itself, so all that it changes is a page of scratch and one entry, and CR2 too is
 * put back. It touches no memory that may be copy-on-write: the stack, the tables and scratch never are.
 */
#include "rt.h"

/* Error code of a page fault (SDM vol. 3A 4.7). Any further bit says that something else was wrong. */
#define FAULT_PRESENT 1
#define FAULT_WRITE 2
#define FAULT_USER 4

/* Entries of all formats (SDM vol. 3A tables 4-5 to 4-20), and of CR4 what decides about the format. */
#define ENTRY_SIZE 0x80 /* in all but the last level: a large page */
#define CR4_PSE 0x10
#define CR4_PAE 0x20
#define CR4_PGE 0x80
#define CR4_LA57 0x1000
#define CR4_PCIDE 0x20000
#define CR4_SMAP 0x200000
#define FLAG_AC 0x40000

static inline uintptr_t read_cr3(void)
{
	uintptr_t value;
	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	return value;
}

static inline uintptr_t read_cr4(void)
{
	uintptr_t value;
	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

/* A word of the bookkeeping; the high half of a u64 is zero on i686. */
static volatile uintptr_t *word_at(uintptr_t offset)
{
	return (volatile uintptr_t *)(HS_SCRATCH_END_GVA - offset);
}

static inline void write_cr4(uintptr_t value)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

/* What stac does, which KVM's emulator does not know. The iret puts an end to it. */
static inline void allow_user_pages(void)
{
	uintptr_t flags;
	__asm__ volatile("pushf\n\tpop %0\n\tor %1, %0\n\tpush %0\n\tpopf" : "=&r"(flags) : "i"(FLAG_AC) : "cc");
}

/* The CPU may know the old page under each PCID, of spaces that share the table. invlpg is about the current one and
 * about global pages (SDM vol. 3A 4.10.4.1), a change of CR4.PGE about all. */
static inline void forget_page(uintptr_t address, uintptr_t cr4)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
	if (cr4 & CR4_PCIDE) {
		write_cr4(cr4 ^ CR4_PGE);
		write_cr4(cr4);
	}
}

uintptr_t hs_scratch_take(size_t length, size_t alignment)
{
	volatile uintptr_t *next = word_at(HS_SCRATCH_NEXT_FREE_OFFSET);
	uintptr_t end = HS_SCRATCH_END_GPA - 2 * HS_PAGE_BYTES; /* the counter's page, and the last one */
	uintptr_t old = *next;
	uintptr_t start;

	do {
		start = (old + (alignment - 1)) & ~(alignment - 1);
		if (start < old || start > end || length > end - start) {
			return 0;
		}
	} while (!__atomic_compare_exchange_n(next, &old, start + length, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return start;
}

void *hs_scratch_at(uintptr_t gpa)
{
	if (gpa >= HS_SCRATCH_END_GPA || HS_SCRATCH_END_GPA - gpa > *word_at(HS_SCRATCH_SIZE_OFFSET)) {
		return NULL;
	}
	return (void *)(gpa + (HS_SCRATCH_END_GVA - HS_SCRATCH_END_GPA));
}

unsigned int hs_paging_levels(void)
{
	uintptr_t cr4 = read_cr4();
#ifdef __x86_64__
	return cr4 & CR4_LA57 ? 5 : 4;
#else
	return cr4 & CR4_PAE ? 3 : 2;
#endif
}

uintptr_t *hs_leaf_of(uintptr_t address, uintptr_t needed, uintptr_t *ret_bytes)
{
	unsigned int level = hs_paging_levels();
	bool wide = level > 2;
	/* The first table of PAE is 32 bytes. */
	uintptr_t table = read_cr3() & (level == 3 ? ~(uintptr_t)31 : HS_ENTRY_ADDRESS);
	uintptr_t large = wide || (read_cr4() & CR4_PSE) ? ENTRY_SIZE : 0;
	unsigned int bits = wide ? 9 : 10;

	for (;; level--) {
		unsigned int shift = 12 + (level - 1) * bits;
		uintptr_t index = address >> shift & (((uintptr_t)1 << bits) - 1);
		uint8_t *entries = hs_scratch_at(table);
		if (entries == NULL) {
			return NULL;
		}
		/* Of an entry of 8 bytes in PAE this is the half with all but XD: addresses are below 4 GiB. */
		uintptr_t *entry = (uintptr_t *)(entries + index * (wide ? 8 : 4));
		if (level == 1 || (*entry & (large | HS_ENTRY_PRESENT)) == (ENTRY_SIZE | HS_ENTRY_PRESENT)) {
			*ret_bytes = (uintptr_t)1 << shift;
			return entry;
		}
		/* The four entries of PAE's first table have no rights. */
		uintptr_t rights = sizeof(uintptr_t) == 4 && level == 3 ? HS_ENTRY_PRESENT : needed;
		if ((*entry & rights) != rights) {
			return NULL;
		}
		table = *entry & HS_ENTRY_ADDRESS;
	}
}

bool hs_cow_fault(uintptr_t address, uintptr_t error_code)
{
	uintptr_t user = error_code & FAULT_USER ? HS_ENTRY_USER : 0;
	if ((error_code & ~(uintptr_t)FAULT_USER) != (FAULT_PRESENT | FAULT_WRITE)) {
		return false;
	}
	/* Where a table above forbids the write it would fault again, for ever. */
	uintptr_t bytes;
	uintptr_t *entry = hs_leaf_of(address, HS_ENTRY_PRESENT | HS_ENTRY_WRITABLE | user, &bytes);
	if (entry == NULL || bytes != HS_PAGE_BYTES ||
	    (*entry & (HS_ENTRY_COW_MASK | HS_ENTRY_PRESENT | user)) != (HS_ENTRY_COW | HS_ENTRY_PRESENT | user)) {
		return false;
	}
	uintptr_t page = hs_scratch_take(HS_PAGE_BYTES, HS_PAGE_BYTES);
	if (page == 0) {
		hs_abort("copy-on-write: scratch memory has no page left; give it more (--scratch)");
	}
	uintptr_t cr4 = read_cr4();
	if (cr4 & CR4_SMAP) {
		allow_user_pages();
	}
	memcpy(hs_scratch_at(page), (const void *)(address & ~(HS_PAGE_BYTES - 1)), HS_PAGE_BYTES);
	*entry = (*entry & ~(HS_ENTRY_ADDRESS | HS_ENTRY_COW_MASK)) | page | HS_ENTRY_WRITABLE;
	forget_page(address, cr4);
	/* The program finds the address of the last fault that was its own. */
	__asm__ volatile("mov %0, %%cr2" : : "r"(hs_trap_cr2));
	return true;
}
