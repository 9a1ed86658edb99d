/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Single bits and bytes: counts, searches, reversals, the shapes that have instructions of their own, sets of bits. */
#include "../program.h"

/* Counting; of 0 only what has a meaning. */
static NOINLINE uint64_t counts(uint64_t a)
{
	uint64_t some = a ? a : 1;
	uint32_t some32 = (uint32_t)a ? (uint32_t)a : 1;
	uint64_t d = mix(0, (uint64_t)__builtin_popcountll(a));

	d = mix(d, (uint64_t)__builtin_popcount((uint32_t)a));
	d = mix(d, (uint64_t)__builtin_clzll(some));
	d = mix(d, (uint64_t)__builtin_clz(some32));
	d = mix(d, (uint64_t)__builtin_ctzll(some));
	d = mix(d, (uint64_t)__builtin_ctz(some32));
	d = mix(d, (uint64_t)__builtin_ffsll((long long)a));
	d = mix(d, (uint64_t)__builtin_ffs((int)a));
	d = mix(d, (uint64_t)__builtin_parityll(a));
	d = mix(d, (uint64_t)__builtin_parity((uint32_t)a));
	d = mix(d, a ? (uint64_t)__builtin_clzll(a) : 64);
	return mix(d, (uint32_t)a ? (uint64_t)__builtin_ctz((uint32_t)a) : 32);
}

static NOINLINE uint64_t swaps(uint64_t a)
{
	uint64_t d = mix(0, __builtin_bswap64(a));

	d = mix(d, __builtin_bswap32((uint32_t)a));
	return mix(d, __builtin_bswap16((uint16_t)a));
}

/* As in andn, blsi, blsmsk, blsr, bextr, bzhi, rorx, shlx, mulx. */
static NOINLINE uint64_t shapes(uint64_t a, uint64_t b)
{
	unsigned int start = (unsigned int)b & 31;
	unsigned int length = (unsigned int)(b >> 8) & 31;
	uint64_t d = mix(0, ~a & b);

	d = mix(d, a & (0 - a));
	d = mix(d, a ^ (a - 1));
	d = mix(d, a & (a - 1));
	d = mix(d, (uint32_t)~a & (uint32_t)b);
	d = mix(d, (uint32_t)a & (0 - (uint32_t)a));
	d = mix(d, (uint32_t)a & ((uint32_t)a - 1));
	d = mix(d, (a >> start) & ((UINT64_C(1) << length) - 1));
	d = mix(d, ((uint32_t)a >> start) & ((1u << length) - 1));
	d = mix(d, a & ~(UINT64_MAX << length));
	d = mix(d, (a >> 11 | a << 53) + ((uint32_t)b >> 5 | (uint32_t)b << 27));
	d = mix(d, (int64_t)a < 0 ? b >> start : b << start);
	return mix(d, (uint64_t)(uint32_t)a * (uint32_t)b);
}

/* Numbers of the other byte order in memory (movbe), on no boundary. */
static NOINLINE uint64_t big_endian(const unsigned char *from, unsigned char *to)
{
	uint64_t a;
	uint32_t b;
	uint16_t c;

	memcpy(&a, from, sizeof(a));
	memcpy(&b, from + 9, sizeof(b));
	memcpy(&c, from + 14, sizeof(c));
	a = __builtin_bswap64(a) + 1;
	b = __builtin_bswap32(b) + 1;
	c = (uint16_t)(__builtin_bswap16(c) + 1);
	uint64_t sum = a + b + c;

	a = __builtin_bswap64(a);
	b = __builtin_bswap32(b);
	c = __builtin_bswap16(c);
	memcpy(to + 1, &a, sizeof(a));
	memcpy(to + 9, &b, sizeof(b));
	memcpy(to + 13, &c, sizeof(c));
	return sum;
}

