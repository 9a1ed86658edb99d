/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The numbers here are the SDM's (vol. 3A 4.3 to 4.5), not those of paging/. */
#include "weave.h"

#include "base/bytes.h"
#include "base/error.h"

#include <hindsight/spaces.h>

#define P (UINT64_C(1) << 0)
#define RW (UINT64_C(1) << 1)
#define US (UINT64_C(1) << 2)
#define A (UINT64_C(1) << 5)
#define PS (UINT64_C(1) << 7)
#define XD (UINT64_C(1) << 63)
#define ALL_PROT (HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC)

/* Below 4 GiB, for entries of 4 bytes; between the regions of either architecture. */
#define NO_MEMORY 0x70000000u

/* Of each level, log2 of what an entry covers, and where free root slots begin: not those of image and scratch. */
struct shape {
	unsigned int levels;
	uint8_t shift[HS_PAGING_LEVELS_MAX];
	unsigned int slot;
	bool root_has_rights; /* entries of the root have R/W and U/S */
};

static const struct shape *shape_of(enum hs_paging_format format)
{
	static const struct shape two = { 2, { 22, 12 }, 0x200, true };
	static const struct shape pae = { 3, { 30, 21, 12 }, 1, false };
	static const struct shape four = { 4, { 39, 30, 21, 12 }, 0x40, true };
	static const struct shape five = { 5, { 48, 39, 30, 21, 12 }, 0x40, true };

	switch (format) {
	case HS_PAGING_32BIT:
		return &two;
	case HS_PAGING_PAE:
		return &pae;
	case HS_PAGING_4LEVEL:
		return &four;
	default:
		return &five;
	}
}

/* Index `index` at `depth`, in the first root slot that is ours; at depth 0 as many slots behind that. */
static uint64_t address_of(const struct weave *weave, unsigned int depth, uint64_t index)
{
	const struct shape *shape = shape_of(weave->root.format);
	uint64_t base = (uint64_t)shape->slot << shape->shift[0];

	return base + (index << shape->shift[depth]);
}

static enum hs_status take(void *ctx, hs_gpa *ret, struct hs_error *err)
{
	struct weave *weave = ctx;

	if (weave->next == weave->end) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, weave->end, "no page is left for the weave");
	}
	ret->v = weave->next;
	weave->next += HS_PAGE_SIZE;
	return HS_OK;
}

static struct hs_table_source source_of(struct weave *weave)
{
	return (struct hs_table_source){ .take = take, .ctx = weave };
}

static enum hs_status map(struct weave *weave, const struct hs_mapping *mapping, struct hs_error *err)
{
	struct hs_table_source tables = source_of(weave);

	return hs_build_map(weave->phys, &weave->root, mapping, &tables, err);
}

/* A page of memory that no other has, with code in it and a word that is its own. */
static enum hs_status map_page(struct weave *weave, uint64_t gva, int prot, bool user, struct hs_error *err)
{
	struct hs_mapping mapping = {
		.gva = hs_gva_of(gva),
		.length = HS_PAGE_SIZE,
		.prot = prot,
		.user = user,
		.exact = true,
	};
	enum hs_status st = take(weave, &mapping.gpa, err);
	uint8_t word[4];

	hs_put_le32(word, WEAVE_CODE | (uint32_t)(mapping.gpa.v / HS_PAGE_SIZE) << 16);
	if (!st) {
		st = weave->phys->ops->write(weave->phys->ctx, mapping.gpa, word, sizeof(word), err);
	}
	return st ? st : map(weave, &mapping, err);
}

/* Change the entry of gva at depth. */
static enum hs_status turn(struct weave *weave, uint64_t gva, unsigned int depth, uint64_t bits, struct hs_error *err)
{
	size_t bytes = weave->root.format == HS_PAGING_32BIT ? 4 : 8;
	struct hs_path path;
	uint8_t entry[8];

	hs_path_find(weave->phys, &weave->root, hs_gva_of(gva), &path);
	hs_put_le(entry, path.levels[depth].entry ^ bits, (unsigned int)bytes);
	return weave->phys->ops->write(weave->phys->ctx, path.levels[depth].place, entry, bytes, err);
}

