/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/roots.h"

void hs_roots_tell_breaks(struct hs_vm *vm, const struct hs_roots_spec *spec)
{
	struct hs_cpu_state cpu;
	struct hs_roots roots;

	if (!hs_vm_break_has_spaces(vm) || hs_vm_cpu_get(vm, &cpu, NULL) ||
	    hs_roots_find(vm, spec, &cpu, &roots, NULL)) {
		return;
	}
	(void)!hs_vm_break_spaces(vm, roots.items, roots.named, NULL);
	hs_roots_deinit(&roots);
}
