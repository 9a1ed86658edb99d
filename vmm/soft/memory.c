/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guest-physical memory: the regions that the VM has mapped, and the same as a struct hs_phys for paging/'s walker. */
#include "vmm/soft/cpu.h"

#include "base/error.h"

#include <hindsight/mem.h>

#include <string.h>

struct hs_soft_region *hs_soft_region_of(struct hs_soft_cpu *cpu, uint64_t gpa)
{
	for (size_t i = 0; i < cpu->region_count; i++) {
		if (gpa - cpu->regions[i].gpa < cpu->regions[i].length) {
			return &cpu->regions[i];
		}
	}
	return NULL;
}

static const uint8_t *phys_pointer(void *ctx, hs_gpa gpa, uint64_t *ret_length)
{
	const struct hs_soft_region *region = hs_soft_region_of(ctx, gpa.v);

	if (!region) {
		return NULL;
	}
	*ret_length = region->length - (gpa.v - region->gpa);
	return region->host + (gpa.v - region->gpa);
}

static enum hs_status phys_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	uint8_t *to = buffer;

	while (length > 0) {
		uint64_t there;
		const uint8_t *from = phys_pointer(ctx, gpa, &there);
		size_t part;

		if (!from) {
			return hs_error_set(err, HS_ERR_UNREADABLE, 0, gpa.v, "no memory at gpa 0x%llx",
					    (unsigned long long)gpa.v);
		}
		part = there < length ? (size_t)there : length;
		memcpy(to, from, part);
		to += part;
		gpa.v += part;
		length -= part;
	}
	return HS_OK;
}

static int phys_next_region(void *ctx, hs_gpa gpa, hs_gpa *ret_start, uint64_t *ret_length)
{
	const struct hs_soft_cpu *cpu = ctx;
	const struct hs_soft_region *best = NULL;

	for (size_t i = 0; i < cpu->region_count; i++) {
		const struct hs_soft_region *region = &cpu->regions[i];

		if (region->gpa + (region->length - 1) >= gpa.v && (!best || region->gpa < best->gpa)) {
			best = region;
		}
	}
	if (!best) {
		return 0;
	}
	ret_start->v = best->gpa > gpa.v ? best->gpa : gpa.v;
	*ret_length = best->length - (ret_start->v - best->gpa);
	return 1;
}

static const struct hs_phys_ops phys_ops = {
	.read = phys_read,
	.pointer = phys_pointer,
	.next_region = phys_next_region,
};

struct hs_phys hs_soft_phys(struct hs_soft_cpu *cpu)
{
	return (struct hs_phys){ .ops = &phys_ops, .ctx = cpu };
}
