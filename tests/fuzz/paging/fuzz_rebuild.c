/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several roots built again from their list: the same translations, the same sharing; and after a table has moved. */
#include "checks.h"

#include "rebuild.h"

#include <string.h>

#define POINTS 32
#define PLACES (2 * SCENE_BUILT_PAGES)

/* The new memory has a place for a table to move to. */
static uint8_t bytes[(SCENE_BUILT_PAGES + 1) * HS_PAGE_SIZE];

static bool is_mapped(const struct hs_range *range)
{
	return range->kind == HS_RANGE_MAPPED;
}

/* At addresses of all kinds; what could not be read or was reserved is a hole now. */
static void check_same(struct scene *scene, const struct space_list *list, const struct scene_memory *memory,
		       const struct hs_root *built)
{
	for (unsigned int i = 0; i < POINTS; i++) {
		uint32_t space;
		uint64_t gva = interesting_address(scene, list, &space);
		struct hs_range old;
		struct hs_range new;

		space = i % 2 ? space : (uint32_t)(scene_random(scene) % scene->root_count);
		hs_translate(&scene->guest.phys, &scene->roots[space], hs_gva_of(gva), &old);
		hs_translate(&memory->phys, &built[space], hs_gva_of(gva), &new);
		CHECK(is_mapped(&old) ? same_range(&old, &new)
				      : new.kind == HS_RANGE_HOLE || new.kind == HS_RANGE_NON_CANONICAL);
	}
}

/* The next item of a walk that can be built: a range that could not be read is none. */
static bool next_built(const struct space_list *list, size_t *at)
{
	while (*at < list->count && list->items[*at].kind == HS_SPACE_RANGE && !is_mapped(&list->items[*at].range)) {
		(*at)++;
	}
	return *at < list->count;
}

/* The new roots walked together give the same list, places of tables apart. */
static void check_same_list(const struct space_list *list, const struct scene_memory *memory,
			    const struct hs_root *built, uint32_t count)
{
	static struct hs_space_place places[PLACES];
	struct hs_budget budget = { .tables = SCENE_BUILT_PAGES, .ranges = SCENE_RANGES };
	struct hs_space_item b;
	struct hs_spaces spaces;
	size_t at = 0;

	hs_spaces_init(&spaces, &memory->phys, built, count, places, PLACES, budget);
	for (; next_built(list, &at); at++) {
		const struct hs_space_item *a = &list->items[at];

		CHECK(hs_spaces_next(&spaces, &b, NULL) == HS_OK);
		CHECK(a->kind == b.kind && a->space == b.space && a->depth == b.depth && a->gva.v == b.gva.v);
		CHECK(a->length == b.length && a->prot == b.prot && a->user == b.user);
		CHECK(a->owner == b.owner && a->owner_gva.v == b.owner_gva.v);
		CHECK(a->kind != HS_SPACE_RANGE || same_range(&a->range, &b.range));
	}
	CHECK(hs_spaces_next(&spaces, &b, NULL) == HS_ERR_NOT_FOUND);
}

/* Whatever else names a table is told where it is now. */
static void repoint_aliases(const struct space_list *list, const struct scene_memory *memory, struct hs_root *built,
			    const struct hs_space_item *moved, hs_gpa to)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct hs_space_item *item = &list->items[i];

		if (item->kind != HS_SPACE_ALIAS || item->depth != moved->depth || item->owner != moved->space ||
		    item->owner_gva.v != moved->gva.v) {
			continue;
		}
		if (item->depth == 0) {
			built[item->space].base = to;
		} else {
			CHECK(hs_build_repoint(&memory->phys, &built[item->space], item->depth, item->gva, to, NULL) ==
			      HS_OK);
		}
	}
}

static void check_moved(struct scene *scene, const struct space_list *list, struct scene_memory *memory,
			struct hs_root *built)
{
	const struct hs_space_item *item = &list->items[scene->choice[1] % list->count];
	hs_gpa to = hs_gpa_of(SCENE_BUILT + SCENE_BUILT_PAGES * HS_PAGE_SIZE);
	struct hs_path path;

	if (item->kind != HS_SPACE_TABLE) {
		return;
	}
	hs_path_find(&memory->phys, &built[item->space], item->gva, &path);
	CHECK(path.count > item->depth);
	CHECK(hs_build_move_table(&memory->phys, &built[item->space], item->depth, item->gva, to, NULL) == HS_OK);
	check_same(scene, list, memory, built);
	repoint_aliases(list, memory, built, item, to);
	/* Nobody needs the old place any more. */
	memset(scene_bytes(memory, path.levels[item->depth].table.v, HS_PAGE_SIZE), 0xff, HS_PAGE_SIZE);
	check_same(scene, list, memory, built);
	check_same_list(list, memory, built, scene->root_count);
}

void check_rebuilt(struct scene *scene, const struct space_list *list)
{
	struct scene_memory memory;
	struct hs_root built[SCENE_ROOTS];

	scene_memory_init(&memory, SCENE_BUILT, bytes, sizeof(bytes));
	memcpy(built, scene->roots, sizeof(built));
	for (size_t i = 0; i < list->count; i++) {
		CHECK(rebuild_item(&memory.phys, &memory.source, scene->roots, built, &list->items[i]) == HS_OK);
	}
	CHECK((memory.next_table - SCENE_BUILT) / HS_PAGE_SIZE == list->tables);
	check_same(scene, list, &memory, built);
	check_same_list(list, &memory, built, scene->root_count);
	if (list->count > 0) {
		check_moved(scene, list, &memory, built);
	}
}
