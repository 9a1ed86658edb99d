/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bare guest that changes its own page tables between two stops: it reads two pages of its heap, maps the first one
 * to the memory of the second, takes the second one away, and reads the first one again. What it read is in registers
 * at the second stop: (r/e)bx and (r/e)si as they were, (r/e)cx as it is. A page that is not mapped when it should be
 * ends it by an exception. At a stop its host puts CR3 into (r/e)di, and may put it into ring 3: there each stop is a
 * ud2, and there is another one between the change and the read, for its host to drop translations, as ring 3 cannot.
 */
#include <hindsight/abi.h>

#define PAGE_BYTES 4096u
#define ENTRIES (PAGE_BYTES / sizeof(uintptr_t))
/* SDM vol. 3A 4.3 and 4.5. */
#ifdef __x86_64__
#define INDEX_BITS 9
#define LEVELS 4
#define ADDRESS 0xffffffffff000
#else
#define INDEX_BITS 10
#define LEVELS 2
#define ADDRESS 0xfffff000
#endif

__attribute__((noreturn)) void _start(const struct hs_abi_boot *boot);

/* The last entry on the way to an address; tables are in scratch, of which there is a window. */
static volatile uintptr_t *entry_of(const struct hs_abi_boot *boot, uintptr_t table, uintptr_t address)
{
	volatile uintptr_t *entry = 0;

	for (unsigned int level = LEVELS; level > 0; level--) {
		unsigned int shift = 12 + (level - 1) * INDEX_BITS;
		uint64_t place = (table & ADDRESS) - boot->scratch_gpa + boot->scratch_start;

		entry = (volatile uintptr_t *)(uintptr_t)place;
		entry += address >> shift & (ENTRIES - 1);
		table = *entry;
	}
	return entry;
}

static unsigned int ring(void)
{
	unsigned int cs;

	__asm__("mov %%cs, %0" : "=r"(cs));
	return cs & 3;
}

static void forget(volatile void *one, volatile void *two)
{
	if (ring() == 3) {
		__asm__ volatile("ud2" : : : "memory");
	} else {
		__asm__ volatile("invlpg (%0)\n\tinvlpg (%1)" : : "r"(one), "r"(two) : "memory");
	}
}

void _start(const struct hs_abi_boot *boot)
{
	volatile unsigned char *one = (volatile unsigned char *)(uintptr_t)boot->heap_start;
	volatile unsigned char *two = one + PAGE_BYTES;
	unsigned long before_one = 0;
	unsigned long before_two = 0;
	unsigned long now = 0;
	uintptr_t root = 0;

	*one = 1;
	*two = 2;
	for (;;) {
		unsigned int mode = ring();

		__asm__ volatile("cmpl $0, %6\n\t"
				 "jnz 1f\n\t"
				 "outl %4, %w5\n\t"
				 "jmp 2f\n"
				 "1:	ud2\n"
				 "2:"
				 : "+b"(before_one), "+S"(before_two), "+c"(now), "+D"(root)
				 : "a"(0), "d"(HS_PORT_READY), "m"(mode)
				 : "memory");
		before_one = *one;
		before_two = *two;
		*entry_of(boot, root, (uintptr_t)one) = *entry_of(boot, root, (uintptr_t)two);
		*entry_of(boot, root, (uintptr_t)two) = 0;
		forget(one, two);
		now = *one;
	}
}
