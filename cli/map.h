/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The option --map: [LABEL=]FILE@GPA, each time it is given, as mappings of a VM. */
#ifndef HS_CLI_MAP_H
#define HS_CLI_MAP_H

#include "cli/opts.h"

#include <hindsight/vm.h>

/** The mappings, and the memory that their strings are in. Caller's storage, zero at first. */
struct hs_map_list {
	struct hs_vm_mapping mappings[HS_OPT_VALUES_MAX];
	char *texts[HS_OPT_VALUES_MAX];
	size_t count;
};

/** Parse all values. HS_ERR_INVALID: one is of another form. HS_ERR_NOMEM. To be freed in any case. */
HS_MUST_CHECK enum hs_status hs_map_parse(const struct hs_opt_strings *values, struct hs_map_list *ret,
					  struct hs_error *err);
void hs_map_free(struct hs_map_list *list);

#endif
