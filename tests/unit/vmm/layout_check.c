/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layout_check.h"

#include "base/arith.h"

#include <hindsight/abi.h>

#include <stdbool.h>

static bool in_scratch(const struct hs_area *area)
{
	return area->kind >= HS_AREA_INPUT && area->kind <= HS_AREA_TOP;
}

static const char *check_area(const struct hs_layout *layout, const struct hs_area *area)
{
	uint64_t last = area->gva.v + (area->length - 1);

	if ((area->gva.v | area->gpa.v | area->length) % HS_PAGE_SIZE != 0 || area->length == 0) {
		return "an area is not made of whole pages";
	}
	if (area->gva.v < HS_PAGE_SIZE || area->gpa.v < HS_PAGE_SIZE) {
		return "an area is in page 0";
	}
	if (last < area->gva.v) {
		return "an area wraps around";
	}
	if (layout->arch == HS_ARCH_I686 && last > HS_I686_SCRATCH_TOP_GVA) {
		return "an area is beyond the top of an i686's addresses";
	}
	if (layout->arch == HS_ARCH_AMD64 && (last > HS_AMD64_SCRATCH_TOP_GVA || area->gva.v >> 63 != last >> 63 ||
					      (last >> 47 != 0 && area->gva.v >> 47 != 0x1FFFF))) {
		return "an area is not canonical";
	}
	return NULL;
}

static const char *check_pairs(const struct hs_layout *layout)
{
	for (size_t i = 0; i < layout->area_count; i++) {
		const struct hs_area *a = &layout->areas[i];

		for (size_t j = i + 1; j < layout->area_count; j++) {
			const struct hs_area *b = &layout->areas[j];

			if (hs_ranges_overlap(a->gva.v, a->length, b->gva.v, b->length)) {
				return "two areas share a virtual address";
			}
			if (hs_ranges_overlap(a->gpa.v, a->length, b->gpa.v, b->length)) {
				return "two areas share a physical address";
			}
		}
	}
	return NULL;
}

/* Both regions are filled without a gap, in the order of the list, and nothing is outside. */
static const char *check_regions(const struct hs_layout *layout)
{
	uint64_t top = layout->arch == HS_ARCH_I686 ? HS_I686_SCRATCH_TOP_GPA : HS_AMD64_SCRATCH_TOP_GPA;
	uint64_t top_gva = layout->arch == HS_ARCH_I686 ? HS_I686_SCRATCH_TOP_GVA : HS_AMD64_SCRATCH_TOP_GVA;
	uint64_t snapshot = layout->snapshot_gpa.v;
	uint64_t scratch = layout->scratch_gpa.v;

	for (size_t i = 0; i < layout->area_count; i++) {
		const struct hs_area *area = &layout->areas[i];
		uint64_t *at = in_scratch(area) ? &scratch : &snapshot;

		if (area->kind == HS_AREA_MAPPING) {
			continue;
		}
		if (area->gpa.v != *at) {
			return "a region has a gap";
		}
		if (in_scratch(area) && area->gva.v - layout->scratch_gva.v != area->gpa.v - layout->scratch_gpa.v) {
			return "the scratch region is not mapped as one";
		}
		*at += area->length;
	}
	if (layout->snapshot_gpa.v != HS_SNAPSHOT_BASE_GPA ||
	    snapshot != layout->snapshot_gpa.v + layout->snapshot_bytes) {
		return "the snapshot region is not what its areas are";
	}
	if (scratch != layout->scratch_gpa.v + layout->scratch_bytes || scratch - 1 != top ||
	    layout->scratch_gva.v + (layout->scratch_bytes - 1) != top_gva) {
		return "the scratch region does not end at the top";
	}
	return snapshot <= layout->scratch_gpa.v ? NULL : "the regions overlap";
}

static const char *check_kinds(const struct hs_layout *layout)
{
	size_t counts[HS_AREA_KIND_COUNT] = { 0 };
	const struct hs_area *guard = hs_layout_area(layout, HS_AREA_GUARD);
	const struct hs_area *stack = hs_layout_area(layout, HS_AREA_STACK);
	const struct hs_area *counter = hs_layout_area(layout, HS_AREA_COUNTER);
	const struct hs_area *top = hs_layout_area(layout, HS_AREA_TOP);

	for (size_t i = 0; i < layout->area_count; i++) {
		counts[layout->areas[i].kind]++;
	}
	for (int kind = HS_AREA_IMAGE + 1; kind <= HS_AREA_TOP; kind++) {
		if (counts[kind] != 1) {
			return "a part is missing or there twice";
		}
	}
	if (guard->prot != 0 || guard->gva.v + guard->length != stack->gva.v) {
		return "the stack has no guard";
	}
	if (counter->prot != HS_PROT_READ || counter->gva.v + counter->length != top->gva.v) {
		return "the exception stack has no guard";
	}
	if (hs_layout_area(layout, HS_AREA_TABLES)->length != layout->tables_used * HS_PAGE_SIZE) {
		return "the tables are not as many as planned";
	}
	return NULL;
}

/* The area of the image that holds gva, or NULL. */
static const struct hs_area *image_area_at(const struct hs_layout *layout, uint64_t gva)
{
	for (size_t i = 0; i < layout->area_count; i++) {
		const struct hs_area *area = &layout->areas[i];

		if (area->kind == HS_AREA_IMAGE && gva - area->gva.v < area->length) {
			return area;
		}
	}
	return NULL;
}

static const char *check_segment(const struct hs_image *image, const struct hs_layout *layout, size_t index)
{
	const struct hs_image_segment *segment = &image->segments[index];
	uint64_t start = hs_align_down(segment->gva.v, HS_PAGE_SIZE);
	uint64_t last = segment->gva.v + (segment->length - 1);

	for (uint64_t gva = start; gva <= last;) {
		const struct hs_area *area = image_area_at(layout, gva);

		if (!area) {
			return "a byte of a segment has no place";
		}
		if (gva - start + layout->segment_gpa[index].v != gva - area->gva.v + area->gpa.v) {
			return "a segment is not in one piece";
		}
		if ((area->prot & segment->prot) != segment->prot) {
			return "a segment lacks a permission";
		}
		gva = area->gva.v + area->length;
	}
	return NULL;
}

static const char *check_write_xor_execute(const struct hs_image *image, const struct hs_layout *layout)
{
	const int both = HS_PROT_WRITE | HS_PROT_EXEC;

	for (size_t i = 0; i < layout->area_count; i++) {
		const struct hs_area *area = &layout->areas[i];
		bool asked = (area->prot & both) != both;

		for (size_t j = 0; j < image->segment_count; j++) {
			const struct hs_image_segment *segment = &image->segments[j];

			asked |= (segment->prot & both) == both && area->kind == HS_AREA_IMAGE &&
				 hs_ranges_overlap(area->gva.v, area->length, segment->gva.v, segment->length);
		}
		if (!asked) {
			return "a page is writable and executable, and nobody wanted that";
		}
	}
	return NULL;
}

const char *layout_check(const struct hs_image *image, const struct hs_layout *layout)
{
	const char *broken = NULL;

	for (size_t i = 0; !broken && i < layout->area_count; i++) {
		broken = check_area(layout, &layout->areas[i]);
	}
	if (!broken) {
		broken = check_pairs(layout);
	}
	if (!broken) {
		broken = check_regions(layout);
	}
	if (!broken) {
		broken = check_kinds(layout);
	}
	for (size_t i = 0; !broken && i < image->segment_count; i++) {
		broken = check_segment(image, layout, i);
	}
	return broken ? broken : check_write_xor_execute(image, layout);
}
