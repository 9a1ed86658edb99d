/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The three groups of areas: the image's pages, the block behind them, the scratch region. Pure arithmetic. */
#include "vmm/layout_parts.h"

#include "base/arith.h"
#include "vmm/image_file.h"

#include <hindsight/abi.h>

/* Bytes of the areas whose size is fixed: one page of tables the CPU writes to, one of gates (256 of 16 bytes at
 * most), one of stubs (256 of 16 bytes). */
#define FIXED_AREA_BYTES HS_PAGE_SIZE

#define WRITABLE (HS_PROT_READ | HS_PROT_WRITE)

static void add_area(struct hs_layout *layout, const struct hs_area *area)
{
	layout->areas[layout->area_count] = *area;
	layout->area_count++;
}

/* One behind the other from there on, whose places they do not say. */
static void add_areas(struct hs_layout *layout, const struct hs_area *areas, size_t count, hs_gva gva, hs_gpa gpa)
{
	for (size_t i = 0; i < count; i++) {
		struct hs_area area = areas[i];

		area.gva = gva;
		area.gpa = gpa;
		add_area(layout, &area);
		gva.v += area.length;
		gpa.v += area.length;
	}
}

static bool is_write_and_exec(int prot)
{
	return (prot & HS_PROT_WRITE) && (prot & HS_PROT_EXEC);
}

/*
 * A page that holds the end of what came before and the start of a segment. It can only have one set of permissions:
 * their union, as long as that does not make code writable that nobody asked to have so.
 */
static enum hs_status share_page(const struct hs_image *image, struct hs_layout *layout, int prot, struct hs_error *err)
{
	struct hs_area *last = &layout->areas[layout->area_count - 1];
	int both = last->prot | prot;
	struct hs_area page = *last;

	page.gva.v = hs_area_end(last) - HS_PAGE_SIZE;
	page.gpa.v = last->gpa.v + (last->length - HS_PAGE_SIZE);
	page.length = HS_PAGE_SIZE;
	page.prot = both;
	if (is_write_and_exec(both) && !is_write_and_exec(last->prot) && !is_write_and_exec(prot)) {
		return hs_image_fail(image->path, HS_ERR_RANGE, page.gva.v, err,
				     "has a writable and an executable segment in one page (0x%llx): link with "
				     "-Wl,-z,separate-code",
				     (unsigned long long)page.gva.v);
	}
	last->length -= HS_PAGE_SIZE;
	if (last->length == 0) {
		layout->area_count--;
	}
	add_area(layout, &page);
	return HS_OK;
}

static enum hs_status place_segment(const struct hs_image *image, size_t index, uint64_t *gpa, struct hs_layout *layout,
				    struct hs_error *err)
{
	const struct hs_image_segment *segment = &image->segments[index];
	uint64_t start = hs_align_down(segment->gva.v, HS_PAGE_SIZE);
	/* Cannot wrap: the image was seen to end below the top of the address space. */
	uint64_t end = hs_align_down(segment->gva.v + segment->length - 1, HS_PAGE_SIZE) + HS_PAGE_SIZE;

	if (layout->area_count > 0 && hs_area_end(&layout->areas[layout->area_count - 1]) > start) {
		enum hs_status st = share_page(image, layout, segment->prot, err);

		if (st) {
			return st;
		}
		layout->segment_gpa[index] = layout->areas[layout->area_count - 1].gpa;
		start += HS_PAGE_SIZE;
	} else {
		layout->segment_gpa[index] = hs_gpa_of(*gpa);
	}
	if (start < end) {
		add_area(layout, &(struct hs_area){
					 .kind = HS_AREA_IMAGE,
					 .gva = hs_gva_of(start),
					 .gpa = hs_gpa_of(*gpa),
					 .length = end - start,
					 .prot = segment->prot,
				 });
		*gpa += end - start;
	}
	return HS_OK;
}

enum hs_status hs_layout_place_image(const struct hs_image *image, struct hs_layout *layout, struct hs_error *err)
{
	uint64_t gpa = HS_SNAPSHOT_BASE_GPA;

	for (size_t i = 0; i < image->segment_count; i++) {
		enum hs_status st = place_segment(image, i, &gpa, layout, err);

		if (st) {
			return st;
		}
	}
	layout->snapshot_gpa = hs_gpa_of(HS_SNAPSHOT_BASE_GPA);
	layout->snapshot_bytes = gpa - HS_SNAPSHOT_BASE_GPA;
	return HS_OK;
}

/* True when [start, start + length) is free of image pages and ends at or below low_end. */
static bool is_gap(const struct hs_layout *layout, uint64_t start, uint64_t length, uint64_t low_end)
{
	if (!hs_range_within(start, length, low_end)) {
		return false;
	}
	for (size_t i = 0; i < layout->area_count; i++) {
		if (hs_ranges_overlap(start, length, layout->areas[i].gva.v, layout->areas[i].length)) {
			return false;
		}
	}
	return true;
}

