/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the numbers come from, and what the CPU has. */
#include "float.h"

float next_float(struct source *source)
{
	static const uint32_t edges[] = { 0,          1,          0x007FFFFF, 0x00800000, 0x3F800000, 0x3F800001,
					  0x4B000001, 0x5F000000, 0x7F7FFFFF, 0x7F800000, 0x7FC00000, 0x7F800123 };
	uint64_t shape = next(source);
	uint32_t bits = (uint32_t)next(source);
	float value;

	if ((shape & 3) == 0) {
		bits = edges[(shape >> 8) % COUNT(edges)] | (uint32_t)(shape >> 63) << 31;
	} else if ((shape & 3) == 1) {
		bits = (bits & 0x81FFFFFF) | 0x3E000000; /* of about the same size */
	}
	memcpy(&value, &bits, sizeof(value));
	return value;
}

double next_double(struct source *source)
{
	static const uint64_t edges[] = {
		0,
		1,
		UINT64_C(0x000FFFFFFFFFFFFF),
		UINT64_C(0x0010000000000000),
		UINT64_C(0x3FF0000000000000),
		UINT64_C(0x3FF0000000000001),
		UINT64_C(0x4330000000000001),
		UINT64_C(0x43E0000000000000),
		UINT64_C(0x7FEFFFFFFFFFFFFF),
		UINT64_C(0x7FF0000000000000),
		UINT64_C(0x7FF8000000000000),
		UINT64_C(0x7FF0000000000123),
	};
	uint64_t shape = next(source);
	uint64_t bits = next(source);
	double value;

	if ((shape & 3) == 0) {
		bits = edges[(shape >> 8) % COUNT(edges)] | shape >> 63 << 63;
	} else if ((shape & 3) == 1) {
		bits = (bits & UINT64_C(0x801FFFFFFFFFFFFF)) | UINT64_C(0x3FE0000000000000);
	}
	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* No unnormal numbers: the first bit is there where it must be. Pseudo-denormals are among them. */
long double next_long_double(struct source *source)
{
	static const uint16_t exponents[] = { 0, 1, 0x3FFE, 0x3FFF, 0x3FFF, 0x403E, 0x7FFE, 0x7FFF };
	uint64_t shape = next(source);
	uint64_t fraction = next_wide(source) << 1 >> 1;
	uint16_t exponent = (uint16_t)(shape >> 16 & 0x7FFF);
	long double value = 0;

	if (shape & 1) {
		exponent = exponents[shape >> 8 & 7];
	}
	if (exponent != 0 || (shape & 6) == 0) {
		fraction |= UINT64_C(1) << 63;
	}
	exponent |= (uint16_t)(shape >> 63 << 15);
	memcpy(&value, &fraction, sizeof(fraction));
	memcpy((unsigned char *)&value + 8, &exponent, sizeof(exponent));
	return value;
}

static void identify(uint32_t leaf, uint32_t words[4])
{
	__asm__ volatile("cpuid" : "=a"(words[0]), "=b"(words[1]), "=c"(words[2]), "=d"(words[3]) : "a"(leaf), "c"(0));
}

/* Intel SDM vol. 2A, CPUID; vol. 1 14.3 for the states that must be switched on. */
struct features features(void)
{
	struct features ret = { 0 };
	uint32_t words[4];
	uint32_t low = 0;
	uint32_t high;

	identify(0, words);
	uint32_t last = words[0];

	identify(1, words);
	ret.sse2 = words[3] >> 26 & 1;
	ret.pclmul = words[2] >> 1 & 1;
	ret.sse3 = words[2] & 1;
	ret.sse41 = words[2] >> 19 & 1;
	ret.sse42 = words[2] >> 20 & 1;
	ret.aes = words[2] >> 25 & 1;
	if (words[2] >> 27 & 1) {
		__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	}
	ret.avx = (words[2] >> 28 & 1) && (low & 6) == 6;
	ret.fma = ret.avx && (words[2] >> 12 & 1);
	ret.f16c = ret.avx && (words[2] >> 29 & 1);
	if (last >= 7) {
		identify(7, words);
		ret.avx2 = ret.avx && (words[1] >> 5 & 1);
		ret.sha = words[1] >> 29 & 1;
		ret.vaes = ret.avx && (words[2] >> 9 & 1);
		ret.vpclmul = ret.avx && (words[2] >> 10 & 1);
	}
	return ret;
}
