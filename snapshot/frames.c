/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/frames.h"

#include "base/arith.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

static enum hs_status add_region(struct hs_frames *frames, uint64_t start, uint64_t length, struct hs_error *err)
{
	uint64_t first = start / HS_PAGE_SIZE;
	uint64_t pages = (start + (length - 1)) / HS_PAGE_SIZE - first + 1;
	struct hs_frame_region *regions = reallocarray(frames->regions, frames->count + 1, sizeof(*regions));
	uint64_t *words;

	if (!regions) {
		return hs_error_os(err, ENOMEM, "cannot plan the snapshot");
	}
	frames->regions = regions;
	words = calloc(pages, sizeof(*words));
	if (!words) {
		return hs_error_os(err, ENOMEM, "cannot plan a snapshot of %llu pages at 0x%llx",
				   (unsigned long long)pages, (unsigned long long)start);
	}
	regions[frames->count++] = (struct hs_frame_region){ first * HS_PAGE_SIZE, pages, words };
	return HS_OK;
}

enum hs_status hs_frames_init(struct hs_frames *frames, const struct hs_phys *phys, struct hs_error *err)
{
	hs_gpa at = { 0 };
	hs_gpa start;
	uint64_t length;

	*frames = (struct hs_frames){ 0 };
	while (phys->ops->next_region(phys->ctx, at, &start, &length)) {
		enum hs_status st = add_region(frames, start.v, length, err);

		if (st) {
			hs_frames_deinit(frames);
			return st;
		}
		if (!hs_add_u64(start.v, length, &at.v)) {
			break;
		}
	}
	return HS_OK;
}

void hs_frames_deinit(struct hs_frames *frames)
{
	for (size_t i = 0; i < frames->count; i++) {
		free(frames->regions[i].words);
	}
	free(frames->regions);
	*frames = (struct hs_frames){ 0 };
}

uint64_t *hs_frames_find(struct hs_frames *frames, uint64_t gpa, uint64_t *ret_pages)
{
	for (size_t i = 0; i < frames->count; i++) {
		const struct hs_frame_region *region = &frames->regions[frames->last];
		uint64_t page = (gpa - region->gpa) / HS_PAGE_SIZE;

		if (gpa >= region->gpa && page < region->pages) {
			*ret_pages = region->pages - page;
			return &region->words[page];
		}
		frames->last = frames->last + 1 < frames->count ? frames->last + 1 : 0;
	}
	return NULL;
}
