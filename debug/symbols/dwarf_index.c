/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/dwarf_index.h"

#include <stdlib.h>

/** How far a lookup goes back over ranges that end before the address; functions rarely overlap at all. */
#define BACK_MAX 64u

bool hs_dwarf_index_add(struct hs_dwarf_index *index, struct hs_dwarf_code code)
{
	if (code.start >= code.end) {
		return true;
	}
	if (index->count == index->capacity) {
		size_t capacity = 2 * index->capacity + 64;
		struct hs_dwarf_code *larger = reallocarray(index->items, capacity, sizeof(*larger));

		if (larger == NULL) {
			return false;
		}
		index->items = larger;
		index->capacity = capacity;
	}
	index->items[index->count++] = code;
	return true;
}

/* Of those with one start the DIE that comes first is last, which is where a lookup begins. */
static int compare(const void *left, const void *right)
{
	const struct hs_dwarf_code *a = left, *b = right;

	if (a->start != b->start) {
		return a->start < b->start ? -1 : 1;
	}
	return a->die > b->die ? -1 : a->die < b->die;
}

void hs_dwarf_index_sort(struct hs_dwarf_index *index)
{
	if (index->count > 0) {
		qsort(index->items, index->count, sizeof(*index->items), compare);
	}
}

const struct hs_dwarf_code *hs_dwarf_index_at(const struct hs_dwarf_index *index, uint64_t address)
{
	size_t low = 0, high = index->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (index->items[middle].start <= address) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	for (size_t back = 0; back < BACK_MAX && back < low; back++) {
		const struct hs_dwarf_code *code = &index->items[low - 1 - back];

		if (address < code->end) {
			return code;
		}
	}
	return NULL;
}

void hs_dwarf_index_deinit(struct hs_dwarf_index *index)
{
	free(index->items);
	*index = (struct hs_dwarf_index){ 0 };
}
