/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes by guest-virtual address: what a debugger and a loader ask for. Protection does not matter here; what is mapped
 * and what is backed does. Addresses do not wrap: what runs over the end of the address space ends there.
 */
#include "paging/walk.h"

#include "base/arith.h"
#include "base/error.h"

#include <string.h>

/* The bytes at gva that one range maps, at most `length` of them: *ret is where they are. 0 when gva is not mapped. */
static uint64_t piece_at(struct hs_walk *walk, uint64_t gva, uint64_t length, hs_gpa *ret)
{
	struct hs_range range;

	if (!hs_walk_find(walk, gva, &range) || range.kind != HS_RANGE_MAPPED) {
		return 0;
	}
	ret->v = range.gpa.v + (gva - range.start.v);
	return hs_min_u64(length, range.length - (gva - range.start.v));
}

/*
 * Copy what is backed of [gpa, gpa + length), from its start to the first byte that is not; returns how much that is.
 */
static uint64_t read_piece(const struct hs_phys *phys, hs_gpa gpa, uint8_t *buffer, uint64_t length)
{
	struct hs_error missing = { .where = 0 };
	uint64_t done = 0;

	while (done < length) {
		hs_gpa at = hs_gpa_of(gpa.v + done);
		uint64_t here = 0;
		const uint8_t *bytes = phys->ops->pointer ? phys->ops->pointer(phys->ctx, at, &here) : NULL;

		if (!bytes) {
			break;
		}
		here = hs_min_u64(here, length - done);
		memcpy(buffer + done, bytes, here);
		done += here;
	}
	if (done == length) {
		return length;
	}
	gpa.v += done;
	if (phys->ops->read(phys->ctx, gpa, buffer + done, length - done, &missing) == HS_OK) {
		return length;
	}
	/* The part before the byte that is missing, if the error names one that is inside. */
	if (missing.where <= gpa.v || missing.where - gpa.v >= length - done ||
	    phys->ops->read(phys->ctx, gpa, buffer + done, missing.where - gpa.v, NULL) != HS_OK) {
		return done;
	}
	return done + (missing.where - gpa.v);
}

enum hs_status hs_vmem_read(const struct hs_phys *phys, const struct hs_root *root, hs_gva gva, void *buffer,
			    size_t length, size_t *ret_length, struct hs_error *err)
{
	struct hs_walk walk;
	uint8_t *bytes = buffer;
	size_t done = 0;

	hs_walk_init(&walk, phys, root, UINT64_MAX, false);
	while (done < length) {
		hs_gpa gpa;
		uint64_t piece = piece_at(&walk, gva.v + done, length - done, &gpa);
		uint64_t copied = piece ? read_piece(phys, gpa, bytes + done, piece) : 0;

		done += copied;
		if (piece == 0 || copied < piece || gva.v + done < gva.v) {
			break;
		}
	}
	if (done == 0 && length > 0) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, gva.v, "no memory at address 0x%llx",
				    (unsigned long long)gva.v);
	}
	*ret_length = done;
	return HS_OK;
}

/* See that every byte of [gpa, gpa + length) is there and can be written, by writing what it holds. */
static enum hs_status probe_piece(const struct hs_phys *phys, hs_gpa gpa, uint64_t length, struct hs_error *err)
{
	uint8_t copy[512];

	for (uint64_t done = 0; done < length;) {
		uint64_t size = hs_min_u64(length - done, sizeof(copy));
		hs_gpa at = hs_gpa_of(gpa.v + done);
		enum hs_status st = phys->ops->read(phys->ctx, at, copy, size, err);

		if (!st) {
			st = phys->ops->write(phys->ctx, at, copy, size, err);
		}
		if (st) {
			return st;
		}
		done += size;
	}
	return HS_OK;
}

/* One pass over the pages of [gva, gva + length): with bytes to write, or NULL to see whether they can be written. */
static enum hs_status write_pass(const struct hs_phys *phys, const struct hs_root *root, hs_gva gva,
				 const uint8_t *bytes, size_t length, struct hs_error *err)
{
	struct hs_walk walk;

	hs_walk_init(&walk, phys, root, UINT64_MAX, false);
	for (size_t done = 0; done < length;) {
		uint64_t at = gva.v + done;
		hs_gpa gpa;
		uint64_t piece = at >= gva.v ? piece_at(&walk, at, length - done, &gpa) : 0;
		enum hs_status st;

		if (piece == 0) {
			return hs_error_set(err, HS_ERR_UNREADABLE, 0, at, "no memory at address 0x%llx",
					    (unsigned long long)at);
		}
		st = bytes ? phys->ops->write(phys->ctx, gpa, bytes + done, piece, err)
			   : probe_piece(phys, gpa, piece, err);
		if (st == HS_ERR_UNREADABLE) {
			return hs_error_set(err, st, 0, at,
					    "no memory behind address 0x%llx, at physical address 0x%llx",
					    (unsigned long long)at, (unsigned long long)gpa.v);
		}
		if (st) {
			return st;
		}
		done += piece;
	}
	return HS_OK;
}

enum hs_status hs_vmem_write(const struct hs_phys *phys, const struct hs_root *root, hs_gva gva, const void *buffer,
			     size_t length, struct hs_error *err)
{
	bool one_page = length <= HS_PAGE_SIZE - (gva.v & (HS_PAGE_SIZE - 1));
	enum hs_status st;

	if (!phys->ops->write) {
		return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, gva.v, "the memory is read-only");
	}
	/* Within one page there is one write, which is all or nothing by itself. */
	st = one_page ? HS_OK : write_pass(phys, root, gva, NULL, length, err);
	return st ? st : write_pass(phys, root, gva, buffer, length, err);
}
