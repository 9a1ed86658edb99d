/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest-physical memory for tests: a few regions of host memory at chosen addresses, with or without host pointers,
 * and a source of table pages within it.
 */
#ifndef HS_TESTS_PAGING_RAM_H
#define HS_TESTS_PAGING_RAM_H

#include <hindsight/mem.h>
#include <hindsight/paging.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAM_REGIONS_MAX 4

struct ram_region {
	uint64_t gpa;
	uint64_t length;
	uint8_t *bytes; /* owned by the ram */
	bool read_only;
};

struct ram {
	struct ram_region regions[RAM_REGIONS_MAX];
	size_t count;
	struct hs_phys_ops ops;
	struct hs_phys phys;
	uint64_t reads, writes; /* calls of those operations */
	uint64_t pointers;
	uint64_t next_table, table_end; /* what the source has left */
	uint64_t tables_taken;
	struct hs_table_source source;
};

/** No region; host pointers are given out if `pointers`. The ram must not be copied or moved. */
void ram_init(struct ram *ram, bool pointers);
void ram_deinit(struct ram *ram);
/** The same as the teardown of a test whose state it is; 0. */
int ram_drop(void **state);
/** Add zeroed bytes at gpa. */
void ram_add(struct ram *ram, uint64_t gpa, uint64_t length);
/** Let the source give out the pages of [gpa, gpa + length). */
void ram_set_tables(struct ram *ram, uint64_t gpa, uint64_t length);
/** The host byte at gpa, which must be in a region. */
uint8_t *ram_at(struct ram *ram, uint64_t gpa);
/** Store a page-table entry of 4 or 8 bytes, byte by byte. */
void ram_put(struct ram *ram, uint64_t gpa, unsigned int bytes, uint64_t value);
/** Map one thing with hs_build_map(); the status. */
enum hs_status ram_map(struct ram *ram, const struct hs_root *root, const struct hs_mapping *mapping);

#endif
