/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Vectors as compilers know them (gcc manual, "Vector Extensions"): operations on lanes, and lanes moved about. */
#include "float.h"

#define ROUNDS 24

/* All that there is of operations; what a type has not is made of those that it has. */
#define LANES(vector, signs, name)                                                                                     \
	static NOINLINE void integers_##name(vector *to, const vector *x, const vector *y)                             \
	{                                                                                                              \
		const vector one = *x - *x + 1;                                                                        \
                                                                                                                       \
		to[0] = *x + *y * 3;                                                                                   \
		to[1] = (*x & ~*y) | (*y ^ 5);                                                                         \
		to[2] = (*x >> 3) - (*y << 2);                                                                         \
		to[3] = *x << (*y & 7);                                                                                \
		to[4] = *x >> (*y & 3);                                                                                \
		to[5] = *x * *y;                                                                                       \
		to[6] = (vector)(*x > *y) & *x;                                                                        \
		to[7] = (vector)(*x == *y) | (vector)(*x <= one);                                                      \
		to[8] = -*x;                                                                                           \
		to[9] = *x / (*y | one);                                                                               \
	}                                                                                                              \
                                                                                                                       \
	static void try_##name(struct source *s)                                                                       \
	{                                                                                                              \
		vector to[10];                                                                                         \
		vector x[2];                                                                                           \
		uint64_t d = 0;                                                                                        \
                                                                                                                       \
		for (unsigned int i = 0; i < ROUNDS; i++) {                                                            \
			signs values[sizeof(vector) / sizeof(signs) * 2];                                              \
                                                                                                                       \
			for (size_t j = 0; j < COUNT(values); j++) {                                                   \
				values[j] = (signs)next_wide(s);                                                       \
			}                                                                                              \
			memcpy(x, values, sizeof(x));                                                                  \
			integers_##name(to, &x[0], &x[1]);                                                             \
			d = mix_bytes(d, to, sizeof(to));                                                              \
		}                                                                                                      \
		say(#name, d);                                                                                         \
	}
LANES(i8x16, uint8_t, i8x16)
LANES(u8x16, uint8_t, u8x16)
LANES(i16x8, uint16_t, i16x8)
LANES(u16x8, uint16_t, u16x8)
LANES(u32x4, uint32_t, u32x4)
LANES(u64x2, uint64_t, u64x2)
LANES(u8x32, uint8_t, u8x32)
LANES(i16x16, uint16_t, i16x16)
LANES(u32x8, uint32_t, u32x8)
LANES(u64x4, uint64_t, u64x4)

#define FLOAT_LANES(vector, mask, type, name)                                                                          \
	static NOINLINE void floats_##name(vector *to, const vector *x, const vector *y)                               \
	{                                                                                                              \
		mask less = *x < *y;                                                                                   \
		mask same = *x == *y;                                                                                  \
                                                                                                                       \
		to[0] = *x + *y;                                                                                       \
		to[1] = *x * *y - 1;                                                                                   \
		to[2] = *x / *y;                                                                                       \
		to[3] = (vector)((less & (mask)*x) | (~less & (mask)*y));                                              \
		to[4] = (vector)(same ^ (mask)*x);                                                                     \
		to[5] = -*x - *y * *y;                                                                                 \
		to[6] = (vector)((*x != *x) | (*y >= *x));                                                             \
	}                                                                                                              \
                                                                                                                       \
	static void try_##name(struct source *s)                                                                       \
	{                                                                                                              \
		vector to[7];                                                                                          \
		vector x[2];                                                                                           \
		uint64_t d = 0;                                                                                        \
                                                                                                                       \
		for (unsigned int i = 0; i < ROUNDS; i++) {                                                            \
			type values[sizeof(vector) / sizeof(type) * 2];                                                \
                                                                                                                       \
			for (size_t j = 0; j < COUNT(values); j++) {                                                   \
				values[j] = next_##type(s);                                                            \
			}                                                                                              \
			memcpy(x, values, sizeof(x));                                                                  \
			floats_##name(to, &x[0], &x[1]);                                                               \
			d = mix_bytes(d, to, sizeof(to));                                                              \
		}                                                                                                      \
		say(#name, d);                                                                                         \
	}
FLOAT_LANES(f32x4, i32x4, float, f32x4)
FLOAT_LANES(f64x2, i64x2, double, f64x2)
FLOAT_LANES(f32x8, i32x8, float, f32x8)
FLOAT_LANES(f64x4, i64x4, double, f64x4)

void topic_lanes(void)
{
	struct source s = source(0x1A9E5);

	try_i8x16(&s);
	try_u8x16(&s);
	try_i16x8(&s);
	try_u16x8(&s);
	try_u32x4(&s);
	try_u64x2(&s);
	try_u8x32(&s);
	try_i16x16(&s);
	try_u32x8(&s);
	try_u64x4(&s);
	try_f32x4(&s);
	try_f64x2(&s);
	try_f32x8(&s);
	try_f64x4(&s);
}

/* Each of these is one instruction or a few, other ones with each instruction set. */
#define SHUFFLE(vector, number, ...)                                                                                   \
	static NOINLINE void shuffle_##vector##number(vector *to, const vector *x, const vector *y)                    \
	{                                                                                                              \
		*to = __builtin_shufflevector(*x, *y, __VA_ARGS__);                                                    \
	}
#define EACH_SHUFFLE(X)                                                                                                \
	X(u64x2, 0, 1, 0)                                                                                              \
	X(u64x2, 1, 0, 3)                                                                                              \
	X(u64x2, 2, 3, 1)                                                                                              \
	X(f64x2, 0, 1, 2)                                                                                              \
	X(f64x2, 1, 0, 0)                                                                                              \
	X(u32x4, 0, 3, 2, 1, 0)                                                                                        \
	X(u32x4, 1, 0, 4, 1, 5)                                                                                        \
	X(u32x4, 2, 2, 6, 3, 7)                                                                                        \
	X(u32x4, 3, 0, 5, 2, 7)                                                                                        \
	X(f32x4, 0, 0, 0, 2, 2)                                                                                        \
	X(f32x4, 1, 1, 1, 3, 3)                                                                                        \
	X(f32x4, 2, 2, 3, 6, 7)                                                                                        \
	X(f32x4, 3, 4, 1, 2, 3)                                                                                        \
	X(f32x4, 4, 3, 1, 6, 4)                                                                                        \
	X(u16x8, 0, 0, 8, 1, 9, 2, 10, 3, 11)                                                                          \
	X(u16x8, 1, 3, 2, 1, 0, 4, 5, 6, 7)                                                                            \
	X(u16x8, 2, 0, 1, 2, 3, 7, 6, 5, 4)                                                                            \
	X(u16x8, 3, 0, 9, 2, 11, 4, 13, 6, 15)                                                                         \
	X(u16x8, 4, 5, 13, 0, 0, 9, 2, 11, 1)                                                                          \
	X(u8x16, 0, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)                                              \
	X(u8x16, 1, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)                                      \
	X(u8x16, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)                                         \
	X(u8x16, 3, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)                                         \
	X(u64x4, 0, 3, 2, 1, 0)                                                                                        \
	X(u64x4, 1, 0, 4, 2, 6)                                                                                        \
	X(f64x4, 0, 2, 3, 6, 7)                                                                                        \
	X(f64x4, 1, 0, 5, 2, 7)                                                                                        \
	X(u32x8, 0, 7, 0, 6, 1, 5, 2, 4, 3)                                                                            \
	X(u32x8, 1, 0, 8, 1, 9, 4, 12, 5, 13)                                                                          \
	X(f32x8, 0, 0, 0, 2, 2, 4, 4, 6, 6)                                                                            \
	X(f32x8, 1, 8, 1, 10, 3, 12, 5, 14, 7)                                                                         \
	X(u16x16, 0, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)                                             \
	X(u16x16, 1, 0, 17, 2, 19, 4, 21, 6, 23, 8, 25, 10, 27, 12, 29, 14, 31)
EACH_SHUFFLE(SHUFFLE)

#define TRY_SHUFFLE(vector, number, ...)                                                                               \
	{                                                                                                              \
		vector to;                                                                                             \
                                                                                                                       \
		shuffle_##vector##number(&to, (const vector *)bytes, (const vector *)(bytes + 32));                    \
		d = mix_bytes(d, &to, sizeof(to));                                                                     \
	}

/* By an index that is known to nobody. */
static NOINLINE uint32_t lane(const u32x8 *x, unsigned int i)
{
	return (*x)[i & 7];
}

static NOINLINE void set_lane(u16x16 *x, unsigned int i, uint16_t value)
{
	(*x)[i & 15] = value;
}

void topic_shuffles(void)
{
	static _Alignas(32) uint8_t bytes[64];
	struct source s = source(0x5BFF1E);
	u16x16 x = { 0 };
	uint64_t d = 0;

	for (unsigned int i = 0; i < 4; i++) {
		for (size_t j = 0; j < sizeof(bytes); j++) {
			bytes[j] = (uint8_t)next(&s);
		}
		EACH_SHUFFLE(TRY_SHUFFLE)
	}
	say("constant", d);
	for (unsigned int i = 0; i < 16; i++) {
		d = mix(d, lane((const u32x8 *)bytes, (unsigned int)next(&s)));
		set_lane(&x, (unsigned int)next(&s), (uint16_t)d);
	}
	say("by index", mix_bytes(d, &x, sizeof(x)));
}
