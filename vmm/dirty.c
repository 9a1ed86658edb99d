/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/dirty.h"

#include "base/error.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

enum hs_status hs_dirty_init(struct hs_dirty *dirty, const struct hs_ram *ram, struct hs_error *err)
{
	uint64_t pages = 0;
	bool done = true;

	*dirty = (struct hs_dirty){ .region_count = ram->count };
	for (size_t i = 0; i < ram->count && done; i++) {
		const struct hs_ram_region *region = &ram->regions[i];
		struct hs_dirty_region *ours = &dirty->regions[i];

		if (region->host_read_only) {
			continue;
		}
		*ours = (struct hs_dirty_region){ .gpa = region->gpa.v, .pages = region->length / HS_PAGE_SIZE };
		ours->bits = calloc(ours->pages / 64 + 1, sizeof(*ours->bits));
		pages += ours->pages;
		done = ours->bits != NULL;
	}
	/* Of what is never used nothing comes to be. */
	dirty->pages = malloc((pages + 1) * sizeof(*dirty->pages));
	if (!done || !dirty->pages) {
		hs_dirty_deinit(dirty);
		return hs_error_os(err, ENOMEM, "cannot keep account of written pages");
	}
	return HS_OK;
}

void hs_dirty_deinit(struct hs_dirty *dirty)
{
	for (size_t i = 0; i < dirty->region_count; i++) {
		free(dirty->regions[i].bits);
	}
	free(dirty->pages);
	*dirty = (struct hs_dirty){ 0 };
}

static bool is_in(const struct hs_dirty_region *region, uint64_t gpa)
{
	return gpa - region->gpa < region->pages * HS_PAGE_SIZE;
}

/* The region that gpa is in becomes dirty->last. */
static bool find(struct hs_dirty *dirty, uint64_t gpa)
{
	for (size_t i = 0; i < dirty->region_count; i++) {
		if (is_in(&dirty->regions[i], gpa)) {
			dirty->last = i;
			return true;
		}
	}
	return false;
}

void hs_dirty_note(struct hs_dirty *dirty, uint64_t gpa)
{
	if (is_in(&dirty->regions[dirty->last], gpa) || find(dirty, gpa)) {
		const struct hs_dirty_region *region = &dirty->regions[dirty->last];
		uint64_t page = (gpa - region->gpa) / HS_PAGE_SIZE;
		uint64_t bit = UINT64_C(1) << page % 64;

		if (!(region->bits[page / 64] & bit)) {
			region->bits[page / 64] |= bit;
			dirty->pages[dirty->count++] = (struct hs_dirty_page){ (uint32_t)dirty->last, (uint32_t)page };
		}
	}
}

void hs_dirty_clear(struct hs_dirty *dirty)
{
	for (size_t i = 0; i < dirty->count; i++) {
		dirty->regions[dirty->pages[i].region].bits[dirty->pages[i].number / 64] = 0;
	}
	dirty->count = 0;
}
