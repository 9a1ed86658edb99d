/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shape.h"

const struct shape shapes[SHAPES] = {
	{ HS_PAGING_32BIT, 2, 4, 0, 1, { 22, 12 }, 0xfffff000 },
	{ HS_PAGING_PAE, 3, 8, 1, 1, { 30, 21, 12 }, UINT64_C(0xffffffffff000) },
	{ HS_PAGING_4LEVEL, 4, 8, 1, 2, { 39, 30, 21, 12 }, UINT64_C(0xffffffffff000) },
	{ HS_PAGING_5LEVEL, 5, 8, 2, 2, { 48, 39, 30, 21, 12 }, UINT64_C(0xffffffffff000) },
	{ HS_PAGING_AARCH64_TTBR0, 4, 8, 1, 2, { 39, 30, 21, 12 }, UINT64_C(0xfffffffff000) },
};

bool shape_has_halves(const struct shape *shape)
{
	return shape->format == HS_PAGING_4LEVEL || shape->format == HS_PAGING_5LEVEL;
}

static bool is_pdpte(const struct shape *shape, unsigned int depth)
{
	return shape->format == HS_PAGING_PAE && depth == 0;
}

unsigned int shape_entries(const struct shape *shape, unsigned int depth)
{
	return is_pdpte(shape, depth) ? 4 : 4096 / shape->bytes;
}

uint64_t shape_entry(const struct shape *shape, unsigned int depth, uint64_t gpa)
{
	/* P, W and U; a PDPTE has neither W nor U. In aarch64 these are a table or a page, and the kind of memory. */
	return gpa | (is_pdpte(shape, depth) ? 1 : 7);
}

uint64_t shape_gva(const struct shape *shape, unsigned int depth, uint64_t index)
{
	uint64_t gva = index << shape->shifts[depth];

	/* The upper half of a root of 512 entries repeats its highest bit. */
	return shape_has_halves(shape) && depth == 0 && index >= 256 ? gva | ~UINT64_C(0) << shape->shifts[0] << 9
								     : gva;
}

void shape_fill(struct ram *ram, const struct shape *shape, unsigned int depth, uint64_t table, unsigned int first,
		unsigned int end, uint64_t gpa)
{
	for (unsigned int i = first; i < end; i++) {
		ram_put(ram, table + (uint64_t)i * shape->bytes, shape->bytes, shape_entry(shape, depth, gpa));
	}
}
