/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fp_sse [start]: a guest that computes with SSE and x87 and keeps things in their registers from one call to the
 * next: how they round and, when it is started with the word, an accumulator in each. Its functions need a CPU that has
 * them in ring 0. The compiler uses none of these registers (it is told to use general ones only), so that all there is
 * of them is the assembly below.
 */
#include <hindsight/guest.h>

#define MXCSR_ROUNDING 0x6000u
#define CONTROL_ROUNDING 0x0C00u

/* By SSE, and by x87 in double precision, so that it rounds as SSE does: bits 9:8 of the control word (SDM vol. 1
 * 8.1.5.2). */
static void divide_both(const double *a, const double *b, double *sse, double *x87)
{
	uint16_t old;
	__asm__ volatile("movsd %1, %%xmm0\n\tdivsd %2, %%xmm0\n\tmovsd %%xmm0, %0" : "=m"(*sse) : "m"(*a), "m"(*b));
	__asm__ volatile("fnstcw %0" : "=m"(old));
	uint16_t control = (uint16_t)((old & ~0x0300u) | 0x0200u);
	__asm__ volatile("fldcw %1\n\tfldl %2\n\tfdivl %3\n\tfstpl %0\n\tfldcw %4"
			 : "=m"(*x87)
			 : "m"(control), "m"(*a), "m"(*b), "m"(old));
}

static bool is_same(const double *a, const double *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* 0 to nearest, 1 down, 2 up, 3 to zero. */
HS_GUEST_FUNCTION(set_rounding, "v(u)")
{
	uint32_t mxcsr;
	uint16_t control;
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(control));
	mxcsr = (mxcsr & ~MXCSR_ROUNDING) | args[0].u << 13;
	control = (uint16_t)((control & ~CONTROL_ROUNDING) | args[0].u << 10);
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	__asm__ volatile("fldcw %0" : : "m"(control));
}

/* Fails where SSE and x87 do not agree. */
HS_GUEST_FUNCTION(divide, "d(dd)")
{
	double other;
	divide_both(&args[0].d, &args[1].d, &ret->d, &other);
	if (!is_same(&ret->d, &other)) {
		hs_fail("SSE and x87 do not agree");
	}
}

/* Add to what is in xmm7 and on the x87 stack since main(). Sums of whole numbers are the same in both. */
HS_GUEST_FUNCTION(accumulate, "d(d)")
{
	double x87;
	__asm__ volatile("addsd %1, %%xmm7\n\tmovsd %%xmm7, %0" : "=m"(ret->d) : "m"(args[0].d));
	__asm__ volatile("faddl %1\n\tfstl %0" : "=m"(x87) : "m"(args[0].d));
	if (!is_same(&ret->d, &x87)) {
		hs_fail("SSE and x87 do not agree");
	}
}

/* The sum of 1 / k for the odd k and for the even, each from 1 on, to 2 * count; then their sum. */
HS_GUEST_FUNCTION(harmonic, "d(u)")
{
	static const double ones[2] __attribute__((aligned(16))) = { 1, 1 };
	static const double first[2] __attribute__((aligned(16))) = { 1, 2 };
	uint32_t left = args[0].u;
	/* Two at a time. */
	__asm__ volatile("	xorpd %%xmm0, %%xmm0\n"
			 "	movapd %2, %%xmm1\n"
			 "1:	subl $1, %0\n"
			 "	jb 2f\n"
			 "	movapd %3, %%xmm2\n"
			 "	divpd %%xmm1, %%xmm2\n"
			 "	addpd %%xmm2, %%xmm0\n"
			 "	addpd %3, %%xmm1\n"
			 "	addpd %3, %%xmm1\n"
			 "	jmp 1b\n"
			 "2:	movapd %%xmm0, %%xmm1\n"
			 "	unpckhpd %%xmm1, %%xmm1\n"
			 "	addsd %%xmm1, %%xmm0\n"
			 "	movsd %%xmm0, %1\n"
			 : "+r"(left), "=m"(ret->d)
			 : "m"(first), "m"(ones)
			 : "cc");
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) {
		__asm__ volatile("xorpd %%xmm7, %%xmm7\n\tfldz" : : : "memory");
	}
	hs_guest_serve();
}
