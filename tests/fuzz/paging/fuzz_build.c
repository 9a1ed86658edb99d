/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The builder: in tables of its own, where all that it does is known, and among random ones, where it must end. */
#include "checks.h"

#include <string.h>

static struct hs_mapping mapping_of(struct scene *scene)
{
	static const uint64_t largest[] = { 0, HS_PAGE_SIZE, UINT64_C(2) << 20, UINT64_C(4) << 20 };
	const uint8_t *choice = scene->choice;
	struct hs_mapping mapping = {
		.gva = { scene->gva & ~UINT64_C(0xfff) },
		.gpa = { UINT64_C(0x100000) + ((choice[0] | (uint64_t)choice[1] << 8) << 12) },
		.length = (uint64_t)(choice[2] + 1u) << (12 + choice[3] % 3 * 5),
		.prot = choice[4] & 7,
		.user = choice[4] & 8,
		.cow = choice[4] & 16,
		.large = choice[4] & 32,
		.largest = largest[choice[5] >> 6],
		.exact = choice[4] & 128,
		.leaf = (uint64_t)(choice[5] & 0x1f) << 3,
	};

	if (choice[4] & 64) {
		/* Where large leaves fit. */
		mapping.gva.v &= ~UINT64_C(0x3fffff);
		mapping.gpa.v &= ~UINT64_C(0x3fffff);
	}
	return mapping;
}

/* Whether a range is of what was asked for. */
static void check_mapped(const struct hs_root *root, const struct hs_mapping *mapping, const struct hs_range *range)
{
	uint64_t offset = range->start.v - mapping->gva.v;
	bool a64 = scene_is_aarch64(root->format);
	bool xd = a64 || (root->nxe && root->format != HS_PAGING_32BIT);
	uint64_t software = a64 ? HS_LEAF_A64_SOFTWARE : HS_LEAF_AVL;
	uint64_t tag = a64 ? UINT64_C(8) << 55 : UINT64_C(1) << 9;
	/* Bits that the rights are in too. */
	uint64_t other = software | (a64 ? HS_LEAF_A64_PXN | HS_LEAF_A64_UXN : 0);

	CHECK(range->kind == HS_RANGE_MAPPED && offset < mapping->length && range->length <= mapping->length - offset);
	CHECK(range->gpa.v == mapping->gpa.v + offset && range->user == mapping->user);
	CHECK(mapping->large || range->page_bytes == HS_PAGE_SIZE);
	CHECK(mapping->largest == 0 || range->page_bytes <= mapping->largest);
	CHECK(range->cow == (mapping->cow || ((mapping->leaf & software) == tag && !(mapping->prot & HS_PROT_WRITE))));
	CHECK(!(range->prot & HS_PROT_WRITE) == (mapping->cow || !(mapping->prot & HS_PROT_WRITE)));
	CHECK(!(range->prot & HS_PROT_EXEC) == (xd && !(mapping->prot & HS_PROT_EXEC)));
	CHECK((range->leaf & ~other) == (mapping->leaf & ~other));
}

/* The first `length` bytes of a mapping and nothing else are mapped. */
static void check_only(const struct hs_phys *phys, const struct hs_root *root, const struct hs_mapping *mapping,
		       uint64_t length)
{
	struct hs_iter iter;
	struct hs_range range;
	uint64_t done = 0;
	enum hs_status st;

	hs_iter_init(&iter, phys, root, hs_gva_of(0), 0, hs_budget_default());
	while ((st = hs_iter_next(&iter, &range, NULL)) == HS_OK) {
		CHECK(range.start.v == mapping->gva.v + done);
		check_mapped(root, mapping, &range);
		done += range.length;
	}
	CHECK(st == HS_ERR_NOT_FOUND && done == length);
}

