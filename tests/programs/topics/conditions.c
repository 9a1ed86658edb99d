/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Conversions between all integer types; all conditions as values, as choices and as jumps. */
#include "../program.h"

#define CONVERT(type, name)                                                                                            \
	static NOINLINE uint64_t name(type a)                                                                          \
	{                                                                                                              \
		uint64_t d = mix(0, (uint64_t)(uint8_t)a);                                                             \
                                                                                                                       \
		d = mix(d, (uint64_t)(int8_t)a);                                                                       \
		d = mix(d, (uint64_t)(uint16_t)a);                                                                     \
		d = mix(d, (uint64_t)(int16_t)a);                                                                      \
		d = mix(d, (uint64_t)(uint32_t)a);                                                                     \
		d = mix(d, (uint64_t)(int32_t)a);                                                                      \
		d = mix(d, (uint64_t)(int64_t)a);                                                                      \
		d = mix(d, (uint64_t)(bool)a);                                                                         \
		d = mix(d, (uint64_t)(uint32_t)(int16_t)(uint8_t)a);                                                   \
		return mix(d, (uint64_t)(uint16_t)(int8_t)a);                                                          \
	}
CONVERT(uint8_t, from_u8)
CONVERT(int8_t, from_s8)
CONVERT(uint16_t, from_u16)
CONVERT(int16_t, from_s16)
CONVERT(uint32_t, from_u32)
CONVERT(int32_t, from_s32)
CONVERT(uint64_t, from_u64)
CONVERT(int64_t, from_s64)

/* From memory to memory, byte by byte where the type does not lie on its boundary. */
static NOINLINE void widen(int64_t *to, const int8_t *from, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		to[i] = from[i];
	}
}

static NOINLINE void narrow(uint16_t *to, const int64_t *from, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		to[i] = (uint16_t)(from[i] >> 3);
	}
}

void topic_conversions(void)
{
	struct source s = source(0xC0117E37);
	int8_t bytes[32];
	int64_t words[COUNT(bytes)];
	uint16_t shorts[COUNT(bytes)];
	uint64_t d = 0;

	for (unsigned int i = 0; i < COUNT(bytes); i++) {
		uint64_t a = next_wide(&s);

		d = mix(d, from_u8((uint8_t)a));
		d = mix(d, from_s8((int8_t)a));
		d = mix(d, from_u16((uint16_t)a));
		d = mix(d, from_s16((int16_t)a));
		d = mix(d, from_u32((uint32_t)a));
		d = mix(d, from_s32((int32_t)a));
		d = mix(d, from_u64(a));
		d = mix(d, from_s64((int64_t)a));
		bytes[i] = (int8_t)next(&s);
	}
	say("values", d);
	widen(words, bytes, COUNT(bytes));
	narrow(shorts, words, COUNT(words));
	say("arrays", mix_bytes(mix_bytes(0, words, sizeof(words)), shorts, sizeof(shorts)));
}

/* As values (setcc, or carries), as choices (cmovcc) and as jumps. */
#define COMPARE(type, name)                                                                                            \
	static NOINLINE uint64_t name(type a, type b)                                                                  \
	{                                                                                                              \
		uint64_t d = (uint64_t)(a < b) | (uint64_t)(a <= b) << 1 | (uint64_t)(a == b) << 2 |                   \
			     (uint64_t)(a != b) << 3 | (uint64_t)(a > b) << 4 | (uint64_t)(a >= b) << 5 |              \
			     (uint64_t)((type)(a & b) == 0) << 6 | (uint64_t)((type)(a - b) > 0) << 7;                 \
                                                                                                                       \
		d = mix(d, (uint64_t)(a < b ? a : b));                                                                 \
		d = mix(d, (uint64_t)(a > b ? b * 3 : a + 1));                                                         \
		d = mix(d, (uint64_t)((type)(a + b) <= a ? 17 : a ^ b));                                               \
		if (a >= b && a != 7) {                                                                                \
			d = mix(d, (uint64_t)a);                                                                       \
		}                                                                                                      \
		if ((a & 1) || b == 3) {                                                                               \
			d = mix(d, 5);                                                                                 \
		}                                                                                                      \
		return d;                                                                                              \
	}
COMPARE(uint8_t, compare_u8)
COMPARE(int8_t, compare_s8)
COMPARE(uint16_t, compare_u16)
COMPARE(int16_t, compare_s16)
COMPARE(uint32_t, compare_u32)
COMPARE(uint64_t, compare_u64)

/* The signed ones whose overflow would have no meaning in C: sums of the unsigned type. */
static NOINLINE uint64_t compare_s32(int32_t a, int32_t b)
{
	int32_t difference = (int32_t)((uint32_t)a - (uint32_t)b);
	uint64_t d = (uint64_t)(a < b) | (uint64_t)(a <= b) << 1 | (uint64_t)(a > b) << 2 | (uint64_t)(a >= b) << 3 |
		     (uint64_t)(difference < 0) << 4 | (uint64_t)(difference <= 0) << 5;

	return mix(d, (uint64_t)(a < b ? a : b > 0 ? b : difference));
}

static NOINLINE uint64_t compare_s64(int64_t a, int64_t b)
{
	int64_t difference = (int64_t)((uint64_t)a - (uint64_t)b);
	uint64_t d = (uint64_t)(a < b) | (uint64_t)(a <= b) << 1 | (uint64_t)(a > b) << 2 | (uint64_t)(a >= b) << 3 |
		     (uint64_t)(difference < 0) << 4 | (uint64_t)(difference <= 0) << 5;

	return mix(d, (uint64_t)(a < b ? a : b > 0 ? b : difference));
}

static NOINLINE int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	return value < low ? low : value > high ? high : value;
}

static NOINLINE int sign(int32_t value)
{
	return (value > 0) - (value < 0);
}

void topic_conditions(void)
{
	struct source s = source(0xC04D1710);
	uint64_t compared = 0;
	uint64_t chosen = 0;

	for (unsigned int i = 0; i < 48; i++) {
		uint64_t a = next_wide(&s);
		uint64_t b = i & 1 ? next_wide(&s) : a + (i >> 1 & 3) - 1;

		compared = mix(compared, compare_u8((uint8_t)a, (uint8_t)b));
		compared = mix(compared, compare_s8((int8_t)a, (int8_t)b));
		compared = mix(compared, compare_u16((uint16_t)a, (uint16_t)b));
		compared = mix(compared, compare_s16((int16_t)a, (int16_t)b));
		compared = mix(compared, compare_u32((uint32_t)a, (uint32_t)b));
		compared = mix(compared, compare_s32((int32_t)a, (int32_t)b));
		compared = mix(compared, compare_u64(a, b));
		compared = mix(compared, compare_s64((int64_t)a, (int64_t)b));
		chosen = mix(chosen, (uint64_t)clamp((int64_t)a, -1000, (int64_t)(b >> 1)));
		chosen = mix(chosen, (uint64_t)sign((int32_t)a));
	}
	say("compared", compared);
	say("chosen", chosen);
}
