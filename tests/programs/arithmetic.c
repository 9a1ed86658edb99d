/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The arithmetic that compilers call functions for: numbers of two machine words divided, counted and multiplied with
 * overflow (gcc internals manual, "Routines for integer arithmetic"). Here and not from libgcc, so that i686 needs no
 * library for it, and so that it is built in every variant.
 */
#include "program.h"

#ifdef __x86_64__
typedef uint64_t word;
typedef int64_t sword;
typedef unsigned __int128 dword;
typedef __int128 sdword;
#define DIVIDE "divq %4"
#define NAME(before, after) before##ti##after
#else
typedef uint32_t word;
typedef int32_t sword;
typedef uint64_t dword;
typedef int64_t sdword;
#define DIVIDE "divl %4"
#define NAME(before, after) before##di##after
#endif
#define WORD_BITS (8 * sizeof(word))

dword NAME(__udivmod, 4)(dword a, dword b, dword *rest);
sdword NAME(__divmod, 4)(sdword a, sdword b, sdword *rest);
dword NAME(__udiv, 3)(dword a, dword b);
dword NAME(__umod, 3)(dword a, dword b);
sdword NAME(__div, 3)(sdword a, sdword b);
sdword NAME(__mod, 3)(sdword a, sdword b);
sdword NAME(__mulo, 4)(sdword a, sdword b, int *overflow);
dword NAME(__ashl, 3)(dword a, int count);
dword NAME(__lshr, 3)(dword a, int count);
sdword NAME(__ashr, 3)(sdword a, int count);
int __popcountdi2(uint64_t a);
int __popcountsi2(uint32_t a);
int __paritydi2(uint64_t a);
int __ctzdi2(uint64_t a);
int __ffsdi2(uint64_t a);
int __paritysi2(uint32_t a);

/* high:low / by, where high < by. */
static word divide(word high, word low, word by, word *rest)
{
	word quotient;
	word remainder;

	__asm__(DIVIDE : "=a"(quotient), "=d"(remainder) : "a"(low), "d"(high), "rm"(by) : "cc");
	*rest = remainder;
	return quotient;
}

static unsigned int leading_zeros(word a)
{
	unsigned int count = 0;

	while (!(a >> (WORD_BITS - 1))) {
		a <<= 1;
		count++;
	}
	return count;
}

/*
 * Knuth, TAOCP vol. 2, 4.3.1, algorithm D for two digits by one or two. With a divisor of two digits the quotient is
 * estimated from its leading bits, which gives one that is right or one too large.
 */
dword NAME(__udivmod, 4)(dword a, dword b, dword *rest)
{
	word high = (word)(b >> WORD_BITS);
	word remainder = 0;
	dword quotient;

	if (high == 0) {
		word top = (word)(a >> WORD_BITS) / (word)b;
		word left = (word)(a >> WORD_BITS) % (word)b;

		quotient = (dword)top << WORD_BITS | divide(left, (word)a, (word)b, &remainder);
		*rest = remainder;
		return quotient;
	}
	unsigned int zeros = leading_zeros(high);
	dword half = a >> 1;

	quotient = divide((word)(half >> WORD_BITS), (word)half, (word)(b << zeros >> WORD_BITS), &remainder);
	quotient = quotient << zeros >> (WORD_BITS - 1);
	if (quotient > 0) {
		quotient--;
	}
	*rest = a - quotient * b;
	if (*rest >= b) {
		quotient++;
		*rest -= b;
	}
	return quotient;
}

sdword NAME(__divmod, 4)(sdword a, sdword b, sdword *rest)
{
	dword remainder;
	dword quotient =
		NAME(__udivmod, 4)(a < 0 ? 0 - (dword)a : (dword)a, b < 0 ? 0 - (dword)b : (dword)b, &remainder);

	*rest = (sdword)(a < 0 ? 0 - remainder : remainder);
	return (sdword)((a < 0) != (b < 0) ? 0 - quotient : quotient);
}

dword NAME(__udiv, 3)(dword a, dword b)
{
	dword rest;

	return NAME(__udivmod, 4)(a, b, &rest);
}

dword NAME(__umod, 3)(dword a, dword b)
{
	dword rest;

	NAME(__udivmod, 4)(a, b, &rest);
	return rest;
}

sdword NAME(__div, 3)(sdword a, sdword b)
{
	sdword rest;

	return NAME(__divmod, 4)(a, b, &rest);
}

sdword NAME(__mod, 3)(sdword a, sdword b)
{
	sdword rest;

	NAME(__divmod, 4)(a, b, &rest);
	return rest;
}

/* a * b, and whether it is another number than the product. */
sdword NAME(__mulo, 4)(sdword a, sdword b, int *overflow)
{
	const dword lowest = (dword)1 << (2 * WORD_BITS - 1);
	dword left = a < 0 ? 0 - (dword)a : (dword)a;
	dword right = b < 0 ? 0 - (dword)b : (dword)b;
	bool negative = (a < 0) != (b < 0);
	dword limit = negative ? lowest : lowest - 1;

	*overflow = left != 0 && right > NAME(__udiv, 3)(limit, left);
	return (sdword)((dword)a * (dword)b);
}

/* clang -Oz calls these; by words, so that they do not call themselves. */
dword NAME(__ashl, 3)(dword a, int count)
{
	unsigned int by = (unsigned int)count % WORD_BITS;
	word low = (word)a;
	word high = (word)(a >> WORD_BITS);

	if ((unsigned int)count >= WORD_BITS) {
		return (dword)(low << by) << WORD_BITS;
	}
	return (dword)(high << by | low >> 1 >> (WORD_BITS - 1 - by)) << WORD_BITS | (word)(low << by);
}

dword NAME(__lshr, 3)(dword a, int count)
{
	unsigned int by = (unsigned int)count % WORD_BITS;
	word low = (word)a;
	word high = (word)(a >> WORD_BITS);

	if ((unsigned int)count >= WORD_BITS) {
		return high >> by;
	}
	return (dword)(high >> by) << WORD_BITS | (word)(low >> by | high << 1 << (WORD_BITS - 1 - by));
}

sdword NAME(__ashr, 3)(sdword a, int count)
{
	unsigned int by = (unsigned int)count % WORD_BITS;
	word low = (word)a;
	sword high = (sword)(a >> WORD_BITS);

	if ((unsigned int)count >= WORD_BITS) {
		return high >> by;
	}
	low = low >> by | (word)high << 1 << (WORD_BITS - 1 - by);
	return (sdword)((dword)(word)(high >> by) << WORD_BITS | low);
}

int __popcountdi2(uint64_t a)
{
	a -= a >> 1 & UINT64_C(0x5555555555555555);
	a = (a & UINT64_C(0x3333333333333333)) + (a >> 2 & UINT64_C(0x3333333333333333));
	a = (a + (a >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
	return (int)(a * UINT64_C(0x0101010101010101) >> 56);
}

int __popcountsi2(uint32_t a)
{
	return __popcountdi2(a);
}

int __paritydi2(uint64_t a)
{
	return __popcountdi2(a) & 1;
}

int __paritysi2(uint32_t a)
{
	return __popcountdi2(a) & 1;
}

/* The zeros below the lowest bit; a is not 0. */
int __ctzdi2(uint64_t a)
{
	return __popcountdi2(~a & (a - 1));
}

int __ffsdi2(uint64_t a)
{
	return a ? __ctzdi2(a) + 1 : 0;
}