/* In empty tables. */
static void check_fresh(struct scene *scene, const struct hs_mapping *mapping)
{
	struct scene_memory *memory = &scene->guest;
	struct hs_root root = scene->roots[0];
	struct hs_error err = { .where = 0 };
	uint64_t needed;
	uint64_t taken;
	enum hs_status st;

	memset(memory->regions[0].bytes, 0, SCENE_FIRST_BYTES);
	memset(memory->regions[1].bytes, 0, SCENE_SECOND_BYTES);
	root.base.v = SCENE_FIRST;
	needed = hs_build_tables_needed(&root, mapping, 1);
	scene_set_tables(memory, SCENE_FIRST + HS_PAGE_SIZE);
	st = hs_build_map(&memory->phys, &root, mapping, &memory->source, &err);
	taken = (memory->next_table - SCENE_FIRST) / HS_PAGE_SIZE;
	if (st == HS_OK) {
		CHECK(taken == needed);
		check_only(&memory->phys, &root, mapping, mapping->length);
		CHECK(hs_build_map(&memory->phys, &root, mapping, &memory->source, &err) == HS_ERR_BUSY);
		CHECK(err.where == mapping->gva.v);
		check_only(&memory->phys, &root, mapping, mapping->length);
	} else if (st == HS_ERR_EXHAUSTED) {
		CHECK(taken < needed);
	} else {
		CHECK(st == HS_ERR_INVALID || st == HS_ERR_RANGE);
		CHECK(scene_levels(root.format) == 0 || err.where - mapping->gva.v < mapping->length);
		if (scene_levels(root.format) > 0) {
			check_only(&memory->phys, &root, mapping, err.where - mapping->gva.v);
		}
	}
}

void check_build(struct scene *scene)
{
	struct scene_memory *memory = &scene->guest;
	struct hs_mapping mapping = mapping_of(scene);
	enum hs_status st;

	/* Among tables that are in one another, or in the pages given out, what is mapped may be gone again: that the
	 * builder ends and stays within what it foretold is all there is to see. */
	scene_set_tables(memory, SCENE_SECOND);
	st = hs_build_map(&memory->phys, &scene->roots[0], &mapping, &memory->source, NULL);
	(void)st;
	CHECK((memory->next_table - SCENE_SECOND) / HS_PAGE_SIZE <=
	      hs_build_tables_needed(&scene->roots[0], &mapping, 1));
	check_fresh(scene, &mapping);
}

/* One change of one entry among random tables. */
struct change {
	const struct hs_root *root;
	unsigned int depth; /* of the table that the entry names */
	uint64_t gva;
	struct hs_path path;
	uint64_t page;  /* that may change too, or 0 */
	uint64_t table; /* that the entry is to name */
	uint8_t before[SCENE_FIRST_BYTES + SCENE_SECOND_BYTES];
};

static struct change change;

static void begin(struct scene *scene, const struct hs_root *root, unsigned int depth, uint64_t gva)
{
	const struct scene_region *regions = scene->guest.regions;

	change.root = root;
	change.depth = depth;
	change.gva = gva;
	change.page = 0;
	change.table = 0;
	hs_path_find(&scene->guest.phys, root, hs_gva_of(gva), &change.path);
	memcpy(change.before, regions[0].bytes, SCENE_FIRST_BYTES);
	memcpy(change.before + SCENE_FIRST_BYTES, regions[1].bytes, SCENE_SECOND_BYTES);
}

/* What may have changed counts as not changed. */
static void forgive(struct scene *scene, uint64_t gpa, uint64_t length)
{
	size_t old = 0;

	for (size_t i = 0; i < 2; i++) {
		const struct scene_region *region = &scene->guest.regions[i];

		for (uint64_t at = gpa > region->gpa ? gpa - region->gpa : 0;
		     at < region->length && region->gpa + at - gpa < length; at++) {
			change.before[old + at] = region->bytes[at];
		}
		old += region->length;
	}
}

