/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The set of pages that were written since a VM's memory was as its image has it: each once, in the order in which they
 * were noted, so that to put them back costs what was written and nothing for what was not.
 */
#ifndef HS_VMM_DIRTY_H
#define HS_VMM_DIRTY_H

#include "vmm/ram.h"

#include <hindsight/error.h>
#include <hindsight/types.h>

#include <stddef.h>
#include <stdint.h>

struct hs_dirty_region {
	uint64_t gpa, pages; /* of a region that is nobody's to write to: 0 pages */
	uint64_t *bits;      /* owned: one for each page */
};

struct hs_dirty_page {
	uint32_t region; /* index of the ram's */
	uint32_t number; /* within it */
};

/** Caller's storage. */
struct hs_dirty {
	struct hs_dirty_region regions[HS_RAM_REGIONS_MAX]; /* one for each of the ram's */
	size_t region_count;
	size_t last;                 /* where a page was noted last */
	struct hs_dirty_page *pages; /* owned: those that are set, room for all of them */
	size_t count;
};

/** An empty set over the memory of ram that anybody may write to. HS_ERR_NOMEM; nothing to free then. */
HS_MUST_CHECK enum hs_status hs_dirty_init(struct hs_dirty *dirty, const struct hs_ram *ram, struct hs_error *err);
/** Free it; zeroed storage is fine. */
void hs_dirty_deinit(struct hs_dirty *dirty);

/** Add the page that holds gpa; one that is no memory of the set is not added. */
void hs_dirty_note(struct hs_dirty *dirty, uint64_t gpa);
/** Empty the set. */
void hs_dirty_clear(struct hs_dirty *dirty);

#endif
