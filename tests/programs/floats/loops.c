/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loops that compilers make vectors of, over as many elements as no width divides. */
#include "float.h"

#define MANY 203

#define FLOAT_LOOPS(type, name)                                                                                        \
	static NOINLINE void scale_##name(type *restrict y, const type *restrict x, type a, size_t count)              \
	{                                                                                                              \
		for (size_t i = 0; i < count; i++) {                                                                   \
			y[i] += a * x[i];                                                                              \
		}                                                                                                      \
	}                                                                                                              \
                                                                                                                       \
	static NOINLINE type dot_##name(const type *x, const type *y, size_t count)                                    \
	{                                                                                                              \
		type sum = 0;                                                                                          \
                                                                                                                       \
		for (size_t i = 0; i < count; i++) {                                                                   \
			sum += x[i] * y[i];                                                                            \
		}                                                                                                      \
		return sum;                                                                                            \
	}                                                                                                              \
                                                                                                                       \
	static NOINLINE void limit_##name(type *restrict to, const type *restrict x, const type *restrict y,           \
					  size_t count)                                                                \
	{                                                                                                              \
		for (size_t i = 0; i < count; i++) {                                                                   \
			type low = x[i] < y[i] ? x[i] : y[i];                                                          \
			type high = x[i] > y[i] ? x[i] : y[i];                                                         \
                                                                                                                       \
			to[i] = low < 0 ? -low : high > 2 ? 2 : high - low;                                            \
		}                                                                                                      \
	}                                                                                                              \
                                                                                                                       \
	static NOINLINE void shape_##name(type *restrict to, const type *restrict x, size_t count)                     \
	{                                                                                                              \
		for (size_t i = 0; i < count; i++) {                                                                   \
			type size = x[i] < 0 ? -x[i] : x[i];                                                           \
                                                                                                                       \
			to[i] = size > (type)0.25 ? (type)__builtin_sqrt(size) / (1 + size) : 1 / (size + 1);          \
		}                                                                                                      \
	}                                                                                                              \
                                                                                                                       \
	/* Real and imaginary parts side by side, and backwards. */                                                    \
	static NOINLINE void multiply_##name(type *restrict to, const type *restrict x, const type *restrict y,        \
					     size_t count)                                                             \
	{                                                                                                              \
		for (size_t i = 0; i + 1 < count; i += 2) {                                                            \
			type re = x[i] * y[i] - x[i + 1] * y[i + 1];                                                   \
			type im = x[i] * y[i + 1] + x[i + 1] * y[i];                                                   \
                                                                                                                       \
			to[count - 1 - i] = re;                                                                        \
			to[count - 2 - i] = im;                                                                        \
		}                                                                                                      \
	}                                                                                                              \
                                                                                                                       \
	static NOINLINE type greatest_##name(const type *x, size_t count)                                              \
	{                                                                                                              \
		type best = x[0];                                                                                      \
                                                                                                                       \
		for (size_t i = 1; i < count; i++) {                                                                   \
			best = x[i] > best ? x[i] : best;                                                              \
		}                                                                                                      \
		return best;                                                                                           \
	}                                                                                                              \
                                                                                                                       \
	/* By indices: loads from everywhere. */                                                                       \
	static NOINLINE void gather_##name(type *restrict to, const type *restrict x, const uint32_t *restrict at,     \
					   size_t count)                                                               \
	{                                                                                                              \
		for (size_t i = 0; i < count; i++) {                                                                   \
			to[i] = x[at[i] % MANY] + x[3 * i % MANY];                                                     \
		}                                                                                                      \
	}                                                                                                              \
                                                                                                                       \
	static void loops_##name(struct source *s)                                                                     \
	{                                                                                                              \
		static type x[MANY], y[MANY], to[MANY];                                                                \
		static uint32_t at[MANY];                                                                              \
		uint64_t d = 0;                                                                                        \
                                                                                                                       \
		for (size_t i = 0; i < MANY; i++) {                                                                    \
			x[i] = (type)(next_fraction(s) * 4 - 2);                                                       \
			y[i] = (type)(next_fraction(s) * 3 - 1);                                                       \
			at[i] = (uint32_t)next(s);                                                                     \
		}                                                                                                      \
		for (size_t count = (size_t)hide(MANY) - 9; count <= MANY; count++) {                                  \
			scale_##name(y, x, (type)0.3, count);                                                          \
			limit_##name(to, x, y, count);                                                                 \
			d = mix_bytes(d, to, sizeof(to));                                                              \
			multiply_##name(to, x, y, count);                                                              \
			type product = dot_##name(x, y, count);                                                        \
			type best = greatest_##name(to, count);                                                        \
                                                                                                                       \
			shape_##name(y, to, count);                                                                    \
			gather_##name(to, y, at, count);                                                               \
			d = MIX_FLOAT(mix_bytes(d, to, sizeof(to)), product);                                          \
			d = MIX_FLOAT(d, best);                                                                        \
		}                                                                                                      \
		say(#name, mix_bytes(d, y, sizeof(y)));                                                                \
	}
FLOAT_LOOPS(float, float)
FLOAT_LOOPS(double, double)

void topic_float_loops(void)
{
	struct source s = source(0x5A3B7);

	loops_float(&s);
	loops_double(&s);
}

#define SIDE 20
#define MATRICES(type, name)                                                                                           \
	static NOINLINE void multiply_matrix_##name(type to[SIDE][SIDE], const type a[SIDE][SIDE],                     \
						    const type b[SIDE][SIDE])                                          \
	{                                                                                                              \
		for (size_t i = 0; i < SIDE; i++) {                                                                    \
			for (size_t j = 0; j < SIDE; j++) {                                                            \
				to[i][j] = 0;                                                                          \
			}                                                                                              \
			for (size_t k = 0; k < SIDE; k++) {                                                            \
				for (size_t j = 0; j < SIDE; j++) {                                                    \
					to[i][j] += a[i][k] * b[k][j];                                                 \
				}                                                                                      \
			}                                                                                              \
		}                                                                                                      \
	}                                                                                                              \
                                                                                                                       \
	static NOINLINE void transpose_##name(type to[SIDE][SIDE], const type a[SIDE][SIDE])                           \
	{                                                                                                              \
		for (size_t i = 0; i < SIDE; i++) {                                                                    \
			for (size_t j = 0; j < SIDE; j++) {                                                            \
				to[j][i] = a[i][j];                                                                    \
			}                                                                                              \
		}                                                                                                      \
	}                                                                                                              \
                                                                                                                       \
	static void matrices_##name(struct source *s)                                                                  \
	{                                                                                                              \
		static type a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];                                               \
                                                                                                                       \
		for (size_t i = 0; i < SIDE; i++) {                                                                    \
			for (size_t j = 0; j < SIDE; j++) {                                                            \
				a[i][j] = (type)(next(s) & 15);                                                        \
				b[i][j] = (type)(next(s) >> 20 & 31) / 8;                                              \
			}                                                                                              \
		}                                                                                                      \
		for (unsigned int i = 0; i < 3; i++) {                                                                 \
			multiply_matrix_##name(c, (const type(*)[SIDE])a, (const type(*)[SIDE])b);                     \
			transpose_##name(a, (const type(*)[SIDE])c);                                                   \
		}                                                                                                      \
		say(#name, mix_bytes(0, c, sizeof(c)));                                                                \
	}
