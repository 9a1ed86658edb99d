/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lanes.h"

#include <string.h>

#define ELEMENT_MAX 16

/* A format of IEEE 754, or the x87's with its integer bit (SDM vol. 1 4.2.2). */
struct format {
	unsigned int exponent, fraction; /* bits */
};

static uint64_t ones(unsigned int bits)
{
	return bits >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1;
}

/* An exponent and a fraction, both within their bits. */
struct number {
	uint64_t exponent, fraction;
};

/* n + 0.5, or what is next to it: where rounding turns. */
static struct number halfway(struct oracle_random *random, struct format format)
{
	uint64_t bias = ones(format.exponent - 1), shift = oracle_below(random, format.fraction);
	uint64_t half = UINT64_C(1) << (format.fraction - 1 - shift);
	uint64_t whole = oracle_random(random) & ones(format.fraction) & ~(2 * half - 1);

	return (struct number){ bias + shift, ((whole | half) + oracle_below(random, 3) - 1) & ones(format.fraction) };
}

/* 2 to the power of what integers end at, or what is next to it. */
static struct number integer_edge(struct oracle_random *random, struct format format)
{
	static const uint8_t powers[] = { 7, 8, 15, 16, 31, 32, 53, 62, 63, 64 };
	uint64_t bias = ones(format.exponent - 1), power = powers[oracle_below(random, sizeof(powers))];

	switch (oracle_below(random, 4)) {
	case 0:
		return (struct number){ (bias + power - 1) & ones(format.exponent), ones(format.fraction) };
	case 1:
		return (struct number){ (bias + power) & ones(format.exponent), 1 };
	case 2: /* the whole number just below, as far as there is one */
		return (struct number){
			(bias + power - 1) & ones(format.exponent),
			ones(format.fraction) &
				~ones(format.fraction > power ? format.fraction - (unsigned int)power + 1 : 0)
		};
	default:
		return (struct number){ (bias + power) & ones(format.exponent), 0 };
	}
}

static struct number special(struct oracle_random *random, struct format format)
{
	uint64_t all = ones(format.fraction), any = oracle_random(random) & all, top = ones(format.exponent);
	uint64_t quiet = UINT64_C(1) << (format.fraction - 1);

	switch (oracle_below(random, 11)) {
	case 0:
	case 1:
		return (struct number){ 0, 0 };
	case 2:
		return (struct number){ 0, 1 + oracle_below(random, 3) };
	case 3:
		return (struct number){ 0, all - oracle_below(random, 2) };
	case 4:
		return (struct number){ 0, any };
	case 5:
		return (struct number){ 1, oracle_below(random, 2) };
	case 6:
		return (struct number){ top - 1, all - oracle_below(random, 2) };
	case 7:
		return (struct number){ top, 0 };
	case 8:
		return (struct number){ top, any | quiet };
	case 9: /* signalling: not quiet, and not infinite */
		return (struct number){ top, (any & ~quiet) | 1 };
	default:
		return (struct number){ top - 1 - oracle_below(random, 4), any };
	}
}

static struct number ordinary(struct oracle_random *random, struct format format)
{
	uint64_t bias = ones(format.exponent - 1), any = oracle_random(random) & ones(format.fraction);

	switch (oracle_below(random, 8)) {
	case 0:
		return (struct number){ bias, oracle_below(random, 2) };
	case 1:
		return halfway(random, format);
	case 2:
	case 3:
		return integer_edge(random, format);
	case 4: /* products and differences of such are tiny */
		return (struct number){ 1 + oracle_below(random, format.fraction), any };
	case 5:
		return (struct number){ bias / 2 + oracle_below(random, 5), any };
	case 6: /* few bits: results are exact */
		return (struct number){ bias + oracle_below(random, 9) - 4, any & ~ones(format.fraction - 3) };
	default:
		return (struct number){ bias + oracle_below(random, 9) - 4, any };
	}
}

static struct number number(struct oracle_random *random, struct format format)
{
	uint64_t kind = oracle_below(random, 100);

	if (kind < 10) {
		return (struct number){ oracle_random(random) & ones(format.exponent),
					oracle_random(random) & ones(format.fraction) };
	}
	return kind < 45 ? special(random, format) : ordinary(random, format);
}

static void make_float(struct oracle_random *random, struct format format, uint8_t *to)
{
	struct number made = number(random, format);
	uint64_t sign = oracle_random(random) & 1;
	uint64_t value = sign << (format.exponent + format.fraction) | made.exponent << format.fraction | made.fraction;

	memcpy(to, &value, 8);
}

