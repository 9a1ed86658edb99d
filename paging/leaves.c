/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The entries of a table, taken together. They are copied first and judged in the copy, a group at a time: all of a
 * group are leaves in which nothing is wrong, or none is present, in nearly all tables there are, and then one
 * comparison of the bits that all of them have, and that any of them has, decides about the group. Else they are taken
 * one by one. What is neither a leaf nor a hole ends it, and hs_walk_step() says what it is.
 *
 * The copy is so that a guest that runs meanwhile cannot change an entry between the look at it and its use.
 */
#include "paging/leaves.h"

#include "base/arith.h"
#include "base/bytes.h"
#include "paging/entry.h"
#include "paging/format.h"
#include "paging/range.h"

#include <string.h>

/* Entries of a group; one table has a multiple of it, apart from the four of PAE paging. */
#define GROUP 32

/* Entries side by side, for loops that compilers do not turn into vector code by themselves. Of 16 bytes, since that
 * is what every x86-64 and aarch64 host has: a compiler makes of wider ones something that goes through memory. */
#define LANES 2
#define PLACE_LANES 8
typedef uint64_t lanes __attribute__((vector_size(LANES * sizeof(uint64_t))));
typedef uint32_t small_lanes __attribute__((vector_size(LANES * sizeof(uint32_t))));
typedef uint16_t place_lanes __attribute__((vector_size(PLACE_LANES * sizeof(uint16_t))));

/* Bits that all of a group have, and that any has. */
struct sum {
	uint64_t all, any;
};

static bool all_are(struct sum sum, struct hs_entry_test test)
{
	return (sum.all & test.mask) == test.value && (sum.any & test.mask) == test.value;
}

/* Copy a group. */
static inline __attribute__((always_inline)) struct sum copy_group(const uint8_t *bytes, unsigned int entry_bytes,
								   uint64_t *ret)
{
	lanes all = ~(lanes){ 0 };
	lanes any = { 0 };

#pragma GCC unroll 8
	for (uint32_t i = 0; i < GROUP; i += LANES) {
		small_lanes small;
		lanes entry;

		if (entry_bytes == 8) {
			hs_get_le64_array(bytes + (size_t)i * 8, (uint64_t *)&entry, LANES);
		} else {
			hs_get_le32_array(bytes + (size_t)i * 4, (uint32_t *)&small, LANES);
			entry = __builtin_convertvector(small, lanes);
		}
		memcpy(ret + i, &entry, sizeof(entry));
		all &= entry;
		any |= entry;
	}
	return (struct sum){ all[0] & all[1], any[0] | any[1] };
}

/* The places of a group. */
static inline void number(uint16_t *ret, uint32_t first)
{
	place_lanes place = (place_lanes){ 0, 1, 2, 3, 4, 5, 6, 7 } + (uint16_t)first;

	for (uint32_t i = 0; i < GROUP; i += PLACE_LANES) {
		memcpy(ret + i, &place, sizeof(place));
		place += PLACE_LANES;
	}
}

/* Keep the leaves of count entries at the end of leaves, which are from `first` on of their table; how many entries
 * there are before one that is neither leaf nor hole. */
static uint32_t pick(struct hs_leaves *leaves, uint32_t first, uint32_t count, struct hs_entry_test plain,
		     struct hs_entry_test present)
{
	const uint64_t *entries = leaves->entry + leaves->count;
	uint32_t kept = leaves->count;
	uint32_t done = 0;

	/* A page is kept no further back than it is, so none is written over before it was read. */
	for (; done < count; done++) {
		uint64_t entry = entries[done];
		bool is_plain = hs_entry_is(entry, plain);

		if (!is_plain && hs_entry_is(entry, present)) {
			break;
		}
		leaves->entry[kept] = entry;
		leaves->index[kept] = (uint16_t)(first + done);
		kept += is_plain;
	}
	leaves->count = kept;
	return done;
}

/* The pages of count entries from bytes on, of which the first is at index of its table; how many entries that took. */
static inline __attribute__((always_inline)) uint32_t sift(struct hs_leaves *leaves, const uint8_t *bytes,
							   unsigned int entry_bytes, uint32_t index, uint32_t count,
							   struct hs_entry_test plain, struct hs_entry_test present)
{
	struct sum kept = { .all = ~UINT64_C(0), .any = 0 };
	uint32_t done = 0;

