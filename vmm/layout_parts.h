/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the layout share; for layout.c, layout_sizes.c and layout_place.c only. */
#ifndef HS_VMM_LAYOUT_PARTS_H
#define HS_VMM_LAYOUT_PARTS_H

#include "vmm/layout.h"

/** The sizes that a configuration asks for: defaults applied, in bytes, whole pages. */
struct hs_layout_sizes {
	uint64_t boot; /* boot information, list of mappings, arguments */
	uint64_t args; /* the arguments alone, not rounded */
	uint64_t heap, stack;
	uint64_t input, output;
	uint64_t scratch;
	uint64_t scratch_given; /* by the configuration, not rounded: never grown; 0 when it is the default */
	uint64_t memory;
};

/** The ends of the space of an architecture: first byte after the scratch region. */
struct hs_layout_top {
	uint64_t gpa, gva;
	uint64_t low_end; /* first gva that the parts of the snapshot region must not reach, scratch apart */
};

/** Fill *ret from a configuration (NULL: all defaults). HS_ERR_RANGE, HS_ERR_INVALID. */
HS_MUST_CHECK enum hs_status hs_layout_take_sizes(const struct hs_vm_config *config, struct hs_layout_sizes *ret,
						  struct hs_error *err);

void hs_layout_top_of(enum hs_arch arch, struct hs_layout_top *ret);

/** Give every page of the image a gpa, from HS_SNAPSHOT_BASE_GPA on; sets the image areas. */
HS_MUST_CHECK enum hs_status hs_layout_place_image(const struct hs_image *image, struct hs_layout *layout,
						   struct hs_error *err);
/** Put boot information ... stack behind the image; adds their areas and sets snapshot_bytes. low_end is the first gva
 *  that they must not reach. */
HS_MUST_CHECK enum hs_status hs_layout_place_block(const struct hs_image *image, const struct hs_layout_sizes *sizes,
						   uint64_t low_end, struct hs_layout *layout, struct hs_error *err);
/** Find the gva of a gap of length bytes that ends at or below low_end, for memory from gpa on: gpa itself if it is
 *  one, else the lowest of page 1 and the ends of areas, or what is next to one and lets large pages fit, for 4 MiB
 *  and more. False, and *ret is untouched, when there is none. */
bool hs_layout_find_gap(const struct hs_layout *layout, hs_gpa gpa, uint64_t length, uint64_t low_end, uint64_t *ret);
/** Add an area for each mapping of config (may be NULL), with gva = gpa where that is a gap. The rest of the snapshot
 *  region and the ends of the scratch region are known. HS_ERR_RANGE. */
HS_MUST_CHECK enum hs_status hs_layout_place_mappings(const struct hs_vm_config *config, uint64_t low_end,
						      struct hs_layout *layout, struct hs_error *err);
/** Cut the scratch region of sizes->scratch bytes into its areas; what the tables do not use is free. */
void hs_layout_place_scratch(const struct hs_layout_sizes *sizes, uint64_t tables, struct hs_layout *layout);

/** The largest page that the tables may have, on i686; on amd64 that is half of it. */
#define HS_LAYOUT_LARGE_PAGE (UINT64_C(4) << 20)

/** First byte after an area; no area reaches the end of the address space. */
static inline uint64_t hs_area_end(const struct hs_area *area)
{
	return area->gva.v + area->length;
}

#endif
