/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/region.h"

#include "base/arith.h"
#include "base/error.h"

#define PAGE_MASK (~(uint64_t)(HS_PAGE_SIZE - 1))
/* A piece that takes more than this to walk is cut: a debugger waits for the answer. */
#define BUDGET ((struct hs_budget){ .tables = 1u << 16, .ranges = 1u << 16 })
/* Leaves that are looked at below an address for where its piece begins. */
#define LEAVES_BELOW 4096

/* Memory of one kind that is there, and at which addresses. */
struct piece {
	uint64_t start, length;
	int prot;
};

/* Pieces of an address space in ascending order. */
struct pieces {
	struct hs_iter iter;
	const struct hs_phys *phys;
	struct hs_range rest; /* of the range that the last piece came from; length 0 for none */
	uint64_t reached;     /* where the budget ended the walk; 0 where it did not */
};

/* Take from pieces->rest its first part with memory behind it. */
static bool take_backed(struct pieces *pieces, struct piece *ret)
{
	struct hs_range *rest = &pieces->rest;
	hs_gpa start;
	uint64_t length, skipped;

	if (!pieces->phys->ops->next_region(pieces->phys->ctx, rest->gpa, &start, &length) ||
	    (start.v > rest->gpa.v && start.v - rest->gpa.v >= rest->length)) {
		rest->length = 0;
		return false;
	}
	if (start.v < rest->gpa.v) {
		length -= rest->gpa.v - start.v;
		start = rest->gpa;
	}
	skipped = start.v - rest->gpa.v;
	*ret = (struct piece){
		.start = rest->start.v + skipped,
		.length = hs_min_u64(length, rest->length - skipped),
		.prot = rest->prot,
	};
	rest->start.v = ret->start + ret->length;
	rest->gpa.v = start.v + ret->length;
	rest->length -= skipped + ret->length;
	return true;
}

static bool next_piece(struct pieces *pieces, struct piece *ret)
{
	for (;;) {
		struct hs_error err = { .where = 0 };
		enum hs_status st;

		if (pieces->rest.length > 0 && take_backed(pieces, ret)) {
			return true;
		}
		st = hs_iter_next(&pieces->iter, &pieces->rest, &err);
		if (st || pieces->rest.kind != HS_RANGE_MAPPED) {
			pieces->rest.length = 0;
		}
		if (st) {
			pieces->reached = st == HS_ERR_BUDGET ? err.where : 0;
			return false;
		}
	}
}

/* Whether a whole range is there, or (*ret false) nothing of it. False: a part is, as of a large page at the end of
 * memory. */
static bool is_uniform(const struct hs_phys *phys, const struct hs_range *range, bool *ret)
{
	uint64_t length;
	hs_gpa start;

	*ret = false;
	if (range->kind != HS_RANGE_MAPPED || !phys->ops->next_region(phys->ctx, range->gpa, &start, &length)) {
		return true;
	}
	if (start.v > range->gpa.v) {
		return start.v - range->gpa.v >= range->length;
	}
	*ret = true;
	return length - (range->gpa.v - start.v) >= range->length;
}

/* Whether the same as at `start` is right below it, and in *ret where that begins. */
static bool same_below(const struct hs_phys *phys, const struct hs_root *root, uint64_t start, bool mapped, int prot,
		       uint64_t *ret)
{
	struct hs_range range;
	bool there;

	hs_translate(phys, root, hs_gva_of(start - 1), &range);
	*ret = range.start.v;
	return is_uniform(phys, &range, &there) && there == mapped && (!there || range.prot == prot);
}

static void extend_down(const struct hs_phys *phys, const struct hs_root *root, struct hs_target_region *region)
{
	uint64_t start = region->start.v;
	unsigned int leaves = 0;
	uint64_t below;

	while (leaves < LEAVES_BELOW && start > 0 &&
	       same_below(phys, root, start, region->mapped, region->prot, &below)) {
		start = below;
		leaves++;
	}
	if (leaves == LEAVES_BELOW) {
		return; /* whoever goes from piece to piece meets each address once */
	}
	if (region->length > UINT64_MAX - (region->start.v - start)) {
		region->length = UINT64_MAX;
	} else {
		region->length += region->start.v - start;
	}
	region->start.v = start;
}

