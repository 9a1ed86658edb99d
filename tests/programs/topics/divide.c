/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Division and multiplication of every width, by what is known and by what is not, and of twice the width. */
#include "../program.h"

#define PAIRS 24

/* By constants: compilers multiply by reciprocals and shift. */
#define BY_CONSTANTS(type, name)                                                                                       \
	static NOINLINE uint64_t name(type a)                                                                          \
	{                                                                                                              \
		uint64_t d = 0;                                                                                        \
                                                                                                                       \
		d = mix(d, (uint64_t)(a / 3));                                                                         \
		d = mix(d, (uint64_t)(a % 5));                                                                         \
		d = mix(d, (uint64_t)(a / 7));                                                                         \
		d = mix(d, (uint64_t)(a % 10));                                                                        \
		d = mix(d, (uint64_t)(a / 16));                                                                        \
		d = mix(d, (uint64_t)(a % 16));                                                                        \
		d = mix(d, (uint64_t)(a / 100));                                                                       \
		return mix(d, (uint64_t)(a % 127));                                                                    \
	}
BY_CONSTANTS(uint8_t, by_constants_u8)
BY_CONSTANTS(int8_t, by_constants_s8)
BY_CONSTANTS(uint16_t, by_constants_u16)
BY_CONSTANTS(int16_t, by_constants_s16)
BY_CONSTANTS(uint32_t, by_constants_u32)
BY_CONSTANTS(int32_t, by_constants_s32)
BY_CONSTANTS(uint64_t, by_constants_u64)
BY_CONSTANTS(int64_t, by_constants_s64)

/* By variables. The one quotient that does not exist besides those by 0, lowest / -1, is left out by the caller. */
#define BY_VARIABLE(type, name)                                                                                        \
	static NOINLINE uint64_t name(type a, type b)                                                                  \
	{                                                                                                              \
		type quotient = (type)(a / b);                                                                         \
		type rest = (type)(a % b);                                                                             \
                                                                                                                       \
		return mix(mix(0, (uint64_t)quotient), (uint64_t)rest);                                                \
	}
BY_VARIABLE(uint8_t, by_variable_u8)
BY_VARIABLE(int8_t, by_variable_s8)
BY_VARIABLE(uint16_t, by_variable_u16)
BY_VARIABLE(int16_t, by_variable_s16)
BY_VARIABLE(uint32_t, by_variable_u32)
BY_VARIABLE(int32_t, by_variable_s32)
BY_VARIABLE(uint64_t, by_variable_u64)
BY_VARIABLE(int64_t, by_variable_s64)

static uint64_t divide_unsigned(uint64_t d, uint64_t a, uint64_t b)
{
	d = mix(d, by_variable_u8((uint8_t)a, (uint8_t)(b | 1)));
	d = mix(d, by_variable_u16((uint16_t)a, (uint16_t)(b | 1)));
	d = mix(d, by_variable_u32((uint32_t)a, (uint32_t)(b | 1)));
	d = mix(d, by_variable_u64(a, b ? b : 9));
	d = mix(d, by_constants_u8((uint8_t)a));
	d = mix(d, by_constants_u16((uint16_t)a));
	d = mix(d, by_constants_u32((uint32_t)a));
	return mix(d, by_constants_u64(a));
}

static uint64_t divide_signed(uint64_t d, uint64_t a, uint64_t b)
{
	int8_t b8 = (int8_t)(b | 1);
	int16_t b16 = (int16_t)(b | 1);
	int32_t b32 = (int32_t)(b | 1);
	int64_t b64 = (int64_t)(b ? b : 9);

	d = mix(d, by_variable_s8((int8_t)a, b8));
	d = mix(d, by_variable_s16((int16_t)a, b16));
	d = mix(d, by_variable_s32((int32_t)a, b32 == -1 ? 3 : b32));
	d = mix(d, by_variable_s64((int64_t)a, b64 == -1 ? -3 : b64));
	d = mix(d, by_constants_s8((int8_t)a));
	d = mix(d, by_constants_s16((int16_t)a));
	d = mix(d, by_constants_s32((int32_t)a));
	return mix(d, by_constants_s64((int64_t)a));
}

