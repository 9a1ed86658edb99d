/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compaction: all that the address spaces of a guest reach, made dense. A plan says which page of physical memory goes
 * where; it is made from physical memory, roots and registers alone and changes nothing. write.c carries it out.
 *
 * Pages are moved, never mappings: each page has one new place, and each table is copied with the addresses in its
 * entries changed. So whatever shared a page or a table shares it afterwards, and an entry keeps every bit but its
 * address, with one exception: where the guest has a copy-on-write handler, a small page that one entry alone maps
 * writable is tagged copy-on-write, so that VMs can share it; unless the guest has marked it (HS_ENTRY_KEPT) or the CPU
 * writes there by itself (struct hs_plan_kept). Every other page that the guest can write to goes to the private part;
 * no two mappings of one page ever part.
 *
 * The scratch region is not kept, and the window onto it, the same addresses in every space, stays as it is. A page of
 * scratch that is mapped anywhere else is a page like any other.
 *
 *   guest-physical   | shared | private |   ...   | scratch: ... tables ... |
 *   in the file      | shared | private | tables |
 */
#ifndef HS_SNAPSHOT_PLAN_H
#define HS_SNAPSHOT_PLAN_H

#include "snapshot/frames.h"

#include <hindsight/cpu.h>
#include <hindsight/error.h>
#include <hindsight/mem.h>
#include <hindsight/paging.h>
#include <hindsight/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A place in the guest's memory that holds the physical address of a root: it is made to hold the new one. */
struct hs_root_pointer {
	hs_gva gva;         /* in the address space of the CPU */
	unsigned int bytes; /* 4 or 8, little-endian */
};

/** Addresses whose pages stay as they are: never made copy-on-write, and no longer if they are. */
struct hs_plan_kept {
	hs_gva gva;      /* in the address space of the CPU; what is not mapped there is passed over */
	uint64_t length; /* bytes */
};

/** What to compact. All pointers are borrowed for as long as the plan is used. */
struct hs_compact_input {
	const struct hs_phys *phys;
	const struct hs_root *roots;
	uint32_t root_count;
	uint32_t current; /* index of the root that the CPU is on */
	const struct hs_root_pointer *pointers;
	size_t pointer_count;
	bool cow;                        /* the guest has a handler: writable pages may become copy-on-write ... */
	const struct hs_plan_kept *kept; /* ... but these */
	size_t kept_count;
	hs_gpa gpa;            /* where the shared part goes, page-aligned; the private part follows it */
	uint64_t limit;        /* bytes for both */
	hs_gpa tables_gpa;     /* where the tables go: page-aligned, in the scratch region */
	uint64_t tables_limit; /* bytes */
	hs_gpa scratch_gpa;    /* the region that isn't kept, and its window */
	hs_gva scratch_gva;
	uint64_t scratch_bytes;
	struct hs_budget budget; /* of the walk; all zero for hs_budget_default() */
};

/** Pages that lie one behind the other, now and then. */
struct hs_plan_copy {
	uint64_t gpa;    /* now */
	uint64_t offset; /* then, in its part */
	uint64_t pages;
	enum hs_part part;
};

/** A table to copy: HS_SPACE_TABLE items in their order. */
struct hs_plan_table {
	uint64_t table; /* gpa now */
	uint64_t gva;   /* where its reach begins in the space that owns it */
	uint32_t space;
	uint8_t depth;
};

/** A range that is to be kept, as found. */
struct hs_plan_range {
	uint64_t gva, gpa, length, page_bytes;
	uint32_t space;
	bool writable; /* the guest may write to it, or to a copy that its handler makes */
	bool tagged;   /* the guest uses the bits of the copy-on-write tag itself, as in HS_ENTRY_KEPT (abi.h) */
};

/** Caller's storage, owns what it points to until deinit. */
struct hs_plan {
	const struct hs_compact_input *input;
	struct hs_frames frames;
	struct hs_plan_range *ranges;
	size_t range_count;
	struct hs_plan_table *tables;
	size_t table_count;
	struct hs_plan_copy *copies; /* in the order of offsets in each part */
	size_t copy_count;
	struct hs_root *roots;             /* as input->roots, with their new bases */
	uint64_t gpa[HS_PART_COUNT];       /* where each part begins */
	uint64_t bytes[HS_PART_COUNT];     /* and its length: multiples of the page size */
	uint64_t alignment[HS_PART_COUNT]; /* the largest page in it, 0 for small ones */
	uint64_t offset[HS_PART_COUNT];    /* and where in the file */
};

/**
 * Plan. Nothing is changed.
 *
 * HS_ERR_UNREADABLE: a page that is mapped, or a table, is not in physical memory: err->where is its gpa, the message
 * names the space and address. HS_ERR_UNSUPPORTED: a root without paging. HS_ERR_RANGE: more than fits; the message
 * names what would. HS_ERR_BUDGET: the walk. HS_ERR_NOMEM.
 *
 * @param ret  to be freed by hs_plan_deinit(); untouched on failure
 */
HS_MUST_CHECK enum hs_status hs_plan_init(struct hs_plan *ret, const struct hs_compact_input *input,
					  struct hs_error *err);
void hs_plan_deinit(struct hs_plan *plan);

/** Where the page of a word goes: guest-physical, and in the file. */
static inline uint64_t hs_plan_gpa(const struct hs_plan *plan, uint64_t word)
{
	return plan->gpa[hs_frame_part(word)] + (word & HS_FRAME_OFFSET);
}
static inline uint64_t hs_plan_offset(const struct hs_plan *plan, uint64_t word)
{
	return plan->offset[hs_frame_part(word)] + (word & HS_FRAME_OFFSET);
}

/** True for a page of the window onto scratch: its mapping stays as it is. */
static inline bool hs_plan_is_window(const struct hs_compact_input *input, uint64_t gva, uint64_t gpa,
				     uint64_t page_bytes)
{
	uint64_t at = gva - input->scratch_gva.v;

	return gva >= input->scratch_gva.v && at < input->scratch_bytes && page_bytes <= input->scratch_bytes - at &&
	       gpa == input->scratch_gpa.v + at;
}

/** The new address of what is at gpa now, in or out of a table; false when it is not kept. */
bool hs_plan_moved(struct hs_plan *plan, uint64_t gpa, uint64_t *ret);

/**
 * Write all of it to a file: the parts one behind the other, holes where pages are all zero. The file is to be empty;
 * its length becomes that of the parts.
 *
 * HS_ERR_UNSUPPORTED: a page is a table at two levels, and its entries cannot be right at both. HS_ERR_UNREADABLE:
 * a root pointer is not in memory that is kept. HS_ERR_IO, HS_ERR_NOMEM. What the file holds then is undefined.
 *
 * @param name  of the file, for messages
 */
HS_MUST_CHECK enum hs_status hs_plan_write(struct hs_plan *plan, int fd, const char *name, struct hs_error *err);

#endif
