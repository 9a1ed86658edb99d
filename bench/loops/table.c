/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which loops there are, and which of them this CPU has the instructions for. */
#include "loops.h"

#include <stddef.h>

static const struct loop {
	char letter;
	uint8_t needs;
	loop_fn *run;
} loops[] = {
	{ LOOP_ALU, 0, loop_alu },
	{ LOOP_MEMORY, 0, loop_memory },
	{ LOOP_MIXED, 0, loop_mixed },
	{ LOOP_SORT, 0, loop_sort },
	{ LOOP_CRC, 0, loop_crc },
	{ LOOP_REPEAT, 0, loop_repeat },
	{ LOOP_COPY_SSE2, LOOP_NEEDS_SSE2, loop_copy_sse2 },
	{ LOOP_COPY_AVX, LOOP_NEEDS_AVX2, loop_copy_avx },
	{ LOOP_LENGTH_SSE2, LOOP_NEEDS_SSE2, loop_length_sse2 },
	{ LOOP_MATRIX_SSE2, LOOP_NEEDS_SSE2, loop_matrix_sse2 },
	{ LOOP_MATRIX_FMA, LOOP_NEEDS_AVX2, loop_matrix_fma },
	{ LOOP_MATRIX_SCALAR, LOOP_NEEDS_SSE2, loop_matrix_scalar },
	{ LOOP_MATRIX_X87, LOOP_NEEDS_X87, loop_matrix_x87 },
	{ LOOP_FAULT, LOOP_NEEDS_CPL_0, loop_fault },
	{ LOOP_PORT, LOOP_NEEDS_CPL_0, loop_port },
};

static const struct loop *find(char letter)
{
	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
		if (loops[i].letter == letter) {
			return &loops[i];
		}
	}
	return NULL;
}

loop_fn *loop_find(char letter, unsigned int has)
{
	const struct loop *loop = find(letter);

	return loop && (loop->needs & ~has) == 0 ? loop->run : NULL;
}

struct registers {
	uint32_t eax, ebx, ecx, edx;
};

static struct registers cpuid(uint32_t leaf)
{
	struct registers result;

	__asm__ volatile("cpuid"
			 : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
			 : "a"(leaf), "c"(0));
	return result;
}

/* SDM vol. 2A, CPUID: leaf 1, fpu, sse2, fma, xsave, avx; leaf 7, avx2. */
unsigned int loop_offered(void)
{
	const uint32_t avx = 1u << 12 | 1u << 26 | 1u << 28;
	uint32_t leaves = cpuid(0).eax;
	struct registers first = cpuid(1);
	unsigned int has = 0;

	has |= first.edx & 1 ? LOOP_NEEDS_X87 : 0;
	has |= first.edx >> 26 & 1 ? LOOP_NEEDS_SSE2 : 0;
	if ((first.ecx & avx) == avx && leaves >= 7 && (cpuid(7).ebx >> 5 & 1)) {
		has |= LOOP_NEEDS_AVX2;
	}
	return has;
}
