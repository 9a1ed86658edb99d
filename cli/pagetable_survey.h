/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A walk over all roots of a source, item by item, that finds the storage for it: as little as there are tables, as
 * much as the budget allows. Beside the items, what they come to in all.
 */
#ifndef HS_CLI_PAGETABLE_SURVEY_H
#define HS_CLI_PAGETABLE_SURVEY_H

#include "cli/pagetable.h"

#include <hindsight/spaces.h>

/** Numbers in the order in which they came. */
struct hs_pagetable_pile {
	struct hs_pagetable_pair {
		uint64_t a, b;
	} * pairs;
	size_t count, room;
};

/** The walk. Caller's storage; the first two are for reading, the other fields are private. */
struct hs_pagetable_survey {
	struct hs_spaces spaces;          /**< .space: index of the root of the last item, or of the error */
	uint64_t tables, aliases, ranges; /**< how many items of each kind there have been */
	uint64_t unreadable, reserved;    /**< of the ranges, those that are a fault of the tables */
	const struct hs_pagetable_source *source;
	struct hs_budget budget;
	struct hs_space_place *places;
	size_t places_count;
	struct hs_pagetable_pile memory; /* first byte and length of what is mapped */
	struct hs_pagetable_pile shared; /* table and depth of what the aliases name */
};

/** What a whole walk comes to. */
struct hs_pagetable_totals {
	uint64_t shared_tables;   /**< tables that have an alias */
	uint64_t mapped_bytes;    /**< of physical memory, each byte once */
	uint64_t separate_tables; /**< tables of each root by itself, added up */
	bool has_separate;        /**< that is known: the walk was not cut short */
};

/** Start; nothing is allocated yet. source is borrowed until hs_pagetable_survey_deinit(). */
void hs_pagetable_survey_init(struct hs_pagetable_survey *survey, const struct hs_pagetable_source *source,
			      struct hs_budget budget);
/** As hs_spaces_next(); and HS_ERR_NOMEM. */
HS_MUST_CHECK enum hs_status hs_pagetable_survey_next(struct hs_pagetable_survey *survey, struct hs_space_item *ret,
						      struct hs_error *err);
/**
 * Add up what has been given out.
 *
 * @param whole  the walk has come to its end: then every root is walked once more, for what it has by itself
 */
void hs_pagetable_survey_total(struct hs_pagetable_survey *survey, bool whole, struct hs_pagetable_totals *ret);
void hs_pagetable_survey_deinit(struct hs_pagetable_survey *survey);

#endif
