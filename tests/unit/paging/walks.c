/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "walks.h"

#include <string.h>

struct walk_count walk_iter(struct ram *ram, const struct hs_root *root, struct hs_budget budget)
{
	struct walk_count count = { .ranges = 0 };
	struct hs_error err = { .where = 0 };
	struct hs_iter iter;
	struct hs_range range;

	ram->pointers = 0;
	hs_iter_init(&iter, &ram->phys, root, hs_gva_of(0), 0, budget);
	while ((count.status = hs_iter_next(&iter, &range, &err)) == HS_OK) {
		count.ranges++;
	}
	count.where = err.where;
	count.visited = ram->pointers;
	return count;
}

struct walk_count walk_spaces(struct ram *ram, const struct hs_root *roots, uint32_t count, size_t places_count,
			      struct hs_budget budget)
{
	static struct hs_space_place places[WALK_PLACES];
	struct walk_count found = { .ranges = 0 };
	struct hs_error err = { .where = 0 };
	struct hs_spaces spaces;
	struct hs_space_item item;

	ram->pointers = 0;
	hs_spaces_init(&spaces, &ram->phys, roots, count, places, places_count, budget);
	while ((found.status = hs_spaces_next(&spaces, &item, &err)) == HS_OK) {
		found.ranges += item.kind == HS_SPACE_RANGE;
		found.tables += item.kind == HS_SPACE_TABLE;
		found.aliases += item.kind == HS_SPACE_ALIAS;
	}
	found.where = err.where;
	found.space = spaces.space;
	found.visited = ram->pointers;
	return found;
}

struct walk_count walk_reverse(struct ram *ram, const struct hs_root *roots, uint32_t count, uint64_t gpa,
			       uint64_t length, struct hs_budget budget)
{
	struct walk_count found = { .ranges = 0 };
	struct hs_error err = { .where = 0 };
	struct hs_reverse reverse;
	struct hs_reverse_item item;

	ram->pointers = 0;
	hs_reverse_init(&reverse, &ram->phys, roots, count, hs_gpa_of(gpa), length, budget);
	while ((found.status = hs_reverse_next(&reverse, &item, &err)) == HS_OK) {
		found.ranges++;
	}
	found.where = err.where;
	found.space = reverse.space;
	found.visited = ram->pointers;
	return found;
}

/* Which page the entries of the table in page number `which` name. */
static uint64_t leads_to(const struct shape *shape, enum tangle tangle, unsigned int which)
{
	switch (tangle) {
	case TANGLE_SELF:
		return 0;
	case TANGLE_CYCLE:
		return (which + 1) % 2;
	default:
		return which + 1 == shape->levels ? WALK_PAGES - 1 : which + 1;
	}
}

void tangle_put(struct ram *ram, const struct shape *shape, enum tangle tangle)
{
	unsigned int tables = tangle == TANGLE_SELF     ? 1
			      : tangle == TANGLE_CYCLE  ? 2
			      : tangle == TANGLE_HOLLOW ? shape->levels - 1
							: shape->levels;

	memset(ram_at(ram, WALK_ROOT), 0, WALK_PAGES * 4096);
	for (unsigned int which = 0; which < tables; which++) {
		uint64_t table = WALK_ROOT + 0x1000 * which;
		uint64_t next = WALK_ROOT + 0x1000 * leads_to(shape, tangle, which);
		/* The entries of a PAE root may have less than others, also where it is another table too. */
		unsigned int in_root = which == 0 ? shape_entries(shape, 0) : 0;

		shape_fill(ram, shape, 0, table, 0, in_root, next);
		shape_fill(ram, shape, 1, table, in_root, 4096 / shape->bytes, next);
	}
}