/* Every set of rights of a leaf, with a hole behind each. */
static enum hs_status add_leaves(struct weave *weave, struct hs_error *err)
{
	unsigned int last = shape_of(weave->root.format)->levels - 1;
	enum hs_status st = HS_OK;

	for (unsigned int i = 0; !st && i < 8; i++) {
		int prot = HS_PROT_READ | (i & 1 ? HS_PROT_WRITE : 0) | (i & 2 ? HS_PROT_EXEC : 0);

		weave->everything = address_of(weave, last, 2 * i);
		st = map_page(weave, weave->everything, prot, i & 4, err);
	}
	return st;
}

/* At every depth, a table whose entry takes one right away, with a leaf in it that has them all. */
static enum hs_status add_restrictions(struct weave *weave, struct hs_error *err)
{
	const struct shape *shape = shape_of(weave->root.format);
	const uint64_t rights[] = { RW, US, weave->root.nxe ? XD : 0 };
	enum hs_status st = HS_OK;

	for (unsigned int depth = shape->root_has_rights ? 1 : 2; depth < shape->levels; depth++) {
		for (unsigned int i = 0; !st && i < 3; i++) {
			uint64_t gva = address_of(weave, depth - 1, 1 + i);
			struct hs_table_source tables = source_of(weave);

			st = hs_build_table(weave->phys, &weave->root, depth, hs_gva_of(gva),
					    (P | RW | US | A) ^ rights[i], &tables, err);
			if (!st) {
				st = map_page(weave, gva, ALL_PROT, true, err);
			}
		}
	}
	return st;
}

static bool has_large(const struct weave *weave, unsigned int depth)
{
	const struct shape *shape = shape_of(weave->root.format);
	unsigned int shift = shape->shift[depth];

	return (shift == 22 && weave->root.pse) || (shift == 21 && weave->root.format != HS_PAGING_32BIT) ||
	       (shift == 30 && weave->root.format != HS_PAGING_PAE && weave->large_1g);
}

/* Large pages over the memory that begins at 0: one with all rights, one with few, one with a reserved bit. */
static enum hs_status add_large(struct weave *weave, unsigned int depth, struct hs_error *err)
{
	uint64_t reserved = weave->root.format == HS_PAGING_32BIT ? UINT64_C(1) << 21 : UINT64_C(1) << 13;
	enum hs_status st = HS_OK;

	for (unsigned int i = 0; !st && i < 3; i++) {
		uint64_t gva = address_of(weave, depth, 16 + i);

		st = map(weave,
			 &(struct hs_mapping){
				 .gva = hs_gva_of(gva),
				 .length = UINT64_C(1) << shape_of(weave->root.format)->shift[depth],
				 .prot = i == 0 ? ALL_PROT : HS_PROT_READ,
				 .user = i == 0,
				 .large = true,
			 },
			 err);
		if (!st && i == 2) {
			st = turn(weave, gva, depth, reserved, err);
		}
	}
	return st;
}

/* Bits that are reserved in entries: PS in one of the root, where that is no large page; an address bit that no
 * processor has yet; a bit that only PAE reserves. */
static enum hs_status add_reserved(struct weave *weave, struct hs_error *err)
{
	const struct shape *shape = shape_of(weave->root.format);
	unsigned int last = shape->levels - 1;
	static const uint64_t of_leaves[] = { UINT64_C(1) << 51, UINT64_C(1) << 52 };
	enum hs_status st = HS_OK;

	for (unsigned int i = 0; !st && weave->root.format != HS_PAGING_32BIT && i < 2; i++) {
		uint64_t gva = address_of(weave, last, 32 + i);

		st = map_page(weave, gva, ALL_PROT, true, err);
		if (!st) {
			st = turn(weave, gva, last, of_leaves[i], err);
		}
	}
	if (!st && shape->root_has_rights && !weave->root.pse) {
		uint64_t gva = address_of(weave, 0, 20);

		st = map_page(weave, gva, ALL_PROT, true, err);
		if (!st) {
			st = turn(weave, gva, 0, PS, err);
		}
	}
	return st;
}