/* The first address from start on that is as far behind a multiple of alignment as gpa is, if a gap begins there. */
static bool try_gap(const struct hs_layout *layout, uint64_t start, uint64_t alignment, uint64_t length,
		    uint64_t low_end, hs_gpa gpa, uint64_t *ret)
{
	uint64_t at = start + ((gpa.v - start) & (alignment - 1));

	if (!is_gap(layout, at, length, low_end)) {
		return false;
	}
	*ret = at;
	return true;
}

static bool find_aligned(const struct hs_layout *layout, uint64_t alignment, uint64_t length, uint64_t low_end,
			 hs_gpa gpa, uint64_t *ret)
{
	bool found = try_gap(layout, gpa.v, alignment, length, low_end, gpa, ret) ||
		     try_gap(layout, HS_PAGE_SIZE, alignment, length, low_end, gpa, ret);

	for (size_t i = 0; !found && i < layout->area_count; i++) {
		found = try_gap(layout, hs_area_end(&layout->areas[i]), alignment, length, low_end, gpa, ret);
	}
	return found;
}

bool hs_layout_find_gap(const struct hs_layout *layout, hs_gpa gpa, uint64_t length, uint64_t low_end, uint64_t *ret)
{
	return (length >= HS_LAYOUT_LARGE_PAGE &&
		find_aligned(layout, HS_LAYOUT_LARGE_PAGE, length, low_end, gpa, ret)) ||
	       find_aligned(layout, HS_PAGE_SIZE, length, low_end, gpa, ret);
}

enum hs_status hs_layout_place_block(const struct hs_image *image, const struct hs_layout_sizes *sizes,
				     uint64_t low_end, struct hs_layout *layout, struct hs_error *err)
{
	const struct hs_area block[] = {
		{ .kind = HS_AREA_BOOT, .length = sizes->boot, .prot = WRITABLE },
		{ .kind = HS_AREA_DESCRIPTORS, .length = FIXED_AREA_BYTES, .prot = WRITABLE },
		{ .kind = HS_AREA_IDT, .length = FIXED_AREA_BYTES, .prot = HS_PROT_READ },
		{ .kind = HS_AREA_STUBS, .length = FIXED_AREA_BYTES, .prot = HS_PROT_READ | HS_PROT_EXEC },
		{ .kind = HS_AREA_HEAP, .length = sizes->heap, .prot = WRITABLE },
		{ .kind = HS_AREA_GUARD, .length = HS_PAGE_SIZE },
		{ .kind = HS_AREA_STACK, .length = sizes->stack, .prot = WRITABLE },
	};
	uint64_t gpa = layout->snapshot_gpa.v + layout->snapshot_bytes;
	uint64_t length = 0;
	uint64_t gva;

	for (size_t i = 0; i < sizeof(block) / sizeof(block[0]); i++) {
		length += block[i].length;
	}
	if (!hs_layout_find_gap(layout, hs_gpa_of(gpa), length, low_end, &gva)) {
		return hs_image_fail(image->path, HS_ERR_RANGE, 0, err,
				     "leaves no gap in the address space for %llu bytes of heap, stack and tables",
				     (unsigned long long)length);
	}
	add_areas(layout, block, sizeof(block) / sizeof(block[0]), hs_gva_of(gva), hs_gpa_of(gpa));
	layout->snapshot_bytes += length;
	return HS_OK;
}

void hs_layout_place_scratch(const struct hs_layout_sizes *sizes, uint64_t tables, struct hs_layout *layout)
{
	const uint64_t table_bytes = tables * HS_PAGE_SIZE;
	const uint64_t used = sizes->input + sizes->output + table_bytes + 2 * HS_PAGE_SIZE;
	const struct hs_area scratch[] = {
		{ .kind = HS_AREA_INPUT, .length = sizes->input, .prot = WRITABLE },
		{ .kind = HS_AREA_OUTPUT, .length = sizes->output, .prot = WRITABLE },
		{ .kind = HS_AREA_TABLES, .length = table_bytes, .prot = WRITABLE },
		{ .kind = HS_AREA_FREE, .length = sizes->scratch - used, .prot = WRITABLE },
		{ .kind = HS_AREA_COUNTER, .length = HS_PAGE_SIZE, .prot = HS_PROT_READ },
		{ .kind = HS_AREA_TOP, .length = HS_PAGE_SIZE, .prot = WRITABLE },
	};

	add_areas(layout, scratch, sizeof(scratch) / sizeof(scratch[0]), layout->scratch_gva, layout->scratch_gpa);
}
