/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An address that leads out of the guest's memory: nowhere page changes the frame of a page, nowhere table the table
 * under which another one lies, to where nothing is. A third argument makes it read there.
 */
#include <hindsight/guest.h>

#define NOWHERE 0x70000000u
#define PRESENT_WRITABLE 3u
/* Nothing of the guest lies near. */
#define UNUSED_ADDRESS 0x60000000u

#ifdef __x86_64__
#define TOP_SHIFT 39
#define INDEX_BITS 9
#define FRAME 0x000FFFFFFFFFF000ul
#define HIGH_SHIFT 30 /* of the entry that is given another table; the one above has one */
#else
#define TOP_SHIFT 22
#define INDEX_BITS 10
#define FRAME 0xFFFFF000ul
#define HIGH_SHIFT 22
#endif

/* The tables lie in the scratch region, which is mapped as one. */
static volatile uintptr_t *table_at(uintptr_t gpa)
{
	const struct hs_abi_boot *boot = hs_boot_info();
	return (volatile uintptr_t *)(uintptr_t)(boot->scratch_start + (gpa - boot->scratch_gpa));
}

static volatile uintptr_t *entry_of(uintptr_t address, unsigned int wanted)
{
	volatile uintptr_t *table = table_at((uintptr_t)hs_boot_info()->tables_gpa);
	for (unsigned int shift = TOP_SHIFT;; shift -= INDEX_BITS) {
		volatile uintptr_t *entry = &table[(address >> shift) & ((1u << INDEX_BITS) - 1)];
		if (shift == wanted) {
			return entry;
		}
		table = table_at(*entry & FRAME);
	}
}

__attribute__((noinline)) static void show(const volatile char *address)
{
	hs_printf("nowhere: %p\n", address);
}

int main(int argc, char **argv)
{
	const struct hs_abi_boot *boot = hs_boot_info();
	uintptr_t address = UNUSED_ADDRESS;
	unsigned int shift = HIGH_SHIFT;
	if (argc > 1 && strcmp(argv[1], "page") == 0) {
		address = (uintptr_t)(boot->heap_start + boot->heap_length - 4096);
		shift = 12;
	}
	*entry_of(address, shift) = NOWHERE | PRESENT_WRITABLE;
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
	show((const char *)address);
	if (argc > 2) {
		hs_printf("%d\n", *(const volatile char *)address);
	} else {
		hs_abort("left for a look");
	}
	return 0;
}