	leaves->alike = true;
	while (done < count && leaves->count + GROUP <= HS_PAGES_MAX) {
		const uint8_t *here = bytes + (size_t)done * entry_bytes;
		uint64_t *entries = leaves->entry + leaves->count;
		uint32_t group = GROUP;
		uint32_t picked;

		if (count - done >= GROUP) {
			struct sum sum = copy_group(here, entry_bytes, entries);

			if (all_are(sum, plain)) {
				kept.all &= sum.all;
				kept.any |= sum.any;
				number(leaves->index + leaves->count, index + done);
				leaves->count += GROUP;
				done += GROUP;
				continue;
			}
			/* The test is of one bit, which is set where an entry is present. */
			if (present.value && !(sum.any & present.mask)) {
				done += GROUP;
				continue;
			}
		} else {
			group = count - done;
			for (uint32_t i = 0; i < group; i++) {
				entries[i] = hs_entry_load(here + (size_t)i * entry_bytes, entry_bytes);
			}
		}
		leaves->alike = false;
		picked = pick(leaves, index + done, group, plain, present);
		done += picked;
		if (picked < group) {
			break;
		}
	}
	leaves->alike &= !((kept.all ^ kept.any) & ~leaves->address);
	return done;
}

/* How the entries at depth are read, apart from the pages themselves. */
static void describe(const struct hs_walk *walk, unsigned int depth, struct hs_leaves *leaves)
{
	const struct hs_format_level *row = &walk->format->level[depth];
	uint8_t rights = walk->levels[depth].rights;

	leaves->count = 0;
	leaves->next = 0;
	leaves->level = (uint8_t)depth;
	leaves->shift = row->shift;
	leaves->address = row->leaf_address | row->leaf_high << row->leaf_high_shift;
	leaves->attributes = row->leaf_attributes | row->leaf_moved >> row->leaf_moved_shift;
	leaves->allow = row->leaf_rights.allow;
	leaves->write = row->leaf_rights.write;
	leaves->exec = row->leaf_rights.exec;
	leaves->user = row->leaf_rights.user;
	leaves->prot = rights & (HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC);
	leaves->user_path = rights & HS_RIGHT_USER;
	leaves->cow_mask = walk->format->cow.mask;
	leaves->cow_value = walk->format->cow.value;
}

/* Where kernel and user mode may not fetch by the same bit, and where tables decide, the bit of `present`, which is set
 * in every page, becomes what hs_walk_leaf_prot() says of EXEC. */
static void settle_exec(const struct hs_walk *walk, struct hs_leaves *leaves)
{
	const struct hs_entry_rights *rights = &walk->format->level[leaves->level].leaf_rights;
	uint64_t bit = walk->format->present.mask;
	uint8_t path = walk->levels[leaves->level].rights;

	for (uint32_t i = 0; i < leaves->count; i++) {
		int prot = hs_walk_leaf_prot(path & hs_walk_rights(rights, leaves->entry[i]));

		leaves->entry[i] = (leaves->entry[i] & ~bit) | (prot & HS_PROT_EXEC ? bit : 0);
	}
	leaves->allow |= bit;
	leaves->exec = bit;
	leaves->prot |= HS_PROT_EXEC;
}

/* Put the address and the attributes of a large leaf where the smallest leaf has them. */
static void straighten(const struct hs_format_level *row, uint64_t leaf_mask, struct hs_leaves *leaves)
{
	uint64_t keep = ~(row->leaf_high | row->leaf_moved | leaf_mask);

	/* The few behind the last page are nothing, but within the array. */
	for (uint32_t i = 0; i < leaves->count; i += LANES) {
		lanes entry;

		memcpy(&entry, leaves->entry + i, sizeof(entry));
		entry = (entry & keep) | (entry & row->leaf_high) << row->leaf_high_shift |
			(entry & row->leaf_moved) >> row->leaf_moved_shift;
		memcpy(leaves->entry + i, &entry, sizeof(entry));
	}
}

