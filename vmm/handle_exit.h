/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an exit of the CPU means to the VM. Used by run.c alone. */
#ifndef HS_VMM_HANDLE_EXIT_H
#define HS_VMM_HANDLE_EXIT_H

#include "vmm/backend.h"

#include <hindsight/vm.h>

/** What one run of the CPU came to. */
enum hs_turn {
	HS_TURN_AGAIN, /* nothing that anybody need know of */
	HS_TURN_OVER,  /* at a breakpoint of another address space: the instruction is to be executed alone */
	HS_TURN_STEP,  /* one instruction is done, if that was asked */
	HS_TURN_EVENT, /* *event is filled */
};

/**
 * Handle an exit. Port accesses are carried out; after an event the registers are consistent and, for a crash, those of
 * its instruction.
 *
 * @param armed  what was armed while the CPU ran
 */
HS_MUST_CHECK enum hs_status hs_vm_handle_exit(struct hs_vm *vm, const struct hs_exit *exit,
					       const struct hs_debug_request *armed, enum hs_turn *ret,
					       struct hs_event *event, struct hs_error *err);
/** Make *event a stop at a breakpoint that rip is at. */
void hs_vm_breakpoint_event(struct hs_vm *vm, const struct hs_breakpoint *breakpoint, struct hs_event *event);

#endif
