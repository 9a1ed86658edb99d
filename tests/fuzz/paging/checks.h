/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold of each part of paging/, whatever the tables say. Each aborts where it does not. */
#ifndef HS_TESTS_FUZZ_PAGING_CHECKS_H
#define HS_TESTS_FUZZ_PAGING_CHECKS_H

#include "scene.h"

#include <hindsight/spaces.h>

/** Rights as flags of enum hs_prot, of which EXEC is the supervisor's; user, and EXEC for user mode. */
struct rights {
	int prot;
	bool user, user_exec;
};

#define ALL_RIGHTS                                                                                                     \
	{                                                                                                              \
		HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC, true, true                                                \
	}

/** What an entry of the table at depth leaves, by its bits' names. */
struct rights rights_of_entry(const struct hs_root *root, unsigned int depth, uint64_t entry);
/** Take away what the other has not. */
void lose_rights(struct rights *rights, struct rights other);
/** What a range with these rights is said to allow. */
int prot_of_rights(const struct rights *rights);
bool same_range(const struct hs_range *a, const struct hs_range *b);
/** That one address of a range that a walk gave is what a lookup of it gives. */
void check_agrees(const struct hs_phys *phys, const struct hs_root *root, const struct hs_range *range, uint64_t gva);

/** A lookup gives a range with the address in it, the same one for all of it; its path leads there, entry by entry. */
void check_lookup(struct scene *scene, const struct hs_root *root, uint64_t gva);
/** A walk gives ascending ranges that lookups agree with, nothing between them, within both budgets. */
void check_walk(struct scene *scene, const struct hs_root *root, uint64_t start, uint64_t length);
/** The same by pages, and by pages and ranges in turns. */
void check_pages(struct scene *scene, const struct hs_root *root, uint64_t start, uint64_t length);
/** Bytes are those of the pages; they come back as they were written, and a failed write changes nothing. */
void check_bytes(struct scene *scene, const struct hs_root *root, uint64_t gva, size_t length);
/** The list of all roots is in order and within its budgets; followed by hand it leads where the tables lead. If it is
 *  whole, what is built from it translates alike, shares alike, and still does when a table has moved. */
void check_spaces(struct scene *scene);
/** Whatever maps some memory is found, and nothing else, within the budget. */
void check_reverse(struct scene *scene);
/** What the builder says it has mapped is mapped, and nothing else, in as many tables as it foretold. */
void check_build(struct scene *scene);
/** Tables made, linked, moved among random ones change one entry, or nothing. */
void check_tables(struct scene *scene);

/** All that hs_spaces_next() gave for a scene's roots. */
struct space_list {
	struct hs_space_item items[SCENE_RANGES + 256];
	size_t count, tables;
	enum hs_status status; /* at the end */
	uint32_t end_space;    /* where it ended, if not at the end of all */
	uint64_t end;
};

/** Build a whole list again in memory of its own, and check it. */
void check_rebuilt(struct scene *scene, const struct space_list *list);
/** The address that is one of a few kinds of interesting: the edges of an item, and beside them. */
uint64_t interesting_address(struct scene *scene, const struct space_list *list, uint32_t *ret_space);

#endif
