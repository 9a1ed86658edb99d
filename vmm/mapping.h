/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mappings of a VM's configuration, made ready: labels checked, files opened and measured, strings copied. Where
 * they go is the layout's business, which takes the configuration that comes out of here.
 */
#ifndef HS_VMM_MAPPING_H
#define HS_VMM_MAPPING_H

#include "vmm/layout.h"
#include "vmm/ram.h"

#include <hindsight/abi.h>
#include <hindsight/error.h>
#include <hindsight/vm.h>

#include <stddef.h>

/** What is kept of one. */
struct hs_mapping_entry {
	char *name; /* "mapping 'LABEL'"; owned */
	int fd;     /* of the file, -1 for host memory; owned */
	void *host; /* borrowed, NULL for a file */
};

/** Caller's storage; not to be moved once it is open. */
struct hs_mappings {
	/* All in the order of the configuration. */
	struct hs_vm_mapped mapped[HS_MAPPINGS_MAX]; /* its strings are owned */
	struct hs_mapping_entry entries[HS_MAPPINGS_MAX];
	struct hs_vm_mapping list[HS_MAPPINGS_MAX]; /* for a layout and a boot: the length of files is filled in */
	size_t count;
};

/**
 * Check and open what config asks for.
 *
 * HS_ERR_RANGE: too many, or a label of a wrong length. HS_ERR_INVALID: a label that is there twice, neither file nor
 * memory. HS_ERR_FORMAT: no regular file, or an empty one. HS_ERR_NOT_FOUND, HS_ERR_PERMISSION, HS_ERR_IO: the file.
 * HS_ERR_NOMEM. Every message names the mapping. On failure *ret is empty.
 *
 * @param ret  to be closed
 */
HS_MUST_CHECK enum hs_status hs_mappings_open(const struct hs_vm_config *config, struct hs_mappings *ret,
					      struct hs_error *err);
void hs_mappings_close(struct hs_mappings *mappings);

/** Add a region for each, where the layout has put it. Errors of hs_ram_add(). */
HS_MUST_CHECK enum hs_status hs_mappings_add(struct hs_mappings *mappings, const struct hs_layout *layout,
					     struct hs_ram *ram, struct hs_error *err);

#endif