/* A page and a table where there is no memory. */
static enum hs_status add_missing(struct weave *weave, struct hs_error *err)
{
	const struct shape *shape = shape_of(weave->root.format);
	unsigned int last = shape->levels - 1;
	uint64_t gva = address_of(weave, last - 1, 24);
	struct hs_table_source tables = source_of(weave);
	enum hs_status st = map(weave,
				&(struct hs_mapping){
					.gva = hs_gva_of(address_of(weave, last, 40)),
					.gpa = hs_gpa_of(NO_MEMORY),
					.length = HS_PAGE_SIZE,
					.prot = HS_PROT_READ,
				},
				err);

	if (!st) {
		st = hs_build_table(weave->phys, &weave->root, last, hs_gva_of(gva), P | RW | US | A, &tables, err);
	}
	if (!st) {
		st = hs_build_repoint(weave->phys, &weave->root, last, hs_gva_of(gva), hs_gpa_of(NO_MEMORY), err);
	}
	return st;
}

/* The root in a slot of its own: all tables are pages there, and what an entry means depends on how often it is
 * passed. */
static enum hs_status add_recursion(struct weave *weave, struct hs_error *err)
{
	const struct shape *shape = shape_of(weave->root.format);
	uint64_t gva = address_of(weave, 0, 30);
	struct hs_table_source tables = source_of(weave);
	enum hs_status st;

	if (!shape->root_has_rights) {
		return HS_OK;
	}
	st = hs_build_table(weave->phys, &weave->root, 1, hs_gva_of(gva), P | RW | A, &tables, err);
	return st ? st : hs_build_repoint(weave->phys, &weave->root, 1, hs_gva_of(gva), weave->root.base, err);
}

enum hs_status weave_add(struct weave *weave, struct hs_error *err)
{
	unsigned int levels = shape_of(weave->root.format)->levels;
	enum hs_status st = add_leaves(weave, err);

	if (!st) {
		st = add_restrictions(weave, err);
	}
	for (unsigned int depth = 0; !st && depth + 1 < levels; depth++) {
		if (has_large(weave, depth)) {
			st = add_large(weave, depth, err);
		}
	}
	if (!st) {
		st = add_reserved(weave, err);
	}
	if (!st) {
		st = add_missing(weave, err);
	}
	return st ? st : add_recursion(weave, err);
}

enum hs_status weave_spoil(struct weave *weave, struct hs_error *err)
{
	return turn(weave, weave->everything, shape_of(weave->root.format)->levels - 1, RW, err);
}

enum hs_status weave_show_code(struct weave *weave, hs_gpa gpa, uint64_t *ret_gva, struct hs_error *err)
{
	*ret_gva = address_of(weave, shape_of(weave->root.format)->levels - 1, 50);
	return map(weave,
		   &(struct hs_mapping){
			   .gva = hs_gva_of(*ret_gva),
			   .gpa = gpa,
			   .length = HS_PAGE_SIZE,
			   .prot = HS_PROT_READ | HS_PROT_EXEC,
			   .user = true,
		   },
		   err);
}

enum hs_status weave_copy(struct weave *weave, const struct hs_root *from, enum hs_paging_format format,
			  struct hs_error *err)
{
	enum hs_status st;
	struct hs_range range;
	struct hs_iter iter;

	weave->root = *from;
	weave->root.format = format;
	weave->root.nxe = format != HS_PAGING_32BIT;
	st = take(weave, &weave->root.base, err);
	hs_iter_init(&iter, weave->phys, from, hs_gva_of(0), 0, hs_budget_default());
	while (!st && (st = hs_iter_next(&iter, &range, err)) == HS_OK) {
		st = map(weave,
			 &(struct hs_mapping){
				 .gva = range.start,
				 .gpa = range.gpa,
				 .length = range.length,
				 .prot = range.prot,
				 .user = range.user,
			 },
			 err);
	}
	return st == HS_ERR_NOT_FOUND ? HS_OK : st;
}