void hs_region_find(const struct hs_phys *phys, const struct hs_root *root, hs_gva gva, struct hs_target_region *ret)
{
	uint64_t start = gva.v & PAGE_MASK;
	struct pieces pieces = { .phys = phys };
	struct piece piece;
	uint64_t end; /* 0 for the end of all addresses */

	hs_iter_init(&pieces.iter, phys, root, hs_gva_of(start), 0, BUDGET);
	*ret = (struct hs_target_region){ .start = hs_gva_of(start) };
	if (!next_piece(&pieces, &piece)) {
		end = pieces.reached;
	} else if (piece.start > start) {
		end = piece.start;
	} else {
		ret->mapped = true;
		ret->prot = piece.prot;
		end = start + piece.length;
		while (end != 0 && next_piece(&pieces, &piece) && piece.start == end && piece.prot == ret->prot) {
			end += piece.length;
		}
	}
	ret->length = end - start;
	if (ret->length == 0) { /* all addresses, or a walk that came to nothing */
		ret->length = end == 0 ? UINT64_MAX : HS_PAGE_SIZE;
	}
	extend_down(phys, root, ret);
}

void hs_region_of_core(const struct hs_core *core, hs_gva gva, struct hs_target_region *ret)
{
	uint64_t below = 0;
	uint64_t above = UINT64_MAX;

	for (size_t i = 0; i < hs_core_info(core)->segment_count; i++) {
		const struct hs_core_segment *segment = hs_core_segment(core, i);
		uint64_t end = segment->start.v + segment->length;

		if (gva.v - segment->start.v < segment->length) {
			*ret = (struct hs_target_region){
				.start = segment->start,
				.length = segment->length,
				.mapped = true,
				.prot = segment->prot,
			};
			return;
		}
		if (segment->start.v > gva.v && segment->start.v < above) {
			above = segment->start.v;
		} else if (end <= gva.v && end > below) {
			below = end;
		}
	}
	*ret = (struct hs_target_region){ .start = hs_gva_of(below), .length = above - below };
}

void hs_region_of_physical(const struct hs_phys *phys, hs_gpa gpa, struct hs_target_region *ret)
{
	uint64_t length;
	hs_gpa start;

	*ret = (struct hs_target_region){ .start = hs_gva_of(gpa.v) };
	if (!phys->ops->next_region(phys->ctx, gpa, &start, &length)) {
		ret->length = gpa.v == 0 ? UINT64_MAX : 0 - gpa.v;
	} else if (start.v > gpa.v) {
		ret->length = start.v - gpa.v;
	} else {
		ret->start = hs_gva_of(start.v);
		ret->length = length;
		ret->mapped = true;
		ret->prot = HS_PROT_READ | (phys->ops->write ? HS_PROT_WRITE : 0);
	}
}

enum hs_status hs_region_read_physical(const struct hs_phys *phys, hs_gpa gpa, void *buffer, size_t length,
				       size_t *ret_length, struct hs_error *err)
{
	uint8_t *bytes = buffer;
	size_t done = 0;

	while (done < length) {
		hs_gpa at = hs_gpa_of(gpa.v + done);
		uint64_t there;
		hs_gpa start;
		size_t part;

		if (at.v < gpa.v || !phys->ops->next_region(phys->ctx, at, &start, &there) || start.v > at.v) {
			break;
		}
		part = (size_t)hs_min_u64(there - (at.v - start.v), length - done);
		if (phys->ops->read(phys->ctx, at, bytes + done, part, NULL)) {
			break;
		}
		done += part;
	}
	if (done == 0 && length > 0) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, gpa.v, "no memory at physical address 0x%llx",
				    (unsigned long long)gpa.v);
	}
	*ret_length = done;
	return HS_OK;
}

enum hs_status hs_region_write_physical(const struct hs_phys *phys, hs_gpa gpa, const void *buffer, size_t length,
					struct hs_error *err)
{
	if (!phys->ops->write) {
		return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, gpa.v, "the memory is read-only");
	}
	return phys->ops->write(phys->ctx, gpa, buffer, length, err);
}
