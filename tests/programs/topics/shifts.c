/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shifts and rotates of every width by every count, known and unknown; of two words together; and extracts. */
#include "../program.h"

#define SHIFTS(bits, kind)                                                                                             \
	static NOINLINE uint64_t kind##shifts##bits(kind##int##bits##_t a, unsigned int count)                         \
	{                                                                                                              \
		uint64_t d = mix(0, (uint64_t)(kind##int##bits##_t)((uint##bits##_t)a << count));                      \
                                                                                                                       \
		d = mix(d, (uint64_t)(kind##int##bits##_t)(a >> count));                                               \
		d = mix(d, (uint64_t)(kind##int##bits##_t)(a >> 1));                                                   \
		d = mix(d, (uint64_t)(kind##int##bits##_t)(a >> (bits - 1)));                                          \
		return mix(d, (uint64_t)(kind##int##bits##_t)((uint##bits##_t)a << (bits / 2 - 1)));                   \
	}
SHIFTS(8, )
SHIFTS(16, )
SHIFTS(32, )
SHIFTS(64, )
SHIFTS(8, u)
SHIFTS(16, u)
SHIFTS(32, u)
SHIFTS(64, u)

/* shld and shrd. */
static NOINLINE uint64_t pairs32(uint32_t high, uint32_t low, unsigned int count)
{
	uint64_t both = (uint64_t)high << 32 | low;

	return mix((both << count) >> 32, (uint32_t)(both >> count));
}

static NOINLINE uint64_t pairs64(uint64_t high, uint64_t low, unsigned int count)
{
	uint64_t left = high << count | low >> 1 >> (63 - count);
	uint64_t right = low >> count | high << 1 << (63 - count);

	return mix(left, right);
}

static NOINLINE uint64_t pairs_known(uint64_t high, uint64_t low)
{
	uint64_t d = mix(0, high << 3 | low >> 61);

	d = mix(d, low >> 17 | high << 47);
	d = mix(d, (uint32_t)high << 5 | (uint32_t)low >> 27);
	return mix(d, (uint16_t)((uint16_t)high << 12 | (uint16_t)low >> 4));
}

void topic_shifts(void)
{
	struct source s = source(0x5BF7);
	uint64_t narrow = 0;
	uint64_t wide = 0;
	uint64_t pairs = 0;

	for (unsigned int i = 0; i < 64; i++) {
		uint64_t a = next(&s);

		narrow = mix(narrow, shifts8((int8_t)a, i & 7));
		narrow = mix(narrow, ushifts8((uint8_t)a, i & 7));
		narrow = mix(narrow, shifts16((int16_t)a, i & 15));
		narrow = mix(narrow, ushifts16((uint16_t)a, i & 15));
		wide = mix(wide, shifts32((int32_t)a, i & 31));
		wide = mix(wide, ushifts32((uint32_t)a, i & 31));
		wide = mix(wide, shifts64((int64_t)a, i));
		wide = mix(wide, ushifts64(a, i));
		pairs = mix(pairs, pairs32((uint32_t)a, (uint32_t)next(&s), i & 31));
		pairs = mix(pairs, pairs64(a, next(&s), i));
		pairs = mix(pairs, pairs_known(a, next(&s)));
	}
	say("8 and 16 bits", narrow);
	say("32 and 64 bits", wide);
	say("two words", pairs);
}

#define ROTATES(bits)                                                                                                  \
	static NOINLINE uint64_t rotates##bits(uint##bits##_t a, unsigned int count)                                   \
	{                                                                                                              \
		uint##bits##_t left = (uint##bits##_t)(a << count | a >> (-count & (bits - 1)));                       \
		uint##bits##_t right = (uint##bits##_t)(a >> count | a << (-count & (bits - 1)));                      \
		uint##bits##_t by_one = (uint##bits##_t)(a << 1 | a >> (bits - 1));                                    \
		uint##bits##_t by_three = (uint##bits##_t)(a >> 3 | a << (bits - 3));                                  \
                                                                                                                       \
		return mix(mix(mix(left, right), by_one), by_three);                                                   \
	}
ROTATES(8)
ROTATES(16)
ROTATES(32)
ROTATES(64)

/* In memory. */
static NOINLINE void rotate_all(uint32_t *words, size_t count, unsigned int by)
{
	for (size_t i = 0; i < count; i++) {
		words[i] = words[i] << (by & 31) | words[i] >> (-by & 31);
		words[i] ^= words[(i + 1) % count] >> 7 | words[(i + 1) % count] << 25;
	}
}

void topic_rotates(void)
{
	struct source s = source(0x407A7E);
	uint32_t words[8];
	uint64_t d = 0;

	for (unsigned int i = 0; i < 64; i++) {
		uint64_t a = next(&s);

		d = mix(d, rotates8((uint8_t)a, i & 7));
		d = mix(d, rotates16((uint16_t)a, i & 15));
		d = mix(d, rotates32((uint32_t)a, i & 31));
		d = mix(d, rotates64(a, i));
		words[i % COUNT(words)] = (uint32_t)a;
	}
	say("registers", d);
	for (unsigned int i = 0; i < 40; i++) {
		rotate_all(words, COUNT(words), i);
	}
	say("memory", mix_bytes(0, words, sizeof(words)));
}
