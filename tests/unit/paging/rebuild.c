/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rebuild.h"

static enum hs_status build_range(const struct hs_phys *phys, const struct hs_table_source *tables,
				  const struct hs_root *root, const struct hs_space_item *item)
{
	struct hs_mapping mapping = {
		.gva = item->gva,
		.gpa = item->range.gpa,
		.length = item->length,
		.prot = item->prot,
		.user = item->user,
		.leaf = item->range.leaf,
		.large = item->range.page_bytes > HS_PAGE_SIZE,
		.exact = true,
	};

	return item->range.kind == HS_RANGE_MAPPED ? hs_build_map(phys, root, &mapping, tables, NULL) : HS_OK;
}

enum hs_status rebuild_item(const struct hs_phys *phys, const struct hs_table_source *tables,
			    const struct hs_root *roots, struct hs_root *built, const struct hs_space_item *item)
{
	struct hs_root *root = &built[item->space];

	/* Without paging there is no table to build. */
	if (hs_build_tables_needed(&roots[item->space], NULL, 0) == 0) {
		*root = roots[item->space];
		return HS_OK;
	}
	if (item->kind == HS_SPACE_RANGE) {
		return build_range(phys, tables, root, item);
	}
	if (item->depth > 0) {
		return item->kind == HS_SPACE_TABLE
			       ? hs_build_table(phys, root, item->depth, item->gva, item->entry, tables, NULL)
			       : hs_build_link(phys, root, item, &built[item->owner], NULL);
	}
	*root = roots[item->space];
	root->base = built[item->owner].base;
	return item->kind == HS_SPACE_ALIAS ? HS_OK : tables->take(tables->ctx, &root->base, NULL);
}
