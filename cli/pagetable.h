/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the words of `hindsight pagetable` share: the file that the tables are in, the roots to start from, and how a
 * range looks as a line and as a JSON object (docs/command.md).
 */
#ifndef HS_CLI_PAGETABLE_H
#define HS_CLI_PAGETABLE_H

#include "cli/opts.h"
#include "session/pagetable_text.h"

#include <hindsight/coredump.h>
#include <hindsight/paging.h>
#include <hindsight/spaces.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** What the words have in common on their command lines. */
struct hs_pagetable_options {
	const char *image;           /**< a raw image; NULL for a core */
	uint64_t base;               /**< gpa of the image's first byte */
	int format;                  /**< enum hs_paging_format; -1 when it was not given */
	struct hs_opt_numbers roots; /**< CR3 of each */
	bool no_nxe, no_pse;         /**< control bits that are clear */
	bool pdpte_a;                /**< as in struct hs_root */
	uint64_t physical_bits;      /**< MAXPHYADDR; 0 when it was not given */
	struct hs_budget budget;     /**< of list for each root, of spaces for all together */
	uint64_t start;              /**< of list: gva to begin at */
	uint64_t address;            /**< of walk: gva */
	bool json;
};

struct hs_physfile;

/** The memory and the roots. Caller's storage. */
struct hs_pagetable_source {
	const char *file;
	struct hs_core *core; /**< NULL for a raw image */
	struct hs_physfile *memory;
	struct hs_phys phys;
	struct hs_root roots[HS_OPT_VALUES_MAX];
	size_t root_count; /**< at least 1 */
};

/** Check what of the options does not go together; HS_ERR_INVALID says what. */
HS_MUST_CHECK enum hs_status hs_pagetable_check(const struct hs_pagetable_options *options, struct hs_error *err);

/**
 * Open the file and find the roots.
 *
 * @param core  the operand, used where there is no image
 * @param ret   to be given to hs_pagetable_close()
 */
HS_MUST_CHECK enum hs_status hs_pagetable_open(const struct hs_pagetable_options *options, const char *core,
					       struct hs_pagetable_source *ret, struct hs_error *err);
void hs_pagetable_close(struct hs_pagetable_source *source);

/** The members of an object for a root, rights or a range, without braces. */
void hs_pagetable_root_json(const struct hs_root *root, FILE *out);
void hs_pagetable_rights_json(int prot, bool user, FILE *out);
void hs_pagetable_range_json(const struct hs_root *root, const struct hs_range *range, FILE *out);
/** A string with its quotes; false when there was no memory for it. */
HS_MUST_CHECK bool hs_pagetable_string_json(const char *text, FILE *out);

/**
 * Write what every root maps. False when there was no memory for a part of it.
 *
 * @param ret_whole  false when a budget ended a walk, which has been said on stderr then
 */
HS_MUST_CHECK bool hs_pagetable_list(const struct hs_pagetable_source *source,
				     const struct hs_pagetable_options *options, bool *ret_whole, FILE *out);
/**
 * Write what all roots map, each table once, which tables they share, and what it comes to. False when there was no
 * memory for a part of it.
 *
 * @param ret_whole  false when a budget ended the walk, which has been said on stderr then
 */
HS_MUST_CHECK bool hs_pagetable_spaces(const struct hs_pagetable_source *source,
				       const struct hs_pagetable_options *options, bool *ret_whole, FILE *out);
/**
 * Write how options->address is translated from every root. False when there was no memory for a part of it.
 *
 * @param ret_whole  false when one of them does not map it
 */
HS_MUST_CHECK bool hs_pagetable_walk(const struct hs_pagetable_source *source,
				     const struct hs_pagetable_options *options, bool *ret_whole, FILE *out);

#endif
