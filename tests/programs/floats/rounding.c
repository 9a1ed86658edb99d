/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SSE and AVX under every way to round, with denormals and without: what each instruction leaves in its register and in
 * MXCSR (SDM vol. 1 10.2.3), of numbers, denormals, infinities and NaNs. In assembly, so that it is the same in every
 * build.
 */
#include "float.h"

#define MXCSR_MASKED 0x1F80u
#define MXCSR_ROUNDING 13
#define MXCSR_DAZ 0x40u
#define MXCSR_FTZ 0x8000u

#define VECTOR 32
struct vector {
	uint8_t bytes[VECTOR];
};

/* An instruction on two or three vectors with MXCSR as it is given; returns what that is behind it. */
typedef uint32_t operation(struct vector *to, const struct vector *a, const struct vector *b, uint32_t mxcsr);

#define OPERATION(name, move, r, text)                                                                                 \
	static uint32_t name(struct vector *to, const struct vector *a, const struct vector *b, uint32_t mxcsr)        \
	{                                                                                                              \
		static const uint32_t masked = MXCSR_MASKED;                                                           \
		uint32_t left = mxcsr;                                                                                 \
                                                                                                                       \
		__asm__ volatile(move " %2, %%" r "0\n\t" move " %3, %%" r "1\n\t" move " %0, %%" r "2\n\t"            \
				      "ldmxcsr %1\n\t" text "\n\tstmxcsr %1\n\tldmxcsr %4\n\t" move " %%" r "0, %0"    \
				 : "+m"(*to), "+m"(left)                                                               \
				 : "m"(*a), "m"(*b), "m"(masked)                                                       \
				 : "memory", CHANGES_VECTORS);                                                         \
		return left;                                                                                           \
	}
#define SSE(name, text) OPERATION(sse_##name, "movups", "xmm", text)
#define AVX(name, text) OPERATION(avx_##name, "vmovups", "ymm", text)

