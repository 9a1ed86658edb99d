/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One number at a time: arithmetic, comparisons and conversions of the three types, and how functions pass them. */
#include "float.h"

#define ARITHMETIC(type, name, suffix)                                                                                 \
	static NOINLINE uint64_t operate_##name(type a, type b, type c)                                                \
	{                                                                                                              \
		type results[] = { a + b,         a - b,          a * b,    a / b,  -a,                                \
				   a * b + c,     a * b - c,      b + 1,    b / 10, a < b ? a : b,                     \
				   a > b ? a : b, a <= b ? c : a, c - a * b };                                         \
		uint64_t d = 0;                                                                                        \
                                                                                                                       \
		for (size_t i = 0; i < COUNT(results); i++) {                                                          \
			d = MIX_FLOAT(d, results[i]);                                                                  \
		}                                                                                                      \
		return d;                                                                                              \
	}                                                                                                              \
                                                                                                                       \
	static NOINLINE uint64_t compare_##name(type a, type b)                                                        \
	{                                                                                                              \
		uint64_t d = (uint64_t)(a < b) | (uint64_t)(a <= b) << 1 | (uint64_t)(a == b) << 2;                    \
                                                                                                                       \
		d |= (uint64_t)(a > b) << 3 | (uint64_t)(a >= b) << 4 | (uint64_t)(a != b) << 5;                       \
		d |= (uint64_t)(__builtin_isunordered(a, b) != 0) << 6 | (uint64_t)(__builtin_isless(a, b) != 0) << 7; \
		d |= (uint64_t)(__builtin_isgreaterequal(a, b) != 0) << 8;                                             \
		d |= (uint64_t)(__builtin_islessgreater(a, b) != 0) << 9;                                              \
		return d | (uint64_t)(a != a) << 10 | (uint64_t)(!(a < 0)) << 11;                                      \
	}                                                                                                              \
                                                                                                                       \
	static NOINLINE uint64_t shape_##name(type a, type b)                                                          \
	{                                                                                                              \
		type results[] = { __builtin_fabs##suffix(a), __builtin_copysign##suffix(a, b),                        \
				   __builtin_copysign##suffix(1, a) };                                                 \
		uint64_t d = 0;                                                                                        \
                                                                                                                       \
		for (size_t i = 0; i < COUNT(results); i++) {                                                          \
			d = MIX_FLOAT(d, results[i]);                                                                  \
		}                                                                                                      \
		return d;                                                                                              \
	}                                                                                                              \
                                                                                                                       \
	/* What one result does to the next: a sum, a product, a fraction that goes on for ever. */                    \
	static NOINLINE type chain_##name(type a, unsigned int count)                                                  \
	{                                                                                                              \
		type sum = 0;                                                                                          \
		type product = 1;                                                                                      \
                                                                                                                       \
		for (unsigned int i = 0; i < count; i++) {                                                             \
			sum += a / (type)(int)(i + 1);                                                                 \
			product = product * a + sum / 3;                                                               \
			a = 1 / (1 + a);                                                                               \
		}                                                                                                      \
		return sum + product;                                                                                  \
	}                                                                                                              \
                                                                                                                       \
	void topic_##name##_arithmetic(void)                                                                           \
	{                                                                                                              \
		struct source s = source(0xF10A7);                                                                     \
		uint64_t results = 0;                                                                                  \
		uint64_t order = 0;                                                                                    \
		uint64_t shapes = 0;                                                                                   \
                                                                                                                       \
		for (unsigned int i = 0; i < 300; i++) {                                                               \
			type a = next_##name(&s);                                                                      \
			type b = i % 8 ? next_##name(&s) : a;                                                          \
			type c = next_##name(&s);                                                                      \
                                                                                                                       \
			results = mix(results, operate_##name(a, b, c));                                               \
			order = mix(order, compare_##name(a, b));                                                      \
			shapes = mix(shapes, shape_##name(a, b));                                                      \
		}                                                                                                      \
		type chained = chain_##name((type)next_fraction(&s), 200);                                             \
                                                                                                                       \
		say("results", results);                                                                               \
		say("order", order);                                                                                   \
		say("shapes", shapes);                                                                                 \
		say("chain", MIX_FLOAT(0, chained));                                                                   \
	}
ARITHMETIC(float, float, f)
ARITHMETIC(double, double, )
ARITHMETIC(long double, long_double, l)

/* Whole numbers of all widths there and back. What does not fit has no meaning in C; it is cut to what does. */
#define TO_UNSIGNED(type, whole, bits)                                                                                 \
	cut = a < 0 ? -a : a;                                                                                          \
	cut = cut < (type)(UINT64_C(1) << (bits)) ? cut : (type)(UINT64_C(1) << ((bits)-1));                           \
	d = mix(d, (uint64_t)(whole)cut);
#define TO_SIGNED(type, whole, bits)                                                                                   \
	TO_UNSIGNED(type, whole, bits)                                                                                 \
	d = mix(d, (uint64_t)(whole)-cut);
#define FROM_WHOLE(type, whole)                                                                                        \
	{                                                                                                              \
		type made = (type)(whole)bits;                                                                         \
                                                                                                                       \
		d = MIX_FLOAT(d, made);                                                                                \
	}
#define CONVERSIONS(type, name)                                                                                        \
	static NOINLINE uint64_t to_whole_##name(type a)                                                               \
	{                                                                                                              \
		uint64_t d = 0;                                                                                        \
		type cut;                                                                                              \
                                                                                                                       \
		TO_SIGNED(type, int8_t, 7)                                                                             \
		TO_UNSIGNED(type, uint8_t, 8)                                                                          \
		TO_SIGNED(type, int16_t, 15)                                                                           \
		TO_UNSIGNED(type, uint16_t, 16)                                                                        \
		TO_SIGNED(type, int32_t, 31)                                                                           \
		TO_UNSIGNED(type, uint32_t, 32)                                                                        \
		TO_SIGNED(type, int64_t, 63)                                                                           \
		TO_UNSIGNED(type, uint64_t, 63)                                                                        \
		return mix(d, (uint64_t)(a ? 1 : 0));                                                                  \
	}                                                                                                              \
                                                                                                                       \
	static NOINLINE uint64_t from_whole_##name(uint64_t bits)                                                      \
	{                                                                                                              \
		uint64_t d = 0;                                                                                        \
                                                                                                                       \
		FROM_WHOLE(type, int8_t)                                                                               \
		FROM_WHOLE(type, uint8_t)                                                                              \
		FROM_WHOLE(type, int16_t)                                                                              \
		FROM_WHOLE(type, uint16_t)                                                                             \
		FROM_WHOLE(type, int32_t)                                                                              \
		FROM_WHOLE(type, uint32_t)                                                                             \
		FROM_WHOLE(type, int64_t)                                                                              \
		FROM_WHOLE(type, uint64_t)                                                                             \
		return d;                                                                                              \
	}
CONVERSIONS(float, float)
CONVERSIONS(double, double)
CONVERSIONS(long double, long_double)

static NOINLINE uint64_t between(float a, double b, long double c)
{
	double ab = a;
	long double ac = a;
	float ba = (float)b;
	long double bc = b;
	float ca = (float)c;
	double cb = (double)c;
	uint64_t d = MIX_FLOAT(0, ab);

	d = MIX_FLOAT(d, ac);
	d = MIX_FLOAT(d, ba);
	d = MIX_FLOAT(d, bc);
	d = MIX_FLOAT(d, ca);
	return MIX_FLOAT(d, cb);
}

void topic_float_conversions(void)
{
	struct source s = source(0xC0117);
	uint64_t to = 0;
	uint64_t from = 0;
	uint64_t types = 0;

	for (unsigned int i = 0; i < 200; i++) {
		float a = next_float(&s);
		double b = next_double(&s);
		long double c = next_long_double(&s);
		uint64_t bits = next_wide(&s);

		/* NaNs have no place among whole numbers. */
		to = mix(to, to_whole_float(a == a ? a : 0));
		to = mix(to, to_whole_double(b == b ? b : 0));
		to = mix(to, to_whole_long_double(c == c ? c : 0));
		to = mix(to, to_whole_double((double)(int64_t)bits / 1024));
		from = mix(from, from_whole_float(bits));
		from = mix(from, from_whole_double(bits));
		from = mix(from, from_whole_long_double(bits));
		types = mix(types, between(a, b, c));
	}
	say("to whole numbers", to);
	say("from whole numbers", from);
	say("types", types);
}

struct three {
	float a;
	double b;
	long double c;
};

struct pair {
	float a, b;
};

static NOINLINE double many(double a, float b, double c, int d, double e, float f, double g, double h, long double i,
			    double j)
{
	return a - (double)b + c * d - e + (double)f / g - h * (double)i + j;
}

static NOINLINE struct three make(long double c, float a, double b)
{
	struct three three = { a * 2, b / 3, c + 1 };

	return three;
}

static NOINLINE struct pair swap(struct pair pair)
{
	return (struct pair){ pair.b + 1, pair.a - 1 };
}

static NOINLINE long double sum(const char *kinds, ...)
{
	long double total = 0;
	va_list list;

	va_start(list, kinds);
	for (; *kinds; kinds++) {
		if (*kinds == 'd') {
			total += va_arg(list, double);
		} else if (*kinds == 'l') {
			total -= va_arg(list, long double);
		} else {
			total *= va_arg(list, int);
		}
	}
	va_end(list);
	return total;
}

void topic_float_arguments(void)
{
	double (*volatile function)(double, float, double, int, double, float, double, double, long double, double) =
		many;
	struct source s = source(0xA665);
	uint64_t d = 0;

	for (unsigned int i = 0; i < 60; i++) {
		double a = next_fraction(&s) * 100;
		float b = (float)next_fraction(&s);
		double result = function(a, b, a + 1, (int)i, a * 2, b * 3, a + 4, b, a / 5, b);
		struct three three = make((long double)a * b, b, a);
		struct pair pair = swap((struct pair){ b, (float)a });
		long double summed = sum("dlididld", a, (long double)a / 7, 3, result, -2, a, three.c, a * a);

		d = MIX_FLOAT(d, result);
		d = MIX_FLOAT(d, three.a);
		d = MIX_FLOAT(d, three.b);
		d = MIX_FLOAT(d, three.c);
		d = mix_bytes(d, &pair, sizeof(pair));
		d = MIX_FLOAT(d, summed);
	}
	say("values", d);
}
