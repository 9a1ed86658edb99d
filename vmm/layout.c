/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The plan of a guest's memory. Where things go is in layout_place.c; here is what depends on everything at once: how
 * many pages of tables it takes, hence how large the scratch region must be, hence whether it all fits.
 */
#include "vmm/layout.h"

#include "base/arith.h"
#include "base/error.h"
#include "vmm/image_file.h"
#include "vmm/layout_parts.h"

/* Free scratch pages: the least a guest can do with, and what the default leaves when many tables make it grow. */
#define FREE_LEAST (4 * (uint64_t)HS_PAGE_SIZE)
#define FREE_WANTED (32 * (uint64_t)HS_PAGE_SIZE)

/* A larger scratch region needs one more table page for each 2 MiB (amd64) of it, so the second or third try fits. */
#define TRIES_MAX 16

const char *hs_area_name(enum hs_area_kind kind)
{
	static const char *const names[HS_AREA_KIND_COUNT] = {
		[HS_AREA_IMAGE] = "image",
		[HS_AREA_BOOT] = "boot information",
		[HS_AREA_DESCRIPTORS] = "descriptor tables",
		[HS_AREA_IDT] = "interrupt descriptor table",
		[HS_AREA_STUBS] = "exception stubs",
		[HS_AREA_HEAP] = "heap",
		[HS_AREA_GUARD] = "stack guard",
		[HS_AREA_STACK] = "stack",
		[HS_AREA_INPUT] = "input buffer",
		[HS_AREA_OUTPUT] = "output buffer",
		[HS_AREA_TABLES] = "page tables",
		[HS_AREA_FREE] = "free scratch",
		[HS_AREA_COUNTER] = "guest counter",
		[HS_AREA_TOP] = "bookkeeping and exception stack",
		[HS_AREA_MAPPING] = "mapping",
	};

	return names[kind];
}

const struct hs_area *hs_layout_area(const struct hs_layout *layout, enum hs_area_kind kind)
{
	for (size_t i = layout->area_count; i > 0; i--) {
		if (layout->areas[i - 1].kind == kind) {
			return &layout->areas[i - 1];
		}
	}
	return NULL;
}

const struct hs_area *hs_layout_mapping(const struct hs_layout *layout, size_t index)
{
	return &layout->areas[layout->first_mapping + index];
}

void hs_layout_segment(const struct hs_layout *layout, const struct hs_image *image, size_t index,
		       struct hs_vm_segment *ret)
{
	const struct hs_image_segment *segment = &image->segments[index];
	uint64_t start = hs_align_down(segment->gva.v, HS_PAGE_SIZE);
	uint64_t lead = segment->gva.v - start;

	*ret = (struct hs_vm_segment){
		.gva = hs_gva_of(start),
		.gpa = layout->segment_gpa[index],
		.length = hs_align_down(segment->gva.v + segment->length - 1, HS_PAGE_SIZE) + HS_PAGE_SIZE - start,
		.file_offset = segment->file_offset,
		.file_length = segment->file_length,
		.prot = segment->prot,
	};
	/* A file that keeps the page alignment, as nearly all do, can be told as the whole pages of NT_FILE. */
	if (segment->file_length > 0 && segment->file_offset % HS_PAGE_SIZE == lead) {
		ret->file_offset -= lead;
		ret->file_length += lead;
	}
}

static struct hs_root root_at(enum hs_arch arch, hs_gpa base)
{
	return (struct hs_root){
		.format = arch == HS_ARCH_I686 ? HS_PAGING_32BIT : HS_PAGING_4LEVEL,
		.base = base,
		.pse = arch == HS_ARCH_I686,
		.nxe = arch == HS_ARCH_AMD64,
		.wp = true,
	};
}

void hs_layout_root(const struct hs_layout *layout, struct hs_root *ret)
{
	*ret = root_at(layout->arch, hs_layout_area(layout, HS_AREA_TABLES)->gpa);
}

/* Whether the CPU itself writes there, with what it pushes and marks: on i686 exceptions come on the current stack. */
static bool is_kept(enum hs_arch arch, enum hs_area_kind kind)
{
	return kind == HS_AREA_DESCRIPTORS || (kind == HS_AREA_STACK && arch == HS_ARCH_I686);
}