#define ARITHMETIC(X, suffix)                                                                                          \
	X(add##suffix, 0)                                                                                              \
	X(sub##suffix, 0)                                                                                              \
	X(mul##suffix, 0)                                                                                              \
	X(div##suffix, 0)                                                                                              \
	X(min##suffix, 0)                                                                                              \
	X(max##suffix, 0)                                                                                              \
	X(sqrt##suffix, 1)
#define EACH_ARITHMETIC(X) ARITHMETIC(X, ps) ARITHMETIC(X, pd) ARITHMETIC(X, ss) ARITHMETIC(X, sd)
#define EACH_CONVERSION(X)                                                                                             \
	X(cvtps2pd)                                                                                                    \
	X(cvtpd2ps)                                                                                                    \
	X(cvtdq2ps)                                                                                                    \
	X(cvtps2dq)                                                                                                    \
	X(cvttps2dq)                                                                                                   \
	X(cvtpd2dq)                                                                                                    \
	X(cvttpd2dq)                                                                                                   \
	X(cvtdq2pd)                                                                                                    \
	X(cvtss2sd)                                                                                                    \
	X(cvtsd2ss)                                                                                                    \
	X(rcpps)                                                                                                       \
	X(rsqrtps)

#define SSE_ARITHMETIC(name, unary) SSE(name, #name " %%xmm1, %%xmm0")
#define SSE_PLAIN(name) SSE(name, #name " %%xmm1, %%xmm0")
EACH_ARITHMETIC(SSE_ARITHMETIC)
EACH_CONVERSION(SSE_PLAIN)
SSE(compares, "movaps %%xmm0, %%xmm3\n\tcmpltps %%xmm1, %%xmm0\n\tcmpunordpd %%xmm1, %%xmm3\n\txorps %%xmm3, %%xmm0\n\t"
	      "cmpneqss %%xmm1, %%xmm3\n\tpaddb %%xmm3, %%xmm0\n\tcmplesd %%xmm1, %%xmm3\n\tpaddb %%xmm3, %%xmm0")
SSE(horizontal, "haddps %%xmm1, %%xmm0\n\thsubpd %%xmm1, %%xmm0\n\taddsubps %%xmm2, %%xmm0")
SSE(rounds, "movaps %%xmm0, %%xmm3\n\troundps $4, %%xmm1, %%xmm0\n\troundpd $1, %%xmm3, %%xmm3\n\t"
	    "xorps %%xmm3, %%xmm0\n\troundsd $10, %%xmm2, %%xmm0\n\troundss $3, %%xmm1, %%xmm3\n\tpaddq %%xmm3, %%xmm0")
SSE(products,
    "movaps %%xmm0, %%xmm3\n\tdpps $0x71, %%xmm1, %%xmm0\n\tdppd $0x33, %%xmm2, %%xmm3\n\txorps %%xmm3, %%xmm0")

static operation *const of_sse2[] = {
#define NAME_ARITHMETIC(name, unary) sse_##name,
#define NAME(name) sse_##name,
	EACH_ARITHMETIC(NAME_ARITHMETIC) EACH_CONVERSION(NAME) sse_compares,
};
static operation *const of_sse41[] = { sse_horizontal, sse_rounds, sse_products };

#define BINARY_0(name) "v" #name " %%ymm1, %%ymm0, %%ymm0"
#define BINARY_1(name) "v" #name " %%ymm1, %%ymm0"
#define AVX_ARITHMETIC(name, unary) AVX(name, BINARY_##unary(name))
ARITHMETIC(AVX_ARITHMETIC, ps)
ARITHMETIC(AVX_ARITHMETIC, pd)
AVX(singles, "vaddsd %%xmm1, %%xmm0, %%xmm0\n\tvdivss %%xmm1, %%xmm0, %%xmm0\n\tvsqrtsd %%xmm0, %%xmm2, %%xmm0")
AVX(conversions, "vcvtps2dq %%ymm1, %%ymm3\n\tvcvtpd2ps %%ymm0, %%xmm0\n\tvcvtps2pd %%xmm0, %%ymm0\n\t"
		 "vxorps %%ymm3, %%ymm0, %%ymm0\n\tvcvttpd2dq %%ymm1, %%xmm3\n\tvcvtdq2pd %%xmm3, %%ymm3\n\t"
		 "vsubpd %%ymm3, %%ymm0, %%ymm0")
AVX(rounds, "vroundps $4, %%ymm1, %%ymm1\n\tvroundpd $3, %%ymm0, %%ymm0\n\tvaddps %%ymm1, %%ymm0, %%ymm0")
AVX(products,
    "vdpps $0xF5, %%ymm1, %%ymm0, %%ymm0\n\tvhaddpd %%ymm1, %%ymm0, %%ymm0\n\tvaddsubps %%ymm2, %%ymm0, %%ymm0")
AVX(compares,
    "vcmpps $13, %%ymm1, %%ymm0, %%ymm3\n\tvcmppd $17, %%ymm1, %%ymm0, %%ymm0\n\tvxorps %%ymm3, %%ymm0, %%ymm0")
AVX(fma_ps, "vfmadd132ps %%ymm1, %%ymm2, %%ymm0")
AVX(fma_pd, "vfmsub213pd %%ymm1, %%ymm2, %%ymm0")
AVX(fma_ss, "vfnmadd231ss %%xmm1, %%xmm2, %%xmm0")
AVX(fma_sd, "vfnmsub231sd %%xmm1, %%xmm2, %%xmm0")
AVX(fma_both, "vfmaddsub231ps %%ymm1, %%ymm2, %%ymm0\n\tvfmsubadd132pd %%ymm1, %%ymm2, %%ymm0")
AVX(halves, "vcvtps2ph $4, %%ymm0, %%xmm0\n\tvcvtph2ps %%xmm0, %%ymm3\n\tvcvtps2ph $1, %%ymm1, %%xmm1\n\t"
	    "vinsertf128 $1, %%xmm1, %%ymm0, %%ymm0\n\tvxorps %%ymm3, %%ymm0, %%ymm0")

static operation *const of_avx[] = {
#define NAME_AVX(name, unary) avx_##name,
	ARITHMETIC(NAME_AVX, ps) ARITHMETIC(NAME_AVX, pd) avx_singles,
	avx_conversions,
	avx_rounds,
	avx_products,
	avx_compares,
};
static operation *const of_fma[] = { avx_fma_ps, avx_fma_pd, avx_fma_ss, avx_fma_sd, avx_fma_both };
static operation *const of_f16c[] = { avx_halves };

static void put_values(struct source *s, struct vector *vector)
{
	for (size_t i = 0; i < VECTOR; i += 8) {
		double wide = next_double(s);
		float narrow[2] = { next_float(s), next_float(s) };

		memcpy(vector->bytes + i, next(s) & 1 ? (const void *)&wide : (const void *)narrow, 8);
	}
}

static void try_all(const char *name, operation *const *operations, size_t count, unsigned int rounds)
{
	struct source s = source(0x60D2D);
	uint64_t results = 0;
	uint64_t flags = 0;

	for (size_t i = 0; i < count; i++) {
		for (unsigned int j = 0; j < rounds * 16; j++) {
			uint32_t mxcsr = MXCSR_MASKED | (j & 3) << MXCSR_ROUNDING;
			struct vector a;
			struct vector b;
			struct vector to;

			put_values(&s, &a);
			put_values(&s, &b);
			put_values(&s, &to);
			mxcsr |= (j & 4 ? MXCSR_DAZ : 0) | (j & 8 ? MXCSR_FTZ : 0);
			flags = mix(flags, operations[i](&to, &a, &b, mxcsr));
			results = mix_bytes(results, &to, sizeof(to));
		}
	}
	say(name, results);
	say("MXCSR", flags);
}

/* To general registers, and into the flags. */
static uint64_t to_general(const struct vector *a, const struct vector *b, uint32_t mxcsr)
{
	static const uint32_t masked = MXCSR_MASKED;
	uint32_t words[4];
	uint8_t bits[6];

	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	__asm__ volatile("cvtss2si %1, %0" : "=r"(words[0]) : "m"(*a));
	__asm__ volatile("cvttss2si %1, %0" : "=r"(words[1]) : "m"(*b));
	__asm__ volatile("cvtsd2si %1, %0" : "=r"(words[2]) : "m"(*a));
	__asm__ volatile("cvttsd2si %1, %0" : "=r"(words[3]) : "m"(*b));
	__asm__ volatile("movups %3, %%xmm0\n\tucomisd %4, %%xmm0\n\tseta %0\n\tsetp %1\n\tsete %2"
			 : "=m"(bits[0]), "=m"(bits[1]), "=m"(bits[2])
			 : "m"(*a), "m"(*b)
			 : "cc", CHANGES_VECTORS);
	__asm__ volatile("movups %3, %%xmm0\n\tcomiss %4, %%xmm0\n\tseta %0\n\tsetp %1\n\tsete %2"
			 : "=m"(bits[3]), "=m"(bits[4]), "=m"(bits[5])
			 : "m"(*a), "m"(*b)
			 : "cc", CHANGES_VECTORS);
	__asm__ volatile("stmxcsr %0\n\tldmxcsr %1" : "=m"(mxcsr) : "m"(masked));
	return mix_bytes(mix_bytes(mxcsr, words, sizeof(words)), bits, sizeof(bits));
}

#ifdef __x86_64__
static uint64_t to_wide(const struct vector *a, uint64_t value, uint32_t mxcsr)
{
	static const uint32_t masked = MXCSR_MASKED;
	uint64_t words[4];

	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	__asm__ volatile("cvtss2siq %1, %0" : "=r"(words[0]) : "m"(*a));
	__asm__ volatile("cvttsd2siq %1, %0" : "=r"(words[1]) : "m"(*a));
	__asm__ volatile("xorps %%xmm0, %%xmm0\n\tcvtsi2ssq %1, %%xmm0\n\tmovq %%xmm0, %0"
			 : "=r"(words[2])
			 : "r"(value)
			 : CHANGES_VECTORS);
	__asm__ volatile("cvtsi2sdq %1, %%xmm0\n\tmovq %%xmm0, %0" : "=r"(words[3]) : "m"(value) : CHANGES_VECTORS);
	__asm__ volatile("stmxcsr %0\n\tldmxcsr %1" : "=m"(mxcsr) : "m"(masked));
	return mix_bytes(mxcsr, words, sizeof(words));
}
#else
static uint64_t to_wide(const struct vector *a, uint64_t value, uint32_t mxcsr)
{
	(void)a;
	return mix(value, mxcsr);
}
#endif

void topic_rounding_sse(void)
{
	struct features has = features();
	struct source s = source(0x2A11);
	uint64_t d = 0;

	if (!has.sse2) {
		return;
	}
	try_all("sse2", of_sse2, COUNT(of_sse2), 4);
	for (unsigned int i = 0; i < 128; i++) {
		uint32_t mxcsr = MXCSR_MASKED | (i & 3) << MXCSR_ROUNDING | (i & 4 ? MXCSR_DAZ : 0);
		struct vector a;
		struct vector b;

		put_values(&s, &a);
		put_values(&s, &b);
		d = mix(d, to_general(&a, i & 8 ? &a : &b, mxcsr));
		d = mix(d, to_wide(&b, next_wide(&s), mxcsr));
	}
	say("general registers", d);
	if (has.sse41) {
		try_all("sse4.1", of_sse41, COUNT(of_sse41), 8);
	}
}

void topic_rounding_avx(void)
{
	struct features has = features();

	if (has.avx) {
		try_all("avx", of_avx, COUNT(of_avx), 4);
	}
	if (has.fma) {
		try_all("fma", of_fma, COUNT(of_fma), 8);
	}
	if (has.f16c) {
		try_all("f16c", of_f16c, COUNT(of_f16c), 8);
	}
	if (has.avx) {
		__asm__ volatile("vzeroupper");
	}
}
