/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From behind an instruction back to it. A crash is shown at the instruction that caused it, with the registers and the
 * memory that it found; but some exits come when KVM has moved on, and all that access something have to be completed
 * first, because KVM would otherwise do so at the next run.
 */
#ifndef HS_VMM_REWIND_H
#define HS_VMM_REWIND_H

#include "vmm/backend.h"

struct hs_vm;

/** Let the CPU finish the instruction of its last exit. */
HS_MUST_CHECK enum hs_status hs_vm_retire(struct hs_vm *vm, struct hs_error *err);

/**
 * Put the CPU to the instruction that a port or memory exit is about, with the registers that it found.
 *
 * Where the CPU has left the instruction behind, it is looked for (hs_insn_before()); when nothing there could have
 * made this access, the CPU stays behind it.
 */
HS_MUST_CHECK enum hs_status hs_vm_rewind_access(struct hs_vm *vm, const struct hs_exit *exit, struct hs_error *err);

#endif