MATRICES(float, float)
MATRICES(double, double)
MATRICES(int32_t, int32_t)
MATRICES(uint16_t, uint16_t)

void topic_matrices(void)
{
	struct source s = source(0x3A781CE);

	matrices_float(&s);
	matrices_double(&s);
	matrices_int32_t(&s);
	matrices_uint16_t(&s);
}

/* Sums, products, absolute differences, minima, limits, means, shifts, and choices: in lanes of one width. */
#define INTEGER_LOOPS(type, wide)                                                                                      \
	static NOINLINE wide sum_##type(const type *x, size_t count)                                                   \
	{                                                                                                              \
		wide sum = 0;                                                                                          \
                                                                                                                       \
		for (size_t i = 0; i < count; i++) {                                                                   \
			sum += x[i];                                                                                   \
		}                                                                                                      \
		return sum;                                                                                            \
	}                                                                                                              \
                                                                                                                       \
	static NOINLINE wide product_##type(const type *x, const type *y, size_t count)                                \
	{                                                                                                              \
		wide sum = 0;                                                                                          \
                                                                                                                       \
		for (size_t i = 0; i < count; i++) {                                                                   \
			sum += (wide)x[i] * (wide)y[i];                                                                \
		}                                                                                                      \
		return sum;                                                                                            \
	}                                                                                                              \
                                                                                                                       \
	static NOINLINE wide distance_##type(const type *x, const type *y, size_t count)                               \
	{                                                                                                              \
		wide sum = 0;                                                                                          \
                                                                                                                       \
		for (size_t i = 0; i < count; i++) {                                                                   \
			sum += (wide)(x[i] > y[i] ? (wide)x[i] - (wide)y[i] : (wide)y[i] - (wide)x[i]);                \
		}                                                                                                      \
		return sum;                                                                                            \
	}                                                                                                              \
                                                                                                                       \
	static NOINLINE void combine_##type(type *restrict to, const type *restrict x, const type *restrict y,         \
					    size_t count)                                                              \
	{                                                                                                              \
		for (size_t i = 0; i < count; i++) {                                                                   \
			type low = x[i] < y[i] ? x[i] : y[i];                                                          \
			type high = x[i] < y[i] ? y[i] : x[i];                                                         \
                                                                                                                       \
			to[i] = (type)((type)(high >> 3) + (type)(low << 2) + (x[i] == y[i]) * 5 + (x[i] ^ 21));       \
		}                                                                                                      \
	}                                                                                                              \
                                                                                                                       \
	static NOINLINE void average_##type(type *restrict to, const type *restrict x, size_t count)                   \
	{                                                                                                              \
		for (size_t i = 0; i < count; i++) {                                                                   \
			to[i] = (type)(((wide)to[i] + (wide)x[i] + 1) >> 1);                                           \
		}                                                                                                      \
	}                                                                                                              \
                                                                                                                       \
	static NOINLINE size_t equal_##type(const type *x, type value, size_t count)                                   \
	{                                                                                                              \
		size_t found = 0;                                                                                      \
                                                                                                                       \
		for (size_t i = 0; i < count; i++) {                                                                   \
			found += x[i] == value;                                                                        \
		}                                                                                                      \
		return found;                                                                                          \
	}                                                                                                              \
                                                                                                                       \
	static void integers_##type(struct source *s)                                                                  \
	{                                                                                                              \
		static type x[MANY], y[MANY], to[MANY];                                                                \
		uint64_t d = 0;                                                                                        \
                                                                                                                       \
		for (size_t i = 0; i < MANY; i++) {                                                                    \
			x[i] = (type)next_wide(s);                                                                     \
			y[i] = i % 5 ? (type)next(s) : x[i];                                                           \
		}                                                                                                      \
		for (size_t count = (size_t)hide(MANY) - 6; count <= MANY; count += 2) {                               \
			combine_##type(to, x, y, count);                                                               \
			average_##type(y, to, count);                                                                  \
			d = mix(d, (uint64_t)sum_##type(to, count));                                                   \
			d = mix(d, (uint64_t)product_##type(x, to, count));                                            \
			d = mix(d, (uint64_t)distance_##type(y, to, count));                                           \
			d = mix(d, equal_##type(to, y[1], count));                                                     \
		}                                                                                                      \
		say(#type, mix_bytes(mix_bytes(d, to, sizeof(to)), y, sizeof(y)));                                     \
	}
INTEGER_LOOPS(int8_t, int32_t)
INTEGER_LOOPS(uint8_t, uint32_t)
INTEGER_LOOPS(int16_t, int32_t)
INTEGER_LOOPS(uint16_t, uint32_t)
INTEGER_LOOPS(int32_t, uint64_t)
INTEGER_LOOPS(uint64_t, uint64_t)

/* What is cut off where it does not fit. */
static NOINLINE void saturate(uint8_t *restrict to, const int16_t *restrict from, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int value = from[i] / 16 + to[i];

		to[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
	}
}

void topic_integer_loops(void)
{
	struct source s = source(0x177E6E5);
	int16_t from[MANY];
	uint8_t to[MANY];

	integers_int8_t(&s);
	integers_uint8_t(&s);
	integers_int16_t(&s);
	integers_uint16_t(&s);
	integers_int32_t(&s);
	integers_uint64_t(&s);
	for (size_t i = 0; i < MANY; i++) {
		from[i] = (int16_t)next(&s);
		to[i] = (uint8_t)next(&s);
	}
	saturate(to, from, MANY);
	say("saturated", mix_bytes(0, to, sizeof(to)));
}

#define CONVERT(from, to)                                                                                              \
	static NOINLINE void from_##from##_to_##to(to *restrict out, const from *restrict in, size_t count)            \
	{                                                                                                              \
		for (size_t i = 0; i < count; i++) {                                                                   \
			out[i] = (to)in[i];                                                                            \
		}                                                                                                      \
	}
#define EACH_CONVERSION(X)                                                                                             \
	X(int8_t, int16_t)                                                                                             \
	X(uint8_t, uint32_t)                                                                                           \
	X(int16_t, int64_t)                                                                                            \
	X(uint16_t, float)                                                                                             \
	X(int32_t, float)                                                                                              \
	X(uint32_t, double)                                                                                            \
	X(int32_t, double)                                                                                             \
	X(int64_t, double)                                                                                             \
	X(int32_t, int8_t)                                                                                             \
	X(uint64_t, uint16_t)                                                                                          \
	X(float, double)                                                                                               \
	X(double, float)                                                                                               \
	X(float, int32_t)                                                                                              \
	X(double, int32_t)                                                                                             \
	X(float, int16_t)                                                                                              \
	X(double, int64_t)
EACH_CONVERSION(CONVERT)

#define TRY_CONVERSION(from, to)                                                                                       \
	{                                                                                                              \
		static from in[61];                                                                                    \
		static to out[61];                                                                                     \
                                                                                                                       \
		for (size_t i = 0; i < COUNT(in); i++) {                                                               \
			in[i] = (from)((int32_t)next(&s) >> (8 + i % 16));                                             \
		}                                                                                                      \
		from_##from##_to_##to(out, in, COUNT(in));                                                             \
		d = mix_bytes(d, out, sizeof(out));                                                                    \
	}

void topic_converting_loops(void)
{
	struct source s = source(0xC0471);
	uint64_t d = 0;

	EACH_CONVERSION(TRY_CONVERSION)
	say("values", d);
}
