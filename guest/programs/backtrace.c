/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that crashes in the way its first argument names, in functions that a backtrace has to get through: inlined,
 * without a frame, with an aligned one, on the far side of a trap. Each leads to crash(), or to what its name says.
 */
#include <hindsight/guest.h>

#define NOINLINE __attribute__((noinline))
#define INLINE static inline __attribute__((always_inline))
#define RECURSION 40
#define PAGES 64

static volatile int *volatile nowhere;
static volatile unsigned int sink;
static volatile uint8_t pages[PAGES * 4096] __attribute__((aligned(4096)));

/* Not inlined, no frame: all it has is its return address. */
NOINLINE static void crash(void)
{
	*nowhere = 1;
}

INLINE void innermost(unsigned int value)
{
	if (value > 1) {
		*nowhere = (int)value;
	}
	sink += value;
}

INLINE void middle(unsigned int value)
{
	sink ^= value;
	innermost(value * 3);
	sink++;
}

NOINLINE static void chain(unsigned int value)
{
	sink = value;
	middle(value + 1);
	sink--;
}

/* Inlined twice into itself, so that one function has two places of one line. */
INLINE unsigned int twice(unsigned int value)
{
	sink = value;
	crash();
	return sink + value;
}

NOINLINE static void calls_inlined(unsigned int value)
{
	sink = twice(value);
	sink += twice(value + sink);
}

NOINLINE static unsigned int recurse(unsigned int depth)
{
	if (depth == 0) {
		crash();
		return sink;
	}
	sink += recurse(depth - 1);
	return sink;
}

/* The compiler aligns the stack by hand: the CFA is a matter of an expression. */
NOINLINE static void aligned(unsigned int value)
{
	volatile unsigned int words[16] __attribute__((aligned(64)));

	words[value % 16] = value;
	crash();
	sink = words[1];
}

/* A frame whose size nobody knows: there is a frame pointer after all. */
NOINLINE static void variable(unsigned int length)
{
	volatile uint8_t *bytes = __builtin_alloca(length);

	bytes[0] = 1;
	crash();
	sink = bytes[length - 1];
}

static bool on_breakpoint(struct hs_trap_frame *frame)
{
	sink = (unsigned int)frame->vector;
	crash();
	return true;
}

static bool on_page_fault(struct hs_trap_frame *frame)
{
	sink = (unsigned int)frame->vector;
	__asm__ volatile("ud2");
	return true;
}

/* The trap has a handler that has done its work: the function goes on. */
static bool on_return(struct hs_trap_frame *frame)
{
	sink = (unsigned int)frame->vector;
	return true;
}

NOINLINE static void interrupted(unsigned int value)
{
	sink = value;
	__asm__ volatile("int3");
	sink += value;
}

/* On a snapshot each page is a copy on write, and one too many where scratch is small. */
NOINLINE static void fill(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		pages[i * 4096] = (uint8_t)(count + sink);
	}
}

/* The call of it returns to where no code is. */
NOINLINE static void smash(uintptr_t *slot)
{
	for (unsigned int i = 0; i < 64; i++) {
		slot[i] = (uintptr_t)0x4141414141414141ull;
	}
	crash();
	sink++;
}

NOINLINE static void corrupt(void)
{
	uintptr_t words[4];

	sink = (unsigned int)(uintptr_t)words;
	smash(words);
	sink += (unsigned int)words[1];
}

NOINLINE static void jump_to(uintptr_t address)
{
	((void (*)(void))address)();
	sink++;
}

NOINLINE static void run(const char *word)
{
	if (strcmp(word, "chain") == 0) {
		chain(sink + 7);
	} else if (strcmp(word, "twice") == 0) {
		calls_inlined(sink + 7);
	} else if (strcmp(word, "recurse") == 0) {
		sink = recurse(RECURSION);
	} else if (strcmp(word, "aligned") == 0) {
		aligned(sink + 7);
	} else if (strcmp(word, "variable") == 0) {
		variable(sink + 77);
	} else if (strcmp(word, "handler") == 0) {
		hs_trap_set_handler(3, on_breakpoint);
		interrupted(sink + 7);
	} else if (strcmp(word, "handler-returns") == 0) {
		hs_trap_set_handler(3, on_return);
		interrupted(sink + 7);
	} else if (strcmp(word, "fault-handler") == 0) {
		hs_trap_set_handler(14, on_page_fault);
		crash();
	} else if (strcmp(word, "nowhere-handler") == 0) {
		hs_trap_set_handler(14, on_page_fault);
		jump_to((uintptr_t)nowhere);
	} else if (strcmp(word, "copy") == 0) {
		fill(PAGES);
		crash();
	} else if (strcmp(word, "corrupt") == 0) {
		corrupt();
	} else if (strcmp(word, "null") == 0) {
		jump_to((uintptr_t)nowhere);
	} else if (strcmp(word, "wild") == 0) {
		jump_to(0x7FFF1000);
	}
	sink++;
}

int main(int argc, char **argv)
{
	fill(PAGES);
	/* A snapshot may be taken here; restored, it comes back and every page is a copy. */
	hs_out32(HS_PORT_READY, 0);
	run(argc > 1 ? argv[1] : "");
	return 0;
}
