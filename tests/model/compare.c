/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct hs_range compare_expected(const struct naive_result *naive)
{
	static const enum hs_range_kind kinds[] = {
		[NAIVE_PAGE] = HS_RANGE_MAPPED,
		[NAIVE_NOT_PRESENT] = HS_RANGE_HOLE,
		[NAIVE_RESERVED_BIT] = HS_RANGE_RESERVED,
		[NAIVE_NO_MEMORY] = HS_RANGE_UNREADABLE,
		[NAIVE_NOT_CANONICAL] = HS_RANGE_NON_CANONICAL,
	};
	struct hs_range range;

	memset(&range, 0, sizeof(range));
	range.kind = kinds[naive->outcome];
	range.start.v = naive->start;
	range.length = naive->length;
	range.gpa.v = naive->physical;
	range.level = (uint8_t)naive->depth;
	if (naive->outcome == NAIVE_PAGE) {
		range.prot = HS_PROT_READ | (naive->write ? HS_PROT_WRITE : 0) | (naive->fetch ? HS_PROT_EXEC : 0);
		range.user = naive->user;
		range.cow = naive->tagged;
		range.page_bytes = naive->page;
		range.leaf = naive->attributes;
	}
	return range;
}

static bool same(const struct hs_range *a, const struct hs_range *b)
{
	return a->kind == b->kind && a->start.v == b->start.v && a->length == b->length && a->gpa.v == b->gpa.v &&
	       a->prot == b->prot && a->user == b->user && a->cow == b->cow && a->level == b->level &&
	       a->page_bytes == b->page_bytes && a->leaf == b->leaf;
}

static void print_range(const char *who, const struct hs_range *range)
{
	print_error("%s: kind %d start %llx length %llx gpa %llx prot %d user %d cow %d level %d page %llx leaf %llx\n",
		    who, range->kind, (unsigned long long)range->start.v, (unsigned long long)range->length,
		    (unsigned long long)range->gpa.v, range->prot, range->user, range->cow, range->level,
		    (unsigned long long)range->page_bytes, (unsigned long long)range->leaf);
}

static void print_world(struct world *world)
{
	print_error("%s gva %llx nxe %d pse %d wp %d smep %d smap %d width %u\n",
		    hs_paging_format_name(world->root.format), (unsigned long long)world->gva, world->root.nxe,
		    world->root.pse, world->root.wp, world->root.smep, world->root.smap, world->naive.maxphyaddr);
	for (unsigned int depth = 0; depth < world->levels; depth++) {
		const uint8_t *entry = world->bytes + world->path[depth];

		print_error("  level %u entry", depth);
		for (unsigned int i = world->size; i > 0; i--) {
			print_error(" %02x", entry[i - 1]);
		}
		print_error("\n");
	}
}

void compare_ranges(struct world *world, const struct hs_range *got, const struct hs_range *want)
{
	if (!same(got, want)) {
		print_world(world);
		print_range("paging", got);
		print_range("model ", want);
		fail();
	}
}

/* What no error code is. */
#define UNTOUCHED 0x5a5a5a5au

static bool same_end(const struct naive_verdict *want, enum hs_access_outcome outcome, uint32_t error_code)
{
	switch (want->end) {
	case NAIVE_PAGE_FAULT:
		return outcome == HS_ACCESS_PAGE_FAULT && error_code == want->error_code;
	case NAIVE_GENERAL_PROTECTION:
		return outcome == HS_ACCESS_NON_CANONICAL && error_code == UNTOUCHED;
	case NAIVE_NO_ANSWER:
		return outcome == HS_ACCESS_UNKNOWN && error_code == UNTOUCHED;
	default:
		return outcome == HS_ACCESS_ALLOWED && error_code == UNTOUCHED;
	}
}

static void compare_access(struct world *world, const struct hs_range *range, const struct naive_verdict *want,
			   enum hs_access_by by, int prot)
{
	uint32_t error_code = UNTOUCHED;
	enum hs_access_outcome outcome = hs_access_check(&world->root, range, by, prot, &error_code);

	if (!same_end(want, outcome, error_code)) {
		print_world(world);
		print_range("range ", range);
		print_error("access by %d prot %d: paging %d error code %x, model %d error code %x\n", by, prot,
			    outcome, error_code, want->end, want->error_code);
		fail();
	}
}

/* Every access to the range. */
static void compare_accesses(struct world *world, const struct naive_result *naive, const struct hs_range *range)
{
	static const int prots[NAIVE_KINDS] = { HS_PROT_READ, HS_PROT_WRITE, HS_PROT_EXEC };
	static const enum hs_access_by all[] = { HS_ACCESS_BY_SUPERVISOR, HS_ACCESS_BY_SUPERVISOR_AC,
						 HS_ACCESS_BY_USER };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct naive_access access = {
			.user_mode = all[i] == HS_ACCESS_BY_USER,
			.ac = all[i] == HS_ACCESS_BY_SUPERVISOR_AC,
		};
		int rights = 0;

		for (access.kind = 0; access.kind < NAIVE_KINDS; access.kind++) {
			struct naive_verdict want = naive_judge(&world->naive, naive, access);

			rights |= want.end == NAIVE_DONE ? prots[access.kind] : 0;
			compare_access(world, range, &want, all[i], prots[access.kind]);
			if (access.kind == NAIVE_WRITE) {
				/* What may be written may be read, so that this goes as the write does. */
				compare_access(world, range, &want, all[i], HS_PROT_READ | HS_PROT_WRITE);
			}
		}
		if (hs_access_rights(&world->root, range, all[i]) != rights) {
			print_world(world);
			print_range("range ", range);
			print_error("rights of %d: paging %x, model %x\n", all[i],
				    hs_access_rights(&world->root, range, all[i]), rights);
			fail();
		}
	}
}

struct naive_result compare(struct world *world)
{
	struct naive_result naive = naive_walk(&world->memory, &world->naive, world->gva);
	struct hs_range want = compare_expected(&naive);
	struct hs_range got;

	world->cases++;
	hs_translate(&world->phys, &world->root, hs_gva_of(world->gva), &got);
	compare_ranges(world, &got, &want);
	compare_accesses(world, &naive, &got);
	return naive;
}
