/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A look at the registers without a copy of all, for whoever looks often and at little. */
#ifndef HS_VMM_PEEK_H
#define HS_VMM_PEEK_H

#include <hindsight/cpu.h>
#include <hindsight/error.h>
#include <hindsight/vm.h>

#include <stdbool.h>

/**
 * The registers: all, or else those up to cr8 in struct hs_cpu_state, and msr.efer, which cost less on KVM. Borrowed
 * from the VM until anything else is done with it. NULL: err tells why, as hs_vm_cpu_get().
 */
const struct hs_cpu_state *hs_vm_peek(struct hs_vm *vm, bool all, struct hs_error *err);

#endif
