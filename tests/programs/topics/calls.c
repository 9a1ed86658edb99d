/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls: variable arguments, deep and mutual recursion, pointers to functions, structures as arguments and results. */
#include "../program.h"

struct two {
	int32_t a;
	int64_t b;
};

struct big {
	uint64_t words[7];
	uint8_t tail[5];
};

/* One letter for each argument. */
static NOINLINE uint64_t take(const char *kinds, va_list list)
{
	uint64_t d = 0;

	for (; *kinds; kinds++) {
		switch (*kinds) {
		case 'i':
			d = mix(d, (uint64_t)va_arg(list, int));
			break;
		case 'l':
			d = mix(d, (uint64_t)va_arg(list, long long));
			break;
		case 'p':
			d = mix(d, *(const uint32_t *)va_arg(list, const void *));
			break;
		case 's': {
			struct two two = va_arg(list, struct two);

			d = mix(mix(d, (uint64_t)two.a), (uint64_t)two.b);
			break;
		}
		default: {
			struct big big = va_arg(list, struct big);

			d = mix(mix(d, big.words[6]), big.tail[4]);
		}
		}
	}
	return d;
}

static NOINLINE uint64_t variadic(const char *kinds, ...)
{
	va_list list;
	va_list again;
	uint64_t d;

	va_start(list, kinds);
	va_copy(again, list);
	d = take(kinds, list);
	d = mix(d, take(kinds, again));
	va_end(again);
	va_end(list);
	return d;
}

void topic_varargs(void)
{
	struct source s = source(0x7A66);
	uint64_t d = 0;

	for (unsigned int i = 0; i < 12; i++) {
		int small = (int)next(&s);
		long long large = (long long)next(&s);
		uint32_t pointed = (uint32_t)next(&s);
		struct two two = { small, large };
		struct big big = { { 1, 2, 3, 4, 5, 6, next(&s) }, { 0, 0, 0, 0, (uint8_t)small } };

		d = mix(d, variadic("", 0));
		d = mix(d, variadic("iiiiiiii", 1, small, 2, 3, small, 5, 6, small));
		d = mix(d, variadic("ilililililil", 1, large, 2, large, small, 5ll, 6, large, 7, 8ll, small, 9ll));
		d = mix(d, variadic("psib", &pointed, two, small, big));
		d = mix(d, variadic("iiiiissli", 1, 2, 3, 4, 5, two, two, large, small));
	}
	say("arguments", d);
}

