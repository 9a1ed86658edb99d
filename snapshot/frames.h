/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What becomes of each page of a guest's physical memory: one word a page, in an array a region, so that a lookup is a
 * subtraction. Pages that nobody asks about cost no memory of the host.
 */
#ifndef HS_SNAPSHOT_FRAMES_H
#define HS_SNAPSHOT_FRAMES_H

#include <hindsight/error.h>
#include <hindsight/mem.h>
#include <hindsight/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A page's word: where it goes, as an offset in its part, in bits 63:12; what is known of it below. */
#define HS_FRAME_OFFSET (~UINT64_C(0xfff))
#define HS_FRAME_LEAVES UINT64_C(3)    /* how many entries map it: 0, 1, 2 and more */
#define HS_FRAME_WRITTEN UINT64_C(4)   /* one of them lets the guest write to it, or copy it to write */
#define HS_FRAME_LARGE UINT64_C(8)     /* one of them is a large page: it goes with all of that page */
#define HS_FRAME_TABLE UINT64_C(0x10)  /* it is a page table, or holds one */
#define HS_FRAME_PLAIN UINT64_C(0x20)  /* never copy-on-write: by the guest's mark, or because the CPU writes to it */
#define HS_FRAME_PLACED UINT64_C(0x40) /* the offset is decided */
#define HS_FRAME_PART_SHIFT 7
#define HS_FRAME_PART (UINT64_C(3) << HS_FRAME_PART_SHIFT) /* an enum hs_part */

/** The parts that the memory of a snapshot has. */
enum hs_part {
	HS_PART_SHARED,  /**< nobody writes to it, or only to a copy: VMs may share it */
	HS_PART_PRIVATE, /**< the guest writes to it in place: each VM needs its own */
	HS_PART_TABLES,  /**< page tables: private too, and within the guest's scratch region */
	HS_PART_COUNT,
};

struct hs_frame_region {
	uint64_t gpa, pages;
	uint64_t *words; /* owned by the map */
};

/** Caller's storage. */
struct hs_frames {
	struct hs_frame_region *regions;
	size_t count;
	size_t last; /* the region of the last lookup */
};

/** A word of zero for every page of phys. HS_ERR_NOMEM. */
HS_MUST_CHECK enum hs_status hs_frames_init(struct hs_frames *frames, const struct hs_phys *phys, struct hs_error *err);
void hs_frames_deinit(struct hs_frames *frames);

/** The word of the page that holds gpa, and in *ret_pages how many words follow (itself counted) for the pages behind
 *  it; NULL where there is no memory. */
uint64_t *hs_frames_find(struct hs_frames *frames, uint64_t gpa, uint64_t *ret_pages);

static inline enum hs_part hs_frame_part(uint64_t word)
{
	return (enum hs_part)((word & HS_FRAME_PART) >> HS_FRAME_PART_SHIFT);
}

#endif
