/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several roots: the list that the walk gives, read as docs/paging.md says, against lookups in each root. */
#include "checks.h"

#include <string.h>

#define PLACES 256
#define POINTS 48

static bool covers(const struct hs_space_item *item, uint64_t gva)
{
	/* That of a root reaches everything. */
	return (item->length == 0 && item->kind != HS_SPACE_RANGE) || gva - item->gva.v < item->length;
}

/* Whether the walk came as far as this address. */
static bool reached(const struct space_list *list, uint32_t space, uint64_t gva)
{
	return list->status == HS_ERR_NOT_FOUND || space < list->end_space ||
	       (space == list->end_space && gva < list->end);
}

/* Whether entries say the same under both. */
static bool same_reading(const struct hs_root *a, const struct hs_root *b)
{
	unsigned int widths[2] = { a->maxphyaddr, b->maxphyaddr };

	for (unsigned int i = 0; i < 2; i++) {
		widths[i] = widths[i] < 32 || widths[i] > 52 ? 52 : widths[i];
	}
	return a->format == b->format && a->pse == b->pse && a->nxe == b->nxe && widths[0] == widths[1];
}

/* A reference names a table that came before, with the same reach; a table of its own never came before. */
static void check_owner(const struct scene *scene, const struct space_list *list, size_t which)
{
	const struct hs_space_item *item = &list->items[which];
	size_t found = 0;

	for (size_t i = 0; i < which; i++) {
		const struct hs_space_item *other = &list->items[i];

		if (other->kind == HS_SPACE_TABLE && other->table.v == item->table.v && other->depth == item->depth &&
		    same_reading(&scene->roots[other->space], &scene->roots[item->space])) {
			CHECK(item->kind == HS_SPACE_ALIAS && other->space == item->owner);
			CHECK(other->gva.v == item->owner_gva.v && other->length == item->length);
			found++;
		}
	}
	CHECK(found == (item->kind == HS_SPACE_ALIAS));
}

/* It is within the table above that was last given out in its space. */
static void check_place(const struct space_list *list, size_t which)
{
	const struct hs_space_item *item = &list->items[which];
	unsigned int depth = item->kind == HS_SPACE_RANGE ? item->depth : item->depth - 1u;
	uint64_t last = item->gva.v + (item->length - 1);
	size_t i = which;

	if (item->kind != HS_SPACE_RANGE && item->depth == 0) {
		return;
	}
	while (i > 0 && (list->items[i - 1].kind != HS_SPACE_TABLE || list->items[i - 1].depth != depth)) {
		i--;
	}
	CHECK(i > 0 && list->items[i - 1].space == item->space);
	CHECK(covers(&list->items[i - 1], item->gva.v) && covers(&list->items[i - 1], last));
}

/* All that an entry of ours says by itself, at one address of a range. */
static void check_own_rights(struct scene *scene, const struct hs_space_item *item, uint64_t gva)
{
	const struct hs_root *root = &scene->roots[item->space];
	struct hs_path path;

	check_agrees(&scene->guest.phys, root, &item->range, gva);
	hs_path_find(&scene->guest.phys, root, hs_gva_of(gva), &path);
	if (path.count > 0 && item->range.kind == HS_RANGE_MAPPED) {
		struct rights own = rights_of_entry(root, item->depth, path.levels[item->depth].entry);

		CHECK(item->prot == prot_of_rights(&own) && item->user == own.user);
	}
}

static void check_range(struct scene *scene, const struct hs_space_item *item)
{
	CHECK(item->length > 0 && item->range.length == item->length && item->range.start.v == item->gva.v);
	CHECK(item->depth == item->range.level);
	check_own_rights(scene, item, item->gva.v);
	check_own_rights(scene, item, item->gva.v + (item->length - 1));
	check_own_rights(scene, item, item->gva.v + scene_random(scene) % item->length);
}

