/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers: theory of, fixed-point ones, floating-point ones in integer instructions, streams of random ones. */
#include "../program.h"

static NOINLINE uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static NOINLINE uint32_t binary_gcd(uint32_t a, uint32_t b)
{
	unsigned int shift = (unsigned int)__builtin_ctz(a | b);

	a >>= __builtin_ctz(a);
	while (b != 0) {
		b >>= __builtin_ctz(b);
		if (a > b) {
			uint32_t c = a;

			a = b;
			b = c;
		}
		b -= a;
	}
	return a << shift;
}

static NOINLINE uint32_t power(uint64_t base, uint32_t exponent, uint32_t modulus)
{
	uint64_t result = 1;

	for (base %= modulus; exponent; exponent >>= 1) {
		result = exponent & 1 ? result * base % modulus : result;
		base = base * base % modulus;
	}
	return (uint32_t)result;
}

static NOINLINE uint32_t root(uint64_t value)
{
	uint64_t bit = UINT64_C(1) << 62;
	uint64_t result = 0;

	for (; bit > value; bit >>= 2) {
	}
	for (; bit; bit >>= 2) {
		if (value >= result + bit) {
			value -= result + bit;
			result = (result >> 1) + bit;
		} else {
			result >>= 1;
		}
	}
	return (uint32_t)result;
}

/* atan(2^-i) in 2^-30; Volder's CORDIC. */
static NOINLINE int32_t sine(int32_t angle)
{
	static const int32_t turns[] = { 843314857, 497837829, 263043837, 133525159, 67021687, 33543516, 16775851,
					 8388437,   4194283,   2097149,   1048576,   524288,   262144,   131072,
					 65536,     32768,     16384,     8192,      4096,     2048 };
	int32_t x = 652032874; /* the product of all cosines */
	int32_t y = 0;

	for (unsigned int i = 0; i < COUNT(turns); i++) {
		int32_t dx = x >> i;
		int32_t dy = y >> i;
		bool back = angle < 0;

		x = back ? x + dy : x - dy;
		y = back ? y - dx : y + dx;
		angle = back ? angle + turns[i] : angle - turns[i];
	}
	return y;
}

void topic_numbers(void)
{
	struct source s = source(0x4021B325);
	uint64_t d = 0;

	for (unsigned int i = 0; i < 12; i++) {
		uint64_t a = next_wide(&s) | 1;
		uint64_t b = next_wide(&s) | 1;

		d = mix(d, gcd(a, b));
		d = mix(d, binary_gcd((uint32_t)a, (uint32_t)b | 1));
		d = mix(d, root(a));
		d = mix(d, power(a, (uint32_t)b, 1000000007));
	}
	say("theory", d);
	say("3^(p-1) mod p", power(hide(3), 998244352, 998244353));
	say("root of 2^63", root(hide(UINT64_C(1) << 63)));
	say("sine of 1", (uint64_t)(uint32_t)sine((int32_t)hide(1 << 30)));
	say("sine of -0.5", (uint64_t)(uint32_t)sine(-(int32_t)hide(1 << 29)));
}

/* IEEE 754 binary32, normal numbers only, rounded to nearest even. */
struct number {
	uint32_t sign, fraction;
	int32_t exponent;
};

static struct number unpack(uint32_t bits)
{
	return (struct number){ bits >> 31, (bits & 0x7FFFFF) | 0x800000, (int32_t)(bits >> 23 & 255) - 127 };
}

/* fraction has its leading bit wherever it is; its unit is 2^(exponent - 23 - 24). */
static uint32_t pack(uint32_t sign, int32_t exponent, uint64_t fraction)
{
	if (fraction == 0) {
		return 0;
	}
	int shift = 63 - __builtin_clzll(fraction) - 23;

	if (shift > 0) {
		uint64_t rest = fraction & ((UINT64_C(1) << shift) - 1);
		uint64_t half = UINT64_C(1) << (shift - 1);

		fraction >>= shift;
		fraction += rest > half || (rest == half && (fraction & 1));
	} else {
		fraction <<= -shift;
	}
	exponent += shift - 24;
	if (fraction >> 24) {
		fraction >>= 1;
		exponent++;
	}
	return sign << 31 | (uint32_t)(exponent + 127) << 23 | ((uint32_t)fraction & 0x7FFFFF);
}

