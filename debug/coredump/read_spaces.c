/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The address spaces that a core tells of. See read.h: only what can be is kept, and whoever looks need not check it
 * again. */
#include "coredump/read.h"

#include "base/arith.h"
#include "base/error.h"

#include <stdlib.h>

/** A segment behind those that end at *behind, which moves on. */
static enum hs_status take_segment(struct hs_core *core, const struct hs_core_desc *desc,
				   const struct hs_core_segment *segment, uint64_t *behind, struct hs_error *err)
{
	uint64_t last_address = core->class->word_bytes == 8 ? UINT64_MAX : UINT32_MAX;
	uint64_t end;

	if (segment->length == 0 || (segment->start.v | segment->gpa.v | segment->offset) % HS_PAGE_SIZE ||
	    segment->start.v < *behind || segment->length - 1 > last_address - segment->start.v ||
	    segment->length - 1 > UINT64_MAX - segment->gpa.v || !hs_add_u64(segment->offset, segment->length, &end) ||
	    end > INT64_MAX) {
		return hs_core_broken(core, err, desc->offset,
				      "a segment of an address space at 0x%llx is out of bounds or out of order",
				      (unsigned long long)segment->start.v);
	}
	/* One that ends at 2^64 is the last: nothing is behind it. */
	*behind = segment->start.v + (segment->length - 1) == UINT64_MAX ? UINT64_MAX
									 : segment->start.v + segment->length;
	if (end > core->info.file_bytes) {
		core->info.missing_bytes = hs_max_u64(core->info.missing_bytes, end - core->info.file_bytes);
	}
	return HS_OK;
}

static enum hs_status take_space(struct hs_core *core, const struct hs_core_desc *desc,
				 const struct hs_vmnote_space *from, struct hs_core_segment *segments,
				 struct hs_core_space *ret, struct hs_error *err)
{
	uint64_t behind = 0;

	if (!from->has_root) {
		return hs_core_broken(core, err, desc->offset, "an address space of no known paging format");
	}
	for (size_t i = 0; i < from->count; i++) {
		segments[i] = hs_vmnote_segment(from, i);
		enum hs_status st = take_segment(core, desc, &segments[i], &behind, err);

		if (st) {
			return st;
		}
	}
	*ret = (struct hs_core_space){
		.root = from->root,
		.partial = from->partial,
		.reached = from->reached,
		.segments = segments,
		.segment_count = from->count,
	};
	return HS_OK;
}

enum hs_status hs_core_read_spaces(struct hs_core *core, const struct hs_core_desc *desc, const struct hs_vmnote *note,
				   struct hs_error *err)
{
	size_t at = 0, used = 0;

	if (note->space_count == 0 || core->spaces != NULL) {
		return HS_OK;
	}
	/* The record's length bounds both: each has a place of its own in it. */
	core->spaces = calloc(note->space_count, sizeof(*core->spaces));
	core->space_segments = calloc(note->spaces_length / HS_VMNOTE_SEGMENT_BYTES + 1, sizeof(*core->space_segments));
	if (core->spaces == NULL || core->space_segments == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the notes of %s", core->path);
	}
	for (uint32_t i = 0; i < note->space_count; i++) {
		struct hs_vmnote_space space;
		enum hs_status st = hs_vmnote_space(note, &at, &space, err);

		if (st) {
			hs_core_broken_note(core, desc->offset, st, err);
			return st;
		}
		st = take_space(core, desc, &space, core->space_segments + used, &core->spaces[i], err);
		if (st) {
			return st;
		}
		used += space.count;
	}
	core->info.space_count = note->space_count;
	core->info.space_index = note->primary;
	return HS_OK;
}

enum hs_status hs_core_finish_spaces(struct hs_core *core, struct hs_error *err)
{
	if (core->spaces == NULL && core->info.has_root) {
		core->spaces = calloc(1, sizeof(*core->spaces));
		if (core->spaces == NULL) {
			return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the notes of %s", core->path);
		}
		core->spaces[0] = (struct hs_core_space){ .root = core->info.root,
							  .partial = core->info.partial,
							  .reached = core->info.reached };
		core->info.space_count = 1;
	}
	if (core->spaces != NULL) {
		core->spaces[core->info.space_index].segments = core->segments;
		core->spaces[core->info.space_index].segment_count = core->info.segment_count;
	}
	return HS_OK;
}