void topic_divide(void)
{
	struct source s = source(0x1D1F1DE5);
	uint64_t without_sign = 0;
	uint64_t with_sign = 0;

	for (unsigned int i = 0; i < PAIRS; i++) {
		uint64_t a = next_wide(&s);
		uint64_t b = next_wide(&s);

		without_sign = divide_unsigned(without_sign, a, b);
		with_sign = divide_signed(with_sign, a, b);
	}
	say("unsigned", without_sign);
	say("signed", with_sign);
	say("2^64-1 / 10^9", hide(UINT64_MAX) / hide(1000000000));
	say("2^64-1 % 10^19", hide(UINT64_MAX) % hide(UINT64_C(10000000000000000000)));
	say("-2^63 / 3", (uint64_t)((int64_t)hide(UINT64_C(1) << 63) / (int64_t)hide(3)));
	say("-7 % 2^40", (uint64_t)((int64_t)hide(UINT64_C(0) - 7) % (int64_t)hide(UINT64_C(1) << 40)));
}

static NOINLINE uint64_t by_factors(uint64_t a, uint64_t b)
{
	uint64_t d = mix(0, a * b);

	d = mix(d, (uint64_t)(uint32_t)a * (uint32_t)b);
	d = mix(d, (uint64_t)((int64_t)(int32_t)a * (int32_t)b));
	d = mix(d, (uint64_t)((int32_t)(int16_t)a * (int16_t)b));
	d = mix(d, (uint8_t)a * (unsigned int)(uint8_t)b);
	d = mix(d, (uint64_t)((int8_t)a * (int)(int8_t)b));
	d = mix(d, (uint64_t)(uint32_t)a * (uint32_t)b >> 32);
	d = mix(d, (uint16_t)(a * 3) + (uint32_t)(b * 5) + a * 9 + b * 11);
	d = mix(d, (uint32_t)a * 100u);
	d = mix(d, a * 1000 - b * 7);
	return mix(d, a * UINT64_C(0x123456789ABCDEF) + (uint32_t)b * 0x10001u);
}

/* High half of a product of 64 bits, by four products of 32: what everyone writes where there is no wider type. */
static NOINLINE uint64_t high_half(uint64_t a, uint64_t b)
{
	uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX);
	uint64_t left = (a >> 32) * (b & UINT32_MAX);
	uint64_t right = (a & UINT32_MAX) * (b >> 32);
	uint64_t middle = (low >> 32) + (left & UINT32_MAX) + (right & UINT32_MAX);

	return (a >> 32) * (b >> 32) + (left >> 32) + (right >> 32) + (middle >> 32);
}

void topic_multiply(void)
{
	struct source s = source(0x3141592653589793);
	uint64_t products = 0;
	uint64_t halves = 0;
	uint64_t powers = 1;

	for (unsigned int i = 0; i < PAIRS * 3; i++) {
		uint64_t a = next_wide(&s);
		uint64_t b = next_wide(&s);

		products = mix(products, by_factors(a, b));
		halves = mix(halves, high_half(a, b));
		powers *= hide(13);
	}
	say("products", products);
	say("high halves", halves);
	say("13^72", powers);
}

#ifdef __SIZEOF_INT128__
static uint64_t mix_pair(uint64_t d, unsigned __int128 value)
{
	return mix(mix(d, (uint64_t)value), (uint64_t)(value >> 64));
}

static NOINLINE uint64_t by_pairs(unsigned __int128 a, unsigned __int128 b, unsigned int count)
{
	uint64_t d = mix_pair(0, a * b);

	d = mix_pair(d, a / b);
	d = mix_pair(d, a % b);
	d = mix_pair(d, (unsigned __int128)((__int128)a / (__int128)(b >> 1 | 1)));
	d = mix_pair(d, (unsigned __int128)((__int128)a % (__int128)(b >> 1 | 1)));
	d = mix_pair(d, a + b);
	d = mix_pair(d, a - b);
	d = mix_pair(d, a << count | b >> count);
	d = mix_pair(d, (unsigned __int128)((__int128)a >> count));
	d = mix(d, a < b);
	d = mix(d, (__int128)a < (__int128)b);
	return mix(d, (uint64_t)(a / 10));
}

static uint64_t wide_pairs(struct source *s)
{
	uint64_t d = 0;

	for (unsigned int i = 0; i < PAIRS; i++) {
		unsigned __int128 a = (unsigned __int128)next_wide(s) << 64 | next(s);
		unsigned __int128 b = (unsigned __int128)next_wide(s) << (next(s) & 63) | (next(s) | 1);

		d = mix(d, by_pairs(a, b, (unsigned int)next(s) & 127));
	}
	return d;
}
#else
static uint64_t wide_pairs(struct source *s)
{
	return s->state;
}
#endif

void topic_wide(void)
{
	struct source s = source(0x2718281828459045);

	say("128 bits", wide_pairs(&s));
}