static NOINLINE uint64_t reverse(uint64_t a)
{
	a = (a >> 1 & UINT64_C(0x5555555555555555)) | (a & UINT64_C(0x5555555555555555)) << 1;
	a = (a >> 2 & UINT64_C(0x3333333333333333)) | (a & UINT64_C(0x3333333333333333)) << 2;
	a = (a >> 4 & UINT64_C(0x0F0F0F0F0F0F0F0F)) | (a & UINT64_C(0x0F0F0F0F0F0F0F0F)) << 4;
	return __builtin_bswap64(a);
}

/* Bits of one to every other bit: pdep and pext where they are, loops elsewhere; the same numbers must come out. */
static NOINLINE uint64_t deposit(uint64_t a, uint64_t mask)
{
#if defined(__BMI2__) && defined(__x86_64__)
	return __builtin_ia32_pdep_di(a, mask);
#else
	uint64_t to = 0;

	for (; mask; mask &= mask - 1, a >>= 1) {
		to |= a & 1 ? mask & (0 - mask) : 0;
	}
	return to;
#endif
}

static NOINLINE uint64_t extract(uint64_t a, uint64_t mask)
{
#if defined(__BMI2__) && defined(__x86_64__)
	return __builtin_ia32_pext_di(a, mask);
#else
	uint64_t to = 0;

	for (unsigned int i = 0; mask; mask &= mask - 1, i++) {
		to |= (uint64_t)((a & mask & (0 - mask)) != 0) << i;
	}
	return to;
#endif
}

void topic_bits(void)
{
	struct source s = source(0xB175);
	unsigned char bytes[24];
	uint64_t d = 0;
	uint64_t spread = 0;

	for (unsigned int i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (unsigned char)next(&s);
	}
	for (unsigned int i = 0; i < 64; i++) {
		uint64_t a = next_wide(&s);
		uint64_t b = next(&s);

		d = mix(d, counts(a));
		d = mix(d, swaps(a));
		d = mix(d, shapes(a, b));
		d = mix(d, big_endian(bytes + (i & 7), bytes + (i >> 3)));
		d = mix(d, reverse(b));
		if (i % 4 == 0) {
			spread = mix(spread, deposit(a, b));
			spread = mix(spread, extract(b, a));
		}
	}
	say("bits", d);
	say("bytes", mix_bytes(0, bytes, sizeof(bytes)));
	say("spread", spread);
}

/* Sets in memory (bt, bts, btr, btc with counts in registers or known). */
static NOINLINE bool flip(unsigned long *set, unsigned int bit)
{
	unsigned int bits = 8 * sizeof(*set);
	bool was = set[bit / bits] >> bit % bits & 1;

	set[bit / bits] ^= 1ul << bit % bits;
	return was;
}

static NOINLINE uint64_t touch(uint64_t set, unsigned int bit)
{
	uint64_t with = set | UINT64_C(1) << (bit & 63);
	uint64_t without = set & ~(UINT64_C(1) << (bit & 63));
	uint64_t other = set ^ UINT64_C(1) << (bit & 63);
	uint32_t narrow = (uint32_t)set & ~(1u << (bit & 31));

	if (set & UINT64_C(1) << (bit & 63)) {
		other++;
	}
	set |= UINT64_C(1) << 40;
	set &= ~(UINT64_C(1) << 51);
	set ^= UINT64_C(1) << 63;
	return mix(mix(mix(mix(with, without), other), narrow), set);
}

void topic_bitsets(void)
{
	struct source s = source(0xB175E7);
	unsigned long set[256 / 8 / sizeof(unsigned long)] = { 0 };
	uint64_t touched = 0;
	uint64_t found = 0;

	for (unsigned int i = 0; i < 200; i++) {
		unsigned int bit = (unsigned int)(next(&s) >> 20) & 255;

		found = mix(found, flip(set, bit));
		touched = mix(touched, touch(next(&s), bit));
	}
	say("touched", touched);
	say("found", found);
	say("set", mix_bytes(0, set, sizeof(set)));
	found = 0;
	for (size_t i = 0; i < COUNT(set); i++) {
		for (unsigned long left = set[i]; left; left &= left - 1) {
			found += (uint64_t)__builtin_ctzl(left) + i * 8 * sizeof(left);
		}
	}
	say("sum of members", found);
}
