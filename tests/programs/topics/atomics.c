/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Atomic operations of every size, and those of two words. */
#include "../program.h"

#define ATOMICS(type, name)                                                                                            \
	static NOINLINE uint64_t name(type *at, type value)                                                            \
	{                                                                                                              \
		type expected = (type)(*at + (value & 1));                                                             \
		uint64_t d = mix(0, (uint64_t)__atomic_fetch_add(at, value, __ATOMIC_SEQ_CST));                        \
                                                                                                                       \
		d = mix(d, (uint64_t)__atomic_sub_fetch(at, 3, __ATOMIC_ACQ_REL));                                     \
		d = mix(d, (uint64_t)__atomic_fetch_or(at, (type)(value >> 1), __ATOMIC_SEQ_CST));                     \
		d = mix(d, (uint64_t)__atomic_fetch_and(at, (type) ~(value >> 2), __ATOMIC_SEQ_CST));                  \
		d = mix(d, (uint64_t)__atomic_xor_fetch(at, value, __ATOMIC_RELAXED));                                 \
		d = mix(d, (uint64_t)__atomic_fetch_nand(at, value, __ATOMIC_SEQ_CST));                                \
		d = mix(d, (uint64_t)__atomic_exchange_n(at, value, __ATOMIC_SEQ_CST));                                \
		d = mix(d, __atomic_compare_exchange_n(at, &expected, 7, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));  \
		d = mix(d, (uint64_t)expected);                                                                        \
		d = mix(d, __atomic_compare_exchange_n(at, &expected, (type)~value, true, __ATOMIC_SEQ_CST,            \
						       __ATOMIC_RELAXED));                                             \
		(void)__atomic_add_fetch(at, 1, __ATOMIC_SEQ_CST);                                                     \
		(void)__atomic_or_fetch(at, 64, __ATOMIC_SEQ_CST);                                                     \
		(void)__atomic_and_fetch(at, (type)~32, __ATOMIC_SEQ_CST);                                             \
		__atomic_thread_fence(__ATOMIC_SEQ_CST);                                                               \
		return mix(d, (uint64_t)__atomic_load_n(at, __ATOMIC_ACQUIRE));                                        \
	}
ATOMICS(uint8_t, atomics8)
ATOMICS(uint16_t, atomics16)
ATOMICS(uint32_t, atomics32)
ATOMICS(unsigned long, atomics_long)

/* Counters that only their flags are asked of, and single bits (lock bts, btr, btc). */
static NOINLINE uint64_t flags(unsigned int *at, unsigned int bit)
{
	uint64_t d = __atomic_sub_fetch(at, 1, __ATOMIC_SEQ_CST) == 0;

	d |= (uint64_t)((int)__atomic_add_fetch(at, bit, __ATOMIC_SEQ_CST) < 0) << 1;
	d |= (uint64_t)((__atomic_fetch_or(at, 1u << (bit & 31), __ATOMIC_SEQ_CST) & 1u << (bit & 31)) != 0) << 2;
	d |= (uint64_t)((__atomic_fetch_and(at, ~(1u << 5), __ATOMIC_SEQ_CST) & 1u << 5) != 0) << 3;
	d |= (uint64_t)((__atomic_fetch_xor(at, 1u << (bit & 31), __ATOMIC_SEQ_CST) & 1u << (bit & 31)) != 0) << 4;
	return d;
}

void topic_atomics(void)
{
	struct source s = source(0xA703);
	uint8_t a = 1;
	uint16_t b = 2;
	uint32_t c = 3;
	unsigned long e = 4;
	unsigned int f = 5;
	bool lock = false;
	uint64_t d = 0;

	for (unsigned int i = 0; i < 48; i++) {
		uint64_t v = next_wide(&s);

		d = mix(d, atomics8(&a, (uint8_t)v));
		d = mix(d, atomics16(&b, (uint16_t)v));
		d = mix(d, atomics32(&c, (uint32_t)v));
		d = mix(d, atomics_long(&e, (unsigned long)v));
		d = mix(d, flags(&f, (unsigned int)v));
		d = mix(d, __atomic_test_and_set(&lock, __ATOMIC_ACQUIRE));
		if (v & 1) {
			__atomic_clear(&lock, __ATOMIC_RELEASE);
		}
	}
	say("values", d);
	say("left", mix(mix(mix(mix(mix(0, a), b), c), e), f));
}

/* cmpxchg16b or cmpxchg8b. */
#if defined(__x86_64__)
typedef unsigned __int128 pair;
#else
typedef uint64_t pair;
#endif

static NOINLINE pair swap_pair(pair *at, pair expected, pair value)
{
	return __sync_val_compare_and_swap(at, expected, value);
}

static NOINLINE pair add_pair(pair *at, pair value)
{
	pair seen = 0;

	for (;;) {
		pair was = __sync_val_compare_and_swap(at, seen, seen + value);

		if (was == seen) {
			return was;
		}
		seen = was;
	}
}

void topic_atomics_pair(void)
{
	struct source s = source(0xCCCC);
	_Alignas(16) pair at = 0;
	uint64_t d = 0;

	for (unsigned int i = 0; i < 64; i++) {
		pair v = (pair)next(&s) << (4 * sizeof(pair)) | (pair)next(&s) >> 3;
		pair was = i & 1 ? swap_pair(&at, at, v) : swap_pair(&at, at + (i & 2), v);

		d = mix(d, (uint64_t)was);
		d = mix(d, (uint64_t)(was >> (4 * sizeof(pair))));
		d = mix(d, (uint64_t)add_pair(&at, v >> 5));
	}
	say("values", d);
	say("left", mix_bytes(0, &at, sizeof(at)));
}
