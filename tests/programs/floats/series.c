/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a mathematical library does, by series and iterations of our own, in three precisions; and its use. */
#include "float.h"

#define LARGEST_COUNT 60

#define SERIES(type, name, suffix)                                                                                     \
	static NOINLINE type sine_##name(type x)                                                                       \
	{                                                                                                              \
		const type turn = (type)6.283185307179586476925286766559L;                                             \
		type term;                                                                                             \
		type sum;                                                                                              \
                                                                                                                       \
		x -= turn * (type)(int32_t)(x / turn);                                                                 \
		term = sum = x;                                                                                        \
		for (int k = 1; k < 24; k++) {                                                                         \
			term *= -x * x / (type)((2 * k) * (2 * k + 1));                                                \
			sum += term;                                                                                   \
		}                                                                                                      \
		return sum;                                                                                            \
	}                                                                                                              \
                                                                                                                       \
	static NOINLINE type exponential_##name(type x)                                                                \
	{                                                                                                              \
		type term = 1;                                                                                         \
		type sum = 1;                                                                                          \
		unsigned int halvings = 0;                                                                             \
                                                                                                                       \
		for (; x > 1 || x < -1; halvings++) {                                                                  \
			x /= 2;                                                                                        \
		}                                                                                                      \
		for (int k = 1; k < 22; k++) {                                                                         \
			term *= x / (type)k;                                                                           \
			sum += term;                                                                                   \
		}                                                                                                      \
		for (; halvings > 0; halvings--) {                                                                     \
			sum *= sum;                                                                                    \
		}                                                                                                      \
		return sum;                                                                                            \
	}                                                                                                              \
                                                                                                                       \
	/* ln(m 2^e) = e ln 2 + 2 artanh((m - 1) / (m + 1)) */                                                         \
	static NOINLINE type logarithm_##name(type x)                                                                  \
	{                                                                                                              \
		type power;                                                                                            \
		type sum = 0;                                                                                          \
		int exponent = 0;                                                                                      \
                                                                                                                       \
		for (; x >= (type)1.5L; exponent++) {                                                                  \
			x /= 2;                                                                                        \
		}                                                                                                      \
		for (; x < (type)0.75L; exponent--) {                                                                  \
			x *= 2;                                                                                        \
		}                                                                                                      \
		type quotient = (x - 1) / (x + 1);                                                                     \
                                                                                                                       \
		power = quotient;                                                                                      \
		for (int k = 1; k < LARGEST_COUNT; k += 2) {                                                           \
			sum += power / (type)k;                                                                        \
			power *= quotient * quotient;                                                                  \
		}                                                                                                      \
		return 2 * sum + (type)exponent * (type)0.693147180559945309417232121458L;                             \
	}                                                                                                              \
                                                                                                                       \
	/* Newton's iteration; and what the processor says. */                                                         \
	static NOINLINE type root_##name(type x)                                                                       \
	{                                                                                                              \
		type guess = x > 1 ? x / 2 : 1;                                                                        \
                                                                                                                       \
		for (int k = 0; k < 40; k++) {                                                                         \
			guess = (guess + x / guess) / 2;                                                               \
		}                                                                                                      \
		return guess;                                                                                          \
	}                                                                                                              \
                                                                                                                       \
	static NOINLINE type quarter_##name(type x)                                                                    \
	{                                                                                                              \
		type power = x;                                                                                        \
		type sum = 0;                                                                                          \
                                                                                                                       \
		for (int k = 0; k < LARGEST_COUNT; k++) {                                                              \
			sum += (k & 1 ? -power : power) / (type)(2 * k + 1);                                           \
			power *= x * x;                                                                                \
		}                                                                                                      \
		return sum;                                                                                            \
	}                                                                                                              \
                                                                                                                       \
	static uint64_t all_##name(type x)                                                                             \
	{                                                                                                              \
		type results[] = { sine_##name(x * 10),        exponential_##name(x * 6 - 3), logarithm_##name(x + 1), \
				   root_##name(x * 100),       quarter_##name(x / 2),         sine_##name(-x),         \
				   logarithm_##name(x / 1000), __builtin_sqrt##suffix(x) };                            \
		uint64_t d = 0;                                                                                        \
                                                                                                                       \
		for (size_t i = 0; i < COUNT(results); i++) {                                                          \
			d = MIX_FLOAT(d, results[i]);                                                                  \
		}                                                                                                      \
		return d;                                                                                              \
	}
SERIES(float, float, f)
SERIES(double, double, )
SERIES(long double, long_double, l)

void topic_series(void)
{
	struct source s = source(0x5E61E5);
	uint64_t single = 0;
	uint64_t twice = 0;
	uint64_t extended = 0;

	for (unsigned int i = 0; i < 24; i++) {
		double x = next_fraction(&s) + 0.0001;

		single = mix(single, all_float((float)x));
		twice = mix(twice, all_double(x));
		extended = mix(extended, all_long_double(x));
	}
	say("float", single);
	say("double", twice);
	say("long double", extended);
}

/* Answers that are known, as whole numbers, so that each way of rounding gives the same. */
void topic_constants(void)
{
	double one = (double)hide(1);
	double pi = 4 * (4 * quarter_double(one / 5) - quarter_double(one / 239));
	long double wide = 4 * (4 * quarter_long_double(one / 5) - quarter_long_double(one / 239));
	double pi_squared = 0;

	for (unsigned int k = 1; k <= 2000; k++) {
		pi_squared += 6 / ((double)k * (double)k);
	}
	say("pi", (uint64_t)(pi * 1e9));
	say("long pi", (uint64_t)(wide * 1e15L));
	say("e", (uint64_t)(exponential_double(one) * 1e9));
	say("ln 10", (uint64_t)(logarithm_double(10 * one) * 1e9));
	say("root of 2", (uint64_t)(root_double(2 * one) * 1e9));
	say("root of 2 by the processor", (uint64_t)(__builtin_sqrt(2 * one) * 1e9));
	say("sine of 1", (uint64_t)(sine_double(one) * 1e9));
	say("square of pi", (uint64_t)(pi_squared * 1e3));
	say("pi's bits", MIX_FLOAT(0, pi));
	say("long pi's bits", MIX_FLOAT(0, wide));
}

struct point {
	double x, y, z;
};

static struct point slope(struct point p)
{
	return (struct point){ 10 * (p.y - p.x), p.x * (28 - p.z) - p.y, p.x * p.y - p.z * 8 / 3 };
}

static struct point along(struct point p, struct point by, double step)
{
	return (struct point){ p.x + by.x * step, p.y + by.y * step, p.z + by.z * step };
}

/* Lorenz's equations by Runge and Kutta: what is wrong in the last bit of one step is everywhere soon. */
static NOINLINE struct point move(struct point p, double step)
{
	struct point a = slope(p);
	struct point b = slope(along(p, a, step / 2));
	struct point c = slope(along(p, b, step / 2));
	struct point e = slope(along(p, c, step));
	struct point mean = { (a.x + 2 * b.x + 2 * c.x + e.x) / 6, (a.y + 2 * b.y + 2 * c.y + e.y) / 6,
			      (a.z + 2 * b.z + 2 * c.z + e.z) / 6 };

	return along(p, mean, step);
}

static NOINLINE unsigned int mandelbrot(double a, double b)
{
	double x = 0;
	double y = 0;
	unsigned int count = 0;

	while (x * x + y * y < 4 && count < 50) {
		double next = x * x - y * y + a;

		y = 2 * x * y + b;
		x = next;
		count++;
	}
	return count;
}

void topic_equations(void)
{
	struct point p = { 1, 1, (double)hide(1) };
	uint64_t counts = 0;

	for (unsigned int i = 0; i < 600; i++) {
		p = move(p, 0.01);
	}
	for (int i = -8; i < 8; i++) {
		for (int j = -10; j < 6; j++) {
			counts = mix(counts, mandelbrot(j / 5.0, i / 6.0));
		}
	}
	say("lorenz", mix_bytes(0, &p, sizeof(p)));
	say("mandelbrot", counts);
}

#define POINTS 64

/* Fourier's transform by halves, in place; sines by the series above. */
static NOINLINE void transform(float *re, float *im, float sign)
{
	for (unsigned int i = 1, j = 0; i < POINTS; i++) {
		unsigned int bit = POINTS / 2;

		for (; j & bit; bit /= 2) {
			j ^= bit;
		}
		j ^= bit;
		if (i < j) {
			float a = re[i];
			float b = im[i];

			re[i] = re[j];
			im[i] = im[j];
			re[j] = a;
			im[j] = b;
		}
	}
	for (unsigned int half = 1; half < POINTS; half *= 2) {
		float angle = sign * 3.14159265f / (float)half;

		for (unsigned int k = 0; k < half; k++) {
			float c = sine_float(angle * (float)k + 1.57079633f);
			float s = sine_float(angle * (float)k);

			for (unsigned int i = k; i < POINTS; i += 2 * half) {
				float a = re[i + half] * c - im[i + half] * s;
				float b = re[i + half] * s + im[i + half] * c;

				re[i + half] = re[i] - a;
				im[i + half] = im[i] - b;
				re[i] += a;
				im[i] += b;
			}
		}
	}
}

void topic_transforms(void)
{
	struct source s = source(0xF0041E4);
	float re[POINTS];
	float im[POINTS];
	float first;

	for (unsigned int i = 0; i < POINTS; i++) {
		re[i] = (float)next_fraction(&s);
		im[i] = (float)next_fraction(&s) - 0.5f;
	}
	first = re[0];
	transform(re, im, 1);
	say("there", mix_bytes(mix_bytes(0, re, sizeof(re)), im, sizeof(im)));
	transform(re, im, -1);
	say("back", mix_bytes(mix_bytes(0, re, sizeof(re)), im, sizeof(im)));
	say("as it was", (uint64_t)(int64_t)((re[0] / POINTS - first) * 1000));
}
