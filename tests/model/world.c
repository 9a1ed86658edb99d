/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "world.h"

#include "lib/random.h"

#include <string.h>

uint64_t world_random(struct world *world)
{
	return random_next(&world->seed);
}

static enum hs_status world_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	struct world *world = ctx;

	(void)err;
	if (gpa.v < BASE || gpa.v - BASE > sizeof(world->bytes) || length > sizeof(world->bytes) - (gpa.v - BASE)) {
		return HS_ERR_UNREADABLE;
	}
	memcpy(buffer, world->bytes + (gpa.v - BASE), length);
	return HS_OK;
}

static const uint8_t *world_pointer(void *ctx, hs_gpa gpa, uint64_t *ret_length)
{
	struct world *world = ctx;

	if (gpa.v < BASE || gpa.v - BASE >= sizeof(world->bytes)) {
		return NULL;
	}
	*ret_length = sizeof(world->bytes) - (gpa.v - BASE);
	return world->bytes + (gpa.v - BASE);
}

void world_put(struct world *world, uint64_t offset, uint64_t entry)
{
	for (unsigned int i = 0; i < world->size; i++) {
		world->bytes[offset + i] = (uint8_t)(entry >> (8 * i));
	}
}

const struct world_format world_formats[FORMATS] = {
	{ HS_PAGING_32BIT, NAIVE_32BIT, 2, 4, 10, { 0x00401000, 0x80a05fff, 0xfffff123 } },
	{ HS_PAGING_PAE, NAIVE_PAE, 3, 8, 9, { 0x00201000, 0x80a05fff, 0xfffff123 } },
	{ HS_PAGING_4LEVEL, NAIVE_4LEVEL, 4, 8, 9, { 0x8040201000, 0x7f8a91234567, UINT64_C(0xffff9234567890ab) } },
	{ HS_PAGING_5LEVEL,
	  NAIVE_5LEVEL,
	  5,
	  8,
	  9,
	  { UINT64_C(0x1008040201000), UINT64_C(0xa7f8a91234567), UINT64_C(0xffabcd34567890ab) } },
};

void world_init(struct world *world, size_t which, unsigned int gva)
{
	uint64_t base = world_formats[which].mode == NAIVE_PAE ? gva * UINT64_C(0x7e0) : 0;

	memset(world, 0, sizeof(*world));
	memset(world->bytes, 0xff, sizeof(world->bytes));
	world->memory = (struct naive_memory){ world->bytes, BASE, sizeof(world->bytes) };
	world->ops = (struct hs_phys_ops){ .read = world_read, .pointer = world_pointer };
	world->phys = (struct hs_phys){ .ops = &world->ops, .ctx = world };
	/* The low bits of CR3 are not the address; PAE paging's table begins at any multiple of 32 bytes. */
	world->naive = (struct naive_controls){ .mode = world_formats[which].mode,
						.cr3 = (BASE + base) | 0x18,
						.maxphyaddr = 52 };
	world->root = (struct hs_root){ .format = world_formats[which].format, .base = { BASE + base } };
	world->levels = world_formats[which].levels;
	world->size = world_formats[which].size;
	world->gva = world_formats[which].gvas[gva];
	world->seed = which * 3 + gva;
	for (unsigned int depth = 0; depth < world->levels; depth++) {
		unsigned int shift = 12 + world_formats[which].index_bits * (world->levels - 1 - depth);
		uint64_t index = (world->gva >> shift) % BIT(world_formats[which].index_bits);

		/* The four PDPTEs of PAE paging. */
		index %= world_formats[which].mode == NAIVE_PAE && depth == 0 ? 4 : 1024;
		world->path[depth] = depth * 4096 + index * world->size + (depth == 0 ? base : 0);
		world_put(world, world->path[depth], 0);
	}
}

void world_set_controls(struct world *world, bool nxe, bool pse, unsigned int maxphyaddr)
{
	world->naive.efer_nxe = nxe;
	world->naive.cr4_pse = pse;
	world->naive.maxphyaddr = maxphyaddr;
	world->root.nxe = nxe;
	world->root.pse = pse;
	world->root.maxphyaddr = maxphyaddr == 52 ? 0 : (uint8_t)maxphyaddr;
}

void world_set_rights(struct world *world, unsigned int bits)
{
	world->naive.cr0_wp = bits & 1;
	world->naive.cr4_smep = bits & 2;
	world->naive.cr4_smap = bits & 4;
	world->root.wp = bits & 1;
	world->root.smep = bits & 2;
	world->root.smap = bits & 4;
}

void world_set_pointers(struct world *world, bool pointers)
{
	world->ops.pointer = pointers ? world_pointer : NULL;
}