/* With the integer bit; now and then with the wrong one: unnormal, pseudo-denormal, pseudo-infinity, pseudo-NaN. */
static void make_float80(struct oracle_random *random, uint8_t *to)
{
	struct number made = number(random, (struct format){ 15, 63 });
	uint16_t upper = (uint16_t)(made.exponent | (oracle_random(random) & 1) << 15);
	uint64_t integer = made.exponent != 0;

	made.fraction |= (oracle_chance(random, 8) ? !integer : integer) << 63;
	memcpy(to, &made.fraction, 8);
	memcpy(to + 8, &upper, 2);
}

/* 18 digits and a sign. Those that are no digits give undefined results (SDM vol. 2A, "FBLD"): not here. */
static void make_decimal(struct oracle_random *random, uint8_t *to)
{
	unsigned int digits = (unsigned int)oracle_below(random, 10);

	for (unsigned int i = 0; i < 9; i++) {
		to[i] = i < digits ? (uint8_t)(oracle_below(random, 10) << 4 | oracle_below(random, 10)) : 0;
	}
	to[9] = (uint8_t)(oracle_random(random) & 0x80);
}

static void make_integer(struct oracle_random *random, unsigned int bits, uint8_t *to)
{
	unsigned int width = bits > 64 ? 64 : bits;
	uint64_t top = UINT64_C(1) << (width - 1), values[2];

	for (unsigned int i = 0; i < 2; i++) {
		switch (oracle_below(random, 7)) {
		case 0:
			values[i] = top + oracle_below(random, 3) - 1; /* where signed ones end */
			break;
		case 1:
			values[i] = oracle_below(random, 5) - 2; /* where unsigned ones end */
			break;
		case 2: /* where they end in a type of half the width, as packs saturate to */
			values[i] = (UINT64_C(1) << width / 2) / (1 + oracle_below(random, 2)) +
				    oracle_below(random, 3) - 1;
			break;
		case 3: /* a count of a shift, an index */
			values[i] = oracle_below(random, 70);
			break;
		default:
			values[i] = oracle_random(random);
			break;
		}
	}
	memcpy(to, values, sizeof(values));
}

static void make(struct oracle_random *random, ZydisElementType type, unsigned int bits, uint8_t to[ELEMENT_MAX])
{
	switch (type) {
	case ZYDIS_ELEMENT_TYPE_FLOAT16:
		make_float(random, (struct format){ 5, 10 }, to);
		break;
	case ZYDIS_ELEMENT_TYPE_FLOAT32:
		make_float(random, (struct format){ 8, 23 }, to);
		break;
	case ZYDIS_ELEMENT_TYPE_FLOAT64:
		make_float(random, (struct format){ 11, 52 }, to);
		break;
	case ZYDIS_ELEMENT_TYPE_FLOAT80:
		make_float80(random, to);
		break;
	case ZYDIS_ELEMENT_TYPE_LONGBCD:
		make_decimal(random, to);
		break;
	default:
		make_integer(random, bits, to);
		break;
	}
}

void oracle_lanes_init(struct oracle_lanes *lanes, struct oracle_random *random)
{
	lanes->random = random;
	lanes->text = 0;
	lanes->pooled = oracle_chance(random, 45);
	for (unsigned int i = 0; i < ORACLE_POOL; i++) {
		lanes->pool[i].state = oracle_random(random);
	}
}

/* One of the pool, which is a little different at times: the other sign, the number next to it. */
static void make_pooled(struct oracle_lanes *lanes, ZydisElementType type, unsigned int bits, uint8_t to[ELEMENT_MAX])
{
	struct oracle_random copy = lanes->pool[oracle_below(lanes->random, ORACLE_POOL)];

	make(&copy, type, bits, to);
	if (oracle_chance(lanes->random, 10)) {
		to[bits / 8 - 1] ^= 0x80;
	} else if (oracle_chance(lanes->random, 10)) {
		to[0] ^= 1;
	}
}

void oracle_lanes_fill(struct oracle_lanes *lanes, ZydisElementType type, unsigned int bits, uint8_t *to, size_t bytes)
{
	uint8_t element[ELEMENT_MAX];

	if (lanes->text) {
		type = ZYDIS_ELEMENT_TYPE_INT;
		bits = lanes->text;
	} else if (bits < 8 || bits > 8 * ELEMENT_MAX) {
		bits = 64;
	}
	for (size_t at = 0; at < bytes; at += bits / 8) {
		if (lanes->text && oracle_chance(lanes->random, 8)) {
			memset(element, 0, sizeof(element));
		} else if (lanes->pooled) {
			make_pooled(lanes, type, bits, element);
		} else {
			make(lanes->random, type, bits, element);
		}
		memcpy(to + at, element, bytes - at < bits / 8 ? bytes - at : bits / 8);
	}
}
