/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules on the virtual addresses of an image that is entered with paging on. Pure: looks at the struct alone. */
#include "vmm/image_file.h"

#include "arch/bits.h"
#include "base/arith.h"

/* The longest linear address in bits that both of our paging formats can translate (SDM vol. 3A 3.3.7.1, 4.5). */
#define AMD64_LINEAR_BITS 48u

static enum hs_status check_segment(const struct hs_image *image, const struct hs_image_segment *segment,
				    struct hs_error *err)
{
	uint64_t start = segment->gva.v;
	uint64_t last;

	if (!hs_add_u64(start, segment->length - 1, &last) || (image->arch == HS_ARCH_I686 && last > UINT32_MAX)) {
		return hs_image_fail(
			image->path, HS_ERR_RANGE, start, err,
			"has a segment that wraps around the end of the address space (0x%llx, %llu bytes)",
			(unsigned long long)start, (unsigned long long)segment->length);
	}
	/* Both ends in one half: the low one ends where the addresses stop being canonical. */
	if (image->arch == HS_ARCH_AMD64 && (!hs_is_canonical(start, AMD64_LINEAR_BITS) ||
					     !hs_is_canonical(last, AMD64_LINEAR_BITS) || start >> 63 != last >> 63)) {
		return hs_image_fail(image->path, HS_ERR_RANGE, start, err,
				     "has a segment at non-canonical addresses (0x%llx to 0x%llx)",
				     (unsigned long long)start, (unsigned long long)last);
	}
	if (start < HS_PAGE_SIZE) {
		return hs_image_fail(image->path, HS_ERR_RANGE, start, err,
				     "has a segment in page 0, which is never mapped (link it higher: "
				     "-no-pie, or -Wl,-Ttext-segment=0x400000)");
	}
	return HS_OK;
}

static enum hs_status check_overlap(const struct hs_image *image, const struct hs_image_segment *segment,
				    struct hs_error *err)
{
	const struct hs_image_segment *next = segment + 1;

	if (!hs_ranges_overlap(segment->gva.v, segment->length, next->gva.v, next->length)) {
		return HS_OK;
	}
	return hs_image_fail(image->path, HS_ERR_RANGE, next->gva.v, err,
			     "has segments that overlap: 0x%llx (%llu bytes) and 0x%llx (%llu bytes)",
			     (unsigned long long)segment->gva.v, (unsigned long long)segment->length,
			     (unsigned long long)next->gva.v, (unsigned long long)next->length);
}

static enum hs_status check_entry(const struct hs_image *image, struct hs_error *err)
{
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct hs_image_segment *segment = &image->segments[i];

		if ((segment->prot & HS_PROT_EXEC) && image->entry >= segment->gva.v &&
		    image->entry - segment->gva.v < segment->length) {
			return HS_OK;
		}
	}
	return hs_image_fail(image->path, HS_ERR_FORMAT, image->entry, err,
			     "has its entry point at 0x%llx, which is in no executable segment",
			     (unsigned long long)image->entry);
}

enum hs_status hs_image_check(const struct hs_image *image, struct hs_error *err)
{
	enum hs_status st;

	for (size_t i = 0; i < image->segment_count; i++) {
		st = check_segment(image, &image->segments[i], err);
		if (st) {
			return st;
		}
	}
	for (size_t i = 0; i + 1 < image->segment_count; i++) {
		st = check_overlap(image, &image->segments[i], err);
		if (st) {
			return st;
		}
	}
	return check_entry(image, err);
}