/* A table is where our path leads, with the rights that are left there. */
static void check_table(struct scene *scene, const struct hs_space_item *item)
{
	const struct hs_root *root = &scene->roots[item->space];
	struct rights rights = ALL_RIGHTS;
	struct hs_path path;

	hs_path_find(&scene->guest.phys, root, item->gva, &path);
	CHECK(path.count > item->depth && path.levels[item->depth].table.v == item->table.v);
	CHECK(item->entry == (item->depth > 0 ? path.levels[item->depth - 1].entry : 0));
	for (unsigned int depth = 0; depth < item->depth; depth++) {
		lose_rights(&rights, rights_of_entry(root, depth, path.levels[depth].entry));
	}
	/* Of what is in it, either mode may have it. */
	rights.prot |= rights.user_exec ? HS_PROT_EXEC : 0;
	CHECK(item->prot == rights.prot && item->user == rights.user);
}

/* It is behind what came before it in its space: a table may begin where the one that it is in does. */
static void check_order(const struct hs_space_item *before, const struct hs_space_item *item)
{
	uint64_t step = item->gva.v - before->gva.v;

	CHECK(item->space >= before->space);
	if (item->space == before->space) {
		CHECK(item->gva.v >= before->gva.v);
		CHECK(before->kind == HS_SPACE_TABLE || (before->length > 0 && step >= before->length));
	}
}

static void check_list(struct scene *scene, const struct space_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct hs_space_item *item = &list->items[i];

		CHECK(item->space < scene->root_count);
		CHECK(item->kind == HS_SPACE_TABLE || reached(list, item->space, item->gva.v));
		if (i > 0) {
			check_order(&list->items[i - 1], item);
		}
		if (scene_levels(scene->roots[item->space].format) > 0) {
			check_place(list, i);
		}
		if (item->kind == HS_SPACE_RANGE) {
			check_range(scene, item);
		} else {
			check_table(scene, item);
			check_owner(scene, list, i);
		}
	}
}

/* Where a reading of the list for one address has come to. */
struct reading {
	uint32_t space;
	uint64_t gva;
	unsigned int depth; /* what is deeper in the list counts */
	struct rights rights;
	const struct hs_space_item *range;
};

/* Through the tables that one space owns; true when a reference leads on. */
static bool read_on(const struct scene *scene, const struct space_list *list, struct reading *reading)
{
	const struct hs_space_item *alias = NULL;

	for (size_t i = 0; i < list->count; i++) {
		const struct hs_space_item *item = &list->items[i];

		if (item->space != reading->space || !covers(item, reading->gva)) {
			continue;
		}
		if (item->kind == HS_SPACE_RANGE) {
			CHECK(!reading->range && item->depth >= reading->depth);
			reading->range = item;
		} else if (item->depth > reading->depth || (item->depth == 0 && item->kind == HS_SPACE_ALIAS)) {
			CHECK(item->kind == HS_SPACE_TABLE || !alias);
			alias = item->kind == HS_SPACE_ALIAS ? item : alias;
			if (item->depth > 0) {
				lose_rights(&reading->rights,
					    rights_of_entry(&scene->roots[item->space], item->depth - 1u, item->entry));
			}
		}
	}
	CHECK(!alias || !reading->range);
	if (alias) {
		reading->gva = alias->owner_gva.v + (reading->gva - alias->gva.v);
		reading->space = alias->owner;
		reading->depth = alias->depth;
	}
	return alias != NULL;
}

/* What a leaf leaves by the list alone: where each mode fetches by a bit of its own, both are among the attributes. */
static struct rights rights_of_leaf(const struct hs_root *root, const struct hs_space_item *item)
{
	struct rights rights = { item->prot, item->user, item->prot & HS_PROT_EXEC };

	if (scene_is_aarch64(root->format)) {
		rights.prot |= HS_PROT_EXEC;
		rights.prot &= item->range.leaf & HS_LEAF_A64_PXN ? ~HS_PROT_EXEC : ~0;
		rights.user_exec = !(item->range.leaf & HS_LEAF_A64_UXN);
	}
	return rights;
}