static NOINLINE uint32_t float_multiply(uint32_t a, uint32_t b)
{
	struct number x = unpack(a);
	struct number y = unpack(b);

	return pack(x.sign ^ y.sign, x.exponent + y.exponent + 1, (uint64_t)x.fraction * y.fraction);
}

static NOINLINE uint32_t float_add(uint32_t a, uint32_t b)
{
	struct number x = unpack(a);
	struct number y = unpack(b);

	if (x.exponent < y.exponent) {
		struct number z = x;

		x = y;
		y = z;
	}
	unsigned int distance = (unsigned int)(x.exponent - y.exponent);
	int64_t big = (int64_t)((uint64_t)x.fraction << 24);
	int64_t small = distance > 30 ? 0 : (int64_t)((uint64_t)y.fraction << 24 >> distance);
	int64_t sum = (x.sign ? -big : big) + (y.sign ? -small : small);

	return pack(sum < 0, x.exponent, sum < 0 ? 0 - (uint64_t)sum : (uint64_t)sum);
}

void topic_soft_float(void)
{
	struct source s = source(0xF10A7);
	uint32_t sum = 0x3F800000;
	uint32_t product = 0x3F800000;

	for (unsigned int i = 0; i < 60; i++) {
		uint32_t value = (uint32_t)next(&s);
		uint32_t near_one = (value & 0x803FFFFF) | 0x3F800000;

		sum = float_add(sum ? sum : 0x3F800000, near_one);
		product = float_multiply(product, near_one ^ (i & 1 ? 0x00800000u : 0));
	}
	say("1.5 * 2.25", float_multiply((uint32_t)hide(0x3FC00000), (uint32_t)hide(0x40100000)));
	say("sum", sum);
	say("product", product);
}

static NOINLINE uint32_t pcg(uint64_t *state)
{
	uint64_t old = *state;
	uint32_t mixed = (uint32_t)((old >> 18 ^ old) >> 27);

	*state = old * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return mixed >> (old >> 59) | mixed << (-(old >> 59) & 31);
}

static NOINLINE uint64_t splitmix(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

/* Matsumoto, Nishimura. */
static NOINLINE uint64_t mersenne(uint32_t seed)
{
	static uint32_t words[624];
	uint64_t d = 0;

	words[0] = seed;
	for (uint32_t i = 1; i < COUNT(words); i++) {
		words[i] = 1812433253u * (words[i - 1] ^ words[i - 1] >> 30) + i;
	}
	for (uint32_t i = 0; i < 227; i++) {
		uint32_t y = (words[i] & 0x80000000) | (words[i + 1] & 0x7FFFFFFF);

		y = words[i + 397] ^ y >> 1 ^ (y & 1 ? 0x9908B0DF : 0);
		words[i] = y;
		y ^= y >> 11;
		y ^= y << 7 & 0x9D2C5680;
		y ^= y << 15 & 0xEFC60000;
		d = mix(d, y ^ y >> 18);
	}
	return d;
}

/* A register with feedback, as hardware has it. */
static NOINLINE uint16_t feedback(uint16_t state, unsigned int steps)
{
	while (steps-- > 0) {
		state = (uint16_t)(state >> 1 ^ (-(state & 1) & 0xB400));
	}
	return state;
}

void topic_random(void)
{
	uint64_t pcg_state = hide(42);
	uint64_t split_state = hide(1234567);
	uint64_t d = 0;

	for (unsigned int i = 0; i < 100; i++) {
		d = mix(d, pcg(&pcg_state));
		d = mix(d, splitmix(&split_state));
	}
	say("streams", d);
	say("mersenne", mersenne((uint32_t)hide(5489)));
	say("feedback", feedback((uint16_t)hide(0xACE1), 1000));
}
