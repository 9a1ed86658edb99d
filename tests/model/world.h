/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A format, a path of page tables in a small memory, and both walkers' view of them. */
#ifndef HS_TESTS_MODEL_WORLD_H
#define HS_TESTS_MODEL_WORLD_H

#include "naive.h"

#include <hindsight/paging.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BASE UINT64_C(0x10000)
#define PAGES 8
#define LEVELS_MAX 5
#define BIT(n) (UINT64_C(1) << (n))

/* A format, its tables, and where the walk of gva passes through them. */
struct world {
	uint8_t bytes[PAGES * 4096];
	struct naive_memory memory;
	struct hs_phys_ops ops;
	struct hs_phys phys;
	struct naive_controls naive;
	struct hs_root root;
	unsigned int levels, size; /* bytes of an entry */
	uint64_t gva;
	uint64_t path[LEVELS_MAX]; /* offsets of the entries in bytes */
	uint64_t seed;
	uint64_t cases;
	uint64_t pages[LEVELS_MAX]; /* how often a leaf was met there */
};

/** A format under test: the same thing by both names, and addresses to look up. */
struct world_format {
	enum hs_paging_format format;
	enum naive_mode mode;
	unsigned int levels, size, index_bits;
	uint64_t gvas[3];
};

/** The formats that have tables. */
#define FORMATS 4
extern const struct world_format world_formats[FORMATS];

/** Tables of ones, one page a level from BASE on; the entries on the path of an address of the format are 0. */
void world_init(struct world *world, size_t which, unsigned int gva);
/** Tell both walkers. */
void world_set_controls(struct world *world, bool nxe, bool pse, unsigned int maxphyaddr);
/** Tell both judges of accesses: CR0.WP, CR4.SMEP and CR4.SMAP are bits 0 to 2. */
void world_set_rights(struct world *world, unsigned int bits);
/** Store an entry of the format at an offset in bytes. */
void world_put(struct world *world, uint64_t offset, uint64_t entry);
uint64_t world_random(struct world *world);
/** Give host pointers out, or not. */
void world_set_pointers(struct world *world, bool pointers);

#endif