/* The test for a leaf at depth that is present and in which nothing is reserved. */
static struct hs_entry_test plain_of(const struct hs_walk *walk, unsigned int depth)
{
	struct hs_entry_test leaf = { walk->levels[depth].leaf_mask, walk->format->level[depth].leaf.value };
	struct hs_entry_test present = walk->format->present;
	uint64_t reserved = walk->levels[depth].reserved_leaf;

	if ((leaf.value & ~leaf.mask) || ((present.value | leaf.value) & reserved)) {
		/* There is no leaf, or none that is not reserved: a test that never holds. */
		return (struct hs_entry_test){ 0, 1 };
	}
	return (struct hs_entry_test){ present.mask | leaf.mask | reserved, present.value | leaf.value };
}

/* The pages, and the holes between them, from the entry on that the walk found for gva; how many bytes of addresses. */
static uint64_t gather(struct hs_walk *walk, uint64_t gva, uint64_t last, bool mapped, struct hs_leaves *leaves)
{
	unsigned int depth = walk->open - 1u;
	const struct hs_format_level *row = &walk->format->level[depth];
	uint8_t path = walk->levels[depth].rights;
	uint32_t index = hs_walk_index(row, gva);
	uint32_t offset = index - walk->levels[depth].first;
	uint64_t start = hs_align_down(gva, UINT64_C(1) << row->shift);
	const uint8_t *bytes = walk->levels[depth].entries + (size_t)offset * walk->format->entry_bytes;
	uint32_t count = (uint32_t)hs_min_u64(walk->levels[depth].count - offset, ((last - start) >> row->shift) + 1);
	const struct hs_entry_test plain = plain_of(walk, depth);
	const struct hs_entry_test present = walk->format->present;
	uint32_t span;

	describe(walk, depth, leaves);
	leaves->reach = start - ((uint64_t)index << row->shift);
	span = walk->format->entry_bytes == 8 ? sift(leaves, bytes, 8, index, count, plain, present)
					      : sift(leaves, bytes, 4, index, count, plain, present);
	if (span == 0) {
		/* The entry has changed since it was found. That counts, or this could take for ever. */
		leaves->entry[0] = walk->entry;
		leaves->index[0] = (uint16_t)index;
		leaves->count = mapped;
		span = 1;
	}
	if (row->leaf_high | row->leaf_moved | walk->levels[depth].leaf_mask) {
		straighten(row, walk->levels[depth].leaf_mask, leaves);
	}
	if (row->leaf_rights.exec != row->leaf_rights.user_exec ||
	    !(path & HS_PROT_EXEC) != !(path & HS_RIGHT_USER_EXEC)) {
		settle_exec(walk, leaves);
	}
	return start + ((uint64_t)span << row->shift) - gva;
}

/* Cut a range that contains gva to [gva, last]. */
static void clip(struct hs_range *range, uint64_t gva, uint64_t last)
{
	uint64_t skipped = gva - range->start.v;

	range->start.v = gva;
	range->length -= skipped;
	if (range->kind == HS_RANGE_MAPPED) {
		range->gpa.v += skipped;
	}
	if (range->length - 1 > last - gva) {
		range->length = last - gva + 1;
	}
}

/* Let an unreadable range grow over the entries behind it. */
static void grow(struct hs_walk *walk, uint64_t last, unsigned int tables, struct hs_range *range)
{
	struct hs_range next;

	while (range->start.v + (range->length - 1) < last &&
	       hs_walk_step(walk, range->start.v + range->length, tables, &next) == HS_WALK_FOUND) {
		clip(&next, range->start.v + range->length, last);
		if (!hs_range_merge(range, &next)) {
			break;
		}
	}
}

enum hs_walk_step hs_walk_leaves(struct hs_walk *walk, uint64_t gva, uint64_t last, unsigned int tables,
				 struct hs_leaves *leaves, struct hs_range *other, uint64_t *ret_length)
{
	enum hs_walk_step step = hs_walk_step(walk, gva, tables, other);

