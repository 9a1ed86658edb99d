/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/dirty.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

enum hs_status hs_dirty_init(struct hs_dirty *dirty, const struct hs_ram *ram, struct hs_error *err)
{
	uint64_t pages = 0;

	*dirty = (struct hs_dirty){ 0 };
	for (size_t i = 0; i < ram->count; i++) {
		const struct hs_ram_region *region = &ram->regions[i];
		struct hs_dirty_region *ours = &dirty->regions[dirty->region_count];

		if (region->host_read_only) {
			continue;
		}
		*ours = (struct hs_dirty_region){ .gpa = region->gpa.v, .pages = region->length / HS_PAGE_SIZE };
		ours->bits = calloc(ours->pages / 64 + 1, sizeof(*ours->bits));
		if (!ours->bits) {
			break;
		}
		dirty->region_count++;
		pages += ours->pages;
	}
	/* Of what is never used nothing comes to be. */
	dirty->pages = malloc((pages + 1) * sizeof(*dirty->pages));
	if (!dirty->pages ||
	    (dirty->region_count < HS_RAM_REGIONS_MAX && dirty->regions[dirty->region_count].pages > 0)) {
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

/* The word that has the page's bit, or NULL. */
static uint64_t *word_of(struct hs_dirty *dirty, uint64_t gpa, uint64_t *ret_bit)
{
	for (size_t i = 0; i < dirty->region_count; i++) {
		const struct hs_dirty_region *region = &dirty->regions[i];
		uint64_t page = (gpa - region->gpa) / HS_PAGE_SIZE;

		if (gpa >= region->gpa && page < region->pages) {
			*ret_bit = UINT64_C(1) << (page % 64);
			return &region->bits[page / 64];
		}
	}
	return NULL;
}

void hs_dirty_note(struct hs_dirty *dirty, uint64_t gpa)
{
	uint64_t bit = 0;
	uint64_t *word = word_of(dirty, gpa, &bit);

	if (word && !(*word & bit)) {
		*word |= bit;
		dirty->pages[dirty->count++] = gpa & ~(uint64_t)(HS_PAGE_SIZE - 1);
	}
}

void hs_dirty_clear(struct hs_dirty *dirty)
{
	for (size_t i = 0; i < dirty->count; i++) {
		uint64_t bit = 0;
		uint64_t *word = word_of(dirty, dirty->pages[i], &bit);

		/* Not in one statement: C leaves open which side of &= comes first. */
		*word &= ~bit;
	}
	dirty->count = 0;
}
