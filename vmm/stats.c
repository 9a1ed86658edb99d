/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/stats.h"

#include "vmm/vm_private.h"

#include <string.h>

void hs_vm_stats(const struct hs_vm *vm, struct hs_vm_stats *ret)
{
	memcpy(ret->exits, vm->exits, sizeof(ret->exits));
	hs_debug_count(&vm->debug, &ret->debug);
}

const char *hs_exit_kind_name(enum hs_exit_kind kind)
{
	static const char *const names[] = {
		[HS_EXIT_PORT_OUT] = "port out",
		[HS_EXIT_PORT_IN] = "port in",
		[HS_EXIT_UNMAPPED] = "unmapped",
		[HS_EXIT_READ_ONLY] = "read-only",
		[HS_EXIT_HLT] = "hlt",
		[HS_EXIT_SHUTDOWN] = "shutdown",
		[HS_EXIT_STEPPED] = "stepped",
		[HS_EXIT_INT3] = "int3",
		[HS_EXIT_BREAK] = "breakpoint",
		[HS_EXIT_WATCH] = "watchpoint",
		[HS_EXIT_EMULATION] = "emulation",
		[HS_EXIT_INTERNAL] = "internal",
		[HS_EXIT_INTERRUPTED] = "interrupted",
	};

	return kind < sizeof(names) / sizeof(names[0]) && names[kind] ? names[kind] : "other";
}
