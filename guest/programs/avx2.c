/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * avx2: functions that are compiled for AVX2 and FMA, whose registers the runtime has switched on. It computes in them
 * only when it is called.
 */
#include <hindsight/guest.h>

typedef uint64_t longs __attribute__((vector_size(32)));
typedef double doubles __attribute__((vector_size(32)));

/* Of the numbers from 1 to four times that. */
HS_GUEST_FUNCTION(sum_of_squares, "U(u)")
{
	longs numbers = { 1, 2, 3, 4 };
	longs sums = { 0, 0, 0, 0 };
	for (uint32_t i = 0; i < args[0].u; i++) {
		sums += numbers * numbers;
		numbers += 4;
	}
	ret->ul = sums[0] + sums[1] + sums[2] + sums[3];
}

/* The same in doubles, as long as they hold it. */
HS_GUEST_FUNCTION(sum_of_square_doubles, "d(u)")
{
	doubles numbers = { 1, 2, 3, 4 };
	doubles sums = { 0, 0, 0, 0 };
	for (uint32_t i = 0; i < args[0].u; i++) {
		sums += numbers * numbers;
		numbers += 4;
	}
	ret->d = sums[0] + sums[1] + sums[2] + sums[3];
}

/* Add to each part of a register that stays as it is from call to call while no other function is called; their sum. */
HS_GUEST_FUNCTION(accumulate, "U(U)")
{
	longs sums = { args[0].ul, args[0].ul, args[0].ul, args[0].ul };
	__asm__ volatile("vpaddq %0, %%ymm7, %%ymm7\n\tvmovdqu %%ymm7, %0" : "+m"(sums) : : "xmm7");
	ret->ul = sums[0] + sums[1] + sums[2] + sums[3];
}

/* Of registers that are switched on already, or that there are not. */
HS_GUEST_FUNCTION(may_use, "b(u)")
{
	ret->b = hs_xcr0_add(args[0].u);
}

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	hs_guest_serve();
}