/*
 * Whether large pages may be in it: tables of small ones take 8 MiB for 4 GiB, in the guest and in each core of it.
 * The image has small ones, as guests set the rights of its parts; so has scratch, whose size depends on the tables'.
 */
static bool is_large(enum hs_area_kind kind)
{
	return kind == HS_AREA_HEAP || kind == HS_AREA_STACK || kind == HS_AREA_MAPPING;
}

size_t hs_layout_mappings(const struct hs_layout *layout, struct hs_mapping *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < layout->area_count; i++) {
		const struct hs_area *area = &layout->areas[i];

		if (area->prot == 0) {
			continue;
		}
		ret[count] = (struct hs_mapping){
			.gva = area->gva,
			.gpa = area->gpa,
			.length = area->length,
			.prot = area->prot,
			.leaf = is_kept(layout->arch, area->kind) ? HS_ENTRY_KEPT : 0,
			.large = is_large(area->kind),
			/* Those of 1 GiB are an option of CPUs (SDM vol. 3A 4.1.4). */
			.largest = HS_LAYOUT_LARGE_PAGE,
		};
		count++;
	}
	return count;
}

/* The pages of tables for the areas so far and for the scratch region, as one range: its areas are not cut yet. */
static uint64_t count_tables(const struct hs_layout *layout)
{
	struct hs_mapping mappings[HS_LAYOUT_AREAS_MAX + 1];
	size_t count = hs_layout_mappings(layout, mappings);
	struct hs_root root = root_at(layout->arch, hs_gpa_of(0));

	mappings[count] = (struct hs_mapping){
		.gva = layout->scratch_gva,
		.gpa = layout->scratch_gpa,
		.length = layout->scratch_bytes,
		.prot = HS_PROT_READ | HS_PROT_WRITE,
	};
	return hs_build_tables_needed(&root, mappings, count + 1);
}

/* The scratch region must be clear of the image, and all of it below the top of the address space. */
static enum hs_status check_window(const struct hs_image *image, const struct hs_layout_top *top,
				   uint64_t scratch_bytes, struct hs_error *err)
{
	uint64_t start;

	if (scratch_bytes >= top->gpa) {
		return hs_error_set(err, HS_ERR_RANGE, 0, scratch_bytes,
				    "the scratch region of %llu bytes does not fit below 0x%llx, the end of an %s "
				    "guest's memory",
				    (unsigned long long)scratch_bytes, (unsigned long long)top->gpa,
				    hs_arch_name(image->arch));
	}
	start = top->gva - scratch_bytes;
	if (image->highest >= start) {
		return hs_image_fail(image->path, HS_ERR_RANGE, image->highest, err,
				     "reaches up to 0x%llx, into the scratch region from 0x%llx to the top of the "
				     "address space",
				     (unsigned long long)image->highest, (unsigned long long)start);
	}
	return HS_OK;
}

/* The image is placed; put the rest around a scratch region of sizes->scratch bytes and say how many it should have. */
static enum hs_status place_rest(const struct hs_image *image, const struct hs_vm_config *config,
				 const struct hs_layout_sizes *sizes, struct hs_layout *layout, uint64_t *ret_needed,
				 struct hs_error *err)
{
	struct hs_layout_top top;
	uint64_t low_end;
	enum hs_status st;

	hs_layout_top_of(layout->arch, &top);
	st = check_window(image, &top, sizes->scratch, err);
	if (st) {
		return st;
	}
	layout->scratch_gpa = hs_gpa_of(top.gpa - sizes->scratch);
	layout->scratch_gva = hs_gva_of(top.gva - sizes->scratch);
	layout->scratch_bytes = sizes->scratch;
	low_end = hs_min_u64(top.low_end, layout->scratch_gva.v);
	st = hs_layout_place_block(image, sizes, low_end, layout, err);
	if (st) {
		return st;
	}
	if (layout->snapshot_bytes > layout->scratch_gpa.v - layout->snapshot_gpa.v) {
		return hs_image_fail(
			image->path, HS_ERR_RANGE, 0, err,
			"does not fit: %llu bytes and %llu of scratch in the %llu bytes that an %s guest can "
			"address",
			(unsigned long long)layout->snapshot_bytes, (unsigned long long)sizes->scratch,
			(unsigned long long)(top.gpa - layout->snapshot_gpa.v), hs_arch_name(layout->arch));
	}
	layout->first_mapping = layout->area_count;
	st = hs_layout_place_mappings(config, low_end, layout, err);
	if (st) {
		return st;
	}
	layout->tables_used = count_tables(layout);
	*ret_needed = sizes->input + sizes->output + layout->tables_used * HS_PAGE_SIZE + 2 * HS_PAGE_SIZE +
		      (sizes->scratch_given ? FREE_LEAST : FREE_WANTED);
	return HS_OK;
}

