/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A page table with the addresses in its entries changed to where a plan moves things. */
#ifndef HS_SNAPSHOT_RELOCATE_H
#define HS_SNAPSHOT_RELOCATE_H

#include "snapshot/plan.h"

/**
 * Change the entries of one table.
 *
 * @param table  the table, as found at its depth
 * @param from   the bytes of the page that holds it, as they are now
 * @param to     the bytes of the page as it is to be: those of `from`, but for entries that another table in the same
 *               page, or the same one at another depth, had changed
 *
 * HS_ERR_UNSUPPORTED: an entry was changed before, and to something else.
 */
HS_MUST_CHECK enum hs_status hs_relocate_table(struct hs_plan *plan, const struct hs_plan_table *table,
					       const uint8_t *from, uint8_t *to, struct hs_error *err);

#endif