static NOINLINE unsigned int ackermann(unsigned int m, unsigned int n)
{
	if (m == 0) {
		return n + 1;
	}
	return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

static NOINLINE uint64_t fibonacci(unsigned int n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static NOINLINE unsigned int hanoi(unsigned int n, unsigned int from, unsigned int to, uint64_t *d)
{
	if (n == 0) {
		return 0;
	}
	unsigned int moves = hanoi(n - 1, from, 3 - from - to, d);

	*d = mix(*d, from * 4 + to);
	return moves + 1 + hanoi(n - 1, 3 - from - to, to, d);
}

static bool odd(unsigned int n);

static NOINLINE bool even(unsigned int n)
{
	return n == 0 ? true : odd(n - 1);
}

static NOINLINE bool odd(unsigned int n)
{
	return n == 0 ? false : even(n - 1);
}

/* Each level has a frame that the next one reads and writes. */
static NOINLINE uint64_t deep(unsigned int depth, uint32_t *above)
{
	uint32_t frame[12];

	for (unsigned int i = 0; i < COUNT(frame); i++) {
		frame[i] = above[i % 4] * (depth + i) + i;
	}
	if (depth > 0) {
		above[1] += (uint32_t)deep(depth - 1, frame);
	}
	return mix(mix(frame[3], frame[11]), above[1] ^ frame[1]);
}

void topic_recursion(void)
{
	uint32_t frame[4] = { 1, 2, 3, 4 };
	uint64_t moves = 0;

	say("ackermann(2, 9)", ackermann((unsigned int)hide(2), 9));
	say("fibonacci(14)", fibonacci((unsigned int)hide(14)));
	say("hanoi(8)", hanoi((unsigned int)hide(8), 0, 2, &moves));
	say("moves", moves);
	say("even(501)", even((unsigned int)hide(501)));
	say("deep", deep((unsigned int)hide(300), frame));
}

typedef uint32_t operation(uint32_t a, uint32_t b);

static uint32_t plus(uint32_t a, uint32_t b)
{
	return a + b;
}

static uint32_t minus(uint32_t a, uint32_t b)
{
	return a - b;
}

static uint32_t times(uint32_t a, uint32_t b)
{
	return a * b;
}

static uint32_t over(uint32_t a, uint32_t b)
{
	return a / (b | 1);
}

static NOINLINE uint32_t fold(operation *f, const uint32_t *from, size_t count, uint32_t start)
{
	for (size_t i = 0; i < count; i++) {
		start = f(start, from[i]);
	}
	return start;
}

/* More arguments than registers, of all sizes. */
static NOINLINE uint64_t many(int8_t a, uint16_t b, int32_t c, uint64_t d, bool e, int64_t f, uint8_t g, int16_t h,
			      uint32_t i, int64_t j, int8_t k)
{
	uint64_t digest = mix(mix(mix((uint64_t)a, b), (uint64_t)c), d);

	digest = mix(mix(mix(digest, e), (uint64_t)f), g);
	return mix(mix(mix(mix(digest, (uint64_t)h), i), (uint64_t)j), (uint64_t)k);
}

void topic_calls(void)
{
	static operation *const operations[] = { plus, minus, times, over };
	struct source s = source(0xCA11);
	uint32_t values[10];
	uint64_t d = 0;

	for (size_t i = 0; i < COUNT(values); i++) {
		values[i] = (uint32_t)next(&s);
	}
	for (unsigned int i = 0; i < 16; i++) {
		uint64_t v = next(&s);

		d = mix(d, fold(operations[v >> 7 & 3], values, COUNT(values), (uint32_t)v));
		d = mix(d, many((int8_t)v, (uint16_t)v, (int32_t)v, v, v >> 3 & 1, (int64_t)v, (uint8_t)(v >> 8),
				(int16_t)(v >> 9), (uint32_t)(v >> 10), (int64_t)(v * 3), (int8_t)(v >> 20)));
	}
	say("calls", d);
}

#define SIZED(size)                                                                                                    \
	struct sized##size {                                                                                           \
		uint8_t bytes[size];                                                                                   \
	};                                                                                                             \
	static NOINLINE struct sized##size turn##size(struct sized##size value, uint8_t by)                            \
	{                                                                                                              \
		struct sized##size turned = value;                                                                     \
                                                                                                                       \
		turned.bytes[0] = (uint8_t)(value.bytes[size - 1] + by);                                               \
		turned.bytes[size - 1] = (uint8_t)(value.bytes[0] ^ by);                                               \
		return turned;                                                                                         \
	}                                                                                                              \
	static NOINLINE uint64_t sized_by##size(uint8_t by)                                                            \
	{                                                                                                              \
		struct sized##size values[3] = { { { by } }, { { 1, 2 } }, { { 0 } } };                                \
                                                                                                                       \
		values[2] = turn##size(values[0], by);                                                                 \
		values[1] = turn##size(values[2], 9);                                                                  \
		values[0] = values[by & 1 ? 1 : 2];                                                                    \
		return mix_bytes(0, values, sizeof(values));                                                           \
	}
SIZED(2)
SIZED(3)
SIZED(4)
SIZED(7)
SIZED(8)
SIZED(12)
SIZED(15)
SIZED(16)
SIZED(17)
SIZED(24)
SIZED(33)
SIZED(64)
SIZED(100)

void topic_structs(void)
{
	static uint64_t (*const sized[])(uint8_t) = { sized_by2,  sized_by3,  sized_by4,  sized_by7,  sized_by8,
						      sized_by12, sized_by15, sized_by16, sized_by17, sized_by24,
						      sized_by33, sized_by64, sized_by100 };
	struct big bigs[2] = { { { 1, 2, 3, 4, 5, 6, 7 }, { 1, 2, 3, 4, 5 } } };
	uint64_t d = 0;

	for (unsigned int i = 0; i < COUNT(sized); i++) {
		d = mix(d, sized[i]((uint8_t)hide(i + 40)));
	}
	say("sizes", d);
	bigs[1] = bigs[hide(0)];
	bigs[1].words[2] = hide(99);
	say("big", mix(mix_bytes(0, bigs[0].words, sizeof(bigs[0].words)), bigs[1].words[2] + bigs[1].tail[4]));
}
