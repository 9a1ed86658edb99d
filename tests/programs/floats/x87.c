/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * x87, instruction by instruction and in assembly, so that it is the same in every build: each precision and rounding
 * of the control word, the functions, what is in the status word, and a stack that overflows or has nothing left.
 */
#include "float.h"

#define CONTROL_MASKED 0x3Fu
#define CONTROL_PRECISION 8
#define CONTROL_ROUNDING 10

/* st(0) = a, st(1) = b; text; what is left in st(0) goes to *to. What may be left below is thrown away. */
typedef uint16_t operation(long double *to, const long double *a, const long double *b, uint16_t control);

#define X87(name, text)                                                                                                \
	static uint16_t x87_##name(long double *to, const long double *a, const long double *b, uint16_t control)      \
	{                                                                                                              \
		uint16_t status;                                                                                       \
                                                                                                                       \
		__asm__ volatile("fninit\n\tfldcw %4\n\tfldt %3\n\tfldt %2\n\tfnclex\n\t" text                         \
				 "\n\tfnstsw %1\n\tfstpt %0\n\tfninit"                                                 \
				 : "=m"(*to), "=m"(status)                                                             \
				 : "m"(*a), "m"(*b), "m"(control)                                                      \
				 : "memory", "cc", CHANGES_X87);                                                       \
		return status;                                                                                         \
	}

#define EACH_ARITHMETIC(X)                                                                                             \
	X(add, "fadd %%st(1), %%st")                                                                                   \
	X(add_pop, "faddp")                                                                                            \
	X(sub, "fsub %%st(1), %%st")                                                                                   \
	X(subr, "fsubr %%st(1), %%st")                                                                                 \
	X(mul, "fmul %%st(1), %%st")                                                                                   \
	X(div, "fdiv %%st(1), %%st")                                                                                   \
	X(divr_pop, "fdivrp")                                                                                          \
	X(sqrt, "fsqrt")                                                                                               \
	X(rndint, "frndint")                                                                                           \
	X(abs, "fabs")                                                                                                 \
	X(chs, "fchs")                                                                                                 \
	X(add_32, "fadds %3")                                                                                          \
	X(mul_64, "fmull %2")                                                                                          \
	X(div_16, "fidivs %3")                                                                                         \
	X(sub_32, "fisubl %3")                                                                                         \
	X(store_32, "fsts %0\n\tflds %0")                                                                              \
	X(store_64, "fstl %0\n\tfldl %0")                                                                              \
	X(to_16, "fists %0\n\tfilds %0")                                                                               \
	X(to_32, "fistl %0\n\tfildl %0")                                                                               \
	X(to_64, "fistpll %0\n\tfildll %0")                                                                            \
	X(decimal, "fbstp %0\n\tfbld %0")
#define EACH_CUT(X)                                                                                                    \
	X(cut_16, "fisttps %0\n\tfilds %0")                                                                            \
	X(cut_64, "fisttpll %0\n\tfildll %0")
#define EACH_FUNCTION(X)                                                                                               \
	X(sin, "fsin")                                                                                                 \
	X(cos, "fcos")                                                                                                 \
	X(sincos, "fsincos\n\tfsubrp")                                                                                 \
	X(tan, "fptan\n\tfdivrp")                                                                                      \
	X(atan, "fpatan")                                                                                              \
	X(exp, "f2xm1")                                                                                                \
	X(log, "fyl2x")                                                                                                \
	X(log_near, "fyl2xp1")                                                                                         \
	X(scale, "fscale")                                                                                             \
	X(rem, "fprem")                                                                                                \
	X(rem1, "fprem1")                                                                                              \
	X(extract, "fxtract\n\tfaddp")                                                                                 \
	X(examine, "fxam")                                                                                             \
	X(test, "ftst")                                                                                                \
	X(compare, "fcom %%st(1)")                                                                                     \
	X(compare_quiet, "fucom %%st(1)")                                                                              \
	X(compare_flags, "fcomi %%st(1), %%st\n\tfcmovb %%st(1), %%st\n\tfcmovnu %%st(1), %%st")                       \
	X(compare_flags_quiet, "fucomi %%st(1), %%st\n\tfcmovne %%st(1), %%st\n\tfcmovbe %%st(1), %%st")               \
	X(constants, "fldpi\n\tfldl2e\n\tfaddp\n\tfldl2t\n\tfaddp\n\tfldlg2\n\tfaddp\n\tfldln2\n\tfaddp\n\tfmulp")

EACH_ARITHMETIC(X87)
EACH_CUT(X87)
EACH_FUNCTION(X87)
#define NAME(name, text) x87_##name,
static operation *const arithmetic[] = { EACH_ARITHMETIC(NAME) };
static operation *const cuts[] = { EACH_CUT(NAME) };
static operation *const functions[] = { EACH_FUNCTION(NAME) };

