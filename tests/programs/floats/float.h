/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the topics with floating point and vectors have in common. */
#ifndef PROGRAM_FLOAT_H
#define PROGRAM_FLOAT_H

#include "../program.h"

/** The bytes of a value that its format has: of a long double without those that only keep the next one aligned. */
#define FLOAT_BYTES(value) (sizeof(value) > 8 ? 10 : sizeof(value))

/** A value's bits into a digest. */
#define MIX_FLOAT(digest, value) mix_bytes(digest, &(value), FLOAT_BYTES(value))

/** Any bits, often those of zeros, denormals, ones, infinities and NaNs of both kinds. */
float next_float(struct source *source);
double next_double(struct source *source);
long double next_long_double(struct source *source);

/** What assembly may change: of vectors as many as it is written with, and the stack of x87, which must be empty. */
#ifdef __SSE__
#define CHANGES_VECTORS "xmm0", "xmm1", "xmm2", "xmm3"
#else
#define CHANGES_VECTORS "memory" /* the compiler has none */
#endif
#define CHANGES_X87 "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"

/** From 0 to 1, as many as there are multiples of 2^-20. */
static inline double next_fraction(struct source *source)
{
	return (double)(int32_t)(next(source) >> 44) * (1.0 / 1048576);
}

/** What this CPU has and the operating system has switched on, beyond what a build may assume. */
struct features {
	bool sse2, sse3, sse41, sse42, aes, pclmul, sha, avx, avx2, fma, f16c, vaes, vpclmul;
};
struct features features(void);

/** Vectors of the GCC manual's "Using Vector Instructions through Built-in Functions". */
typedef int8_t i8x16 __attribute__((vector_size(16)));
typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef int16_t i16x8 __attribute__((vector_size(16)));
typedef uint16_t u16x8 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef int64_t i64x2 __attribute__((vector_size(16)));
typedef uint64_t u64x2 __attribute__((vector_size(16)));
typedef float f32x4 __attribute__((vector_size(16)));
typedef double f64x2 __attribute__((vector_size(16)));
typedef int8_t i8x32 __attribute__((vector_size(32)));
typedef uint8_t u8x32 __attribute__((vector_size(32)));
typedef int16_t i16x16 __attribute__((vector_size(32)));
typedef uint16_t u16x16 __attribute__((vector_size(32)));
typedef int32_t i32x8 __attribute__((vector_size(32)));
typedef uint32_t u32x8 __attribute__((vector_size(32)));
typedef int64_t i64x4 __attribute__((vector_size(32)));
typedef uint64_t u64x4 __attribute__((vector_size(32)));
typedef float f32x8 __attribute__((vector_size(32)));
typedef double f64x4 __attribute__((vector_size(32)));

#endif
