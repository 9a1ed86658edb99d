/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sections are those of DDI 0487, chapter D8. */
#include "naive_aarch64.h"

/* What the tables on the way take away (D8.4, hierarchical control of permissions). */
struct limits {
	bool read_only, no_el0, uxn, pxn;
};

static uint64_t field(uint64_t number, unsigned int high, unsigned int low)
{
	return (number >> low) % ((uint64_t)2 << (high - low));
}

static bool read_descriptor(const struct arm_memory *memory, uint64_t address, uint64_t *ret)
{
	uint64_t number = 0;

	for (unsigned int i = 0; i < 8; i++) {
		uint64_t offset = address + i - memory->base;

		if (address + i < memory->base || offset >= memory->length) {
			return false;
		}
		number += (uint64_t)memory->bytes[offset] << (8 * i);
	}
	*ret = number;
	return true;
}

/* D8.4: AP[2:1], then APTable; XN bits, then XNTable; what EL0 may write EL1 does not execute. */
static void judge(struct arm_result *result, uint64_t descriptor, const struct limits *limits)
{
	bool read_only = field(descriptor, 7, 7) || limits->read_only;
	bool el0 = field(descriptor, 6, 6) && !limits->no_el0;

	result->el1_write = !read_only;
	result->el0_read = el0;
	result->el0_write = el0 && !read_only;
	result->el0_execute = !field(descriptor, 54, 54) && !limits->uxn;
	result->el1_execute = !field(descriptor, 53, 53) && !limits->pxn && !result->el0_write;
	result->tagged = field(descriptor, 58, 55) == 8 && field(descriptor, 7, 7);
	result->attributes = field(descriptor, 63, 48) << 48 | field(descriptor, 11, 8) << 8 |
			     field(descriptor, 5, 2) << 2;
}

/* One level. True when the walk goes on at *table, false when *ret says how it ended. */
static bool step(const struct arm_memory *memory, const struct arm_controls *controls, uint64_t address,
		 unsigned int level, uint64_t *table, struct limits *limits, struct arm_result *ret)
{
	/* D8.2, 4 KiB granule: levels 0 to 3 are indexed by bits 47:39, 38:30, 29:21 and 20:12. */
	unsigned int low = 39 - 9 * level;
	uint64_t place = *table + field(address, low + 8, low) * 8;
	uint64_t covers = (uint64_t)1 << low;
	uint64_t descriptor = 0;
	unsigned int lowest = 12;

	*ret = (struct arm_result){
		.start = address / covers * covers, .length = covers, .physical = place, .level = level
	};
	if (!read_descriptor(memory, place, &descriptor)) {
		ret->outcome = ARM_NO_MEMORY;
		ret->physical = *table;
		return false;
	}
	if (field(descriptor, 0, 0) == 0) {
		ret->outcome = ARM_INVALID;
		ret->physical = 0;
		return false;
	}
	if (field(descriptor, 1, 1) == 0) {
		if (level == 0 || level == 3) {
			ret->outcome = ARM_RESERVED_ENCODING;
			return false;
		}
		lowest = low;
	}
	/* Bits below the address of a block are no part of it. */
	if (controls->output_bits < 48 &&
	    field(descriptor, 47, controls->output_bits > lowest ? controls->output_bits : lowest) != 0) {
		ret->outcome = ARM_ADDRESS_SIZE_FAULT;
		return false;
	}
	if (level < 3 && field(descriptor, 1, 1) == 1) {
		*table = field(descriptor, 47, 12) << 12;
		limits->read_only = limits->read_only || field(descriptor, 62, 62);
		limits->no_el0 = limits->no_el0 || field(descriptor, 61, 61);
		limits->uxn = limits->uxn || field(descriptor, 60, 60);
		limits->pxn = limits->pxn || field(descriptor, 59, 59);
		return true;
	}
	ret->outcome = ARM_MEMORY;
	ret->physical = field(descriptor, 47, lowest) << lowest;
	judge(ret, descriptor, limits);
	return false;
}

struct arm_result arm_walk(const struct arm_memory *memory, const struct arm_controls *controls, uint64_t address)
{
	struct limits limits = { false, false, false, false };
	uint64_t table = field(controls->ttbr, 47, 12) << 12;
	struct arm_result result;

	/* D8.1: with 48 bits TTBR0 is for addresses whose bits 63:48 are zeros, TTBR1 for those where they are ones. */
	if (field(address, 63, 48) != (controls->ttbr1 ? 0xffff : 0)) {
		return (struct arm_result){ .outcome = ARM_OTHER_HALF,
					    .start = controls->ttbr1 ? 0 : 0x0001000000000000,
					    .length = 0xffff000000000000 };
	}
	for (unsigned int level = 0; step(memory, controls, address, level, &table, &limits, &result); level++) {
	}
	return result;
}
