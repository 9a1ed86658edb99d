/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bit fields of all types and sizes, packed and not, read, written, compared and counted with. */
#include "../program.h"

struct narrow {
	unsigned int a : 1;
	unsigned int b : 3;
	signed int c : 5;
	unsigned int d : 7;
	signed int e : 11;
	unsigned int f : 5;
};

struct __attribute__((packed)) across {
	uint8_t before;
	uint64_t a : 13;
	int64_t b : 27;
	uint64_t c : 33;
	int32_t d : 3;
	bool e : 1;
	uint16_t f : 11;
	uint8_t after;
};

struct wide {
	uint64_t low : 20;
	uint64_t middle : 40;
	int64_t high : 4;
	int64_t all;
};

static NOINLINE void fill_narrow(struct narrow *n, uint64_t v)
{
	n->a = v & 1;
	n->b = v >> 1 & 7;
	n->c = (int)(v >> 4 & 15) - 8;
	n->d = v >> 9 & 127;
	n->e = (int)(v >> 16 & 1023) - 512;
	n->f = v >> 27 & 31;
}

static NOINLINE uint64_t read_narrow(const struct narrow *n)
{
	uint64_t d = mix(0, n->a);

	d = mix(d, n->b);
	d = mix(d, (uint64_t)n->c);
	d = mix(d, n->d);
	d = mix(d, (uint64_t)n->e);
	return mix(d, n->f);
}

static NOINLINE uint64_t count_narrow(struct narrow *n)
{
	n->b++;
	n->d += n->f;
	n->c = n->e < 0 ? -n->c / 2 : n->c / 2;
	n->f ^= n->b;
	n->a = n->d > 64;
	return (uint64_t)(n->b == n->a) | (uint64_t)(n->c < 0) << 1;
}

static NOINLINE uint64_t use_across(struct across *x, uint64_t v)
{
	x->before = (uint8_t)v;
	x->a = v & 0x1FFF;
	x->b = (int64_t)v >> 37;
	x->c = v >> 31;
	x->d = (int32_t)(v & 3);
	x->e = v >> 7 & 1;
	x->f += (uint16_t)(v & 31);
	x->after++;
	return mix(mix(mix(mix(x->a, (uint64_t)x->b), x->c), (uint64_t)x->d), (uint64_t)x->e + x->f);
}

static NOINLINE uint64_t use_wide(struct wide *w, uint64_t v)
{
	w->low += v & 0xFFF;
	w->middle = w->middle * 3 + w->low;
	w->high = w->middle & 1 ? -(int64_t)(v & 7) : (int64_t)(v & 7);
	w->all += w->high;
	return w->low + w->middle + (uint64_t)w->high;
}

void topic_bitfields(void)
{
	struct source s = source(0xF1E1D);
	struct narrow n;
	struct across x;
	struct wide w;
	uint64_t d = 0;

	memset(&n, 0, sizeof(n));
	memset(&x, 0, sizeof(x));
	memset(&w, 0, sizeof(w));
	for (unsigned int i = 0; i < 80; i++) {
		uint64_t v = next(&s);

		fill_narrow(&n, v);
		d = mix(d, read_narrow(&n));
		d = mix(d, count_narrow(&n));
		d = mix(d, read_narrow(&n));
		d = mix(d, use_across(&x, v));
		d = mix(d, use_wide(&w, v));
	}
	say("values", d);
	say("narrow", mix_bytes(0, &n, sizeof(n)));
	say("across", mix_bytes(0, &x, sizeof(x)));
	say("wide", mix_bytes(0, &w, sizeof(w)));
}
