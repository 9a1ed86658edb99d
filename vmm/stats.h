/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a VM has counted, for who tells a user of it. */
#ifndef HS_VMM_STATS_H
#define HS_VMM_STATS_H

#include "vmm/backend.h"
#include "vmm/debug.h"

#include <hindsight/vm.h>

#include <stdint.h>

struct hs_vm_stats {
	uint64_t exits[HS_EXIT_INTERRUPTED + 1]; /* of the backend, by kind, since the VM was made */
	struct hs_debug_counts debug;
};

void hs_vm_stats(const struct hs_vm *vm, struct hs_vm_stats *ret);
/** "port out"; static. */
const char *hs_exit_kind_name(enum hs_exit_kind kind);

#endif
