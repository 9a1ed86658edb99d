/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sorting in six ways, through pointers to functions and without, numbers, records and strings. */
#include "../program.h"

#define MANY 96

struct record {
	int16_t key;
	uint8_t tag;
	uint64_t payload;
};

typedef int order(const void *a, const void *b);

static int by_key(const void *a, const void *b)
{
	const struct record *left = a;
	const struct record *right = b;

	if (left->key != right->key) {
		return left->key < right->key ? -1 : 1;
	}
	return (int)left->tag - (int)right->tag;
}

static int by_value(const void *a, const void *b)
{
	int32_t left;
	int32_t right;

	memcpy(&left, a, sizeof(left));
	memcpy(&right, b, sizeof(right));
	return (left > right) - (left < right);
}

static void swap(unsigned char *a, unsigned char *b, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = a[i];

		a[i] = b[i];
		b[i] = c;
	}
}

static NOINLINE void quick(unsigned char *base, size_t count, size_t size, order *order)
{
	size_t last = 0;

	if (count < 2) {
		return;
	}
	swap(base, base + count / 2 * size, size);
	for (size_t i = 1; i < count; i++) {
		if (order(base + i * size, base) < 0) {
			swap(base + ++last * size, base + i * size, size);
		}
	}
	swap(base, base + last * size, size);
	quick(base, last, size, order);
	quick(base + (last + 1) * size, count - last - 1, size, order);
}

static NOINLINE void insertion(int32_t *values, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		int32_t value = values[i];
		size_t at = i;

		for (; at > 0 && values[at - 1] > value; at--) {
			values[at] = values[at - 1];
		}
		values[at] = value;
	}
}

static NOINLINE void shell(uint64_t *values, size_t count)
{
	for (size_t gap = count / 2; gap > 0; gap /= 2) {
		for (size_t i = gap; i < count; i++) {
			uint64_t value = values[i];
			size_t at = i;

			for (; at >= gap && values[at - gap] > value; at -= gap) {
				values[at] = values[at - gap];
			}
			values[at] = value;
		}
	}
}

static void sift(uint16_t *values, size_t at, size_t count)
{
	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && values[child] < values[child + 1]) {
			child++;
		}
		if (values[at] >= values[child]) {
			return;
		}
		uint16_t value = values[at];

		values[at] = values[child];
		values[child] = value;
	}
}

static NOINLINE void heap(uint16_t *values, size_t count)
{
	for (size_t i = count / 2; i-- > 0;) {
		sift(values, i, count);
	}
	for (size_t i = count; i-- > 1;) {
		uint16_t value = values[0];

		values[0] = values[i];
		values[i] = value;
		sift(values, 0, i);
	}
}

static NOINLINE void merge(const int8_t **texts, const int8_t **room, size_t count)
{
	size_t half = count / 2;
	size_t left = 0;
	size_t right = half;

	if (count < 2) {
		return;
	}
	merge(texts, room, half);
	merge(texts + half, room, count - half);
	for (size_t i = 0; i < count; i++) {
		bool first = right == count || (left < half && *texts[left] <= *texts[right]);

		room[i] = first ? texts[left++] : texts[right++];
	}
	memcpy(texts, room, count * sizeof(*texts));
}

/* By digits of a byte. */
static NOINLINE void radix(uint32_t *values, uint32_t *room, size_t count)
{
	for (unsigned int shift = 0; shift < 16; shift += 8) {
		uint16_t starts[257] = { 0 };

		for (size_t i = 0; i < count; i++) {
			starts[(values[i] >> shift & 255) + 1]++;
		}
		for (unsigned int i = 0; i < 256; i++) {
			starts[i + 1] = (uint16_t)(starts[i + 1] + starts[i]);
		}
		for (size_t i = 0; i < count; i++) {
			room[starts[values[i] >> shift & 255]++] = values[i];
		}
		memcpy(values, room, count * sizeof(*values));
	}
}

static void sort_others(struct source *s)
{
	uint16_t shorts[MANY];
	uint64_t longs[MANY];
	uint32_t ints[MANY];
	uint32_t room[MANY];
	int8_t bytes[MANY];
	const int8_t *texts[MANY];
	const int8_t *texts_room[MANY];
	uint64_t d = 0;

	for (size_t i = 0; i < MANY; i++) {
		shorts[i] = (uint16_t)next(s);
		longs[i] = next_wide(s);
		ints[i] = (uint32_t)next(s) & 0xFFFF;
		bytes[i] = (int8_t)next(s);
		texts[i] = &bytes[i];
	}
	shell(longs, MANY);
	heap(shorts, MANY);
	radix(ints, room, MANY);
	merge(texts, texts_room, MANY);
	say("longs", mix_bytes(0, longs, sizeof(longs)));
	say("shorts", mix_bytes(0, shorts, sizeof(shorts)));
	say("ints", mix_bytes(0, ints, sizeof(ints)));
	for (size_t i = 0; i < MANY; i++) {
		d = mix(d, (uint64_t)(texts[i] - bytes));
	}
	say("pointers", d);
}

void topic_sorting(void)
{
	struct source s = source(0x5027);
	struct record records[MANY];
	int32_t values[MANY];
	int32_t others[MANY];
	uint64_t d = 0;

	for (size_t i = 0; i < MANY; i++) {
		uint64_t v = next(&s);

		records[i] = (struct record){ (int16_t)(v % 60) - 30, (uint8_t)i, v };
		values[i] = others[i] = (int32_t)(v >> 20);
	}
	quick((unsigned char *)records, MANY, sizeof(records[0]), by_key);
	quick((unsigned char *)values, MANY, sizeof(values[0]), by_value);
	insertion(others, MANY);
	for (size_t i = 0; i < MANY; i++) {
		d = mix(d, (uint64_t)records[i].key ^ records[i].payload);
	}
	say("records", d);
	say("values", mix_bytes(0, values, sizeof(values)));
	say("same", memcmp(values, others, sizeof(values)) == 0);
	sort_others(&s);
}