/* What the list alone says about an address, against a lookup. */
static void check_reading(struct scene *scene, const struct space_list *list, uint32_t space, uint64_t gva)
{
	struct reading reading = {
		.space = space,
		.gva = gva,
		.rights = ALL_RIGHTS,
	};
	const struct hs_range *range;
	struct hs_range one;

	if (!reached(list, space, gva)) {
		return;
	}
	while (read_on(scene, list, &reading)) {
	}
	hs_translate(&scene->guest.phys, &scene->roots[space], hs_gva_of(gva), &one);
	CHECK(!reading.range == (one.kind == HS_RANGE_HOLE || one.kind == HS_RANGE_NON_CANONICAL));
	if (!reading.range) {
		return;
	}
	range = &reading.range->range;
	CHECK(range->kind == one.kind && range->leaf == one.leaf && range->cow == one.cow);
	CHECK(range->level == one.level && range->page_bytes == one.page_bytes);
	if (one.kind == HS_RANGE_MAPPED) {
		lose_rights(&reading.rights, rights_of_leaf(&scene->roots[reading.space], reading.range));
		CHECK(one.prot == prot_of_rights(&reading.rights) && one.user == reading.rights.user);
		CHECK(range->gpa.v + (reading.gva - range->start.v) == one.gpa.v + (gva - one.start.v));
	} else {
		CHECK(range->gpa.v == one.gpa.v);
	}
}

uint64_t interesting_address(struct scene *scene, const struct space_list *list, uint32_t *ret_space)
{
	uint64_t random = scene_random(scene);
	const struct hs_space_item *item = &list->items[list->count ? random % list->count : 0];

	*ret_space = (uint32_t)(random >> 32) % scene->root_count;
	if (list->count == 0 || random >> 63) {
		return scene->gva;
	}
	*ret_space = item->space;
	switch (random >> 60 & 7) {
	case 0:
		return item->gva.v - 1;
	case 1:
		return item->gva.v + item->length;
	case 2:
		return item->gva.v + item->length - 1;
	case 3:
		return item->gva.v;
	default:
		return item->length ? item->gva.v + scene_random(scene) % item->length : scene_random(scene);
	}
}

static void collect(struct scene *scene, struct space_list *list)
{
	static struct hs_space_place places[PLACES];
	struct scene_memory *memory = &scene->guest;
	struct hs_error err = { .where = 0 };
	struct hs_spaces spaces;
	size_t others;

	memory->whole = 0;
	memory->visits = 0;
	memset(list, 0, sizeof(*list));
	hs_spaces_init(&spaces, &memory->phys, scene->roots, scene->root_count, places, scene->places_count,
		       scene->budget);
	for (;;) {
		struct hs_space_item *item = &list->items[list->count];

		list->status = hs_spaces_next(&spaces, item, &err);
		if (list->status) {
			break;
		}
		list->count++;
		list->tables += item->kind == HS_SPACE_TABLE;
		others = list->count - list->tables;
		CHECK(list->tables <= scene->budget.tables && list->tables <= scene->places_count);
		CHECK(others <= scene->budget.ranges);
	}
	CHECK(hs_spaces_next(&spaces, &list->items[list->count], NULL) == list->status);
	CHECK(list->status == HS_ERR_NOT_FOUND || list->status == HS_ERR_BUDGET);
	/* Each is read once, whatever leads to it. */
	CHECK(memory->whole <= list->tables && memory->visits <= list->tables * 1024 * 3);
	list->end_space = spaces.space;
	list->end = err.where;
}

void check_spaces(struct scene *scene)
{
	static struct space_list list;

	collect(scene, &list);
	check_list(scene, &list);
	for (unsigned int i = 0; i < POINTS; i++) {
		uint32_t space;
		uint64_t gva = interesting_address(scene, &list, &space);

		check_reading(scene, &list, space, gva);
		/* The same address of another root: often through references. */
		check_reading(scene, &list, (uint32_t)(scene_random(scene) % scene->root_count), gva);
	}
	if (list.status == HS_ERR_NOT_FOUND && list.tables <= SCENE_BUILT_PAGES) {
		check_rebuilt(scene, &list);
	}
}