static void try_all(const char *name, operation *const *operations, size_t count, unsigned int rounds)
{
	static const uint16_t precisions[] = { 3, 3, 2, 0 };
	struct source s = source(0x87878787);
	uint64_t results = 0;
	uint64_t status = 0;

	for (size_t i = 0; i < count; i++) {
		for (unsigned int j = 0; j < rounds * 16; j++) {
			uint16_t control = CONTROL_MASKED | (uint16_t)((j & 3) << CONTROL_ROUNDING);
			long double a = j & 64 ? (long double)next_fraction(&s) : next_long_double(&s);
			long double b = j & 128 ? (long double)(int32_t)next(&s) / 65536 : next_long_double(&s);
			long double to = 0;

			control |= (uint16_t)(precisions[j >> 2 & 3] << CONTROL_PRECISION);
			status = mix(status, operations[i](&to, &a, &b, control));
			results = MIX_FLOAT(results, to);
		}
	}
	say(name, results);
	say("status", status);
}

void topic_rounding_x87(void)
{
	struct features has = features();

	try_all("arithmetic", arithmetic, COUNT(arithmetic), 10);
	if (has.sse3) {
		try_all("cut", cuts, COUNT(cuts), 10);
	}
}

void topic_functions_x87(void)
{
	try_all("functions", functions, COUNT(functions), 16);
}

/* Everything, in the format of fnsave for 32 bits (SDM vol. 1 8.1.10), but for where the last instruction was. */
struct saved {
	uint16_t words[14];
	uint8_t registers[80];
};

static uint64_t mix_saved(uint64_t d, const struct saved *saved)
{
	/* The upper half of a word of 16 bits is not said to be anything. */
	for (unsigned int i = 0; i < 6; i += 2) {
		d = mix(d, saved->words[i]);
	}
	return mix_bytes(d, saved->registers, sizeof(saved->registers));
}

/* The compilers' own stack is empty here: what is on ours is kept in memory. */
#define ON_STACK(text, ...)                                                                                            \
	__asm__ volatile("frstor %0\n\t" text "\n\tfnsave %0" : "+m"(saved) : __VA_ARGS__ : "memory", CHANGES_X87)

void topic_stack_x87(void)
{
	struct source s = source(0x57AC);
	uint16_t environment[14];
	struct saved saved;
	uint64_t d = 0;

	__asm__ volatile("fninit\n\tfnsave %0" : "=m"(saved) : : CHANGES_X87);
	for (unsigned int i = 0; i < 120; i++) {
		long double a = next_long_double(&s);
		double b = next_double(&s);
		unsigned int what = (unsigned int)(next(&s) % 10);

		if (what < 4) {
			ON_STACK("fldt %1", "m"(a));
		} else if (what < 6) {
			ON_STACK("faddl %1\n\tfxch %%st(3)", "m"(b));
		} else if (what == 6) {
			ON_STACK("fincstp\n\tffree %%st(2)\n\tfldz", "m"(a));
		} else if (what == 7) {
			ON_STACK("fstp %%st(5)\n\tfdecstp", "m"(a));
		} else if (what == 8) {
			ON_STACK("fmulp %%st, %%st(1)\n\tfst %%st(7)\n\tfnclex", "m"(a));
		} else {
			ON_STACK("fnstenv %1\n\tfldenv %1", "m"(environment));
		}
		d = mix_saved(d, &saved);
	}
	say("values", d);
}

#define MMX(name) #name " %%mm1, %%mm0\n\tmovq %%mm0, %0\n\tpxor %%mm1, %%mm0\n\t"
#define MMX_ALL                                                                                                        \
	MMX(paddb)                                                                                                     \
	MMX(paddsw)                                                                                                    \
	MMX(paddusb)                                                                                                   \
	MMX(psubd)                                                                                                     \
	MMX(psubsb)                                                                                                    \
	MMX(psubusw)                                                                                                   \
	MMX(pmullw)                                                                                                    \
	MMX(pmulhw)                                                                                                    \
	MMX(pmaddwd)                                                                                                   \
	MMX(pcmpeqb)                                                                                                   \
	MMX(pcmpgtw)                                                                                                   \
	MMX(packsswb)                                                                                                  \
	MMX(packssdw)                                                                                                  \
	MMX(packuswb)                                                                                                  \
	MMX(punpckhbw)                                                                                                 \
	MMX(punpcklwd)                                                                                                 \
	MMX(punpckldq)                                                                                                 \
	MMX(pand)                                                                                                      \
	MMX(pandn)                                                                                                     \
	MMX(por)

void topic_mmx(void)
{
	struct source s = source(0x33E);
	uint64_t d = 0;

	for (unsigned int i = 0; i < 48; i++) {
		uint64_t a = next_wide(&s);
		uint64_t b = next(&s);
		struct saved saved;
		uint64_t last;

		__asm__ volatile("movq %1, %%mm0\n\tmovq %2, %%mm1\n\t" MMX_ALL
				 "psrlw $3, %%mm0\n\tpslld $5, %%mm0\n\tpsrad $2, %%mm0\n\tpsllq $7, %%mm0\n\t"
				 "paddw %2, %%mm0\n\tmovq %%mm0, %0\n\tfnsave %3"
				 : "=&m"(last)
				 : "m"(a), "m"(b), "m"(saved)
				 : "memory", CHANGES_X87);
		d = mix_saved(mix(d, last), &saved);
	}
	say("values", d);
}
