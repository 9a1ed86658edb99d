/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Address spaces of the program, in 4-level or 5-level tables on amd64, in 2-level ones on i686. A space is a root
 * whose upper part, all that there was before, is shared with the first one. Tables come from scratch, where each space
 * maps them.
 *
 * A snapshot moves tables and pages, so nothing here keeps a physical address but the list of roots, which the host
 * brings up to date (abi.h, struct hs_abi_roots).
 */
#include "rt.h"

#ifdef __x86_64__
#define INDEX_BITS 9
#define NO_EXEC (1ull << 63)
#else
#define INDEX_BITS 10
#define NO_EXEC 0
extern uint32_t hs_tss[], hs_double_fault_tss[];
#define TSS_CR3 7 /* as an index of words */
#endif
#define ENTRIES ((uintptr_t)1 << INDEX_BITS)
#define ENTRY_LARGE 0x80

static uint64_t list[HS_SPACES_MAX];
static struct hs_abi_roots registered = { .bytes = sizeof(registered) };
static unsigned int current;

/* A program that has turned PAE on has tables that this file does not know. */
static void check_format(void)
{
	if (hs_paging_levels() == 3) {
		hs_abort("address spaces of the runtime are not made with PAE paging");
	}
}

static uintptr_t read_root(void)
{
	uintptr_t value;
	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	return value & HS_ENTRY_ADDRESS;
}

static void register_roots(void)
{
	list[0] = read_root();
	registered.list = (uintptr_t)list;
	registered.count = 1;
	__asm__ volatile("outl %%eax, %%dx" : : "a"(0), "d"(HS_PORT_ROOTS), "S"(&registered) : "memory");
}

int hs_space_create(void)
{
	check_format();
	if (registered.count == 0) {
		register_roots();
	}
	uintptr_t root = registered.count < HS_SPACES_MAX ? hs_scratch_take(HS_PAGE_BYTES, HS_PAGE_BYTES) : 0;
	if (root == 0) {
		return -1;
	}
	memcpy(hs_scratch_at(root), hs_scratch_at((uintptr_t)list[0]), HS_PAGE_BYTES);
	list[registered.count] = root;
	return (int)registered.count++;
}

void hs_space_switch(unsigned int space)
{
	if (space >= (registered.count > 0 ? registered.count : 1)) {
		hs_abort("hs_space_switch: no such space");
	}
	if (space == current) {
		return;
	}
	uintptr_t root = (uintptr_t)list[space];
	current = space;
#ifndef __x86_64__
	/* A task switch, as at a double fault, loads CR3 and does not save it (abi.h). */
	hs_tss[TSS_CR3] = root;
	hs_double_fault_tss[TSS_CR3] = root;
#endif
	__asm__ volatile("mov %0, %%cr3" : : "r"(root) : "memory");
}

unsigned int hs_space_current(void)
{
	return current;
}

uintptr_t hs_page_alloc(size_t length, size_t alignment)
{
	return hs_scratch_take(length, alignment);
}

uintptr_t hs_page_gpa(const void *page)
{
	uintptr_t address = (uintptr_t)page;
	uintptr_t bytes;
	uintptr_t *entry = hs_leaf_of(address, HS_ENTRY_PRESENT, &bytes);
	if (entry == NULL || !(*entry & HS_ENTRY_PRESENT)) {
		return 0;
	}
	if (bytes == HS_PAGE_BYTES && (*entry & HS_ENTRY_COW_MASK) == HS_ENTRY_COW) {
		/* Its handler gives the page a frame of its own: the one of the snapshot is everybody's. */
		*(volatile uint8_t *)address = *(volatile uint8_t *)address;
	}
	return (*entry & HS_ENTRY_ADDRESS & ~(bytes - 1)) + (address & (bytes - 1));
}

void hs_pages_keep(const void *start, size_t length)
{
	uintptr_t first = (uintptr_t)start & ~(HS_PAGE_BYTES - 1);
	uintptr_t bytes;
	for (uintptr_t at = first; at - first < length + ((uintptr_t)start - first); at += HS_PAGE_BYTES) {
		if (hs_page_gpa((const void *)at) == 0) {
			hs_abort("hs_pages_keep: there is no page");
		}
		*hs_leaf_of(at, HS_ENTRY_PRESENT, &bytes) |= HS_ENTRY_KEPT;
	}
}

/* The entry of a level, in tables that are made as needed; NULL when there is no page left or a large page is there. */
static uintptr_t *entry_of(uintptr_t root, uintptr_t address, unsigned int wanted)
{
	uintptr_t table = root;
	for (unsigned int level = hs_paging_levels();; level--) {
		uintptr_t *entries = hs_scratch_at(table);
		if (entries == NULL) {
			return NULL;
		}
		uintptr_t *entry = &entries[address >> (12 + (level - 1) * INDEX_BITS) & (ENTRIES - 1)];
		if (level == wanted) {
			return entry;
		}
		if (!(*entry & HS_ENTRY_PRESENT)) {
			uintptr_t page = hs_scratch_take(HS_PAGE_BYTES, HS_PAGE_BYTES);
			if (page == 0) {
				return NULL;
			}
			/* Its leaves decide. */
			*entry = page | HS_ENTRY_PRESENT | HS_ENTRY_WRITABLE | HS_ENTRY_USER;
		} else if (*entry & ENTRY_LARGE) {
			return NULL;
		}
		table = *entry & HS_ENTRY_ADDRESS;
	}
}

bool hs_space_map(unsigned int space, void *start, uintptr_t gpa, size_t length, unsigned int flags)
{
	uintptr_t root = registered.count == 0 ? read_root() : (uintptr_t)list[space];
	bool large = (flags & HS_MAP_LARGE) != 0;
	uintptr_t bytes = large ? HS_LARGE_PAGE_BYTES : HS_PAGE_BYTES;
	uintptr_t bits = HS_ENTRY_PRESENT | (flags & HS_MAP_WRITABLE ? HS_ENTRY_WRITABLE : 0) |
			 (flags & HS_MAP_USER ? HS_ENTRY_USER : 0) | (flags & HS_MAP_KEPT ? HS_ENTRY_KEPT : 0) |
			 (flags & HS_MAP_NO_EXEC ? (uintptr_t)NO_EXEC : 0) | (large ? ENTRY_LARGE : 0);

	check_format();
	if (space != 0 && space >= registered.count) {
		hs_abort("hs_space_map: no such space");
	}
	if (((uintptr_t)start | gpa | length) & (bytes - 1)) {
		hs_abort("hs_space_map: not aligned to the page size");
	}
	for (size_t at = 0; at < length; at += bytes) {
		uintptr_t *entry = entry_of(root, (uintptr_t)start + at, large ? 2 : 1);
		if (entry == NULL || (*entry & HS_ENTRY_PRESENT)) {
			return false;
		}
		*entry = (gpa + at) | bits;
	}
	return true;
}
