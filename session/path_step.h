/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A step of a walk through page tables as `pagetable walk` and the report of a crash show it: numbers and names. */
#ifndef HS_SESSION_PATH_STEP_H
#define HS_SESSION_PATH_STEP_H

#include <hindsight/paging.h>
#include <hindsight/spaces.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Room for the fields of an entry: a word, " " and some quotes for each of its 64 bits. */
#define HS_PATH_FIELDS_BYTES 1024u

struct hs_path_step {
	const char *name; /**< of the entry, static: "PML4E" */
	uint64_t table, index, entry;
	int digits;    /**< hexadecimal digits of an entry */
	bool readable; /**< the entry is in memory; else entry and what follows is 0 */
	bool leads_on; /**< to a table or to memory, at leads_to */
	uint64_t leads_to;
	struct hs_entry_fields fields;
};

/** Step number depth of a path, below path->count. */
void hs_path_step(const struct hs_root *root, const struct hs_path *path, unsigned int depth, struct hs_path_step *ret);

/** The fields of an entry that are not zero, each between quotes, parted by between: "P RW AVL=0x4". */
void hs_path_fields(const struct hs_entry_fields *fields, const char *quote, const char *between,
		    char ret[HS_PATH_FIELDS_BYTES]);

#endif
