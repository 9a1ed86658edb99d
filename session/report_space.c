/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an address space has mapped, coarse enough to be looked at, and why an address in it faults. */
#include "session/report_parts.h"

#include "base/error.h"
#include "base/phys.h"
#include "paging/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool goes_on(const struct hs_report_area *area, const struct hs_range *range)
{
	return area->start + area->length == range->start.v && area->prot == range->prot && area->user == range->user &&
	       area->cow == range->cow;
}

/* Take a range in: as more of the last area, or as one of its own while there is room. */
static void add_range(struct hs_report_space *space, const struct hs_range *range)
{
	size_t count = space->area_count;

	space->bytes += range->length;
	if (count > 0 && space->omitted == 0 && goes_on(&space->areas[count - 1], range)) {
		struct hs_report_area *last = &space->areas[count - 1];

		last->contiguous = last->contiguous && last->gpa.v + last->length == range->gpa.v;
		last->length += range->length;
		return;
	}
	if (space->area_count == HS_REPORT_AREAS_MAX) {
		space->omitted++;
		return;
	}
	space->areas[space->area_count++] = (struct hs_report_area){
		.start = range->start.v,
		.length = range->length,
		.prot = range->prot,
		.user = range->user,
		.cow = range->cow,
		.gpa = range->gpa,
		.contiguous = true,
	};
}

enum hs_status hs_report_space_init(const struct hs_phys *phys, const struct hs_root *root, struct hs_report_space *ret,
				    struct hs_error *err)
{
	struct hs_report_area *areas = calloc(HS_REPORT_AREAS_MAX, sizeof(*areas));
	struct hs_range range;
	struct hs_iter iter;
	enum hs_status st;

	if (!areas) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a report");
	}
	*ret = (struct hs_report_space){ .root = *root, .areas = areas };
	hs_iter_init(&iter, phys, root, hs_gva_of(0), 0, hs_budget_default());
	while ((st = hs_iter_next(&iter, &range, NULL)) == HS_OK) {
		if (range.kind == HS_RANGE_MAPPED) {
			add_range(ret, &range);
		}
	}
	ret->partial = st == HS_ERR_BUDGET;
	return HS_OK;
}

/* The entry that ended the walk, as "PTE 8". */
static void name_entry(const struct hs_root *root, const struct hs_path *path, char *ret, size_t size)
{
	const struct hs_format *format = hs_format_of(root->format);
	const struct hs_path_level *level = &path->levels[path->count - 1];

	snprintf(ret, size, "%s %" PRIu64, format->level[path->count - 1].name,
		 (level->place.v - level->table.v) / format->entry_bytes);
}

static void describe_mapped(const struct hs_phys *phys, const struct hs_range *range, uint64_t address, char *ret,
			    size_t size)
{
	uint64_t gpa = range->gpa.v + (address - range->start.v);

	snprintf(ret, size, "mapped %s%s%s for %s%s, to guest-physical 0x%" PRIx64 "%s",
		 range->prot & HS_PROT_READ ? "r" : "-", range->prot & HS_PROT_WRITE ? "w" : "-",
		 range->prot & HS_PROT_EXEC ? "x" : "-", range->user ? "everybody" : "the supervisor",
		 range->cow ? ", copy-on-write" : "", gpa,
		 hs_phys_has(phys, hs_gpa_of(gpa)) ? "" : ", where there is no memory");
}

void hs_report_why(const struct hs_phys *phys, const struct hs_root *root, const struct hs_path *path, uint64_t address,
		   char *ret, size_t size)
{
	char entry[32] = "";

	if (path->count > 0) {
		name_entry(root, path, entry, sizeof(entry));
	}
	switch (path->range.kind) {
	case HS_RANGE_MAPPED:
		describe_mapped(phys, &path->range, address, ret, size);
		return;
	case HS_RANGE_HOLE:
		snprintf(ret, size, "not mapped: %s is not present", entry);
		return;
	case HS_RANGE_UNREADABLE:
		snprintf(ret, size, "not mapped: %s is in a page table that is not in memory", entry);
		return;
	case HS_RANGE_RESERVED:
		snprintf(ret, size, "not mapped: %s has reserved bits set", entry);
		return;
	case HS_RANGE_NON_CANONICAL:
		snprintf(ret, size, "not a canonical address");
		return;
	}
}