/* Find the smallest scratch region, not below the one asked for, that holds the tables of the layout it leads to. */
static enum hs_status settle(const struct hs_image *image, const struct hs_vm_config *config,
			     struct hs_layout_sizes *sizes, struct hs_layout *layout, struct hs_error *err)
{
	uint64_t asked = sizes->scratch;

	for (int i = 0; i < TRIES_MAX; i++) {
		struct hs_layout tried = *layout;
		uint64_t needed = 0;
		enum hs_status st = place_rest(image, config, sizes, &tried, &needed, err);

		if (st) {
			return st;
		}
		if (needed > sizes->scratch) {
			sizes->scratch = needed;
			continue;
		}
		if (sizes->scratch_given && sizes->scratch > asked) {
			return hs_error_set(
				err, HS_ERR_RANGE, 0, asked,
				"the scratch region of %llu bytes is too small for the buffers and %llu pages "
				"of page tables: the smallest is %llu bytes",
				(unsigned long long)sizes->scratch_given, (unsigned long long)tried.tables_used,
				(unsigned long long)sizes->scratch);
		}
		*layout = tried;
		return HS_OK;
	}
	return hs_error_set(err, HS_ERR_RANGE, 0, asked, "no size of the scratch region fits its own page tables");
}

static enum hs_status check_memory(const struct hs_image *image, const struct hs_layout *layout, uint64_t limit,
				   struct hs_error *err)
{
	uint64_t needed = layout->snapshot_bytes + layout->scratch_bytes;

	if (needed <= limit) {
		return HS_OK;
	}
	return hs_image_fail(image->path, HS_ERR_RANGE, needed, err,
			     "needs more memory than the %llu bytes a guest may have: the smallest limit that works is "
			     "%llu bytes",
			     (unsigned long long)limit, (unsigned long long)needed);
}

static enum hs_status check_kind(const struct hs_image *image, const struct hs_vm_config *config, struct hs_error *err)
{
	enum hs_boot boot = config ? config->boot : HS_BOOT_AUTO;

	if (boot == HS_BOOT_PVH || (boot == HS_BOOT_AUTO && image->kind == HS_IMAGE_PVH)) {
		return hs_image_fail(image->path, HS_ERR_UNSUPPORTED, 0, err, "%s: PVH boot is not supported yet",
				     image->kind == HS_IMAGE_PVH ? "is a PVH image" : "was to be booted as PVH");
	}
	/* Asked to enter a PVH image like any other: then its virtual addresses matter, which nobody has looked at. */
	return image->kind == HS_IMAGE_PVH ? hs_image_check(image, err) : HS_OK;
}

enum hs_status hs_layout_plan(const struct hs_image *image, const struct hs_vm_config *config, struct hs_layout *ret,
			      struct hs_error *err)
{
	struct hs_layout layout = { .arch = image->arch };
	struct hs_layout_sizes sizes;
	struct hs_layout_top top;
	enum hs_status st = check_kind(image, config, err);

	if (st) {
		return st;
	}
	st = hs_layout_take_sizes(config, &sizes, err);
	if (st) {
		return st;
	}
	hs_layout_top_of(image->arch, &top);
	st = check_window(image, &top, sizes.scratch, err);
	if (st) {
		return st;
	}
	st = hs_layout_place_image(image, &layout, err);
	if (st) {
		return st;
	}
	st = settle(image, config, &sizes, &layout, err);
	if (st) {
		return st;
	}
	st = check_memory(image, &layout, sizes.memory, err);
	if (st) {
		return st;
	}
	layout.args_bytes = sizes.args;
	layout.memory_bytes = sizes.memory;
	hs_layout_place_scratch(&sizes, layout.tables_used, &layout);
	*ret = layout;
	return HS_OK;
}
