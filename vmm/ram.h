/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest-physical memory of a VM: a few host mappings at fixed guest-physical places, seen through struct hs_phys.
 */
#ifndef HS_VMM_RAM_H
#define HS_VMM_RAM_H

#include <hindsight/error.h>
#include <hindsight/mem.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most regions a VM has: snapshot, scratch, and room for file mappings (guest-abi.md: 32). */
#define HS_RAM_REGIONS_MAX 34

struct hs_ram_region {
	hs_gpa gpa;
	uint64_t length; /* bytes, page-aligned */
	uint8_t *host;   /* owned by the ram until deinit */
	bool read_only;  /* for the guest; a debugger may write */
};

/** Caller's storage; must not move while a struct hs_phys of it is in use. */
struct hs_ram {
	struct hs_ram_region regions[HS_RAM_REGIONS_MAX]; /* ascending by gpa */
	size_t count;
	/* Told of every write through hs_phys, so that a backend that caches code can drop it. May be NULL. */
	void (*written)(void *ctx, hs_gpa gpa, uint64_t length);
	void *written_ctx;
};

void hs_ram_init(struct hs_ram *ram);
/** Unmap everything. */
void hs_ram_deinit(struct hs_ram *ram);

/**
 * Add anonymous, zeroed, private memory.
 *
 * @param gpa, length  page-aligned; HS_ERR_RANGE when it wraps or overlaps another region, HS_ERR_EXHAUSTED when there
 *             are
 *                     too many, HS_ERR_NOMEM when the host has none. On failure nothing changed.
 */
HS_MUST_CHECK enum hs_status hs_ram_add(struct hs_ram *ram, hs_gpa gpa, uint64_t length, struct hs_error *err);

/** The region that holds gpa, or NULL. */
const struct hs_ram_region *hs_ram_find(const struct hs_ram *ram, hs_gpa gpa);

/** The memory as operations; borrows ram. */
struct hs_phys hs_ram_phys(struct hs_ram *ram);

#endif
