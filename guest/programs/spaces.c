/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several address spaces that share what they run on, each with pages of its own, pages that it shares with the others,
 * writable or not, and large pages. It says "ready" when they are made, which is where a host may take a snapshot; then
 * it goes through them twice, writes, and looks whether everything is still what it was made as. Prints a digest of
 * what it sees in each; ends with the number of things that were wrong.
 */
#include <hindsight/guest.h>

#define SPACES 4
#ifdef __x86_64__
#define BASE ((uintptr_t)0x10000000000)
#else
#define BASE ((uintptr_t)0x50000000)
#endif
#define PAGE 4096

/* The same addresses in every space. */
#define OWN (BASE + 0x0000)                        /* two writable pages of this space alone */
#define SHARED (BASE + 0x4000)                     /* a writable page of all spaces ... */
#define SHARED_TOO (BASE + 0x6000)                 /* ... and a second address of it */
#define CONSTANT (BASE + 0x8000)                   /* a page of all spaces that none can write to */
#define MIXED (BASE + 0xa000)                      /* a page of all spaces, writable in even ones */
#define USERS (BASE + 0xc000)                      /* a writable page of this space alone, for ring 3 */
#define LARGE (BASE + 2 * HS_LARGE_PAGE_BYTES)     /* a writable large page of all spaces */
#define OWN_LARGE (BASE + 4 * HS_LARGE_PAGE_BYTES) /* and one that only space 1 has */
/* In tables that all spaces share. */
#define LATER ((uintptr_t)0x780000)

#define WORD(address) (*(volatile uint32_t *)(address))
#define STEP ((uintptr_t)0x20000) /* between the words of a large page that are looked at */

static unsigned int wrong;

static void check(bool right, const char *what, unsigned int space)
{
	if (!right) {
		hs_printf("space %u: %s\n", space, what);
		wrong++;
	}
}

static void map(unsigned int space, uintptr_t address, uintptr_t gpa, size_t length, unsigned int flags)
{
	if (gpa == 0 || !hs_space_map(space, (void *)address, gpa, length, flags)) {
		hs_abort("cannot map; give it more scratch memory");
	}
}

/* Through the window, where all of scratch is mapped; before a snapshot the page is there. */
static uintptr_t constant_page(void)
{
	uintptr_t gpa = hs_page_alloc(PAGE, PAGE);
	const struct hs_abi_boot *boot = hs_boot_info();
	uint32_t *words = (uint32_t *)(uintptr_t)(boot->scratch_start + (gpa - boot->scratch_gpa));
	for (unsigned int i = 0; i < PAGE / 4; i += 64) {
		words[i] = 0xC0000000 + i;
	}
	return gpa;
}

static void make(void)
{
	uintptr_t shared = hs_page_alloc(PAGE, PAGE);
	uintptr_t constant = constant_page();
	uintptr_t mixed = hs_page_alloc(PAGE, PAGE);
	uintptr_t large = hs_page_alloc(HS_LARGE_PAGE_BYTES, HS_LARGE_PAGE_BYTES);

	for (unsigned int i = 1; i < SPACES; i++) {
		if (hs_space_create() != (int)i) {
			hs_abort("cannot make a space");
		}
	}
	for (unsigned int i = 0; i < SPACES; i++) {
		map(i, OWN, hs_page_alloc(2 * PAGE, PAGE), 2 * PAGE, HS_MAP_WRITABLE | HS_MAP_NO_EXEC);
		map(i, SHARED, shared, PAGE, HS_MAP_WRITABLE);
		map(i, SHARED_TOO, shared, PAGE, HS_MAP_WRITABLE | HS_MAP_USER);
		map(i, CONSTANT, constant, PAGE, 0);
		map(i, MIXED, mixed, PAGE, i % 2 ? 0 : HS_MAP_WRITABLE);
		map(i, USERS, hs_page_alloc(PAGE, PAGE), PAGE, HS_MAP_WRITABLE | HS_MAP_USER);
		map(i, LARGE, large, HS_LARGE_PAGE_BYTES, HS_MAP_WRITABLE | HS_MAP_LARGE);
	}
	map(1, OWN_LARGE, hs_page_alloc(HS_LARGE_PAGE_BYTES, HS_LARGE_PAGE_BYTES), HS_LARGE_PAGE_BYTES,
	    HS_MAP_WRITABLE | HS_MAP_LARGE);
}

/* What this space alone writes, in this round. */
static uint32_t value_of(unsigned int space, unsigned int round, unsigned int what)
{
	return 0x1000000 * (space + 1) + 0x10000 * round + what;
}

static void fill(unsigned int space, unsigned int round)
{
	WORD(OWN) = value_of(space, round, 1);
	WORD(OWN + PAGE + 64) = value_of(space, round, 2);
	WORD(USERS + 128) = value_of(space, round, 3);
	WORD(LARGE + 4 * space) = value_of(space, round, 4);
	WORD(LARGE + HS_LARGE_PAGE_BYTES - 64 + 4 * space) = value_of(space, round, 5);
	WORD((space % 2 ? SHARED : SHARED_TOO) + 8 * space) = value_of(space, round, 6);
	if (space % 2 == 0) {
		WORD(MIXED + 4 * space) = value_of(space, round, 7);
	}
	if (space == 1) {
		WORD(OWN_LARGE + 5 * STEP) = value_of(space, round, 8);
	}
}

