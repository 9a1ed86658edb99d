/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/descriptor.h"

#include <hindsight/types.h>

/* Where the fields are (SDM vol. 3A figure 3-8): limit 15:0 and 51:48, base 39:16 and 63:56. */
#define LIMIT_LOW_BITS 16
#define LIMIT_HIGH_SHIFT 48
#define BASE_LOW_SHIFT 16
#define BASE_LOW_MASK 0xFFFFFFu
#define BASE_HIGH_SHIFT 56
#define TYPE_SHIFT 40
#define S_SHIFT 44
#define DPL_SHIFT 45
#define P_SHIFT 47
#define AVL_SHIFT 52
#define L_SHIFT 53
#define DB_SHIFT 54
#define G_SHIFT 55

static uint64_t bit(uint8_t flag, unsigned int shift)
{
	return (uint64_t)(flag & 1u) << shift;
}

uint64_t hs_descriptor_encode(const struct hs_segment *segment)
{
	uint64_t limit = segment->g ? segment->limit / HS_PAGE_SIZE : segment->limit;
	uint64_t base = segment->base;

	return (limit & 0xFFFF) | (limit >> LIMIT_LOW_BITS & 0xF) << LIMIT_HIGH_SHIFT |
	       (base & BASE_LOW_MASK) << BASE_LOW_SHIFT | (base >> 24 & 0xFF) << BASE_HIGH_SHIFT |
	       (uint64_t)(segment->type & 0xF) << TYPE_SHIFT | bit(segment->s, S_SHIFT) |
	       (uint64_t)(segment->dpl & 3) << DPL_SHIFT | bit(segment->present, P_SHIFT) |
	       bit(segment->avl, AVL_SHIFT) | bit(segment->l, L_SHIFT) | bit(segment->db, DB_SHIFT) |
	       bit(segment->g, G_SHIFT);
}

void hs_descriptor_decode(uint64_t descriptor, uint16_t selector, struct hs_segment *ret)
{
	uint32_t limit = (uint32_t)((descriptor & 0xFFFF) | (descriptor >> LIMIT_HIGH_SHIFT & 0xF) << LIMIT_LOW_BITS);
	struct hs_segment segment = {
		.base = (descriptor >> BASE_LOW_SHIFT & BASE_LOW_MASK) | (descriptor >> BASE_HIGH_SHIFT) << 24,
		.selector = selector,
		.type = descriptor >> TYPE_SHIFT & 0xF,
		.present = descriptor >> P_SHIFT & 1,
		.dpl = descriptor >> DPL_SHIFT & 3,
		.db = descriptor >> DB_SHIFT & 1,
		.s = descriptor >> S_SHIFT & 1,
		.l = descriptor >> L_SHIFT & 1,
		.g = descriptor >> G_SHIFT & 1,
		.avl = descriptor >> AVL_SHIFT & 1,
	};

	segment.limit = segment.g ? limit << 12 | 0xFFF : limit;
	if (segment.s) {
		segment.type |= HS_DESCRIPTOR_ACCESSED;
	}
	*ret = segment;
}