	leaves->count = 0;
	leaves->next = 0;
	if (step != HS_WALK_FOUND) {
		return step;
	}
	if (walk->open > 0 && (other->kind == HS_RANGE_MAPPED || other->kind == HS_RANGE_HOLE)) {
		*ret_length = gather(walk, gva, last, other->kind == HS_RANGE_MAPPED, leaves);
		other->kind = HS_RANGE_HOLE;
		return HS_WALK_FOUND;
	}
	clip(other, gva, last);
	if (other->kind == HS_RANGE_UNREADABLE) {
		/* Who counts tables has met this one, and wants to meet those behind it. */
		grow(walk, last, tables < HS_PAGING_LEVELS_MAX ? 0 : tables, other);
	}
	*ret_length = other->length;
	return HS_WALK_FOUND;
}

void hs_leaves_flat(struct hs_leaves *leaves, const struct hs_range *range)
{
	uint64_t start = hs_align_down(range->start.v, HS_PAGE_SIZE);
	uint64_t left = (range->start.v + (range->length - 1) - start) / HS_PAGE_SIZE + 1;

	*leaves = (struct hs_leaves){
		.count = (uint32_t)hs_min_u64(left, HS_PAGES_MAX),
		.alike = true,
		.user_path = true,
		.prot = HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC,
		.shift = 12,
		.reach = start,
		.address = ~UINT64_C(0),
		.cow_value = 1,
	};
	for (uint32_t i = 0; i < leaves->count; i++) {
		leaves->entry[i] = start + (uint64_t)i * HS_PAGE_SIZE;
		leaves->index[i] = (uint16_t)i;
	}
}

uint32_t hs_leaves_alike(const struct hs_leaves *leaves)
{
	uint64_t first = leaves->entry[leaves->next];
	uint32_t at = leaves->next + 1;

	if (leaves->alike) {
		return leaves->count - leaves->next;
	}
	while (at < leaves->count && !((leaves->entry[at] ^ first) & ~leaves->address)) {
		at++;
	}
	return at - leaves->next;
}

/* How many pages behind `at` are, entry for entry, what follows from it. */
static uint32_t exact_run(const struct hs_leaves *leaves, uint32_t at)
{
	const uint64_t *entries = leaves->entry + at + 1;
	const uint16_t *places = leaves->index + at + 1;
	uint64_t step = UINT64_C(1) << leaves->shift;
	uint64_t next = leaves->entry[at] + step;
	/* Up to where the address would run over its last bit, into attributes. */
	uint32_t count = (uint32_t)hs_min_u64(
		leaves->count - at - 1, (leaves->address - (leaves->entry[at] & leaves->address)) >> leaves->shift);
	uint32_t done = 0;

	/* A group at a time without a branch between them. Places ascend, so that no hole is between them if the last
	 * is where it then is. */
	for (; done + GROUP <= count && places[done + GROUP - 1] == leaves->index[at] + done + GROUP; done += GROUP) {
		lanes want = { next, next + step };
		lanes different = { 0 };

#pragma GCC unroll 4
		for (uint32_t i = 0; i < GROUP; i += LANES) {
			lanes entry;

			memcpy(&entry, entries + done + i, sizeof(entry));
			different |= entry ^ want;
			want += LANES * step;
		}
		if (different[0] | different[1]) {
			break;
		}
		next += GROUP * step;
	}
	for (; done < count && entries[done] == next && places[done] == leaves->index[at] + done + 1; done++) {
		next += step;
	}
	return done;
}

/* Whether the page behind `at` is shown as one range with it, which entries that differ can be: in a right that the
 * tables above take away. */
static bool goes_on(const struct hs_leaves *leaves, uint32_t at, uint64_t same)
{
	uint32_t next = at + 1;
	struct hs_range range;
	struct hs_range behind;

	if (next == leaves->count || (leaves->entry[at] ^ leaves->entry[next]) & same) {
		return false;
	}
	hs_leaves_range(leaves, at, 1, &range);
	hs_leaves_range(leaves, next, 1, &behind);
	return hs_range_merge(&range, &behind);
}

uint32_t hs_leaves_long_run(const struct hs_leaves *leaves, uint64_t same)
{
	uint32_t end = leaves->next;

	do {
		end += exact_run(leaves, end);
	} while (goes_on(leaves, end, same) && ++end);
	return end - leaves->next + 1;
}
