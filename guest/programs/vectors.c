/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vectors [empty]: turns on what XCR0 of this CPU offers, says what that is, fills the registers with known bytes, but
 * not with the word, and then writes to nowhere. Byte j of zmm register number i is 7 * i + j + 1; of the narrower ones
 * it is as much as they have, and k registers have eight bytes of it.
 */
#include <hindsight/guest.h>

#define CR4_PKE ((uintptr_t)1 << 22)
#define XCR0_AVX 0x4u
#define XCR0_AVX512 0xE0u
#define XCR0_PKRU 0x200u
#define PKRU_VALUE 0x55555550u

#ifdef __x86_64__
#define EACH_REGISTER(one) FIRST_8(one) one(8) one(9) one(10) one(11) one(12) one(13) one(14) one(15)
#define EACH_HIGH(one)                                                                                                 \
	one(16) one(17) one(18) one(19) one(20) one(21) one(22) one(23) one(24) one(25) one(26) one(27) one(28)        \
		one(29) one(30) one(31)
#else
#define EACH_REGISTER(one) FIRST_8(one)
#define EACH_HIGH(one)
#endif
#define FIRST_8(one) one(0) one(1) one(2) one(3) one(4) one(5) one(6) one(7)

static uint8_t bytes[32][64] __attribute__((aligned(64)));

/* The compiler itself uses general registers only. */
#define LOAD_XMM(i) __asm__ volatile("movups %0, %%xmm" #i : : "m"(bytes[i]));
#define LOAD_YMM(i) __asm__ volatile("vmovups %0, %%ymm" #i : : "m"(bytes[i]));
#define LOAD_ZMM(i) __asm__ volatile("vmovups %0, %%zmm" #i : : "m"(bytes[i]));
#define LOAD_K(i) __asm__ volatile("kmovq %0, %%k" #i : : "m"(bytes[i]));

/** What there is of it, one after the other: each call leaves on what was. */
static uint32_t turn_on(void)
{
	static const uint32_t wanted[] = { HS_XCR0_AVX, HS_XCR0_AVX512, XCR0_PKRU };
	uint32_t ret = 0;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		ret |= hs_xcr0_add(wanted[i]) ? wanted[i] : 0;
	}
	if (ret & XCR0_PKRU) {
		uintptr_t cr4;

		__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
		__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_PKE) : "memory");
	}
	return ret;
}

static void fill_registers(uint32_t components)
{
	for (unsigned int i = 0; i < 32; i++) {
		for (unsigned int j = 0; j < 64; j++) {
			bytes[i][j] = (uint8_t)(i * 7 + j + 1);
		}
	}
	if (components & XCR0_AVX512) {
		EACH_REGISTER(LOAD_ZMM)
		EACH_HIGH(LOAD_ZMM)
		FIRST_8(LOAD_K)
	} else if (components & XCR0_AVX) {
		EACH_REGISTER(LOAD_YMM)
	} else {
		EACH_REGISTER(LOAD_XMM)
	}
	if (components & XCR0_PKRU) {
		__asm__ volatile("wrpkru" : : "a"(PKRU_VALUE), "c"(0), "d"(0));
	}
}

__attribute__((noinline)) static void write_to(volatile int *where)
{
	*where = 42;
}

int main(int argc, char **argv)
{
	uint32_t components = turn_on();

	(void)argv;
	hs_printf("vectors:%s%s%s\n", components & XCR0_AVX ? " AVX" : "", components & XCR0_AVX512 ? " AVX-512" : "",
		  components & XCR0_PKRU ? " PKRU" : "");
	if (argc == 1) {
		fill_registers(components);
	}
	write_to((volatile int *)0xDEAD0000);
	return 0;
}
