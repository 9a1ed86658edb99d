/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Arithmetic that says when it has overflowed, and numbers of many words with carries between them. */
#include "../program.h"

#define OVERFLOWS(type, name)                                                                                          \
	static NOINLINE uint64_t name(type a, type b)                                                                  \
	{                                                                                                              \
		type sum;                                                                                              \
		type difference;                                                                                       \
		type product;                                                                                          \
		uint64_t d = __builtin_add_overflow(a, b, &sum);                                                       \
                                                                                                                       \
		d |= (uint64_t)__builtin_sub_overflow(a, b, &difference) << 1;                                         \
		d |= (uint64_t)__builtin_mul_overflow(a, b, &product) << 2;                                            \
		return mix(mix(mix(d, (uint64_t)sum), (uint64_t)difference), (uint64_t)product);                       \
	}
OVERFLOWS(uint8_t, overflow_u8)
OVERFLOWS(int8_t, overflow_s8)
OVERFLOWS(uint16_t, overflow_u16)
OVERFLOWS(int16_t, overflow_s16)
OVERFLOWS(uint32_t, overflow_u32)
OVERFLOWS(int32_t, overflow_s32)
OVERFLOWS(uint64_t, overflow_u64)
OVERFLOWS(int64_t, overflow_s64)

static NOINLINE int32_t add_saturated(int32_t a, int32_t b)
{
	int32_t sum;

	if (__builtin_add_overflow(a, b, &sum)) {
		return a < 0 ? INT32_MIN : INT32_MAX;
	}
	return sum;
}

static NOINLINE uint16_t subtract_saturated(uint16_t a, uint16_t b)
{
	uint16_t difference;

	return __builtin_sub_overflow(a, b, &difference) ? 0 : difference;
}

/* Operands of other types than the result's. */
static NOINLINE uint64_t overflow_mixed(int64_t a, uint32_t b)
{
	int16_t narrow;
	uint64_t wide;
	uint64_t d = __builtin_add_overflow(a, b, &narrow);

	d |= (uint64_t)__builtin_sub_overflow(b, (int32_t)a, &wide) << 1;
	return mix(mix(d, (uint64_t)narrow), wide);
}

void topic_overflow(void)
{
	struct source s = source(0x0F);
	uint64_t d = 0;
	uint64_t saturated = 0;

	for (unsigned int i = 0; i < 64; i++) {
		uint64_t a = next_wide(&s);
		uint64_t b = next_wide(&s);

		d = mix(d, overflow_u8((uint8_t)a, (uint8_t)b));
		d = mix(d, overflow_s8((int8_t)a, (int8_t)b));
		d = mix(d, overflow_u16((uint16_t)a, (uint16_t)b));
		d = mix(d, overflow_s16((int16_t)a, (int16_t)b));
		d = mix(d, overflow_u32((uint32_t)a, (uint32_t)b));
		d = mix(d, overflow_s32((int32_t)a, (int32_t)b));
		d = mix(d, overflow_u64(a, b));
		d = mix(d, overflow_s64((int64_t)a, (int64_t)b));
		d = mix(d, overflow_mixed((int64_t)a, (uint32_t)b));
		saturated = mix(saturated, (uint64_t)add_saturated((int32_t)a, (int32_t)b));
		saturated = mix(saturated, subtract_saturated((uint16_t)a, (uint16_t)b));
	}
	say("overflows", d);
	say("saturated", saturated);
}

/* Words of the size whose carries the instruction set has; the lowest first. */
#define WORDS 12
#ifdef __x86_64__
typedef unsigned long long limb;
typedef unsigned __int128 limb_pair;
#define ADD_WITH_CARRY __builtin_ia32_addcarryx_u64
#ifdef __clang__
#define SUBTRACT_WITH_BORROW __builtin_ia32_subborrow_u64
#else
#define SUBTRACT_WITH_BORROW __builtin_ia32_sbb_u64
#endif
#else
typedef unsigned int limb;
typedef unsigned long long limb_pair;
#define ADD_WITH_CARRY __builtin_ia32_addcarryx_u32
#ifdef __clang__
#define SUBTRACT_WITH_BORROW __builtin_ia32_subborrow_u32
#else
#define SUBTRACT_WITH_BORROW __builtin_ia32_sbb_u32
#endif
#endif
#define LIMBS (WORDS * 8 / sizeof(limb))

static NOINLINE unsigned char add(limb *to, const limb *a, const limb *b)
{
	unsigned char carry = 0;

	for (size_t i = 0; i < LIMBS; i++) {
		carry = ADD_WITH_CARRY(carry, a[i], b[i], &to[i]);
	}
	return carry;
}

static NOINLINE unsigned char subtract(limb *to, const limb *a, const limb *b)
{
	unsigned char borrow = 0;

	for (size_t i = 0; i < LIMBS; i += 2) {
		borrow = SUBTRACT_WITH_BORROW(borrow, a[i], b[i], &to[i]);
		borrow = SUBTRACT_WITH_BORROW(borrow, a[i + 1], b[i + 1], &to[i + 1]);
	}
	return borrow;
}

/* The carry as C has it, by comparison. */
static NOINLINE limb add_compared(limb *to, const limb *a, const limb *b)
{
	limb carry = 0;

	for (size_t i = 0; i < LIMBS; i++) {
		limb sum = a[i] + carry;

		carry = sum < carry;
		to[i] = sum + b[i];
		carry += to[i] < sum;
	}
	return carry;
}

static NOINLINE limb multiply_by(limb *number, limb factor)
{
	limb carry = 0;

	for (size_t i = 0; i < LIMBS; i++) {
		limb_pair product = (limb_pair)number[i] * factor + carry;

		number[i] = (limb)product;
		carry = (limb)(product >> (8 * sizeof(limb)));
	}
	return carry;
}

static NOINLINE unsigned int divide_by(limb *number, unsigned int divisor)
{
	uint64_t rest = 0;
	uint32_t halves[WORDS * 2];

	memcpy(halves, number, sizeof(halves));
	for (size_t i = COUNT(halves); i-- > 0;) {
		rest = rest << 32 | halves[i];
		halves[i] = (uint32_t)(rest / divisor);
		rest %= divisor;
	}
	memcpy(number, halves, sizeof(halves));
	return (unsigned int)rest;
}

static void say_decimal(const char *name, const limb *value)
{
	char digits[240];
	limb number[LIMBS];
	size_t at = sizeof(digits);
	limb left;

	memcpy(number, value, sizeof(number));
	do {
		digits[--at] = (char)('0' + divide_by(number, 10));
		left = 0;
		for (size_t i = 0; i < LIMBS; i++) {
			left |= number[i];
		}
	} while (left != 0 && at > 0);
	say_text(name, digits + at, sizeof(digits) - at);
}

void topic_carries(void)
{
	limb a[LIMBS] = { 1 };
	limb b[LIMBS] = { 1 };
	limb sum[LIMBS];
	uint64_t carries = 0;

	for (limb i = 2; i <= hide(40); i++) {
		multiply_by(a, i);
	}
	say_decimal("40!", a);
	for (unsigned int i = 0; i < hide(96); i++) {
		limb left = multiply_by(b, (limb)hide(233));

		carries = mix(carries, left);
		carries = mix(carries, add(sum, a, b));
		carries = mix(carries, subtract(b, b, a));
		carries = mix(carries, add_compared(a, a, sum));
	}
	say("carries", carries);
	say("sum", mix_bytes(0, a, sizeof(a)));
	say("difference", mix_bytes(0, b, sizeof(b)));
}