/* What all spaces have written so far, seen from this one. */
static void look(unsigned int space, unsigned int round)
{
	check(WORD(OWN) == value_of(space, round, 1), "its first page", space);
	check(WORD(OWN + PAGE + 64) == value_of(space, round, 2), "its second page", space);
	check(WORD(USERS + 128) == value_of(space, round, 3), "its page for ring 3", space);
	check(WORD(CONSTANT + 256) == 0xC0000040, "the constant page", space);
	check(space != 1 || WORD(OWN_LARGE + 5 * STEP) == value_of(1, round, 8), "its large page", space);
	for (unsigned int i = 0; i < SPACES; i++) {
		check(WORD(LARGE + 4 * i) == value_of(i, round, 4), "the beginning of the large page", space);
		check(WORD(LARGE + HS_LARGE_PAGE_BYTES - 64 + 4 * i) == value_of(i, round, 5),
		      "the end of the large page", space);
		check(WORD(SHARED + 8 * i) == value_of(i, round, 6), "the shared page", space);
		check(WORD(SHARED_TOO + 8 * i) == value_of(i, round, 6), "the shared page's other address", space);
		check(i % 2 || WORD(MIXED + 4 * i) == value_of(i, round, 7), "the mixed page", space);
	}
}

/* A write that the tables forbid, whatever a snapshot has made of them: which fault, and where. */
static volatile uintptr_t fault_address, fault_code;

static bool on_page_fault(struct hs_trap_frame *frame)
{
	fault_address = hs_read_cr2();
	fault_code = frame->error_code;
	frame->ip = frame->ax;
	return fault_address == CONSTANT + 8 || fault_address == MIXED + 2048;
}

static void write_forbidden(uintptr_t address, unsigned int space)
{
	uintptr_t ignored;
	fault_code = 0;
	fault_address = 0;
#ifdef __x86_64__
	__asm__ volatile("leaq 1f(%%rip), %0\n\tmovl $0, (%1)\n1:" : "=&a"(ignored) : "r"(address) : "memory");
#else
	__asm__ volatile("movl $1f, %0\n\tmovl $0, (%1)\n1:" : "=&a"(ignored) : "r"(address) : "memory");
#endif
	check(fault_address == address && fault_code == 3, "a read-only page could be written to", space);
}

/* FNV-1a, 32 bits (draft-eastlake-fnv), of words: one in so many bytes, as debuggers may step through it all. */
static uint32_t digest(uintptr_t start, size_t length, size_t step, uint32_t hash)
{
	for (uintptr_t at = start; at < start + length; at += step) {
		hash = (hash ^ WORD(at)) * 16777619;
	}
	return hash;
}

static void show(unsigned int space)
{
	uint32_t hash = digest(OWN, 2 * PAGE, 64, 2166136261u);
	hash = digest(SHARED, 8 * SPACES, 8, hash);
	hash = digest(SHARED, PAGE, 64, hash);
	hash = digest(SHARED_TOO, 8 * SPACES, 8, hash);
	hash = digest(SHARED_TOO, PAGE, 64, hash);
	hash = digest(CONSTANT, PAGE, 64, hash);
	hash = digest(MIXED, PAGE, 64, hash);
	hash = digest(USERS, PAGE, 64, hash);
	hash = digest(LARGE, HS_LARGE_PAGE_BYTES, STEP, hash);
	if (space == 1) {
		hash = digest(OWN_LARGE, HS_LARGE_PAGE_BYTES, STEP, hash);
	}
	hs_printf("space %u: %08x\n", space, hash);
}

static void go_round(unsigned int round)
{
	for (unsigned int i = 0; i < SPACES; i++) {
		hs_space_switch(i);
		fill(i, round);
	}
	for (unsigned int i = SPACES; i-- > 0;) {
		hs_space_switch(i);
		look(i, round);
		write_forbidden(CONSTANT + 8, i);
		if (i % 2) {
			write_forbidden(MIXED + 2048, i);
		}
		show(i);
	}
}

/* A table that spaces share is one table: what one of them maps, all have. */
static void map_later(void)
{
	map(2, LATER, hs_page_alloc(PAGE, PAGE), PAGE, HS_MAP_WRITABLE);
	hs_space_switch(1);
	WORD(LATER) = 0xABCD;
	hs_space_switch(3);
	check(WORD(LATER) == 0xABCD, "a page that another space has mapped", 3);
}

int main(int argc, char **argv)
{
	(void)argc, (void)argv;
	hs_trap_set_handler(14, on_page_fault);
	make();
	go_round(0);
	hs_space_switch(2);
	hs_print("ready\n");
	hs_out32(HS_PORT_READY, 0);
	look(2, 0);
	show(2);
	hs_space_switch(1);
	look(1, 0);
	show(1);
	go_round(1);
	map_later();
	go_round(2);
	hs_printf("%u wrong\n", wrong);
	return (int)wrong;
}
