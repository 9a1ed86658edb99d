/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What docs/paging.md says to do with each item of hs_spaces_next() to have the same address spaces again. */
#ifndef HS_TESTS_PAGING_REBUILD_H
#define HS_TESTS_PAGING_REBUILD_H

#include <hindsight/spaces.h>

/**
 * Build one item.
 *
 * @param tables  where pages for tables come from; those of roots too
 * @param roots   the old ones; built are the new ones so far
 */
enum hs_status rebuild_item(const struct hs_phys *phys, const struct hs_table_source *tables,
			    const struct hs_root *roots, struct hs_root *built, const struct hs_space_item *item);

#endif