/* Nothing but that page, and but the entry if it was a success, is changed. */
static void end(struct scene *scene, enum hs_status st)
{
	uint64_t place = !st && change.depth > 0 ? change.path.levels[change.depth - 1].place.v : 0;
	unsigned int entry_bytes = scene_entry_bytes(change.root->format);
	const struct scene_region *regions = scene->guest.regions;
	struct hs_entry_fields fields;
	uint64_t entry = 0;

	if (change.page) {
		forgive(scene, change.page, HS_PAGE_SIZE);
	}
	if (place) {
		forgive(scene, place, entry_bytes);
	}
	CHECK(memcmp(change.before, regions[0].bytes, SCENE_FIRST_BYTES) == 0);
	CHECK(memcmp(change.before + SCENE_FIRST_BYTES, regions[1].bytes, SCENE_SECOND_BYTES) == 0);
	if (!place) {
		return;
	}
	CHECK(change.path.count >= change.depth);
	for (unsigned int i = 0; i < entry_bytes; i++) {
		entry |= (uint64_t)*scene_bytes(&scene->guest, place + i, 1) << (8 * i);
	}
	hs_entry_describe(change.root, change.depth - 1, entry, &fields);
	CHECK(fields.present && !fields.leaf && fields.gpa.v == change.table);
}

static void check_made(struct scene *scene, const struct hs_root *root, unsigned int depth, uint64_t entry)
{
	enum hs_status st;

	begin(scene, root, depth, scene->gva);
	scene_set_tables(&scene->guest, SCENE_SECOND + HS_PAGE_SIZE);
	change.table = scene->guest.next_table;
	st = hs_build_table(&scene->guest.phys, root, depth, hs_gva_of(scene->gva), entry, &scene->guest.source, NULL);
	change.page = scene->guest.next_table > change.table ? change.table : 0;
	CHECK(st || change.page);
	end(scene, st);
}

static void check_linked(struct scene *scene, const struct hs_root *root, unsigned int depth, uint64_t entry)
{
	const struct hs_root *owner = &scene->roots[scene->choice[6] % scene->root_count];
	struct hs_space_item alias = {
		.kind = scene->choice[7] & 1 ? HS_SPACE_ALIAS : (enum hs_space_kind)(scene->choice[7] % 3),
		.depth = (uint8_t)depth,
		.gva = { scene->gva },
		.owner_gva = { scene_random(scene) >> 24 },
		.entry = entry,
	};
	struct hs_path path;
	enum hs_status st;

	begin(scene, root, depth, scene->gva);
	hs_path_find(&scene->guest.phys, owner, alias.owner_gva, &path);
	st = hs_build_link(&scene->guest.phys, root, &alias, owner, NULL);
	CHECK(st || path.count > depth);
	change.table = st ? 0 : path.levels[depth].table.v;
	end(scene, st);
}

static void check_moved(struct scene *scene, const struct hs_root *root, unsigned int depth, bool copied)
{
	struct hs_root moved = *root;
	uint64_t to = ((scene->choice[6] % SCENE_PAGES + 1u) << 12) + (scene->choice[7] >= 0xf0 ? 8u : 0);
	enum hs_status st;

	begin(scene, root, depth, scene->gva);
	change.table = to;
	change.page = copied ? to : 0;
	st = copied ? hs_build_move_table(&scene->guest.phys, &moved, depth, hs_gva_of(scene->gva), hs_gpa_of(to), NULL)
		    : hs_build_repoint(&scene->guest.phys, root, depth, hs_gva_of(scene->gva), hs_gpa_of(to), NULL);
	CHECK(st || change.path.count > depth || depth == 0);
	CHECK(st || (to & (HS_PAGE_SIZE - 1)) == 0 || (depth == 0 && root->format == HS_PAGING_PAE));
	CHECK(moved.base.v == (!st && copied && depth == 0 ? to : root->base.v));
	end(scene, st);
}

void check_tables(struct scene *scene)
{
	for (uint32_t i = 0; i < scene->root_count; i++) {
		const struct hs_root *root = &scene->roots[i];
		uint64_t random = scene_random(scene);
		unsigned int depth = (unsigned int)(random % 6);
		/* Flags that name a table as a rule. */
		uint64_t entry = 1 | (random >> 8 & 0xe3e) | (random >> 60 ? 0 : scene_random(scene) & ~SCENE_ADDRESS);

		if (root->format == HS_PAGING_PAE && depth == 1) {
			entry &= ~UINT64_C(0x26);
		}
		check_made(scene, root, depth, entry);
		check_linked(scene, root, depth, entry);
		check_moved(scene, root, depth, false);
		check_moved(scene, root, depth, true);
	}
}
